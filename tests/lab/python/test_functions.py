"""How arguments arrive, what closures see, what decorators change and what a cache keeps alive."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import pickle
import subprocess
import sys
import traceback
import weakref
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from lab.python.functions import (
    Course,
    announced,
    at_least,
    certify,
    checks,
    counter,
    grant,
    letter,
    log,
    praise,
    retried,
    summary,
)
from lab.python.functions_samples import WrongCourse, wrong_announced, wrong_certify, wrong_checks, wrong_grant
from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Session = Callable[..., None]

FILES = ("functions.py", "functions_samples.py")


class Printed(logging.Handler):
    """Print what is logged, so that a session shows it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one entry."""
        print(record.getMessage())


@pytest.fixture
def printed() -> Iterator[None]:
    """Print what the page's functions log."""
    handler, level, through = Printed(), log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield
    log.removeHandler(handler)
    log.setLevel(level)
    log.propagate = through


# Arguments


def test_how_arguments_arrive(session: Session) -> None:
    session("functions_arguments.pycon", certify=certify, summary=summary)


@pytest.mark.wrong("lab/python/functions_samples.py:wrong_certify")
def test_collected_options_hide_a_misspelling(session: Session) -> None:
    session("functions_options.pycon", wrong_certify=wrong_certify)
    with pytest.raises(TypeError, match="unexpected keyword argument 'honor'"):
        certify("Ama", "Python", honor=True)  # type: ignore[call-arg]


# Closures


def test_a_closure_remembers(session: Session) -> None:
    session("functions_closure.pycon", at_least=at_least, counter=counter)
    assert [at_least(50)(grade) for grade in (49, 50)] == [False, True]


def test_without_nonlocal_the_variable_is_local() -> None:
    calls = 0

    def count() -> int:
        calls += 1  # noqa: F823  (what happens is the test)
        return calls

    with pytest.raises(UnboundLocalError):
        count()
    assert calls == 0


@pytest.mark.wrong("lab/python/functions_samples.py:wrong_checks")
def test_a_closure_sees_the_last_value(session: Session) -> None:
    session("functions_late.pycon", checks=checks, wrong_checks=wrong_checks)


# Decorators


@pytest.mark.wrong("lab/python/functions_samples.py:wrong_announced")
def test_what_wraps_copies(printed: None, session: Session) -> None:
    session("functions_decorator.pycon", grant=grant, wrong_grant=wrong_grant, inspect=inspect)
    assert wrong_grant("Ama", "Python") == grant("Ama", "Python")
    assert grant.__wrapped__("Ama", "Python") == "Ama passed Python"  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.wrong("lab/python/functions_samples.py:wrong_announced")
def test_what_the_type_checker_still_sees(shell: Callable[..., None], tmp_path: Path) -> None:
    for name in FILES:
        text = (ROOT / "lab/python" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("lab.python.functions", "functions"), encoding="utf-8")
    shell("functions_types.console")


def test_retried_calls_again(printed: None, session: Session) -> None:
    fetch = mock.Mock(side_effect=[ConnectionError("no route"), ConnectionError("busy"), 7])
    session("functions_retried.pycon", retried=retried, fetch=fetch)
    assert fetch.call_count == 3


def test_retried_gives_up() -> None:
    post = mock.Mock(side_effect=ConnectionError, __name__="post")
    with pytest.raises(ConnectionError):
        retried(3, on=ConnectionError)(post)("Ama")
    assert post.call_count == 3
    other = mock.Mock(side_effect=KeyError, __name__="post")
    with pytest.raises(KeyError):
        retried(3, on=ConnectionError)(other)("Ama")
    assert other.call_count == 1


def test_the_order_of_decorators(caplog: pytest.LogCaptureFixture) -> None:
    def double(number: int) -> int:
        return 2 * number

    with caplog.at_level(logging.INFO, log.name):
        above = announced(lru_cache(double))
        assert [above(1), above(1)] == [2, 2]
        assert len(caplog.records) == 2
        caplog.clear()
        below = lru_cache(announced(double))
        assert [below(1), below(1)] == [2, 2]
        assert len(caplog.records) == 1


def test_each_decorator_is_a_line_of_the_traceback() -> None:
    def fail() -> None:
        raise KeyError

    def depth(function: Callable[[], None]) -> int:
        with pytest.raises(KeyError) as raised:
            function()
        return len(traceback.extract_tb(raised.tb))

    assert [depth(fail), depth(announced(fail)), depth(announced(announced(fail)))] == [
        depth(fail) + more for more in range(3)
    ]
    assert depth(wrong_announced(fail)) == depth(fail) + 1


# Caches


def test_a_cache_for_a_function(session: Session) -> None:
    letter.cache_clear()
    session("functions_cache.pycon", letter=letter)
    assert [letter(points) for points in (80, 79, 65, 64, 50, 49, 0)] == ["A", "B", "B", "C", "C", "F", "F"]


@pytest.mark.wrong("lab/python/functions_samples.py:wrong_course")
def test_a_cache_on_a_method_keeps_the_object(session: Session) -> None:
    session("functions_leak.pycon", Course=Course, WrongCourse=WrongCourse, gc=gc, weakref=weakref)
    WrongCourse.average.cache_clear()
    seen = []
    for points in range(200):
        course = WrongCourse("Python", (points,))
        course.average()
        seen.append(weakref.ref(course))
    del course
    gc.collect()
    assert sum(reference() is not None for reference in seen) == 128
    WrongCourse.average.cache_clear()
    assert not any(reference() for reference in seen)


def test_a_cached_property_does_not_notice() -> None:
    course = Course("Python", (71, 48))
    assert course.average == 59.5
    course.grades = (100,)
    assert course.average == 59.5
    del course.average
    assert course.average == 100


def test_a_cache_hands_out_one_object() -> None:
    @lru_cache
    def tags(course: str) -> list[str]:
        return [course]

    tags("Python").append("web")
    assert tags("Python") == ["Python", "web"]


# Partial


def test_a_partial_is_data(session: Session) -> None:
    session("functions_partial.pycon", praise=praise, pickle=pickle)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(lambda name, course: certify(name, course, honors=True))


def test_ruff_finds_both_mistakes() -> None:
    command = [
        str(Path(sys.executable).parent / "ruff"),
        "check",
        "--isolated",
        "--ignore-noqa",
        "--output-format",
        "json",
    ]
    done = subprocess.run(
        [*command, "lab/python/functions_samples.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert {found["code"] for found in json.loads(done.stdout)} == {"B019", "B023"}
