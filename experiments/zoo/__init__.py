"""The best stimulus of every class, by every generator of images, for a classifier and a spiking network."""
