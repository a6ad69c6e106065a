"""What is assumed of an academy with 100,000 learners, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from lab.system_design.capacity import DAY, connections, gigabytes, processes


# --8<-- [start:assumptions]
@dataclass(frozen=True)
class Academy:
    """Assumptions: to be replaced by counts as soon as there are any."""

    learners: int = 100_000
    active: float = 0.2  # of them visit on a day
    requests: int = 30  # of a visit
    busiest_hour: float = 0.2  # of a day's requests
    rush: float = 0.3  # of the learners come when grades are published,
    rush_minutes: int = 10  # within so many minutes,
    rush_requests: int = 10  # with so many requests each
    joins: int = 5  # enrollments of a learner in a year
    years: int = 5
    threads: int = 16  # of a process
    workers: int = 4  # for tasks


# --8<-- [end:assumptions]


# --8<-- [start:estimates]
def estimates(academy: Academy, per_process: float, row: float) -> dict[str, float]:
    """Return what the academy asks for, by name."""
    a_day = academy.learners * academy.active * academy.requests
    rush = academy.learners * academy.rush * academy.rush_requests
    a_second = rush / (academy.rush_minutes * 60)
    needed = processes(a_second, per_process)
    rows = academy.learners * academy.joins * academy.years
    return {
        "requests a second, on average": a_day / DAY,
        "in the busiest hour": a_day * academy.busiest_hour / 3600,
        "when grades are published": a_second,
        "processes for that": needed,
        "processes, one machine of two lost": 2 * needed,
        "connections to PostgreSQL": connections(
            2 * needed, academy.threads, others=academy.workers
        ),
        "GB of enrollments in the end": gigabytes(rows, row),
    }


# --8<-- [end:estimates]
