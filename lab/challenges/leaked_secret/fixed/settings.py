"""Settings of a small service."""

# --8<-- [start:settings]
import os

SECRET_KEY = os.environ["SECRET_KEY"]
SECRET_KEY_FALLBACKS: list[str] = []
# --8<-- [end:settings]
