"""Arithmetic before architecture: how many processes, connections and gigabytes."""

from __future__ import annotations

from math import ceil
from random import Random

DAY = 24 * 3600


# --8<-- [start:littles_law]
def under_way(rate: float, seconds: float) -> float:
    """Return how many requests are under way, on average (Little's law)."""
    return rate * seconds


# --8<-- [end:littles_law]


# --8<-- [start:wrong_processes]
def wrong_processes(rate: float, per_process: float) -> int:
    """Return how many processes answer so many requests a second."""
    return ceil(rate / per_process)


# --8<-- [end:wrong_processes]


# --8<-- [start:processes]
def processes(rate: float, per_process: float, busy: float = 0.6) -> int:
    """Return how many processes answer so many requests a second, and keep room."""
    return ceil(rate / (per_process * busy))


def connections(processes: int, threads: int, others: int = 0) -> int:
    """Return how many connections the database gets: one for each thread."""
    return processes * threads + others


def gigabytes(rows: float, bytes_each: float) -> float:
    """Return what rows take on disk, with their indexes."""
    return rows * bytes_each / 1e9


# --8<-- [end:processes]


# --8<-- [start:waiting]
def waiting(busy: float, requests: int = 200_000) -> float:
    """Return the average wait before a single server, in times of its work.

    Requests come by chance, and each takes as long as chance will have it.
    """
    chance = Random(2026)  # noqa: S311  (a simulation, no secret)
    wait = total = 0.0
    for _ in range(requests):
        total += wait
        gap = chance.expovariate(busy)  # until the next request
        wait = max(0.0, wait + chance.expovariate(1.0) - gap)
    return total / requests


# --8<-- [end:waiting]
