"""The grades of an academy."""
