"""What mypy finds, what it cannot see, and what hints do at run time."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lab.python import typing as hints
from lab.python.typing import announce, first, grade, seats, weeks
from scripts.pages import ROOT
from tests.lab.python.quoted import quoted, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

    Session = Callable[..., None]

SAMPLES = "lab/python/typing_samples.py"
GENERICS = ROOT / "lab/python/typing/generics.txt"


@pytest.fixture
def checked(tmp_path: Path, shell: Callable[..., None]) -> Callable[[str, str, str], None]:
    """``checked(recording, file, section)`` lets a recorded shell session check a section as that file."""

    def check(recording: str, file: str, section: str) -> None:
        (tmp_path / file).write_text(quoted(SAMPLES, section), encoding="utf-8")
        # What it imports stands beside it, so that mypy reads neither the whole lab nor Django.
        package = tmp_path / "lab" / "python"
        package.mkdir(parents=True)
        shutil.copy(hints.__file__, package)
        shell(recording)

    return check


@pytest.mark.slow
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_announce")
def test_the_checker_finds_what_the_test_does_not(checked: Callable[[str, str, str], None]) -> None:
    wrong = run(SAMPLES, "wrong_announce")["announce"]
    assert wrong({"Ama": 90, "Kofi": 71}) == "Best: AMA", "the test that was written passes"
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'upper'"):
        wrong({})
    assert announce({"Ama": 90, "Kofi": 71}) == "Best: AMA"
    assert announce({}) == "No grades yet"
    checked("typing_announce.console", "announce.py", "wrong_announce")


def test_hints_are_not_checked_at_run_time(session: Session) -> None:
    session("typing_run.pycon", weeks=weeks)


@pytest.mark.slow
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_untyped")
def test_a_function_without_hints_is_not_looked_into(checked: Callable[[str, str, str], None]) -> None:
    wrong = run(SAMPLES, "wrong_untyped")
    with pytest.raises(AttributeError, match="loud"):
        wrong["announce"]("Ama")
    checked("typing_untyped.console", "shout.py", "wrong_untyped")


@pytest.mark.slow
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_channel")
def test_a_protocol_is_matched_by_its_methods(checked: Callable[[str, str, str], None]) -> None:
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        run(SAMPLES, "wrong_channel")
    checked("typing_channel.console", "outbox.py", "wrong_channel")


@pytest.mark.slow
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_shapes")
def test_shapes_and_new_names(
    checked: Callable[[str, str, str], None], capsys: pytest.CaptureFixture[str], session: Session
) -> None:
    assert run(SAMPLES, "wrong_shapes")["row"]["level"] == "expert"
    assert capsys.readouterr().out == "learner 3 joins course 7\n"
    checked("typing_shapes.console", "imports.py", "wrong_shapes")


def test_the_other_tools(session: Session) -> None:
    session("typing_tools.pycon", **vars(hints))

    class Narrow(hints.Search):
        pass

    assert type(Narrow().having("web")) is Narrow
    assert first([71, 90], lambda item: item > 80) == 90
    assert grade(None) is None


@pytest.mark.slow
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_seats")
def test_any_stops_the_checker(checked: Callable[[str, str, str], None], session: Session) -> None:
    wrong = run(SAMPLES, "wrong_seats")["seats"]
    assert wrong('{"seats": "30"}') * 2 == "3030"
    with pytest.raises(ValueError, match="seats has to be a number"):
        seats('{"seats": "30"}')
    assert seats('{"seats": 30}') * 2 == 60
    session("typing_seats.pycon", wrong_seats=wrong, seats=seats)
    checked("typing_seats.console", "seats.py", "wrong_seats")


@pytest.mark.slow
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_ignores")
def test_an_ignore_without_a_code_hides_everything(checked: Callable[[str, str, str], None]) -> None:
    names = run(SAMPLES, "wrong_ignores")
    assert (names["one"], names["two"]) == ("4545", 90), "a text where a number belongs, and the other way round"
    checked("typing_ignores.console", "ignores.py", "wrong_ignores")


@pytest.mark.slow
def test_the_new_syntax_of_generics(tmp_path: Path, shell: Callable[..., None]) -> None:
    shutil.copy(GENERICS, tmp_path / "generics.py")
    shell("typing_generics.console")


def test_the_new_syntax_runs() -> None:
    if sys.version_info < (3, 12):
        with pytest.raises(SyntaxError):
            compile(GENERICS.read_text(encoding="utf-8"), GENERICS.name, "exec")
        return
    names: dict[str, Any] = {"reveal_type": lambda value: value}
    exec(compile(GENERICS.read_text(encoding="utf-8"), GENERICS.name, "exec"), names)  # noqa: S102  (the lab's own)
    assert names["name"] == "Kofi"
    assert names["Page"]([71, 90]).items == [71, 90]


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mypy_django_plugin"), reason="django-stubs is not installed")
@pytest.mark.wrong("lab/python/typing_samples.py:wrong_titles")
def test_the_stubs_know_the_fields_of_a_model(academy: None, tmp_path: Path, record: Recorder) -> None:
    with pytest.raises(Exception, match="Cannot resolve keyword 'titel' into field"):
        run(SAMPLES, "wrong_titles")["titles"]()
    (tmp_path / "titles.py").write_text(quoted(SAMPLES, "wrong_titles"), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(tmp_path / "cache"), str(tmp_path / "titles.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.replace(f"{tmp_path}/", "").replace(
        " into field. Choices are:", " into field.\n    Choices are:"
    )
    record("typing_titles.txt", lines)
