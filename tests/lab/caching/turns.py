"""Readers and writers of a row and its entry, each with connections of their own, in an order that is given."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.cache.backends.redis import RedisCache
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 20  # seconds until a step that does not end is a failure
METHODS = ("get", "set", "add", "delete", "set_many")


class Actor(threading.Thread):
    """Somebody who does one piece of work, and may be held before any step of it.

    A step is a command to the cache, a statement to the database, or a COMMIT.
    """

    def __init__(self, name: str, work: Callable[[], object], lines: list[str]) -> None:
        super().__init__(name=name, daemon=True)
        self.work, self.lines = work, lines
        self.hold: str | None = None
        self.go, self.stopped = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self.inside = False

    def run(self) -> None:
        """Do the work, with connections of this thread."""
        self.wait_for_turn()
        try:
            connection.ensure_connection()
            with connection.execute_wrapper(self.statement):
                self.work()
        except BaseException as error:
            self.error = error
        finally:
            connection.close()
            caches["default"].close()
            self.work = lambda: None
            self.stopped.set()

    def wait_for_turn(self) -> None:
        """Wait until it is this one's turn."""
        assert self.go.wait(LIMIT)
        self.go.clear()

    def turn(self, until: str | None) -> None:
        """Let this one work to a step whose text begins so, which is not done, or to the end."""
        if self.error:
            raise self.error
        self.hold = until
        self.stopped.clear()
        self.go.set()
        assert self.stopped.wait(LIMIT), f"{self.name} does not come to {until}"
        if until is None:
            self.join(LIMIT)

    def step(self, text: str, do: Callable[[], Any]) -> Any:
        """Take a step when nobody holds this one, and write it down."""
        if self.hold is not None and text.startswith(self.hold):
            self.hold = None
            self.stopped.set()
            self.wait_for_turn()
        answer = do()
        self.lines.append(f"{self.name:7} {text}")
        return answer

    def statement(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """Take a statement to the database as a step."""
        words = sql.replace('"', "").replace("`", "").split()
        text = words[0] if words[0] not in {"SELECT", "UPDATE"} else f"{words[0]} {table(words)}"
        return self.step(text, lambda: execute(sql, *rest))


def table(words: list[str]) -> str:
    """Return the table that a statement is about."""
    return words[1] if words[0] == "UPDATE" else words[words.index("FROM") + 1]


def shown(value: object) -> str:
    """Return a value as a line shows it."""
    return str(value.get("title", value)) if isinstance(value, dict) else str(value)


@contextmanager
def watched() -> Iterator[None]:
    """Make the cache's commands and each COMMIT of actors their steps."""

    def watch(method: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(cache: RedisCache, key: Any, *rest: Any, **options: Any) -> Any:
            one = threading.current_thread()
            if not isinstance(one, Actor) or one.inside:
                return real(cache, key, *rest, **options)
            text = f"{method.upper()} {', '.join(key) if isinstance(key, dict) else key}"
            if method in {"set", "add"}:
                text += f" = {shown(rest[0])}"

            def do() -> Any:
                one.inside = True
                try:
                    return real(cache, key, *rest, **options)
                finally:
                    one.inside = False

            return one.step(text, do)

        return call

    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def watched_commit(wrapper: BaseDatabaseWrapper) -> Any:
        one = threading.current_thread()
        return one.step("COMMIT", lambda: commit(wrapper)) if isinstance(one, Actor) else commit(wrapper)

    kept = {method: getattr(RedisCache, method) for method in METHODS}
    own = {method: method in vars(RedisCache) for method in METHODS}
    for method, real in kept.items():
        setattr(RedisCache, method, watch(method, real))
    BaseDatabaseWrapper._commit = watched_commit  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for method, real in kept.items():
            if own[method]:
                setattr(RedisCache, method, real)
            else:
                delattr(RedisCache, method)
        BaseDatabaseWrapper._commit = commit  # type: ignore[attr-defined]


def play(works: dict[str, Callable[[], object]], *turns: tuple[str, str | None]) -> list[str]:
    """Let people work in turns: each to a step, or (None) to the end. Return their steps as they happened."""
    lines: list[str] = []
    with watched():
        actors = {name: Actor(name, work, lines) for name, work in works.items()}
        for one in actors.values():
            one.start()
        for name, until in turns:
            actors[name].turn(until)
    for one in actors.values():
        assert not one.is_alive(), f"{one.name} was not let to the end"
        if one.error:
            raise one.error
    return lines
