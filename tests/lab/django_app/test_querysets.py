"""What a queryset sends, and when."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.db.models import Func
from django.test.utils import CaptureQueriesContext

from lab.academy.models import Course, Enrollment, Learner, User
from lab.academy.seed import seed
from lab.django_app.querysets import (
    by_month,
    catalog,
    open_courses,
    passed_by,
    roster,
    search,
    to_look_at,
    wrong_passed_by,
    wrong_roster,
    wrong_search,
)
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Session = Callable[..., None]

NAMES = {
    "Course": Course,
    "Enrollment": Enrollment,
    "Learner": Learner,
    "connection": connection,
    "CaptureQueriesContext": CaptureQueriesContext,
}


@pytest.mark.databases("postgresql")
def test_a_queryset_asks_when_it_is_read_and_once(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_lazy.pycon", **NAMES)
    courses = Course.objects.filter(published=True)
    with queries() as sent:
        list(courses.exclude(level="advanced").order_by("-starts_on"))
    record("querysets_lazy.sql", sent.text)


@pytest.mark.databases("postgresql")
def test_lookups_become_conditions(academy: None, record: Recorder) -> None:
    with queries() as sent:
        found = [course.title for course in open_courses("api", datetime.date(2026, 1, 10))]
    assert found == ["REST APIs"]
    record("querysets_lookups.sql", sent.text)


@pytest.mark.databases
def test_lookups_find_the_same_on_every_database(academy: None) -> None:
    assert [course.title for course in open_courses("api", datetime.date(2026, 1, 10))] == ["REST APIs"]
    assert not open_courses("api", datetime.date(2026, 2, 10)).exists()
    assert not open_courses("django", datetime.date(2026, 1, 1)).exists()
    assert not open_courses("queues", datetime.date(2026, 1, 1)).exists()


@pytest.mark.wrong("lab/django_app/querysets.py:wrong_passed_by")
@pytest.mark.databases
def test_two_filters_over_a_relation_are_two_joins(academy: None) -> None:
    assert not Enrollment.objects.filter(learner__name="Ama", grade__gte=70).exists()
    titles = [course.title for course in wrong_passed_by("Ama", 70)]
    assert titles == ["Caching", "Python", "Python"]  # not hers, and one of them twice
    assert [course.title for course in passed_by("Ama", 70)] == []
    assert [course.title for course in passed_by("Ama", 60)] == ["Python"]


@pytest.mark.databases("postgresql")
def test_the_sql_of_one_filter_and_of_two(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_passed_by.pycon", **NAMES, passed_by=passed_by, wrong_passed_by=wrong_passed_by)
    with queries() as sent:
        list(wrong_passed_by("Ama", 70))
    record("querysets_two_filters.sql", sent.text)
    with queries() as sent:
        list(passed_by("Ama", 70))
    record("querysets_one_filter.sql", sent.text)


@pytest.mark.databases("postgresql")
def test_q_says_or_and_f_compares_columns(academy: None, record: Recorder) -> None:
    with queries() as sent:
        found = set(to_look_at())
    record("querysets_q_and_f.sql", sent.text)
    everything = Enrollment.objects.select_related("course")
    assert found == {
        e
        for e in everything
        if e.course.published and (e.enrolled_on > e.course.ends_on or (e.grade is not None and e.grade < 50))
    }
    assert 0 < len(found) < len(everything)


@pytest.mark.databases("postgresql")
def test_the_sql_of_exclude_keeps_rows_without_a_value(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_exclude.pycon", **NAMES, passed_by=passed_by)
    with queries() as sent:
        list(Enrollment.objects.exclude(grade__lt=60))
    record("querysets_exclude.sql", sent.text)


@pytest.mark.databases
def test_exclude_keeps_rows_without_a_value(academy: None) -> None:
    assert Enrollment.objects.exclude(grade__lt=60).count() == (
        Enrollment.objects.filter(grade__gte=60).count() + Enrollment.objects.filter(grade=None).count()
    )
    teacher = User.objects.create_user("teacher@example.com")
    Course.objects.filter(slug="django").update(teacher=teacher)
    assert Course.objects.exclude(teacher__email="teacher@example.com").count() == 9  # no teacher: kept
    # In SQL by hand the rows without a grade would be missing:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM academy_enrollment WHERE NOT (grade < 60)")
        assert cursor.fetchone()[0] == Enrollment.objects.filter(grade__gte=60).count()
    # Two conditions over a to-many relation in one exclude() need not hold for one row.
    assert Course.objects.exclude(enrollments__learner__name="Ama", enrollments__grade__gte=70).count() == 8
    assert Course.objects.exclude(pk__in=passed_by("Ama", 70)).count() == 10


@pytest.mark.databases("postgresql")
def test_exists_count_and_get_send_different_questions(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_one.pycon", **NAMES)
    published = Course.objects.filter(published=True)
    with queries() as sent:
        assert published.exists()
        assert published.count() == 9
        assert len(published) == 9
        assert Course.objects.get(slug="django").title == "Django"
        assert published.first() == published[0]
    record("querysets_questions.sql", sent.text)
    assert len(sent.statements) == 4, "first() and [0] read what len() fetched"


@pytest.mark.databases("postgresql")
def test_what_a_queryset_keeps(academy: None, session: Session) -> None:
    session("querysets_cache.pycon", **NAMES)


@pytest.mark.databases
def test_printing_keeps_nothing(academy: None) -> None:
    courses = Course.objects.filter(published=True)
    with queries() as sent:
        assert repr(courses) == repr(courses)
    assert len(sent.statements) == 2
    assert all("LIMIT 21" in statement for statement in sent.statements)


@pytest.mark.databases("postgresql")
def test_slices_are_limits(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_slices.pycon", **NAMES)
    with queries() as sent:
        list(Course.objects.order_by("title", "pk")[3:6])
    record("querysets_slices.sql", sent.text)


@pytest.mark.databases("postgresql")
def test_values_ask_for_columns(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_values.pycon", **NAMES)
    with queries() as sent:
        list(Course.objects.filter(published=True).order_by("starts_on").values("title", "seats")[:2])
    record("querysets_values.sql", sent.text)


def test_a_column_that_was_left_out_is_fetched_object_by_object(academy: None) -> None:
    with queries() as sent:
        assert {course.description[:4] for course in Course.objects.only("title")}
    assert len(sent.statements) == 1 + 10
    with queries() as sent:
        assert {course.title for course in Course.objects.defer("description")}
    assert len(sent.statements) == 1


@pytest.mark.wrong("lab/django_app/querysets.py:wrong_roster")
@pytest.mark.databases
def test_related_objects_cost_a_query_each(academy: None) -> None:
    with queries() as sent:
        lines = wrong_roster()
    assert len(lines) == 30
    assert len(sent.statements) == 1 + 30 + 30
    with queries() as sent:
        assert roster() == lines
    assert len(sent.statements) == 1
    with queries() as sent:
        assert len(catalog()) == 10
    assert len(sent.statements) == 3


@pytest.mark.parametrize("learners", [1, 100])
def test_the_number_of_queries_grows_with_the_rows(db: None, learners: int) -> None:
    seed(courses=10, learners=learners)
    with queries() as sent:
        wrong_roster()
    assert len(sent.statements) == 1 + 2 * 3 * learners
    with queries() as sent:
        roster()
    assert len(sent.statements) == 1


def test_a_prefetch_is_three_queries_for_a_thousand_courses(db: None) -> None:
    seed(courses=1000, learners=0)
    with queries() as sent:
        assert len(catalog()) == 1000
    assert len(sent.statements) == 3


def test_prefetched_rows_answer_what_needs_no_other_question(academy: None) -> None:
    course = Course.objects.prefetch_related("lessons", "tags").get(slug="python")
    with queries() as sent:
        assert course.lessons.count() == len(course.lessons.all()) == 7
        assert course.lessons.exists()
        assert course.tags.exists()
    assert sent.statements == []
    with queries() as sent:
        assert course.lessons.filter(position=1).count() == 1
        assert len(course.lessons.order_by("-position")) == 7
    assert len(sent.statements) == 2


@pytest.mark.databases("postgresql")
def test_the_sql_of_related_objects(academy: None, record: Recorder) -> None:
    with queries() as sent:
        wrong_roster()
    sent.statements[3:] = []
    record("querysets_n_plus_one.sql", sent.text.replace("-- 3 queries", "-- 61 queries; the first three:"))
    with queries() as sent:
        roster()
    record("querysets_select_related.sql", sent.text)
    with queries() as sent:
        assert catalog()[0] == "Caching: 8 lessons; web"
    record("querysets_prefetch_related.sql", sent.text)


@pytest.mark.wrong("lab/django_app/querysets.py:wrong_search")
@pytest.mark.databases
def test_text_formatted_into_sql_is_run(academy: None) -> None:
    typed = "x' OR NOT published -- "
    assert [course.title for course in wrong_search("Django")] == ["Django"], "it works until somebody tries"
    assert [course.title for course in wrong_search(typed)] == ["Queues"]
    assert not Course.objects.get(title="Queues").published
    assert [course.title for course in search("Django")] == ["Django"]
    assert list(search(typed)) == []


@pytest.mark.databases("postgresql")
def test_raw_sql_with_parameters(academy: None, session: Session, record: Recorder) -> None:
    session("querysets_injection.pycon", wrong_search=wrong_search, search=search)
    with queries() as sent:
        list(wrong_search("x' OR NOT published -- "))
        list(search("x' OR NOT published -- "))
    record("querysets_injection.sql", sent.text)
    session("querysets_raw.pycon", **NAMES, Func=Func, by_month=by_month, date=datetime.date)
