"""Everything that is run rather than imported: trainings, benchmarks, and one folder for each published system."""
