"""Marks that tests of several chapters share."""

from __future__ import annotations

import django
import pytest


def recorded_on_5_2(why: str) -> pytest.MarkDecorator:
    """Skip a test whose recording another release of Django prints otherwise.

    Args:
        why: What differs; it stands in the summary of ``make next``.
    """
    return pytest.mark.skipif(django.VERSION >= (6, 0), reason=f"recorded on Django 5.2: {why}")
