"""The same requirements, and another program on each machine."""
