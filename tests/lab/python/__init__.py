"""The chapter Python, proven."""
