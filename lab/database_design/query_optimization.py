"""A slow page on its way from hundreds of queries to two, and what else makes a query too many."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection
from django.db.models import Avg, Count, Exists, Index, OuterRef, Prefetch, Q, Subquery
from django.db.models.functions import Coalesce

from lab.academy.models import Course, Enrollment, Lesson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from django.db.models import QuerySet


# --8<-- [start:counted]
@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the SQL that is sent in the block."""
    sent: list[str] = []

    def note(
        execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        sent.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield sent


# --8<-- [end:counted]


# --8<-- [start:wrong_names]
def wrong_names(enrollments: QuerySet[Enrollment]) -> list[str]:
    """Return who takes part in what."""
    return [f"{row.learner.name}: {row.course.title}" for row in enrollments]


# --8<-- [end:wrong_names]


# --8<-- [start:names]
def joined_names(enrollments: QuerySet[Enrollment]) -> list[str]:
    """Return who takes part in what, from one query."""
    return wrong_names(enrollments.select_related("learner", "course"))


def fetched_names(enrollments: QuerySet[Enrollment]) -> list[str]:
    """Return who takes part in what, from three queries."""
    return wrong_names(enrollments.prefetch_related("learner", "course"))


# --8<-- [end:names]


class Row(NamedTuple):
    """A course on the page."""

    title: str
    teacher: str
    tags: list[str]
    learners: int
    latest: int | None


# --8<-- [start:wrong_page]
def wrong_page(courses: QuerySet[Course]) -> list[Row]:
    """Return the rows of the page."""
    rows = []
    for course in courses:
        graded = course.enrollments.exclude(grade=None)
        last = graded.order_by("-enrolled_on", "-pk").first()
        rows.append(
            Row(
                course.title,
                course.teacher.first_name if course.teacher else "",
                [tag.name for tag in course.tags.all()],
                course.enrollments.count(),
                last.grade if last else None,
            )
        )
    return rows


# --8<-- [end:wrong_page]


def with_teacher(courses: QuerySet[Course]) -> list[Row]:
    """Return the rows, the teacher joined."""
    return wrong_page(courses.select_related("teacher"))


def with_tags(courses: QuerySet[Course]) -> list[Row]:
    """Return the rows, the teacher joined and the tags in one more query."""
    return wrong_page(courses.select_related("teacher").prefetch_related("tags"))


def with_sizes(courses: QuerySet[Any]) -> list[Row]:
    """Return the rows, the learners counted by a subquery."""
    found = courses.select_related("teacher").prefetch_related("tags")
    return [
        row_of(course, last.grade if last else None)
        for course in found.annotate(learners_now=learners_now())
        for last in [
            course.enrollments.exclude(grade=None)
            .order_by("-enrolled_on", "-pk")
            .first()
        ]
    ]


def row_of(course: Any, latest: int | None) -> Row:
    """Return a row, from what was fetched before."""
    teacher = course.teacher.first_name if course.teacher else ""
    tags = [tag.name for tag in course.tags.all()]
    return Row(course.title, teacher, tags, course.learners_now, latest)


# --8<-- [start:page]
def learners_now() -> Coalesce:
    """Return how many learners a course has, as a subquery."""
    enrollments = Enrollment.objects.filter(course=OuterRef("pk")).order_by()
    sizes = enrollments.values("course").annotate(size=Count("pk"))
    return Coalesce(Subquery(sizes.values("size")), 0)


def latest_grade() -> Subquery:
    """Return the grade of who joined a course last, among those with one."""
    graded = Enrollment.objects.filter(course=OuterRef("pk"), grade__isnull=False)
    return Subquery(graded.order_by("-enrolled_on", "-pk").values("grade")[:1])


def page(courses: QuerySet[Any]) -> list[Row]:
    """Return the rows of the page, from two queries."""
    found = (
        courses.select_related("teacher")
        .prefetch_related("tags")
        .annotate(learners_now=learners_now(), latest=latest_grade())
    )
    return [row_of(course, course.latest) for course in found]


# --8<-- [end:page]


# --8<-- [start:index]
LATEST_GRADE = Index(
    fields=["course", "-enrolled_on", "-id"],
    include=["grade"],
    condition=Q(grade__isnull=False),
    name="latest_grade",
)
# --8<-- [end:index]


# --8<-- [start:sliced]
def sliced(courses: QuerySet[Any]) -> list[Row]:
    """Return the rows of the page, from three queries."""
    graded = Enrollment.objects.exclude(grade=None)
    last = graded.order_by("-enrolled_on", "-pk")[:1]  # one for each course
    found = (
        courses.select_related("teacher")
        .prefetch_related("tags", Prefetch("enrollments", last, to_attr="last"))
        .annotate(learners_now=learners_now())
    )
    return [
        row_of(course, course.last[0].grade if course.last else None)
        for course in found
    ]


# --8<-- [end:sliced]


# --8<-- [start:wrong_openings]
def wrong_openings(courses: QuerySet[Course]) -> list[str]:
    """Return the title of each course's first lesson."""
    return [
        lesson.title
        for course in courses.prefetch_related("lessons")
        for lesson in course.lessons.filter(position=1)
    ]


# --8<-- [end:wrong_openings]


# --8<-- [start:openings]
def openings(courses: QuerySet[Any]) -> list[str]:
    """Return the title of each course's first lesson."""
    first = Prefetch("lessons", Lesson.objects.filter(position=1), to_attr="opening")
    return [
        lesson.title
        for course in courses.prefetch_related(first)
        for lesson in course.opening
    ]


# --8<-- [end:openings]


# --8<-- [start:wrong_levels]
def wrong_levels(courses: QuerySet[Course]) -> list[str]:
    """Return titles and levels, and leave the long description out."""
    return [f"{course.title} ({course.level})" for course in courses.only("title")]


# --8<-- [end:wrong_levels]


# --8<-- [start:levels]
def levels(courses: QuerySet[Course]) -> list[str]:
    """Return titles and levels, and leave the long description out."""
    pairs = courses.values_list("title", "level")
    return [f"{title} ({level})" for title, level in pairs]


# --8<-- [end:levels]


# --8<-- [start:averages]
def by_objects() -> float:
    """Return the average grade, computed here from objects."""
    return mean(row.grade for row in Enrollment.objects.order_by())


def by_values() -> float:
    """Return the average grade, computed here from one column."""
    return mean(Enrollment.objects.order_by().values_list("grade", flat=True))


def by_database() -> float:
    """Return the average grade, computed by the database."""
    return float(Enrollment.objects.aggregate(grade=Avg("grade"))["grade"])


# --8<-- [end:averages]


def mean(grades: Iterable[int | None]) -> float:
    """Return the average of the grades that are there."""
    there = [grade for grade in grades if grade is not None]
    return sum(there) / len(there)


# --8<-- [start:passed]
def wrong_with_best() -> QuerySet[Course]:
    """Return the courses in which somebody has reached 100."""
    return Course.objects.filter(enrollments__grade=100).distinct()


def with_best() -> QuerySet[Course]:
    """Return the courses in which somebody has reached 100."""
    best = Enrollment.objects.filter(course=OuterRef("pk"), grade=100)
    return Course.objects.filter(Exists(best))


# --8<-- [end:passed]
