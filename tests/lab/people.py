"""Who works with the academy in the tests of its APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from lab.academy.models import Course, User

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

PASSWORD = "a long enough secret"  # noqa: S105  (of users that live as long as one test)


def bearer(user: User) -> dict[str, str]:
    """Return the header of a program that has signed in as this user."""
    return {"Authorization": f"Bearer {AccessToken.for_user(user)}"}


class People:
    """Two learners, a teacher, and the clients that they use.

    Ama and Kofi learn. The teacher teaches Python, and may add courses. The registrar is staff and
    may view enrollments. All sign in with PASSWORD.
    """

    def __init__(self) -> None:
        self.ama = User.objects.get(email="ama@example.com")
        self.kofi = User.objects.get(email="kofi@example.com")
        self.teacher = User.objects.create_user("teacher@example.com", first_name="Efua")
        self.registrar = User.objects.create_user("registrar@example.com", is_staff=True)
        self.python = Course.objects.get(slug="python")
        for user in (self.ama, self.kofi, self.teacher, self.registrar):
            user.set_password(PASSWORD)
            user.save()
        self.teacher.user_permissions.add(Permission.objects.get(codename="add_course"))
        self.registrar.user_permissions.add(Permission.objects.get(codename="view_enrollment"))
        self.python.teacher = self.teacher
        self.python.save()

    def client(self, user: User | AnonymousUser | None = None) -> APIClient:
        """Return a client of the REST API; with a user, signed in without a password."""
        client = APIClient()
        if user is not None and user.is_authenticated:
            client.force_authenticate(user)
        return client
