"""What somebody sends who wants to break the API, and what comes back."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import transaction
from django.urls import include, path, re_path
from rest_framework.exceptions import NotFound, ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.views import APIView

from lab import urls
from lab.academy.models import Course, Tag
from lab.rest_apis import views
from lab.rest_apis.hostile_input import find, wrong_find
from lab.rest_apis.parsers import StrictJSONParser
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

COURSES = "/api/v1/courses/"
ENROLLMENTS = "/api/v1/enrollments/"
JSON = "application/json"
any_slug = views.CourseViewSet.as_view({"get": "retrieve", "delete": "destroy"})
urlpatterns = [  # without the lab's handlers and its rule for slugs: as Django and DRF are installed
    path("api/v1/", include(([re_path(r"^courses/(?P<slug>[^/.]+)/$", any_slug)], "v1"))),
    *urls.urlpatterns,
]


def course(**values: Any) -> bytes:
    """Return a course that may be added, with other values."""
    good = {"slug": "go", "title": "Go", "starts_on": "2026-01-01", "ends_on": "2026-02-01"}
    return json.dumps({**good, **values}).encode()


def with_seats(raw: bytes) -> bytes:
    """Return a course whose seats are these bytes."""
    return course(seats="?").replace(b'"?"', raw)


def nested(depth: int) -> bytes:
    """Return lists in lists."""
    return b"[" * depth + b"]" * depth


def unsigned() -> str:
    """Return a token of the user 1 that claims to need no signature."""
    parts: list[dict[str, Any]] = [
        {"alg": "none", "typ": "JWT"},
        {"user_id": "1", "token_type": "access", "exp": 4102444800, "jti": "1"},
    ]
    return ".".join(
        [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts] + [""]
    )


@dataclass
class Attack:
    """One request, its name, and the status that it gets from the lab and from DRF alone."""

    name: str
    lab: int
    alone: int
    method: str = "POST"
    path: str = COURSES
    body: Any = b""
    type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    who: str = "teacher"
    # Where SQLite and MariaDB take what PostgreSQL refuses.
    elsewhere: int = 0


ATTACKS = [
    Attack("no JSON: `{\"title\": `", 400, 400, body=b'{"title": '),
    Attack("no object: `[]`", 400, 400, body=b"[]"),
    Attack("no object: `null`", 400, 400, body=b"null"),
    Attack("not UTF-8: `é` in Latin-1", 400, 400, body='{"title": "é"}'.encode("latin-1")),
    Attack("UTF-16, and said so", 400, 201, body=course().decode().encode("utf-16"), type=JSON + "; charset=utf-16"),
    Attack("a compression as charset", 400, 400, body=b"BZh9", type=JSON + "; charset=bz2_codec"),
    Attack("a member twice", 400, 201, body=course().replace(b"{", b'{"slug": "first", ', 1)),
    Attack("`NaN`", 400, 400, body=with_seats(b"NaN")),
    Attack("`1e400`, which Python reads as infinity", 400, 400, body=with_seats(b"1e400")),
    Attack("an integer of 5,000 digits", 400, 400, body=with_seats(b"9" * 5000)),
    Attack("an integer of 31 digits", 400, 400, body=with_seats(b"1" + b"0" * 30)),
    Attack("a wrong type in each field", 400, 400,
           body=course(title=["x"], seats={}, level=[1], tags="x", starts_on=5)),
    Attack("a title of 100,000 letters", 400, 400, body=course(title="x" * 100_000)),
    Attack("3 MB of a title", 413, 400, body=course(title="x" * 3_000_000)),
    Attack("`[` 100,000 times", 400, 500, body=b"[" * 100_000),
    Attack("900 lists in each other as tags", 400, 500, body=course(tags="?").replace(b'"?"', nested(900))),
    Attack("500,000 tags", 400, 400, body=course(tags=["x"] * 500_000)),
    Attack(r"`\u0000` in the title", 400, 400, body=course(title="a\0b")),
    Attack(r"`\u0000` in a tag", 400, 500, body=course(tags=["a\0b"]), elsewhere=400),
    Attack(r"`\u0000` in the course to join", 400, 500,
           path=ENROLLMENTS, body=b'{"course": "a\\u0000"}', who="ama", elsewhere=400),
    Attack("`%00` in the path", 404, 500, "GET", COURSES + "a%00b/", elsewhere=404),
    Attack("`%00` in `?search=`", 400, 400, "GET", COURSES + "?search=a%00b", who=""),
    Attack(r"`\000` in the session's cookie", 400, 500, "GET",
           headers={"Cookie": 'sessionid="aaaaaaaa\\000"'}, who="", elsewhere=200),
    Attack(r"`\ud800`, half a character, in the title", 400, 400, body=course(title="\ud800")),
    Attack(r"`\ud800` in a tag", 400, 400, body=course(tags=["\ud800"])),
    Attack("XML", 415, 415, body=b"<course/>", type="application/xml"),
    Attack("a number of 30 digits as id", 404, 404, "GET", ENROLLMENTS + "9" * 30 + "/", who="ama"),
    Attack("the enrollment of somebody else", 404, 404, "DELETE", ENROLLMENTS + "{kofi}/", who="ama"),
    Attack("a line break in the path", 404, 404, "GET", ENROLLMENTS + "a%0d%0aSet-Cookie:%20a=b/", who="ama"),
    Attack("`X-HTTP-Method-Override: DELETE`", 405, 405,
           path=COURSES + "python/", body=b"{}", headers={"X-HTTP-Method-Override": "DELETE"}),
    Attack("a token that nobody signed", 401, 401, "GET", headers={"Authorization": f"Bearer {unsigned()}"}, who=""),
    Attack("bytes that are no token", 401, 401, "GET", headers={"Authorization": "Bearer \xff.\xfe.\xfd"}, who=""),
    Attack("a password of 2 MB", 401, 401, path="/api/v1/token/", who="",
           body=json.dumps({"email": "ama@example.com", "password": "x" * 2_000_000}).encode()),
    Attack("the name of another host", 400, 400, "GET", headers={"Host": "evil.example"}, who=""),
]  # fmt: skip

LEAKS = (
    "Traceback",
    "Error at",
    "psycopg",
    "pymysql",
    "sqlite",
    "SELECT",
    "site-packages",
    "/lab/",
    "sys.",
    "academy_",
)


def send(people: People, attack: Attack) -> tuple[Any, bool]:
    """Send an attack; return the answer, and whether anything was written, which is undone."""
    cache.clear()  # the throttle is not the subject
    user = getattr(people, attack.who) if attack.who else None
    client = people.client(user)
    client.raise_request_exception = False
    at = attack.path.format(kofi=people.kofi.learner.enrollments.earliest("pk").pk)
    with transaction.atomic():
        before = rows()
        answer = client.generic(attack.method, at, attack.body, attack.type, headers=attack.headers)
        written = rows() != before
        transaction.set_rollback(True)
    return answer, written


def rows() -> dict[str, int]:
    """Return how many rows each table has."""
    return {model.__name__: model._default_manager.count() for model in apps.get_models()}


def says(answer: Any) -> str:
    """Return what an answer says, for a table."""
    body = json.loads(answer.content) if "json" in answer["Content-Type"] else {}
    errors = [f"`{e.get('pointer') or e['parameter']}` {e['code']}" for e in body.get("errors", [])]
    return "; ".join(errors) or body.get("detail", "")


@pytest.fixture
def as_installed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take away what the lab adds: its parser, its exception handler and its handlers of errors."""

    def take_away() -> None:
        monkeypatch.setattr(APIView, "parser_classes", [JSONParser])
        own = {"EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, **own}
        settings.ROOT_URLCONF = __name__

    return take_away


@pytest.mark.databases
def test_every_attack_is_answered(
    people: People, database: str, record: Recorder, as_installed: Callable[[], None]
) -> None:
    answers = [send(people, attack) for attack in ATTACKS]
    for attack, (answer, written) in zip(ATTACKS, answers, strict=True):
        wanted = (attack.lab if database == "postgresql" else attack.elsewhere) or attack.lab
        assert answer.status_code == wanted, (attack.name, answer.content[:300])
        assert not written, attack.name
        if wanted != 200:
            assert answer["Content-Type"] == "application/problem+json", attack.name
            assert json.loads(answer.content)["status"] == wanted, attack.name
        assert not [leak for leak in LEAKS if leak in answer.content.decode()], (attack.name, answer.content[:300])
        assert len(answer.content) < 3000, attack.name
    as_installed()
    lines = ["| What is sent | DRF alone | The lab | It says |", "| --- | --- | --- | --- |"]
    for attack, (mended, _) in zip(ATTACKS, answers, strict=True):
        alone, _ = send(people, attack)
        wanted = (attack.alone if database == "postgresql" else attack.elsewhere) or attack.alone
        assert alone.status_code == wanted, (attack.name, alone.content[:300])
        mark = f"**{alone.status_code}**" if alone.status_code != mended.status_code else alone.status_code
        assert ("sys.set_int" in alone.content.decode()) == (attack.name == "an integer of 5,000 digits")
        lines.append(f"| {attack.name} | {mark} | {mended.status_code} | {says(mended)} |")
    if database == "postgresql":
        record("hostile_input.md", "\n".join(lines))


@pytest.mark.databases
def test_each_tag_of_a_list_is_a_query(people: People, as_installed: Callable[[], None]) -> None:
    as_installed()
    body: Any = course(tags=[Tag.objects.all()[0].name] * 1000)
    assert len(body) // 1000 == 11
    with queries() as sent:
        assert people.client(people.teacher).generic("POST", COURSES, body, JSON).status_code == 201
    assert sum("academy_tag" in statement and "= 'backend'" in statement for statement in sent.statements) == 1000


def test_a_stranger_does_not_make_the_server_parse(people: People) -> None:
    assert len(ATTACKS) == 34
    for attack in ATTACKS:
        if attack.path == COURSES and attack.method == "POST":
            assert send(people, replace(attack, who=""))[0].status_code == 401


@pytest.mark.databases
def test_a_list_of_the_longest_length_is_taken(people: People) -> None:
    tag = Tag.objects.all()[0].name
    client = people.client(people.teacher)
    assert client.post(COURSES, json.loads(course(tags=[tag] * 101))).status_code == 400
    assert client.post(COURSES, json.loads(course(tags=[tag] * 100))).status_code == 201
    assert [found.name for found in Course.objects.get(slug="go").tags.all()] == [tag]


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_body_that_is_too_large_is_answered_on_the_wire(wire: Callable[..., Exchange]) -> None:
    body = '{"email": "' + "x" * 3_000_000 + '"}'
    answer = wire("POST", "/api/v1/token/", {"Content-Type": "application/json"}, body)
    assert (answer.status, answer.headers("Content-Type")) == (413, ["application/problem+json"])


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_no_header_comes_out_of_a_path(wire: Callable[..., Exchange]) -> None:
    answer = wire("GET", ENROLLMENTS + "a%0d%0aSet-Cookie:%20a=b")
    assert answer.status == 301
    assert answer.headers("Location") == [ENROLLMENTS + "a%0D%0ASet-Cookie:%20a%3Db/"]
    assert answer.headers("Set-Cookie") == []


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("charset", ["undefined", "rot13", "hex"])
def test_a_charset_that_is_none_fails_before_django_answers(wire: Callable[..., Exchange], charset: str) -> None:
    answer = wire("GET", COURSES + "?level=beginner", {"Content-Type": f"text/plain; charset={charset}"})
    assert (answer.status, answer.headers("Content-Type")) == (500, ["text/plain"])
    assert "server error occurred" in answer.body, "by wsgiref, and not by handler500"
    assert wire("GET", COURSES, {"Content-Type": "text/plain; charset=nonsense"}).status == 200


@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/rest_apis/hostile_input.py:wrong_find")
def test_a_lookup_by_unchecked_text(people: People, session: Callable[..., None]) -> None:
    session("hostile_input_find.pycon", wrong_find=wrong_find, find=find)
    with pytest.raises(TypeError):
        wrong_find([])  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        find([])  # type: ignore[arg-type]


@pytest.mark.databases
def test_a_lookup_by_checked_text(academy: None) -> None:
    values: tuple[Any, ...] = ("python\0", "\ud800", 5, None, [], {}, "x" * 10_000, "nothing")
    for value in values:
        with pytest.raises((ValidationError, NotFound)):
            find({"slug": value})
    assert find({"slug": "python"}).title == "Python"
    assert wrong_find({"slug": "python"}).title == "Python"
    with pytest.raises(NotFound):
        wrong_find({"slug": "nothing"})


PARSED = [
    (b'{"a": [1, 2.5, true, null, "\xc3\xa9"]}', {"a": [1, 2.5, True, None, "é"]}),
    (b"[" * 10 + b"]" * 10, [[[[[[[[[[]]]]]]]]]]),
    (b"1", 1),
    (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
]
REFUSED = [
    (b"[" * 11 + b"]" * 11, "deeply"),
    (b"[" * 100_000, "deeply"),
    (b'{"a": {"b": 1, "b": 1}}', "twice"),
    (b"[" + b"1," * 100 + b"1]", "many"),
    (json.dumps({str(number): 1 for number in range(101)}).encode(), "many"),
    (b'[["a\\u0000"]]', "null character"),
    (b'{"a\\u0000": 1}', "null character"),
    (b"-Infinity", "JSON"),
    (b"\xef\xbb\xbf1", "JSON"),
    (b"", "JSON"),
]


@pytest.mark.parametrize(("raw", "data"), PARSED)
def test_what_the_parser_takes(raw: bytes, data: Any) -> None:
    assert StrictJSONParser().parse(io.BytesIO(raw)) == data


@pytest.mark.parametrize(("raw", "reason"), REFUSED)
def test_what_the_parser_refuses(raw: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        StrictJSONParser().parse(io.BytesIO(raw))
