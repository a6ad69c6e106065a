"""An API that asks who you are, and not whose row it is."""
