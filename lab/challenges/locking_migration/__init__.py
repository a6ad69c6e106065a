"""A migration that lets everybody wait."""
