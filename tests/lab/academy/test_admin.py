"""The admin's pages open, for staff alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib import admin
from django.urls import reverse

from lab.academy.models import Course, Enrollment, User
from tests.recording.sql import queries

if TYPE_CHECKING:
    from django.test import Client

OURS = [model for model in admin.site._registry if model._meta.app_label == "academy"]


@pytest.mark.parametrize("page", ["changelist", "add"])
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_pages(academy: None, client: Client, model: type, page: str) -> None:
    address = reverse(f"admin:academy_{model.__name__.lower()}_{page}")
    assert client.get(address).status_code == 302
    client.force_login(User.objects.create_superuser("staff@example.com"))
    forbidden = (model, page) == (Enrollment, "add")  # enroll() gives the seats
    assert client.get(address).status_code == (403 if forbidden else 200)


def test_no_seat_is_given_or_moved_and_a_grade_is_kept(academy: None, client: Client) -> None:
    client.force_login(User.objects.create_superuser("staff@example.com"))
    seat = Enrollment.objects.filter(grade=None)[0]
    other = Course.objects.exclude(learners=seat.learner)[0]
    before = Enrollment.objects.count()
    sent = {"learner": seat.learner_id, "course": other.pk, "enrolled_on": "2026-11-23", "grade": 90}
    assert client.post(reverse("admin:academy_enrollment_add"), sent).status_code == 403
    assert Enrollment.objects.count() == before
    assert client.post(reverse("admin:academy_enrollment_change", args=[seat.pk]), sent).status_code == 302
    changed = Enrollment.objects.get(pk=seat.pk)
    assert (changed.grade, changed.learner, changed.course) == (90, seat.learner, seat.course)


def test_a_course_and_a_user_can_be_changed(academy: None, client: Client) -> None:
    staff = User.objects.create_superuser("staff@example.com")
    client.force_login(staff)
    for thing in (Course.objects.all()[0], staff):
        address = reverse(f"admin:academy_{thing._meta.model_name}_change", args=[thing.pk])
        assert client.get(address).status_code == 200


def test_the_list_of_enrollments_does_not_ask_once_a_row(academy: None, client: Client) -> None:
    client.force_login(User.objects.create_superuser("staff@example.com"))
    address = reverse("admin:academy_enrollment_changelist")
    with queries() as all_rows:
        client.get(address)
    Enrollment.objects.filter(certificate=None).delete()
    with queries() as fewer_rows:
        client.get(address)
    assert len(all_rows.statements) == len(fewer_rows.statements)
