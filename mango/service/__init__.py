"""Studies over HTTP: what a rig, a browser and `mango.Client` talk to."""
