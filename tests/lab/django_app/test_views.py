"""What the page about views says, on the wire and by calling the views."""

from __future__ import annotations

import re
import sys
import warnings
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, ImproperlyConfigured, PermissionDenied
from django.core.paginator import Paginator, UnorderedObjectListWarning
from django.http import Http404, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, include, path, resolve, reverse
from django.views.decorators.http import require_http_methods, require_safe
from django.views.generic import View

from lab.academy.models import Course, Enrollment, User
from lab.django_app import views
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from pytest_django import Settings

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Wire = Callable[..., Exchange]

TITLES = ["Caching", "Databases", "Django", "Docker", "GraphQL", "Python", "REST APIs", "Security", "Testing"]


class Unmarked(View):
    """A view whose class, and not its dispatch, is marked as ``login_not_required`` would mark it."""

    login_required = False

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return JsonResponse({"method": request.method})


class KeptRows(View):
    """A view that reads the queryset of its class without copying it."""

    courses = Course.objects.filter(published=True)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer with the titles."""
        return JsonResponse({"method": request.method, "courses": [course.title for course in self.courses]})


@pytest.fixture
def routes(settings: Settings) -> None:
    """The lab's URLs, and beside them those of views that the lab does not serve."""
    urls = ModuleType("urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("classes/", views.CourseList.as_view()),
        path("classes/<slug:slug>/", views.CourseDetail.as_view()),
        path("wrong/", views.WrongCatalog.as_view()),
        path("wrong/courses/<slug:slug>/leave/", views.wrong_leave),
        path("propose/class/", views.ProposeCourse.as_view()),
        path("unmarked/", Unmarked.as_view()),
        path("kept/", login_not_required(KeptRows.as_view())),
        path("", include("lab.urls")),
    ]
    settings.ROOT_URLCONF = urls


def ama() -> Client:
    """Return a client in which Ama is signed in."""
    client = Client()
    client.force_login(User.objects.get(email="ama@example.com"))
    return client


def main(response: Any) -> str:
    """Return the main part of a page."""
    return str(response.text.partition("<main>")[2].partition("</main>")[0])


def test_the_function_and_the_class_send_the_same_page(academy: None, client: Client, routes: None) -> None:
    Course.objects.filter(slug="databases").update(description="Tables and more.")
    for mine, twin in (("/", "/classes/"), ("/courses/databases/", "/classes/databases/")):
        first, second = client.get(mine), client.get(twin)
        assert first.status_code == second.status_code == 200
        assert main(first) == main(second)
    assert re.findall(r">([\w ]+)</a>", main(client.get("/"))) == TITLES
    page = main(client.get("/courses/databases/"))
    assert "Tables and more." in page
    assert "Databases, part 1" in page
    for missing in ("/courses/queues/", "/classes/queues/", "/courses/nothing/", "/classes/nothing/"):
        assert client.get(missing).status_code == 404  # "Queues" is a draft


def calls(answer: Callable[[], object]) -> str:
    """Return which methods of generic views and of the lab's views run, each indented below its caller."""
    lines = []
    depth = 0

    def watched(frame: FrameType) -> bool:
        file = frame.f_code.co_filename
        return "/views/generic/" in file or file == views.__file__

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal depth
        if event in {"call", "return"} and watched(frame):
            depth -= event == "return"
            if event == "call":
                lines.append(f"{'  ' * depth}{frame.f_code.co_qualname}")
                depth += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        answer()
    finally:
        sys.setprofile(before)
    return "\n".join(line.replace("View.as_view.<locals>.view", "view(request)") for line in lines)


def test_which_methods_run(academy: None, rf: RequestFactory, record: Recorder) -> None:
    request = rf.get("/catalog/")
    request.user = User.objects.get(email="ama@example.com")
    view = views.Catalog.as_view()
    trace = calls(lambda: view(request))
    record("views_catalog.txt", trace)
    assert len(trace.splitlines()) == 21  # the page says so


def test_the_rows_are_read_after_the_view_has_returned(academy: None, rf: RequestFactory) -> None:
    request = rf.get("/catalog/")
    request.user = User.objects.get(email="ama@example.com")
    with queries() as sent:
        response = views.Catalog.as_view()(request)
    assert isinstance(response, TemplateResponse)
    assert [statement[:12] for statement in sent.statements] == ["SELECT COUNT"]
    with queries() as sent:
        response.render()
    assert len(sent.statements) == 1
    assert "LIMIT 4" in sent.statements[0]


@pytest.mark.databases("postgresql")
def test_a_page_of_the_catalog_is_two_queries(academy: None, client: Client, record: Recorder) -> None:
    with queries() as sent:
        response = client.get("/catalog/?page=2")
    assert [course.title for course in response.context["courses"]] == TITLES[4:8]
    assert len(sent.statements) == 2
    record("views_catalog.sql", sent.text)


def test_the_catalog_links_its_pages_and_keeps_the_level(academy: None, client: Client) -> None:
    first, second, last = (main(client.get(f"/catalog/?page={number}")) for number in (1, 2, 3))
    assert "Earlier" not in first
    assert "?page=1" in second
    assert "?page=3" in second
    assert "Page 2 of 3" in second
    assert "Later" not in last
    beginners = client.get("/catalog/?level=beginner")
    assert {course.level for course in beginners.context["courses"]} == {"beginner"}
    assert "aria-label" not in main(beginners)
    Course.objects.update(level="beginner")
    assert "?level=beginner&amp;page=3" in main(client.get("/catalog/?level=beginner&page=2"))


def test_a_class_takes_a_proposal(academy: None, routes: None) -> None:
    client = ama()
    values = {"title": "Linux", "slug": "linux", "starts_on": "2027-03-01", "ends_on": "2027-04-12"}
    assert client.get("/propose/class/").status_code == 200
    assert client.post("/propose/class/", {**values, "title": ""}).status_code == 200
    assert not Course.objects.filter(slug="linux").exists()
    response = client.post("/propose/class/", values)
    assert (response.status_code, response.headers["Location"]) == (302, "/catalog/")
    course = Course.objects.get(slug="linux")
    assert course.teacher == User.objects.get(email="ama@example.com")
    assert not course.published


def test_addresses_have_names(academy: None, client: Client, session: Session) -> None:
    session("views_urls.pycon", reverse=reverse, resolve=resolve, client=client)


def test_redirects_have_kinds(session: Session) -> None:
    session("views_redirects.pycon", redirect=redirect, HttpResponseRedirect=HttpResponseRedirect)


def test_a_namespace_stands_before_the_name(settings: Settings) -> None:
    urls = ModuleType("urls")
    inner = [path("catalog/", views.Catalog.as_view(), name="catalog")]
    urls.urlpatterns = [path("", include((inner, "academy")))]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urls
    assert reverse("academy:catalog") == "/catalog/"
    with pytest.raises(NoReverseMatch):
        reverse("catalog")


@pytest.mark.parametrize(("error", "status"), [(Http404, 404), (PermissionDenied, 403), (BadRequest, 400)])
def test_some_answers_are_exceptions(settings: Settings, client: Client, error: type[Exception], status: int) -> None:
    @login_not_required
    def fails(request: HttpRequest) -> HttpResponse:
        raise error

    urls = ModuleType("urls")
    urls.urlpatterns = [path("fails/", fails)]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urls
    assert client.get("/fails/").status_code == status


def test_who_names_the_methods_names_head_too(rf: RequestFactory) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"method": request.method})

    without_head = require_http_methods(["GET", "POST"])(answer)
    statuses = [without_head(rf.generic(method, "/")).status_code for method in ("GET", "POST", "HEAD", "PUT")]
    assert statuses == [200, 200, 405, 405]
    safe = require_safe(answer)
    assert [safe(rf.generic(method, "/")).status_code for method in ("GET", "HEAD", "POST")] == [200, 200, 405]


def test_which_methods_are_answered(academy: None, record: Recorder) -> None:
    client, seat = ama(), leavable()
    methods = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
    lines = [f"{'':13}" + "".join(f"{method:>8}" for method in methods)]
    for name, arguments in (("course_list", []), ("Catalog", []), ("leave_course", ["databases"])):
        address = reverse(name.lower(), args=arguments)
        statuses = [client.generic(method, address).status_code for method in methods]
        lines.append(f"{name:13}" + "".join(f"{status:>8}" for status in statuses))
    record("views_methods.txt", "\n".join(lines))
    assert client.post("/catalog/").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert seat.count() == 0


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_wrong_method_on_the_wire(academy: None, wire: Wire, record: Recorder) -> None:
    cookie = ama().cookies["sessionid"].value
    answer = wire("GET", "/courses/databases/leave/", {"Cookie": f"sessionid={cookie}"})
    assert answer.status == 405
    assert answer.headers("Allow") == ["POST"]
    record("views_405.http", answer.text)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_who_is_not_signed_in_is_sent_to_the_login(academy: None, wire: Wire, record: Recorder) -> None:
    answer = wire("GET", "/courses/databases/leave/")
    assert answer.status == 302  # and not 405: the middleware answers before the decorator is asked
    record("views_login.http", answer.text)


def test_the_class_itself_is_no_place_for_the_decorator(academy: None, client: Client, routes: None) -> None:
    assert client.get("/unmarked/").status_code == 302
    assert client.get("/classes/").status_code == 200
    assert client.get("/catalog/").status_code == 200  # a subclass inherits the mark


@pytest.mark.databases("postgresql")
def test_pages(academy: None, client: Client, session: Session) -> None:
    session("views_pages.pycon", Paginator=Paginator, Course=Course, client=client, warnings=warnings)


def test_the_warning_is_that_of_an_unordered_queryset(academy: None) -> None:
    with pytest.warns(UnorderedObjectListWarning):
        Paginator(Course.objects.order_by(), per_page=4).page(1)


@pytest.mark.wrong("lab/django_app/views.py:wrong_shared")
def test_what_a_class_keeps_everybody_sees(
    academy: None, routes: None, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views.WrongCatalog, "extra_context", dict(views.WrongCatalog.extra_context))
    session("views_shared.pycon", ama=ama(), visitor=Client())


def test_a_queryset_on_a_class_keeps_its_rows(academy: None, client: Client, routes: None) -> None:
    KeptRows.courses = Course.objects.filter(published=True)  # as after a start of the process
    assert client.get("/kept/").json()["courses"] == TITLES
    Course.objects.update(published=True)
    assert client.get("/kept/").json()["courses"] == TITLES  # "Queues" is missing
    assert "Queues" in main(client.get("/"))
    assert "Queues" in main(client.get("/classes/"))  # generic views call all()


def leavable() -> Any:
    """Give Ama a seat in Databases, without a grade."""
    learner = User.objects.get(email="ama@example.com").learner
    Enrollment.objects.filter(certificate=None, learner=learner).delete()
    Enrollment.objects.get_or_create(learner=learner, course=Course.objects.get(slug="databases"))
    return Enrollment.objects.filter(learner=learner, course__slug="databases")


@pytest.mark.wrong("lab/django_app/views.py:wrong_leave")
def test_a_get_that_deletes(academy: None, routes: None, session: Session) -> None:
    session("views_leave.pycon", ama=ama(), ama_in_databases=leavable())


def test_leaving_takes_a_post(academy: None) -> None:
    seat, client = leavable(), ama()
    assert client.get("/courses/databases/leave/").status_code == 405
    assert seat.count() == 1
    assert Client(enforce_csrf_checks=True).post("/courses/databases/leave/").status_code == 403
    assert client.post("/courses/databases/leave/").status_code == 302
    assert seat.count() == 0
    assert client.post("/courses/databases/leave/").status_code == 404
    seat = Enrollment.objects.exclude(certificate=None)[0]
    client.force_login(User.objects.get(learner=seat.learner))
    assert client.post(f"/courses/{seat.course.slug}/leave/").status_code == 404  # a certificate hangs on it


def test_a_class_is_asynchronous_or_not() -> None:
    class Both(View):
        async def get(self, request: HttpRequest) -> HttpResponse:
            return JsonResponse({"method": request.method})

        def post(self, request: HttpRequest) -> HttpResponse:
            return JsonResponse({"method": request.method})

    with pytest.raises(ImproperlyConfigured, match="either be all sync or all async"):
        Both.as_view()


def test_a_view_that_is_called_raises_what_the_handler_would_answer(academy: None, rf: RequestFactory) -> None:
    with pytest.raises(Http404):
        views.course_detail(rf.get("/"), slug="nothing")
