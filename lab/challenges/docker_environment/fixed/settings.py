"""Settings of a small site, read from the environment."""

import os

from django.core.exceptions import ImproperlyConfigured

# --8<-- [start:settings]
REQUIRED = ["DJANGO_SECRET_KEY", "POSTGRES_HOST", "POSTGRES_PASSWORD"]
MISSING = [name for name in REQUIRED if not os.environ.get(name)]
if MISSING:
    raise ImproperlyConfigured(f"Set {', '.join(MISSING)}; see .env.example.")

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = os.environ.get("DJANGO_DEBUG") == "true"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        "HOST": os.environ["POSTGRES_HOST"],
    }
}
# --8<-- [end:settings]
ALLOWED_HOSTS = ["localhost"]
ROOT_URLCONF = "urls"
