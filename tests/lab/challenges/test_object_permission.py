"""Everybody knocks at every door of every enrollment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test.utils import override_settings

from lab.academy.models import Certificate, Course, Enrollment, User
from lab.challenges.object_permission import half
from lab.challenges.object_permission.broken import views as broken
from lab.challenges.object_permission.fixed import views as fixed
from tests.recording.sql import queries

if TYPE_CHECKING:
    from types import ModuleType

    from tests.lab.challenges.conftest import Version
    from tests.lab.people import People
    from tests.recording.files import Recorder

DETAIL, CERTIFICATE = "/enrollments/{pk}/", "/enrollments/{pk}/certificate/"
DOORS = (
    ("GET", DETAIL),
    ("HEAD", DETAIL),
    ("PATCH", DETAIL),
    ("PUT", DETAIL),
    ("DELETE", DETAIL),
    ("GET", CERTIFICATE),
)
# Who may walk through which door of Ama's enrollment. Elsewhere it may not even be told that it exists.
MAY = {
    "nobody": set(),
    "Ama": {("GET", DETAIL), ("HEAD", DETAIL), ("DELETE", DETAIL), ("GET", CERTIFICATE)},
    "Kofi": set(),
    "her teacher": {("GET", DETAIL), ("HEAD", DETAIL), ("PATCH", DETAIL), ("PUT", DETAIL), ("GET", CERTIFICATE)},
    "a teacher": set(),
}
KNOW = {"Ama", "her teacher"}


def cast(people: People) -> tuple[dict[str, User | None], Enrollment]:
    """Return who knocks, and an enrollment of Ama's, with a grade and a certificate, in a teacher's course."""
    other = User.objects.create_user("other@example.com")
    Course.objects.filter(slug="docker").update(teacher=other)
    Certificate.objects.all().delete()
    Enrollment.objects.all().delete()
    hers = Enrollment.objects.create(learner=people.ama.learner, course=people.python, grade=91)
    Certificate.objects.create(enrollment=hers)
    Enrollment.objects.create(learner=people.kofi.learner, course=Course.objects.get(slug="docker"), grade=55)
    everybody = {
        "nobody": None,
        "Ama": people.ama,
        "Kofi": people.kofi,
        "her teacher": people.teacher,
        "a teacher": other,
    }
    return everybody, hers


def complaint(people: People, who: str, user: User | None, door: tuple[str, str], hers: Enrollment) -> str:
    """Knock at one door of Ama's enrollment; return what is wrong with the answer, if anything."""
    Certificate.objects.all().delete()
    hers = Enrollment.objects.update_or_create(pk=hers.pk, defaults={"learner": hers.learner, "course": hers.course})[0]
    Enrollment.objects.filter(pk=hers.pk).update(grade=91)
    if door[0] != "DELETE":  # a certificate protects its enrollment
        Certificate.objects.create(enrollment=hers)
    method, path = door[0], door[1].format(pk=hers.pk)
    client = people.client(user)
    status = client.generic(method, path, '{"grade": 99}', content_type="application/json").status_code
    changed = Enrollment.objects.filter(pk=hers.pk, grade=91).count() != 1
    allowed = door in MAY[who]
    if user is None:
        right = status in (401, 403, 404)
    elif allowed:
        right = status in (200, 204)
    else:
        right = status in (403, 404, 405) if who in KNOW else status == 404
    if right and changed is (allowed and method in ("PATCH", "PUT", "DELETE")):
        return ""
    return f"{who}: {method} {door[1].format(pk='<hers>')} {status}{', and the row has changed' if changed else ''}"


def complaints(people: People, views: ModuleType) -> list[str]:
    """Let everybody knock at every door; return what is wrong with the answers."""
    everybody, hers = cast(people)
    with override_settings(ROOT_URLCONF=views):
        found = [complaint(people, who, user, door, hers) for who, user in everybody.items() for door in DOORS]
        Enrollment.objects.update_or_create(pk=hers.pk, defaults={"learner": hers.learner, "course": hers.course})
        for who, user in everybody.items():
            answer = people.client(user).get("/enrollments/")
            page = answer.json() if answer.status_code == 200 else []
            rows = page["results"] if isinstance(page, dict) else page
            if any(row["id"] == hers.pk for row in rows) is not (who in KNOW):
                found.append(f"{who}: GET /enrollments/ {answer.status_code}, hers among {len(rows)}")
    return [line for line in found if line]


@pytest.mark.django_db
@pytest.mark.broken("object_permission.txt")
@pytest.mark.wrong("lab/challenges/object_permission/broken/views.py:wrong_views")
def test_nobody_reaches_the_row_of_somebody_else(version: Version, people: People) -> None:
    if wrong := complaints(people, version.module("views")):
        raise AssertionError("\n".join(["Ama's enrollment", *wrong]))


@pytest.mark.django_db
@pytest.mark.wrong("lab/challenges/object_permission/half.py:wrong_half")
def test_a_question_about_the_row_is_not_asked_at_every_door(people: People, record: Recorder) -> None:
    wrong = complaints(people, half)
    record("object_permission_half.txt", "\n".join(["Ama's enrollment", *wrong]))
    assert {line.split(": ")[1].split(" ")[0] for line in wrong if "certificate" in line} == {"GET"}
    assert any("GET /enrollments/ 200, hers among 2" in line for line in wrong)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("module", "name"), [(broken, "object_permission_broken.sql"), (fixed, "object_permission_fixed.sql")]
)
def test_what_is_asked(people: People, record: Recorder, module: ModuleType, name: str) -> None:
    enrollment = Enrollment.objects.filter(learner=people.ama.learner).order_by("pk")[0]
    with override_settings(ROOT_URLCONF=module), queries() as sent:
        status = people.client(people.kofi).get(f"/enrollments/{enrollment.pk}/").status_code
    assert status == (200 if module is broken else 404)
    (statement,) = [text for text in sent.text.split("\n\n") if "FROM academy_enrollment" in text]
    assert ("user_id = 2" in statement) is (module is fixed)
    record(name, statement)
