"""Images of handwritten digits over clutter, painted from a random stream."""
