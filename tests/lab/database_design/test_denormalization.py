"""Copies that must not change, counters that must, what makes them wrong, and what reading and writing cost."""

from __future__ import annotations

import itertools
import statistics
import time
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.db.models import F
from django.test.utils import isolate_apps

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Certificate, Course, Enrollment, Learner
from scripts.pages import ROOT
from scripts.proof import sections
from tests.lab.database_design import psql
from tests.lab.database_design.two import people, race
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.plan import plan
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Session = Callable[..., None]

with isolate_apps("lab.database_design"):  # these models are known to nobody else, and have no tables
    from lab.database_design.denormalization import (
        CountedCourse,
        Day,
        Printed,
        close,
        drifted,
        fullest_counted,
        fullest_stored,
        fullest_viewed,
        issue,
        join,
        page_counted,
        repair,
        wrong_join,
        wrong_order,
        wrong_repair,
        wrong_text,
    )

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
SERVERS = pytest.mark.databases("postgresql", "mariadb")
ON_POSTGRESQL = pytest.mark.databases("postgresql")
SQL = (ROOT / "lab/database_design/denormalization.sql").read_text(encoding="utf-8")
TAKEN, FREE = (field for field in CountedCourse._meta.local_fields if field.name in {"taken", "free"})


def run(*names: str) -> None:
    """Run sections of the SQL file."""
    with connection.cursor() as cursor:
        for name in names:
            lines = sections(SQL)[name]
            cursor.execute("\n".join(SQL.splitlines()[lines.start - 1 : lines.stop - 1]))


def send(statement: str) -> None:
    """Send a statement that returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def counters() -> Iterator[None]:
    """Give the academy's courses the two columns, as a migration would, with the right numbers.

    MariaDB does not store the second, see test_mariadb_stores_no_difference_of_unsigned_columns.
    """
    rules = (*CountedCourse._meta.constraints, *CountedCourse._meta.indexes)
    with connection.schema_editor() as editor:
        editor.add_field(CountedCourse, TAKEN)
        if connection.vendor == "mysql":
            editor.execute("ALTER TABLE academy_course ADD free smallint GENERATED ALWAYS AS (seats - taken) VIRTUAL")
        else:
            editor.add_field(CountedCourse, FREE)
        editor.add_constraint(CountedCourse, rules[0])
        editor.add_index(CountedCourse, rules[1])
    try:
        repair()
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.remove_index(CountedCourse, rules[1])
            editor.remove_constraint(CountedCourse, rules[0])
            editor.remove_field(CountedCourse, FREE)
            editor.remove_field(CountedCourse, TAKEN)


@pytest.fixture
def counted(academy: None, transactional_db: None) -> Iterator[None]:
    """The academy, its courses with counters, and no certificate that protects an enrollment."""
    Certificate.objects.all().delete()
    with counters():
        yield


@pytest.fixture
def tables(academy: None, transactional_db: None) -> Iterator[None]:
    """The academy, and the tables of the two models that have their own."""
    with connection.schema_editor() as editor:
        editor.create_model(Printed)
        editor.create_model(Day)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Printed)
        editor.delete_model(Day)


@pytest.fixture
def trigger(counted: None) -> Iterator[None]:
    """The academy, its counters kept by the trigger."""
    run("trigger")
    yield
    send("DROP TRIGGER count_taken ON academy_enrollment; DROP FUNCTION count_taken")


@pytest.fixture
def view(academy: None, transactional_db: None) -> Iterator[None]:
    """The academy, with the materialized view."""
    run("view")
    yield
    send("DROP MATERIALIZED VIEW course_sizes")


@pytest.fixture
def console(record: Recorder) -> Callable[[str], str]:
    """``console(name)`` runs a recorded session of SQL again, compares it and returns it."""

    def rerun(name: str) -> str:
        text = psql.rerun(record.transcript(name, "=>"))
        record(name, text)
        return text

    return rerun


def names() -> dict[str, Any]:
    """Return what the recorded sessions name."""
    return {
        "ama": Learner.objects.get(name="Ama"),
        "kofi": Learner.objects.get(name="Kofi"),
        "esi": Learner.objects.get(name="Esi"),
        "django": Course.objects.get(slug="django"),
        "Certificate": Certificate,
        "Course": Course,
        "CountedCourse": CountedCourse,
        "Enrollment": Enrollment,
        "Printed": Printed,
    }


def count_one(course: Course) -> None:
    """Count one learner more."""
    CountedCourse.objects.filter(pk=course.pk).update(taken=F("taken") + 1)


def numbers(course: Course) -> tuple[int, int]:
    """Return the counter of a course and its enrollments."""
    taken: int = CountedCourse.objects.values_list("taken", flat=True).get(pk=course.pk)
    return taken, course.enrollments.count()


# History


@pytest.mark.wrong("lab/database_design/denormalization.py:wrong_text")
@ON_POSTGRESQL
def test_a_certificate_is_not_renamed(tables: None, session: Session) -> None:
    Certificate.objects.all().delete()
    enrollment = Enrollment.objects.get(learner__name="Ama", course__slug="caching")
    session("denormalization_text.pycon", enrollment=enrollment, issue=issue, wrong_text=wrong_text, **names())
    certificate = Certificate.objects.get(enrollment=enrollment)
    assert wrong_text(certificate) == "Ama has passed Caching with Valkey"
    assert str(Printed.objects.get()) == "Ama has passed Caching"


# A counter


@TOGETHER
@ON_POSTGRESQL
def test_the_record_of_a_counter(counted: None, session: Session, record: Recorder) -> None:
    known = names()
    with time_machine.travel("2026-11-23T09:00Z"), queries() as sent:
        join(known["kofi"], known["django"])
    record("denormalization_join.sql", sent.text)
    assert sent.statements[1].startswith("UPDATE"), "before the INSERT"
    Course.objects.filter(slug="django").update(seats=4)
    session("denormalization_counter.pycon", join=join, **known)
    assert numbers(known["django"]) == (4, 4)


@TOGETHER
@pytest.mark.wrong("lab/database_design/denormalization.py:wrong_join")
@SERVERS
def test_a_counter_loses_an_update_unless_the_database_computes(counted: None, database: str, record: Recorder) -> None:
    known = names()
    lines = []
    for function, before in ((wrong_join, "UPDATE"), (join, "INSERT")):
        calls = [(known[name], known["django"]) for name in ("kofi", "esi")]
        assert race(function, *calls, before=before) == ["done", "done"]
        lines.append("{:10}  taken {}, enrollments {}".format(function.__name__, *numbers(known["django"])))
        Enrollment.objects.filter(course=known["django"], learner__in=[known["kofi"], known["esi"]]).delete()
        repair()
    assert lines == ["wrong_join  taken 3, enrollments 4", "join        taken 4, enrollments 4"]
    if database == "postgresql":
        record("denormalization_race.txt", "\n".join(lines))


@TOGETHER
@SERVERS
def test_the_constraint_sells_the_last_seat_once(counted: None) -> None:
    known = names()
    Course.objects.filter(slug="django").update(seats=3)

    def attempt(learner: Learner) -> None:
        with suppress(CannotEnroll):
            join(learner, known["django"])

    assert race(attempt, (known["kofi"],), (known["esi"],), before="INSERT") == ["done", "done"]
    assert numbers(known["django"]) == (3, 3)
    with pytest.raises(IntegrityError, match="course_not_overbooked"), transaction.atomic():
        CountedCourse.objects.filter(pk=known["django"].pk).update(taken=4)


@TOGETHER
@pytest.mark.wrong("lab/database_design/denormalization.py:wrong_order")
@SERVERS
def test_counting_last_is_a_deadlock_on_mariadb(counted: None, database: str) -> None:
    known = names()
    calls = [(known[name], known["django"]) for name in ("kofi", "esi")]
    outcome = race(wrong_order, *calls, before="UPDATE")
    assert [text.split(":")[0] for text in outcome] == {
        "postgresql": ["done", "done"],
        "mariadb": ["1213", "done"],
    }[database]
    assert ("Deadlock" in outcome[0]) is (database == "mariadb")
    assert not drifted().exists()


@TOGETHER
@SERVERS
def test_everybody_queues_at_one_row(counted: None) -> None:
    known = names()
    other = Course.objects.get(slug="docker")
    with people("Ama", "Kofi", "Esi") as (ama, kofi, esi):
        ama.sql("BEGIN")
        ama.do(count_one, known["django"])
        kofi.start(join, known["kofi"], known["django"])
        assert kofi.waiting
        esi.do(join, known["esi"], other)
        assert kofi.waiting
        ama.sql("ROLLBACK")
        assert not kofi.waiting
    assert numbers(known["django"]) == (3, 3)


@TOGETHER
@ON_POSTGRESQL
def test_the_record_of_drift(counted: None, session: Session) -> None:
    known = names()
    for name in ("kofi", "esi"):
        join(known[name], known["django"])
    session("denormalization_drift.pycon", drifted=drifted, repair=repair, **known)
    assert not drifted().exists()


@TOGETHER
@pytest.mark.wrong("lab/database_design/denormalization.py:wrong_repair")
@ON_POSTGRESQL
@pytest.mark.parametrize(("mend", "left"), [(wrong_repair, 1), (repair, 0)])
def test_a_repair_locks_before_it_counts(counted: None, mend: Callable[[], None], left: int) -> None:
    known = names()
    known["django"].enrollments.all()[0].delete()
    assert drifted().count() == 1
    with people("Ama", "Kofi") as (ama, kofi):
        ama.sql("BEGIN")
        ama.do(count_one, known["django"])
        ama.do(lambda: Enrollment.objects.create(learner=known["esi"], course=known["django"]))
        kofi.start(mend)
        assert kofi.waiting
        ama.sql("COMMIT")
        assert not kofi.waiting
    assert drifted().count() == left


@TOGETHER
@SERVERS
def test_a_repair_mends_on_both(counted: None) -> None:
    Enrollment.objects.filter(course__slug__in=["django", "python"])[0].delete()
    Enrollment.objects.filter(course__slug="docker").delete()
    assert drifted().exists()
    repair()
    assert not drifted().exists()
    assert CountedCourse.objects.values_list("taken", flat=True).get(title="Docker") == 0


@TOGETHER
@ON_POSTGRESQL
def test_a_trigger_counts_whoever_writes(trigger: None, console: Callable[[str], str]) -> None:
    known = names()
    Enrollment.objects.bulk_create(Enrollment(learner=known[name], course=known["django"]) for name in ("kofi", "esi"))
    Enrollment.objects.filter(learner=known["esi"]).delete()
    Enrollment.objects.filter(course=known["django"], learner=known["kofi"]).update(course=Course.objects.latest("pk"))
    assert numbers(Course.objects.latest("pk"))[0] > 0
    assert not drifted().exists()
    console("denormalization_trigger.psql")
    send("TRUNCATE academy_enrollment, academy_certificate")
    assert drifted().exists(), "a trigger for each row sees no TRUNCATE"


@TOGETHER
@ON_POSTGRESQL
def test_a_generated_column_knows_its_own_row(counted: None, console: Callable[[str], str]) -> None:
    assert "ERROR" in console("denormalization_generated.psql")


@TOGETHER
@pytest.mark.databases("mariadb")
def test_mariadb_stores_no_difference_of_unsigned_columns(counted: None) -> None:
    send("ALTER TABLE academy_course RENAME COLUMN free TO virtual")
    with connection.schema_editor() as editor, pytest.raises(OperationalError, match="cannot be used in the GENERATED"):
        editor.add_field(CountedCourse, FREE)
    send("ALTER TABLE academy_course RENAME COLUMN virtual TO free")


# Made anew


@TOGETHER
@ON_POSTGRESQL
def test_a_view_is_stale_until_it_is_refreshed(view: None, console: Callable[[str], str]) -> None:
    assert console("denormalization_view.psql").count("ERROR") == 1
    assert list(fullest_viewed()) == list(fullest_counted())


@TOGETHER
@ON_POSTGRESQL
def test_a_concurrent_refresh_lets_others_read(view: None) -> None:
    for how, waiting in (("", True), ("CONCURRENTLY", False)):
        with people("Ama", "Kofi") as (ama, kofi):
            ama.sql("BEGIN")
            ama.sql(f"REFRESH MATERIALIZED VIEW {how} course_sizes")
            kofi.start(lambda: list(fullest_viewed()))
            assert kofi.waiting is waiting
            ama.sql("COMMIT")


@pytest.mark.databases("mariadb")
def test_mariadb_has_no_materialized_views(db: None) -> None:
    with pytest.raises(ProgrammingError, match="You have an error in your SQL syntax"):
        send("CREATE MATERIALIZED VIEW sizes AS SELECT 1")


@pytest.mark.databases
def test_a_day_is_stored_and_mended(tables: None) -> None:
    day = Enrollment.objects.order_by("enrolled_on")[0].enrolled_on
    close(day)
    before = Day.objects.get().joined
    assert before == Enrollment.objects.filter(enrolled_on=day).count() > 0
    learner = Learner.objects.exclude(enrollments__course__slug="django")[0]
    Enrollment.objects.create(learner=learner, course=Course.objects.get(slug="django"), enrolled_on=day)
    assert Day.objects.get().joined == before, "the table does not know"
    close(day)
    assert (Day.objects.get().joined, Day.objects.get().day) == (before + 1, day)


# The price

ROWS = """
INSERT INTO academy_course (id, title, slug, description, level, seats, published, starts_on, ends_on)
SELECT n, 'Course ' || n, 'course-' || n, '', 'beginner', 32767, true, '2026-01-05', '2026-02-16'
FROM generate_series(1, 1000) AS n;
INSERT INTO academy_learner (id, name, email, joined_on)
SELECT n, 'Learner ' || n, n || '@example.com', '2026-01-05' FROM generate_series(1, %(learners)s::bigint) AS n;
-- Each joins ten courses, one in every hundred; the first of a hundred is the fullest.
INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on)
SELECT n, 1 + 100 * k + floor(100 * ((n * 2654435761 %% 4294967296) / 4294967296.0::float8) ^ 2), '2026-01-05'
FROM generate_series(1, %(learners)s::bigint) AS n, generate_series(0, 9) AS k;
"""


@transaction.atomic
def alone(learner: Learner, course: Course) -> None:
    """Enroll a learner, as ``join`` does, and count nothing."""
    Enrollment.objects.create(learner=learner, course=course)


SIZES = (10_000, 100_000, 1_000_000)
READS: dict[str, Callable[[], Any]] = {
    "20 fullest, counted": fullest_counted,
    "20 fullest, counter column": fullest_stored,
    "20 fullest, materialized view": fullest_viewed,
    "20 by title, counted": page_counted,
}
WRITES: dict[str, Callable[[Learner, Course], object]] = {
    "enrollment, no counter": alone,
    "enrollment, counter by F()": join,
    "enrollment, counter by trigger": alone,
}
REFRESH = "REFRESH … CONCURRENTLY"


@contextmanager
def grown(enrollments: int) -> Iterator[None]:
    """Fill the academy with a thousand courses and many enrollments, with counters, a trigger and the view."""
    empty = "TRUNCATE academy_enrollment, academy_certificate, academy_course, academy_learner RESTART IDENTITY CASCADE"
    with counters():
        run("trigger")
        send("ALTER TABLE academy_enrollment DISABLE TRIGGER count_taken")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(empty)
            cursor.execute("SET LOCAL session_replication_role = replica")  # no foreign key is looked up
            cursor.execute(ROWS, {"learners": enrollments // 10})
        repair()
        run("view")
        send("VACUUM ANALYZE academy_enrollment")
        send("VACUUM ANALYZE academy_course")
        try:
            yield
        finally:
            send("DROP MATERIALIZED VIEW course_sizes")
            send("DROP TRIGGER count_taken ON academy_enrollment; DROP FUNCTION count_taken")
            send(empty)


def read_times(repetitions: int) -> dict[str, float]:
    """Return the median time of each list, in milliseconds; they take turns, each after every other."""
    taken: dict[str, list[float]] = {name: [] for name in READS}
    for orders in [list(itertools.permutations(READS))] * repetitions:
        for name in itertools.chain.from_iterable(orders[:: len(orders) // 4]):
            start = time.perf_counter()
            rows = list(READS[name]())
            taken[name].append(time.perf_counter() - start)
            assert len(rows) == 20
    return {name: round(statistics.median(times[2:]) * 1000, 2) for name, times in taken.items()}


def write_times(rounds: int, each: int) -> dict[str, float]:
    """Return the median time of an enrollment in each way, and of a refresh, in milliseconds."""
    taken: dict[str, list[float]] = {name: [] for name in [*WRITES, REFRESH]}
    # Enrollments that were there: deleted, and made again, so that the table stays as large as it was.
    known = list(Enrollment.objects.select_related("learner", "course").order_by("-pk")[: (rounds + 1) * each * 3])
    Enrollment.objects.filter(pk__in=[enrollment.pk for enrollment in known]).delete()
    repair()
    waiting = iter(known)
    for _ in range(rounds + 1):
        for name, write in WRITES.items():
            switch = "ENABLE" if "trigger" in name else "DISABLE"
            send(f"ALTER TABLE academy_enrollment {switch} TRIGGER count_taken")
            for _ in range(each):
                enrollment = next(waiting)
                start = time.perf_counter()
                write(enrollment.learner, enrollment.course)
                taken[name].append(time.perf_counter() - start)
        start = time.perf_counter()
        send("REFRESH MATERIALIZED VIEW CONCURRENTLY course_sizes")
        taken[REFRESH].append(time.perf_counter() - start)
    skipped = {name: 1 if name == REFRESH else each for name in taken}
    return {name: round(statistics.median(times[skipped[name] :]) * 1000, 2) for name, times in taken.items()}


@cache
def experiment() -> tuple[dict[int, dict[str, float]], dict[int, dict[str, float]]]:
    """Return the times of reading and of writing, for each number of enrollments."""
    reads, writes = {}, {}
    for size in SIZES:
        with grown(size):
            reads[size] = read_times(6)
            writes[size] = write_times(10, 20)
    return reads, writes


def lines(found: dict[int, dict[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Return the lines of a chart."""
    return {name: [(size, times[name]) for size, times in found.items()] for name in found[SIZES[0]]}


def chart(title: str, description: str, found: dict[int, dict[str, float]]) -> Measurement:
    """Return a measurement over growing rows."""
    server, release = versions.server().split()
    return Measurement(
        title=title,
        description=description,
        x="enrollments in 1,000 courses",
        y="time (ms)",
        versions={"Django": version("django"), "psycopg": version("psycopg"), server: release},
        lines=lines(found),
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("denormalization")
@TOGETHER
@ON_POSTGRESQL
def test_what_a_copy_saves_and_costs(
    transactional_db: None, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    reads = measured(
        "denormalization_read.json",
        lambda: chart(
            "Reading numbers of enrollments",
            "Counting for the twenty fullest courses grows with the rows. The counter column and the view hardly do. "
            "Counting for twenty courses in the order of their titles stays far below counting for all.",
            experiment()[0],
        ),
    )
    counted, stored, viewed, page = (dict(line) for line in reads.lines.values())
    first, last = SIZES[0], SIZES[-1]
    assert counted[last] > 20 * counted[first]
    assert counted[last] > 20 * stored[last]
    assert counted[last] > 20 * viewed[last]
    assert stored[last] < 10 * stored[first]
    assert viewed[last] < 10 * viewed[first]
    assert counted[last] > 3 * page[last]
    writes = measured(
        "denormalization_write.json",
        lambda: chart(
            "Writing one enrollment, and refreshing the view",
            "An enrollment takes about as long at every size, a little longer with a counter. "
            "A refresh grows with the rows.",
            experiment()[1],
        ),
    )
    plain, by_f, by_trigger, refresh = (dict(line) for line in writes.lines.values())
    assert sum(plain.values()) < sum(by_f.values()) < 8 * sum(plain.values())
    assert sum(by_trigger.values()) < sum(by_f.values())
    for line in (by_f, by_trigger):
        assert line[last] < 3 * line[first], "an index finds the row, however many there are"
    assert refresh[last] > 5 * refresh[first]
    assert refresh[last] > 20 * by_f[last]
    # What holds on every machine: the same answers, and how many rows are read for them.
    with grown(2_000):
        assert list(fullest_counted()) == list(fullest_stored()) == list(fullest_viewed())
        assert set(page_counted()) <= {(course.title, course.taken) for course in CountedCourse.objects.all()}
        assert "rows=2000" in plan(fullest_counted())
        for read in (fullest_stored, fullest_viewed):
            assert "rows=1000" not in plan(read()), "the first twenty of an index"
            assert "Index Scan" in plan(read())
        assert "academy_enrollment_course_id" in plan(page_counted())
        read_times(1)
        write_times(1, 2)
        repair()
        assert not drifted().exists()
