"""An entry ends, and everybody computes it."""
