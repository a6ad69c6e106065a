"""Tests of the site, of the pages and of the authors' commands."""
