"""The lab behind gunicorn in a container, with its static files: ``gunicorn lab.docker.wsgi``."""

from __future__ import annotations

import os

# --8<-- [start:application]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lab.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

application = WhiteNoise(
    get_wsgi_application(),
    root=settings.STATIC_ROOT,
    prefix=settings.STATIC_URL,
    immutable_file_test=r"\.[0-9a-f]{12}\.",  # the storage writes a hash into names
)
# --8<-- [end:application]
