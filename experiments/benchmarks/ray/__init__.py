"""Ray workers beside plain processes: targets that compute, targets that wait, and what a call costs by itself."""
