"""Data classes, their relatives, enumerations and patterns."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
import uuid
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from lab.academy.models import Course as AcademyCourse
from lab.python import data_classes, data_classes_samples
from lab.python.data_classes import Certificate, Course, Level, Period, Result, Right, Seat, Upload, advice, describe
from lab.python.data_classes_samples import WrongCertificate, WrongLevel, wrong_advice
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    Session = Callable[..., None]

NAMES = vars(data_classes) | vars(data_classes_samples) | {"dataclasses": dataclasses, "Academy": AcademyCourse}


def test_what_the_decorator_writes(session: Session) -> None:
    session("data_classes_course.pycon", **NAMES)


def test_the_options(session: Session) -> None:
    session("data_classes_result.pycon", **NAMES)
    with pytest.raises(TypeError, match="positional"):
        Result(71, "Ama")  # type: ignore[call-arg]
    assert not hasattr(Result(grade=71, learner="Ama"), "__dict__")
    assert Result(grade=9, learner="Z") < Result(grade=10, learner="A")


def test_slots_refuse_a_misspelled_attribute() -> None:
    @dataclasses.dataclass(slots=True)
    class Slotted:
        seats: int

    slotted, course = Slotted(3), Course("Databases")
    with pytest.raises(AttributeError):
        slotted.seat = 4  # type: ignore[attr-defined]
    course.seat = 4  # type: ignore[attr-defined]


def test_frozen_is_shallow_and_asdict_is_deep() -> None:
    @dataclasses.dataclass(frozen=True)
    class Frozen:
        learners: list[str]

    frozen = Frozen(["Ama"])
    frozen.learners.append("Kofi")
    assert frozen.learners == ["Ama", "Kofi"]
    assert dataclasses.asdict(frozen)["learners"] is not frozen.learners


@pytest.mark.wrong("lab/python/data_classes_samples.py:wrong_certificate")
def test_a_default_is_computed_once(session: Session) -> None:
    session("data_classes_certificate.pycon", **NAMES)
    assert WrongCertificate("Ama").number == WrongCertificate("Kofi").number
    assert Certificate("Ama").number != Certificate("Kofi").number
    for default, refused in (({}, True), (Course("Databases"), True), (Level.ADVANCED, False), (uuid.uuid4(), False)):
        with pytest.raises(ValueError, match="mutable default") if refused else nullcontext():
            dataclasses.make_dataclass("Made", [("value", object, default)])


def test_the_relatives(session: Session) -> None:
    session("data_classes_relatives.pycon", **NAMES)
    assert Seat(3, 14) == (3, 14)
    assert Period(3, 14)._replace(end=15) == (3, 15)
    assert type(Upload(learner="Ama", grade=71)) is dict


@pytest.mark.slow
def test_the_hints_are_checked_before_the_program_runs(tmp_path: Path) -> None:
    source = Path(data_classes.__file__).read_text(encoding="utf-8")
    bare = source.replace("from rest_framework import serializers", "from typing import Any\nserializers: Any")
    (tmp_path / "academy.py").write_text(bare, encoding="utf-8")  # so that mypy need not read Django
    (tmp_path / "calls.py").write_text(
        "from academy import Course, Level, Upload\n"
        "Course(title=2026)\n"
        'Upload(learner="Ama", grade="71 %")\n'
        "def advice(level: Level) -> str:\n"
        "    match level:\n"
        "        case Level.BEGINNER:\n"
        '            return "no experience needed"\n'
    )
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--config-file=", "calls.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = [line.partition("error: ")[2].rpartition("[")[2] for line in ran.stdout.splitlines() if "error: " in line]
    assert found == ["arg-type]", "typeddict-item]", "return]"]


@pytest.mark.wrong("lab/python/data_classes_samples.py:wrong_level")
def test_enumerations(session: Session) -> None:
    session("data_classes_level.pycon", **NAMES)
    session("data_classes_format.pycon", **NAMES)
    assert f"{WrongLevel.ADVANCED}" == "WrongLevel.ADVANCED"
    assert WrongLevel("advanced").upper() == "ADVANCED"
    assert f"{AcademyCourse.Level.ADVANCED}" == "advanced"
    assert (Right.TEACHER | Right.PUBLISH).value == 7
    assert Right(0) == Right.READ & Right.GRADE
    assert not Right(0)


def test_choices_are_not_checked_by_save(academy: None) -> None:
    course = AcademyCourse.objects.first()
    assert course
    course.level = "expert"
    course.save()
    course.refresh_from_db()
    assert course.level == "expert"


def test_patterns(session: Session) -> None:
    session("data_classes_match.pycon", **NAMES)
    assert describe(Result(learner="Kofi", grade=48)) == "Kofi did not pass"


@pytest.mark.wrong("lab/python/data_classes_samples.py:wrong_advice")
def test_a_bare_name_is_captured(session: Session) -> None:
    session("data_classes_advice.pycon", **NAMES)
    assert wrong_advice(Level.INTERMEDIATE) == "for professionals"
    assert wrong_advice("anything") == "for professionals"  # type: ignore[arg-type]
    assert advice(Level.INTERMEDIATE) == "one course before this"
    with pytest.raises(SyntaxError, match="makes remaining patterns unreachable"):
        compile("match 1:\n    case ADVANCED: pass\n    case _: pass\n", "x", "exec")
    with pytest.raises(SyntaxError, match="bind different names"):
        compile("match 1:\n    case 404 | NOT_FOUND: pass\n", "x", "exec")


@pytest.mark.slow
def test_which_rules_of_ruff_find_the_mistakes() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--ignore-noqa", "--output-format", "concise"]
    command += ["--select", "F841,RUF009,UP042", "--target-version", "py311", str(data_classes_samples.__file__)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert [found.count(rule) for rule in ("F841", "RUF009", "UP042")] == [1, 1, 1]


# What they cost


class Plain:
    """A class written by hand."""

    def __init__(self, learner: str, grade: int) -> None:
        self.learner, self.grade = learner, grade


class Tuple(NamedTuple):
    """A result as a named tuple."""

    learner: str
    grade: int


def made(**options: Any) -> Callable[[str, int], object]:
    """Return a data class with these options."""
    return dataclasses.make_dataclass("Made", [("learner", str), ("grade", int)], **options)


KINDS: dict[str, Callable[[str, int], object]] = {
    "dict": lambda learner, grade: {"learner": learner, "grade": grade},
    "class by hand": Plain,
    "dataclass": made(),
    "dataclass(slots=True)": made(slots=True),
    "dataclass(frozen=True)": made(frozen=True),
    "NamedTuple": Tuple,
}


def timed(make: Callable[[str, int], object], count: int = 20_000) -> float:
    """Return how many nanoseconds it takes to make one object."""
    start = time.perf_counter()
    for _ in range(count):
        make("Ama", 71)
    return (time.perf_counter() - start) / count * 1e9


def measure() -> Measurement:
    """Return the median of 31 runs of each kind, in turn."""
    runs: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(31):
        for name, make in KINDS.items():
            runs[name].append(timed(make))
    return Measurement(
        title="Making an object with two values",
        description="A frozen data class takes about twice as long to be made as one that can change.",
        x="kind",
        y="time for each object (ns)",
        versions={"Python": ".".join(map(str, sys.version_info[:3]))},
        bars={name: round(median(values)) for name, values in runs.items()},
    )


@pytest.mark.measures("data_classes")
def test_what_an_object_costs(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    bars: dict[str, Any] = dict(measured("data_classes.json", measure).bars)
    assert max(bars, key=lambda name: float(bars[name])) == "dataclass(frozen=True)"
    assert bars["dataclass(frozen=True)"] > 1.5 * bars["dataclass"]
    assert 0.6 < bars["dataclass"] / bars["class by hand"] < 1.6
    assert set(KINDS) == set(bars)
    assert all(timed(make, 100) > 0 for make in KINDS.values())
