"""The contract compared with a change to it, and what this repository asks of a contribution."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from drf_spectacular.generators import SchemaGenerator

from lab.practices.collaboration import breaks, compare, told, unknown_commands
from lab.practices.collaboration_samples import MarkSerializer, PassedSerializer, ReasonSerializer
from lab.rest_apis import views
from scripts.pages import ROOT
from tests.recording.shell import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.people import People
    from tests.recording.files import Recorder

PROPOSALS = {
    "`mark` in place of `grade`": MarkSerializer,
    "a `reason` to enroll": ReasonSerializer,
    "`passed` beside `grade`": PassedSerializer,
}


def read(path: str) -> str:
    """Return a file of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    agreed: dict[str, Any] = yaml.safe_load(read("lab/rest_apis/openapi.yaml"))
    return agreed


def proposed() -> dict[str, Any]:
    """Return the description of the API as the code is now."""
    generator: Any = SchemaGenerator  # its methods have no types
    found: dict[str, Any] = generator(api_version="v1").get_schema(public=True)
    return found


# --8<-- [start:contract]
def test_the_code_breaks_no_client(contract: dict[str, Any]) -> None:
    assert list(breaks(contract, proposed())) == []


# --8<-- [end:contract]


@pytest.mark.wrong("lab/practices/collaboration_samples.py:wrong_mark")
@pytest.mark.wrong("lab/practices/collaboration_samples.py:wrong_reason")
def test_which_proposal_breaks_clients(
    contract: dict[str, Any], monkeypatch: pytest.MonkeyPatch, record: Recorder
) -> None:
    rows = ["| Proposal | What the comparison says |", "| --- | --- |"]
    found = {}
    for words, serializer in PROPOSALS.items():
        monkeypatch.setattr(views, "EnrollmentSerializer", serializer)
        found[words] = list(breaks(contract, proposed()))
        rows.append(f"| {words} | {'; '.join(f'`{one}`' for one in found[words]) or 'nothing'} |")
    record("collaboration_breaks.md", "\n".join(rows))
    assert [bool(one) for one in found.values()] == [True, True, False]


@pytest.mark.slow
def test_file_and_code_changed_in_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=tmp_path, env=environment(tmp_path), check=True, capture_output=True)

    agreed = read("lab/rest_apis/openapi.yaml")
    file, base = tmp_path / "openapi.yaml", tmp_path / "agreed.yaml"
    base.write_text(agreed, encoding="utf-8")
    file.write_text(agreed, encoding="utf-8")
    git("init", "--initial-branch", "main")
    git("add", "openapi.yaml")
    git("commit", "--message", "Agree on the contract")
    git("switch", "--create", "shorter-name")
    monkeypatch.setattr(views, "EnrollmentSerializer", MarkSerializer)
    file.write_text(yaml.safe_dump(proposed(), sort_keys=False), encoding="utf-8")
    assert list(breaks(yaml.safe_load(file.read_text(encoding="utf-8")), proposed())) == []  # file and code agree
    git("commit", "--all", "--message", "Shorten a name")
    assert compare(str(base), str(base)) == 0
    assert compare(str(base), str(file)) == 1
    assert capsys.readouterr().out == "Enrollment.grade is gone\n"
    shell("collaboration_compare.console", PYTHONPATH=str(ROOT))


def test_what_a_client_meets(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    client = people.client(people.kofi)
    assert "grade" in client.get("/api/v1/enrollments/4/").json()
    monkeypatch.setattr(views, "EnrollmentSerializer", MarkSerializer)
    answer = client.get("/api/v1/enrollments/4/").json()
    assert ("grade" in answer, "mark" in answer) == (False, True)
    monkeypatch.setattr(views, "EnrollmentSerializer", ReasonSerializer)
    refused = client.post("/api/v1/enrollments/", {"course": "testing"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "#/reason")
    monkeypatch.setattr(views, "EnrollmentSerializer", PassedSerializer)
    assert client.get("/api/v1/enrollments/4/").json()["passed"] is True


def test_the_comparison_sees_each_kind_of_break() -> None:
    def api(required: list[str], kind: str | list[str] = "integer", name: str = "Course") -> dict[str, Any]:
        schema = {"properties": {"seats": {"type": kind}}, "required": required}
        return {"paths": {"/courses/": {"get": {}}}, "components": {"schemas": {name: schema}}}

    old = api(["seats"])
    assert list(breaks(old, old)) == []
    assert list(breaks(old, api(["seats"], "string"))) == ["Course.seats was integer, is string"]
    assert list(breaks(old, api(["seats"], ["integer", "null"]))) == [
        "Course.seats was integer, is ['integer', 'null']"
    ]
    assert list(breaks(old, api([]))) == ["Course.seats may be missing"]
    assert list(breaks(api([]), old)) == []  # an answer that promises more
    assert list(breaks(api([], name="CourseRequest"), api(["seats"], name="CourseRequest"))) == [
        "CourseRequest.seats must be sent"
    ]
    assert list(breaks(old, {**old, "paths": {}})) == ["GET /courses/ is gone"]
    assert list(breaks(old, api(["seats"], "string", name="Class"))) == []  # the page says so: a new name hides it


# What this repository asks of a contribution


def test_the_paragraph_about_commits(record: Recorder) -> None:
    [paragraph] = [part for part in read("CONTRIBUTING.md").split("\n\n") if part.startswith("Commit in small steps")]
    record("collaboration_commits.txt", paragraph.replace(". ", ".\n"))


def test_the_template_asks_what_the_guide_explains() -> None:
    template, guide = read(".github/pull_request_template.md"), read("CONTRIBUTING.md")
    boxes = re.findall(r"(?m)^- \[ \] (.+)$", template)
    assert len(boxes) == 3
    assert "source" in boxes[0]
    assert "A fact stands with its source" in guide
    assert "nothing shown as output was typed by hand" in boxes[1]
    assert "make check" in boxes[2]
    assert "before a pull request" in guide


# --8<-- [start:commands]
@pytest.mark.parametrize("path", ["CONTRIBUTING.md", "README.md", ".github/pull_request_template.md"])
def test_each_command_that_people_are_told_exists(path: str) -> None:
    assert "check" in told(read(path))
    assert unknown_commands(read(path), read("Makefile")) == set()


# --8<-- [end:commands]


def test_a_command_that_does_not_exist_is_found() -> None:
    assert unknown_commands("First `make tests`, then `make check`.", read("Makefile")) == {"tests"}
