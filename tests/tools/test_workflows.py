"""The files under .github/ are valid, pinned, and ask for as little as they can."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from scripts.pages import ROOT
from tests.linters import assert_schema

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SCHEMAS = {
    "vendor.github-workflows": "workflows/*.yml",
    "vendor.dependabot": "dependabot.yml",
    "vendor.github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "vendor.github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
}


@pytest.mark.parametrize(("schema", "pattern"), SCHEMAS.items())
def test_schemas(schema: str, pattern: str) -> None:
    assert_schema(schema, *sorted(GITHUB.glob(pattern)))


def test_zizmor_finds_nothing() -> None:
    command = [str(ROOT / ".venv/bin/zizmor"), "--offline", "--no-progress", "--persona", "pedantic", str(GITHUB)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_the_version_beside(workflow: str) -> None:
    lines = [line for line in (ROOT / workflow).read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_a_timeout_and_their_own_permissions(workflow: str) -> None:
    text = (ROOT / workflow).read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert content["permissions"] == {}
    assert content["concurrency"]
    for job in content["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90
        assert job["permissions"]
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_pull_requests_can_only_read() -> None:
    content = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text(encoding="utf-8"))
    assert {level for job in content["jobs"].values() for level in job["permissions"].values()} == {"read"}


def test_every_command_of_the_workflows_is_a_make_target() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [
        step["run"]
        for workflow in WORKFLOWS
        for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert commands
    assert {command.removeprefix("make ") for command in commands} <= targets
