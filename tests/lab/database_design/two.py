"""Several real connections in a fixed order: each in a thread of its own, ordered by what the server says."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import DatabaseError, OperationalError, connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

LIMIT = 30  # seconds until a step that neither ends nor waits for a lock is a failure
PAUSE = 0.005  # between two looks at the server


def process() -> int:
    """Return the number by which the server knows the connection of this thread."""
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        return int(connection.connection.info.backend_pid)
    return int(connection.connection.thread_id())


def waits(number: int) -> bool:
    """Ask the server whether a connection waits for a lock."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [number])
            return bool(cursor.fetchone()[0])
        # Not information_schema.innodb_trx: who looks at it often sees the same old copy.
        cursor.execute("SHOW ENGINE INNODB STATUS")
        # What stands before the list of transactions is the report of the latest deadlock.
        _, *transactions = re.split(r"^---TRANSACTION", cursor.fetchone()[2], flags=re.MULTILINE)
        mine = re.compile(rf"^MariaDB thread id {number},", re.MULTILINE)
        if any("\nLOCK WAIT " in text and mine.search(text) for text in transactions):
            return True
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist"
            " WHERE id = %s AND (state = 'User lock' OR state LIKE 'Waiting for table metadata lock%%')",
            [number],
        )
        return bool(cursor.fetchone()[0])


def code(error: BaseException) -> str:
    """Return the server's own code of an error: five letters on PostgreSQL, a number on MariaDB."""
    cause = error.__cause__ or error
    return str(cause.sqlstate if isinstance(cause, psycopg.Error) else cause.args[0])


class Person:
    """Somebody with a connection of their own, who takes one step at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.thread = ThreadPoolExecutor(1)
        self.process = self.thread.submit(process).result(LIMIT)
        self.step: Future[Any] | None = None

    def start(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a step; return when it has ended, or when the server says that it waits for a lock."""
        self.step = self.thread.submit(step, *arguments)
        self.settle()
        return self.step

    def settle(self) -> bool:
        """Wait until the present step has ended, which returns True, or waits for a lock."""
        end = time.monotonic() + LIMIT
        while self.step and not self.step.done():
            if waits(self.process) and not self.step.done():
                return False
            assert time.monotonic() < end, f"{self.name} neither goes on nor waits"
            time.sleep(PAUSE)
        return True

    @property
    def waiting(self) -> bool:
        """Whether the present step waits for a lock."""
        return not self.settle()

    def do(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Take a step to its end and return what it returns."""
        ended, self.step = self.start(step, *arguments), None
        return ended.result(LIMIT)

    def sql(self, statement: str) -> list[tuple[Any, ...]] | int:
        """Send a statement and wait for the answer: the rows, or how many were written."""
        answer: list[tuple[Any, ...]] | int = self.do(send, statement)
        return answer

    def leave(self) -> None:
        """Give up what is open, and the connection."""
        self.thread.submit(lambda: connection.close()).result(LIMIT)  # the connection of that thread
        self.thread.shutdown()


def send(statement: str) -> list[tuple[Any, ...]] | int:
    """Send a statement over the connection of this thread."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else int(cursor.rowcount)


@contextmanager
def people(*names: str) -> Iterator[list[Person]]:
    """Let people come, and leave at the end."""
    here = [Person(name) for name in names]
    try:
        yield here
    finally:
        while here:  # whoever waits can leave when the others have
            here.pop(next((index for index, person in enumerate(here) if not person.waiting), 0)).leave()


def begin(person: Person, level: str) -> None:
    """Begin a transaction at an isolation level."""
    if connection.vendor == "postgresql":
        person.sql(f"BEGIN ISOLATION LEVEL {level}")
    else:
        person.sql(f"SET TRANSACTION ISOLATION LEVEL {level}")
        person.sql("BEGIN")


class Schedule:
    """Statements of two people in a fixed order, and what came of each.

    Whoever waits for a lock catches up when the other has let go of it. Whoever gets an error
    rolls back and takes no further step.

    Args:
        text: A line for each step: the name in a comment, and the statement.
    """

    LINE = re.compile(r"^/\* (?P<name>\w+) *\*/ (?P<statement>.+);$", re.MULTILINE)

    def __init__(self, text: str) -> None:
        self.steps = [(match["name"], match["statement"]) for match in self.LINE.finditer(text)]
        self.names = list(dict.fromkeys(name for name, _ in self.steps))
        self.lines: list[str] = []
        self.answers: dict[str, list[Any]] = {name: [] for name in self.names}
        self.errors: dict[str, str] = {}
        self.waited: set[str] = set()
        self.waiting: set[str] = set()

    def run(self, level: str, *first: str) -> Self:
        """Run it at an isolation level, after statements that prepare each connection."""
        with people(*self.names) as everybody:
            persons = {person.name: person for person in everybody}
            later: dict[str, list[str]] = {name: [] for name in self.names}
            for person in everybody:
                for statement in first:
                    person.sql(statement)
                begin(person, level)
            for name, statement in self.steps:
                if name not in self.errors:
                    later[name].append(statement)
                self.go_on(persons, later)
            end = time.monotonic() + LIMIT
            while any(later.values()):  # until the server ends a deadlock
                assert time.monotonic() < end, f"somebody waits for ever: {later}"
                time.sleep(PAUSE)
                self.go_on(persons, later)
        return self

    def go_on(self, persons: dict[str, Person], later: dict[str, list[str]]) -> None:
        """Let everybody take the steps that they can take now."""
        moved = True
        while moved:
            moved = False
            for name, person in persons.items():
                if person.waiting:
                    continue
                if person.step is not None:
                    if name in self.waiting and not person.step.exception():
                        for other in self.waiting - {name}:  # whose error has let this one go
                            if not persons[other].waiting:
                                self.note(persons[other], later[other])
                    self.note(person, later[name])
                    moved = True
                elif later[name]:
                    statement = later[name][0]
                    self.lines.append(f"{name:5} {statement}")
                    person.start(send, statement)
                    if person.waiting:
                        self.waited.add(name)
                        self.waiting.add(name)
                        self.lines.append(f"{name:5}   ... waits")
                    else:
                        self.note(person, later[name])
                    moved = True

    def note(self, person: Person, later: list[str]) -> None:
        """Write down what came of a step that has ended."""
        assert person.step
        step, person.step = person.step, None
        later.pop(0)
        waited = person.name in self.waiting
        self.waiting.discard(person.name)
        try:
            answer = step.result()
        except DatabaseError as error:
            self.errors[person.name] = code(error)
            if self.lines[-1] == f"{person.name:5}   ... waits":  # InnoDB had not looked for a deadlock yet
                self.lines.pop()
            self.lines.append(f"{person.name:5}   ERROR {message(error)}")
            later.clear()
            person.sql("ROLLBACK")
            return
        if waited:
            self.lines.append(f"{person.name:5}   ... goes on")
        if isinstance(answer, list):
            self.answers[person.name] += [row[0] for row in answer]
            self.lines += [f"        {', '.join(map(str, row))}" for row in answer]

    @property
    def text(self) -> str:
        """The steps and the answers, in the order in which they happened."""
        return "\n".join(self.lines)


def message(error: BaseException) -> str:
    """Return the code and the first line of the server's message."""
    cause = error.__cause__ or error
    return f"{code(error)}: {str(cause.args[-1]).splitlines()[0]}"


def race(function: Callable[..., object], *calls: tuple[Any, ...], before: str, number: int = 1) -> list[str]:
    """Make calls at once, each with a connection of its own; return what became of them, sorted.

    Each stops before it sends its statement of a number that begins with a word, until all others
    stand there too, have ended, or wait for a lock.
    """
    go = threading.Event()
    processes: dict[int, int] = {}
    stopped: set[int] = set()

    def call(arguments: tuple[Any, ...]) -> str:
        mine = process()
        seen = 0

        def stop(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            nonlocal seen
            seen += sql.startswith(before)
            if seen == number and mine not in stopped:
                stopped.add(mine)
                assert go.wait(LIMIT)
            return execute(sql, *rest)

        try:
            with connection.execute_wrapper(stop):
                processes[mine] = mine
                function(*arguments)
        except (OperationalError, ValueError) as error:
            return message(error) if isinstance(error, OperationalError) else str(error)
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(calls)) as pool:
        steps = [pool.submit(call, arguments) for arguments in calls]
        try:
            end = time.monotonic() + LIMIT
            while sum(step.done() for step in steps) + len(stopped) < len(calls):
                standing = sum(one in stopped or waits(one) for one in list(processes))
                if sum(step.done() for step in steps) + standing >= len(calls):
                    break
                assert time.monotonic() < end, "somebody neither stops nor waits nor ends"
                time.sleep(PAUSE)
        finally:
            go.set()
        return sorted(step.result(LIMIT) for step in steps)
