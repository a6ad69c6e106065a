"""pip, Pipenv, Poetry and uv do the same work on the same project, each for real."""

from __future__ import annotations

import json
import re
import shutil
import time
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from scripts.pages import ROOT
from tests.lab.python.packages import MANAGERS, NEEDED, Desk, Indexes, academy, alone, release
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.lab.python.packages import Release
    from tests.recording.files import Recorder

pytestmark = [NEEDED, pytest.mark.slow]

LAB = ROOT / "lab" / "python"
LOCKS = {"pip": "pylock.toml", "pipenv": "Pipfile.lock", "poetry": "poetry.lock", "uv": "uv.lock"}
PLANS = {"pipenv": "Pipfile"}
NAMES = {"pip": "pip", "pipenv": "Pipenv", "poetry": "Poetry", "uv": "uv"}
SESSIONS = {
    "pip": {
        "add": "package_managers_pip_add.console",
        "second": "package_managers_pip_second.console",
        "change": "package_managers_pip_change.console",
    },
    "pipenv": {
        "add": "package_managers_pipenv_add.console",
        "second": "package_managers_pipenv_second.console",
        "change": "package_managers_pipenv_change.console",
    },
    "poetry": {
        "add": "package_managers_poetry_add.console",
        "second": "package_managers_poetry_second.console",
        "change": "package_managers_poetry_change.console",
    },
    "uv": {
        "add": "package_managers_uv_add.console",
        "second": "package_managers_uv_second.console",
        "change": "package_managers_uv_change.console",
    },
}
STEPS = ("add", "second", "change")
INSTALL = {
    "pip": "pip --python .venv install --quiet -r pylock.toml",
    "pipenv": "pipenv sync",
    "poetry": "poetry sync",
    "uv": "uv sync --locked",
}
NEWER = [
    release("academy-scale", "1.2", uploaded="2026-09-07T09:00:00Z"),
    release("academy-grades", "1.2", "academy-scale>=1,<2", uploaded="2026-09-07T09:00:00Z"),
]


@dataclass
class Step:
    """What one session printed and left behind."""

    session: str
    plan: str
    lock: str
    installed: set[str]


class Work:
    """What one tool does: each step once, when a test first asks for it, after the steps before it.

    Args:
        tool: Its name.
        home: Its home directory.
        indexes: Its own server; newer releases appear in it before the second step.
    """

    def __init__(self, tool: str, home: Path, indexes: Indexes) -> None:
        self.tool = tool
        self.desk = Desk(home, indexes)
        self.settings = {"PIP_INDEX_URL": indexes.url()} if tool == "pip" else {}
        self.first = self.desk.put(LAB / "package_managers" / tool, "gradebook")
        self.second = home / "second"
        self.done: dict[str, Step] = {}

    def step(self, name: str) -> Step:
        """Return a step: add and lock, install on a second machine, or upgrade one package and remove another."""
        for step in STEPS[len(self.done) : STEPS.index(name) + 1]:
            self.done[step] = self.play(step)
        return self.done[name]

    def play(self, step: str) -> Step:
        """Run the session of a step."""
        folder = self.first if step == "add" else self.second
        if step == "second":
            folder.mkdir()
            for path in self.first.iterdir():
                if path.is_file():
                    shutil.copy(path, folder)
            self.desk.indexes.publish(*NEWER)
        session = self.desk.play(LAB / "recorded" / SESSIONS[self.tool][step], folder.name, **self.settings)
        dists = folder.glob(".venv/lib/*/site-packages/academy*.dist-info")
        return Step(
            session=session,
            plan=(folder / PLANS.get(self.tool, "pyproject.toml")).read_text(encoding="utf-8"),
            lock=(folder / LOCKS[self.tool]).read_text(encoding="utf-8"),
            installed={path.name.removesuffix(".dist-info") for path in dists},
        )

    @cached_property
    def stale(self) -> tuple[str, int]:
        """What installing prints, and its status, after somebody edited the plan and forgot the lock file."""
        self.step("change")
        plan = self.second / PLANS.get(self.tool, "pyproject.toml")
        plan.write_text(plan.read_text(encoding="utf-8").replace(">=1", ">=1.1", 1), encoding="utf-8")
        ((text, status),) = self.desk.run(INSTALL[self.tool], folder="second", **self.settings)
        return self.desk.plain(text), status


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Work]]:
    """``work("uv")`` is what a tool does; all tests share it."""
    with alone(), ExitStack() as servers:

        @cache
        def of(tool: str) -> Work:
            indexes = servers.enter_context(Indexes(pypi=academy()))
            return Work(tool, tmp_path_factory.mktemp(tool), indexes)

        yield of


def packages(tool: str, lock: str) -> dict[str, dict[str, Any]]:
    """Return the packages in the lock file of a folder."""
    if tool == "pipenv":
        groups = {name: found for name, found in json.loads(lock).items() if name != "_meta"}
        return {name: package for group in groups.values() for name, package in group.items()}
    return {package["name"]: package for package in tomllib.loads(lock)["packages" if tool == "pip" else "package"]}


def versions(tool: str, lock: str) -> tuple[str, str]:
    """Return the locked versions of academy-grades and academy-scale."""
    found = packages(tool, lock)
    grades, scale = (found[name]["version"].removeprefix("==") for name in ("academy-grades", "academy-scale"))
    return grades, scale


def says(tool: str, lock: str, what: str) -> bool:
    """Return whether a lock file says a thing of its packages."""
    found = packages(tool, lock)
    if what == "group":
        data = json.loads(lock) if tool == "pipenv" else tomllib.loads(lock)
        if tool == "pipenv":
            return "academy-checks" in data.get("test", {})
        marked = any("groups" in one or "dependency_groups" in one.get("marker", "") for one in found.values())
        return marked or "dev-dependencies" in found.get("gradebook", {})
    if what == "platform":
        return "academy-tzdata" in found
    if what == "needs":
        return "dependencies" in found["academy-grades"]
    real = [one for name, one in found.items() if name != "gradebook"]
    sample = {
        "hash": r"sha256:?\W*(= \")?[0-9a-f]{64}",
        "address": r"/pypi/files/",
        "date": r"upload-time",
    }[what]
    return all(re.search(sample, json.dumps(one, default=str)) for one in real)


ROWS = {
    "hash": "A SHA-256 for every file",
    "group": "Which packages are for tests only",
    "platform": "Packages for other platforms (`academy-tzdata`)",
    "needs": "Which package needs which",
    "address": "The address of every file",
    "date": "When each file was uploaded",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("tool", LOCKS)
def test_a_session_of_a_tool(record: Recorder, work: Callable[[str], Work], tool: str, step: str) -> None:
    record(SESSIONS[tool][step], work(tool).step(step).session)


@pytest.mark.parametrize("tool", LOCKS)
def test_a_second_machine_gets_what_is_locked(work: Callable[[str], Work], tool: str) -> None:
    add, second = work(tool).step("add"), work(tool).step("second")
    everything = {"academy_grades-1.1", "academy_scale-1.1", "academy_clock-1.0", "academy_checks-1.0"}
    # The newer releases are in the index by then, and the second machine does not get them.
    assert add.installed == second.installed == everything
    assert add.lock == second.lock


def test_what_a_tool_writes_into_the_plan(work: Callable[[str], Work]) -> None:
    assert 'academy-clock = "*"' in work("pipenv").step("add").plan
    assert '"academy-clock (>=1.0,<2.0)"' in work("poetry").step("add").plan
    assert '"academy-clock>=1.0"' in work("uv").step("add").plan


def test_what_a_lock_file_holds(record: Recorder, work: Callable[[str], Work]) -> None:
    rows = ["| In the lock file | " + " | ".join(NAMES.values()) + " |", "| --- " * 5 + "|"]
    for what, title in ROWS.items():
        answers = ["yes" if says(tool, work(tool).step("add").lock, what) else "no" for tool in LOCKS]
        rows.append(f"| {title} | {' | '.join(answers)} |")
    stale = ["goes ahead" if work(tool).stale[1] == 0 else "fails" for tool in LOCKS]
    rows.append(f"| Installing from it after the plan changed | {' | '.join(stale)} |")
    record("package_managers_locks.md", "\n".join(rows))


def test_what_moves_when_one_package_is_upgraded(record: Recorder, work: Callable[[str], Work]) -> None:
    rows = ["| `academy-scale` 1.2 wanted | " + " | ".join(NAMES.values()) + " |", "| --- " * 5 + "|"]
    before = {tool: versions(tool, work(tool).step("second").lock) for tool in LOCKS}
    after = {tool: versions(tool, work(tool).step("change").lock) for tool in LOCKS}
    for number, name in enumerate(("academy-grades", "academy-scale")):
        moved = [f"{before[tool][number]} → {after[tool][number]}" for tool in LOCKS]
        rows.append(f"| `{name}` | {' | '.join(moved)} |")
    installed = {tool: work(tool).step("change").installed for tool in LOCKS}
    left = ["still installed" if "academy_clock-1.0" in installed[tool] else "gone" for tool in LOCKS]
    rows.append(f"| `academy-clock`, removed | {' | '.join(left)} |")
    assert after["pip"] == after["pipenv"] == ("1.2", "1.2")
    assert after["poetry"] == after["uv"] == ("1.1", "1.2")  # one package was asked for, and one moved
    assert 'academy-scale = "*"' in work("pipenv").step("change").plan
    assert [tool for tool in LOCKS if "academy_checks-1.0" not in installed[tool]] == ["uv"]
    record("package_managers_upgrade.md", "\n".join(rows))


def test_what_a_tool_says_of_a_lock_that_is_stale(work: Callable[[str], Work]) -> None:
    assert work("pip").stale[1] == work("pipenv").stale[1] == 0
    assert "pyproject.toml changed significantly since poetry.lock" in work("poetry").stale[0]
    assert "The lockfile at `uv.lock` needs to be updated, but `--locked` was provided" in work("uv").stale[0]
    assert {work(tool).stale[1] for tool in ("poetry", "uv")} == {1}
    ((text, status),) = work("pipenv").desk.run("pipenv verify", folder="second")
    assert "Pipfile.lock is out-of-date" in text
    assert status == 1


# Measured


def many(count: int) -> list[Release]:
    """Return packages that need each other: each the next one, and one that the project asks for all of them."""
    names = [f"academy-part{number:02}" for number in range(count)]
    parts = [
        release(name, "1.0", *([f"{after}>=1"] if after else []))
        for name, after in zip(names, [*names[1:], ""], strict=True)
    ]
    return [*parts, release("academy-parts", "1.0", *(f"{name}>=1" for name in names))]


LOCK = {
    "pip": "pip --python .venv lock --quiet --group test",
    "pipenv": "pipenv lock",
    "poetry": "poetry lock",
    "uv": "uv lock",
}


def plan(tool: str, desk: Desk) -> None:
    """Write a project that needs academy-parts."""
    folder = desk.put(LAB / "package_managers" / tool, "gradebook")
    name = "Pipfile" if tool == "pipenv" else "pyproject.toml"
    text = (folder / name).read_text(encoding="utf-8")
    if tool == "pip":
        text = '[dependency-groups]\ntest = ["academy-parts"]\n'
    text = text.replace("dependencies = []", 'dependencies = ["academy-parts (>=1)"]')
    text = text.replace("[packages]\n", '[packages]\nacademy-parts = ">=1"\n')
    (folder / name).write_text(text, encoding="utf-8")


def seconds(desk: Desk, tool: str, command: str) -> float:
    """Return how long a command takes, the start of the shell included."""
    settings = {"PIP_INDEX_URL": desk.indexes.url()} if tool == "pip" else {}
    start = time.perf_counter()
    ((text, status),) = desk.run(command, folder="gradebook", **settings)
    taken = time.perf_counter() - start
    assert status == 0, text
    return taken


def times(tools: Iterable[str], home: Path, count: int, repeat: int) -> dict[str, dict[str, float]]:
    """Return the median time that each tool takes to lock and to install, with and without its cache."""
    found: dict[str, dict[str, list[float]]] = {"lock": {}, "install": {}}
    with alone(), Indexes(pypi=many(count)) as indexes:
        for number, tool in product(range(repeat), tools):
            desk = Desk(home / f"{tool}{number}", indexes)
            plan(tool, desk)
            folder = desk.home / "gradebook"
            for state in ("empty cache", "filled cache"):
                for what, command in (("lock", LOCK[tool]), ("install", INSTALL[tool])):
                    if what == "lock":
                        (folder / LOCKS[tool]).unlink(missing_ok=True)
                    elif state == "empty cache":  # what locking has fetched goes away again
                        shutil.rmtree(desk.home / ".cache", ignore_errors=True)
                    shutil.rmtree(folder / ".venv", ignore_errors=True)
                    desk.run("python -m venv --without-pip .venv", folder="gradebook")
                    taken = seconds(desk, tool, command)
                    found[what].setdefault(f"{NAMES[tool]}, {state}", []).append(taken)
            assert len(list(folder.glob(".venv/lib/*/site-packages/academy*.dist-info"))) == count + 1
    return {what: {name: round(median(taken), 2) for name, taken in bars.items()} for what, bars in found.items()}


@pytest.mark.measures("package_managers")
@pytest.mark.timeout(600)
def test_how_long_locking_and_installing_take(
    measured: Callable[[str, Callable[[], Measurement]], Measurement], tmp_path: Path
) -> None:
    result = cache(lambda: times(LOCKS, tmp_path, count=20, repeat=3))

    def series(what: str, title: str, description: str) -> Callable[[], Measurement]:
        return lambda: Measurement(
            title=title,
            description=description,
            x="tool, and its cache",
            y="median of 3 runs (s)",
            versions={NAMES[tool]: managers()[tool] for tool in LOCKS},
            bars=result()[what],
        )

    lock = measured(
        "package_managers_lock.json",
        series("lock", "Locking 21 packages", "uv takes a small part of the time of the other three."),
    ).bars
    install = measured(
        "package_managers_install.json",
        series("install", "Installing 21 packages from the lock", "uv takes a small part of the time of the others."),
    ).bars
    for bars in (lock, install):
        others = [value for name, value in bars.items() if not name.startswith("uv")]
        assert min(others) > 3 * max(value for name, value in bars.items() if name.startswith("uv"))
        for name in ("pip", "Pipenv", "Poetry"):  # a filled cache changes little here
            assert 0.5 < bars[f"{name}, filled cache"] / bars[f"{name}, empty cache"] < 2


def managers() -> dict[str, str]:
    """Return the versions of the four."""
    lock = (ROOT / "requirements-managers.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"(?m)^(pip|pipenv|poetry|uv)==(\S+)", lock))


def test_the_page_names_the_versions_that_ran() -> None:
    page = (ROOT / "docs" / "technologies" / "python" / "package-managers.md").read_text(encoding="utf-8")
    for tool, version in managers().items():
        assert f"{NAMES[tool]} {version}" in page


def test_nothing_was_installed_into_the_managers_environment(work: Callable[[str], Work]) -> None:
    for tool in LOCKS:
        work(tool).step("change")
    assert list(MANAGERS.parent.glob("lib/*/site-packages/academy*")) == []


def test_the_experiment_in_small(tmp_path: Path) -> None:
    found = times(["pip", "uv"], tmp_path, count=2, repeat=1)
    for bars in found.values():
        assert len(bars) == 4
        pip, uv = (sum(value for name, value in bars.items() if name.startswith(tool)) for tool in ("pip", "uv"))
        assert uv < pip
