"""Code that waits for many things at once."""
