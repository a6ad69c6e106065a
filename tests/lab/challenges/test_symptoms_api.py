"""Errors of APIs and of browsers that people search for: each is raised here, and its text is the entry's."""

from __future__ import annotations

import decimal
import json
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest
from django.core.paginator import Paginator
from django.test import Client, override_settings
from rest_framework import routers
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIRequestFactory

from lab.academy.models import Course, User
from lab.challenges import symptoms_api
from scripts.pages import ROOT
from tests.lab.challenges.symptoms import symptom

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.live_server_helper import LiveServer
    from rest_framework.views import APIView

    from tests.recording.files import Recorder


def answer(view: type[APIView], body: str, kind: str = "application/json", user: User | None = None) -> str:
    """Return the status and the body of a view's answer to a POST."""
    request = APIRequestFactory(enforce_csrf_checks=True).generic("POST", "/", body, kind)
    if user:
        request.user = user  # as the session's middleware does
    response = view.as_view()(request).render()
    return f"{response.status_code} {response.status_text}\n{response.content.decode()}"


def basename() -> None:
    routers.SimpleRouter().register("tags", symptoms_api.Tags)


def keyword_pk() -> object:
    return symptoms_api.Tags.as_view({"get": "retrieve"})(APIRequestFactory().get("/"), slug="web")


def is_valid() -> object:
    return symptoms_api.TagSerializer(data={"name": "web"}).data


def field_name() -> object:
    return symptoms_api.UnknownNameSerializer().fields


def attribute_error() -> object:
    return symptoms_api.UnknownAttributeSerializer(Course(title="Python")).data


def nested_writes() -> object:
    lessons = [{"position": 1, "title": "Names"}]
    serializer = symptoms_api.NestedSerializer(data={"title": "Python", "lessons": lessons})
    serializer.is_valid(raise_exception=True)
    return serializer.save()


def list_expected() -> str:
    serializer = symptoms_api.TagSerializer(data={"name": "web"}, many=True)
    assert not serializer.is_valid()
    return JSONRenderer().render(serializer.errors).decode()


def json_parse() -> str:
    return answer(symptoms_api.Writing, "{'name': 'web'}")


def method_not_allowed() -> str:
    return answer(symptoms_api.Reading, "{}")


def media_type() -> str:
    return answer(symptoms_api.Writing, '{"name": "web"}', "text/plain")


def no_credentials() -> str:
    return answer(symptoms_api.SignedIn, "{}")


def csrf_failed() -> str:
    return answer(symptoms_api.BySession, "{}", user=User.objects.get(email="ama@example.com"))


def append_slash() -> object:
    with override_settings(DEBUG=True):
        return Client().post("/login", {})


def not_serializable() -> object:
    return json.dumps({"fee": decimal.Decimal("49.90")})


def unordered() -> str:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Paginator(User.objects.all(), 10).page(1)
    return "\n".join(f"{each.category.__name__}: {each.message}" for each in seen)


def graphql_field() -> str:
    body = {"query": "{ courses(first: 1) { edges { node { titel } } } }"}
    return Client().post("/graphql/", body, content_type="application/json").content.decode()


RAISES: dict[str, Callable[[], object]] = {
    "symptom_basename.txt": basename,
    "symptom_keyword_pk.txt": keyword_pk,
    "symptom_is_valid.txt": is_valid,
    "symptom_field_name.txt": field_name,
    "symptom_attribute_error.txt": attribute_error,
    "symptom_nested_writes.txt": nested_writes,
    "symptom_list_expected.txt": list_expected,
    "symptom_json_parse.txt": json_parse,
    "symptom_method_not_allowed.txt": method_not_allowed,
    "symptom_media_type.txt": media_type,
    "symptom_no_credentials.txt": no_credentials,
    "symptom_csrf_failed.txt": csrf_failed,
    "symptom_append_slash.txt": append_slash,
    "symptom_not_serializable.txt": not_serializable,
    "symptom_unordered.txt": unordered,
    "symptom_graphql_field.txt": graphql_field,
}


@pytest.mark.parametrize("name", RAISES)
def test_an_error_says_what_the_entry_shows(academy: None, record: Recorder, name: str) -> None:
    record(name, symptom(RAISES[name]).replace("lab.challenges.symptoms_api.", "courses.serializers."))


BROWSER = """
import sys
from scripts.browser import chromium

page_url, api_url = sys.argv[1:]
with chromium() as browser:
    page = browser.new_page()
    page.on("console", lambda message: print(message.text))
    page.goto(page_url)
    page.evaluate("url => fetch(url).catch(error => console.log(String(error)))", api_url)
"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_a_browser_says_of_a_foreign_api(live_server: LiveServer, record: Recorder) -> None:
    """In a process of its own: a browser's event loop upsets what Django says of async code."""
    page, api = live_server.url.replace("127.0.0.1", "localhost"), live_server.url
    with override_settings(ALLOWED_HOSTS=["*"]):
        done = subprocess.run(
            [sys.executable, "-c", BROWSER, f"{page}/courses/", f"{api}/api/v1/courses/"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    said = done.stdout.replace(page, "https://app.example").replace(api, "https://api.example")
    about = [line for line in said.splitlines() if line.startswith(("Access to fetch", "TypeError"))]
    record("symptom_cors.txt", "\n".join(about))
