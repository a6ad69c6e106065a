"""Who may do what through the API, and one resource written in three ways."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import AsyncClient
from django.urls import path
from django.utils import timezone
from rest_framework import permissions, viewsets
from rest_framework.decorators import permission_classes
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from lab.academy.models import Course, Enrollment, Tag
from lab.rest_apis import urls, view_samples
from lab.rest_apis.view_samples import doors
from tests.recording.code import lines_of_code

if TYPE_CHECKING:
    from collections.abc import Callable

    import time_machine
    from rest_framework.response import Response

    from tests.lab.people import People
    from tests.recording.files import Recorder

    Session = Callable[..., None]

DAYS = {"starts_on": "2027-01-04", "ends_on": "2027-02-01"}
V1 = "/api/v1/"


@pytest.fixture
def base(people: People) -> People:
    """The academy with a draft that the teacher writes, a course that nobody has joined, and a room that is full."""
    days = {"starts_on": datetime.date(2027, 1, 4), "ends_on": datetime.date(2027, 2, 1)}
    draft = Course.objects.create(slug="draft", title="Draft", teacher=people.teacher, **days)
    draft.lessons.create(position=1, title="First")
    Course.objects.create(slug="open", title="Open", published=True, **days)
    full = Course.objects.create(slug="full", title="Full", published=True, seats=1, **days)
    Enrollment.objects.create(course=full, learner=people.kofi.learner)
    Enrollment.objects.filter(learner=people.ama.learner).exclude(course=people.python).delete()
    enrollment = Enrollment.objects.get(learner=people.ama.learner)
    if hasattr(enrollment, "certificate"):
        enrollment.certificate.delete()
    people.kofi.learner.enrollments.filter(course=people.python).delete()
    return people


# fmt: off
ACTORS = ("nobody", "ama", "kofi", "teacher", "registrar")
#                                                            who: nobody ama kofi teacher registrar
ACTIONS: dict[str, tuple[str, str, dict[str, Any] | None, tuple[int, ...]]] = {
    "list courses":      ("GET", "courses/", None,                    (200, 200, 200, 200, 200)),
    "read a course":     ("GET", "courses/python/", None,             (200, 200, 200, 200, 200)),
    "read a draft":      ("GET", "courses/draft/", None,              (404, 404, 404, 200, 404)),
    "add a course":      ("POST", "courses/", {"slug": "new", "title": "New", **DAYS},
                                                                      (401, 403, 403, 201, 403)),
    "change a course":   ("PATCH", "courses/python/", {"seats": 40},  (401, 403, 403, 200, 403)),
    "replace a course":  ("PUT", "courses/python/", {"slug": "python", "title": "Snakes", **DAYS},
                                                                      (401, 403, 403, 200, 403)),
    "change a draft":    ("PATCH", "courses/draft/", {"seats": 40},   (401, 404, 404, 200, 404)),
    "change no one's":   ("PATCH", "courses/open/", {"seats": 40},    (401, 403, 403, 403, 403)),
    "delete a course":   ("DELETE", "courses/python/", None,          (401, 403, 403, 409, 403)),
    "delete a draft":    ("DELETE", "courses/draft/", None,           (401, 404, 404, 204, 404)),
    "publish a course":  ("POST", "courses/python/publish/", None,    (401, 403, 403, 200, 403)),
    "publish a draft":   ("POST", "courses/draft/publish/", None,     (401, 404, 404, 200, 404)),
    "list lessons":      ("GET", "courses/python/lessons/", None,     (200, 200, 200, 200, 200)),
    "lessons of a draft": ("GET", "courses/draft/lessons/", None,     (404, 404, 404, 200, 404)),
    "read a lesson":     ("GET", "courses/python/lessons/1/", None,   (200, 200, 200, 200, 200)),
    "add a lesson":      ("POST", "courses/python/lessons/", {"position": 99, "title": "Last"},
                                                                      (401, 403, 403, 201, 403)),
    "add it twice":      ("POST", "courses/python/lessons/", {"position": 1, "title": "Again"},
                                                                      (401, 403, 403, 409, 403)),
    "change a lesson":   ("PATCH", "courses/python/lessons/1/", {"minutes": 5},
                                                                      (401, 403, 403, 200, 403)),
    "delete a lesson":   ("DELETE", "courses/python/lessons/1/", None, (401, 403, 403, 204, 403)),
    "change no one's lesson": ("PATCH", "courses/django/lessons/1/", {"minutes": 5},
                                                                      (401, 403, 403, 403, 403)),
    "list enrollments":  ("GET", "enrollments/", None,                (401, 200, 200, 200, 200)),
    "enroll":            ("POST", "enrollments/", {"course": "open"}, (401, 201, 201, 403, 403)),
    "enroll in a full":  ("POST", "enrollments/", {"course": "full"}, (401, 409, 409, 403, 403)),
    "enroll in a draft": ("POST", "enrollments/", {"course": "draft"}, (401, 400, 400, 400, 400)),
    "read Ama's":        ("GET", "enrollments/{ama}/", None,          (401, 200, 404, 200, 404)),
    "grade Ama":         ("PATCH", "enrollments/{ama}/", {"grade": 90}, (401, 403, 404, 200, 404)),
    "replace Ama's":     ("PUT", "enrollments/{ama}/", {"grade": 90}, (401, 405, 405, 405, 405)),
    "take Ama out":      ("DELETE", "enrollments/{ama}/", None,       (401, 204, 404, 403, 404)),
}
# fmt: on


@pytest.mark.databases
def test_who_may_do_what(base: People) -> None:
    """Each request is undone before the next is sent."""
    ama = Enrollment.objects.get(learner=base.ama.learner)
    found: dict[str, dict[str, int]] = {action: {} for action in ACTIONS}
    for name in ACTORS:
        client = base.client(getattr(base, name, None))
        for action, (method, url, body, _) in ACTIONS.items():
            with transaction.atomic():
                response = getattr(client, method.lower())(V1 + url.format(ama=ama.pk), body)
                transaction.set_rollback(True)
            found[action][name] = response.status_code
    assert found == {action: dict(zip(ACTORS, row[-1], strict=True)) for action, row in ACTIONS.items()}


@pytest.mark.databases
def test_each_sees_their_own_enrollments(base: People) -> None:
    enrollment = Enrollment.objects.get(learner=base.ama.learner)
    assert [row["id"] for row in base.client(base.ama).get(V1 + "enrollments/").json()["results"]] == [enrollment.pk]
    taught = base.client(base.teacher).get(V1 + "enrollments/").json()["results"]
    assert {row["course"] for row in taught} == {"python"}
    assert len(taught) == base.python.enrollments.count()
    assert base.client(base.registrar).get(V1 + "enrollments/").json()["results"] == []


@pytest.mark.databases
def test_whoever_adds_a_course_teaches_it_and_its_body_cannot_say_otherwise(base: People) -> None:
    body = {"slug": "new", "title": "New", **DAYS, "published": True, "teacher": base.ama.pk}
    assert base.client(base.teacher).post(V1 + "courses/", body).json()["published"] is False
    course = Course.objects.get(slug="new")
    assert course.teacher == base.teacher
    assert base.client().get(V1 + "courses/new/").status_code == 404
    assert base.client(base.teacher).post(V1 + "courses/new/publish/").json()["published"] is True
    assert base.client().get(V1 + "courses/new/").status_code == 200


@pytest.mark.databases
def test_the_serializer_follows_the_action(base: People) -> None:
    """A grade is read with its enrollment and written alone; a learner's body cannot hold one."""
    enrolled = base.client(base.ama).post(V1 + "enrollments/", {"course": "open", "grade": 100})
    assert enrolled.status_code == 201
    assert enrolled.json()["grade"] is None
    url = f"{V1}enrollments/{Enrollment.objects.get(learner=base.ama.learner, course=base.python).pk}/"
    graded = base.client(base.teacher).patch(url, {"grade": 90, "course": "open"})
    assert graded.json() == {"grade": 90}
    read = base.client(base.ama).get(url).json()
    assert (read["grade"], read["course"]) == (90, "python")


STYLES = ("by-hand", "generic", "view-set")


@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.databases
def test_three_ways_to_write_a_resource_give_the_same_answers(people: People) -> None:
    asked: list[tuple[str, str, Any]] = [
        ("get", "tags/", None),
        ("get", "tags/?page_size=2&page=2", None),
        ("get", "tags/?page=99", None),
        ("get", "tags/data/", None),
        ("get", "tags/nothing/", None),
        ("head", "tags/data/", None),
        ("post", "tags/", {"name": "new"}),
        ("post", "tags/", {"name": "data"}),
        ("post", "tags/", {}),
        ("post", "tags/data/", {"name": "other"}),
        ("put", "tags/data/", {"name": "other"}),
        ("patch", "tags/data/", {"name": "other"}),
        ("delete", "tags/data/", None),
        ("delete", "tags/", None),
    ]
    seen = []
    for style in STYLES:
        answers = []
        for client in (people.client(), people.client(people.kofi)):
            for method, url, body in asked:
                response: Response
                with transaction.atomic():
                    response = getattr(client, method)(f"/{style}/{url}", body)
                    transaction.set_rollback(True)
                text = response.content.decode().replace(f"/{style}/", "/")
                answers.append((method, url, response.status_code, response["Allow"], text))
        seen.append(answers)
    assert seen[0] == seen[1] == seen[2]
    half = len(asked)
    assert [status for _, _, status, *_ in seen[0][:half]] == [401] * half
    assert [status for _, _, status, *_ in seen[0][half:]] == [
        200, 200, 404, 200, 404, 200, 201, 400, 400, 405, 405, 405, 405, 405
    ]  # fmt: skip


class NobodyTouchesIt(permissions.BasePermission):
    """Lets everybody in, and nobody near an object."""

    def has_object_permission(self, *_: Any) -> bool:
        """Return whether the request may touch this object."""
        return False


@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.parametrize("style", STYLES)
def test_each_way_asks_the_permissions_about_the_object(
    people: People, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for view in (view_samples.TagDetail, view_samples.GenericTagDetail, view_samples.TagViewSet):
        monkeypatch.setattr(view, "permission_classes", [NobodyTouchesIt])
    client = people.client(people.kofi)
    assert client.get(f"/{style}/tags/").status_code == 200
    assert client.get(f"/{style}/tags/data/").status_code == 403
    # Written by hand, the question is a line that one can forget.
    monkeypatch.setattr(view_samples.TagDetail, "check_object_permissions", lambda *_: None)
    assert client.get(f"/{style}/tags/data/").status_code == (200 if style == "by-hand" else 403)


@pytest.mark.urls("lab.rest_apis.view_samples")
def test_options_knows_the_fields_where_there_is_a_serializer_class(people: People) -> None:
    client = people.client(people.kofi)
    fields = {style: "actions" in client.options(f"/{style}/tags/").json() for style in STYLES}
    assert fields == {"by-hand": False, "generic": True, "view-set": True}


def lines(section: str) -> int:
    """Return how many lines of code a section of the samples has."""
    return lines_of_code("lab/rest_apis/view_samples.py", section)


def test_the_lines_of_each_way(record: Recorder) -> None:
    names = {"APIView": "by_hand", "generic views": "generic", "view set": "view_set"}
    count = {name: lines(section) for name, section in names.items()}
    assert count["APIView"] > count["generic views"]
    assert lines("view_set") - lines("wrong_view_set") == 5
    routes = {
        "APIView": f"{len(view_samples.by_hand)}, by hand",
        "generic views": f"{len(view_samples.generic)}, by hand",
        "view set": f"{len(view_samples.router.urls)}, by a router",
    }
    rows = [f"| {name} | {count[name]} | {routes[name]} |" for name in names]
    record("views_lines.md", "\n".join(["| Written as | Lines of code | Routes |", "| --- | ---: | --- |", *rows]))


def test_the_doors_of_a_view_set(record: Recorder) -> None:
    record("views_doors_every.txt", "\n".join(doors(view_samples.every.urls)))
    record("views_doors.txt", "\n".join(doors(view_samples.router.urls)))
    enrollments = [route for route in urls.router.urls if str(route.pattern).startswith("^enrollments/")]
    record("views_doors_enrollments.txt", "\n".join(doors(enrollments)))


def test_head_must_be_named_beside_get(people: People) -> None:
    class GetAlone(view_samples.TagViewSet):
        http_method_names = ("get",)

    actions: list[str | None] = []

    class Watched(view_samples.TagViewSet):
        def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
            actions.append(self.action)
            super().initial(request, *args, **kwargs)

    request: Any
    for view, status in ((GetAlone, 405), (Watched, 200)):
        request = APIRequestFactory().head("/tags/")
        force_authenticate(request, people.kofi)
        assert view.as_view({"get": "list"})(request).status_code == status
    request = APIRequestFactory().delete("/tags/")
    force_authenticate(request, people.kofi)
    assert Watched.as_view({"get": "list"})(request).status_code == 405
    assert actions == ["list", None]


@pytest.mark.wrong("lab/rest_apis/view_samples.py:wrong_view_set")
@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.databases("postgresql")
def test_a_model_view_set_opens_what_nobody_asked_for(people: People, session: Session) -> None:
    session("views_delete.pycon", kofi=people.client(people.kofi), Course=Course)


@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.databases
def test_without_the_mixin_nothing_is_deleted(people: People) -> None:
    marked = Course.objects.filter(tags__name="data").count()
    assert marked
    assert people.client(people.kofi).delete("/view-set/tags/data/").status_code == 405
    assert Course.objects.filter(tags__name="data").count() == marked
    assert people.client(people.kofi).delete("/every/tags/data/").status_code == 204
    assert Course.objects.filter(tags__name="data").count() == 0
    assert not Tag.objects.filter(name="data").exists()


@pytest.mark.wrong("lab/rest_apis/view_samples.py:wrong_upcoming")
@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.databases
def test_a_queryset_of_the_class_keeps_the_day_of_the_import(
    people: People, time_machine: time_machine.TimeMachineFixture
) -> None:
    soon = timezone.localdate() + datetime.timedelta(days=10)
    Course.objects.create(slug="soon", title="Soon", published=True, starts_on=soon, ends_on=soon)
    client = people.client(people.kofi)

    def slugs(path: str) -> list[str]:
        return [course["slug"] for course in client.get(path).json()["results"]]

    assert slugs("/upcoming/") == slugs("/wrong-upcoming/") == ["soon"]
    time_machine.move_to(timezone.now() + datetime.timedelta(days=30), tick=False)
    assert slugs("/upcoming/") == []
    assert slugs("/wrong-upcoming/") == ["soon"]  # it began twenty days ago


@pytest.mark.django_db
def test_a_queryset_of_the_class_is_copied_for_each_request() -> None:
    class Rows(view_samples.TagViewSet):
        queryset = Tag.objects.all()

    class Guarded(view_samples.GenericTagList):
        queryset = Tag.objects.all()

    Rows.as_view({"get": "list"})
    Guarded.as_view()
    assert not Rows().get_queryset()
    assert not list(Rows.queryset)
    Tag.objects.create(name="new")
    assert Rows().get_queryset()
    # A view set that loops over the attribute itself answers with what was there at the first request.
    assert not list(Rows.queryset)
    # A generic view is guarded against that; the as_view() of view sets leaves the guard out.
    with pytest.raises(RuntimeError, match=r"Do not evaluate the `.queryset` attribute directly"):
        list(Guarded.queryset)


@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.databases("postgresql")
def test_a_function_is_a_view(people: People, session: Session) -> None:
    session("views_function.pycon", client=people.client(), free_seats=view_samples.free_seats)


def test_policies_stand_below_api_view() -> None:
    with pytest.raises(TypeError, match=r"must come after \(below\) the @api_view decorator"):
        permission_classes([permissions.AllowAny])(view_samples.free_seats)


class Closing:
    """Closes the coroutine that a view got, or Python complains after the test that nobody awaited it."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Close it, and go on."""
        response.close()
        return APIView.finalize_response(self, request, response, *args, **kwargs)  # type: ignore[arg-type]  # a mixin


@pytest.mark.wrong("lab/rest_apis/view_samples.py:wrong_async")
@pytest.mark.urls("lab.rest_apis.view_samples")
@pytest.mark.databases("postgresql")
def test_a_coroutine_is_no_response(people: People, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_samples.AsyncTagList, "finalize_response", Closing.finalize_response)
    session("views_async.pycon", client=people.client(people.kofi))


@pytest.mark.django_db
def test_the_coroutine_itself_is_sound() -> None:
    Tag.objects.create(name="new")
    request: Any = None
    assert async_to_sync(view_samples.AsyncTagList().get)(request).data == ["new"]


class AsyncSet(Closing, viewsets.ViewSet):
    """A view set with a coroutine for an action."""

    permission_classes = (permissions.AllowAny,)

    async def list(self, request: Any) -> Any:
        """Never run."""


urlpatterns = [path("set/", AsyncSet.as_view({"get": "list"}))]


@pytest.mark.urls(__name__)
def test_neither_a_view_set_nor_an_asynchronous_server_changes_that(db: None) -> None:
    with pytest.raises(AssertionError, match="received a `<class 'coroutine'>`"):
        APIClient().get("/set/")

    async def ask() -> None:
        await AsyncClient().get("/set/")

    with pytest.raises(AssertionError, match="received a `<class 'coroutine'>`"):
        async_to_sync(ask)()
