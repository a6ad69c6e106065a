"""Tests of the Django chapter."""
