"""What to make of a search: its pictures and its page."""
