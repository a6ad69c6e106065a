"""The example workflows of the chapter are valid, safe and run; so do the repository's own."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.ci_cd.workflows import EXAMPLES, OWN, SHELLS, Step, content, render, run, stand_ins, steps, zizmor
from tests.linters import assert_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

WORKFLOWS = sorted(EXAMPLES.glob("*.yml"))
ACTIONS = sorted((ROOT / "lab/ci_cd/actions").glob("*/action.yml"))
WRONG = {
    "wrong_gate.yml": [],  # its mistake is in the words of a script
    "wrong_release.yml": ["cache-poisoning"],
    "wrong_report.yml": ["unsound-condition"],
    "wrong_target.yml": ["dangerous-triggers"],
    "wrong_title.yml": ["template-injection"],
}
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a scratch repository needs none of ours
FAILING = "def test_a_course_is_never_overbooked():\n    assert 30 - 31 >= 0\n"
# What the expressions of the examples stand for in a dry run.
CONTEXT = {
    "github": {
        "token": "a-token",
        "repository": "ama/academy",
        "event": {"issue": {"number": 7}, "pull_request": {"title": "Count the seats"}},
    },
    "matrix": {"python": "3.14", "django": "6.1"},
    "needs": {"fast": {"result": "success"}, "slow": {"result": "success"}},
    "secrets": {"PREVIEW_KEY": "a-key"},
    "steps": {"test": {"outcome": "success"}},
}
# Workflows whose steps other tests run, with the files and servers that they need.
ELSEWHERE = {"artifacts.yml", "services.yml"}
# Those of the chapter's other pages that are not listed here have tests of their own.
MINE = {
    "caches.yml",
    "cloud.yml",
    "label.yml",
    "matrix.yml",
    "merge_queue.yml",
    "release.yml",
    "report.yml",
    "reusable.yml",
    "title.yml",
    *WRONG,
}


def lab_copy(folder: Path) -> Path:
    """Copy what the steps of the examples work on."""
    shutil.copytree(
        ROOT / "lab", folder / "lab", ignore=shutil.ignore_patterns("__pycache__", "recorded", "db.sqlite3*")
    )
    for name in ("Makefile", "requirements-lab.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lab_copy(tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that reach for the network say so instead; make says what it would run."""
    folder = stand_ins(tmp_path_factory.mktemp("replaced"), "gh", "mypy", "pip", "uv")
    others = {"make": 'exec /usr/bin/make -n "$@"', "curl": """echo '{"value": "what GitHub would sign"}'"""}
    for name, script in others.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("schema", "files"), [("vendor.github-workflows", WORKFLOWS), ("vendor.github-actions", ACTIONS)]
)
def test_they_satisfy_githubs_schema(schema: str, files: list[Path]) -> None:
    assert_schema(schema, *files)


def test_zizmor_finds_nothing_in_those_that_are_meant_to_be_right() -> None:
    right = [path for path in WORKFLOWS if not path.name.startswith("wrong_")]
    assert zizmor(*right, *ACTIONS) == []


@pytest.mark.parametrize(("name", "findings"), WRONG.items())
def test_zizmor_finds_the_mistakes_of_the_others(name: str, findings: list[str]) -> None:
    assert zizmor(EXAMPLES / name) == findings


def test_actions_are_pinned_as_in_our_own_workflows() -> None:
    def pins(files: list[Path]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for file in files:
            for name, pin in re.findall(r"uses: (\w[\w/-]+)@(.*)", file.read_text(encoding="utf-8")):
                assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), (file.name, name, pin)
                found.setdefault(name, set()).add(pin)
        return found

    own = pins(sorted(OWN.glob("*.yml")))
    here = pins([*WORKFLOWS, *ACTIONS])
    assert all(len(found) == 1 for found in here.values())
    assert {name: here[name] for name in own.keys() & here.keys()} == {
        name: own[name] for name in own.keys() & here.keys()
    }


# The dry run ----------------------------------------------------------------------------------------


def test_each_step_of_the_examples_is_run() -> None:
    examples = {path.name for path in WORKFLOWS if list(steps(path))}
    assert examples >= MINE | ELSEWHERE
    assert {name for name in examples - MINE - ELSEWHERE if name.startswith("wrong_")} == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        step
        for path in [*(EXAMPLES / name for name in sorted(MINE)), *ACTIONS]
        for step in steps(path)
        if step.workflow != "action.yml"
    ],
    ids=lambda step: step.place,
)
def test_a_dry_run(step: Step, scratch: Path, replaced: Path, tmp_path: Path) -> None:
    folder = scratch
    if "pytest" in step.script:  # a repository with one test, which passes
        folder = tmp_path
        (folder / "test_seats.py").write_text(FAILING.replace("31", "29"), encoding="utf-8")
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    urls = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a-token", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://example.com/?a=b"}
    extra = {**files, **QUICK, **(urls if step.workflow == "cloud.yml" else {})}
    done = run(step, folder, CONTEXT, replaced=replaced, env=extra)
    assert done.returncode == 0, done.stdout


def test_a_dry_run_of_the_action(tmp_path: Path, replaced: Path) -> None:
    (step,) = steps(ACTIONS[0])
    done = run(step, tmp_path, {"inputs": {"requirements": "requirements-lab.txt"}}, replaced=replaced)
    assert done.stdout == "(stands in for) pip install --require-hashes -r requirements-lab.txt\n"


@pytest.mark.parametrize(
    "step", [step for path in sorted(OWN.glob("*.yml")) for step in steps(path)], ids=lambda step: step.place
)
def test_a_dry_run_of_our_own_workflows(step: Step, tmp_path: Path, replaced: Path) -> None:
    """Every step is a ``make`` target, and ``make`` knows what it would run."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    context = {
        "steps": {"pages": {"outputs": {"base_url": "https://example.com/nexus"}}},
        "github": {"server_url": "https://github.com", "repository": "ama/nexus", "ref_name": "main"},
    }
    assert re.fullmatch(r"make \w+", step.script)
    done = run(step, tmp_path, context, replaced=replaced)
    assert done.returncode == 0, done.stdout
    assert "scripts/install.sh" in done.stdout


def test_an_expression_that_the_context_does_not_know_is_an_error() -> None:
    assert render("${{ matrix.django || '5.2' }}", {"matrix": {"django": None}}) == "5.2"
    assert render("${{ toJSON(needs) }}", {"needs": {"a": 1}}) == '{\n  "a": 1\n}'
    with pytest.raises(LookupError):
        render("${{ github.no_such_thing }}", {"github": {}})
    with pytest.raises(LookupError):
        render("${{ a == b }}", {"a": 1, "b": 1})


# What the page says ---------------------------------------------------------------------------------

SCRIPTS = {
    "`false`, then `true`": "false\ntrue",
    "`false | tee log.txt`": "false | tee log.txt",
    "`false && true`, then `true`": "false && true\ntrue",
    '`echo "$(false)"`': 'echo "$(false)"',
    "`export SEATS=$(false)`": "export SEATS=$(false)",
    "`SEATS=$(false)`": "SEATS=$(false)",
    "`false || true`": "false || true",
}


def test_which_failures_a_shell_notices(record: Recorder, tmp_path: Path) -> None:
    table = ["| The script | No `shell:` | `shell: bash` |", "| --- | --- | --- |"]
    ends = {}
    for name, script in SCRIPTS.items():
        codes = [run(Step("", "", 1, script, shell, {}), tmp_path).returncode for shell in SHELLS]
        ends[name] = codes
        cells = ["fails" if code else "passes" for code in codes]
        cell = name.replace("|", "\\|")
        table.append(f"| {cell} | {cells[0]} | {cells[1]} |")
    assert {name: codes for name, codes in ends.items() if codes[0] != codes[1]} == {"`false | tee log.txt`": [0, 1]}
    record("workflows_shells.md", "\n".join(table))


def of(name: str) -> list[Step]:
    return list(steps(EXAMPLES / name))


@pytest.mark.slow
@pytest.mark.wrong("lab/ci_cd/workflows/wrong_report.yml:wrong_pipe")
def test_a_pipe_hides_a_failed_test_unless_the_shell_is_named(record: Recorder, tmp_path: Path) -> None:
    (tmp_path / "test_seats.py").write_text(FAILING, encoding="utf-8")
    hasty, careful = of("wrong_report.yml")[0], of("report.yml")[0]
    assert hasty.script == careful.script
    text = []
    for step in (hasty, careful):
        done = run(step, tmp_path, env=QUICK)
        last = re.sub(r" in [\d.]+s", "", done.stdout.strip().splitlines()[-1])
        command = " ".join(SHELLS[step.shell])
        text.append(f"{command} {{0}}\n  {last}\n  the step ends with {done.returncode}\n")
        assert "1 failed" in (tmp_path / "report.txt").read_text(encoding="utf-8")
        assert bool(done.returncode) == (step is careful)
    record("workflows_pipe.txt", "\n".join(text))


@pytest.mark.wrong("lab/ci_cd/workflows/wrong_report.yml:wrong_condition")
def test_a_condition_with_text_around_the_expression_is_always_true(shell: Callable[..., None], tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "wrong_report.yml", tmp_path)
    condition = content(EXAMPLES / "wrong_report.yml")["jobs"]["test"]["steps"][2]["if"]
    # What GitHub is handed: a text with the answer in it, and a line end. No such text is empty.
    assert condition.endswith("}}\n")
    assert render(condition.replace("github.ref == 'refs/heads/main'", "answer"), {"answer": False}) == "False\n"
    shell("workflows_condition.console")


def test_a_pull_request_cancels_its_older_run_and_a_publication_is_finished() -> None:
    test, publish = (content(OWN / name) for name in ("test.yml", "publish.yml"))
    assert test["concurrency"]["cancel-in-progress"] is True
    assert publish["concurrency"]["cancel-in-progress"] is False
    assert test["on"] == {"pull_request": None, "workflow_dispatch": None}


def test_the_steps_of_a_condition(tmp_path: Path) -> None:
    """The last step of report.yml says how the tests ended, whatever happened."""
    summary = tmp_path / "summary"
    done = run(of("report.yml")[1], tmp_path, CONTEXT, env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert done.returncode == 0
    assert summary.read_text(encoding="utf-8") == "The tests ended with success.\n"
