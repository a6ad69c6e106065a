"""A small site in two containers that does not start, or starts wrong."""
