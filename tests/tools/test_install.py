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


def machine(
    copy: Copy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: dict[str, str] | None = None,
    *,
    browser: bool = True,
    user: int = 0,
) -> Copy:
    """Return the copy on a machine that holds few programs; the others are given as shell scripts."""
    bare(copy)
    tools = tmp_path / "bin"
    for name in ("bash", "cat", "cmp", "cp", "dirname", "env", "mktemp", "rm"):
        program(tools, name, f'exec {"/bin/" + name if os.path.exists("/bin/" + name) else "/usr/bin/" + name} "$@"')
    for name, script in {"id": f"echo {user}", "sudo": "exit 1", **(programs or {})}.items():
        program(tools, name, script)
    venv = copy.root / ".venv" / "bin"
    venv.mkdir(parents=True)
    program(venv, "python", f"exit {0 if browser else 1}")
    # The machine that runs this test may have MariaDB in a folder that is looked into beside PATH.
    copy.edit("scripts/install.sh", "PATH+=:/usr/sbin:/usr/local/sbin:/usr/libexec", "PATH+=")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("TEST_MYSQL_URL", raising=False)
    return copy


@pytest.mark.parametrize(("user", "says"), [(1000, "this user cannot install it"), (0, "Install the package chromium")])
def test_without_a_browser_or_the_right_to_install_the_package_is_named(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, says: str
) -> None:
    here = machine(copy, tmp_path, monkeypatch, browser=False, user=user)
    (line,) = errors(here.run("scripts/install.sh", "system"))
    assert says in line


@pytest.mark.parametrize("user", [0, 1000])
def test_what_cannot_be_installed_is_named(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    run = machine(copy, tmp_path, monkeypatch, user=user).run("scripts/install.sh", "system")
    mariadb, wrk = run.stdout.splitlines()
    assert mariadb.endswith("To run them: apt-get install mariadb-server-core mariadb-client-core")
    assert wrk.endswith("To run them: apt-get install wrk")
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("user", "refuses", "calls"), [(0, "", "install"), (1000, "", "install"), (0, "[ -e updated ] || exit 1", "update")]
)
def test_packages_are_installed_without_removing_or_asking(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, refuses: str, calls: str
) -> None:
    apt = f'[ "$1" = update ] && touch updated; echo "$@" >> calls; {refuses}'
    sudo = '[ "$1" = -n ] && shift && exec "$@"'
    here = machine(copy, tmp_path, monkeypatch, {"apt-get": apt, "sudo": sudo, "touch": ": > $1"}, user=user)
    run = here.run("scripts/install.sh", "system")
    assert (run.returncode, run.stdout, run.stderr) == (0, "Installed MariaDB (once)\nInstalled wrk (once)\n", "")
    said = (here.root / "calls").read_text(encoding="utf-8").splitlines()
    assert "--no-remove" in said[0]
    assert said[0].endswith("mariadb-server-core mariadb-client-core")
    assert said[1:-1] == ([] if calls == "install" else ["update -q", said[0]])
    assert said[-1].endswith("--no-remove --no-install-recommends wrk")


def test_mariadb_is_not_installed_again_nor_beside_a_given_server(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine(copy, tmp_path, monkeypatch, {"apt-get": "exit 0", "wrk": "exit 0"})
    monkeypatch.setenv("TEST_MYSQL_URL", "mysql://somebody@example.org/nexus")
    given = here.run("scripts/install.sh", "system")
    monkeypatch.delenv("TEST_MYSQL_URL")
    for name in ("mariadbd", "mariadb-install-db"):
        program(tmp_path / "bin", name, "exit 0")
    there = here.run("scripts/install.sh", "system")
    assert [(run.returncode, run.stdout, run.stderr) for run in (given, there)] == [(0, "", "")] * 2


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
