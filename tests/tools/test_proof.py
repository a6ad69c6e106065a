"""What breaks the rule of proof is refused, with file, line and mend."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from scripts import proof

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.conftest import Copy

LAB = """# --8<-- [start:total]
def total(prices):
    return sum(prices)
# --8<-- [end:total]
# --8<-- [start:wrong_total]
def wrong_total(prices):
    return max(prices)
# --8<-- [end:wrong_total]
"""
TEST = """def test_total(record):
    record("total.txt", "6")

@pytest.mark.wrong("lab/shop/views.py:wrong_total")
def test_wrong_total(): ...
"""
PAGE = """# Page

```python
--8<-- "lab/shop/views.py:total"
```

```text
--8<-- "lab/shop/recorded/total.txt"
```

```python
--8<-- "lab/shop/views.py:wrong_total"
```

```pycon
>>> 1 + 1
2
```

```json
{}
```
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one page, one module of the lab and one recording, in which everything is proven."""
    for path, text in {
        "docs/page.md": PAGE,
        "lab/shop/views.py": LAB,
        "lab/shop/recorded/total.txt": "6\n",
        "tests/lab/shop/test_views.py": TEST,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def edit(project: Path, path: str, old: str, new: str) -> None:
    """Replace text in a file of the project."""
    text = (project / path).read_text(encoding="utf-8")
    assert old in text
    (project / path).write_text(text.replace(old, new), encoding="utf-8", errors="surrogateescape")


def test_each_kind_is_recognized(project: Path) -> None:
    assert proof.problems(project) == []
    assert [block.kind for block in proof.blocks(project)] == ["quoted", "recorded", "wrong", "run", "checked"]
    assert proof.table(project).splitlines()[-1] == "5 blocks, 0 unproven, 0 exceptions"


PY, RECORDED, TESTS = "lab/shop/views.py", "lab/shop/recorded/total.txt", "tests/lab/shop/test_views.py"
MD = "docs/page.md"
# What is changed (file, old, new), and where and how that is reported.
MISTAKES = {
    "a language without a proof": (MD, "```json\n{}", "```text\nhello", f"{MD}:20", "in text"),
    "no language": (MD, "```json\n{}", "```\nhello", f"{MD}:20", "no language"),
    "text beside a quote": (MD, 'py:total"\n', 'py:total"\nprint()\n', f"{MD}:3", "other text"),
    "no such file": (MD, "views.py:total", "models.py:total", f"{MD}:4", "no lab/shop/models"),
    "no such section": (MD, "py:total", "py:sum", f"{MD}:4", "there: total, wrong_total"),
    "a renamed section": (PY, ":total]", ":summed]", f"{MD}:4", "has no section total"),
    "a section nobody quotes": (MD, 'py:total"', 'py:wrong_total"', f"{PY}:1", "section total"),
    "a recording nobody quotes": (MD, "recorded/total.txt", "views.py", f"{RECORDED}:1", "no page quotes"),
    "a recording no test makes": (TESTS, "total.txt", "sum.txt", f"{RECORDED}:1", "no test in tests/lab/shop"),
    "tildes": (MD, "```json\n{}\n```", "~~~ruby\n{}\n~~~", f"{MD}:20", "a fence that is written like this"),
    "tabs": (MD, "```json\n{}\n```", "\t```ruby\n\t{}\n\t```", f"{MD}:20", "a fence that is written like this"),
    "a quotation": (MD, "```json\n{}\n```", "> ```ruby\n> {}\n> ```", f"{MD}:20", "a fence that is written like this"),
    "an open fence": (MD, "{}\n```", "{}\n", f"{MD}:20", "a fence that is written like this"),
    "single quotes": (
        MD,
        '"lab/shop/views.py:total"',
        "'lab/shop/views.py:total'",
        f"{MD}:4",
        "a quote that is written like this",
    ),
    "a blank after a quote": (MD, 'py:total"', 'py:total" ', f"{MD}:4", "a quote that is written like this"),
    "no blank in a quote": (
        MD,
        '--8<-- "lab/shop/views.py:total"',
        '--8<--"lab/shop/views.py"',
        f"{MD}:4",
        "a quote that",
    ),
    "a block of quotes": (
        MD,
        "```json\n{}\n```",
        "--8<--\nlab/a.py\n--8<--",
        f"{MD}:20",
        "a quote that is written like this",
    ),
    "lines of a test": (MD, "lab/shop/views.py:total", f"{TESTS}:1:2", f"{MD}:4", "no section 1:2"),
    "a quoted page": (MD, "lab/shop/views.py:total", MD, f"{MD}:4", "nothing tests docs/page.md"),
    "no end": (PY, "# --8<-- [end:wrong_total]\n", "", f"{PY}:5", "wrong_total are: start"),
    "no start": (PY, "# --8<-- [start:total]\n", "", f"{PY}:3", "total are: end"),
    "a name twice": (PY, ":wrong_total]", ":total]", f"{PY}:1", "total are: start, end, start, end"),
    "not UTF-8": (PY, "max", "m\udce9x", f"{PY}:7", "not UTF-8"),
    "a section of a test nobody quotes": (
        TESTS,
        "test_total",
        "x(): ...\n# -8<- [start:a]\ndef t",
        f"{TESTS}:2",
        "section a",
    ),
    "wrong without a test": (TESTS, "py:wrong_total", "py:total", f"{MD}:12", "is wrong"),
}


@pytest.mark.parametrize(("path", "old", "new", "place", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message_with_its_place(
    project: Path, path: str, old: str, new: str, place: str, what: str
) -> None:
    edit(project, path, old, new)
    messages = [str(problem) for problem in proof.problems(project)]
    assert [message for message in messages if message.startswith(f"{place}: ") and what in message], messages
    assert all("\n    Mend: " in message for message in messages)


def test_a_file_that_coverage_does_not_measure_needs_a_test_that_names_it(project: Path) -> None:
    (project / "lab/shop/compose.yaml").write_text("services: {}\n", encoding="utf-8")
    edit(project, MD, "```json\n{}", '```yaml\n--8<-- "lab/shop/compose.yaml"')
    assert "no test names lab/shop/compose.yaml" in str(proof.problems(project)[0])
    (project / "tests/lab/shop/test_compose.py").write_text('FILE = "compose.yaml"\n', encoding="utf-8")
    proof.words_of_tests.cache_clear()
    assert proof.problems(project) == []


def test_a_measurement_alone_brings_recordings_of_its_name(project: Path) -> None:
    edit(project, TESTS, "total.txt", "total.json")
    assert "no test in tests/lab/shop makes this recording" in str(proof.problems(project)[0])


def test_a_test_that_does_not_parse_is_one_message(project: Path) -> None:
    edit(project, TESTS, "def test_total(record):", "def test_total(record:")
    with pytest.raises(SystemExit, match=r"test_views\.py:1: .*\n    Mend: correct the Python"):
        proof.problems(project)


def test_the_tests_of_a_file_without_a_chapter(tmp_path: Path) -> None:
    assert proof.tests_of(tmp_path, "lab/settings.py") == tmp_path / "tests/lab"
    assert proof.tests_of(tmp_path, "lab/shop/views/total.py") == tmp_path / "tests/lab/shop"


def test_one_message_names_every_page_that_quotes_a_lost_section(project: Path) -> None:
    (project / "docs/other.md").write_text(PAGE, encoding="utf-8")
    edit(project, "lab/shop/views.py", ":total]", ":summed]")
    messages = [str(problem) for problem in proof.problems(project) if "has no section" in str(problem)]
    assert len(messages) == 1
    assert "docs/other.md:4" in messages[0]
    assert "docs/page.md:4" in messages[0]


def test_the_exceptions_only_shrink(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(proof.EXCEPTIONS) == 0, "prove the block; this number may go down and never up"
    edit(project, "docs/page.md", "```json", "```text")
    monkeypatch.setitem(proof.EXCEPTIONS, "docs/page.md:20", "a test of the list")
    assert proof.problems(project) == []
    edit(project, "docs/page.md", "```text\n{}", "```json\n{}")
    assert "is not needed" in str(proof.problems(project)[0])


def test_changed_code_names_the_pages_that_show_it(project: Path) -> None:
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
        ["config", "diff.mnemonicPrefix", "true"],  # an author's own setting
    ):
        subprocess.run(["git", *command], cwd=project, check=True)
    assert proof.touched(project) == []
    edit(project, "lab/shop/views.py", "sum(prices)", "sum(prices, 0)")
    edit(project, "lab/shop/recorded/total.txt", "6", "7")
    assert proof.touched(project) == [
        "lab/shop/views.py:total -> docs/page.md:4",
        "lab/shop/recorded/total.txt -> docs/page.md:8",
    ]


def test_touched_is_silent_without_history_or_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proof.touched(project) == []
    monkeypatch.setenv("PATH", "")
    assert proof.touched(project) == []


def test_coverage_that_nobody_measured_is_one_message(project: Path) -> None:
    (project / "pyproject.toml").write_text(f"[tool.coverage.run]\ndata_file = '{project}/none'\n", encoding="utf-8")
    assert [problem.mend for problem in proof.uncovered(project)] == ["run make test"]


def test_every_page_of_this_project_is_proven() -> None:
    assert proof.problems() == []


NEW = """

def test_sum(record: object) -> None:
    record("new.txt", "1")  # type: ignore[operator]
"""
RECORDS = """

def test_sum(session: object) -> None:
    session("sum.pycon")  # type: ignore[operator]
"""
QUOTES = """
```python
--8<-- "lab/academy/enrolling.py:enroll"
```

```html
--8<-- "lab/academy/never.html"
```
"""


@pytest.mark.slow
def test_a_stale_recording_names_its_pages_and_the_command(copy: Copy) -> None:
    """The recording of a session says three where one and one are two."""
    copy.edit("tests/lab/academy/test_seed.py", "", RECORDS)
    recorded = copy.root / "lab/academy/recorded/sum.pycon"
    recorded.parent.mkdir(exist_ok=True)
    recorded.write_text(">>> 1 + 1\n3\n", encoding="utf-8")
    copy.edit("docs/index.md", "", '\n```pycon\n--8<-- "lab/academy/recorded/sum.pycon"\n```\n')
    line = copy.line_of("docs/index.md", "sum.pycon")
    command = [sys.executable, "-m", "pytest", "-q", "tests/lab/academy/test_seed.py", "-k", "sum"]
    run = copy.run(*command)
    assert run.returncode == 1
    assert "-3" in run.stdout
    assert "+2" in run.stdout
    assert f"Pages that show it: docs/index.md:{line}" in run.stdout
    assert "make record ONLY=lab/academy" in run.stdout
    assert copy.run(*command, "--regen-all").returncode == 0
    assert recorded.read_text(encoding="utf-8") == ">>> 1 + 1\n2\n"
    assert copy.run(*command).returncode == 0


@pytest.mark.slow
def test_a_recording_that_does_not_exist_yet_is_not_made_in_passing(copy: Copy) -> None:
    copy.edit("tests/lab/academy/test_seed.py", "", NEW)
    run = copy.run(sys.executable, "-m", "pytest", "-q", "tests/lab/academy/test_seed.py", "-k", "sum")
    assert run.returncode == 1
    assert "There is no such recording yet." in run.stdout
    assert not (copy.root / "lab/academy/recorded/new.txt").exists()


@pytest.mark.slow
def test_a_folder_of_a_chapter_has_recordings_of_its_own(copy: Copy) -> None:
    folder = copy.root / "tests/lab/challenges/serializers"
    folder.mkdir(parents=True)
    (folder / "test_sum.py").write_text(NEW, encoding="utf-8")
    run = copy.run(sys.executable, "-m", "pytest", "-q", str(folder))
    assert "lab/challenges/serializers/recorded/new.txt\n" in run.stdout


@pytest.mark.slow
def test_quoted_lines_that_no_test_runs_are_named(copy: Copy) -> None:
    copy.edit("docs/index.md", "", QUOTES)
    (copy.root / "lab/academy/never.html").write_text("<p>{{ name }}</p>\n", encoding="utf-8")
    copy.edit(
        "lab/academy/enrolling.py",
        "    # Whoever wants",
        "    if not course:\n        return None\n    # Whoever wants",
    )
    coverage = [sys.executable, "-m", "coverage"]
    copy.run(*coverage, "run", "-m", "pytest", "-q", "tests/lab/academy/test_enrolling.py", "-k", "sqlite")
    copy.run(*coverage, "combine", "--quiet")
    run = copy.run(sys.executable, "-m", "scripts.proof", "--coverage")
    assert run.returncode == 1
    line = copy.line_of("lab/academy/enrolling.py", "return None")
    assert f"lab/academy/enrolling.py:{line}: " in run.stderr
    assert "lab/academy/never.html:1: " in run.stderr
    assert "Mend: add a test to tests/lab/academy" in run.stderr


@pytest.mark.slow
def test_a_session_that_nobody_has_written_says_what_to_write(copy: Copy) -> None:
    copy.edit("tests/lab/academy/test_seed.py", "", RECORDS)
    run = copy.run(sys.executable, "-m", "pytest", "-q", "tests/lab/academy/test_seed.py", "-k", "sum", "--regen-all")
    assert run.returncode == 1
    assert "There is no lab/academy/recorded/sum.pycon. Write its lines, each after >>>, into it" in run.stdout


SILENT = """

def test_silent(shell: object) -> None:
    shell("silent.console")  # type: ignore[operator]
"""


@pytest.mark.slow
def test_a_recorded_command_does_not_fail_without_a_word(copy: Copy) -> None:
    copy.edit("tests/lab/academy/test_seed.py", "", SILENT)
    recorded = copy.root / "lab/academy/recorded/silent.console"
    recorded.parent.mkdir(exist_ok=True)
    recorded.write_text("$ test -e nothing\n", encoding="utf-8")
    run = copy.run(sys.executable, "-m", "pytest", "-q", "tests/lab/academy/test_seed.py", "-k", "silent")
    assert run.returncode == 1
    assert "$ test -e nothing ends with status 1 and prints nothing" in run.stdout


MEASURES = """

@pytest.mark.measures("bars")
def test_bars(measured: object) -> None:
    from tests.recording.chart import Measurement

    series = Measurement("A", "B", "x", "y", {"Python": "3"}, bars={"one": 1.0})
    measured("bars.json", lambda: series)  # type: ignore[operator]
"""


@pytest.mark.slow
def test_the_first_recording_of_a_chapter_may_be_a_measurement(copy: Copy) -> None:
    copy.edit("tests/lab/academy/test_seed.py", "", MEASURES)
    command = [sys.executable, "-m", "pytest", "-q", "tests/lab/academy/test_seed.py", "-k", "bars"]
    assert "There is no lab/academy/recorded/bars.json yet: make measure NAME=bars" in copy.run(*command).stdout
    assert copy.run(*command, "--regen-all", "--measure", "bars").returncode == 0
    assert {file.name for file in (copy.root / "lab/academy/recorded").iterdir()} == {
        "bars.json",
        "bars.md",
        "bars.svg",
    }


STAMPS = """

def test_stamp(stamp: object, monkeypatch: object) -> None:
    from scripts import services

    def none(name: str) -> str:
        raise services.Unavailable("there is no server")

    monkeypatch.setattr(services, "url", none)  # type: ignore[attr-defined]
    stamp("stamp.md", "Django")  # type: ignore[operator]
"""


@pytest.mark.slow
def test_a_stamp_is_compared_without_servers_and_recorded_with_all_of_them(copy: Copy) -> None:
    copy.edit("tests/lab/academy/test_seed.py", "", STAMPS)
    recorded = copy.root / "lab/academy/recorded/stamp.md"
    recorded.parent.mkdir(exist_ok=True)
    django = version("Django")
    recorded.write_text(f"Recorded on 1 May 2026 with Python 3, Django {django}.\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "tests/lab/academy/test_seed.py", "-k", "stamp"]
    assert copy.run(*command).returncode == 0
    assert "SKIPPED [1]" in copy.run(*command, "--regen-all").stdout
    recorded.write_text("Recorded on 1 May 2026 with Django 1.0.\n", encoding="utf-8")
    assert copy.run(*command).returncode == 1
