"""Commands of the academy, found by manage.py."""
