"""The discrete problems P-11 to P-20 on which PROTES was published, beside its published values."""
