"""The proof of every fenced block."""
