"""Each step of the sheet's way into tables: what went wrong before, what cannot after, and that no fact is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, models, transaction

from lab.academy.models import Course, Enrollment, Learner, Tag, User
from scripts.pages import ROOT
from scripts.proof import sections
from tests.lab.database_design import psql

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Session = Callable[[str], list[str]]

SQL = (ROOT / "lab/database_design/normalization.sql").read_text(encoding="utf-8")
SHEET = (ROOT / "lab/database_design/normalization.csv").read_text(encoding="utf-8")
ON_POSTGRESQL = pytest.mark.databases("postgresql")
# What is joined to the enrollments after each step.
JOINS = {
    "first": "",
    "second": "JOIN learners USING (email) JOIN courses USING (course)",
    "third": "JOIN learners USING (email) JOIN courses USING (course) JOIN rooms USING (room)",
    "bcnf": "JOIN learners USING (email) JOIN mentors USING (mentor) "
    "JOIN courses USING (course) JOIN rooms USING (room)",
    "held": "JOIN learners USING (email) JOIN courses USING (course) JOIN rooms USING (room)",
}
STEPS = {
    "first": ["first"],
    "second": ["first", "second"],
    "third": ["first", "second", "third"],
    "bcnf": ["first", "second", "third", "bcnf"],
    "held": ["first", "second", "third", "held"],
}


def section(name: str) -> str:
    """Return a section of the SQL file."""
    lines = sections(SQL)[name]
    return "\n".join(SQL.splitlines()[lines.start - 1 : lines.stop - 1])


def run(*names: str) -> None:
    """Run sections of the SQL file."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(section(name))


def rows(statement: str) -> list[tuple[object, ...]]:
    """Return what a statement finds."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def load(text: str = SHEET) -> None:
    """Make the sheet's table and load a CSV file into it."""
    start = SQL[: SQL.index("-- --8<--")]
    create, copy = (statement.strip() for statement in start.split(";")[:2])
    with connection.cursor() as cursor:
        cursor.execute(create)
        with cursor.cursor.copy(copy) as into:
            into.write(text)


@pytest.fixture
def sheet(db: None, database: str) -> None:
    """The sheet as it came, in PostgreSQL."""
    load()


@pytest.fixture
def session(record: Recorder) -> Session:
    """``session(name)`` runs a recorded session of SQL again, compares it and returns the last line of each answer."""

    def rerun(name: str) -> list[str]:
        text = psql.rerun(record.transcript(name, "=>"))
        record(name, text)
        answers = text.removeprefix(psql.FIRST).split(f"\n{psql.FIRST}")
        return [answer.splitlines()[-1].split("violates")[-1].strip() for answer in answers]

    return rerun


@ON_POSTGRESQL
def test_the_data_can_refute_a_rule_and_not_make_one(sheet: None, session: Session) -> None:
    assert session("normalization_rules.psql") == ["(0 rows)", "(0 rows)"]
    broken = "SELECT {0} FROM sheet GROUP BY {0} HAVING count(DISTINCT ({1})) > 1"
    for left, right in (
        ("email", "name"),
        ("course", "teacher, room"),
        ("room", "building"),
        ("email, course", "mentor, grade"),
        ("mentor", "course"),
    ):
        assert rows(broken.format(left, right)) == [], f"{left} determines {right}"
    assert rows(broken.format("teacher", "room")) == [], "in these rows, and by no rule"
    assert rows(broken.format("room", "course")) == [("A1",)]
    assert rows(broken.format("email", "course")) == [("esi@example.com",), ("kofi@example.com",)]
    assert rows(broken.format("course", "mentor")) == [("Databases",)]


# Step by step


@ON_POSTGRESQL
def test_a_list_in_a_cell(sheet: None, session: Session) -> None:
    assert session("normalization_first_before.psql") == [
        "(4 rows)",
        'ERROR:  column "phone_3" of relation "sheet" does not exist',
    ]
    run("first")
    assert session("normalization_first_after.psql") == [
        "(2 rows)",
        "INSERT 0 1",
        'unique constraint "course_tags_pkey"',
    ]


@ON_POSTGRESQL
def test_a_part_of_the_key(sheet: None, session: Session) -> None:
    run("first")
    assert session("normalization_second_before.psql") == [
        "UPDATE 1",
        "(2 rows)",
        "not-null constraint",
        "DELETE 2",
        "(0 rows)",
    ]
    run("second")
    assert session("normalization_second_after.psql") == ["UPDATE 1", "(1 row)", "INSERT 0 1", "DELETE 2", "(1 row)"]


@ON_POSTGRESQL
def test_a_column_outside_every_key(sheet: None, session: Session) -> None:
    run("first", "second")
    assert session("normalization_third_before.psql") == [
        "UPDATE 1",
        "(2 rows)",
        "not-null constraint",
        "UPDATE 2",
        "(0 rows)",
    ]
    run("third")
    assert session("normalization_third_after.psql") == ["UPDATE 1", "(1 row)", "INSERT 0 1", "UPDATE 2", "(1 row)"]


@ON_POSTGRESQL
def test_a_determinant_that_is_no_key(sheet: None, session: Session) -> None:
    run("first", "second", "third")
    assert session("normalization_bcnf_before.psql") == [
        "UPDATE 1",
        "(2 rows)",
        "not-null constraint",
        "DELETE 1",
        "(0 rows)",
    ]
    with transaction.atomic():
        run("bcnf")
        assert session("normalization_bcnf_after.psql") == [
            'unique constraint "mentors_pkey"',
            "INSERT 0 1",
            "DELETE 1",
            "(1 row)",
            "INSERT 0 1",
            "(2 rows)",
        ]
        with pytest.raises(DatabaseError, match="enrollments_pkey"), connection.cursor() as cursor:
            cursor.execute("INSERT INTO enrollments VALUES ('ama@example.com', 'Kwame')")
        transaction.set_rollback(True)
    run("held")
    key, refers = 'unique constraint "enrollments_pkey"', 'foreign key constraint "enrollments_mentor_course_fkey"'
    assert session("normalization_held.psql") == [key, refers, f'{refers} on table "enrollments"', "INSERT 0 1"]


# Nothing is lost, nothing is invented


@ON_POSTGRESQL
@pytest.mark.parametrize("step", STEPS)
def test_every_step_can_be_joined_back(sheet: None, step: str) -> None:
    run(*STEPS[step])
    before, after = section("lossless").split("CREATE VIEW after")
    view = f"CREATE VIEW after{after[: after.index('FROM enrollments')]}FROM enrollments AS e {JOINS[step]}"
    # The mentor's table brings the course once it has left the enrollments.
    view = view.replace("e.course", "mentors.course") if step == "bcnf" else view
    with connection.cursor() as cursor:
        cursor.execute(before)
        cursor.execute(view)
    assert len(rows("TABLE after")) == len(SHEET.splitlines()) - 1 == 5
    assert set(map(str, rows("TABLE after"))) == set(map(str, rows("TABLE before")))


@ON_POSTGRESQL
def test_the_record_of_the_way_back(sheet: None, session: Session) -> None:
    run(*STEPS["held"], "lossless")
    session("normalization_lossless.psql")
    assert rows("TABLE before EXCEPT TABLE after") == rows("TABLE after EXCEPT TABLE before") == []
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rooms SET building = 'Annex' WHERE room = 'A1'")
    assert len(rows("(TABLE before EXCEPT TABLE after) UNION ALL (TABLE after EXCEPT TABLE before)")) == 8


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/normalization.sql:wrong_split")
def test_a_split_without_a_key_invents_facts(sheet: None, session: Session) -> None:
    run("first", "wrong_split")
    assert session("normalization_split.psql") == ["(2 rows)"]
    joined = rows("SELECT email, course FROM learner_rooms JOIN course_rooms USING (room)")
    assert set(rows("SELECT email, course FROM sheet")) < set(joined), "no row is missing"


@ON_POSTGRESQL
def test_a_sheet_that_breaks_a_rule_does_not_get_in(db: None) -> None:
    load(SHEET.replace("A1", "B2", 1))
    run("first")
    with pytest.raises(DatabaseError, match='duplicate key value violates unique constraint "courses_pkey"'):
        run("second")


@ON_POSTGRESQL
def test_a_number_in_front_is_no_normal_form(sheet: None) -> None:
    run("first")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE enrollments DROP CONSTRAINT enrollments_pkey")
        cursor.execute("ALTER TABLE enrollments ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
        cursor.execute("UPDATE enrollments SET teacher = 'Efua' WHERE id = 1")
    assert len(rows("SELECT DISTINCT teacher FROM enrollments WHERE course = 'Databases'")) == 2


@ON_POSTGRESQL
def test_one_flat_table_pairs_what_has_nothing_to_do_with_each_other(sheet: None) -> None:
    run("first")
    flat = "FROM enrollments LEFT JOIN phones USING (email) JOIN course_tags USING (course)"
    assert rows(f"SELECT count(*) {flat}") == [(11,)]
    assert rows(f"SELECT count(*) {flat} WHERE email = 'ama@example.com'") == [(4,)]


# The academy


def test_the_academy_has_these_tables() -> None:
    assert Learner._meta.get_field("email").unique
    assert Course._meta.get_field("slug").unique
    assert not Course._meta.get_field("title").unique
    assert Tag._meta.get_field("name").unique
    assert Course.tags.through._meta.unique_together == (("course", "tag"),)
    unique = [rule for rule in Enrollment._meta.constraints if isinstance(rule, models.UniqueConstraint)]
    assert [(rule.name, rule.fields) for rule in unique] == [("enrolled_once", ("learner", "course"))]
    assert Course._meta.get_field("teacher").related_model is User
