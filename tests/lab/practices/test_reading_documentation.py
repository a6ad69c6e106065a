"""Three questions, answered by the installed source, a search in it, and the history."""

from __future__ import annotations

import inspect
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, connection
from django.db.models import QuerySet
from django.db.transaction import TransactionManagementError, atomic

from lab.academy.models import Course, Learner
from lab.practices.reading_documentation import wrong_reserve
from scripts.pages import ROOT
from tests.lab.marks import recorded_on_5_2
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder


@recorded_on_5_2("the source of another release")
def test_what_get_or_create_does(session: Callable[..., None]) -> None:
    session("reading_get_or_create.pycon", QuerySet=QuerySet)


def test_another_writer_between_the_two_steps(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `INSERT` meets a row that another request has stored since the `SELECT`."""
    real = QuerySet._extract_model_params  # type: ignore[attr-defined]  # between the two, outside the savepoint

    def other_request_first(self: QuerySet[Any], *args: Any, **values: Any) -> Any:
        Learner.objects.create(name="Faster", email="new@example.com")
        return real(self, *args, **values)

    monkeypatch.setattr(QuerySet, "_extract_model_params", other_request_first)
    learner, made = Learner.objects.get_or_create(email="new@example.com", defaults={"name": "New"})
    assert (learner.name, made) == ("Faster", False)


def test_what_it_raises_again(academy: None) -> None:
    """What the constraint refuses is not found by the second `get`: the error of the database comes through."""
    with pytest.raises(IntegrityError), atomic():
        Learner.objects.get_or_create(name="Nobody", defaults={"email": "ama@example.com"})


@recorded_on_5_2("the source of another release")
def test_where_the_message_comes_from(shell: Callable[..., None]) -> None:
    shell("reading_lock.console")


@pytest.mark.wrong("lab/practices/reading_documentation.py:wrong_reserve")
@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_lock_outside_a_transaction(database: str, academy: None, record: Recorder) -> None:
    if database == "sqlite":
        assert not connection.features.has_select_for_update
        with queries() as sent:
            assert wrong_reserve("python").slug == "python"
        assert "FOR UPDATE" not in sent.text
    else:
        with pytest.raises(TransactionManagementError) as caught:
            wrong_reserve("python")
        record("reading_lock.txt", f"{type(caught.value).__name__}: {caught.value}")
        with atomic(), queries() as sent:
            wrong_reserve("python")
        assert "FOR UPDATE" in sent.text
    assert Course.objects.filter(slug="python").exists()


def test_why_the_rule_has_a_module(shell: Callable[..., None]) -> None:
    git = subprocess.run(
        ["git", "rev-parse", "--absolute-git-dir", "--is-shallow-repository"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode:
        pytest.skip("this copy has no history")
    folder, shallow = git.stdout.split()
    if shallow == "true":
        pytest.skip("the history of this copy is cut off")
    shell("reading_history.console", GIT_DIR=folder, GIT_WORK_TREE=str(ROOT))


def test_the_docstring_alone_answers_less() -> None:
    said = inspect.getdoc(QuerySet.get_or_create) or ""
    assert "IntegrityError" not in said
    assert "IntegrityError" in inspect.getsource(QuerySet.get_or_create)
