"""The catalog as a Django view whose answers are kept."""

from __future__ import annotations

# --8<-- [start:view]
from django.views.decorators.cache import cache_page

from lab.same_endpoint import plain

catalog = cache_page(60)(plain.catalog)
# --8<-- [end:view]
