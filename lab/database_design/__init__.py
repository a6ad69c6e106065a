"""Tables that refuse wrong data, and queries whose cost is known."""
