"""Each challenge has one test: it fails on the broken version as its page shows, and passes on the fixed one.

``make challenge`` runs the same test on what a reader has written: ``--solution challenges/lost-update``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from tests.recording.files import Recorder


@dataclass(frozen=True)
class Version:
    """A folder with one version of a challenge: ``broken``, ``fixed``, or a reader's."""

    folder: Path

    def module(self, name: str) -> ModuleType:
        """Return the module of that name in the folder."""
        if self.folder.is_relative_to(ROOT / "lab"):
            return importlib.import_module(".".join((self.folder / name).relative_to(ROOT).parts))
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))  # so that it can import what the reader puts beside it
        return importlib.import_module(name)

    def copies(self, name: str) -> list[ModuleType]:
        """Return a module twice, as two processes would have it: what the copies share is not in Python."""
        spec = importlib.util.spec_from_file_location(name, self.folder / f"{name}.py")
        assert spec
        assert spec.loader
        made = [importlib.util.module_from_spec(spec) for _ in range(2)]
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(self.folder)
            for module in made:
                patch.setitem(sys.modules, name, module)  # a dataclass looks itself up there
                spec.loader.exec_module(module)
        return made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``version`` on the broken and on the fixed one, or on the reader's."""
    if "version" not in metafunc.fixturenames:
        return
    solution = metafunc.config.getoption("solution")
    slug = Path(str(metafunc.module.__file__)).stem.removeprefix("test_")
    folder = ROOT / "lab" / "challenges" / slug
    folders = [Path(solution).resolve()] if solution else [folder / "broken", folder / "fixed"]
    metafunc.parametrize("version", [pytest.param(Version(path), id=path.name) for path in folders])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a reader's version run the test of the challenge alone, not what proves the rest of its page."""
    if config.getoption("solution"):
        items[:] = [item for item in items if isinstance(item, pytest.Function) and "version" in item.fixturenames]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On a reader's version let a missing server be a failure: what was not tried is not solved."""
    report = yield
    if report.skipped and item.config.getoption("solution"):
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Let the broken version fail, and hold its error to the recorded one."""
    version = pyfuncitem.funcargs.get("version")
    if not isinstance(version, Version) or version.folder.name != "broken":
        return (yield)
    mark = pyfuncitem.get_closest_marker("broken")
    assert mark, "a test of a challenge has the mark broken(…)"
    record: Recorder = pyfuncitem._request.getfixturevalue("record")  # the test itself need not ask for it
    try:
        yield
    except Exception as error:  # whichever it is, the recording names it
        record(mark.args[0], f"{type(error).__name__}: {error}")
        return True
    pytest.fail("the broken version passes: either it is not broken, or the test does not see it")
