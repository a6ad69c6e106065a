"""The chapter CI/CD, proven."""
