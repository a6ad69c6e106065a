"""A title that is a command, a workflow that trusts a stranger, and a token that a cloud checks."""

from __future__ import annotations

import datetime
import secrets
import shutil
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import yaml

from lab.ci_cd.permissions import AUDIENCE, ISSUER, SUBJECT, trust, wrong_trust
from tests.lab.ci_cd.workflows import EXAMPLES, OWN, content, render, run, stand_ins, steps, zizmor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

# --8<-- [start:title]
TITLE = 'Fix a typo"; echo "the deploy key is $DEPLOY_KEY'
# --8<-- [end:title]
CONTEXT = {"github": {"event": {"pull_request": {"title": TITLE}}}}
KEY = secrets.token_bytes(64)  # GitHub signs with RS256; here one secret signs and checks
NOW = datetime.datetime.now(datetime.UTC)


@pytest.mark.wrong("lab/ci_cd/workflows/wrong_title.yml:wrong_title")
def test_a_title_in_a_script_is_a_command(record: Recorder, tmp_path: Path) -> None:
    (hasty,) = steps(EXAMPLES / "wrong_title.yml")
    (careful,) = steps(EXAMPLES / "title.yml")
    text = []
    for step in (hasty, careful):
        done = run(step, tmp_path, CONTEXT, env={"DEPLOY_KEY": "s3cret"})
        assert done.returncode == 0
        script = render(step.script, CONTEXT).rstrip("\n").replace("\n", "\n  ")
        text.append(
            f"{step.workflow}\n  {script}\n\nprints\n  " + done.stdout.rstrip("\n").replace("\n", "\n  ") + "\n"
        )
    record("permissions_title.txt", "\n".join(text))
    assert "the deploy key is s3cret" in text[0]
    assert "s3cret" not in text[1]
    assert f"The title has {len(TITLE)} letters." in text[1]
    assert zizmor(EXAMPLES / "wrong_title.yml") == ["template-injection"]
    assert zizmor(EXAMPLES / "title.yml") == []


def test_the_careful_title_survives_what_a_shell_finds_special(tmp_path: Path) -> None:
    (step,) = steps(EXAMPLES / "title.yml")
    for title in ("$(touch stolen)", "`touch stolen`", "'; touch stolen; '", '"; touch stolen #', "a\ntouch stolen"):
        done = run(step, tmp_path, {"github": {"event": {"pull_request": {"title": title}}}})
        assert done.stdout == f"The title has {len(title)} letters.\n"
        assert not (tmp_path / "stolen").exists()


@pytest.mark.wrong("lab/ci_cd/workflows/wrong_target.yml:wrong_target")
def test_a_strangers_code_runs_beside_the_secrets(record: Recorder, shell: Callable[..., None], tmp_path: Path) -> None:
    """The Makefile of the pull request decides what `make build` does."""
    work = tmp_path / "checked-out"
    work.mkdir()
    (work / "Makefile").write_text("build:\n\t@echo 'a stranger reads' $$PREVIEW_KEY\n", encoding="utf-8")
    (step,) = steps(EXAMPLES / "wrong_target.yml")
    done = run(step, work, {"secrets": {"PREVIEW_KEY": "s3cret"}})
    assert done.stdout == "a stranger reads s3cret\n"
    shutil.copy(EXAMPLES / "wrong_target.yml", tmp_path)
    shell("permissions_target.console")


def test_the_label_job_has_one_right_and_uses_no_code_of_others(tmp_path: Path) -> None:
    workflow = content(EXAMPLES / "label.yml")
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"issues": "write"}
    assert not any("uses" in step for step in job["steps"])
    (step,) = steps(EXAMPLES / "label.yml")
    context = {"github": {"token": "a", "repository": "ama/academy", "event": {"issue": {"number": 7}}}}
    done = run(step, tmp_path, context, replaced=stand_ins(tmp_path / "bin", "gh"))
    assert done.stdout == "(stands in for) gh issue edit 7 --add-label to read\n"


def test_a_deployment_alone_may_write_and_only_from_the_default_branch() -> None:
    jobs = content(OWN / "publish.yml")["jobs"]
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert writing == {"deploy"}
    assert jobs["deploy"]["if"] == "github.ref_name == github.event.repository.default_branch"
    assert jobs["deploy"]["environment"]["name"] == "github-pages"
    assert not any("run" in step for step in jobs["deploy"]["steps"])


def signed(sub: str | None = SUBJECT, key: bytes = KEY, **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": sub,
        "iat": NOW,
        "exp": NOW + datetime.timedelta(hours=12),
        **changes,
    }
    return jwt.encode({name: text for name, text in claims.items() if text is not None}, key, "HS256")


REFUSED = {
    "a pull request": signed("repo:ama@1234/academy@5678:pull_request"),
    "another branch": signed("repo:ama@1234/academy@5678:ref:refs/heads/try"),
    "a repository that took over the name": signed("repo:ama@9999/academy@7777:environment:production"),
    "another audience": signed(aud="https://elsewhere.example.com"),
    "another issuer": signed(iss="https://example.com"),
    "yesterday's token": signed(exp=NOW - datetime.timedelta(days=1)),
    "a token without an end": signed(exp=None),
    "a token about nobody": signed(sub=None),
    "somebody else's signature": signed(key=secrets.token_bytes(64)),
}


@pytest.mark.parametrize("who", REFUSED)
def test_the_cloud_refuses(who: str) -> None:
    assert trust(signed(), KEY, ["HS256"])["sub"] == SUBJECT
    with pytest.raises(jwt.InvalidTokenError):
        trust(REFUSED[who], KEY, ["HS256"])


@pytest.mark.wrong("lab/ci_cd/permissions.py:wrong_trust")
def test_a_beginning_of_a_subject_lets_too_many_in(session: Callable[..., None]) -> None:
    def names(who: str) -> str:
        """Return the subject of a token."""
        return str(wrong_trust(REFUSED[who], KEY, ["HS256"])["sub"])

    assert names("a pull request").endswith(":pull_request")
    assert names("a repository that took over the name")
    with pytest.raises(jwt.InvalidTokenError):
        wrong_trust(signed("repo:kofi@1/academy@2:environment:production"), KEY, ["HS256"])
    stranger = signed("repo:amateur@31/academy@42:pull_request")
    session(
        "permissions_oidc.pycon",
        trust=lambda token: trust(token, KEY, ["HS256"]),
        wrong_trust=lambda token: wrong_trust(token, KEY, ["HS256"]),
        deployment=signed(),
        pull_request=REFUSED["a pull request"],
        stranger=stranger,
        signed=signed,
    )


def test_the_job_that_asks_for_a_token_has_an_environment_and_nothing_else() -> None:
    (job,) = content(EXAMPLES / "cloud.yml")["jobs"].values()
    assert job["environment"] == "production"
    assert job["permissions"] == {"id-token": "write"}
    assert "secrets." not in yaml.safe_dump(job)
