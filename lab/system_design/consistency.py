"""Two offices that sell the seats of one course, and what each does when it is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import exceptions

if TYPE_CHECKING:
    from redis import Redis


# --8<-- [start:office]
AWAY = (exceptions.ConnectionError, exceptions.TimeoutError)
SEATS = "seats:django"


class RefusedError(Exception):
    """The office cannot say for certain, so it says nothing: a 503 on the web."""


class Office:
    """Shows and sells seats; the number stands on a server far away."""

    def __init__(self, store: Redis) -> None:
        self.store = store

    def left(self) -> int:
        """Ask the server how many seats are left."""
        return int(self.store.get(SEATS) or 0)

    def take(self) -> str:
        """Take a seat on the server, if one is left."""
        if int(self.store.decr(SEATS)) >= 0:  # one step: no other sale comes between
            return "sold"
        self.store.incr(SEATS)
        return "sold out"


# --8<-- [end:office]


# --8<-- [start:careful]
class Careful(Office):
    """Gives up availability: no answer rather than a wrong one."""

    def seats(self) -> int:
        """Return how many seats are left."""
        try:
            return self.left()
        except AWAY as error:
            raise RefusedError("try again later") from error

    def sell(self) -> str:
        """Sell a seat, if one is left."""
        try:
            return self.take()
        except AWAY as error:
            raise RefusedError("try again later") from error


# --8<-- [end:careful]


# --8<-- [start:obliging]
class Obliging(Office):
    """Gives up consistency: it answers from what it knew last."""

    known = 0  # what the server said last
    owed = 0  # sold, and not yet told the server

    def seats(self) -> int:
        """Return how many seats are left, or were."""
        try:
            self.known = self.left()
        except AWAY:
            return self.known - self.owed
        return self.known

    def sell(self) -> str:
        """Sell a seat; write it down for later if the server is away."""
        try:
            return self.take()
        except AWAY:
            if self.known <= self.owed:
                return "sold out"
            self.owed += 1
            return "sold"

    def reconcile(self) -> int:
        """Tell the server what was sold meanwhile; return what is left."""
        self.known = int(self.store.decrby(SEATS, self.owed))
        self.owed = 0
        return self.known


# --8<-- [end:obliging]
