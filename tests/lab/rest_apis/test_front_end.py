"""The API as a front end meets it: tokens, pages, other origins, and a mock of it all."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.views import TokenRefreshView

from lab.academy.models import Enrollment
from lab.rest_apis import front_end
from scripts.pages import ROOT
from scripts.services import free_port
from tests.lab.marks import recorded_on_5_2
from tests.lab.people import PASSWORD, bearer
from tests.lab.rest_apis.wire import stable
from tests.recording.diagram import draw
from tests.recording.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings
    from pytest_django.live_server_helper import LiveServer
    from time_machine import TimeMachineFixture

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

NODE = Path(sys.executable).with_name("node")
PRISM = ROOT / "node_modules/@stoplight/prism-cli/dist/index.js"
COURSES = "/api/v1/courses/"
OURS = "https://app.example"
FOREIGN = "https://foreign.example"
NOON = "2026-11-23T12:00:00Z"

needs_node = pytest.mark.skipif(not NODE.exists(), reason="Node is missing: scripts/install.sh tests")
on_the_wire = pytest.mark.django_db(transaction=True)


# The client


BEFORE = """
const [base, password] = process.argv.slice(1);
const plain = globalThis.fetch;
const log = [];
globalThis.fetch = async (url, options) => {
  const answer = await plain(url, options);
  log.push(`${options.method ?? "GET"} ${new URL(url).pathname} ${answer.status}`);
  return answer;
};
const line = () => new Promise((heard) => process.stdin.once("data", heard));
const say = (what) => console.log(JSON.stringify(what));
"""


class Script:
    """A program in Node that talks to the live server, and waits where the test tells it to."""

    def __init__(self, server: str, code: str) -> None:
        self.process = subprocess.Popen(
            [NODE, "--input-type=module", "-e", BEFORE + code, f"{server}/api/v1/", PASSWORD],
            cwd=ROOT / "lab/rest_apis",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> Any:
        """Return what the program says next."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate(timeout=10)[1])
        return json.loads(line)

    def go_on(self) -> None:
        """Let the program continue."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def script(server: str, code: str) -> Iterator[Script]:
    """Run a program, and end it with the test."""
    started = Script(server, code)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


THREE_AT_ONCE = """
import { %(kind)s as Client } from "./%(file)s";
const client = new Client(base);
await client.signIn("ama@example.com", password);
say(await client.ask("enrollments/?page_size=1").then((page) => page.count));
await line();
log.length = 0;
const done = await Promise.allSettled([1, 2, 3].map(() => client.ask("enrollments/?page_size=1")));
say([log, done.map((one) => one.value?.count ?? one.reason.status)]);
process.exit(0);
"""


@needs_node
@on_the_wire
@pytest.mark.slow
@pytest.mark.databases("postgresql")
def test_three_requests_refresh_once(
    people: People, live_server: LiveServer, time_machine: TimeMachineFixture, record: Recorder
) -> None:
    time_machine.move_to(NOON)
    with script(live_server.url, THREE_AT_ONCE % {"kind": "Academy", "file": "client.js"}) as client:
        number = client.hear()
        assert number == Enrollment.objects.filter(learner__user=people.ama).count() > 1
        time_machine.shift(6 * 60)
        client.go_on()
        log, answers = client.hear()
    assert answers == [number] * 3
    assert OutstandingToken.objects.count() == 2, "the first one, and one more"
    record("front_end_refresh.txt", counted(log))


def counted(log: list[str]) -> str:
    """Return how often each answer came."""
    return "\n".join(f"{number} x {what}" for what, number in Counter(sorted(log)).items())


@needs_node
@on_the_wire
@pytest.mark.slow
@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/rest_apis/hasty_client.js:wrong_refresh")
def test_three_refreshes_sign_out(
    people: People,
    live_server: LiveServer,
    time_machine: TimeMachineFixture,
    monkeypatch: pytest.MonkeyPatch,
    record: Recorder,
) -> None:
    time_machine.move_to(NOON)
    plain, all_here, one_by_one = TokenRefreshView.post, threading.Barrier(3, timeout=20), threading.Lock()

    def refresh(*args: Any, **kwargs: Any) -> Any:
        all_here.wait()
        with one_by_one:
            return plain(*args, **kwargs)

    with script(live_server.url, THREE_AT_ONCE % {"kind": "Hasty", "file": "hasty_client.js"}) as client:
        client.hear()
        time_machine.shift(6 * 60)
        monkeypatch.setattr(TokenRefreshView, "post", refresh)
        client.go_on()
        log, answers = client.hear()
    assert 401 in answers
    refreshes = [line for line in log if line.startswith("POST")]
    assert sorted(refreshes) == ["POST /api/v1/token/refresh/ 200", *["POST /api/v1/token/refresh/ 401"] * 2]
    record("front_end_hasty.txt", counted(refreshes))


LATE = """
import { Academy } from "./client.js";
const client = new Academy(base);
await client.signIn("ama@example.com", password);
say("ready");
await line();
log.length = 0;
const [old, inner] = [client.pair.access, globalThis.fetch];
let refused = 0;
globalThis.fetch = async (...request) => {
  const answer = await inner(...request);
  if (answer.status === 401 && refused++)
    while (client.pair.access === old) await new Promise((go) => setTimeout(go, 5));
  return answer;
};
await Promise.all([1, 2].map(() => client.ask("enrollments/")));
say(log);
process.exit(0);
"""


@needs_node
@on_the_wire
@pytest.mark.slow
@pytest.mark.databases("postgresql")
def test_a_401_that_arrives_after_the_refresh_starts_no_second_one(
    people: People, live_server: LiveServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(NOON)
    with script(live_server.url, LATE) as client:
        assert client.hear() == "ready"
        time_machine.shift(6 * 60)
        client.go_on()
        log = client.hear()
    assert Counter(line.split()[0] + line.split()[2] for line in log) == {"GET401": 2, "POST200": 1, "GET200": 2}


UNAVAILABLE = """
import { Academy } from "./client.js";
const client = new Academy(base);
await client.signIn("ama@example.com", password);
say("ready");
await line();
const inner = globalThis.fetch;
const badGateway = () => new Response("<h1>Bad Gateway</h1>", { status: 502 });
globalThis.fetch = async (url, options) =>
  new URL(url).pathname.endsWith("/refresh/") ? badGateway() : inner(url, options);
const failed = await client.ask("enrollments/").catch((problem) => problem.status);
globalThis.fetch = inner;
say([failed, (await client.ask("enrollments/")).count]);
process.exit(0);
"""


@needs_node
@on_the_wire
@pytest.mark.slow
@pytest.mark.databases("postgresql")
def test_a_refresh_that_fails_on_the_way_does_not_sign_out(
    people: People, live_server: LiveServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(NOON)
    with script(live_server.url, UNAVAILABLE) as client:
        assert client.hear() == "ready"
        time_machine.shift(6 * 60)
        client.go_on()
        assert client.hear() == [502, Enrollment.objects.filter(learner__user=people.ama).count()]


ALL = """
import { Academy } from "./client.js";
const client = new Academy(base);
const slugs = [];
for await (const course of client.all("courses/?page_size=4")) slugs.push(course.slug);
say([log, slugs]);
const refused = await client.ask("courses/nothing/").catch((problem) => problem);
say([refused.constructor.name, refused.status, refused.type, refused.message]);
await client.signIn("ama@example.com", password);
const foreign = await client.ask("http://api.example.org/accounts/?page=4").catch((error) => error.message);
say(foreign);
process.exit(0);
"""


@needs_node
@on_the_wire
@pytest.mark.slow
@pytest.mark.databases("postgresql")
def test_pages_and_problems(people: People, live_server: LiveServer) -> None:
    visible = APIClient().get(COURSES).json()["results"]
    with script(live_server.url, ALL) as client:
        log, slugs = client.hear()
        assert slugs == [course["slug"] for course in visible]
        assert log == [f"GET {COURSES} 200"] * 3
        kind, status, type_, message = client.hear()
        assert (kind, status, type_) == ("Problem", 404, "about:blank")
        assert message == "There is nothing here for you."
        assert client.hear().startswith("not ours:")


def test_the_picture_of_a_refresh(record: Recorder) -> None:
    source = (ROOT / "lab/rest_apis/diagrams/front_end_refresh.dot").read_text(encoding="utf-8")
    record(
        "front_end_refresh.svg",
        draw(
            source,
            title="One refresh for all requests",
            description="A request with the access token gets 401. If there is a newer token by now, the request is "
            "sent once more. If a refresh runs already, the request waits for that one. Otherwise the client posts to "
            "/token/refresh/. On 200 it keeps both new tokens and sends the request once more; on 401 it forgets both, "
            "and the user signs in.",
        ),
    )


# Other origins


@pytest.fixture
def with_a_front_end(settings: Settings) -> None:
    """The lab as CORS_ORIGINS=https://app.example configures it."""
    settings.CORS_ALLOWED_ORIGINS = [OURS]


def cors(answer: Exchange) -> dict[str, str]:
    """Return the headers that tell a browser what a page may read."""
    head = answer.response.partition("\n\n")[0].splitlines()[1:]
    found = dict(line.split(": ", 1) for line in head)
    return {name.lower(): value for name, value in found.items() if name.lower().startswith("access-control-")}


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@on_the_wire
@pytest.mark.databases("postgresql")
def test_cors_on_the_wire(
    people: People, with_a_front_end: None, wire: Callable[..., Exchange], record: Recorder
) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    allowed = wire("OPTIONS", "/api/v1/enrollments/", {"Origin": OURS, **asks})
    record("front_end_preflight.http", stable(allowed.text))
    assert cors(allowed)["access-control-allow-origin"] == OURS
    assert cors(wire("OPTIONS", "/api/v1/enrollments/", {"Origin": FOREIGN, **asks})) == {}
    record("front_end_foreign.http", stable(wire("GET", COURSES + "python/", {"Origin": FOREIGN}).text))
    assert cors(wire("GET", COURSES, {"Origin": OURS}))["access-control-allow-origin"] == OURS
    assert cors(wire("GET", "/courses/", {"Origin": OURS})) == {}, "pages are not for other origins"


def readable(answer: Any) -> set[str]:
    """Return the headers that a script of the front end sees beyond those that every script sees."""
    named = answer.headers.get("Access-Control-Expose-Headers", "").split(", ")
    return set(named) & set(answer.headers)


def test_a_script_reads_the_headers_that_it_needs(
    people: People, with_a_front_end: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, ours = people.client(people.teacher), {"Origin": OURS}
    assert readable(teacher.get(COURSES + "python/", headers=ours)) == {"ETag"}
    lesson = {"position": 90, "title": "Questions", "minutes": 30}
    assert readable(teacher.post(COURSES + "python/lessons/", lesson, headers=ours)) == {"Location"}
    monkeypatch.setattr(UserRateThrottle, "THROTTLE_RATES", {"user": "2/day"})
    limited = teacher.get(COURSES, headers=ours)
    assert (limited.status_code, readable(limited)) == (429, {"Retry-After"})
    assert readable(APIClient().get(COURSES + "python/", headers={"Origin": FOREIGN})) == set()


@pytest.mark.parametrize("name", ["authorization", "content-type", "if-match", "if-none-match", "idempotency-key"])
def test_a_script_sends_the_headers_that_it_needs(db: None, with_a_front_end: None, name: str) -> None:
    asks = {"Origin": OURS, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": name}
    answer = APIClient().options(COURSES + "python/", headers=asks)
    assert name in answer.headers["Access-Control-Allow-Headers"].split(", ")


@pytest.mark.databases
def test_cors_keeps_nobody_out(people: People, with_a_front_end: None) -> None:
    """The server does what it is asked, and only the browser keeps the answer from a page."""
    body = {"course": "docker"}
    headers = {"Origin": FOREIGN, **bearer(people.ama)}
    answer = APIClient().post("/api/v1/enrollments/", body, headers=headers)
    assert answer.status_code == 201
    assert "Access-Control-Allow-Origin" not in answer.headers
    # A page of another origin may send a form with the session, without asking first: CSRF is what stops it.
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(people.kofi)
    form = browser.generic("POST", "/api/v1/enrollments/", "{}", "text/plain", headers={"Origin": FOREIGN})
    assert form.status_code == 403


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@on_the_wire
@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/rest_apis/front_end.py:wrong_cors")
def test_credentials_for_everybody(
    people: People, settings: Settings, wire: Callable[..., Exchange], record: Recorder, client: Any
) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS = front_end.CORS_ALLOW_ALL_ORIGINS
    anybody = cors(wire("GET", COURSES, {"Origin": FOREIGN}))
    assert (anybody["access-control-allow-origin"], "access-control-allow-credentials" in anybody) == ("*", False)
    settings.CORS_ALLOW_CREDENTIALS = front_end.CORS_ALLOW_CREDENTIALS
    client.force_login(people.ama)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    read = wire("GET", "/api/v1/enrollments/1/", {"Origin": FOREIGN, "Cookie": cookie})
    assert cors(read)["access-control-allow-origin"] == FOREIGN
    assert cors(read)["access-control-allow-credentials"] == "true"
    record("front_end_credentials.http", stable(read.text))


# A mock


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    """A server that answers what the description of the API says."""
    if not (NODE.exists() and PRISM.exists()):
        pytest.skip("Prism is missing: scripts/install.sh tests")
    port = free_port()
    started = subprocess.Popen(
        [NODE, PRISM, "mock", ROOT / "lab/rest_apis/openapi.yaml", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert started.stdout
        for line in started.stdout:
            if "is listening" in line:
                break
        else:
            raise AssertionError("Prism did not start")
        threading.Thread(target=started.stdout.read, daemon=True).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        started.kill()
        started.wait()


def plain(answer: Exchange) -> str:
    """Return an exchange with Prism without the headers that it adds for browsers."""
    return re.sub(r"(?m)^(Access-Control-[\w-]+|Date|Keep-Alive|Connection): .*\n", "", answer.text)


@pytest.mark.slow
def test_the_mock_answers_as_described(mock: str, record: Recorder) -> None:
    found = exchange(mock, "GET", COURSES + "python/")
    assert found.status == 200
    assert set(json.loads(found.body)) == {
        "slug", "title", "description", "level", "seats", "published", "starts_on", "ends_on", "tags"
    }  # fmt: skip
    record("front_end_mock.http", plain(found))
    headers = {"Content-Type": "application/json", "Authorization": "Bearer any"}
    refused = exchange(mock, "POST", COURSES, headers, '{"slug": "go", "title": ""}')
    assert refused.status == 400
    record("front_end_mock_refused.http", plain(refused))
    assert exchange(mock, "GET", "/api/v1/enrollments/").status == 401
    wanted = exchange(mock, "GET", COURSES + "python/", {"Prefer": "code=404"})
    assert (wanted.status, json.loads(wanted.body)["status"]) == (404, 404)
    catalog = json.loads(exchange(mock, "GET", COURSES).body)
    assert catalog == {"count": 1, "next": None, "previous": None, "results": [json.loads(found.body)]}
    signed_in = exchange(mock, "POST", "/api/v1/token/", headers, '{"email": "ama@example.com", "password": "x"}')
    assert json.loads(signed_in.body) == {"access": "string", "refresh": "string"}
    # It stores nothing and knows no rules: any token, any slug, and an end before the start.
    assert exchange(mock, "GET", COURSES + "nothing/").body == found.body
    backwards = '{"slug": "go", "title": "Go", "starts_on": "2026-02-01", "ends_on": "2026-01-01"}'
    assert exchange(mock, "POST", COURSES, headers, backwards).status == 201


# Conventions


def test_how_values_are_written(people: People) -> None:
    noon = datetime.datetime(2026, 1, 12, 9, 30, tzinfo=datetime.UTC)
    assert serializers.DateTimeField().to_representation(noon) == "2026-01-12T09:30:00Z"
    fee = serializers.DecimalField(max_digits=6, decimal_places=2)
    assert fee.to_representation(decimal.Decimal("49.9")) == "49.90"
    teacher = people.client(people.teacher)
    address = f"/api/v1/enrollments/{people.ama.learner.enrollments.get(course=people.python).pk}/"
    assert teacher.patch(address, {"grade": 70}).json() == {"grade": 70}
    assert teacher.patch(address, {}).json() == {"grade": 70}
    assert teacher.patch(address, {"grade": None}).json() == {"grade": None}
    assert set(teacher.get(address).json()) == {"id", "learner", "course", "enrolled_on", "grade"}
