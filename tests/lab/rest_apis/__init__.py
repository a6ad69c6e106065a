"""The chapter on REST APIs, proven."""
