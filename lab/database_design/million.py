"""A large academy: a million enrollments in seconds, the same on every run. PostgreSQL only."""

from __future__ import annotations

import datetime
from typing import Any

from django.core.management.color import no_style
from django.db import connection, transaction

from lab.academy.models import Certificate, Course, Enrollment, Learner, Lesson, Tag
from lab.academy.seed import LEVELS, NAMES, TAGS, TOPICS

FIRST_DAY = datetime.date(2021, 1, 4)
LAST_DAY = datetime.date(2025, 12, 31)
GRADED_AFTER = 28  # days; nobody who joined later than that has a grade

LARGE = (Learner, Enrollment, Certificate)
MODELS = (Tag, Course, Course.tags.through, Lesson, *LARGE)

# How to drop and how to make again the indexes of some tables, but for the primary keys.
INDEXES = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', indrelid::regclass, conname),
    format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s',
        indrelid::regclass, conname, pg_get_constraintdef(c.oid))
FROM pg_index JOIN pg_constraint AS c ON conindid = indexrelid AND contype = 'u'
WHERE indrelid = ANY (%(tables)s::regclass[])
UNION ALL
SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid = ANY (%(tables)s::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid)
"""

ROWS = """
-- A number from 0 to below 1 that looks random; each seed makes another series.
CREATE FUNCTION pg_temp.chance(n bigint, seed bigint) RETURNS float8 IMMUTABLE LANGUAGE sql
RETURN (hashint8extended(n, seed) & 4294967295) / 4294967296.0::float8;

INSERT INTO academy_tag (id, name)
SELECT n, name FROM unnest(%(tags)s::text[]) WITH ORDINALITY AS tag (name, n);

INSERT INTO academy_course
    (id, title, slug, description, level, seats, published, starts_on, ends_on)
SELECT n, topic || ' ' || edition, lower(replace(topic, ' ', '-')) || '-' || edition,
    topic || ' from the first step to a running service.',
    (%(levels)s::text[])[1 + n %% 3], 32767, n %% 10 <> 9, start, start + 42
FROM generate_series(1, %(courses)s) AS n,
    LATERAL (SELECT (%(topics)s::text[])[1 + (n - 1) %% 10] AS topic, (n + 9) / 10 AS edition,
        %(first)s::date + (n * 37 %% (%(days)s - 42)) AS start) AS made;

INSERT INTO academy_course_tags (course_id, tag_id)
SELECT n, 1 + (n + k) %% cardinality(%(tags)s::text[])
FROM generate_series(1, %(courses)s) AS n, generate_series(0, n %% 2) AS k;

INSERT INTO academy_lesson (course_id, position, title, minutes)
SELECT n, k, topic.title || ', part ' || k, 10 + (n + k) * 5 %% 50
FROM generate_series(1, %(courses)s) AS n, generate_series(1, 4 + n %% 5) AS k,
    LATERAL (SELECT title FROM academy_course WHERE id = n) AS topic
ORDER BY n, k;

-- Learners join evenly over the years ...
INSERT INTO academy_learner (id, name, email, joined_on)
SELECT n, name || ' ' || again, lower(name) || '-' || again || '@example.com',
    %(first)s::date + (n * %(days)s / %(learners)s)::int
FROM generate_series(1, %(learners)s::bigint) AS n,
    LATERAL (SELECT (%(names)s::text[])[1 + (n - 1) %% 10] AS name, (n + 9) / 10 AS again) AS made;

-- ... and spread their courses over the time since, so there is more of everything every year.
-- Their k-th course is one of those numbered k, k + each, k + 2 * each, …: never one of them twice.
INSERT INTO academy_enrollment (id, learner_id, course_id, enrolled_on, grade)
SELECT row_number() OVER (ORDER BY day, n), learner, course, day,
    CASE WHEN day + %(graded_after)s <= %(last)s::date AND pg_temp.chance(n, 4) > 0.02
        THEN 40 + floor(61 * pg_temp.chance(n, 3)) END
FROM generate_series(1, %(enrollments)s::bigint) AS n,
    LATERAL (SELECT 1 + n %% %(learners)s AS learner, (n - 1) / %(learners)s AS k) AS one,
    LATERAL (SELECT
        1 + k + %(each)s * floor(%(courses)s / %(each)s * pg_temp.chance(n, 1) ^ 3) AS course,
        joined_on + floor((%(last)s::date - joined_on)
            * (k + pg_temp.chance(n, 2)) / %(each)s)::int AS day
        FROM academy_learner WHERE id = learner) AS made
ORDER BY 1;

INSERT INTO academy_certificate (enrollment_id, number, issued_on)
SELECT id, md5(id::text)::uuid, enrolled_on + %(graded_after)s
FROM academy_enrollment WHERE grade >= 80 ORDER BY id;

DROP FUNCTION pg_temp.chance;
"""


def fill(
    enrollments: int = 1_000_000, learners: int = 200_000, courses: int = 1_000
) -> None:
    """Fill the academy's empty tables, and tell the planner what is in them.

    A tenth of the courses are drafts. The most popular course has a hundred times the learners of
    the least. Rows are stored in the order of their dates. Grades are NULL for the last four weeks,
    and for one in fifty before. There are no users. Inside a transaction the tables
    are not vacuumed, and no scan is index-only.

    Args:
        enrollments: A multiple of learners: how often each of them joins a course.
        learners: A multiple of ten.
        courses: A multiple of how often a learner joins one, and of ten.

    Raises:
        ValueError: There are courses or learners already, or the numbers do not fit.
    """
    if Course.objects.exists() or Learner.objects.exists():
        raise ValueError("the academy is not empty")
    each = enrollments // learners
    if enrollments % learners or courses % each or learners % 10 or courses % 10:
        raise ValueError("the numbers are no multiples of each other")
    numbers: dict[str, Any] = {
        "enrollments": enrollments,
        "learners": learners,
        "courses": courses,
        "each": each,
        "first": FIRST_DAY,
        "last": LAST_DAY,
        "days": (LAST_DAY - FIRST_DAY).days,
        "graded_after": GRADED_AFTER,
        "tags": list(TAGS),
        "topics": list(TOPICS),
        "names": list(NAMES),
        "levels": [str(level) for level in LEVELS],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        # Until the end of the transaction no trigger runs, and foreign keys are triggers:
        # the rows are right by construction. This is for superusers only.
        cursor.execute("SET LOCAL session_replication_role = replica")
        # VACUUM cannot mark rows as visible to all whose commit is not on the disk yet.
        cursor.execute("SET LOCAL synchronous_commit = on")
        # An index is built faster from all rows at once than row by row.
        cursor.execute(INDEXES, {"tables": [m._meta.db_table for m in LARGE]})
        indexes = cursor.fetchall()
        for drop, _ in indexes:
            cursor.execute(drop)
        cursor.execute(ROWS, numbers)
        for _, create in indexes:
            cursor.execute(create)
        for statement in connection.ops.sequence_reset_sql(no_style(), MODELS):
            cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = origin")
    tables = ", ".join(model._meta.db_table for model in MODELS)
    with connection.cursor() as cursor:
        if not connection.in_atomic_block:
            cursor.execute(f"VACUUM {tables}")
        cursor.execute(f"ANALYZE {tables}")


def empty() -> None:
    """Empty the academy's tables. The next rows are numbered from 1 again."""
    tables = ", ".join(model._meta.db_table for model in MODELS)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY")
