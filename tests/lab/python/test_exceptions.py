"""Exceptions: who raises, who catches, and what is lost on the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Learner
from lab.python import exceptions
from lab.python.exceptions import (
    CourseFullError,
    GradeError,
    ask_first,
    average,
    import_grades,
    parse,
    report,
    reserve,
    store,
    take_seat,
    try_first,
    wrong_average,
    wrong_reserve,
    wrong_store,
    wrong_take_seat,
)
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Session = Callable[..., None]

NAMES = vars(exceptions)


def test_the_cause_is_kept(session: Session) -> None:
    session("exceptions_parse.pycon", **NAMES)
    with pytest.raises(GradeError) as caught:
        parse("71 %")
    assert isinstance(caught.value.__cause__, ValueError)
    text = "".join(traceback.format_exception(caught.value))
    assert "The above exception was the direct cause of the following exception:" in text
    with pytest.raises(GradeError) as caught:
        parse("101")
    assert caught.value.__cause__ is None


def test_what_is_not_caught_on_purpose_is_kept_as_context_and_from_none_hides_it() -> None:
    def fail(*, hide: bool) -> None:
        try:
            int("71 %")
        except ValueError:
            if hide:
                raise GradeError("no") from None
            raise GradeError("no")  # noqa: B904  (the subject of this test)

    for hide, shown in ((False, "During handling of the above exception"), (True, "")):
        with pytest.raises(GradeError) as caught:
            fail(hide=hide)
        text = "".join(traceback.format_exception(caught.value))
        assert ("invalid literal" in text) is not hide
        assert shown in text


def test_else_is_for_success_and_finally_for_both(academy: None, session: Session) -> None:
    draft = Course.objects.get(published=False)
    session(
        "exceptions_enroll.pycon",
        enroll=enroll,
        CannotEnroll=CannotEnroll,
        kofi=Learner.objects.get(name="Kofi"),
        draft=draft,
    )


def test_a_group_tells_all_problems_at_once(session: Session) -> None:
    session("exceptions_import.pycon", **NAMES)
    assert import_grades(["Ama,71", "Esi,100"]) == {"Ama": 71, "Esi": 100}
    assert report(["Ama,71"]) == []


def test_except_star_takes_its_part_of_a_group_and_passes_the_rest_on() -> None:
    seen: list[Exception] = []

    def take() -> None:
        try:
            raise ExceptionGroup("two", [GradeError("no"), OSError("disk")])
        except* GradeError as group:
            seen.extend(group.exceptions)

    with pytest.raises(ExceptionGroup) as caught:
        take()
    assert [str(error) for error in seen] == ["no"]
    assert [type(error) for error in caught.value.exceptions] == [OSError]


def test_a_plain_except_does_not_look_into_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        import_grades(["Ama,x"])
    assert not isinstance(caught.value, GradeError)


@pytest.mark.wrong("lab/python/exceptions.py:wrong_average")
def test_a_swallowed_mistake_is_a_wrong_number(session: Session) -> None:
    session("exceptions_swallowed.pycon", **NAMES)
    assert wrong_average({"Ama": "71"}) == 0.0
    assert average({"Ama": "71"}) == 71
    assert average({}) is None


@pytest.mark.slow
def test_which_rule_of_ruff_finds_it() -> None:
    arguments = ("check", "--isolated", "--ignore-noqa", "--output-format", "concise", "--select")
    for rules, found in (("E722,S110,S112", 0), ("BLE001", 1)):
        ran = subprocess.run(
            [Path(sys.executable).with_name("ruff"), *arguments, rules, exceptions.__file__],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout.count("BLE001") == found
        assert ran.returncode == found


def test_what_a_bare_except_catches_and_exception_does_not() -> None:
    for other in (KeyboardInterrupt, SystemExit, GeneratorExit):
        assert not issubclass(other, Exception)
        assert issubclass(other, BaseException)


def test_return_in_finally_swallows_and_warns_since_3_14() -> None:
    source = "def half(x):\n    try:\n        return 1 / x\n    finally:\n        return 0\n"
    names: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        exec(compile(source, "half.py", "exec"), names)  # noqa: S102  (a compiler's warning needs source)
    assert bool(seen) is (sys.version_info >= (3, 14))
    assert names["half"](0) == names["half"](2) == 0


@pytest.mark.slow
@pytest.mark.wrong("lab/python/exceptions.py:wrong_store")
def test_an_assertion_is_gone_with_the_option_o(shell: Callable[..., None], tmp_path: Path) -> None:
    shutil.copy(exceptions.__file__, tmp_path / "grades.py")
    (tmp_path / "store.py").write_text(
        'from grades import wrong_store\n\nregister = {}\nwrong_store(register, "Ama", 710)\nprint(register)\n'
    )
    shell("exceptions_assert.console")
    register: dict[str, int] = {}
    with pytest.raises(AssertionError):
        wrong_store(register, "Ama", 710)
    wrong_store(register, "Ama", 71)
    with pytest.raises(GradeError, match="710"):
        store(register, "Ama", 710)
    store(register, "Kofi", 48)
    assert register == {"Ama": 71, "Kofi": 48}


@pytest.mark.wrong("lab/python/exceptions.py:wrong_take_seat")
def test_a_return_code_can_be_ignored(session: Session) -> None:
    session("exceptions_seat.pycon", **NAMES)
    learners: list[str] = []
    assert wrong_take_seat(learners, 1, "Ama")
    assert not wrong_take_seat(learners, 1, "Esi")
    learners.clear()
    take_seat(learners, 1, "Ama")
    with pytest.raises(CourseFullError):
        take_seat(learners, 1, "Esi")


@pytest.mark.wrong("lab/python/exceptions.py:wrong_reserve")
def test_between_the_check_and_the_act_another_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Recorder
) -> None:
    exists = Path.exists

    def slow(path: Path) -> bool:
        """Answer, and let Esi come before the answer is used."""
        answer = exists(path)
        monkeypatch.setattr(Path, "exists", exists)
        outcomes["Esi"] = function(path, "Esi")
        return answer

    lines = []
    for function in (wrong_reserve, reserve):
        outcomes: dict[str, bool] = {}
        seat = tmp_path / function.__name__
        monkeypatch.setattr(Path, "exists", slow)
        outcomes["Kofi"] = function(seat, "Kofi")
        if function is reserve:  # it asks nothing beforehand: Esi comes after
            outcomes["Esi"] = function(seat, "Esi")
        told = " and ".join(sorted(name for name, got in outcomes.items() if got))
        lines.append(f"{function.__name__:13} told to have it: {told:12} in the file: {seat.read_text()}")
    record("exceptions_race.txt", "\n".join(lines))
    assert not wrong_reserve(seat, "Ama")


# What it costs

SHARES = (0, 1, 5, 10, 25, 50, 100)


def names_of(share: int, count: int) -> list[str]:
    """Return names, of which a share in percent has no grade."""
    return [f"{'missing' if n % 100 < share else 'known'} {n}" for n in range(count)]


def timed(function: Callable[[dict[str, int], list[str]], int], share: int, count: int = 10_000) -> float:
    """Return how many nanoseconds one lookup takes."""
    names = names_of(share, count)
    grades = {name: 71 for name in names if name.startswith("known")}
    start = time.perf_counter()
    found = function(grades, names)
    taken = time.perf_counter() - start
    assert found == len(grades)
    return taken / count * 1e9


def measure() -> Measurement:
    """Return the median of 31 runs for each share, both ways in turn."""
    lines: dict[str, list[tuple[float, float]]] = {"try_first": [], "ask_first": []}
    for share in SHARES:
        runs: dict[str, list[float]] = {name: [] for name in lines}
        for _ in range(31):
            for function in (try_first, ask_first):
                runs[function.__name__].append(timed(function, share))
        for name, values in runs.items():
            lines[name].append((share, round(median(values), 1)))
    return Measurement(
        title="Looking a name up, by how many are missing",
        description="Asking first costs no more when names are missing; trying first costs more with each of them.",
        x="names without a grade (%)",
        y="time for each name (ns)",
        versions={"Python": ".".join(map(str, sys.version_info[:3]))},
        lines=lines,
    )


@pytest.mark.measures("exceptions")
def test_what_raising_costs(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured("exceptions.json", measure)
    tried, asked = (dict(recorded.lines[name]) for name in ("try_first", "ask_first"))
    assert tried[100] > 4 * tried[0], "a miss costs several times as much as a hit"
    assert tried[100] > 3 * asked[100]
    assert tried[0] < 1.5 * asked[0], "without a miss there is little between them"
    assert tried[25] > asked[25]
    # What holds on every machine:
    assert timed(try_first, 50) > 0 < timed(ask_first, 50)
    assert median(timed(try_first, 100) for _ in range(5)) > 1.5 * median(timed(ask_first, 100) for _ in range(5))
