"""The authors' commands."""
