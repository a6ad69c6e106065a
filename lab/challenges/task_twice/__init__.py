"""A task that is lost, or done twice."""
