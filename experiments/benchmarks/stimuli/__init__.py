"""Which optimizer finds exciting stimuli for units of a spiking network, with how many evaluations, and under noise."""
