"""How the lab is tested, released and taken back."""
