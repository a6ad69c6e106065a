"""One request that lets all others wait."""
