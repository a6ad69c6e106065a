"""The pages about the handbook, made from the handbook."""
