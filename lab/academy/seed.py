"""Data to work with: the same for the same numbers, on every machine."""

from __future__ import annotations

import datetime
import random
import uuid
from typing import TYPE_CHECKING, TypeVar

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Model
from django.utils.text import slugify

from lab.academy.models import (
    Certificate,
    Course,
    Enrollment,
    Learner,
    Lesson,
    Tag,
    User,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = TypeVar("Row", bound=Model)

FIRST_DAY = datetime.date(2026, 1, 5)
NAMES = (
    "Ama",
    "Kofi",
    "Esi",
    "Kwame",
    "Abena",
    "Yaw",
    "Efua",
    "Kojo",
    "Adwoa",
    "Kwesi",
)
TOPICS = (
    "Databases",
    "Python",
    "Django",
    "REST APIs",
    "GraphQL",
    "Docker",
    "Caching",
    "Testing",
    "Security",
    "Queues",
)
TAGS = ("backend", "data", "operations", "web", "practice")
LEVELS = tuple(Course.Level)


@transaction.atomic
def seed(courses: int, learners: int, per_learner: int = 3) -> None:
    """Fill an empty academy.

    Every learner joins ``per_learner`` courses, or all of them if there are fewer.
    Nobody can sign in: no user gets a usable password.

    Args:
        courses: How many courses. Each has four to eight lessons; every tenth is a draft.
        learners: How many learners. The first is Ama, the second Kofi, the third Esi.
        per_learner: How many courses a learner joins.

    Raises:
        ValueError: There are courses or learners already.
    """
    if Course.objects.exists() or Learner.objects.exists():
        raise ValueError("the academy is not empty")
    chance = random.Random(2026)  # noqa: S311  (data for samples, no secret)

    tags = store(Tag(name=name) for name in TAGS)
    taught = store(make_course(number, chance, learners) for number in range(courses))
    Lesson.objects.bulk_create(
        (
            Lesson(
                course=course,
                position=n,
                title=f"{course.title}, part {n}",
                minutes=chance.randrange(10, 60, 5),
            )
            for course in taught
            for n in range(1, chance.randint(4, 8) + 1)
        ),
        batch_size=1000,
    )
    Course.tags.through.objects.bulk_create(
        (
            Course.tags.through(course_id=course.pk, tag_id=tag.pk)
            for course in taught
            for tag in chance.sample(tags, chance.randint(1, 2))
        ),
        batch_size=1000,
    )

    unusable = make_password(None)
    users = store(
        User(email=address(number), password=unusable, first_name=name(number))
        for number in range(learners)
    )
    people = store(
        Learner(
            user=user,
            name=name(n),
            email=user.email,
            joined_on=FIRST_DAY + datetime.timedelta(days=n * 300 // learners),
        )
        for n, user in enumerate(users)
    )
    enrollments = store(
        Enrollment(
            learner=person,
            course=course,
            enrolled_on=person.joined_on
            + datetime.timedelta(days=chance.randint(0, 30)),
            grade=chance.choice([None, *range(40, 101)]),
        )
        for person in people
        for course in chance.sample(taught, min(per_learner, courses))
    )
    Certificate.objects.bulk_create(
        (
            Certificate(
                enrollment=enrollment,
                number=uuid.UUID(int=chance.getrandbits(128), version=4),
                issued_on=enrollment.enrolled_on + datetime.timedelta(days=60),
            )
            for enrollment in enrollments
            if enrollment.grade is not None
            and enrollment.grade >= Certificate.FROM_GRADE
        ),
        batch_size=1000,
    )


def store(rows: Iterable[Row]) -> list[Row]:
    """Insert rows into a table that is empty, and return them with their keys, in order.

    MySQL, unlike the other three, does not say which keys a bulk insert gave.
    """
    new = list(rows)
    if not new:
        return new
    table = type(new[0])._default_manager
    table.bulk_create(new, batch_size=1000)
    return new if new[0].pk is not None else list(table.order_by("pk"))


def make_course(number: int, chance: random.Random, learners: int) -> Course:
    """Return the course with a number, not saved yet. It has seats for everybody."""
    topic, edition = TOPICS[number % len(TOPICS)], number // len(TOPICS) + 1
    title = topic if edition == 1 else f"{topic} {edition}"
    start = FIRST_DAY + datetime.timedelta(weeks=number % 40)
    return Course(
        title=title,
        slug=slugify(title),
        description=f"{topic} from the first step to a running service.",
        level=LEVELS[number % len(LEVELS)],
        seats=min(learners + chance.randint(5, 20), 32767),
        published=number % 10 != 9,
        starts_on=start,
        ends_on=start + datetime.timedelta(weeks=6),
    )


def name(number: int) -> str:
    """Return the name of the learner with a number."""
    first, again = NAMES[number % len(NAMES)], number // len(NAMES)
    return first if again == 0 else f"{first} {again + 1}"


def address(number: int) -> str:
    """Return the email address of the learner with a number."""
    return f"{slugify(name(number))}@example.com"
