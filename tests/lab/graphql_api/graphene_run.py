"""Run a session with graphene-django in a process of its own: the lab's GraphQL needs another graphql-core.

    PYTHONPATH=<venv>/graphene:<project> python -m tests.lab.graphql_api.graphene_run < session

prints the session as it is today. Warnings come out as they do in a server: those that Python
hides stay hidden. With the word ``schema`` instead of a session it prints the schema in SDL.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import django
from django.conf import settings

from tests.recording.session import rerun


def configure() -> None:
    """Set up Django with what graphene-django and the academy need, and nothing of the lab's."""
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        AUTH_USER_MODEL="academy.User",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "lab.academy", "graphene_django"],
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        PASSWORD_HASHERS=["tests.hashing.QuickHasher"],
        ROOT_URLCONF="lab.graphql_api.graphene_samples",
        SECRET_KEY="of-a-process-that-lives-for-a-second",  # noqa: S106
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"debug": True},  # so that the coverage of templates can be measured
            }
        ],
        USE_TZ=True,
    )
    django.setup()


def ready() -> dict[str, Any]:
    """Fill the academy; return the names that a session begins with."""
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from lab.academy.models import Course, User
    from lab.academy.seed import seed
    from tests.recording.sql import queries

    call_command("migrate", verbosity=0)
    seed(courses=10, learners=10)
    teacher = User.objects.create_user("teacher@example.com", "a long enough secret")
    Course.objects.update(teacher=teacher)

    def count(schema: Any, query: str) -> int:
        with queries() as sent:
            result = schema.execute(query)
        assert result.errors is None, result.errors
        return len(sent.statements)

    def title() -> str:
        return Course.objects.get(slug="python").title

    return {"Client": Client, "connection": connection, "count": count, "title": title}


def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Print a warning where the session's output goes."""
    print(f"{category.__name__}: {message}")


if __name__ == "__main__":
    configure()
    warnings.showwarning = show
    if sys.argv[1:] == ["schema"]:
        from lab.graphql_api.graphene_samples import schema

        print(schema)
    else:
        print(rerun(sys.stdin.read(), ready()))
    assert "strawberry" not in sys.modules
