"""Settings of a small service."""

# --8<-- [start:wrong_settings]
import os

SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-development")
SECRET_KEY_FALLBACKS: list[str] = []
# --8<-- [end:wrong_settings]
