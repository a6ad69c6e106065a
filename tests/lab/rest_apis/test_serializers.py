"""What a serializer says, what it lets in, and what it derives from a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models.functions import Lower
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.urls import include, path
from rest_framework import generics, serializers
from rest_framework.validators import UniqueTogetherValidator

from lab.academy.models import Course, Enrollment, Lesson, Tag
from lab.academy.seed import seed
from lab.rest_apis.parsers import StrictJSONParser
from lab.rest_apis.serializers import (
    CountedSerializer,
    CountingSerializer,
    CourseSerializer,
    EnrollmentSerializer,
    GradeSerializer,
    LessonSerializer,
    OpenCourseSerializer,
    OpenEnrollmentSerializer,
    PeriodSerializer,
    RosterSerializer,
    with_seats_left,
)
from tests.lab.marks import recorded_on_5_2
from tests.lab.rest_apis.wire import sender, stable
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

Session = Callable[..., None]
Wire = Callable[..., "Exchange"]


class OpenEnrollments(generics.CreateAPIView[Enrollment]):
    """Enroll with the serializer that takes all columns."""

    serializer_class = OpenEnrollmentSerializer


urlpatterns = [
    path("api/v1/", include("lab.rest_apis.urls")),
    path("open/enrollments/", OpenEnrollments.as_view()),
]


@pytest.fixture
def limits() -> Iterator[None]:
    """Let the models ask this test's database for the limits of its integers; they keep the first answer."""

    def forget() -> None:
        for model in (Course, Enrollment, Lesson):
            for field in model._meta.concrete_fields:
                field.__dict__.pop("validators", None)

    forget()
    yield
    forget()


@pytest.mark.databases("postgresql")
def test_both_directions(people: People, session: Session) -> None:
    session("serializers_out.pycon", CourseSerializer=CourseSerializer, Course=Course, python=people.python)
    session("serializers_in.pycon", CourseSerializer=CourseSerializer, teacher=people.teacher)


@pytest.mark.databases
def test_what_is_sent_and_what_is_stored(people: People) -> None:
    sent = {"slug": "sql", "title": " SQL ", "starts_on": "2027-01-11", "ends_on": "2027-02-22", "published": True}
    serializer = CourseSerializer(data=sent)
    assert serializer.is_valid()
    assert "published" not in serializer.validated_data
    assert serializer.validated_data["title"] == "SQL"
    with pytest.raises(AssertionError, match="is_valid"):
        CourseSerializer(data=sent).save()
    # What save() is given comes last, and read-only does not bind it.
    course = serializer.save(title="Other", published=True)
    assert (course.title, course.published, course.seats) == ("Other", True, 30)
    # Everything but what is required may stay away, and then the model decides.
    assert not CourseSerializer(data={"title": "SQL"}).is_valid()


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("limits")
def test_the_fields_that_a_model_gives(academy: None, session: Session) -> None:
    session(
        "serializers_repr.pycon", CourseSerializer=CourseSerializer, OpenEnrollmentSerializer=OpenEnrollmentSerializer
    )


@pytest.mark.databases
@pytest.mark.usefixtures("limits")
def test_the_limit_of_an_integer_is_that_of_the_database(academy: None, database: str) -> None:
    def limit(serializer: serializers.Serializer[Course]) -> int | None:
        seats = serializer.fields["seats"]
        assert isinstance(seats, serializers.IntegerField)
        return seats.max_value

    assert (
        limit(OpenCourseSerializer()) == {"sqlite": 2**63 - 1, "postgresql": 2**15 - 1, "mariadb": 2**16 - 1}[database]
    )
    assert limit(CourseSerializer()) == 10_000
    # Printing a serializer reads the querysets of its fields.
    with queries() as sent:
        repr(CourseSerializer())
    assert len(sent.statements) == 1
    assert "LIMIT 21" in sent.statements[0]


@pytest.mark.databases("postgresql")
def test_check_constraints_are_not_derived(academy: None, session: Session) -> None:
    session(
        "serializers_constraints.pycon",
        OpenCourseSerializer=OpenCourseSerializer,
        CourseSerializer=CourseSerializer,
        transaction=transaction,
    )


@pytest.mark.databases
def test_every_check_constraint_needs_a_rule_of_its_own(people: People) -> None:
    good = {"slug": "sql", "title": "SQL", "starts_on": "2027-01-11", "ends_on": "2027-02-22"}
    for wrong in ({"ends_on": "2026-01-11"}, {"seats": 0}):
        naive = OpenCourseSerializer(data=good | wrong)
        assert naive.is_valid()
        with pytest.raises(IntegrityError), transaction.atomic():
            naive.save()
        assert not CourseSerializer(data=good | wrong).is_valid()
    enrollment = Enrollment.objects.filter(grade=None)[0]
    assert OpenEnrollmentSerializer(enrollment, data={"grade": 101}, partial=True).is_valid()
    assert not GradeSerializer(enrollment, data={"grade": 101}).is_valid()


def test_which_unique_constraints_are_derived() -> None:
    @isolate_apps("tests.pages.samples")
    def derived(*names: str, of: tuple[Any, ...] = (), **options: Any) -> list[str]:
        """Return the validators that a serializer with these fields gets from one UniqueConstraint."""

        class Sample(models.Model):
            a = models.IntegerField()
            b = models.IntegerField()
            c = models.CharField(max_length=8)

            class Meta:
                app_label = "samples"
                constraints: ClassVar = [models.UniqueConstraint(*of, name="x", **options)]

        class SampleSerializer(serializers.ModelSerializer[Sample]):
            class Meta:
                model = Sample
                fields = names

        serializer = SampleSerializer()
        of_fields = [v for field in serializer.fields.values() for v in field.validators]
        kinds = [type(validator).__name__ for validator in [*of_fields, *serializer.validators]]
        return [kind for kind in kinds if kind.startswith("Unique")]

    assert derived("a", "b", fields=["a"]) == ["UniqueValidator"]
    assert derived("a", "b", fields=["a", "b"]) == ["UniqueTogetherValidator"]
    assert derived("a", "c", fields=["a", "b"]) == []
    assert derived("c", of=(Lower("c"),)) == []
    condition = models.Q(c="x")
    assert derived("a", "c", fields=["a"], condition=condition) == ["UniqueTogetherValidator"]
    assert derived("a", fields=["a"], condition=condition) == []


def test_a_read_only_field_takes_the_check_with_it(academy: None) -> None:
    assert not EnrollmentSerializer().validators  # the learner is read-only
    assert not LessonSerializer().validators  # the course is not there
    assert isinstance(OpenEnrollmentSerializer().validators[0], UniqueTogetherValidator)
    # What stands in the constraint becomes required, for a check needs it.
    assert OpenEnrollmentSerializer().fields["learner"].required


@pytest.mark.wrong("lab/rest_apis/serializers.py:wrong_all_fields")
@pytest.mark.databases("postgresql")
def test_all_fields_let_everything_in(people: People, session: Session) -> None:
    enrollment = Enrollment.objects.get(learner__user=people.ama, course__slug="python")
    before = enrollment.grade, enrollment.enrolled_on
    draft = Course.objects.get(published=False)

    def restore() -> None:
        enrollment.grade, enrollment.enrolled_on = before
        enrollment.save()

    session(
        "serializers_all_fields.pycon",
        OpenEnrollmentSerializer=OpenEnrollmentSerializer,
        EnrollmentSerializer=EnrollmentSerializer,
        OpenCourseSerializer=OpenCourseSerializer,
        CourseSerializer=CourseSerializer,
        enrollment=enrollment,
        draft=draft,
        ama=people.ama,
        restore=restore,
    )


@recorded_on_5_2("the middleware that closes views sets Vary")
@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
@pytest.mark.urls(__name__)
def test_a_learner_grades_herself_on_the_wire(people: People, wire: Wire, record: Recorder) -> None:
    headers = sender(people.ama)
    django = Course.objects.get(slug="django")
    learner = people.ama.learner
    body = f'{{"learner": {learner.pk}, "course": {django.pk}, "enrolled_on": "2026-11-23", "grade": 100}}'
    answer = wire("POST", "/open/enrollments/", headers, body)
    assert answer.status == 201
    assert Enrollment.objects.get(learner=learner, course=django).grade == 100
    record("serializers_over_posting.http", stable(answer.text))
    Enrollment.objects.filter(learner=learner, course=django).delete()
    answer = wire("POST", "/api/v1/enrollments/", headers, '{"course": "django", "grade": 100}')
    assert answer.status == 201
    assert Enrollment.objects.get(learner=learner, course=django).grade is None


@pytest.mark.databases("postgresql")
def test_sources_and_methods(people: People, session: Session) -> None:
    session("serializers_roster.pycon", RosterSerializer=RosterSerializer, python=people.python)


@pytest.mark.wrong("lab/rest_apis/serializers.py:wrong_seats_left")
@pytest.mark.databases("postgresql")
def test_a_method_may_ask_the_database_each_time(academy: None, session: Session) -> None:
    session(
        "serializers_method.pycon",
        CountingSerializer=CountingSerializer,
        CountedSerializer=CountedSerializer,
        with_seats_left=with_seats_left,
        Course=Course,
        CaptureQueriesContext=CaptureQueriesContext,
        connection=connection,
    )


@pytest.mark.parametrize("courses", [1, 40])
def test_the_queries_of_a_method_grow_with_the_rows(db: None, courses: int) -> None:
    seed(courses=courses, learners=4)
    with queries() as sent:
        slow = CountingSerializer(Course.objects.all(), many=True).data
    assert len(sent.statements) == 1 + courses
    with queries() as sent:
        assert CountedSerializer(with_seats_left(Course.objects.all()), many=True).data == slow
    assert len(sent.statements) == 1


@pytest.mark.databases("postgresql")
def test_tags_are_looked_up_one_by_one(people: People) -> None:
    Tag.objects.bulk_create(Tag(name=f"tag {n}") for n in range(50))
    sent = {"slug": "sql", "title": "SQL", "starts_on": "2027-01-11", "ends_on": "2027-02-22"}
    serializer = CourseSerializer(data=sent | {"tags": [f"tag {n}" for n in range(50)]})
    with queries() as asked:
        assert serializer.is_valid()
    assert len(asked.statements) == 1 + 50  # one for the slug
    serializer = CourseSerializer(data=sent | {"tags": ["web"] * 50})
    with queries() as asked:
        assert serializer.is_valid()
    assert len(asked.statements) == 1 + 50  # nor does it remember
    assert StrictJSONParser.max_items == 100, "what bounds it, says the page"


@pytest.mark.databases("postgresql")
def test_the_record_of_a_lost_update(people: People, session: Session) -> None:
    session("serializers_update.pycon", CourseSerializer=CourseSerializer, Course=Course)


@pytest.mark.databases
def test_an_update_writes_every_column(people: People) -> None:
    one, other = (Course.objects.get(slug="python") for _ in range(2))
    for course, change in ((one, {"seats": 12}), (other, {"title": "Python 3"})):
        serializer = CourseSerializer(course, data=change, partial=True)
        assert serializer.is_valid()
        with queries() as sent:
            serializer.save()
        (update,) = sent.statements
        assert "description" in update
    stored = Course.objects.get(slug="python")
    assert (stored.title, stored.seats) == ("Python 3", 25), "the seats are those of before"


@pytest.mark.databases("postgresql")
def test_a_serializer_without_a_model(academy: None, session: Session) -> None:
    session("serializers_period.pycon", PeriodSerializer=PeriodSerializer, Course=Course)


@pytest.mark.parametrize(
    ("last", "valid"), [("2026-01-04", False), ("2026-01-05", True), ("2027-01-06", True), ("2027-01-07", False)]
)
def test_the_longest_and_the_shortest_period(last: str, valid: bool) -> None:
    assert PeriodSerializer(data={"first": "2026-01-05", "last": last}).is_valid() == valid


WAYS: dict[str, Callable[[], Any]] = {
    "LessonSerializer(many=True)": lambda: LessonSerializer(Lesson.objects.all(), many=True).data,
    "values()": lambda: list(Lesson.objects.values("position", "title", "minutes")),
}


def measure() -> Measurement:
    """Return the median time of nine runs for each way to read 5,000 lessons."""
    course = Course.objects.create(slug="x", title="X", starts_on="2026-01-05", ends_on="2026-01-05")
    Lesson.objects.bulk_create(Lesson(course=course, position=n, title=f"Part {n}") for n in range(1, 5001))

    def taken(way: Callable[[], Any]) -> float:
        start = time.perf_counter()
        assert len(way()) == 5000
        return (time.perf_counter() - start) * 1000

    server, release = versions.server().split()
    return Measurement(
        title="5,000 lessons as plain data",
        description="The serializer takes several times as long as values().",
        x="way",
        y="time (ms)",
        versions={"Django": version("django"), "DRF": version("djangorestframework"), server: release},
        bars={name: round(median(taken(way) for _ in range(9)), 1) for name, way in WAYS.items()},
    )


@pytest.mark.measures("serializers_price")
@pytest.mark.databases("postgresql")
def test_the_price_of_a_serializer(db: None, measured: Callable[..., Measurement]) -> None:
    bars = measured("serializers_price.json", measure).bars
    assert bars["LessonSerializer(many=True)"] > 3 * bars["values()"]
