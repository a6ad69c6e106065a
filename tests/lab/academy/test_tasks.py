"""The academy's tasks, run here and by a real worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.academy.models import Certificate, Enrollment
from lab.academy.tasks import issue_certificates
from lab.celery import app
from scripts import services
from scripts.pages import ROOT
from tests import databases

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.databases
def test_twice_is_once(academy: None) -> None:
    Certificate.objects.all().delete()
    course = Enrollment.objects.filter(grade__gte=80).values_list("course_id", flat=True)[0]
    earned = Enrollment.objects.filter(course=course, grade__gte=80).count()
    assert issue_certificates(course) == earned > 0
    assert issue_certificates(course) == 0
    assert not Certificate.objects.exclude(enrollment__course=course, enrollment__grade__gte=80).exists()


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_worker_does_what_a_web_process_asks_for(academy: None, tmp_path: Path) -> None:
    Certificate.objects.all().delete()
    course = Enrollment.objects.filter(grade__gte=80).values_list("course_id", flat=True)[0]
    try:
        broker = services.url("valkey")
    except services.Unavailable as reason:
        pytest.skip(str(reason))
    variables = {"DEBUG": "true", "DATABASE_URL": databases.address(), "BROKER_URL": broker}
    queue = f"test-{os.getpid()}"
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "celery", "--app", "lab", "worker", "--pool", "solo", "--queues", queue],
            cwd=ROOT,
            env={**os.environ, **variables, "DJANGO_SETTINGS_MODULE": "lab.settings"},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as worker,
    ):
        try:
            with app.connection_for_write(broker) as connection:
                issue_certificates.apply_async((course,), queue=queue, connection=connection)
            deadline = time.monotonic() + 60
            while not Certificate.objects.exists() and time.monotonic() < deadline:
                assert worker.poll() is None, log.read_text()
                time.sleep(0.1)
            assert Certificate.objects.exists(), log.read_text()
        finally:
            worker.terminate()
