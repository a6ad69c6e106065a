"""What the pages about the handbook itself are made from."""
