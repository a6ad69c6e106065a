"""An old title that stays in the cache."""
