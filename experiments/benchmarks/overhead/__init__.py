"""What mango itself costs: milliseconds per proposal of `tt`, and the share of a search that is not the target."""
