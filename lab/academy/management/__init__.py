"""Commands of the academy."""
