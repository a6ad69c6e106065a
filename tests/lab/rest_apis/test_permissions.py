"""Who may do what through the API, which doors stand open, and when a permission is asked at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.utils.regex_helper import normalize
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.settings import DEFAULTS
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken

from lab.academy.models import Course, Enrollment, Learner, User
from lab.academy.visibility import visible_enrollments
from lab.rest_apis import permissions
from lab.urls import urlpatterns as lab_urlpatterns
from tests.lab.marks import recorded_on_5_2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]

SAMPLES = pytest.mark.urls("lab.rest_apis.permission_samples")


class OpenView(APIView):
    """A view as DRF makes it when nobody has changed the settings."""

    permission_classes = (AllowAny,)

    def get(self, _: Any) -> Response:
        """Return the number of enrollments."""
        return Response(Enrollment.objects.count())


urlpatterns = [*lab_urlpatterns, path("report/", OpenView.as_view(), name="report")]


@pytest.fixture
def theirs(people: People) -> Enrollment:
    """Ama's enrollment in the course of the teacher, with a grade that is nobody else's business."""
    enrollment = people.ama.learner.enrollments.get(course=people.python)
    enrollment.grade = 41
    enrollment.save()
    return enrollment


# Closed unless opened

# --8<-- [start:open]
OPEN = {
    ("GET", "v1:course-list"),
    ("GET", "v1:course-detail"),
    ("GET", "v1:lesson-list"),
    ("GET", "v1:lesson-detail"),
    ("GET", "v1:schema"),
    ("POST", "v1:token"),
    ("POST", "v1:token_refresh"),
    ("POST", "v1:token_revoke"),
}
# --8<-- [end:open]

VALUES = {"slug": "python", "course_slug": "python", "position": "1", "pk": "1"}


def routes(patterns: list[URLPattern | URLResolver], path: str = "/", namespace: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name of each view of the REST API, and a path that leads to a thing that is there."""
    for pattern in patterns:
        template, names = normalize(pattern.pattern.regex.pattern)[0]
        if isinstance(pattern, URLResolver):
            if pattern.app_name != "admin":
                here = path + template % {name: VALUES[name] for name in names}
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from routes(pattern.url_patterns, here, inner)
        elif hasattr(pattern.callback, "cls"):
            yield f"{namespace}{pattern.name}", path + template % {name: VALUES[name] for name in names}


# --8<-- [start:walk]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def open_doors() -> set[tuple[str, str]]:
    """Knock at every route with every method, as nobody."""
    found = set()
    for name, address in routes(get_resolver().url_patterns):
        for method in METHODS:
            answer = APIClient().generic(method, address)
            if answer.status_code not in {401, 405}:
                found.add((method, name))
    return found


@pytest.mark.databases
def test_every_other_door_of_the_api_asks_who_you_are(academy: None) -> None:
    assert open_doors() == OPEN


# --8<-- [end:walk]


def test_the_walk_reaches_every_view_set(academy: None) -> None:
    names = {name for name, _ in routes(get_resolver().url_patterns)}
    assert {"v1:course-publish", "v1:lesson-detail", "v1:enrollment-list", "v1:enrollment-detail"} <= names


@pytest.mark.urls("tests.lab.rest_apis.test_permissions")
def test_the_walk_finds_a_view_that_was_left_open(academy: None) -> None:
    assert open_doors() - OPEN == {("GET", "report")}


def test_drf_lets_everybody_in_and_the_middleware_does_not_see_its_views() -> None:
    assert DEFAULTS["DEFAULT_PERMISSION_CLASSES"] == ["rest_framework.permissions.AllowAny"]
    assert APIView.permission_classes == [IsAuthenticated]
    assert OpenView.as_view().login_required is False  # type: ignore[attr-defined]


@pytest.mark.urls("tests.lab.rest_apis.test_permissions")
def test_login_required_middleware_does_not_close_a_view_of_drf(academy: None, settings: Any) -> None:
    assert "django.contrib.auth.middleware.LoginRequiredMiddleware" in settings.MIDDLEWARE
    assert APIClient().get("/report/").json() == 30


# What belongs to somebody else

METHODS_OF_ONE = ("GET", "PATCH", "DELETE", "PUT", "POST")


def statuses(client: APIClient, address: str) -> list[int]:
    """Return the answer to each method; nothing that it changes stays."""
    found = []
    for method in METHODS_OF_ONE:
        with transaction.atomic():
            found.append(client.generic(method, address, '{"grade": 90}', "application/json").status_code)
            transaction.set_rollback(True)
    return found


@pytest.mark.databases
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE", "PUT", "POST", "OPTIONS"])
def test_no_method_tells_kofi_that_the_enrollment_exists(people: People, theirs: Enrollment, method: str) -> None:
    kofi = people.client(people.kofi)
    body = ('{"grade": 90}', "application/json")
    stranger = kofi.generic(method, f"/api/v1/enrollments/{theirs.pk}/", *body)
    missing = kofi.generic(method, "/api/v1/enrollments/1000000/", *body)
    expected = {"PUT": 405, "POST": 405, "OPTIONS": 200}.get(method, 404)
    assert (stranger.status_code, stranger.content, stranger.headers) == (expected, missing.content, missing.headers)
    theirs.refresh_from_db()
    assert theirs.grade == 41


@pytest.mark.databases
def test_nobody_knows_of_an_enrollment(people: People, theirs: Enrollment) -> None:
    Learner.objects.filter(user=people.ama).update(user=None)  # as the pk of nobody
    assert not visible_enrollments(AnonymousUser()).exists()
    assert visible_enrollments(people.teacher).filter(pk=theirs.pk).exists()


@pytest.mark.databases
def test_who_may_do_what_with_amas_enrollment(people: People, theirs: Enrollment) -> None:
    assert who_may_what(people, theirs) == {
        "nobody": [401, 401, 401, 401, 401],
        "Ama, whose it is": [200, 403, 204, 405, 405],
        "Kofi": [404, 404, 404, 405, 405],
        "the teacher of the course": [200, 200, 403, 405, 405],
        "the registrar": [404, 404, 404, 405, 405],
        "a superuser": [404, 404, 404, 405, 405],
    }


@pytest.mark.databases("postgresql")
def test_the_recorded_table(people: People, theirs: Enrollment, record: Recorder) -> None:
    rows = [["Who", *METHODS_OF_ONE], ["---"] * (1 + len(METHODS_OF_ONE))]
    rows += [[name, *map(str, answers)] for name, answers in who_may_what(people, theirs).items()]
    record("permissions_who.md", "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows))


def who_may_what(people: People, theirs: Enrollment) -> dict[str, list[int]]:
    """Return the status of each method on Ama's enrollment, for each actor."""
    actors: dict[str, User | None] = {
        "nobody": None,
        "Ama, whose it is": people.ama,
        "Kofi": people.kofi,
        "the teacher of the course": people.teacher,
        "the registrar": people.registrar,
        "a superuser": User.objects.create_superuser("root@example.com"),
    }
    address = f"/api/v1/enrollments/{theirs.pk}/"
    return {name: statuses(people.client(user), address) for name, user in actors.items()}


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_stranger_on_the_wire(
    people: People, theirs: Enrollment, wire: Callable[..., Exchange], record: Recorder
) -> None:
    token = str(AccessToken.for_user(people.kofi))
    stranger = wire("GET", f"/api/v1/enrollments/{theirs.pk}/", {"Authorization": f"Bearer {token}"})
    assert stranger.status == 404
    record("permissions_stranger.http", stranger.text.replace(token, "…"))


# When a permission is asked


@pytest.mark.databases("postgresql")
def test_which_question_is_asked_when(
    people: People, theirs: Enrollment, monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    calls: list[str] = []

    def listen(name: str) -> None:
        original = getattr(permissions.GradesOwnCourse, name)

        def heard(self: Any, *args: Any) -> bool:
            calls.append(name)
            answer: bool = original(self, *args)
            return answer

        monkeypatch.setattr(permissions.GradesOwnCourse, name, heard)

    listen("has_permission")
    listen("has_object_permission")

    def asked(method: str, address: str) -> list[str]:
        calls.clear()
        people.client(people.ama).generic(method, address)
        return list(calls)

    session("permissions_asked.pycon", asked=asked, pk=theirs.pk)


@SAMPLES
@pytest.mark.wrong("lab/rest_apis/permission_samples.py:wrong_list")
@pytest.mark.wrong("lab/rest_apis/permission_samples.py:wrong_grade")
@pytest.mark.databases
def test_views_that_do_not_ask_show_what_is_amas(people: People, theirs: Enrollment) -> None:
    kofi, ama = people.client(people.kofi), people.client(people.ama)
    listed = kofi.get("/wrong-list/").json()
    assert listed["count"] == Enrollment.objects.count() == 30
    assert kofi.get(f"/wrong-grade/{theirs.pk}/").json() == {"grade": 41}
    # Asked, it is refused, and says that it is there.
    assert kofi.get(f"/asked-grade/{theirs.pk}/").status_code == 403
    assert kofi.get("/asked-grade/1000000/").status_code == 404
    assert ama.get(f"/asked-grade/{theirs.pk}/").json() == {"grade": 41}
    # Filtered, there is nothing to refuse.
    assert kofi.get(f"/grade/{theirs.pk}/").content == kofi.get("/grade/1000000/").content
    assert kofi.get(f"/grade/{theirs.pk}/").status_code == 404
    assert ama.get(f"/grade/{theirs.pk}/").json() == {"grade": 41}
    assert people.client().get(f"/grade/{theirs.pk}/").status_code == 401


@SAMPLES
@pytest.mark.databases("postgresql")
def test_the_recorded_leak(people: People, theirs: Enrollment, session: Session) -> None:
    session("permissions_leak.pycon", kofi=people.client(people.kofi), pk=theirs.pk)


# Classes of Django REST framework


@SAMPLES
@pytest.mark.databases
def test_model_permissions_leave_reading_open(people: People) -> None:
    def answers(user: User | None) -> tuple[int, int]:
        client = people.client(user)
        return client.get("/open-gradebook/").status_code, client.get("/gradebook/").status_code

    assert answers(people.kofi) == (200, 403)
    assert answers(people.registrar) == (200, 200)
    assert answers(None) == (401, 401)
    assert people.client(people.kofi).head("/gradebook/").status_code == 403


@SAMPLES
@pytest.mark.databases
def test_composed_permissions(people: People, theirs: Enrollment) -> None:
    address = f"/composed/{theirs.pk}/"
    found = {
        user.email: people.client(user).get(address).status_code
        for user in (people.ama, people.kofi, people.teacher, people.registrar)
    }
    assert found == {
        "ama@example.com": 200,
        "kofi@example.com": 403,
        "teacher@example.com": 403,
        "registrar@example.com": 200,
    }
    assert people.client().get(address).status_code == 401


@SAMPLES
@pytest.mark.wrong("lab/rest_apis/permission_samples.py:wrong_not")
@pytest.mark.databases
def test_not_turns_a_question_that_nobody_answers_into_a_refusal(people: People, theirs: Enrollment) -> None:
    for user in (people.ama, people.kofi, people.teacher, people.registrar):
        assert people.client(user).get(f"/wrong-not/{theirs.pk}/").status_code == 403
    assert not people.ama.is_staff
    assert people.registrar.is_staff


@SAMPLES
@pytest.mark.databases("postgresql")
def test_the_recorded_classes(people: People, theirs: Enrollment, session: Session) -> None:
    session(
        "permissions_classes.pycon",
        kofi=people.client(people.kofi),
        ama=people.client(people.ama),
        registrar=people.client(people.registrar),
        pk=theirs.pk,
    )


# Fields


@SAMPLES
@pytest.mark.wrong("lab/rest_apis/permission_samples.py:wrong_fields")
@pytest.mark.databases
def test_nobody_is_not_the_teacher_of_a_course_without_one(people: People) -> None:
    def told(client: APIClient, address: str) -> set[str]:
        rows = client.get(address).json()["results"]
        assert len(rows) == 9
        return {row["slug"] for row in rows if "taken" in row}

    for user in (people.teacher, people.ama, None):
        mine = {"python"} if user == people.teacher else set()
        assert told(people.client(user), "/courses/") == mine
    assert told(people.client(people.teacher), "/wrong-courses/") == {"python"}
    assert len(told(people.client(), "/wrong-courses/")) == 8, "every course without a teacher"


# The classes of the API, one by one


class Asked:
    """What a permission class reads of a view."""

    def __init__(self, course: Course | None = None, *, detail: bool = True) -> None:
        self.course = course
        self.detail = detail


def request(method: str, user: User | AnonymousUser) -> Any:
    made = APIRequestFactory().generic(method, "/")
    made.user = user
    return made


@pytest.mark.databases
def test_who_may_change_courses_and_lessons(people: People) -> None:
    courses, lessons = permissions.TeachesOrReads(), permissions.TeachesCourseOrReads()
    nobodys = Course.objects.get(slug="django")
    assert nobodys.teacher_id is AnonymousUser().pk is None
    everybody = (AnonymousUser(), people.ama, people.teacher, people.registrar)
    for user in everybody:
        for method in ("GET", "HEAD", "OPTIONS"):
            asked: Any = request(method, user)
            assert courses.has_permission(asked, Asked())
            assert courses.has_object_permission(asked, Asked(), people.python)
            assert lessons.has_permission(asked, Asked(nobodys))
        for method in ("PUT", "PATCH", "DELETE", "POST"):
            asked = request(method, user)
            is_teacher = user == people.teacher
            assert courses.has_permission(asked, Asked()) == user.is_authenticated
            assert courses.has_object_permission(asked, Asked(), people.python) == is_teacher
            assert lessons.has_permission(asked, Asked(people.python)) == is_teacher
            assert not lessons.has_permission(asked, Asked(nobodys))
        assert courses.has_permission(request("POST", user), Asked(detail=False)) == (user == people.teacher)


@pytest.mark.databases
def test_who_may_change_an_enrollment(people: People, theirs: Enrollment) -> None:
    may = permissions.GradesOwnCourse()
    for user, grades, leaves in (
        (people.ama, False, True),
        (people.teacher, True, False),
        (people.kofi, False, False),
        (people.registrar, False, False),
    ):
        assert may.has_object_permission(request("PATCH", user), Asked(), theirs) == grades
        assert may.has_object_permission(request("DELETE", user), Asked(), theirs) == leaves
