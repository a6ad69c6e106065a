"""Points that two people give at once, of which some are lost."""
