"""Settings of a small site, read from the environment."""

import os

# --8<-- [start:wrong_settings]
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = bool(os.environ.get("DJANGO_DEBUG"))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        "HOST": os.environ.get("POSTGRES_HOST", "localhost"),
    }
}
# --8<-- [end:wrong_settings]
ALLOWED_HOSTS = ["localhost"]
ROOT_URLCONF = "urls"
