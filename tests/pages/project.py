"""The small Django project in which the samples on the pages run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.urls import clear_url_caches

MODULE = "tests.pages.academy.models"


def configure() -> None:
    """Set Django up, once a process, on SQLite in memory."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "tests.pages.academy",
        ],
        REST_FRAMEWORK={"TEST_REQUEST_DEFAULT_FORMAT": "json"},
        ROOT_URLCONF=ModuleType("urls"),
        SECRET_KEY="only for the samples on the pages",  # noqa: S106  (signs nothing that leaves the process)
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {})]},
            }
        ],
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


class PageProject:
    """What the samples of one page share: a module, its models' tables, its URLs.

    ``namespace`` is the module's namespace, in which the samples run.
    """

    def __init__(self) -> None:
        configure()
        self.module = ModuleType(MODULE)
        sys.modules[MODULE] = self.module
        self.tables: list[Any] = []

    @property
    def namespace(self) -> dict[str, Any]:
        """The names that the page's samples have defined so far."""
        return self.module.__dict__

    def settle(self) -> None:
        """After a sample has run: make tables for new models, and route to new URL patterns."""
        from django.db import connection

        new = [model for model in apps.get_app_config("academy").get_models() if model not in self.tables]
        if new:
            with connection.schema_editor() as editor:
                for model in new:
                    editor.create_model(model)
            self.tables += new
        if "urlpatterns" in self.namespace:
            urls = ModuleType("urls")
            urls.urlpatterns = self.namespace["urlpatterns"]  # type: ignore[attr-defined]
            settings.ROOT_URLCONF = urls
            clear_url_caches()

    def close(self) -> None:
        """Forget the page's models, tables and URLs."""
        from django.contrib.contenttypes.models import ContentType
        from django.core.cache import cache
        from django.core.management import call_command
        from django.db import connection

        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        ContentType.objects.clear_cache()
        if self.tables:
            with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
                for model in reversed(self.tables):
                    editor.delete_model(model)
        apps.all_models["academy"].clear()
        apps.clear_cache()
        cache.clear()
        settings.ROOT_URLCONF = ModuleType("urls")
        clear_url_caches()
        sys.modules.pop(MODULE, None)
