"""What the tests of the chapter on GraphQL share: a way to ask."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.academy.models import User

URL = "/graphql/"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log no refused request: a record would also keep a coroutine that nobody awaits, until another test."""
    monkeypatch.setattr(logging.getLogger("strawberry.execution"), "disabled", True)


@pytest.fixture
def ask(db: None) -> Callable[..., Any]:
    """``ask(query, variables, user)`` posts a query to the lab's view and returns the HTTP response.

    The user is signed in without a session, so that the view's own queries are the only ones that a
    test counts; without a user it is an anonymous request. ``operation`` names one of several
    operations in the text. Further keywords go to ``Client.post``, such as ``headers={"accept": …}``.
    The test client sends no CSRF token and needs none.
    """

    def post(
        query: str,
        variables: dict[str, Any] | None = None,
        user: User | AnonymousUser | None = None,
        *,
        operation: str | None = None,
        **options: Any,
    ) -> Any:
        body: dict[str, Any] = {"query": query}
        if variables is not None:
            body["variables"] = variables
        if operation is not None:
            body["operationName"] = operation
        with mock.patch("django.contrib.auth.middleware.get_user", return_value=user or AnonymousUser()):
            return Client().post(URL, body, content_type="application/json", **options)

    return post
