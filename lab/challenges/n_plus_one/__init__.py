"""A catalog behind a serializer that asks once for each row."""
