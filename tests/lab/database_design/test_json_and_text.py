"""Documents in a column and words in a text: what each server finds, by which index, and in which time."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.apps import apps
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.core.exceptions import FieldError
from django.db import DatabaseError, IntegrityError, NotSupportedError, connection, transaction
from django.db.models import Avg, CheckConstraint, IntegerField, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.test.utils import isolate_apps

from scripts.pages import ROOT
from scripts.proof import sections
from tests import databases
from tests.lab.database_design.plans import shape
from tests.lab.database_design.psql import rerun
from tests.recording import versions
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import Model, QuerySet
    from pytest_django import DjangoDbBlocker

    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

with isolate_apps("lab.database_design"):  # these models are known to nobody else, and have no tables
    from lab.database_design.json_and_text_samples import (
        CITY,
        GIN,
        Application,
        ApplicationWithCity,
        CheckedApplication,
        PlainCourse,
        SearchableCourse,
        search,
        similar,
    )

SQL = (ROOT / "lab/database_design/json_and_text.sql").read_text(encoding="utf-8")
ON_POSTGRESQL = pytest.mark.databases("postgresql")
ON_MARIADB = pytest.mark.databases("mariadb")
applications: Any = Application._default_manager  # the models are known to this file alone
plain: Any = PlainCourse._default_manager
searchable: Any = SearchableCourse._default_manager


def run(*statements: str) -> None:
    """Send statements that find nothing."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def quoted(name: str) -> str:
    """Return a section of the page's SQL."""
    lines = sections(SQL)[name]
    return "\n".join(SQL.splitlines()[lines.start - 1 : lines.stop - 1])


@contextmanager
def made(*models: type[Model]) -> Iterator[None]:
    """The tables of some models, and on PostgreSQL the extension for trigrams."""
    if connection.vendor == "postgresql":
        run("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in models:
                editor.delete_model(model)


@pytest.fixture
def documents(database: str, transactional_db: None) -> Iterator[None]:
    """The tables of applications."""
    with made(Application, CheckedApplication, ApplicationWithCity):
        yield


# Lookups

ANSWERS: tuple[dict[str, Any], ...] = (
    {"level": "beginner", "hours": 4, "tags": ["web", "data"], "address": {"city": "Accra"}},
    {"level": None, "hours": 12, "tags": ["web"]},
    {"Level": "beginner", "hours": "4", "tags": []},
)
LOOKUPS = {
    'answers__level="beginner"': Q(answers__level="beginner"),
    'answers__address__city="Accra"': Q(answers__address__city="Accra"),
    'answers__tags__0="web"': Q(answers__tags__0="web"),
    'answers__contains={"tags": ["web"]}': Q(answers__contains={"tags": ["web"]}),
    'answers__has_key="level"': Q(answers__has_key="level"),
    "answers__level=None": Q(answers__level=None),
    "answers__level__isnull=True": Q(answers__level__isnull=True),
    '~Q(answers__level="beginner")': ~Q(answers__level="beginner"),
    "answers__hours=4": Q(answers__hours=4),
    "answers__hours__gte=5": Q(answers__hours__gte=5),
}
ORDERED = 'order_by("answers__hours")'


def found(question: QuerySet[Any]) -> str:
    """Return the numbers of the applications that a question finds."""
    try:
        return ", ".join(map(str, question.values_list("pk", flat=True))) or "none"
    except NotSupportedError:
        return "`NotSupportedError`"


@pytest.mark.services
def test_what_the_lookups_find(record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    cells: dict[str, list[str]] = {name: [] for name in (*LOOKUPS, ORDERED)}
    for name in ("postgresql", "mariadb", "sqlite"):
        with django_db_blocker.unblock(), databases.use(name), made(Application):
            applications.bulk_create(Application(pk=n, answers=answers) for n, answers in enumerate(ANSWERS, 1))
            for lookup, condition in LOOKUPS.items():
                cells[lookup].append(found(applications.filter(condition).order_by("pk")))
            cells[ORDERED].append(found(applications.order_by("answers__hours", "pk")))
    lines = ["| Question | PostgreSQL | MariaDB | SQLite |", "| --- | --- | --- | --- |"]
    lines += [f"| `{lookup}` | {' | '.join(cell)} |" for lookup, cell in cells.items()]
    record("json_and_text_lookups.md", "\n".join(lines))
    assert cells['~Q(answers__level="beginner")'] == ["2"] * 3, "a row without the key is neither in nor out"
    assert cells["answers__hours=4"] == ["1", "1, 3", "1"]


# A typo


@pytest.mark.wrong("lab/database_design/json_and_text_samples.py:wrong_application")
@ON_POSTGRESQL
def test_a_typo_as_recorded(documents: None, session: Session) -> None:
    names = {"Cast": Cast, "KT": KT, "Avg": Avg, "IntegerField": IntegerField}
    session(
        "json_and_text_typo.pycon",
        applications=applications,
        checked=CheckedApplication._default_manager,
        **names,
    )


@pytest.mark.databases
def test_a_column_refuses_what_a_document_takes(documents: None) -> None:
    applications.create(answers={"hours": "a few"})
    with pytest.raises(TypeError, match="Level"):
        CheckedApplication(Level="beginner")
    with pytest.raises(ValueError, match="a few"):
        CheckedApplication._default_manager.create(level="beginner", hours="a few")


@ON_POSTGRESQL
def test_a_check_can_ask_for_a_key(documents: None) -> None:
    rule = CheckConstraint(condition=Q(answers__has_key="level"), name="level_is_there")
    with connection.schema_editor() as editor:
        editor.add_constraint(Application, rule)
    with pytest.raises(IntegrityError, match="level_is_there"):
        applications.create(answers={"Level": "beginner"})
    applications.create(answers={"level": "novice"})


# Storage


@ON_POSTGRESQL
def test_sessions_of_sql(db: None, record: Recorder) -> None:
    for name in ("json_and_text_storage.psql", "json_and_text_words.psql"):
        record(name, rerun(record.transcript(name, "=>")))


@ON_MARIADB
def test_mariadb_keeps_the_text(documents: None) -> None:
    run("""INSERT INTO database_design_application (answers) VALUES ('{"b": 1,  "a": 1, "a": 2}')""")
    with connection.cursor() as cursor:
        cursor.execute("SELECT answers FROM database_design_application")
        assert cursor.fetchone() == ('{"b": 1,  "a": 1, "a": 2}',)
    with pytest.raises(DatabaseError, match="CONSTRAINT"):
        run("INSERT INTO database_design_application (answers) VALUES ('{oops}')")


# Which index serves which question

CITIES = (
    "INSERT INTO database_design_{0} (answers) SELECT"
    " jsonb_build_object('level', 'beginner', 'city', 'City ' || n % 5000)"
    " FROM generate_series(1, 20000) AS n"
)
BY_CITY: dict[str, QuerySet[Any]] = {
    'filter(answers__contains={"city": "City 7"})': applications.filter(answers__contains={"city": "City 7"}),
    'filter(answers__city="City 7")': applications.filter(answers__city="City 7"),
    'alias(city=KT("answers__city")).filter(city="City 7")': applications.alias(city=KT("answers__city")).filter(
        city="City 7"
    ),
}


def read(plan: str) -> str:
    """Return what a plan reads."""
    for name in (GIN.name, CITY.name):
        if f"Index Scan on {name}" in plan or f"using {name}" in plan:
            return f"`{name}`"
    assert "Seq Scan" in plan
    return "the whole table"


@ON_POSTGRESQL
def test_which_index_serves_which_question(documents: None, record: Recorder) -> None:
    run(CITIES.format("application"), "ANALYZE database_design_application")
    before = [read(shape(question)) for question in BY_CITY.values()]
    assert before == ["the whole table"] * 3
    with connection.schema_editor() as editor:
        editor.add_index(Application, GIN)
        editor.add_index(Application, CITY)
    run("ANALYZE database_design_application")
    lines = ["| Question | Reads |", "| --- | --- |"]
    lines += [f"| `{name}` | {read(shape(question))} |" for name, question in BY_CITY.items()]
    record("json_and_text_indexes.md", "\n".join(lines))
    assert {question.count() for question in BY_CITY.values()} == {4}
    assert "the whole table" in lines[3]
    assert "the whole table" not in lines[2] + lines[4]


@ON_MARIADB
def test_mariadb_uses_the_generated_column(documents: None) -> None:
    run(
        "INSERT INTO database_design_applicationwithcity (answers)"
        " SELECT json_object('city', concat('City ', seq % 500)) FROM seq_1_to_2000"
    )
    question = ApplicationWithCity._default_manager.filter(city="City 7")
    assert question.count() == 4
    assert " ref database_design_applicationwithcity_city" in question.explain()


@ON_POSTGRESQL
def test_so_does_postgresql(documents: None) -> None:
    run(CITIES.format("applicationwithcity"), "ANALYZE database_design_applicationwithcity")
    assert "Seq Scan" not in shape(ApplicationWithCity._default_manager.filter(city="City 7"))


@ON_MARIADB
def test_mariadb_has_no_expression_index(documents: None) -> None:
    with connection.schema_editor() as editor:
        editor.add_index(Application, CITY)
    assert CITY.name not in connection.introspection.get_constraints(connection.cursor(), Application._meta.db_table)


# Words

COURSES = (
    ("Databases", "Running queries over tables, and the plans of a query."),
    ("Python", "A database runs the queries that you write. Go on from there."),
    ("Django", "Models, views and forms for the web."),
)


@ON_POSTGRESQL
def test_search_as_recorded(transactional_db: None, session: Session) -> None:
    assert not apps.is_installed("django.contrib.postgres")
    with made(SearchableCourse):
        searchable.bulk_create(SearchableCourse(title=title, description=text) for title, text in COURSES)
        session("json_and_text_search.pycon", search=search, similar=similar, courses=searchable)
        assert not search("databeses")
        with pytest.raises(FieldError, match="Unsupported lookup 'search'"):
            searchable.filter(description__search="query")


@ON_MARIADB
def test_match_as_recorded(transactional_db: None, session: Session) -> None:
    with made(PlainCourse):
        plain.bulk_create(PlainCourse(title=title, description=text) for title, text in COURSES)
        with pytest.raises(DatabaseError, match="FULLTEXT"), transaction.atomic():
            list(plain.filter(description__match="+queries"))
        run(quoted("fulltext"))
        session("json_and_text_match.pycon", courses=plain)
        assert " fulltext course_words " in plain.filter(description__match="+queries").explain()
        with pytest.raises(DatabaseError, match="syntax error"):
            list(plain.filter(description__match="c++"))


@ON_MARIADB
def test_what_the_index_of_mariadb_leaves_out(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM information_schema.innodb_ft_default_stopword")
        assert cursor.fetchone() == (36,)
        cursor.execute("SELECT @@innodb_ft_min_token_size")
        assert cursor.fetchone() == (3,)
    with made(PlainCourse):
        run(quoted("fulltext"))
        with transaction.atomic():
            plain.create(title="Django", description="Views and forms")
            assert not plain.filter(description__match="forms")
        assert plain.filter(description__match="forms")


@ON_POSTGRESQL
def test_who_asks_for_the_application(db: None) -> None:
    problems = {problem.id for problem in SearchableCourse.check(databases=["default"])}
    assert ("postgres.E005" in problems) is (django.VERSION >= (6, 1))


def test_the_lookup_is_for_one_server(db: None) -> None:
    with pytest.raises(NotImplementedError):
        list(plain.filter(description__match="+queries"))


# The price

SYLLABLES = ("lo", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo")
RARE = "rollback"
EVERY = 1000  # one description in so many holds the rare word


def descriptions(first: int, last: int) -> list[str]:
    """Return descriptions of thirty words, the same on every run."""
    texts = []
    for number in range(first, last):
        chance = random.Random(number)  # noqa: S311  (data for samples, no secret)
        words = ["".join(chance.choices(SYLLABLES, k=3)) for _ in range(30)]
        if number % EVERY == 0:
            words[15] = RARE
        texts.append(" ".join(words))
    return texts


def milliseconds(question: Callable[[], QuerySet[Any]], expected: int) -> float:
    """Return how long a question takes, its rows read; hold it to the number of rows."""
    courses = question().values_list("pk", flat=True)
    start = time.perf_counter()
    rows = list(courses)
    took = 1000 * (time.perf_counter() - start)
    assert len(rows) == expected
    return took


def contains_without_index() -> QuerySet[Any]:
    """Return the courses with the word in their text."""
    run("SET enable_bitmapscan = off")
    return contains()


def contains() -> QuerySet[Any]:
    """Return the same courses, with every index allowed."""
    found: QuerySet[Any] = searchable.filter(description__icontains=RARE)
    return found


def words_in_the_query() -> QuerySet[Any]:
    """Return them by words that are made for each row in the query."""
    made = searchable.alias(made=SearchVector("description", config="english"))
    found: QuerySet[Any] = made.filter(made=SearchQuery(RARE, config="english"))
    return found


POSTGRESQL: dict[str, Callable[[], QuerySet[Any]]] = {
    "to_tsvector in the query": words_in_the_query,
    "icontains": contains_without_index,
    "icontains, trigram index": contains,
    "stored words, GIN": lambda: searchable.filter(words=SearchQuery(RARE, config="english")),
}
MARIADB: dict[str, Callable[[], QuerySet[Any]]] = {
    "icontains": lambda: plain.filter(description__icontains=RARE),
    "MATCH, FULLTEXT index": lambda: plain.filter(description__match=f"+{RARE}"),
}
TRIGRAM = "CREATE INDEX course_trigram ON database_design_searchablecourse USING gin (upper(description) gin_trgm_ops)"


def series(sizes: tuple[int, ...], times: int) -> dict[str, list[tuple[float, float]]]:
    """Return the milliseconds of each way at each size, on the server at hand; the ways take turns."""
    postgresql = connection.vendor == "postgresql"
    model, ways = (SearchableCourse, POSTGRESQL) if postgresql else (PlainCourse, MARIADB)
    manager: Any = model._default_manager
    lines: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with made(model):
        run(TRIGRAM if postgresql else quoted("fulltext"))
        there = 0
        for size in sizes:
            rows = (model(title=f"Course {n}", description=text) for n, text in enumerate(descriptions(there, size)))
            manager.bulk_create(rows, batch_size=1000)
            there = size
            run(f"{'VACUUM ANALYZE' if postgresql else 'ANALYZE TABLE'} {model._meta.db_table}")
            took: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(times + 1):
                for name, way in ways.items():
                    spent = milliseconds(way, size // EVERY)
                    if postgresql:
                        run("RESET enable_bitmapscan")
                    if turn:  # the first is to warm up
                        took[name].append(spent)
            for name, values in took.items():
                lines[name].append((size, round(median(values), 2)))
    return lines


def measure(title: str, description: str) -> Measurement:
    """Return the time to find a rare word in up to 100,000 descriptions."""
    server, release = versions.server().split()
    return Measurement(
        title=title,
        description=description,
        x="descriptions",
        y="time of the query (ms)",
        versions={server: release},
        lines=series((1_000, 10_000, 100_000), 5),
        log_x=True,
        log_y=True,
    )


def last(line: list[tuple[float, float]]) -> float:
    """Return the time at the largest size."""
    return line[-1][1]


@pytest.mark.measures("json_and_text")
@pytest.mark.django_db(transaction=True)
@pytest.mark.services
def test_the_time_to_find_a_word(measured: Measured, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), databases.use("postgresql"):
        lines = measured("json_and_text_postgresql.json", on_postgresql).lines
        small = series((2_000,), 1)
    indexed, trigram = last(lines["stored words, GIN"]), last(lines["icontains, trigram index"])
    assert last(lines["icontains"]) > 10 * indexed
    assert last(lines["icontains"]) > 10 * trigram
    assert last(lines["to_tsvector in the query"]) > 3 * last(lines["icontains"])
    assert last(small["to_tsvector in the query"]) > 3 * last(small["stored words, GIN"])
    with django_db_blocker.unblock(), databases.use("mariadb"):
        lines = measured("json_and_text_mariadb.json", on_mariadb).lines
        series((2_000,), 1)
    assert last(lines["icontains"]) > 10 * last(lines["MATCH, FULLTEXT index"])


def on_postgresql() -> Measurement:
    """Measure on PostgreSQL."""
    return measure(
        "Finding a word, PostgreSQL",
        "Without an index the time grows with the descriptions; words made in the query take longest.",
    )


def on_mariadb() -> Measurement:
    """Measure on MariaDB."""
    return measure("Finding a word, MariaDB", "icontains grows with the descriptions, MATCH hardly.")


@ON_POSTGRESQL
def test_the_plans_of_the_ways(transactional_db: None) -> None:
    with made(SearchableCourse):
        run(TRIGRAM)
        searchable.bulk_create(SearchableCourse(title="x", description=text) for text in descriptions(0, 5_000))
        run("VACUUM ANALYZE database_design_searchablecourse")
        assert "course_trigram" in shape(contains())
        assert "course_words" in shape(POSTGRESQL["stored words, GIN"]())
        assert "Seq Scan" in shape(words_in_the_query())
        assert "Seq Scan" in shape(contains_without_index())
        run("RESET enable_bitmapscan")
