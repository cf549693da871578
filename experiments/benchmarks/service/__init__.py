"""The HTTP service: how fast it answers, and what it loses when it is killed."""
