"""A catalog as large as production's, for plans and measurements on PostgreSQL."""

from __future__ import annotations

from django.db import connection

ROWS = """
INSERT INTO academy_course
    (title, slug, description, level, seats, published, starts_on, ends_on)
SELECT 'Course ' || n, 'course-' || n, 'From the first step to a running service.',
       (ARRAY['beginner', 'intermediate', 'advanced'])[n %% 3 + 1], 30, true,
       date '2026-01-05' + (n %% 40) * 7, date '2026-01-05' + (n %% 40) * 7 + 42
FROM generate_series(1, %s) AS n
"""


def many_courses(number: int) -> None:
    """Add published courses that start in one of forty weeks, with statistics and a visibility map.

    Needs a test that commits: VACUUM runs outside of a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('academy_course', 'id'), 1, false)")
        cursor.execute(ROWS, [number])
        cursor.execute("VACUUM ANALYZE academy_course")
