"""Pages that are kept, over the wire: who gets whose, under which key, and what is never kept."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as lab
from django.contrib import messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.test import Client, RequestFactory
from django.utils import timezone
from django.utils.cache import get_cache_key
from django.utils.translation import get_language, override
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.vary import vary_on_headers

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Enrollment, Learner, User
from lab.caching.page_caching import forget_titles
from tests.lab.marks import recorded_on_5_2
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings
    from redis import Redis
    from time_machine import TimeMachineFixture

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

pytestmark = [pytest.mark.databases("postgresql"), pytest.mark.urls("lab.caching.page_caching")]
on_the_wire = pytest.mark.django_db(transaction=True)


def browser(name: str) -> Client:
    """Return the client of a learner who has signed in."""
    client = Client()
    client.force_login(User.objects.get(first_name=name))
    return client


def cookie(name: str) -> dict[str, str]:
    """Return the header that the browser of a learner sends."""
    return {"Cookie": f"sessionid={browser(name).cookies['sessionid'].value}"}


@pytest.fixture
def noon(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    """Stop the clock, so that the age of a page is known."""
    time_machine.move_to(datetime.datetime(2026, 3, 2, 12, tzinfo=datetime.UTC), tick=False)
    return time_machine


# What is kept


@recorded_on_5_2("it says Vary: Cookie, because LoginRequiredMiddleware asks who is signed in")
@on_the_wire
def test_the_second_visitor_gets_the_copy(
    academy: None, noon: TimeMachineFixture, wire: Callable[..., Exchange], record: Recorder
) -> None:
    wire("GET", "/all-courses/")
    noon.shift(20)
    record("page_caching_second.http", wire("GET", "/all-courses/").text)


@on_the_wire
def test_the_age_of_the_copy(academy: None, noon: TimeMachineFixture, wire: Callable[..., Exchange]) -> None:
    first = wire("GET", "/all-courses/")
    noon.shift(20)
    second = wire("GET", "/all-courses/")
    assert (first.headers("Age"), second.headers("Age")) == ([], ["20"])
    assert second.headers("Cache-Control") == first.headers("Cache-Control") == ["max-age=60"]
    assert second.body == first.body
    noon.shift(41)
    assert wire("GET", "/all-courses/").headers("Age") == []


REQUESTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("`GET /all-courses/`", "GET", "/all-courses/", {}),
    ("the same", "GET", "/all-courses/", {}),
    ("`HEAD`", "HEAD", "/all-courses/", {}),
    ("with a cookie", "GET", "/all-courses/", {"headers": {"Cookie": "sessionid=1"}}),
    ("`Authorization: …`", "GET", "/all-courses/", {"headers": {"Authorization": "Bearer 1"}}),
    ("`Accept-Language: de`", "GET", "/all-courses/", {"headers": {"Accept-Language": "de"}}),
    ("`?utm_source=mail`", "GET", "/all-courses/?utm_source=mail", {}),
    ("`?a=1&b=2`", "GET", "/all-courses/?a=1&b=2", {}),
    ("`?b=2&a=1`", "GET", "/all-courses/?b=2&a=1", {}),
    ("another host", "GET", "/all-courses/", {"headers": {"Host": "academy.example"}}),
    ("by HTTPS", "GET", "/all-courses/", {"secure": True}),
    ("a redirect, twice", "GET", "/moved/", {}),
    ("a 404, twice", "GET", "/gone/", {}),
    ("a stream, twice", "GET", "/export/", {}),
]


def asks(method: str, where: str, more: dict[str, Any]) -> int:
    """Return how many queries one request needs."""
    with queries() as sent:
        response = Client().generic(method, where, **more)
        b"".join(response)
    return len(sent.statements)


@pytest.mark.django_db
@pytest.mark.services
def test_what_is_in_the_key(academy: None, server: Redis, settings: Settings, record: Recorder) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    rows = [["Request", "Answered by", "Pages kept"], ["---", "---", "---:"]]
    for title, method, where, more in REQUESTS:
        sent = asks(method, where, more)
        if "twice" in title:
            sent = asks(method, where, more)
        kept = len(server.keys("*cache_page.*"))
        rows.append([title, "the view" if sent else "the cache", str(kept)])
    record("page_caching_requests.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert [row[2] for row in rows[2:]] == ["1"] * 6 + ["2", "3", "4", "5", "6"] + ["6"] * 3
    assert [row[1] for row in rows[3:8]] == ["the cache"] * 5
    assert {row[1] for row in rows[8:]} == {"the view"}


@pytest.mark.django_db
@pytest.mark.services
def test_the_names_of_the_entries(academy: None, server: Redis, record: Recorder) -> None:
    Client().get("/all-courses/")
    record("page_caching_keys.txt", "\n".join(sorted(key.decode() for key in server.scan_iter())))
    Client().post("/all-courses/")
    assert len(server.keys()) == 2, "POST leaves nothing"


# Whose page it is


@on_the_wire
@pytest.mark.wrong("lab/caching/page_caching.py:wrong_personal")
def test_kofi_gets_the_page_of_ama(
    academy: None, noon: TimeMachineFixture, wire: Callable[..., Exchange], record: Recorder
) -> None:
    ama = wire("GET", "/progress/wrong/", cookie("Ama"))
    noon.shift(10)
    kofi = wire("GET", "/progress/wrong/", cookie("Kofi"))
    assert ama.headers("Vary") == kofi.headers("Vary") == ["Cookie"]
    record("page_caching_kofi.http", kofi.text)
    assert ama.body == kofi.body
    assert "Ama" in kofi.body


@pytest.mark.django_db
@pytest.mark.wrong("lab/caching/page_caching.py:wrong_order")
def test_a_stranger_gets_what_is_for_members(academy: None) -> None:
    assert Client().get("/address/").status_code == 302
    browser("Ama").get("/address/")
    assert Client().get("/address/").content == b"Your address: ama@example.com"


@pytest.mark.django_db
@pytest.mark.services
def test_what_mends_it(academy: None, server: Redis, record: Recorder) -> None:
    rows = [["View", "Kofi reads", "Pages kept for ten learners", "A second visit asks"], ["---", "---", "---:", "---"]]
    for title, where in (
        ("`cache_page` alone", "/progress/wrong/"),
        ("`vary_on_cookie` below", "/progress/"),
        ("`private` below", "/progress/private/"),
    ):
        cache.clear()
        clients = {name: browser(name) for name in User.objects.order_by("pk").values_list("first_name", flat=True)}
        seen = {name: client.get(where).content.decode() for name, client in clients.items()}
        kept = len(server.keys("*cache_page.*"))
        with queries() as sent:
            clients["Kofi"].get(where)
        again = "the view" if any("enrollment" in each for each in sent.statements) else "the cache"
        rows.append([title, f"“{seen['Kofi']}”", str(kept), again])
    record("page_caching_mended.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert [row[2] for row in rows[2:]] == ["1", "10", "0"]
    assert ["Kofi" in row[1] for row in rows[2:]] == [False, True, True]


@pytest.mark.django_db
def test_any_other_cookie_is_another_visitor(academy: None) -> None:
    ama = browser("Ama")
    first = ama.get("/progress/").content
    enroll(Learner.objects.get(name="Ama"), Course.objects.filter(published=True).exclude(learners__name="Ama")[0])
    assert ama.get("/progress/").content == first, "her own page is old"
    ama.cookies["analytics"] = "seen-1"
    assert ama.get("/progress/").content != first


@pytest.mark.django_db
def test_what_is_private_is_not_kept(academy: None) -> None:
    answer = browser("Ama").get("/progress/private/")
    assert answer["Cache-Control"] == "private, max-age=60"
    never = browser("Ama").get("/me/")
    assert never.json() == {"name": "Ama"}
    assert Client().get("/me/").json() == {"name": None}
    assert {"private", "no-store"} <= set(never["Cache-Control"].split(", "))


@pytest.mark.parametrize(
    ("header", "value"),
    [("Cache-Control", "Private"), ("Cache-Control", "no-cache"), ("Cache-Control", "no-store"), ("Vary", "*")],
)
def test_headers_that_forbid_it(header: str, value: str) -> None:
    @cache_page(60)
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={header: value})

    page(RequestFactory().get("/"))
    assert get_cache_key(RequestFactory().get("/")) is None


def test_the_language_and_the_time_zone_are_in_the_key() -> None:
    asked = []

    @cache_page(60)
    def page(request: HttpRequest) -> HttpResponse:
        asked.append((get_language(), timezone.get_current_timezone_name()))
        return HttpResponse()

    for language in ("en", "de", "en"):
        for zone in ("Africa/Accra", "Africa/Nairobi", "Africa/Accra"):
            with override(language), timezone.override(zone):
                page(RequestFactory().get("/"))
    assert len(asked) == 4


def test_a_view_that_reads_the_language_itself(settings: Settings) -> None:
    @cache_page(60)
    @vary_on_headers("Accept-Language")
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.headers["Accept-Language"])

    def read(site: Callable[[HttpRequest], Any]) -> list[bytes]:
        cache.clear()
        with override("en"):
            return [site(RequestFactory().get("/", headers={"Accept-Language": each})).content for each in ("de", "fr")]

    assert read(page) == [b"de", b"de"], "the second visitor reads French"
    assert read(LocaleMiddleware(page)) == [b"de", b"fr"]
    settings.USE_I18N = False
    assert read(page) == [b"de", b"fr"]


# What else goes along


@pytest.mark.django_db
@pytest.mark.wrong("lab/caching/page_caching.py:wrong_form")
def test_the_second_form_is_refused(academy: None) -> None:
    answers = []
    for _ in range(2):
        client = Client(enforce_csrf_checks=True)
        page = client.get("/form/")
        found = re.search(r'value="([^"]+)"', page.content.decode())
        assert found
        answers.append(("csrftoken" in client.cookies, client.post("/form/", {"csrfmiddlewaretoken": found[1]})))
    assert [(has, answer.status_code) for has, answer in answers] == [(True, 200), (False, 403)]


@pytest.mark.django_db
@pytest.mark.wrong("lab/caching/page_caching.py:wrong_cookie")
def test_all_visitors_are_one(academy: None) -> None:
    numbers = {Client().get("/welcome/").cookies["visitor"].value for _ in range(5)}
    assert len(numbers) == 1


@pytest.mark.django_db
def test_a_cookie_beside_vary_is_not_kept(academy: None) -> None:
    @cache_page(60)
    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse(headers={"Vary": "Cookie"})
        response.set_cookie("visitor", "1")
        return response

    for request in (RequestFactory().get("/"), RequestFactory().get("/", headers={"Cookie": "analytics=1"})):
        view(request)
        assert get_cache_key(request) is None


@pytest.mark.django_db
def test_a_form_that_is_protected_below_is_not_kept(academy: None) -> None:
    @cache_page(60)
    @csrf_protect
    def view(request: HttpRequest) -> HttpResponse:
        return render(request, "caching/form.html")

    request = RequestFactory().get("/")
    assert "csrftoken" in view(request).cookies
    assert get_cache_key(request) is None


def show_form(request: HttpRequest) -> HttpResponse:
    """Show a page with the messages of whoever asks."""
    return render(request, "caching/form.html")


@pytest.mark.django_db
def test_a_message_is_kept_too(academy: None) -> None:
    page = cache_page(60)(show_form)

    def get(user: str) -> bytes:
        request = RequestFactory().get("/")
        request._messages = CookieStorage(request)  # type: ignore[attr-defined]
        if user == "Ama":
            messages.info(request, "You have left Python.")
        return bytes(page(request).content)

    assert b"You have left Python." in get("Ama")
    assert b"You have left Python." in get("Kofi")


@pytest.mark.django_db
def test_what_a_token_gets(academy: None) -> None:
    asked = []

    @cache_page(60)
    def view(request: HttpRequest) -> HttpResponse:
        asked.append(request.headers.get("Authorization"))
        return HttpResponse(asked[-1])

    def get(token: str = "") -> bytes:
        headers = {"Authorization": token} if token else {}
        return bytes(view(RequestFactory().get("/", headers=headers)).content)

    assert [get("Ama"), get("Kofi"), get("Ama")] == [b"Ama", b"Kofi", b"Ama"]
    assert asked == ["Ama", "Kofi"]
    assert get() == b"None"
    assert get("Esi") == b"None", "after a visit without a token, all get the page of that visit"


# How it ends


@pytest.mark.django_db
@pytest.mark.services
def test_addresses_that_are_made_up(academy: None, server: Redis) -> None:
    for number in range(20):
        Client().get(f"/all-courses/?x={number}")
    assert len(server.keys()) == 40
    server.flushdb()
    for number in range(20):
        Client().get(f"/plain/?x={number}")
    assert server.keys() == []
    Client().get("/plain/")
    assert asks("GET", "/plain/", {}) == 0


@pytest.mark.django_db
def test_a_version_ends_all_pages(academy: None, session: Callable[..., None]) -> None:
    client = Client()
    session("page_caching_version.pycon", client=client, Course=Course, forget_titles=forget_titles)


@pytest.mark.django_db
def test_kept_here_and_not_there(academy: None) -> None:
    answer = Client().get("/only-here/")
    assert answer["Cache-Control"] == "max-age=0"
    assert asks("GET", "/only-here/", {}) == 0


# For the whole site


@pytest.fixture
def whole_site(settings: Settings) -> None:
    """Keep every page, in the order that the documentation gives."""
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *lab.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]


@pytest.mark.django_db
def test_the_whole_site(academy: None, whole_site: None, session: Callable[..., None]) -> None:
    ama = browser("Ama")
    enrollment = Enrollment.objects.filter(learner__name="Ama").earliest("pk")
    address = f"/enrollments/{enrollment.pk}/"
    session("page_caching_site.pycon", ama=ama, address=address, enrollment=enrollment, Enrollment=Enrollment)
    assert b"95" not in ama.get(address).content
    assert browser("Kofi").get(address).status_code == 404
    assert Client().get(address).status_code == 302
    cache.clear()
    assert b"95" in ama.get(address).content


@pytest.mark.django_db
def test_a_page_with_a_form_is_not_kept(academy: None, whole_site: None) -> None:
    ama = browser("Ama")
    for _ in range(3):
        answer = ama.get("/my-courses/")
        assert "csrftoken" in answer.cookies, "the cookie is sent again each time"
        assert "Cache-Control" not in answer


@pytest.mark.django_db
def test_the_wrong_order(academy: None, settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *lab.MIDDLEWARE,
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    courses = browser("Ama").get("/my-courses/").content
    assert browser("Kofi").get("/my-courses/").content == courses
    assert Client().get("/my-courses/").content == courses, "even without signing in"
