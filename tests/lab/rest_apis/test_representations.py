"""Representations on the wire: which one, in which state, and who may change it."""

from __future__ import annotations

import csv
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIRequestFactory

from lab.academy.models import Course, Tag
from lab.rest_apis.representations import CarefulCourseViewSet
from tests.lab.django_app.test_transactions import on_disk
from tests.lab.marks import recorded_on_5_2
from tests.lab.people import bearer
from tests.lab.rest_apis.wire import sender, stable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django import Settings
    from rest_framework.test import APIClient

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Wire = Callable[..., Exchange]

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
PATIENCE = 1  # seconds that one writer waits for the other before it writes
PYTHON = "/api/v1/courses/python/"
pytestmark = pytest.mark.urls("lab.rest_apis.representations")


def kind(client: APIClient, path: str, accept: str) -> str | int:
    """Return the media type of an answer, or the status of a refusal."""
    answer = client.get(path, headers={"Accept": accept})
    return answer["Content-Type"] if answer.status_code == 200 else answer.status_code


# Which representation


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_negotiation(people: People, wire: Wire, record: Recorder) -> None:
    Course.objects.filter(slug__gt="docker").update(published=False)
    rows = wire("GET", "/catalog/", {"Accept": "text/csv"})
    assert rows.headers("Vary") == ["Accept, Cookie"]
    record("representations_csv.http", rows.text.replace("\r\n", "\n"))


@pytest.mark.databases("postgresql")
def test_the_record_of_preferences(people: People, session: Session) -> None:
    def ask(path: str, *, accept: str) -> str | int:
        return kind(people.client(), path, accept)

    session("representations_accept.pycon", kind=ask)
    session("representations_quality.pycon", kind=ask)


@pytest.mark.django_db
def test_drf_takes_the_first_it_can_make_and_ignores_q(people: People) -> None:
    client = people.client()
    for accept in ("application/json;q=0.2, text/csv", "text/csv, application/json;q=0", "*/*", "text/csv, */*;q=0.1"):
        expected = "text/csv; charset=utf-8" if accept.startswith("text/csv, */*") else "application/json"
        assert kind(client, "/catalog/", accept) == expected, accept
    for accept in ("text/html", "application/*;v=2, text/html", "application/jso"):
        assert kind(client, "/catalog/", accept) in {406, "application/json"}, accept
    assert kind(client, "/catalog/", "text/html") == 406


@pytest.mark.django_db
def test_the_other_negotiation_takes_what_the_client_prefers(people: People) -> None:
    client = people.client()
    json, rows = "application/json", "text/csv; charset=utf-8"
    for accept, expected in (
        ("application/json;q=0.2, text/csv", rows),
        ("application/json, text/csv;q=0.9", json),
        ("application/json;q=0, text/csv", rows),
        ("text/csv;q=0, */*", json),
        ("text/*;q=0.5, application/json;q=0.4", rows),
        ("*/*", json),
        ("application/json, text/csv", json),  # no preference: the server's order
        ("application/json;q=0", 406),
        ("image/png", 406),
    ):
        assert kind(client, "/fair/", accept) == expected, accept
    # Of RFC 9110, section 12.5.1, Django leaves this out: a refusal beside a range that covers it.
    assert kind(client, "/fair/", "application/json;q=0, */*;q=0.1") == json


@pytest.mark.django_db
def test_the_rows_are_those_of_the_catalog_and_errors_are_json(people: People, client: Any) -> None:
    answer = people.client().get("/catalog/", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    assert [row["slug"] for row in rows] == [course["slug"] for course in people.client().get("/catalog/").json()]
    refused = people.client().post("/catalog/", {}, headers={"Accept": "text/csv"})
    assert (refused.status_code, refused["Content-Type"]) == (405, "application/problem+json")
    assert refused.json()["title"] == "Method Not Allowed"
    assert refused["Vary"].startswith("Accept")
    assert "Accept" not in people.client().get(PYTHON)["Vary"]  # there is one representation


@pytest.mark.databases
def test_a_body_of_another_kind_is_refused_with_415(people: People) -> None:
    teacher = people.client(people.teacher)
    for body, kind_of_body in (("seats=5", "application/x-www-form-urlencoded"), ("seats,5", "text/csv")):
        answer = teacher.generic("PATCH", PYTHON, body, content_type=kind_of_body)
        assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")
    assert Course.objects.get(slug="python").seats != 5


@TOGETHER
@recorded_on_5_2("its Vary names Cookie although no cookie was read")
@pytest.mark.databases("postgresql")
def test_the_record_of_a_refused_body(people: People, wire: Wire, record: Recorder) -> None:
    headers = {**bearer(people.teacher), "Content-Type": "text/csv"}
    answer = wire("PATCH", PYTHON, headers, "seats,5")
    assert answer.status == 415
    record("representations_415.http", stable(answer.text))


@pytest.mark.databases("postgresql")
def test_the_record_of_charsets(people: People, session: Session) -> None:
    session("representations_charset.pycon", teacher=people.client(people.teacher), python=PYTHON)
    body = BytesIO(b'{"title": "Caf\xe9"}')  # the parser that comes with DRF does as the label says
    assert JSONParser().parse(body, parser_context={"encoding": "iso-8859-1"}) == {"title": "Café"}


# In which state


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_state_that_is_known(people: People, wire: Wire, record: Recorder) -> None:
    first = wire("GET", PYTHON)
    record("representations_etag.http", first.text)
    again = wire("GET", PYTHON, {"If-None-Match": first.headers("ETag")[0]})
    assert (again.status, again.body) == (304, "")
    record("representations_304.http", again.text)


@pytest.mark.databases("postgresql")
def test_the_record_of_what_304_saves(people: People, session: Session) -> None:
    names = {"CaptureQueriesContext": CaptureQueriesContext, "connection": connection}
    session("representations_bytes.pycon", client=people.client(), python=PYTHON, **names)


@pytest.mark.databases
def test_a_tag_names_the_bytes(people: People) -> None:
    client = people.client()
    tags = {client.get(PYTHON, headers={"Accept": accept})["ETag"] for accept in ("*/*", "application/json;q=0.3")}
    assert len(tags) == 1
    assert client.get(PYTHON, headers={"Accept": "application/json; indent=2"})["ETag"] not in tags


class OtherJSON(JSONRenderer):
    """The same bytes under another name."""

    media_type = "application/vnd.academy+json"


@pytest.mark.django_db
def test_a_tag_names_the_media_type_too(people: People) -> None:
    view = CarefulCourseViewSet.as_view({"get": "retrieve"}, renderer_classes=[JSONRenderer, OtherJSON])
    kinds = (JSONRenderer.media_type, OtherJSON.media_type)
    answers = [view(APIRequestFactory().get("/", headers={"Accept": kind}), slug="python") for kind in kinds]
    assert answers[0].rendered_content == answers[1].rendered_content
    assert answers[0]["ETag"] != answers[1]["ETag"]


@pytest.mark.databases
def test_compression_makes_the_tag_weak_and_if_match_impossible(people: People, settings: Settings) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    Course.objects.filter(slug="python").update(description="Snakes. " * 50)
    teacher = people.client(people.teacher)
    seen = teacher.get(PYTHON, headers={"Accept-Encoding": "gzip"})["ETag"]
    assert seen.startswith('W/"')
    assert teacher.get(PYTHON, headers={"If-None-Match": seen}).status_code == 304
    assert teacher.patch(PYTHON, {"seats": 5}, headers={"If-Match": seen}).status_code == 412


@pytest.mark.databases
def test_a_client_that_has_the_state_gets_304(people: People) -> None:
    client = people.client()
    first = client.get(PYTHON)
    tag = first["ETag"]
    assert tag.startswith('"')
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(PYTHON, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag), known
        assert again["Vary"] == first["Vary"]
        assert client.head(PYTHON, headers={"If-None-Match": known}).status_code == 304
    for other in ('"other"', tag.strip('"'), "", f'"{tag}"'):
        assert client.get(PYTHON, headers={"If-None-Match": other}).status_code == 200, other
    assert client.get(PYTHON, headers={"If-Match": '"other"'}).status_code == 412
    people.python.tags.add(Tag.objects.create(name="new"))
    assert client.get(PYTHON, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.databases
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_change_of_a_state_that_was_not_seen_is_refused(people: People, method: str) -> None:
    people.python.enrollments.all().delete()
    client = people.client(people.teacher)
    seen = client.get(PYTHON)
    body = None if method == "delete" else {**seen.json(), "seats": 5}
    change = getattr(client, method)
    Course.objects.filter(slug="python").update(seats=9)
    tag = client.get(PYTHON)["ETag"]
    assert tag != seen["ETag"]
    refused = (
        {"If-Match": seen["ETag"]},
        {"If-Match": f"W/{tag}"},  # a weak tag never matches strongly
        {"If-Match": tag.strip('"')},  # no entity tag
        {"If-Match": ""},
        {"If-None-Match": "*"},
        {"If-None-Match": f'"other", W/{tag}'},
    )
    for headers in refused:
        answer = change(PYTHON, body, headers=headers)
        assert (answer.status_code, answer["Content-Type"]) == (412, "application/problem+json"), headers
        assert answer.json()["title"] == "Precondition Failed"
    assert Course.objects.get(slug="python").seats == 9
    answer = change(PYTHON, body, headers={"If-Match": f'"other", {tag}'})
    assert answer.status_code == (204 if method == "delete" else 200)


@pytest.mark.databases
def test_star_matches_any_state_and_no_condition_asks_nothing(people: People) -> None:
    client = people.client(people.teacher)
    assert client.patch(PYTHON, {"seats": 5}, headers={"If-Match": "*"}).status_code == 200
    assert client.patch(PYTHON, {"seats": 6}).status_code == 200


@pytest.mark.databases
def test_the_tag_of_a_patch_is_that_of_the_next_get(people: People) -> None:
    client = people.client(people.teacher)
    answer = client.patch(PYTHON, {"seats": 5, "starts_on": "2026-01-01", "title": " Snakes ", "tags": []})
    assert answer["ETag"] == client.get(PYTHON)["ETag"]
    assert "ETag" not in client.put(PYTHON, client.get(PYTHON).json())


@pytest.mark.databases
def test_permission_and_visibility_come_before_the_condition(people: People) -> None:
    headers = {"If-Match": '"other"'}
    assert people.client(people.kofi).patch(PYTHON, {"seats": 5}, headers=headers).status_code == 403
    assert people.client().patch(PYTHON, {"seats": 5}, headers=headers).status_code == 401
    Course.objects.filter(slug="python").update(published=False)
    assert people.client(people.kofi).patch(PYTHON, {"seats": 5}, headers=headers).status_code == 404
    # and the condition before the body
    assert people.client(people.teacher).patch(PYTHON, {"seats": 0}, headers=headers).status_code == 412
    assert people.client(people.teacher).patch(PYTHON, {"seats": 0}).status_code == 400


# Two editors


@pytest.mark.databases("postgresql")
def test_the_record_of_a_lost_update(people: People, session: Session) -> None:
    ama, kofi = people.client(people.teacher), people.client(people.teacher)
    session("representations_lost.pycon", ama=ama, kofi=kofi)


@pytest.mark.wrong("lab/rest_apis/representations.py:wrong_plain")
@pytest.mark.databases
def test_the_last_writer_wins(people: People) -> None:
    teacher = people.client(people.teacher)
    seen = teacher.get("/plain/python/").json()
    assert "ETag" not in teacher.get("/plain/python/")
    assert teacher.put("/plain/python/", {**seen, "title": "First"}).status_code == 200
    # A condition that nobody checks is not a condition.
    answer = teacher.put("/plain/python/", {**seen, "seats": 40}, headers={"If-Match": '"other"'})
    assert answer.status_code == 200
    assert Course.objects.get(slug="python").title == seen["title"]


@TOGETHER
@recorded_on_5_2("its Vary names Cookie although no cookie was read")
@pytest.mark.databases("postgresql")
def test_the_record_of_a_refused_change(people: People, wire: Wire, record: Recorder) -> None:
    headers = sender(people.teacher)
    seen = wire("GET", PYTHON).headers("ETag")[0]
    first = wire("PATCH", PYTHON, {**headers, "If-Match": seen}, '{"title": "Python from scratch"}')
    assert first.status == 200
    second = wire("PATCH", PYTHON, {**headers, "If-Match": seen}, '{"seats": 40}')
    assert second.status == 412
    record("representations_412.http", stable(second.text))


def race(people: People, path: str, *bodies: dict[str, Any]) -> list[int]:
    """Send changes of the same state at once, each from a thread; return their statuses, sorted.

    Each waits before it writes until all are there, or gives up when a lock keeps the others away.
    """
    headers = {"If-Match": people.client(people.teacher).get(path)["ETag"]}
    meeting = threading.Barrier(len(bodies))

    def meet(**_: object) -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(PATIENCE)

    def change(body: dict[str, Any]) -> int:
        client = people.client(people.teacher)
        client.raise_request_exception = False  # answer as a server would
        try:
            return int(client.patch(path, body, headers=headers).status_code)
        finally:
            connection.close()

    pre_save.connect(meet, sender=Course)
    try:
        with ThreadPoolExecutor(len(bodies)) as pool:
            return sorted(pool.map(change, bodies))
    finally:
        pre_save.disconnect(meet, sender=Course)


BODIES: tuple[dict[str, Any], ...] = ({"title": "Python from scratch"}, {"seats": 40})


@TOGETHER
@pytest.mark.wrong("lab/rest_apis/representations.py:wrong_condition")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_check_before_the_lock_lets_both_through(people: People) -> None:
    assert race(people, "/checked/python/", *BODIES) == [200, 200]
    course = Course.objects.get(slug="python")
    # Different fields, and still one change is gone: save() writes all columns.
    assert (course.title == "Python from scratch") != (course.seats == 40)


@pytest.mark.databases
def test_the_check_before_the_lock_works_for_one_after_the_other(people: People) -> None:
    teacher = people.client(people.teacher)
    seen = {"If-Match": teacher.get("/checked/python/")["ETag"]}
    answers = [teacher.patch("/checked/python/", body, headers=seen).status_code for body in BODIES]
    assert answers == [200, 412]
    assert teacher.patch("/checked/none/", {}, headers=seen).status_code == 412


@TOGETHER
@pytest.mark.urls("lab.urls")
@pytest.mark.databases
def test_a_check_under_the_lock_lets_one_through(people: People, tmp_path: Path) -> None:
    with on_disk(tmp_path / "db.sqlite3"):
        refused = 503 if connection.vendor == "sqlite" else 412  # no row locks: "database is locked"
        assert race(people, PYTHON, *BODIES) == [200, refused]
        course = Course.objects.get(slug="python")
        assert (course.title == "Python from scratch") != (course.seats == 40)


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_without_a_condition_the_lock_keeps_both_changes(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.rest_apis.representations.ConditionalMixin.check", lambda *_: None)
    assert race(people, PYTHON, *BODIES) == [200, 200]
    course = Course.objects.get(slug="python")
    assert (course.title, course.seats) == ("Python from scratch", 40)


@pytest.mark.databases("postgresql")
def test_the_record_of_a_change_without_a_condition(people: People, session: Session) -> None:
    session("representations_required.pycon", teacher=people.client(people.teacher))


@pytest.mark.databases
def test_nothing_changes_unseen(people: People) -> None:
    people.python.enrollments.all().delete()
    teacher = people.client(people.teacher)
    path = "/careful/python/"
    for answer in (teacher.patch(path, {"seats": 5}), teacher.delete(path), teacher.put(path, {})):
        assert (answer.status_code, answer.json()["title"]) == (428, "Precondition Required")
    seen = teacher.get(path)
    assert seen.status_code == 200
    answer = teacher.patch(path, {"seats": 5}, headers={"If-Match": seen["ETag"]})
    assert answer.status_code == 200
    assert teacher.delete(path, headers={"If-Match": seen["ETag"]}).status_code == 412
    assert teacher.delete(path, headers={"If-Match": answer["ETag"]}).status_code == 204
