"""Python's syntax asks the type of an object for a method, and what happens when there is none."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from django.db.models import F
from django.utils.functional import LazyObject, SimpleLazyObject

from lab.python.data_model import Grade, Logged, Roster, invite
from lab.python.data_model_samples import WrongGrade, wrong_invite

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Session = Callable[..., None]

# What a reader writes, with the methods that may answer: of x, and of y where there are two.
SYNTAX = {
    "repr(x)": "__repr__",
    "print(x), f'{x}'": "__str__ __repr__",
    "bool(x), if x": "__bool__ __len__",
    "len(x)": "__len__",
    "for one in x": "__iter__ __getitem__",
    "y in x": "__contains__ __iter__ __getitem__",
    "x[y]": "__getitem__",
    "x()": "__call__",
    "hash(x), {x}": "__hash__",
    "x == y": "__eq__ y.__eq__",
    "x != y": "__ne__ __eq__",
    "x < y": "__lt__ y.__gt__",
    "x + y": "__add__ y.__radd__",
    "x += y": "__iadd__ __add__ y.__radd__",
    "with x": "__enter__ __exit__",
}
STATEMENTS = {
    "print(x), f'{x}'": "f'{x}'",
    "bool(x), if x": "bool(x)",
    "for one in x": "[one for one in x]",
    "hash(x), {x}": "hash(x)",
    "with x": "with x: pass",
    "x += y": "x += y",
}
ANSWERS: dict[str, Any] = {
    "__repr__": "a text",
    "__str__": "a text",
    "__bool__": False,
    "__len__": 0,
    "__iter__": iter(()),
    "__contains__": False,
    "__hash__": 7,
    "__enter__": None,
    "__exit__": None,
    "__call__": None,
}


def make(owner: str, names: list[str], called: list[str]) -> object:
    """Return an object whose type has these methods; each notes that it was called."""

    def method(name: str) -> Callable[..., Any]:
        def answer(self: object, *arguments: object) -> Any:
            called.append(owner + name)
            if name == "__getitem__":
                raise IndexError
            return ANSWERS.get(name, NotImplemented)

        return answer

    methods: dict[str, Any] = {name: method(name) for name in names}
    if "__eq__" in methods:
        methods.setdefault("__hash__", object.__hash__)
    return type("Thing", (), methods)()


def ask(written: str, methods: list[str]) -> tuple[list[str], str]:
    """Return the methods that were called, in order, and what came out."""
    called: list[str] = []
    x = make("", [name for name in methods if not name.startswith("y.")], called)
    y = make("y.", [name.removeprefix("y.") for name in methods if name.startswith("y.")], called)
    names = {"x": x, "y": y}
    statement = STATEMENTS.get(written, written)
    try:
        if written in {"with x", "x += y"}:
            exec(statement, names)  # noqa: S102  (the texts above)
            return called, ""
        value = eval(statement, names)  # noqa: S307  (the texts above)
    except (TypeError, IndexError) as error:
        return called, f"`{type(error).__name__}`"
    return called, f"`{value}`" if isinstance(value, bool) else ""


LAST = {
    "repr(x)": "`object`: type and address",
    "print(x), f'{x}'": "as `repr(x)`",
    "hash(x), {x}": "`object`: by identity",
    "x == y": "as `x is y`",
    "x != y": "as `x is not y`",
}


def test_what_python_calls(record: Recorder) -> None:
    rows = ["| You write | It calls | Without any of them |", "| --- | --- | --- |"]
    for written, text in SYNTAX.items():
        methods = text.split()
        order: list[str] = []
        left = list(methods)
        while left:
            called, _ = ask(written, left)
            assert called, f"{written} asks none of {left}"
            fresh = list(dict.fromkeys(called))
            order += [name for name in fresh if name not in order]
            left = [name for name in left if name not in fresh]
        _, bare = ask(written, [])
        link = " and " if written == "with x" else ", then "
        assert set(order) == set(methods), (written, order)
        calls = link.join(f"`{name}`" for name in order)
        rows.append(
            f"| {', '.join(f'`{part}`' for part in written.split(', '))} | {calls} | {LAST.get(written, bare)} |"
        )
    record("data_model_calls.md", "\n".join(rows))


def test_one_class_and_the_syntax_that_it_answers(session: Session) -> None:
    session("data_model_roster.pycon", Roster=Roster)


@pytest.mark.wrong("lab/python/data_model_samples.py:wrong_invite")
def test_an_object_of_length_zero_is_false(session: Session) -> None:
    session("data_model_invite.pycon", Roster=Roster, invite=invite, wrong_invite=wrong_invite)
    assert invite(Roster("Docker", ["Ama"])) == wrong_invite(Roster("Docker", ["Ama"])) == "Ama"


@pytest.mark.wrong("lab/python/data_model_samples.py:wrong_grade")
def test_who_cannot_answer_says_so(session: Session) -> None:
    names = {"Grade": Grade, "Roster": Roster, "WrongGrade": WrongGrade, "ANY": mock.ANY, "F": F}
    session("data_model_not_implemented.pycon", **names)
    assert Roster("Python") != "Python"
    assert Roster("Python") == mock.ANY


def test_a_subclass_on_the_right_is_asked_first() -> None:
    called = []

    class Bonus(Grade):
        def __eq__(self, other: object) -> bool:
            called.append(type(self))
            return NotImplemented

        __hash__ = Grade.__hash__

    assert Grade(71) == Bonus(71)
    assert called == [Bonus]


def test_not_implemented_is_no_truth() -> None:
    if sys.version_info >= (3, 14):
        with pytest.raises(TypeError):
            bool(NotImplemented)
    else:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert bool(NotImplemented)
        assert [warning.category for warning in seen] == [DeprecationWarning]


@pytest.mark.wrong("lab/python/data_model_samples.py:wrong_grade")
def test_a_hash_that_changes_loses_its_object(session: Session) -> None:
    session("data_model_hash.pycon", Roster=Roster, Grade=Grade, WrongGrade=WrongGrade)
    with pytest.raises(AttributeError):
        Grade(48).points = 71  # type: ignore[misc]


def test_the_order_of_grades(session: Session) -> None:
    session("data_model_order.pycon", Grade=Grade)
    assert Grade(48) <= Grade(48)
    assert Grade(48) != Grade(71)
    assert Grade(48).points == 48


def test_one_method_is_enough_to_sort() -> None:
    class Points:
        def __init__(self, number: int) -> None:
            self.number = number

        def __lt__(self, other: Points) -> bool:
            return self.number < other.number

    some = [Points(71), Points(48), Points(90)]
    assert [one.number for one in sorted(some)] == [48, 71, 90]
    assert (min(some).number, max(some).number) == (48, 90)


def test_identity_answers_for_who_cannot_compare() -> None:
    one, other = object(), object()
    assert (one == one, one != one, one == other, one != other) == (True, False, False, True)


def test_for_counts_where_nothing_iterates() -> None:
    class Lines:
        def __init__(self) -> None:
            self.asked: list[int] = []

        def __getitem__(self, number: int) -> str:
            self.asked.append(number)
            return ["Ama", "Kofi"][number]

    lines: Any = Lines()
    assert list(lines) == ["Ama", "Kofi"]
    assert lines.asked == [0, 1, 2]


def test_a_format_asks_for_the_text() -> None:
    class Card:
        def __str__(self) -> str:
            return "a card"

    assert f"{Card()}" == format(Card()) == "a card"


def test_total_ordering_asks_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("__lt__", "__eq__"):
        asked = getattr(Grade, name)

        def note(self: Grade, other: Grade, name: str = name, asked: Callable[..., bool] = asked) -> bool:
            called.append(name)
            return asked(self, other)

        monkeypatch.setattr(Grade, name, note)
    assert Grade(71) <= Grade(71)
    assert called == ["__lt__", "__eq__"]


def test_a_list_asks_for_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    length = mock.Mock(return_value=1)
    monkeypatch.setattr(Roster, "__len__", length)
    assert list(Roster("Python", ["Ama"])) == ["Ama"]
    length.assert_called_once_with()


def test_membership_without_contains_walks_through_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Roster, "__contains__")
    names = iter(["Ama", "Kofi", "Esi"])
    monkeypatch.setattr(Roster, "__iter__", mock.Mock(return_value=names))
    assert "Kofi" in Roster("Python")
    assert list(names) == ["Esi"]


def test_the_lookup_begins_at_the_type(session: Session) -> None:
    session("data_model_type.pycon", Roster=Roster, Logged=Logged)


def test_a_patch_of_the_type_is_seen() -> None:
    roster = Roster("Python", ["Ama"])
    with mock.patch.object(Roster, "__len__", return_value=99):
        assert len(roster) == 99


def test_django_forwards_each_method_by_name() -> None:
    lazy = SimpleLazyObject(lambda: Roster("Python", ["Ama"]))
    assert len(lazy) == 1
    assert {"__len__", "__iter__", "__contains__", "__eq__"} <= set(vars(LazyObject))
