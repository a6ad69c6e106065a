"""The chapter Database design, proven."""
