"""A whole application: how it starts, where its settings come from, where its rules live."""

from __future__ import annotations

import logging.config
import os
import subprocess
import sys
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.files.storage import storages
from django.core.management import call_command
from django.templatetags.static import static

from lab.academy.models import Course, User
from lab.django_app.application import wrong_debug
from scripts.pages import ROOT
from tests.lab.production import PRODUCTION, kept, production

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.test import Client
    from pytest_django import Settings

    from tests.recording.files import Recorder


@pytest.fixture
def lab_here(tmp_path: Path) -> None:
    """A folder in which ``lab/`` is the lab."""
    (tmp_path / "lab").symlink_to(ROOT / "lab")


@pytest.mark.slow
def test_a_project_from_nothing(shell: Callable[..., None]) -> None:
    shell("application_start.console")


@pytest.mark.slow
def test_one_line_for_what_is_wrong(lab_here: None, shell: Callable[..., None]) -> None:
    shell("application_settings.console")


@pytest.mark.slow
def test_help_works_without_the_settings_and_says_why(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "lab/manage.py"), "help"]
    run = subprocess.run(command, cwd=tmp_path, env=kept(), capture_output=True, text=True, check=True)
    assert "runserver" in run.stdout
    assert "SECRET_KEY is not set" in run.stdout


@pytest.mark.slow
def test_gunicorn_starts_a_worker_that_exits_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "stops.py").write_text('import sys\n\nsys.exit("SECRET_KEY is not set.")\n', encoding="utf-8")
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "stops", "--bind", "127.0.0.1:0"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},  # Gunicorn keeps a socket there
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    try:
        starts = [line for line in islice(server.stderr, 200) if "Booting worker" in line]
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert len(starts) > 5


@pytest.mark.slow
def test_seeding_from_the_command_line(lab_here: None, shell: Callable[..., None]) -> None:
    shell("application_seed.console")


@pytest.mark.wrong("lab/django_app/application.py:wrong_debug")
def test_the_text_false_is_true() -> None:
    assert wrong_debug({"DEBUG": "False"}) is True
    assert wrong_debug({"DEBUG": "0"}) is True
    assert wrong_debug({}) is False


def test_the_lab_reads_the_text_false_as_false(monkeypatch: pytest.MonkeyPatch) -> None:
    assert production(monkeypatch)["DEBUG"] is False
    assert production(monkeypatch, DEBUG="False")["DEBUG"] is False
    assert production(monkeypatch, DEBUG="true")["DEBUG"] is True


def test_static_files_get_a_name_by_their_content(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, session: Callable[..., None]
) -> None:
    sources, collected = tmp_path / "sources", tmp_path / "collected"
    sources.mkdir()
    settings.STATICFILES_DIRS = [sources]
    settings.STATIC_ROOT = collected
    settings.STORAGES = production(monkeypatch)["STORAGES"]
    session("application_static.pycon", sources=sources, collected=collected, call_command=call_command, static=static)


def test_the_name_changes_with_the_content(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.STATICFILES_DIRS = [tmp_path / "sources"]
    settings.STORAGES = production(monkeypatch)["STORAGES"]
    (tmp_path / "sources").mkdir()
    names: set[str] = set()
    for text in ("h1 {}", "h2 {}", "h1 {}"):
        (tmp_path / "sources/site.css").write_text(text, encoding="utf-8")
        settings.STATIC_ROOT = tmp_path / f"collected-{len(names)}-{text[1]}"
        call_command("collectstatic", verbosity=0, interactive=False)
        names.add(static("site.css"))
    assert len(names) == 2


def test_the_old_name_of_the_setting_does_nothing(settings: Settings) -> None:
    name = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STATICFILES_STORAGE = name
    assert type(storages.create_storage(settings.STORAGES["staticfiles"])).__name__ == "StaticFilesStorage"
    assert static("no-such-file.css") == "/static/no-such-file.css"


def test_a_log_line(db: None, client: Client, settings: Settings, record: Recorder, time_machine: Any) -> None:
    time_machine.move_to("2026-11-23T09:00Z", tick=False)
    written = StringIO()
    logging.config.dictConfig(settings.LOGGING)
    [handler] = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
    former = handler.stream
    handler.setStream(written)
    try:
        client.get("/courses/pottery/")
    finally:
        handler.setStream(former)
        logging.getLogger().removeHandler(handler)
    record("application_log.txt", written.getvalue())


REQUEST = """
from django.test import Client
headers = {"host": "academy.example", "x-forwarded-proto": "https"}
answer = Client(raise_request_exception=False).get("/courses/pottery/", headers=headers)
assert answer.status_code == 500
"""
FAILED = "Internal Server Error: /courses/pottery/"


def logged(folder: Path, **variables: str) -> str:
    """Return what a process whose database has no tables writes to standard error when a page asks it."""
    database = {"DATABASE_URL": f"sqlite:///{folder}/log.sqlite3"}
    return subprocess.run(
        [sys.executable, "lab/manage.py", "shell", "-c", REQUEST],
        cwd=ROOT,
        env={**kept(), **PRODUCTION, **database, "BEHIND_PROXY": "true", **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stderr


@pytest.mark.slow
@pytest.mark.parametrize("debug", ["true", "false"])
def test_a_line_is_logged_once(debug: str, tmp_path: Path) -> None:
    assert logged(tmp_path, DEBUG=debug).count(FAILED) == 1


@pytest.mark.slow
def test_without_logging_production_is_silent(tmp_path: Path) -> None:
    settings = "from lab.settings import *\nLOGGING = {}\n"
    (tmp_path / "silent.py").write_text(settings, encoding="utf-8")
    silent = {"DJANGO_SETTINGS_MODULE": "silent", "PYTHONPATH": str(tmp_path)}
    assert logged(tmp_path, DEBUG="false", **silent) == ""
    assert FAILED in logged(tmp_path, DEBUG="true", **silent)


def test_every_app_of_the_lab_has_a_label_of_its_own() -> None:
    ours = {config.name: config.label for config in apps.get_app_configs() if config.name.startswith("lab.")}
    assert ours["lab.academy"] == "academy"
    assert Course._meta.db_table == "academy_course"


@pytest.mark.django_db
def test_staff_change_a_course_with_its_lessons(academy: None, client: Client) -> None:
    course = Course.objects.filter(published=True)[0]
    page = f"/admin/academy/course/{course.pk}/change/"
    client.force_login(User.objects.create_user("visitor@example.com"))
    assert client.get(page).status_code == 302, "somebody who is not staff is sent to sign in"
    client.force_login(User.objects.create_superuser("staff@example.com"))
    shown = client.get(page).content.decode()
    assert all(lesson.title in shown for lesson in course.lessons.all())
    assert "searchbar" in client.get("/admin/academy/course/?published__exact=1&q=data").content.decode()


@pytest.mark.django_db
def test_the_admin_gives_no_seat(academy: None, client: Client) -> None:
    full = Course.objects.filter(published=True, learners__isnull=False)[0]
    full.seats = full.enrollments.count()
    full.save()
    late = full.learners.model.objects.exclude(courses=full)[0]
    client.force_login(User.objects.create_superuser("staff@example.com"))
    sent = {"learner": late.pk, "course": full.pk, "enrolled_on": "2026-11-23", "grade": ""}
    assert client.post("/admin/academy/enrollment/add/", sent).status_code == 403
    assert full.enrollments.count() == full.seats
