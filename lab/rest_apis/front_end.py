"""What a front end is told, and settings that tell it too much."""

from __future__ import annotations

# --8<-- [start:wrong_cors]
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_CREDENTIALS = True
# --8<-- [end:wrong_cors]
