"""Answers that are kept, and how they are taken back."""
