"""Tests of the lab: tests/lab/<chapter>/test_<module>.py holds what lab/<chapter>/<module>.py does."""
