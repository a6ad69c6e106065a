"""Numbers over many rows are right, and the wrong ones are wrong as the page says."""

from __future__ import annotations

import re
from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING, Any

import pytest
from django.db.models import Avg, Count, F, Max, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from lab.academy.models import Course, Enrollment, Lesson
from lab.academy.seed import seed
from lab.django_app.aggregates import (
    bands,
    best,
    distinct_sizes,
    levels,
    months,
    newest,
    results,
    sizes,
    wrong_sizes,
)
from tests.recording.plan import plan
from tests.recording.sql import queries

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from django.db.models import QuerySet

    from tests.recording.files import Recorder

    Session = Callable[..., None]

NAMES = {
    "Avg": Avg,
    "Count": Count,
    "Course": Course,
    "Enrollment": Enrollment,
    "Max": Max,
    "Sum": Sum,
}


@pytest.mark.databases("postgresql")
def test_aggregate_ends_a_queryset_and_annotate_adds_a_column(
    academy: None, session: Session, record: Recorder
) -> None:
    session("aggregates_aggregate.pycon", **NAMES)
    session("aggregates_annotate.pycon", **NAMES)
    with queries() as sent:
        Enrollment.objects.aggregate(number=Count("pk"), graded=Count("grade"), average=Avg("grade"), best=Max("grade"))
    record("aggregates_aggregate.sql", sent.text)
    record("aggregates_annotate.sql", text_of(Course.objects.annotate(people=Count("enrollments"))))


@pytest.mark.databases("postgresql")
def test_the_sql_of_groups(academy: None, session: Session, record: Recorder) -> None:
    session("aggregates_levels.pycon", levels=levels)
    session("aggregates_ordering.pycon", **NAMES)
    with queries() as sent:
        list(levels())
    record("aggregates_levels.sql", sent.text)
    groups = Course.objects.values("level").annotate(courses=Count("pk"))
    with queries() as sent:
        list(groups)
        list(groups.order_by("title"))
    assert "title" not in sent.statements[0]
    record("aggregates_ordering.sql", sent.text)


@pytest.mark.databases
def test_groups_are_the_same_on_every_database(academy: None) -> None:
    courses, seats = Counter[str](), Counter[str]()
    for course in Course.objects.all():
        courses[course.level] += 1
        seats[course.level] += course.seats
    large = {level: (courses[level], seats[level]) for level in courses if seats[level] >= 70}
    assert {row["level"]: (row["courses"], row["places"]) for row in levels()} == large
    assert 0 < len(large) < len(courses)
    groups = Course.objects.values("level").annotate(courses=Count("pk"))
    assert len(groups) == 3  # Meta.ordering is by title, and does not split the groups
    assert len(groups.order_by("title")) == 10


@pytest.mark.wrong("lab/django_app/aggregates.py:wrong_sizes")
@pytest.mark.databases
def test_two_to_many_relations_multiply(academy: None) -> None:
    off = 0
    for course in wrong_sizes():
        parts, people = course.lessons.count(), course.enrollments.count()
        assert (course.parts, course.people) == (parts * people,) * 2
        off += course.parts != parts
        assert course.minutes == people * sum(lesson.minutes for lesson in course.lessons.all())
    assert off == 10
    for course in distinct_sizes():
        assert (course.parts, course.people) == (course.lessons.count(), course.enrollments.count())
    python = Course.objects.filter(slug="python").annotate(
        equal=Sum("lessons__minutes", distinct=True), total=Sum("lessons__minutes")
    )
    assert python[0].equal < python[0].total == 240, "equal minutes of two lessons count once"
    for course in sizes():
        assert (course.parts, course.people) == (course.lessons.count(), course.enrollments.count())
        assert course.minutes == sum(lesson.minutes for lesson in course.lessons.all())


@pytest.mark.wrong("lab/django_app/aggregates.py:wrong_sizes")
@pytest.mark.databases
def test_the_product_begins_with_the_first_enrollment(academy: None) -> None:
    course = Course.objects.get(slug="python")
    Enrollment.objects.filter(course=course).exclude(learner__name="Ama").delete()
    assert wrong_sizes().get(pk=course.pk).people == 7
    Enrollment.objects.filter(course=course).delete()
    assert (wrong_sizes().get(pk=course.pk).parts, wrong_sizes().get(pk=course.pk).people) == (7, 0)


@pytest.mark.databases
def test_a_course_without_lessons_counts_zero(academy: None) -> None:
    Course.objects.get(slug="python").lessons.all().delete()
    course = sizes().get(slug="python")
    assert (course.parts, course.minutes, course.people) == (0, 0, 4)


@pytest.mark.databases("postgresql")
def test_the_sql_of_two_counts(academy: None, session: Session, record: Recorder) -> None:
    session("aggregates_sizes.pycon", **NAMES, wrong_sizes=wrong_sizes, distinct_sizes=distinct_sizes, sizes=sizes)
    record("aggregates_wrong_sizes.sql", text_of(wrong_sizes().values_list("title", "parts", "people", "minutes")))
    record("aggregates_sizes.sql", text_of(sizes().values_list("title", "parts", "people", "minutes")))


@pytest.mark.databases("postgresql")
def test_counts_pay_for_the_rows_that_they_join(db: None, record: Recorder) -> None:
    seed(courses=10, learners=1000, per_learner=10)
    groups = Lesson.objects.filter(course=OuterRef("pk")).values("course").annotate(n=Count("pk"))
    parts = Subquery(groups.values("n"))
    courses = Course.objects.annotate(people=Count("enrollments"))
    most = {
        "two joins, distinct=True": most_rows(distinct_sizes()),
        "a join, Coalesce(Subquery())": most_rows(courses.annotate(parts=Coalesce(parts, 0))),
        "a join, Subquery()": most_rows(courses.annotate(parts=parts)),
        "subqueries alone": most_rows(sizes()),
    }
    record("aggregates_rows.txt", "\n".join(f"{name:29}{rows:>7,}" for name, rows in most.items()))


def most_rows(queryset: QuerySet[Any]) -> int:
    """Return how many rows the widest step of a plan met, over all times it was run."""
    steps = re.findall(r"rows=([\d.]+) loops=(\d+)", plan(queryset))
    return max(round(float(rows) * int(loops)) for rows, loops in steps)


@pytest.mark.databases
def test_a_filter_counts_some_of_the_rows(academy: None) -> None:
    for course in results():
        grades = [enrollment.grade for enrollment in course.enrollments.all()]
        assert course.passed == sum(grade is not None and grade >= 60 for grade in grades)
        assert course.failed == sum(grade is not None and grade < 60 for grade in grades)
        assert course.waiting == grades.count(None)
    assert sum(course.waiting for course in results()) == 3
    Enrollment.objects.filter(course__slug="python").delete()
    python = results().get(slug="python")
    assert (python.passed, python.failed, python.waiting) == (0, 0, 0)


@pytest.mark.databases
def test_a_subquery_brings_one_value_of_another_table(academy: None) -> None:
    names = {row["title"]: row["last"] for row in newest().values("title", "last")}
    assert len(names) < Course.objects.count()
    for course in Course.objects.all():
        enrollments = course.enrollments.select_related("learner").order_by("enrolled_on", "pk")
        good = any(e.grade is not None and e.grade >= 80 for e in enrollments)  # the seed gives a certificate then
        assert (course.title in names) == good
        if good:
            assert names[course.title] == list(enrollments)[-1].learner.name


@pytest.mark.databases
def test_bands_hold_every_enrollment_once(academy: None) -> None:
    def band(grade: int | None) -> str:
        if grade is None:
            return "none yet"
        return "good" if grade >= 80 else "passed" if grade >= 60 else "failed"

    expected = Counter(band(enrollment.grade) for enrollment in Enrollment.objects.all())
    assert {row["band"]: row["number"] for row in bands()} == expected
    assert len(expected) == 4


@pytest.mark.databases
def test_a_window_ranks_within_a_course(academy: None) -> None:
    first = {(e.course_id, e.grade) for e in best(1)}
    for course in Course.objects.all():
        grades = [e.grade for e in course.enrollments.all() if e.grade is not None]
        assert [grade for number, grade in first if number == course.pk] == ([max(grades)] if grades else [])
    assert [str(e.learner) for e in best(1) if e.course.title == "Python"] == ["Kofi", "Adwoa"]  # both 78


@pytest.mark.databases
def test_where_a_missing_grade_stands_in_descending_order(academy: None, database: str) -> None:
    grades = list(Enrollment.objects.order_by(F("grade").desc()).values_list("grade", flat=True))
    assert grades[0 if database == "postgresql" else -1] is None


@pytest.mark.databases
def test_months_are_grouped(academy: None) -> None:
    for row in months():
        of_month = [
            e for e in Enrollment.objects.all() if (e.enrolled_on.year, e.enrolled_on.month) == month_of(row["month"])
        ]
        grades = [e.grade for e in of_month if e.grade is not None]
        assert row["people"] == len(of_month)
        if grades:
            assert float(row["average"]) == pytest.approx(mean(grades), abs=0.001)
        else:
            assert row["average"] is None
    assert sum(row["people"] for row in months()) == 30


def month_of(day: datetime.date) -> tuple[int, int]:
    """Return the year and the month of a day."""
    return day.year, day.month


@pytest.mark.databases
def test_nothing_sums_to_none(academy: None) -> None:
    nobody = Enrollment.objects.filter(learner__name="Nobody")
    assert nobody.aggregate(total=Sum("grade"), number=Count("grade")) == {"total": None, "number": 0}
    assert nobody.aggregate(total=Sum("grade", default=0)) == {"total": 0}


@pytest.mark.databases
def test_an_aggregate_drops_the_ordering_of_the_model(academy: None) -> None:
    counted = Course.objects.annotate(people=Count("enrollments"))
    assert Course.objects.all().ordered
    assert not counted.ordered
    assert "ORDER BY" not in str(counted.query)
    assert counted.order_by("title").ordered


@pytest.mark.databases("postgresql")
def test_the_sql_of_expressions(academy: None, session: Session, record: Recorder) -> None:
    session("aggregates_results.pycon", results=results)
    record("aggregates_results.sql", text_of(results().values_list("title", "passed", "failed", "waiting")))
    session("aggregates_newest.pycon", newest=newest)
    record("aggregates_newest.sql", text_of(newest().values_list("title", "last")))
    session("aggregates_bands.pycon", bands=bands)
    record("aggregates_bands.sql", text_of(bands().values_list("band", "number")))
    session("aggregates_best.pycon", best=best)
    record("aggregates_best.sql", text_of(best(1).values_list("course", "grade", "place")))
    session("aggregates_nothing.pycon", **NAMES)
    session("aggregates_months.pycon", months=months)
    record("aggregates_months.sql", text_of(months()))


def text_of(queryset: QuerySet[Any, Any]) -> str:
    """Return the SQL that a queryset sends."""
    with queries() as sent:
        list(queryset)
    return sent.text
