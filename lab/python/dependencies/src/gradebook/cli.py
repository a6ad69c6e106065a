"""The command of the gradebook."""

from academy_grades import letter  # type: ignore[import-not-found]  # built by a test


# --8<-- [start:main]
def main() -> None:
    """Print the letter for Ama's points."""
    print("Ama:", letter(points=91))


# --8<-- [end:main]
