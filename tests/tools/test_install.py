"""What `make serve` and `make test` say on a machine that lacks something."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.tools.conftest import Copy

pytestmark = pytest.mark.slow


def program(folder: Path, name: str, script: str) -> Path:
    """Write a shell script into a folder, to stand in for a program of the machine."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def bare(copy: Copy) -> Copy:
    """Return the copy without a virtual environment."""
    (copy.root / ".venv").unlink()
    (copy.root / "node_modules").unlink()
    return copy


def errors(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a command said beside make's own line, when it failed."""
    assert run.returncode != 0
    return [line for line in run.stderr.splitlines() if not line.startswith("make")]


def test_an_old_python_is_refused_in_one_line(copy: Copy, tmp_path: Path) -> None:
    old = program(tmp_path / "bin", "python3.9", '[ "$1" = -V ] && echo Python 3.9.2; exit 1')
    (line,) = errors(bare(copy).run("make", "serve", f"PYTHON={old}"))
    assert line.startswith(f"Nexus needs Python 3.11.5 or newer, and {old} is 3.9.2.")


def test_a_missing_python_is_named_in_one_line(copy: Copy) -> None:
    (line,) = errors(bare(copy).run("make", "serve", "PYTHON=no-such-python"))
    assert line.startswith("There is no no-such-python.")


def test_a_python_without_venv_names_the_package(copy: Copy, tmp_path: Path) -> None:
    script = 'case "$2" in *ensurepip*) exit 1;; esac; exit 0'
    partial = program(tmp_path / "bin", "python3", script)
    (line,) = errors(bare(copy).run("make", "serve", f"PYTHON={partial}"))
    assert "apt-get install python3-venv" in line


def test_what_is_installed_is_not_installed_again(copy: Copy) -> None:
    run = copy.run("scripts/install.sh", "site", "tests")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_changed_lock_is_installed(copy: Copy) -> None:
    bare(copy)
    venv = copy.root / ".venv" / "bin"
    venv.mkdir(parents=True)
    program(venv, "python", 'echo "$@" >> ../calls; exit 0')
    (copy.root / ".venv" / "installed-requirements.txt").write_text("an older lock", encoding="utf-8")
    run = copy.run("scripts/install.sh", "site")
    assert run.stdout == "Installing requirements.txt into .venv (once)\n"
    assert "pip install --require-hashes -r requirements.txt" in (copy.root.parent / "calls").read_text()
    assert copy.run("scripts/install.sh", "site").stdout == ""


def test_a_failed_installation_shows_why_and_is_tried_again(copy: Copy) -> None:
    bare(copy)
    venv = copy.root / ".venv" / "bin"
    venv.mkdir(parents=True)
    program(venv, "python", '[ "$2" = pip ] && { echo no network; exit 1; }; exit 0')
    for _ in range(2):
        lines = errors(copy.run("scripts/install.sh", "site"))
        assert lines[0] == "no network"
        assert lines[1].startswith("This command failed: .venv/bin/python -m pip install")


@pytest.mark.parametrize(
    ("user", "says"), [("1000", "this user cannot install it"), ("0", "Install the package chromium")]
)
def test_without_a_browser_or_the_right_to_install_the_package_is_named(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, says: str
) -> None:
    bare(copy)
    tools = tmp_path / "bin"
    for name in ("bash", "cat", "cmp", "cp", "dirname", "env", "mktemp", "rm"):
        program(tools, name, f'exec {"/bin/" + name if os.path.exists("/bin/" + name) else "/usr/bin/" + name} "$@"')
    program(tools, "id", f"echo {user}")
    program(tools, "sudo", "exit 1")
    venv = copy.root / ".venv" / "bin"
    venv.mkdir(parents=True)
    program(venv, "python", "exit 1")
    monkeypatch.setenv("PATH", str(tools))
    (line,) = errors(copy.run("scripts/install.sh", "system"))
    assert says in line


def test_the_locks_hold_hashes_and_no_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        pins = [number for number, line in enumerate(lines) if "==" in line and not line.startswith(" ")]
        assert pins
        assert all("--hash=sha256:" in lines[number + 1] for number in pins)
        assert not [line for line in lines if "://" in line or "index-url" in line]
    assert "resolved" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")


def test_the_tests_lock_agrees_with_the_sites_lock() -> None:
    site, tests = (
        {line.split(" ")[0] for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if "==" in line}
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert site <= tests
