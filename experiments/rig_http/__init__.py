"""Whole rigs without mango on them, in curl and in MATLAB, and a simulated neuron to rehearse them with."""
