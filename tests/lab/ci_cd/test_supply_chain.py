"""A tag that is moved, a package that runs code while it is installed, and a statement about an origin."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lab.ci_cd.supply_chain import WrongOrigin, check_origin, wrong_check_origin
from scripts.pages import ROOT
from tests.lab.ci_cd.workflows import BIN, EXAMPLES, content, run, stand_ins, steps
from tests.recording import shell as shells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WHEEL = b"the bytes of academy-1.0-py3-none-any.whl"
# The parts of https://slsa.dev/spec/v1.1/provenance that a consumer compares.
STATEMENT: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "academy-1.0-py3-none-any.whl", "digest": {"sha256": hashlib.sha256(WHEEL).hexdigest()}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {
            "externalParameters": {
                "workflow": {
                    "ref": "refs/tags/v1.0",
                    "repository": "https://github.com/ama/academy",
                    "path": ".github/workflows/release.yml",
                }
            }
        }
    },
}


def test_a_moved_tag_reaches_who_names_the_tag(shell: Callable[..., None], tmp_path: Path) -> None:
    action = tmp_path / "count-seats"
    action.mkdir()
    (action / "entrypoint.sh").write_text('echo "three seats left"\n', encoding="utf-8")
    shells.run(
        [
            "git config --global advice.detachedHead false",
            "git -C count-seats init -q",
            "git -C count-seats add .",
            "git -C count-seats commit -q -m Count",
            "git -C count-seats tag v1",
        ],
        tmp_path,
    )
    (action / "entrypoint.sh").write_text('echo "three seats left"; env > /tmp/all-your-secrets\n', encoding="utf-8")
    shell("supply_chain_tag.console")
    by_tag, by_commit = (
        (tmp_path / name / "entrypoint.sh").read_text(encoding="utf-8") for name in ("by-tag", "by-commit")
    )
    assert "secrets" in by_tag
    assert "secrets" not in by_commit


@pytest.mark.slow
def test_a_package_runs_its_script_while_it_is_installed(shell: Callable[..., None], tmp_path: Path) -> None:
    package = tmp_path / "seat-counter"
    package.mkdir()
    about = {
        "name": "seat-counter",
        "version": "1.0.1",
        "scripts": {"postinstall": "echo the key is $DEPLOY_KEY > ../stolen.txt"},
    }
    (package / "package.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    shell("supply_chain_scripts.console", DEPLOY_KEY="s3cret")
    assert not (tmp_path / "node_modules/stolen.txt").exists()
    assert (tmp_path / "node_modules/seat-counter").is_dir()


def test_this_repository_installs_without_scripts_and_with_hashes() -> None:
    install = (ROOT / "scripts/install.sh").read_text(encoding="utf-8")
    assert "--require-hashes" in install
    assert "--ignore-scripts" in install


def changed(path: str, text: str) -> dict[str, Any]:
    """Return the statement with one value of its workflow changed."""
    statement = copy.deepcopy(STATEMENT)
    statement["predicate"]["buildDefinition"]["externalParameters"]["workflow"][path] = text
    return statement


@pytest.mark.wrong("lab/ci_cd/supply_chain.py:wrong_origin")
def test_a_statement_is_compared_with_what_you_expect(session: Callable[..., None]) -> None:
    expected = ("ama/academy", ".github/workflows/release.yml")
    check_origin(STATEMENT, WHEEL, *expected)
    stranger = changed("repository", "https://github.com/amateur/academy")
    other_workflow = changed("path", ".github/workflows/test.yml")
    for statement, file in ((STATEMENT, WHEEL + b"."), (stranger, WHEEL), (other_workflow, WHEEL)):
        with pytest.raises(WrongOrigin):
            check_origin(statement, file, *expected)
    wrong_check_origin(stranger, WHEEL)  # somebody else's statement will do
    with pytest.raises(WrongOrigin):
        wrong_check_origin(STATEMENT, WHEEL + b".")
    session(
        "supply_chain_origin.pycon",
        check_origin=check_origin,
        wrong_check_origin=wrong_check_origin,
        ours=STATEMENT,
        stranger=stranger,
        other_workflow=other_workflow,
        wheel=WHEEL,
        here=expected,
    )


def test_what_publishes_builds_nothing_and_what_builds_publishes_nothing(tmp_path: Path) -> None:
    jobs = content(EXAMPLES / "release.yml")["jobs"]
    assert jobs["build"]["permissions"] == {"contents": "read", "id-token": "write", "attestations": "write"}
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert not any("checkout" in step.get("uses", "") for step in jobs["publish"]["steps"])
    assert "secrets." not in yaml.safe_dump(jobs)
    build, publish = steps(EXAMPLES / "release.yml")
    replaced = stand_ins(tmp_path / "bin", "uv")
    assert run(build, tmp_path, replaced=replaced).stdout == "(stands in for) uv build --no-sources\n"
    assert run(publish, tmp_path, replaced=replaced).stdout == (
        "(stands in for) uv publish --trusted-publishing always\n"
    )
    known = subprocess.run([str(BIN / "uv"), "publish", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--trusted-publishing" in known


def test_updates_wait_a_week() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert {update["package-ecosystem"] for update in updates} >= {"pip", "npm", "github-actions"}
    assert all(update["cooldown"] == {"default-days": 7} for update in updates)
