"""Parts of pages that are kept: what is saved, what is in the key, and who gets whose."""

from __future__ import annotations

import time
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.utils import make_template_fragment_key
from django.template import Engine, TemplateSyntaxError, engines
from django.template.loader import render_to_string
from django.template.loaders.cached import Loader
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from lab.academy.models import Course, Learner, Lesson, User
from lab.caching.fragment_caching import forget_popular
from tests.lab.marks import recorded_on_5_2
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings
    from redis import Redis

    from tests.recording.files import Recorder

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.databases("postgresql"),
    pytest.mark.urls("lab.caching.fragment_caching"),
]
LOCAL = "django.core.cache.backends.locmem.LocMemCache"


def browser(name: str) -> Client:
    """Return the client of a learner who has signed in."""
    client = Client()
    client.force_login(User.objects.get(first_name=name))
    return client


def rendered(source: str, **context: Any) -> str:
    """Return what a template makes."""
    template = engines["django"].from_string("{% load cache %}" + source)
    return str(template.render(context))


# What is saved


def test_a_page_with_a_fragment(academy: None, session: Callable[..., None]) -> None:
    session("fragment_caching_page.pycon", ama=browser("Ama"), kofi=browser("Kofi"), queries=queries)


def asked(where: str, times: int) -> int:
    """Return how many queries so many requests need."""
    with queries() as sent:
        for _ in range(times):
            assert b"learners" in Client().get(where).content
    return len(sent.statements)


@pytest.mark.wrong("lab/caching/fragment_caching.py:wrong_eager")
def test_a_query_that_runs_before_the_template(academy: None, record: Recorder) -> None:
    numbers = {"`list(most_joined(level))`": asked("/wrong-popular/beginner/", 100)}
    cache.clear()
    numbers["`most_joined(level)`"] = asked("/popular/beginner/", 100)
    head = "| The view hands over | Queries of 100 requests |\n| --- | ---: |\n"
    record("fragment_caching_lazy.md", head + "\n".join(f"| {name} | {count} |" for name, count in numbers.items()))
    assert list(numbers.values()) == [100, 1]


@pytest.mark.parametrize(
    "before", ["{% if courses %}{% endif %}", "{{ courses|length }}", "{% for each in courses %}{% endfor %}"]
)
def test_a_template_that_asks_before_the_fragment(academy: None, before: str) -> None:
    source = before + "{% cache 60 titles %}{% for course in courses %}{{ course }}{% endfor %}{% endcache %}"
    rendered(source, courses=Course.objects.all())
    with queries() as sent:
        rendered(source, courses=Course.objects.all())
    assert len(sent.statements) == 1


def test_a_function_waits_too(academy: None) -> None:
    source = "{% cache 60 titles %}{{ titles }}{% endcache %}"
    calls = []
    for _ in range(3):
        rendered(source, titles=lambda: calls.append(1))
    assert calls == [1]


# Whose fragment it is


@pytest.mark.wrong(
    "lab/caching/templates/caching/wrong_progress.html:wrong_progress",
    "lab/caching/templates/caching/wrong_name.html:wrong_name",
)
def test_kofi_reads_the_fragment_of_ama(academy: None, session: Callable[..., None]) -> None:
    people = {name.lower(): Learner.objects.get(name=name) for name in ("Ama", "Kofi")}
    session("fragment_caching_leak.pycon", render_to_string=render_to_string, cache=cache, **people)
    cache.clear()
    session("fragment_caching_right.pycon", render_to_string=render_to_string, **people)


def test_a_timeout_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TemplateSyntaxError, match="non-integer timeout"):
        rendered("{% cache minutes progress %}{% endcache %}")


def one_entry(first: Callable[[], str], second: Callable[[], str]) -> str:
    """Say whether the second gets what the first has kept."""
    cache.clear()
    return "the same" if first() == second() else "another"


@recorded_on_5_2("6.1 tells two arguments from one with a colon")
def test_what_is_in_the_key(record: Recorder) -> None:
    def show(stamp: str, source: str = "{% cache 60 part a b %}{{ stamp }}{% endcache %}", **context: Any) -> str:
        return rendered(source, stamp=stamp, **{"a": 1, "b": 2, **context})

    def other_language() -> str:
        with override("de"), timezone.override("Africa/Nairobi"):
            return show("2")

    other = "<p>{% cache 60 part a b %}{{ stamp }}{% endcache %}"
    rows = {
        "another argument": one_entry(lambda: show("1"), lambda: show("2", b=3)),
        "the arguments in another order": one_entry(lambda: show("1"), lambda: show("2", a=2, b=1)),
        "`7` and `“7”`": one_entry(lambda: show("1", a=7), lambda: show("2", a="7")),
        "`“x:y”` and nothing; `“x”` and `“y:”`": one_entry(
            lambda: show("1", a="x:y", b=""), lambda: show("2", a="x", b="y:")
        ),
        "a variable that does not exist, and empty text": one_entry(
            lambda: show("1", "{% cache 60 part a.x b %}{{ stamp }}{% endcache %}"), lambda: show("2", a="")
        ),
        "another language or time zone": one_entry(lambda: show("1"), other_language),
        "another template, the same name": one_entry(lambda: show("1"), lambda: show("2", other).removeprefix("<p>")),
    }
    head = "| What differs | The second gets |\n| --- | --- |\n"
    shown = {"the same": "the first one's", "another": "its own"}
    record("fragment_caching_key.md", head + "\n".join(f"| {name} | {shown[which]} |" for name, which in rows.items()))
    assert list(rows.values()) == ["another"] * 2 + ["the same"] * 5


def test_the_language_as_an_argument(academy: None) -> None:
    wrong = '{% cache 60 wrong course.pk %}{{ course.starts_on|date:"j F" }}{% endcache %}'
    course = Course.objects.get(slug="databases")
    seen = []
    for language in ("en", "de"):
        with override(language):
            right = render_to_string("caching/language.html", {"course": course}).strip()
            seen.append((right, rendered(wrong, course=course)))
    (english, kept), (german, shown) = seen
    assert english == kept == shown == "5 January", "the wrong one shows English to both"
    assert german != english


def test_what_is_kept_is_html() -> None:
    source = "{% cache 60 name %}{{ name }}{% endcache %}"
    assert rendered(source, name="<b>") == rendered(source, name="<b>") == "&lt;b&gt;"
    cache.set(make_template_fragment_key("name"), "<script>")
    assert rendered(source, name="<b>") == "<script>"


# How it ends


@recorded_on_5_2("the hash is made otherwise")
def test_a_fragment_is_deleted_by_its_name(academy: None, session: Callable[..., None]) -> None:
    names: dict[str, Any] = {"cache": cache, "make_template_fragment_key": make_template_fragment_key}
    session("fragment_caching_forget.pycon", client=Client(), forget_popular=forget_popular, **names)


def test_a_cache_of_its_own(settings: Settings) -> None:
    settings.CACHES = {
        name: {"BACKEND": LOCAL, "LOCATION": name} for name in ("default", "template_fragments", "pages")
    }
    key = make_template_fragment_key("part")
    rendered("{% cache 60 part %}1{% endcache %}")
    assert (cache.get(key), caches["template_fragments"].get(key), caches["pages"].get(key)) == (None, "1", None)
    rendered('{% cache 60 part using="pages" %}2{% endcache %}')
    assert caches["pages"].get(key) == "2"
    for name in settings.CACHES:
        caches[name].clear()


def test_fragments_in_a_fragment(academy: None, session: Callable[..., None]) -> None:
    names: dict[str, Any] = {"Course": Course, "queries": queries, "render_to_string": render_to_string}
    session("fragment_caching_nested.pycon", **names)
    course = Course.objects.get(slug="python")
    Lesson.objects.create(course=course, position=99, title="One more")
    context = {"courses": Course.objects.filter(pk=course.pk), "version": 3}
    assert f"{course.lessons.count()} lessons" not in render_to_string("caching/nested.html", context)


@pytest.mark.services
def test_the_trips_of_nested_fragments(academy: None, server: Redis) -> None:
    context = {"courses": Course.objects.filter(published=True)}
    render_to_string("caching/nested.html", {**context, "version": 1})
    before = server.info("commandstats")["cmdstat_get"]["calls"]
    render_to_string("caching/nested.html", {**context, "version": 2})
    assert server.info("commandstats")["cmdstat_get"]["calls"] - before == 1 + 9


def test_compiled_templates_are_another_cache() -> None:
    loaders = Engine.get_default().template_loaders
    assert any(isinstance(loader, Loader) for loader in loaders)


# A fragment for each row

ROW = "<li>{{ course.title }}, {{ course.seats }} seats</li>"
ROWS = {
    "no cache": "{% for course in courses %}" + ROW + "{% endfor %}",
    "one fragment": "{% cache 600 list size %}{% for course in courses %}" + ROW + "{% endfor %}{% endcache %}",
    "a fragment for each row": (
        "{% for course in courses %}{% cache 600 row course.id course.title course.seats %}"
        + ROW
        + "{% endcache %}{% endfor %}"
    ),
    "the values kept, rendered anew": "{% for course in kept %}" + ROW + "{% endfor %}",
}


def measure_fragments(server: Redis, sizes: tuple[int, ...], times: int) -> Measurement:
    """Return how long a list takes in each of four ways."""
    first = Course.objects.get(slug="python")
    day = {"starts_on": first.starts_on, "ends_on": first.ends_on}
    Course.objects.bulk_create(Course(title=f"Course {n}", slug=f"course-{n}", **day) for n in range(max(sizes)))
    templates = {name: engines["django"].from_string("{% load cache %}" + source) for name, source in ROWS.items()}
    lines: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        taken: dict[str, list[float]] = {name: [] for name in ROWS}
        pages = set()

        def kept(size: int = size) -> Any:
            courses = Course.objects.order_by("pk")[:size].values("id", "title", "seats")
            return cache.get_or_set(f"values:{size}", lambda: list(courses), timeout=600)

        for run in range(times + 3):
            for name, template in templates.items():
                start = time.perf_counter()
                courses = Course.objects.order_by("pk")[:size].values("id", "title", "seats")
                pages.add(template.render({"courses": courses, "kept": kept, "size": size}))
                if run >= 3:
                    taken[name].append(1000 * (time.perf_counter() - start))
        assert len(pages) == 1
        for name, each in taken.items():
            lines.setdefault(name, []).append((size, round(median(each), 3)))
    return Measurement(
        title="A list on a page",
        description="One fragment wins; a fragment for each row is the slowest, because each is a trip to the cache.",
        x="rows of the list",
        y="time (ms)",
        versions={
            "Django": version("django"),
            "redis-py": version("redis"),
            "Valkey": str(server.info("server")["valkey_version"]),
        },
        lines=lines,
        log_x=True,
        log_y=True,
    )


@pytest.mark.services
@pytest.mark.measures("fragments")
def test_the_time_of_fragments(
    academy: None, server: Redis, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    recorded = measured("fragments.json", lambda: measure_fragments(server, (1, 10, 100, 1000), 20))
    plain, one, each, values = (dict(line) for line in recorded.lines.values())
    assert each[1000] > 5 * plain[1000]
    assert plain[1000] > 3 * one[1000]
    assert plain[1000] > values[1000] > plain[1000] / 3, "what costs here is the template"


@pytest.mark.services
def test_the_trips_of_the_four_ways(academy: None, server: Redis) -> None:
    assert set(measure_fragments(server, (3,), 1).lines) == set(ROWS)
    trips = {}
    courses = Course.objects.order_by("pk")[:3].values("id", "title", "seats")
    for name, source in ROWS.items():
        before = server.info("commandstats")["cmdstat_get"]["calls"]
        rendered(source, courses=courses, kept=lambda: cache.get("values:3"), size=3)
        trips[name] = server.info("commandstats")["cmdstat_get"]["calls"] - before
    assert list(trips.values()) == [0, 1, 3, 1]
