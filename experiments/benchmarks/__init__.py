"""Measurements beside the field's usual implementations; one folder for each question."""
