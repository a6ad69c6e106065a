"""What Django's templates escape, what they leave alone, what they hide and what they cost."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import django
import pytest
from bs4 import BeautifulSoup
from django import forms
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.template import Context, Engine, Library, TemplateSyntaxError, engines
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.html import format_html

from lab.academy.models import Course, User
from lab.academy.seed import seed
from lab.django_app import templates
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django import Settings

    from tests.recording.files import Recorder

    Session = Callable[..., None]

ATTACK = "<script>steal()</script>"


def rendered(name: str, **context: Any) -> str:
    """Return one of the page's templates, rendered, without the lines of its marks."""
    return render_to_string(f"django_app/{name}.html", context).strip()


def elements(html: str, name: str) -> list[Any]:
    """Return the elements of a kind that a browser would find."""
    return BeautifulSoup(html, "html.parser").find_all(name)


def get(view: Callable[..., Any], *args: Any) -> str:
    """Return the page that a view makes for an anonymous visitor."""
    return str(view(RequestFactory().get("/"), *args).content.decode())


@pytest.mark.databases("postgresql")
def test_a_page_fills_the_blocks_of_the_base(academy: None, record: Recorder) -> None:
    page = get(templates.syllabus, "databases")
    lines = [line for line in page.splitlines() if line.strip()]
    record("templates_syllabus.txt", "\n".join(lines))
    found = BeautifulSoup(page, "html.parser")
    assert found.title is not None
    assert found.title.string == "Databases | Academy"
    assert [element.get_text() for element in found.select("aside.info")] == ["Starts on Jan. 5, 2026."]
    course = Course.objects.get(slug="databases")
    assert len(found.select("li")) == course.lessons.count() > 1
    assert f"{course.seats - course.enrollments.count()} seats left" in page


@pytest.mark.databases
def test_a_page_asks_for_the_course_its_lessons_and_its_seats(academy: None) -> None:
    with queries() as sent:
        get(templates.syllabus, "databases")
    assert len(sent.statements) == 3


def test_an_empty_loop_says_so(academy: None) -> None:
    Course.objects.get(slug="databases").lessons.all().delete()
    page = get(templates.syllabus, "databases")
    assert [element.get_text() for element in elements(page, "li")] == ["No lessons yet"]


def test_a_fragment_sees_only_what_it_is_given(academy: None) -> None:
    whole, alone = "{% include 'django_app/_seats.html' %}", "{% include 'django_app/_seats.html' with other=1 only %}"
    assert engines["django"].from_string(whole).render({"left": 5}).strip() == "<p>5 seats left</p>"
    assert engines["django"].from_string(alone).render({"left": 5}).strip() == "<p> seat left</p>"


@pytest.mark.parametrize(("only", "given"), [("", True), ("only", False)])
def test_only_takes_the_request_and_the_token_away_too(only: str, *, given: bool) -> None:
    fragment = engines["django"].from_string("{% csrf_token %}{{ request.path }}")
    page = engines["django"].from_string(f"{{% include fragment {only} %}}")
    html = page.render({"fragment": fragment}, RequestFactory().get("/"))
    assert ("csrfmiddlewaretoken" in html) == html.endswith("/") == given


def test_a_library_is_loaded_in_each_file_that_uses_it() -> None:
    with pytest.raises(TemplateSyntaxError, match=r"Invalid block tag.*'duration'"):
        engines["django"].from_string(
            "{% extends 'django_app/syllabus.html' %}{% block title %}{% duration 5 %}{% endblock %}"
        )


def test_a_title_is_escaped_in_text_and_in_an_attribute(record: Recorder) -> None:
    page = rendered("title", course=Course(title=ATTACK))
    record("templates_title.txt", page)
    assert elements(page, "script") == []
    [heading] = elements(page, "h1")
    assert heading.get_text() == heading["title"] == ATTACK


@pytest.mark.wrong("lab/django_app/templates/django_app/wrong_title.html:wrong_title")
def test_a_title_called_safe_is_a_script(record: Recorder) -> None:
    page = rendered("wrong_title", course=Course(title=ATTACK))
    record("templates_wrong_title.txt", page)
    [script] = elements(page, "script")
    assert script.string == "steal()"


@pytest.mark.wrong("lab/django_app/templates.py:wrong_badge")
def test_marking_as_safe_is_a_script_and_formatting_is_not(session: Session) -> None:
    session("templates_badge.pycon", Course=Course, badge=templates.badge, wrong_badge=templates.wrong_badge)
    course = Course(title=ATTACK)
    show = engines["django"].from_string("{{ badge }}")
    assert len(elements(show.render({"badge": templates.wrong_badge(course)}), "script")) == 1
    page = show.render({"badge": templates.badge(course)})
    assert elements(page, "script") == []
    assert elements(page, "b")[0].get_text() == ATTACK


def test_formatting_a_text_that_is_complete_escapes_nothing() -> None:
    if django.VERSION < (6, 0):
        with pytest.warns(DeprecationWarning, match="without passing args"):
            assert format_html(f"<b>{ATTACK}</b>") == f"<b>{ATTACK}</b>"
    else:
        with pytest.raises(TypeError):
            format_html(f"<b>{ATTACK}</b>")


@pytest.mark.wrong("lab/django_app/templates/django_app/wrong_search.html:wrong_search")
def test_a_value_without_quotes_brings_attributes_along(record: Recorder) -> None:
    query = "x autofocus onfocus=steal()"
    page = rendered("wrong_search", query=query)
    record("templates_wrong_search.txt", page)
    [field] = elements(page, "input")
    assert field.attrs == {"name": "q", "value": "x", "autofocus": "", "onfocus": "steal()"}
    page = rendered("search", query=query)
    record("templates_search.txt", page)
    [field] = elements(page, "input")
    assert field.attrs == {"name": "q", "value": query}


def test_escaping_does_not_look_into_addresses() -> None:
    page = engines["django"].from_string('<a href="{{ address }}">site</a>').render({"address": "javascript:steal()"})
    assert elements(page, "a")[0]["href"] == "javascript:steal()"
    with pytest.raises(ValidationError, match="Enter a valid URL"):
        models.URLField().run_validators("javascript:steal()")
    with pytest.raises(ValidationError, match="Enter a valid URL"):
        forms.URLField(assume_scheme="https").clean("javascript:steal()")


def test_the_text_of_a_simple_tag_is_escaped() -> None:
    library = Library()
    library.simple_tag(lambda: "<b>new</b>", name="new")
    engine = Engine()
    engine.template_builtins.append(library)
    assert engine.from_string("{% new %}").render(Context()) == "&lt;b&gt;new&lt;/b&gt;"


def test_a_child_is_its_blocks_and_nothing_else() -> None:
    text = "{% extends 'django_app/base.html' %}lost{% block content %}kept{% endblock %}"
    page = engines["django"].from_string(text).render()
    assert "kept" in page
    assert "lost" not in page


def test_who_writes_a_template_reads_what_the_page_does_not_show(academy: None) -> None:
    user = User.objects.create_user("efua@example.org", "six loud drums")
    page = engines["django"].from_string("{{ course.teacher.password }}").render({"course": Course(teacher=user)})
    assert page == user.password


def test_data_for_a_script_arrives_as_data(record: Recorder) -> None:
    facts = {"title": "</script><script>steal()"}
    page = rendered("script", facts=facts)
    record("templates_script.txt", page)
    data, code = elements(page, "script")
    assert json.loads(data.string) == facts
    assert "steal" not in code.string
    html = engines["django"].from_string("<script>const title = '{{ title }}'</script>").render({"title": "R&D"})
    assert elements(html, "script")[0].string == "const title = 'R&amp;D'"


def test_what_a_block_tag_frames_is_escaped_once() -> None:
    text = "{% load academy %}{% callout kind %}{{ title }}{% endcallout %}"
    page = engines["django"].from_string(text).render({"kind": '"onclick="steal()', "title": ATTACK})
    [frame] = elements(page, "aside")
    assert frame.attrs == {"class": ['"onclick="steal()']}
    assert frame.get_text() == ATTACK


def test_every_template_escapes_whatever_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text("Welcome to {{ title }}", encoding="utf-8")
    engine = Engine(dirs=[str(tmp_path)])
    assert engine.render_to_string("mail.txt", {"title": "R&D"}) == "Welcome to R&amp;D"


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/templates.py:wrong_open_courses")
@pytest.mark.parametrize(
    ("processor", "text", "sent"),
    [
        ("wrong_open_courses", "Hello", 1),
        ("wrong_open_courses", "{{ open_courses }}", 1),
        ("open_courses", "Hello", 0),
        ("open_courses", "{{ open_courses }}", 1),
        ("open_courses", "{{ open_courses }} {{ open_courses }}", 2),
    ],
)
def test_a_context_processor_pays_on_every_page_unless_it_waits(
    academy: None, settings: Settings, processor: str, text: str, sent: int
) -> None:
    options = settings.TEMPLATES[0]["OPTIONS"] | {"context_processors": [f"lab.django_app.templates.{processor}"]}
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"OPTIONS": options}]
    with queries() as seen:
        page = engines["django"].from_string(text).render({}, RequestFactory().get("/"))
    assert len(seen.statements) == sent
    assert page == text.replace("{{ open_courses }}", "9")


@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/django_app/templates.py:wrong_overview")
def test_a_loop_in_a_template_asks_for_each_row(academy: None, session: Session) -> None:
    session(
        "templates_queries.pycon",
        RequestFactory=RequestFactory,
        CaptureQueriesContext=CaptureQueriesContext,
        connection=connection,
        overview=templates.overview,
        wrong_overview=templates.wrong_overview,
    )


@pytest.mark.databases
@pytest.mark.parametrize(("courses", "wrong"), [(10, 19), (20, 37)])
def test_the_wrong_overview_grows_and_the_right_one_does_not(db: None, courses: int, wrong: int) -> None:
    seed(courses=courses, learners=3)
    with queries() as sent:
        page = get(templates.wrong_overview)
    assert len(sent.statements) == wrong
    with queries() as sent:
        assert get(templates.overview) == page
    assert len(sent.statements) == 3


def test_a_missing_name_is_a_line_of_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "django.template"):
        assert not Engine().from_string("{{ course.titel }}").render(Context({"course": Course()}))
    [line] = caplog.records
    assert (line.name, line.levelname) == ("django.template", "DEBUG")
    assert "resolving variable 'titel'" in line.getMessage()


def test_a_condition_on_a_missing_name_is_false_even_with_a_marker() -> None:
    text = "{% if course.titel %}yes{% else %}no{% endif %}"
    marking = Engine(string_if_invalid="MISSING %s")
    assert marking.from_string(text).render(Context({"course": Course(title="Databases")})) == "no"


def test_what_changes_data_is_not_called(academy: None) -> None:
    course = Course.objects.get(slug="databases")
    assert engines["django"].from_string("[{{ course.delete }}]").render({"course": course}) == "[]"
    assert Course.objects.filter(slug="databases").exists()


def test_a_quote_is_an_entity_in_json_too() -> None:
    page = engines["django"].from_string('{"title": "{{ title }}"}').render({"title": 'The "R" language'})
    assert json.loads(page) == {"title": "The &quot;R&quot; language"}


def test_partials_came_with_6_0(tmp_path: Path) -> None:
    text = "{% partialdef row %}one{% endpartialdef %}{% partial row %} {% partial row %}"
    if django.VERSION < (6, 0):
        with pytest.raises(TemplateSyntaxError, match="Invalid block tag on line 1: 'partialdef'"):
            engines["django"].from_string(text)
    else:
        assert engines["django"].from_string(text).render() == "one one"
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        assert Engine(dirs=[str(tmp_path)]).render_to_string("page.html#row") == "one"
