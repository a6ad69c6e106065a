"""The academy's tables, and the rules that the database itself holds."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


# --8<-- [start:user]
class UserManager(BaseUserManager["User"]):
    """Makes users who sign in with an email address."""

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Return a new user; without a password nobody can sign in as them."""
        if not email:
            raise ValueError("a user needs an email address")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Return a new user who may do everything."""
        return self.create_user(
            email, password, **{"is_staff": True, "is_superuser": True, **fields}
        )


class User(AbstractUser):
    """Somebody who can sign in, with an email address in place of a user name."""

    username = None  # type: ignore[assignment]  # removes the inherited field
    email = models.EmailField(unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()  # type: ignore[assignment,misc]  # without user names

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")),
                name="user_email_in_lower_case",
            )
        ]


# --8<-- [end:user]


class Learner(models.Model):
    """Somebody who takes courses. The account to sign in with may come later, and may go."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="learner",
    )
    name = models.CharField(max_length=80)
    email = models.EmailField(unique=True)
    joined_on = models.DateField(default=timezone.localdate)

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A word that courses can be found by."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


# --8<-- [start:course]
class Course(models.Model):
    """Something to learn: a list of lessons with a limited number of seats."""

    class Level(models.TextChoices):
        """How much a course expects."""

        BEGINNER = "beginner"
        INTERMEDIATE = "intermediate"
        ADVANCED = "advanced"

    title = models.CharField(max_length=120)
    slug = models.SlugField(max_length=140, unique=True)
    description = models.TextField(blank=True)
    level = models.CharField(max_length=12, choices=Level, default=Level.BEGINNER)
    seats = models.PositiveSmallIntegerField(default=30)
    published = models.BooleanField(default=False)
    starts_on = models.DateField()
    ends_on = models.DateField()
    teacher = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="courses_taught",
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="courses")
    learners = models.ManyToManyField(
        Learner, through="Enrollment", related_name="courses"
    )

    class Meta:
        ordering = ["title", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(title=""), name="course_has_a_title"
            ),
            models.CheckConstraint(
                condition=models.Q(seats__gte=1), name="course_has_a_seat"
            ),
            models.CheckConstraint(
                condition=models.Q(ends_on__gte=models.F("starts_on")),
                name="course_ends_after_start",
            ),
        ]
        indexes = [
            models.Index(
                fields=["published", "starts_on"], name="course_published_start"
            )
        ]

    def __str__(self) -> str:
        return self.title


# --8<-- [end:course]


class Lesson(models.Model):
    """One part of a course. Lessons go when their course goes."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="lessons")
    position = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=120)
    minutes = models.PositiveSmallIntegerField(default=30)

    class Meta:
        ordering = ["course_id", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["course", "position"], name="one_lesson_a_position"
            )
        ]

    def __str__(self) -> str:
        return self.title


# --8<-- [start:enrollment]
class Enrollment(models.Model):
    """A learner takes a course: the table between the two, with columns of its own."""

    learner = models.ForeignKey(
        Learner, on_delete=models.CASCADE, related_name="enrollments"
    )
    course = models.ForeignKey(
        Course, on_delete=models.PROTECT, related_name="enrollments"
    )
    enrolled_on = models.DateField(default=timezone.localdate)
    grade = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="0 to 100; empty until the course ends"
    )

    class Meta:
        ordering = ["enrolled_on", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["learner", "course"], name="enrolled_once"),
            models.CheckConstraint(
                condition=models.Q(grade__lte=100), name="grade_at_most_100"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.learner} in {self.course}"


# --8<-- [end:enrollment]


class Certificate(models.Model):
    """Says that a learner has passed a course. One enrollment earns one certificate at most."""

    FROM_GRADE = 80

    enrollment = models.OneToOneField(
        Enrollment, on_delete=models.PROTECT, related_name="certificate"
    )
    number = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    issued_on = models.DateField(default=timezone.localdate)

    class Meta:
        ordering = ["issued_on", "pk"]

    def __str__(self) -> str:
        return f"{self.enrollment.learner} passed {self.enrollment.course}"
