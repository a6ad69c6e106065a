"""What the page on releases says: what each release needs, what it brings, and what an old line does on it."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import warnings
from datetime import datetime
from importlib import metadata
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import Settings, global_settings, settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.mail import send_mail
from django.core.management import get_commands
from django.core.serializers import serialize
from django.core.signing import BadSignature, get_cookie_signer
from django.db import NotSupportedError, connection, models, transaction
from django.db.backends.mysql.features import DatabaseFeatures
from django.db.models.signals import post_delete
from django.forms import modelform_factory
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils import deprecation
from django.utils.module_loading import import_string

from lab.academy.models import Course, Enrollment, Lesson
from tests.recording.shell import run
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from django.core.mail import EmailMessage
    from django.http import HttpRequest

    from tests.recording.files import Recorder

BASELINE = django.VERSION < (6,)
MODULE = "lab.django_app.session"  # models that a session defines belong to this app
SERVERS = {
    "5.2": {"sqlite": (3, 31), "postgresql": (14,), "mariadb": (10, 5), "mysql": (8, 0, 11)},
    "6.1": {"sqlite": (3, 37), "postgresql": (15,), "mariadb": (10, 11), "mysql": (8, 4)},
}
PYTHONS = {"5.2": ["3.10", "3.11", "3.12", "3.13", "3.14"], "6.1": ["3.12", "3.13", "3.14", "3.15"]}

on_baseline = pytest.mark.skipif(not BASELINE, reason="shows what Django 5.2 does with lines that 6.x refuses")
on_current = pytest.mark.skipif(django.VERSION < (6, 1), reason="shows what Django 6.1 brings: make next")


def release() -> str:
    """Return the release that the tests run on, without its patch number."""
    return ".".join(map(str, django.VERSION[:2]))


@pytest.fixture
def own_models(database: str, db: None) -> Iterator[None]:
    """Models that a test defines are known to nobody else."""
    with isolate_apps("lab.django_app"):
        yield


@pytest.fixture
def receivers() -> Iterator[None]:
    """Whatever a session connects to ``post_delete`` is gone after it."""
    before = list(post_delete.receivers)
    yield
    post_delete.receivers[:] = before
    post_delete.sender_receivers_cache.clear()


@pytest.mark.services
@on_current
def test_the_stamp_of_the_current_release(stamp: Callable[..., None]) -> None:
    stamp("releases_versions.md", "Django")


@pytest.mark.databases
def test_oldest_database_servers(database: str, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.features.minimum_database_version == SERVERS[release()][database]
    monkeypatch.setattr(connection.features, "minimum_database_version", (99,))
    monkeypatch.setattr("django.db.backends.base.base.RAN_DB_VERSION_CHECK", set())
    with pytest.raises(NotSupportedError, match="99 or later is required"):
        connection.init_connection_state()  # what a new connection begins with
    mysql = SimpleNamespace(connection=SimpleNamespace(mysql_is_mariadb=False))
    assert vars(DatabaseFeatures)["minimum_database_version"].func(mysql) == SERVERS[release()]["mysql"]


def test_python_versions() -> None:
    listed = metadata.metadata("django").get_all("Classifier") or []
    found = [name.rpartition(" ")[2] for name in listed if name.startswith("Programming Language :: Python :: 3.")]
    assert found == PYTHONS[release()]


@pytest.mark.databases("postgresql")
def test_lines_that_5_2_and_6_1_both_refuse(own_models: None, session: Callable[..., None]) -> None:
    session(
        "releases_removed.pycon",
        __name__=MODULE,
        datetime=datetime,
        models=models,
        override_settings=override_settings,
        storages=storages,
    )


@pytest.mark.django_db
def test_no_check_mentions_a_removed_setting() -> None:
    with override_settings(STATICFILES_STORAGE="no.such.Storage"):
        assert not any("STATICFILES_STORAGE" in message.msg for message in run_checks(include_deployment_checks=True))


OLD = {"models": models, "ArrayAgg": ArrayAgg, "Course": Course}


@on_baseline
def test_old_lines_on_the_baseline(session: Callable[..., None]) -> None:
    session("releases_old.pycon", **OLD)


@on_current
def test_old_lines_on_the_current_release(session: Callable[..., None]) -> None:
    session("releases_old_next.pycon", **OLD)


def titles_sent() -> str:
    """Return the SQL of an aggregate that still says ``ordering``, where that is no longer a parameter."""
    with queries() as sent, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Course.objects.aggregate(titles=ArrayAgg("title", ordering="-title"))
    return sent.text


@on_baseline
@pytest.mark.databases("postgresql")
def test_ordering_works_on_the_baseline(academy: None, record: Recorder) -> None:
    record("releases_ordering.sql", titles_sent())


@on_current
@pytest.mark.databases("postgresql")
def test_ordering_is_lost_on_the_current_release(academy: None, record: Recorder) -> None:
    record("releases_ordering_next.sql", titles_sent())


@on_baseline
@pytest.mark.slow
def test_warnings_are_silent_unless_asked_for(shell: Callable[..., None]) -> None:
    shell("releases_warnings.console")


def test_the_classes_of_warnings() -> None:
    names = [name for name in vars(deprecation) if name.startswith("RemovedInDjango")]
    kinds = {name: getattr(deprecation, name).__base__ for name in names}
    if BASELINE:
        assert kinds == {
            "RemovedInDjango60Warning": DeprecationWarning,
            "RemovedInDjango61Warning": PendingDeprecationWarning,
        }
    else:
        assert set(kinds.values()) == {PendingDeprecationWarning}
    assert not issubclass(PendingDeprecationWarning, DeprecationWarning)


@pytest.mark.databases("postgresql")
def test_a_composite_primary_key(own_models: None, session: Callable[..., None]) -> None:
    session("releases_composite.pycon", __name__=MODULE, admin=admin, connection=connection, models=models)


@on_current
@pytest.mark.databases("postgresql")
def test_tasks_run_in_the_request(db: None, session: Callable[..., None]) -> None:
    session("releases_tasks.pycon", override_settings=override_settings, transaction=transaction)


@on_current
def test_django_has_no_worker() -> None:
    own = [name for name, app in get_commands().items() if app == "django.core"]
    assert own
    assert not [name for name in own if "task" in name or "work" in name]
    base = import_string("django.tasks.backends.base.BaseTaskBackend")
    for name in ("dummy.DummyBackend", "immediate.ImmediateBackend"):
        assert issubclass(import_string(f"django.tasks.backends.{name}"), base)


@on_current
def test_the_dummy_backend_never_runs_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    module: Any = ModuleType("reminders")
    exec("def remind(name):\n    calls.append(name)\n", vars(module) | {"calls": calls}, vars(module))  # noqa: S102
    monkeypatch.setitem(sys.modules, "reminders", module)
    module.remind.__module__ = "reminders"
    module.remind = import_string("django.tasks.task")(module.remind)
    with override_settings(TASKS={"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}):
        assert module.remind.enqueue("Ama").status == "READY"
    assert not calls
    module.remind.enqueue("Ama")
    assert calls == ["Ama"]
    with pytest.raises(TypeError, match="Unsupported type"):
        module.remind.enqueue(Course(title="Databases"))


@on_current
@pytest.mark.databases("postgresql")
def test_a_content_security_policy(academy: None, session: Callable[..., None]) -> None:
    session("releases_csp.pycon", Client=Client, override_settings=override_settings, settings=settings)


@on_current
def test_the_nonce_is_sent_when_a_template_used_it() -> None:
    nonce = import_string("django.middleware.csp.get_nonce")
    used = []

    def view(request: HttpRequest) -> HttpResponse:
        used.append(str(nonce(request)))
        return HttpResponse()

    middleware = import_string("django.middleware.csp.ContentSecurityPolicyMiddleware")(view)
    with override_settings(SECURE_CSP={"script-src": [import_string("django.utils.csp.CSP").NONCE]}):
        response = middleware(RequestFactory().get("/"))
    assert response.headers["Content-Security-Policy"] == f"script-src 'nonce-{used[0]}'"


@on_current
@pytest.mark.databases("postgresql")
def test_template_partials(academy: None, session: Callable[..., None]) -> None:
    session("releases_partials.pycon", Context=Context, Course=Course, Engine=Engine)


@on_current
@pytest.mark.parametrize(("inline", "shown"), [("inline", "<b>Databases</b>"), ("", "")])
def test_an_inline_partial_shows_in_place(inline: str, shown: str) -> None:
    page = f"{{% partialdef row {inline} %}}<b>{{{{ title }}}}</b>{{% endpartialdef %}}"
    assert Engine().from_string(page).render(Context({"title": "Databases"})) == shown


@on_current
@pytest.mark.databases("postgresql")
def test_fetch_modes(academy: None, session: Callable[..., None]) -> None:
    session(
        "releases_fetch.pycon",
        CaptureQueriesContext=CaptureQueriesContext,
        Course=Course,
        Enrollment=Enrollment,
        connection=connection,
        models=models,
    )


@on_current
@pytest.mark.databases("postgresql")
def test_db_cascade(own_models: None, receivers: None, session: Callable[..., None]) -> None:
    session(
        "releases_db_cascade.pycon",
        __name__=MODULE,
        CaptureQueriesContext=CaptureQueriesContext,
        connection=connection,
        models=models,
        post_delete=post_delete,
    )


@on_current
@pytest.mark.databases
def test_every_database_cascades(database: str, transactional_db: None) -> None:
    with isolate_apps("lab.django_app"):

        class Topic(models.Model):
            class Meta:
                app_label = "django_app"

        class Reply(models.Model):
            topic = models.ForeignKey(Topic, getattr(models, "DB_CASCADE"))  # noqa: B009

            class Meta:
                app_label = "django_app"

        with connection.schema_editor() as editor:
            editor.create_model(Topic)
            editor.create_model(Reply)
        try:
            topic = Topic._default_manager.create()
            Reply._default_manager.create(topic=topic)
            with CaptureQueriesContext(connection) as sent:
                assert topic.delete()[0] == 1
            assert [query["sql"].split()[0] for query in sent.captured_queries] == ["DELETE"]
            assert not Reply._default_manager.exists()
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(Reply)
                editor.delete_model(Topic)


@pytest.mark.databases("postgresql")
def test_cascade_asks_for_the_rows_and_sends_their_signals(own_models: None, receivers: None) -> None:
    class Topic(models.Model):
        class Meta:
            app_label = "django_app"

    class Reply(models.Model):
        topic = models.ForeignKey(Topic, models.CASCADE)

        class Meta:
            app_label = "django_app"

    with connection.schema_editor() as editor:
        editor.create_model(Topic)
        editor.create_model(Reply)
    topic = Topic._default_manager.create()
    for _ in range(2):
        Reply._default_manager.create(topic=topic)
    gone = []

    def report(sender: type[models.Model], **signal: Any) -> None:
        gone.append(sender)

    post_delete.connect(report)
    with CaptureQueriesContext(connection) as sent:
        assert topic.delete()[0] == 3
    assert [query["sql"].split()[0] for query in sent.captured_queries] == ["SELECT", "DELETE", "DELETE"]
    assert gone == [Reply, Reply, Topic]


@on_current
def test_a_model_does_not_mix_both_kinds_of_cascade() -> None:
    with isolate_apps("lab.django_app"):

        class Topic(models.Model):
            class Meta:
                app_label = "django_app"

        class Reply(models.Model):
            topic = models.ForeignKey(Topic, models.CASCADE, related_name="+")
            parent = models.ForeignKey(Topic, getattr(models, "DB_CASCADE"), related_name="+")  # noqa: B009

            class Meta:
                app_label = "django_app"

        assert {error.id for error in Reply.check()} == {"models.E050"}


@on_current
@pytest.mark.databases("postgresql")
def test_mailers(db: None, session: Callable[..., None]) -> None:
    session("releases_mailers.pycon", override_settings=override_settings, send_mail=send_mail)


@on_baseline
def test_the_baseline_ignores_mailers(mailoutbox: list[EmailMessage]) -> None:
    with override_settings(MAILERS={"default": {"BACKEND": "no.such.Backend"}}):
        assert send_mail("Receipt", "Thank you.", "bills@academy.example", ["ama@academy.example"]) == 1
    assert len(mailoutbox) == 1


@on_current
def test_mailers_and_the_old_settings_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    both: Any = ModuleType("both")
    both.EMAIL_HOST, both.MAILERS, both.SECRET_KEY = "mail.academy.example", {"default": {}}, "x" * 50
    monkeypatch.setitem(sys.modules, "both", both)
    with pytest.raises(ImproperlyConfigured, match="not allowed when MAILERS is"):
        Settings("both")
    del both.MAILERS
    with pytest.warns(PendingDeprecationWarning, match="EMAIL_HOST"):
        Settings("both")


@on_current
@pytest.mark.databases
@pytest.mark.parametrize("number", [4, 7])
def test_uuids_made_by_the_database(database: str, academy: None, number: int) -> None:
    made = import_string(f"django.db.models.functions.UUID{number}")
    courses = Course.objects.annotate(token=made())
    if getattr(connection.features, f"supports_uuid{number}_function"):
        assert courses[0].token.version == number
        earlier, later = (courses.get(slug="databases").token for _ in range(2))
        assert number == 4 or earlier < later
    else:
        with pytest.raises(NotSupportedError, match=r"requires .* or later"):
            courses.get(slug="databases")
    assert connection.features.minimum_database_version
    expected = {"sqlite": number == 4 or sys.version_info >= (3, 14), "mariadb": False}
    if database in expected and connection.get_database_version() < (11, 7):
        assert getattr(connection.features, f"supports_uuid{number}_function") == expected[database]


@on_current
@pytest.mark.databases("sqlite", "postgresql")
def test_uuids_of_rows_that_other_programs_insert(database: str, transactional_db: None) -> None:
    with isolate_apps("lab.django_app"):

        class Token(models.Model):
            value = models.UUIDField(db_default=import_string("django.db.models.functions.UUID4")())
            name = models.CharField(max_length=20)

            class Meta:
                app_label = "django_app"

    insert = "INSERT INTO django_app_token (name) VALUES ('Ama')"
    if database == "sqlite":
        with connection.schema_editor(collect_sql=True) as editor:
            editor.create_model(Token)
        with contextlib.closing(sqlite3.connect(":memory:")) as other:
            other.executescript("\n".join(map(str, editor.collected_sql)))
            with pytest.raises(sqlite3.OperationalError, match="unknown function: UUIDV4"):
                other.execute(insert)
        return
    with connection.schema_editor() as editor:
        editor.create_model(Token)
    try:
        with connection.cursor() as cursor:
            cursor.execute(insert)
        assert Token._default_manager.get().value.version == 4
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Token)


@override_settings(DEFAULT_AUTO_FIELD=global_settings.DEFAULT_AUTO_FIELD)
def test_the_primary_key_of_a_project_that_sets_none() -> None:
    with isolate_apps("lab.django_app"):

        class Token(models.Model):
            class Meta:
                app_label = "django_app"

    assert type(Token._meta.pk) is (models.AutoField if BASELINE else models.BigAutoField)


def test_signed_cookies_of_old_releases() -> None:
    request = RequestFactory().get("/")
    request.COOKIES["theme"] = get_cookie_signer(salt="theme").sign("dark")  # as before 5.2.15
    if BASELINE:
        assert request.get_signed_cookie("theme") == "dark"
    else:
        with pytest.raises(BadSignature):
            request.get_signed_cookie("theme")


def test_the_empty_choice(academy: None) -> None:
    form = modelform_factory(Lesson, fields=["course"])()
    label = "---------" if BASELINE else "- Select an option -"
    assert f'<option value="" selected>{label}</option>' in str(form)


def test_open_views_and_the_user(db: None) -> None:
    user = get_user_model().objects.create_user("ama@academy.example")
    client = Client()
    client.force_login(user)
    with CaptureQueriesContext(connection) as sent:
        response = client.get("/health/alive/")
    asked = [query["sql"] for query in sent.captured_queries]
    assert response.status_code == 200
    assert (len(asked), response.headers.get("Vary")) == ((2, "Cookie") if BASELINE else (0, None))


def test_json_ends_with_a_line() -> None:
    assert serialize("json", []).endswith("\n") != BASELINE


def test_rounds_of_pbkdf2(real_hashers: None, db: None) -> None:
    rounds = 1_000_000 if BASELINE else 1_500_000
    hasher = PBKDF2PasswordHasher()
    assert hasher.iterations == rounds
    user = get_user_model().objects.create_user("ama@academy.example")
    user.password = hasher.encode("seven quiet rivers", "salt", iterations=1_000_000)
    assert user.check_password("seven quiet rivers")
    assert user.password.split("$")[1] == str(rounds)


@pytest.mark.slow
def test_check_deploy_of_a_fresh_project(tmp_path: Path) -> None:
    (done, _), (check, status) = run(
        ["django-admin startproject config .", "python manage.py check --deploy 2>&1"], tmp_path
    )
    assert not done
    assert ("mail.E001" in check, status) == ((False, 0) if BASELINE else (True, 1))
