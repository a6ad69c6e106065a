"""Tests that pass alone and fail together."""
