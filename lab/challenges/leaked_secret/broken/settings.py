"""Settings of a small service."""

# --8<-- [start:wrong_settings]
import os

SECRET_KEY = os.environ.get(
    "SECRET_KEY", "academy_key_0123456789abcdef0123456789abcdef"
)
SECRET_KEY_FALLBACKS: list[str] = []
# --8<-- [end:wrong_settings]
