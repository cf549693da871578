"""Spiking networks evaluated by everybody's loops and by mango: how fast, with how many spikes flipped."""
