"""Errors of Django that people search for: each is raised here, and its text is the entry's."""

from __future__ import annotations

import importlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import models
from django.template import Context, Engine
from django.test import Client, RequestFactory, modify_settings, override_settings
from django.urls import reverse
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from lab.academy.models import Course, Tag, User
from scripts.pages import ROOT
from tests.lab.challenges.symptoms import logged, symptom
from tests.lab.production import kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder


def settings_not_configured(folder: Path) -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("DJANGO_SETTINGS_MODULE")
        return LazySettings().DATABASES


def apps_not_loaded(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from lab.academy.models import Course"],
        cwd=ROOT,
        env={**kept("COVERAGE"), "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "lab.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.splitlines()[-1]


def secret_key_empty(folder: Path) -> object:
    settings = LazySettings()
    settings.configure(SECRET_KEY="")
    return settings.SECRET_KEY


def explicit_app_label(folder: Path) -> object:
    return type("Course", (models.Model,), {"__module__": "courses.models"})


def no_installed_app(folder: Path) -> object:
    return apps.get_app_config("lab.academy")


def circular_import(folder: Path) -> object:
    (folder / "grading.py").write_text("from enrolling import enroll\n\ndef grade(): ...\n", encoding="utf-8")
    (folder / "enrolling.py").write_text("from grading import grade\n\ndef enroll(): ...\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        return importlib.import_module("grading")


def invalid_host(folder: Path) -> object:
    with override_settings(ALLOWED_HOSTS=["academy.example"]):
        return RequestFactory().get("/", headers={"host": "www.academy.example"}).get_host()


def csrf_cookie(folder: Path) -> str:
    with logged("django.security.csrf") as lines:
        assert Client(enforce_csrf_checks=True).post("/login/", {}).status_code == 403
    return "\n".join(lines)


def csrf_origin(folder: Path) -> str:
    with logged("django.security.csrf") as lines:
        answer = Client(enforce_csrf_checks=True).post("/login/", {}, headers={"origin": "https://academy.example"})
        assert answer.status_code == 403
    return "\n".join(lines)


def no_reverse_match(folder: Path) -> object:
    return reverse("course_details", args=["python"])


def https_to_runserver(folder: Path) -> str:
    """Begin TLS with the server of ``runserver``."""
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    with logged("django.server") as lines:
        server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        try:
            with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as client:
                client.sendall(hello.read())
                client.shutdown(socket.SHUT_WR)  # in a random number of cases a greeting holds no end of a line
                while client.recv(4096):
                    pass
        finally:
            thread.join()
            server.server_close()
        end = time.monotonic() + 10
        while not any("HTTPS" in line for line in lines) and time.monotonic() < end:
            time.sleep(0.01)
    return "\n".join(line for line in lines if "HTTPS" in line)


def template_missing(folder: Path) -> object:
    view = APIView.as_view(renderer_classes=[BrowsableAPIRenderer], permission_classes=[])
    with modify_settings(INSTALLED_APPS={"remove": ["rest_framework"]}):
        return view(APIRequestFactory().get("/")).render()


def invalid_block_tag(folder: Path) -> object:
    return Engine().from_string("<link href=\"{% static 'academy.css' %}\">").render(Context())


def static_manifest(folder: Path) -> object:
    storage = ManifestStaticFilesStorage(location=folder, base_url="/static/")
    with override_settings(DEBUG=False):
        return storage.url("academy.css")


def cannot_resolve_keyword(folder: Path) -> object:
    return Tag.objects.filter(title="web")  # type: ignore[misc]


def no_related_object(folder: Path) -> object:
    return User.objects.create_user("esi.mensah@example.com").learner


def more_than_one(folder: Path) -> object:
    return Course.objects.get(level="beginner")


def does_not_exist(folder: Path) -> object:
    return Course.objects.get(slug="rust")


RAISES = {
    "symptom_settings_not_configured.txt": settings_not_configured,
    "symptom_apps_not_loaded.txt": apps_not_loaded,
    "symptom_secret_key_empty.txt": secret_key_empty,
    "symptom_explicit_app_label.txt": explicit_app_label,
    "symptom_no_installed_app.txt": no_installed_app,
    "symptom_circular_import.txt": circular_import,
    "symptom_invalid_host.txt": invalid_host,
    "symptom_csrf_cookie.txt": csrf_cookie,
    "symptom_csrf_origin.txt": csrf_origin,
    "symptom_no_reverse_match.txt": no_reverse_match,
    "symptom_https_to_runserver.txt": https_to_runserver,
    "symptom_template_missing.txt": template_missing,
    "symptom_invalid_block_tag.txt": invalid_block_tag,
    "symptom_static_manifest.txt": static_manifest,
    "symptom_cannot_resolve_keyword.txt": cannot_resolve_keyword,
    "symptom_no_related_object.txt": no_related_object,
    "symptom_more_than_one.txt": more_than_one,
    "symptom_does_not_exist.txt": does_not_exist,
}


@pytest.mark.parametrize("name", RAISES)
def test_an_error_says_what_the_entry_shows(academy: None, record: Recorder, tmp_path: Path, name: str) -> None:
    call: Callable[[Path], object] = RAISES[name]
    record(name, symptom(call, tmp_path).replace(str(tmp_path), "…"))
