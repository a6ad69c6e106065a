"""Who answers at the dot, and what slots save."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import platform
import sys
import time
import tracemalloc
import weakref
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db.models import QuerySet

from lab.academy import models
from lab.python.classes import Course
from lab.python.descriptors import (
    Between,
    Counted,
    DataSeat,
    Desk,
    Exam,
    Guard,
    Logged,
    LooseSeat,
    Offer,
    Results,
    Seat,
    Shelf,
    SlottedSeat,
    TupleSeat,
    WrongExam,
    WrongLogged,
)
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Session = Callable[..., None]


def test_the_order_of_a_lookup(session: Session) -> None:
    session("descriptors_lookup.pycon", Shelf=Shelf)
    shelf = Shelf()
    with pytest.raises(AttributeError, match="takes nothing"):
        shelf.guarded = "mine"
    shelf.plain = "mine"
    assert (shelf.plain, Shelf.plain) == ("mine", "from the class")
    assert Shelf.guarded == Guard().__get__(None, Shelf)
    assert Shelf.offered == Offer().__get__(None, Shelf)


def test_the_first_of_the_class_and_its_ancestors_counts() -> None:
    class Plain(Shelf):
        guarded = "from the class"

    shelf = Plain()
    assert shelf.guarded == "from the class"
    vars(shelf)["guarded"] = "from the object"
    assert shelf.guarded == "from the object", "what an ancestor has behind it is not asked"


def test_a_descriptor_without_get_leaves_reading_to_the_object() -> None:
    class Box:
        """Takes what is written, and does not answer."""

        def __set__(self, instance: object, value: str) -> None:
            vars(instance)["kept"] = value.upper()

    class Desk:
        kept = Box()

    desk = Desk()
    assert isinstance(desk.kept, Box), "nothing in the object yet: the plain value of the class"
    desk.kept = "mine"
    assert vars(desk) == {"kept": "MINE"}
    answer: Any = desk.kept
    assert answer == "MINE"


def test_a_property_is_a_data_descriptor(session: Session) -> None:
    session("descriptors_property.pycon")
    course = Course("Python", seats=2)
    vars(course)["free"] = 99
    assert course.free == 2, "a data descriptor is asked before the object"
    with pytest.raises(AttributeError):
        vars(Course)["free"].__set__(course, 3)


@pytest.mark.wrong("lab/python/descriptors.py:wrong_between")
def test_a_descriptor_keeps_its_values_in_the_objects(session: Session) -> None:
    session("descriptors_between.pycon", Exam=Exam, WrongExam=WrongExam)
    ama, kofi = Exam(40, 0, 0), Exam(0, 40, 20)
    assert (ama.reading, kofi.reading) == (40, 0)
    for part, points in (("reading", 41), ("writing", -1), ("talking", 21)):
        with pytest.raises(ValueError, match=f"{part} is {points}, not 0 to"):
            setattr(ama, part, points)
    with pytest.raises(ValueError, match="reading is 41"):
        Exam(41, 0, 0)
    assert isinstance(Exam.talking, Between)
    assert not hasattr(Exam.__new__(Exam), "talking"), "nothing is kept in the class"
    one, other = WrongExam(40), WrongExam(12)
    assert (one.reading, other.reading) == (12, 12)
    with pytest.raises(ValueError, match="out of range"):
        one.reading = 41


@pytest.mark.wrong("lab/python/descriptors.py:wrong_counted")
def test_functions_are_descriptors_and_other_callables_are_not(session: Session) -> None:
    session("descriptors_methods.pycon", Course=Course)
    Desk.issue.calls = 0
    session("descriptors_counted.pycon", Desk=Desk)
    assert isinstance(Desk.issue, Counted)
    with pytest.raises(TypeError, match="learner"):
        Desk().wrong_issue("Ama")
    assert Desk().wrong_issue(Desk(), "Ama") == "Ama passed"


def test_a_cached_property_is_shadowed_by_its_value(session: Session) -> None:
    session("descriptors_cached.pycon", Results=Results)
    assert not hasattr(functools.cached_property, "__set__")


@pytest.mark.databases("postgresql")
def test_what_django_puts_on_a_model(academy: None, session: Session, record: Recorder) -> None:
    session("descriptors_django.pycon", Enrollment=models.Enrollment, Course=models.Course)
    seat = models.Enrollment.objects.defer("grade").get(pk=1)
    with queries() as sent:
        first = (seat.grade, seat.course.title)
        assert first == (seat.grade, seat.course.title)
    assert len(sent.statements) == 2
    record("descriptors_django.sql", sent.text)


def test_what_slots_forbid(session: Session) -> None:
    session("descriptors_slots.pycon", SlottedSeat=SlottedSeat, LooseSeat=LooseSeat)
    weakref.ref(Seat(1, 2, 71))
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(SlottedSeat(1, 2, 71))
    with pytest.raises(TypeError):
        vars(SlottedSeat(1, 2, 71))
    with pytest.raises(ValueError, match="conflicts with class variable"):
        type("Default", (), {"__slots__": ("grade",), "grade": 50})
    other = type("Other", (), {"__slots__": ("room",)})
    with pytest.raises(TypeError, match="lay-out conflict"):
        type("Both", (SlottedSeat, other), {})

    class Cached:
        __slots__ = ("grade",)

        @functools.cached_property
        def passed(self) -> bool:
            return True

    with pytest.raises(TypeError, match="__dict__"):
        _ = Cached().passed
    assert DataSeat(1, 2, 71) == pickle.loads(pickle.dumps(DataSeat(1, 2, 71)))  # noqa: S301  (its own bytes)
    assert not hasattr(DataSeat(1, 2, 71), "__dict__")

    class Passing:
        grade: int = 50

    assert dataclass(slots=True)(Passing)().grade == 50, "a default, for the class is made a second time"


def test_slots_of_a_model_save_nothing() -> None:
    class Slotted(models.Learner):
        __slots__ = ()

        class Meta:
            app_label = "python"  # of no installed app: no other test sees this model
            proxy = True

    assert hasattr(Slotted(), "__dict__")
    assert Slotted not in apps.get_models()


@pytest.mark.wrong("lab/python/descriptors.py:wrong_proxy")
def test_getattr_answers_too_much(session: Session) -> None:
    session("descriptors_proxy.pycon", WrongLogged=WrongLogged, Logged=Logged, copy=copy.copy)
    with pytest.raises(RecursionError):
        pickle.loads(pickle.dumps(WrongLogged([1])))  # noqa: S301  (its own bytes)
    with pytest.raises(AttributeError):
        Logged([1]).__len__  # noqa: B018  (reading it is the test)
    assert pickle.loads(pickle.dumps(Logged([1]))).count(1) == 1  # noqa: S301  (its own bytes)
    learners = models.Learner.objects.all()
    assert isinstance(copy.deepcopy(WrongLogged(learners)), QuerySet), "a queryset copies itself, and is asked"
    assert isinstance(copy.deepcopy(Logged(learners)), Logged)


def test_getattr_hides_an_error_in_a_property() -> None:
    class Card:
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"no {name}")

        @property
        def title(self) -> Any:
            return self.course.titel

    with pytest.raises(AttributeError) as caught:
        _ = Card().title
    assert str(caught.value) == "no title", "the property is there; what is missing is something else"


# What slots save


def opened(learner: int, course: int, grade: int) -> Seat:
    """Make an object and look into its dictionary once."""
    seat = Seat(learner, course, grade)
    vars(seat)
    return seat


def dictionary(learner: int, course: int, grade: int) -> dict[str, int]:
    """Make a dictionary with the same three values."""
    return {"learner": learner, "course": course, "grade": grade}


MAKERS: dict[str, Callable[[int, int, int], object]] = {
    "class": Seat,
    "class, after vars()": opened,
    "class with __slots__": SlottedSeat,
    "data class, slots=True": DataSeat,
    "named tuple": TupleSeat,
    "dict": dictionary,
}


def size(make: Callable[[int, int, int], object], number: int) -> float:
    """Return how many bytes each of so many objects takes; what they hold is shared, and not counted."""
    rows: list[object] = [None] * number
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for place in range(number):
            rows[place] = make(1, 2, 71)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / number


def seconds(work: Callable[[int], object], number: int) -> float:
    """Return how long a piece of work takes, done so often."""
    start = time.perf_counter()
    work(number)
    return time.perf_counter() - start


def reading(seat: Any) -> Callable[[int], None]:
    """Return work that reads an attribute."""

    def work(number: int) -> None:
        for _ in range(number):
            seat.grade  # noqa: B018  (reading it is the work)

    return work


def making(make: Callable[[int, int, int], object]) -> Callable[[int], None]:
    """Return work that makes objects."""

    def work(number: int) -> None:
        for _ in range(number):
            make(1, 2, 71)

    return work


def measure_memory(number: int = 100_000) -> Measurement:
    """Return the bytes that an object of each kind takes."""
    return Measurement(
        title="Memory of one object with three attributes",
        description="A class with slots takes the least, a dict the most; a plain class stands between.",
        x="kind",
        y="bytes",
        versions={"Python": platform.python_version()},
        bars={name: round(size(make, number)) for name, make in MAKERS.items()},
    )


def measure_access(number: int = 200_000, rounds: int = 21) -> Measurement:
    """Return the nanoseconds of reading an attribute and of making an object."""
    works = {
        "read, class": reading(Seat(1, 2, 71)),
        "read, class with __slots__": reading(SlottedSeat(1, 2, 71)),
        "read, named tuple": reading(TupleSeat(1, 2, 71)),
        "make, class": making(Seat),
        "make, class with __slots__": making(SlottedSeat),
        "make, named tuple": making(TupleSeat),
    }
    for work in works.values():
        seconds(work, number)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work, number))
    return Measurement(
        title="Time to read an attribute and to make an object",
        description="Reading takes about as long with slots as without.",
        x="operation",
        y="nanoseconds",
        versions={"Python": platform.python_version()},
        bars={name: round(median(times) / number * 1e9, 1) for name, times in taken.items()},
    )


def test_the_memory_that_the_charts_leave_out(db: None) -> None:
    assert 0.8 < sys.getsizeof("Ama Mensah") / size(SlottedSeat, 1000) < 1.25
    row = size(lambda learner, course, grade: (learner, course, grade), 1000)
    assert size(functools.partial(models.Enrollment, 1), 1000) > 3 * row


@pytest.mark.measures("slots")
def test_slots_save_memory_and_hardly_any_time(
    measured: Callable[[str, Callable[[], Measurement]], Measurement],
) -> None:
    memory = measured("slots_memory.json", measure_memory).bars
    assert 1.4 < memory["class"] / memory["class with __slots__"] < 2
    assert memory["class, after vars()"] > 2.5 * memory["class with __slots__"]
    assert memory["class with __slots__"] == memory["data class, slots=True"]
    assert memory["class with __slots__"] < memory["named tuple"] < memory["class"] < memory["dict"]
    access = measured("slots_access.json", measure_access).bars
    assert 1 / 1.5 < access["read, class"] / access["read, class with __slots__"] < 1.5
    # What holds on every machine:
    small = measure_memory(2_000).bars
    assert small["class with __slots__"] < small["class"] < small["class, after vars()"]
    assert small["class with __slots__"] * 2 < small["class, after vars()"]
    assert set(measure_access(100, 1).bars) == set(access)
