"""Trainings of the networks in the zoo; seeded, resumable, on a CPU or a GPU."""
