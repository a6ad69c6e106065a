"""The practices, attacked and defended."""
