"""A key that was removed from the code and not from its history."""
