"""Tests of the domain that all chapters share."""
