"""Who may see what: every actor at every door, and every door of the lab without an actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
import pytest
from django.contrib.auth import login
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models.signals import post_migrate
from django.shortcuts import get_object_or_404
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.utils.regex_helper import normalize

from lab.academy.models import Course, Enrollment, Learner, User
from lab.django_app import authorization
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest
    from pytest_django import Settings

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder


class Actors:
    """The academy with a teacher and a registrar, and a browser for each of its people."""

    def __init__(self) -> None:
        self.ama = User.objects.get(email="ama@example.com")
        self.kofi = User.objects.get(email="kofi@example.com")
        self.teacher = User.objects.create_user("teacher@example.com")
        self.enrollment = self.ama.learner.enrollments.select_related("course").earliest("pk")
        self.course = self.enrollment.course
        self.course.teacher = self.teacher
        self.course.save()
        self.registrars = Group.objects.create(name="registrars")
        self.registrars.permissions.add(Permission.objects.get(codename="view_enrollment"))

    def user(self, name: str) -> User | None:
        """Return the user behind a name; nobody has none."""
        if name in {"Ama", "Ama, deactivated"}:
            return self.ama
        if name == "registrar":
            registrar = User.objects.create_user("registrar@example.com")
            registrar.groups.add(self.registrars)
            return registrar
        if name == "superuser":
            return User.objects.create_superuser("root@example.com")
        return {"Kofi": self.kofi, "teacher": self.teacher}.get(name)

    def browser(self, name: str) -> Client:
        """Return a browser in which somebody is signed in."""
        client = Client()
        user = self.user(name)
        if user:
            client.force_login(user)
        if "deactivated" in name:
            User.objects.filter(email="ama@example.com").update(is_active=False)
        return client

    def path(self, page: str) -> str:
        """Return the path of a page: Ama's enrollment, and the course that she takes."""
        known: dict[str, dict[str, Any]] = {
            "enrollment_detail": {"pk": self.enrollment.pk},
            "course_grades": {"slug": self.course.slug},
        }
        return reverse(page, kwargs=known.get(page))


@pytest.fixture
def actors(academy: None) -> Actors:
    return Actors()


# fmt: off
# --8<-- [start:table]
PAGES = ("my_courses", "enrollment_detail", "course_grades", "gradebook", "admin:index")
TABLE = {
    #                   own  Ama's  course  all  admin
    "nobody":           (302, 302, 302, 302, 302),
    "Ama":              (200, 200, 403, 403, 302),
    "Ama, deactivated": (302, 302, 302, 302, 302),
    "Kofi":             (200, 404, 403, 403, 302),
    "teacher":          (200, 404, 200, 403, 302),
    "registrar":        (200, 404, 403, 200, 302),
    "superuser":        (200, 404, 403, 200, 200),
}


@pytest.mark.databases
@pytest.mark.parametrize("name", TABLE)
def test_who_may_see_what(actors: Actors, name: str) -> None:
    browser = actors.browser(name)
    statuses = tuple(browser.get(actors.path(page)).status_code for page in PAGES)
    assert statuses == TABLE[name]
# --8<-- [end:table]
# fmt: on


# --8<-- [start:open]
OPEN = {
    "course_list",
    "course_detail",
    "catalog",
    "login",
    "logout",
    "password_reset",
    "password_reset_done",
    "password_reset_confirm",
    "password_reset_complete",
    "readiness",
    "liveness",
    "admin:login",
    "graphql",  # the schema decides, field by field
}
# --8<-- [end:open]


def routes(
    patterns: list[URLPattern | URLResolver], path: str = "/", namespace: str = ""
) -> Iterator[tuple[str, str, URLPattern]]:
    """Yield the name of each route, a path that leads to it, and its pattern."""
    for pattern in patterns:
        template, names = normalize(pattern.pattern.regex.pattern)[0]
        kinds = {name: type(converter).__name__ for name, converter in pattern.pattern.converters.items()}
        values = {name: SAMPLES.get(kinds.get(name, ""), "academy") for name in names}
        here = path + template % values
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from routes(pattern.url_patterns, here, inner)
        else:
            yield f"{namespace}{pattern.name or here}", here, pattern


SAMPLES = {"IntConverter": "1", "UUIDConverter": "00000000-0000-4000-8000-000000000000"}


# --8<-- [start:walk]
@pytest.mark.django_db
def test_every_other_page_asks_who_you_are(client: Client) -> None:
    found = set()
    for name, path, pattern in routes(get_resolver().url_patterns):
        if hasattr(pattern.callback, "cls"):
            continue  # a view of the REST API, which asks for itself
        assert resolve(path).func is pattern.callback, f"{path} does not lead to {name}"
        response = client.get(path)
        asked = response.status_code == 302 and "login/?next=" in response["Location"]
        if not asked:
            found.add(name)
    assert found == OPEN


# --8<-- [end:walk]


@pytest.mark.databases
def test_the_middleware_asks_who_you_are_on_open_pages_too(actors: Actors) -> None:
    """Since Django 6.0 it looks at the view first, and leaves an open page alone."""
    asks = django.VERSION < (6, 0)
    with queries() as nobody:
        answer = Client().get(reverse("course_list"))
    assert ("Cookie" in answer.get("Vary", "")) == asks
    assert not any("django_session" in statement for statement in nobody.statements)
    browser = actors.browser("Ama")
    with queries() as somebody:
        browser.get(reverse("course_list"))
    assert len(somebody.statements) == len(nobody.statements) + 2 * asks
    if asks:
        assert "django_session" in somebody.statements[0]
        assert "academy_user" in somebody.statements[1]


def test_without_the_middleware_an_open_page_does_not_ask(db: None, settings: Settings, client: Client) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("LoginRequiredMiddleware")]
    assert "Vary" not in client.get(reverse("liveness")).headers


def test_permissions_are_made_after_the_last_migration() -> None:
    assert any("create_permissions" in str(lookup) for lookup, *_ in post_migrate.receivers)


def test_the_walk_reaches_the_admin_and_the_pages() -> None:
    names = [name for name, _, _ in routes(get_resolver().url_patterns)]
    assert {"my_courses", "gradebook", "admin:index", "admin:academy_user_change", "admin:logout"} <= set(names)
    assert len(names) > 50


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_what_a_stranger_gets_on_the_wire(actors: Actors, wire: Callable[..., Exchange], record: Recorder) -> None:
    path = actors.path("enrollment_detail")
    anonymous = wire("GET", path)
    assert anonymous.status == 302
    assert anonymous.headers("Location") == [f"/login/?next={path}"]
    record("authorization_anonymous.http", anonymous.text)
    cookie = actors.browser("Kofi").cookies["sessionid"].value
    kofi = wire("GET", path, {"Cookie": f"sessionid={cookie}"})
    assert kofi.status == 404
    record("authorization_stranger.http", kofi.text)
    # A row that is not there gets the very same answer.
    missing = wire("GET", reverse("enrollment_detail", args=[10**6]), {"Cookie": f"sessionid={cookie}"})
    assert missing.text.partition("\n\n")[2] == kofi.text.partition("\n\n")[2]


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/authorization.py:wrong_enrollment")
def test_without_the_scope_kofi_reads_amas_grade(actors: Actors, rf: Any) -> None:
    Enrollment.objects.filter(pk=actors.enrollment.pk).update(grade=41)
    request = rf.get("/")
    request.user = actors.kofi
    response = authorization.wrong_enrollment(request, actors.enrollment.pk)
    assert response.status_code == 200
    assert "Grade: 41" in response.content.decode()


@pytest.mark.databases("postgresql")
def test_the_recorded_leak(actors: Actors, rf: Any, session: Callable[..., None]) -> None:
    Enrollment.objects.filter(pk=actors.enrollment.pk).update(grade=41)

    def ask(view: Callable[..., Any], user: User, pk: int) -> str:
        request: HttpRequest = rf.get("/")
        request.user = user
        content: str = view(request, pk).content.decode()
        return content[content.index("<p>") : content.index("</p>") + 4]

    session(
        "authorization_leak.pycon",
        ask=ask,
        wrong_enrollment=authorization.wrong_enrollment,
        enrollment_detail=authorization.enrollment_detail,
        ama=actors.ama,
        kofi=actors.kofi,
        pk=actors.enrollment.pk,
    )


@pytest.mark.databases
def test_nobody_reads_a_grade_of_a_learner_without_an_account(actors: Actors, rf: Any) -> None:
    """AnonymousUser.pk is None, and so is the user of such a learner: the view must not compare keys."""
    Learner.objects.filter(user=actors.ama).update(user=None)
    request = rf.get("/")
    request.user = AnonymousUser()
    by_key: dict[str, Any] = {"learner__user_id": AnonymousUser().pk}
    assert Enrollment.objects.filter(**by_key, pk=actors.enrollment.pk).exists()
    with pytest.raises(TypeError):
        authorization.enrollment_detail(request, actors.enrollment.pk)


@pytest.mark.django_db
def test_a_user_without_a_learner_breaks_the_short_form(actors: Actors) -> None:
    with pytest.raises(Learner.DoesNotExist):
        get_object_or_404(actors.teacher.learner.enrollments, pk=actors.enrollment.pk)


@pytest.mark.databases("postgresql")
def test_the_permissions_session(actors: Actors, session: Callable[..., None]) -> None:
    session("authorization_permissions.pycon", Permission=Permission, Group=Group, User=User, kofi=actors.kofi)


@pytest.mark.databases
def test_migrate_makes_four_permissions_for_each_model(db: None) -> None:
    codenames = Permission.objects.filter(content_type__app_label="academy", content_type__model="enrollment")
    assert set(codenames.values_list("codename", flat=True)) == {
        f"{verb}_enrollment" for verb in ("add", "change", "delete", "view")
    }


@pytest.mark.databases
def test_permissions_are_kept_on_the_user_object(actors: Actors) -> None:
    kofi = actors.kofi
    assert not kofi.has_perm("academy.view_enrollment")
    kofi.groups.add(actors.registrars)
    kofi.refresh_from_db()
    assert not kofi.has_perm("academy.view_enrollment")
    assert User.objects.get(pk=kofi.pk).has_perm("academy.view_enrollment")


BACKENDS = ["django.contrib.auth.backends.ModelBackend", "lab.django_app.authorization.TeacherBackend"]


@pytest.mark.databases("postgresql")
def test_the_backend_session(actors: Actors, settings: Settings, session: Callable[..., None]) -> None:
    settings.AUTHENTICATION_BACKENDS = BACKENDS
    elsewhere = Enrollment.objects.exclude(course=actors.course).earliest("pk")
    registrar = actors.user("registrar")
    assert registrar
    registrar.groups.get().permissions.add(Permission.objects.get(codename="change_enrollment"))
    session(
        "authorization_backend.pycon",
        teacher=actors.teacher,
        registrar=registrar,
        theirs=actors.enrollment,
        elsewhere=elsewhere,
    )


@pytest.mark.django_db
def test_with_two_backends_login_must_be_told_which(actors: Actors, settings: Settings, rf: Any) -> None:
    request = rf.post("/")
    request.session = Client().session
    esi = User.objects.create_user("esi-2@example.com")
    login(request, esi)
    settings.AUTHENTICATION_BACKENDS = BACKENDS
    with pytest.raises(ValueError, match="must provide the `backend` argument"):
        login(request, esi)
    login(request, esi, backend=BACKENDS[0])


@pytest.mark.databases
def test_the_backend_lets_only_the_teacher_change_a_grade(actors: Actors, settings: Settings) -> None:
    settings.AUTHENTICATION_BACKENDS = BACKENDS
    theirs = Enrollment.objects.get(pk=actors.enrollment.pk)
    elsewhere = Enrollment.objects.filter(course__teacher=None).earliest("pk")
    may = "academy.change_enrollment"
    assert actors.teacher.has_perm(may, theirs)
    assert not actors.teacher.has_perm("academy.delete_enrollment", theirs)
    assert not actors.teacher.has_perm(may, elsewhere)
    assert not actors.teacher.has_perm(may)
    assert not actors.teacher.has_perm(may, actors.course), "a course is no enrollment"
    assert not actors.kofi.has_perm(may, theirs)
    # A course without a teacher is nobody's, although nobody's key is None as well.
    assert not AnonymousUser().has_perm(may, elsewhere)
    root = actors.user("superuser")
    assert root
    assert root.has_perm(may, elsewhere)
    actors.teacher.is_active = root.is_active = False
    assert not actors.teacher.has_perm(may, theirs)
    assert not root.has_perm(may, elsewhere)


@pytest.mark.django_db
def test_permission_required_sends_signed_in_users_to_the_login_page(actors: Actors, rf: Any) -> None:
    request = rf.get("/grades/")
    request.user = actors.kofi
    view = permission_required("academy.view_enrollment")(authorization.gradebook)
    assert view(request)["Location"] == "/login/?next=/grades/"
    with pytest.raises(PermissionDenied):
        authorization.gradebook(request)


@pytest.mark.databases
def test_the_link_to_all_grades_is_there_for_whoever_may_follow_it(actors: Actors) -> None:
    for name in ("Ama", "teacher", "registrar", "superuser"):
        browser = actors.browser(name)
        page = browser.get(reverse("my_courses")).content.decode()
        follows = browser.get(reverse("gradebook")).status_code == 200
        assert ("All grades" in page) == follows == (name in {"registrar", "superuser"}), name


@pytest.mark.databases
def test_pages_show_only_what_they_are_about(actors: Actors) -> None:
    own = actors.browser("Ama").get(reverse("my_courses")).content.decode()
    mine = set(actors.ama.learner.enrollments.values_list("pk", flat=True))
    others = set(Enrollment.objects.values_list("pk", flat=True)) - mine
    assert all(f'"{reverse("enrollment_detail", args=[pk])}"' in own for pk in mine)
    assert not any(f'"{reverse("enrollment_detail", args=[pk])}"' in own for pk in others)
    grades = actors.browser("teacher").get(actors.path("course_grades")).content.decode()
    assert grades.count("<li>") == actors.course.enrollments.count()
    assert "None yet" in actors.browser("teacher").get(reverse("my_courses")).content.decode()
    everything = actors.browser("registrar").get(reverse("gradebook")).content.decode()
    assert everything.count("<li>") == Enrollment.objects.count()


@pytest.mark.django_db
def test_a_test_on_the_object_fetches_it_twice(actors: Actors) -> None:
    browser = actors.browser("teacher")
    with queries() as sent:
        browser.get(actors.path("course_grades"))
    for table in ("course", "enrollment", "learner"):
        assert sum(f'FROM "academy_{table}" WHERE' in statement for statement in sent.statements) == 2


@pytest.mark.databases
def test_403_tells_kofi_which_drafts_exist_and_a_queryset_does_not(
    actors: Actors, monkeypatch: pytest.MonkeyPatch
) -> None:
    Course.objects.filter(pk=actors.course.pk).update(published=False)
    kofi = actors.browser("Kofi")
    grades = actors.path("course_grades")
    assert kofi.get(reverse("course_detail", args=[actors.course.slug])).status_code == 404
    assert kofi.get(grades).status_code == 403
    assert kofi.get(reverse("course_grades", args=["no-such-course"])).status_code == 404
    monkeypatch.setattr(authorization.CourseGrades, "test_func", lambda _: True)
    monkeypatch.setattr(
        authorization.CourseGrades, "get_queryset", lambda view: Course.objects.filter(teacher=view.request.user)
    )
    assert kofi.get(grades).status_code == 404
    teacher = actors.browser("teacher")
    with queries() as sent:
        assert teacher.get(grades).status_code == 200
    assert sum("academy_course" in statement and "slug" in statement for statement in sent.statements) == 1


@pytest.mark.django_db
def test_staff_with_a_permission_sees_every_row_in_the_admin(actors: Actors) -> None:
    actors.kofi.is_staff = True
    actors.kofi.save()
    actors.kofi.groups.add(actors.registrars)
    page = actors.browser("Kofi").get(reverse("admin:academy_enrollment_changelist"))
    assert page.status_code == 200
    assert page.context["cl"].result_count == Enrollment.objects.count()
