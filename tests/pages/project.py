"""The lab as the samples on a page see it, with the models and URLs that the page adds."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.test import override_settings
from django.urls import clear_url_caches

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

MODULE = "tests.pages.samples.models"


def read_policies() -> None:
    """Let the classes of Django REST framework take their defaults anew: they read the settings when imported."""
    from rest_framework.generics import GenericAPIView
    from rest_framework.settings import api_settings
    from rest_framework.views import APIView

    for view, names in (
        (APIView, ("authentication_classes", "parser_classes", "permission_classes", "renderer_classes")),
        (APIView, ("throttle_classes", "versioning_class")),
        (GenericAPIView, ("filter_backends", "pagination_class")),
    ):
        for name in names:
            setattr(view, name, getattr(api_settings, f"DEFAULT_{name.upper()}"))


class PageProject:
    """What the samples of one page share: a module, its models' tables, its URLs.

    ``namespace`` is the module's namespace, in which the samples run. ``unblock`` opens the test
    database to what runs after a page's last test; pytest-django closes it between tests.
    """

    unblock: Callable[[], AbstractContextManager[None]]

    def __init__(self) -> None:
        self.module = ModuleType(MODULE)
        sys.modules[MODULE] = self.module
        self.tables: list[Any] = []
        self.overrides: list[override_settings] = []
        self.used = False

    @property
    def namespace(self) -> dict[str, Any]:
        """The names that the page's samples have defined so far."""
        return self.module.__dict__

    def settle(self) -> None:
        """After a sample has run: make tables for new models, and route to new URL patterns."""
        from django.db import connection

        self.used = True
        new = [model for model in apps.get_app_config("samples").get_models() if model not in self.tables]
        if new:
            with connection.schema_editor() as editor:
                for model in new:
                    editor.create_model(model)
            self.tables += new
        if "urlpatterns" in self.namespace:
            urls = ModuleType("urls")
            urls.urlpatterns = self.namespace["urlpatterns"]  # type: ignore[attr-defined]
            # A page with URLs of its own is a project of its own: the lab's middleware and settings close every view.
            api = {"TEST_REQUEST_DEFAULT_FORMAT": "json"}
            override = override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[], REST_FRAMEWORK=api)
            override.enable()
            read_policies()
            self.overrides.append(override)
            clear_url_caches()

    def close(self) -> None:
        """Forget the page's models, rows, tables and URLs."""
        sys.modules.pop(MODULE, None)
        while self.overrides:
            self.overrides.pop().disable()
        read_policies()
        clear_url_caches()
        if self.used:
            with PageProject.unblock():
                self.empty()

    def empty(self) -> None:
        """Take the page's rows and tables out of the database."""
        from django.core.cache import cache
        from django.core.management import call_command
        from django.db import connection

        call_command("flush", verbosity=0, interactive=False)
        if self.tables:
            with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
                for model in reversed(self.tables):
                    editor.delete_model(model)
        apps.all_models["samples"].clear()
        apps.clear_cache()
        cache.clear()
        assert settings.ROOT_URLCONF == "lab.urls"
