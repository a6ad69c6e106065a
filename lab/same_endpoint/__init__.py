"""The same endpoint, made in several ways."""
