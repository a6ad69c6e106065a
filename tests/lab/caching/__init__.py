"""The chapter Caching, proven."""
