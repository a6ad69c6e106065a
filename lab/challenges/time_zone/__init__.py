"""A report whose months end at the wrong midnight."""
