"""Migrations that the academy never applies: the page on migrations shows what they do."""
