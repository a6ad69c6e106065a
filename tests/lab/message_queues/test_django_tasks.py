"""Django's own tasks, which are part of Django since 6.0: make next runs these tests there."""

from __future__ import annotations

import datetime
import shutil
import sys
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.core.management import get_commands
from django.test import override_settings
from django.utils.module_loading import import_string

from lab.academy.models import Enrollment
from lab.celery import app
from scripts.pages import ROOT
from tests.lab.message_queues.brokers import settings, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Session = Callable[..., None]

FOLDER = ROOT / "lab/message_queues/django_tasks"
FILES = [FOLDER / name for name in ("letters.txt", "backend.txt", "settings.txt")]
on_current = pytest.mark.skipif(django.VERSION < (6, 1), reason="shows what Django 6.1 brings: make next")


def backend(name: str) -> override_settings:
    """Use a backend for tasks."""
    return override_settings(TASKS={"default": {"BACKEND": name}})


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which the quoted files are modules of Python."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for file in FILES:
        shutil.copy(file, folder / f"{file.stem}.py")
    monkeypatch.syspath_prepend(folder)
    yield folder
    for file in FILES:
        sys.modules.pop(file.stem, None)


def test_the_files_are_python() -> None:
    for file in FILES:
        compile(file.read_text(encoding="utf-8"), file.name, "exec")


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="says what Django 5.2 lacks")
def test_5_2_has_no_tasks() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'django\.tasks'"):
        import_string("django.tasks.task")


@on_current
def test_there_is_no_worker() -> None:
    assert not [name for name, app in get_commands().items() if app == "django.core" and "task" in name]


@on_current
@pytest.mark.databases("postgresql")
def test_the_immediate_backend_works_at_once(academy: None, modules: Path, session: Session) -> None:
    Enrollment.objects.filter(pk=1).update(grade=71)
    session("django_tasks_immediate.pycon")
    names: dict[str, Any] = {"Enrollment": Enrollment, "grade_letter": import_string("letters.grade_letter")}
    tomorrow = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
    session("django_tasks_limits.pycon", sent=names["grade_letter"].enqueue(1), tomorrow=tomorrow, **names)


@on_current
def test_the_dummy_backend_keeps_a_list(academy: None, modules: Path, session: Session) -> None:
    with backend("django.tasks.backends.dummy.DummyBackend"):
        session("django_tasks_dummy.pycon", grade_letter=import_string("letters.grade_letter"))


@on_current
@pytest.mark.services
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_worker_of_celery_does_the_work(
    academy: None, broker: str, worker: Callable[..., Any], modules: Path, session: Session
) -> None:
    Enrollment.objects.filter(pk=1).update(grade=71)
    with override_settings(TASKS=import_string("settings.TASKS")):
        letter = import_string("letters.grade_letter")
        refuses_what_it_does_not_pass_on(letter)
        tomorrow = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
        assert letter.using(run_after=tomorrow).enqueue(1).id == taken(eta=tomorrow.isoformat())
        assert waiting(broker) == 0
        with worker("backend", **settings(broker), PYTHONPATH=str(modules)) as running:
            session("django_tasks_celery.pycon", grade_letter=letter)
            assert running.says("you have 71")


def refuses_what_it_does_not_pass_on(letter: Any) -> None:
    """Let the backend refuse an object, another queue and a priority."""
    with pytest.raises(TypeError, match="Unsupported type"):
        letter.enqueue(Enrollment.objects.get(pk=1))
    for options in ({"queue_name": "other"}, {"priority": 5}):
        with pytest.raises(import_string("django.tasks.exceptions.InvalidTask")):
            letter.using(**options)


def taken(eta: str) -> str:
    """Take the message out of the queue that waits for this time; return the id of its task."""
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue(app.amqp.queues[app.conf.task_default_queue]).get(timeout=5)
        message.ack()
    assert message.headers["eta"] == eta
    assert message.payload[0] == ["letters.grade_letter", [1], {}]
    return str(message.headers["id"])
