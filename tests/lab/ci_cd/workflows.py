"""Run the steps of a GitHub workflow here: each script rendered as GitHub does, in the shell it would have.

What is not here: machines, containers, the actions of ``uses:``, ``if:`` and the commands of a log. A
program that needs the network or a cloud is replaced by one that says so and does nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXAMPLES = ROOT / "lab/ci_cd/workflows"
OWN = ROOT / ".github/workflows"
BIN = Path(sys.executable).parent
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
# What GitHub starts for a step on Linux: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
SHELLS = {"": ("bash", "-e"), "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail")}
STANDS_IN = '#!/bin/sh\necho "(stands in for) ${0##*/} $*"\n'


@dataclass(frozen=True)
class Step:
    """A step with a script, and what its workflow and its job set for it."""

    workflow: str
    job: str
    number: int
    script: str
    shell: str
    env: Mapping[str, str]

    @property
    def place(self) -> str:
        """The name of the step in a message."""
        return f"{self.workflow}:{self.job}:{self.number}"


def content(path: Path) -> dict[str, Any]:
    """Return a workflow as GitHub reads it: in YAML 1.2, ``on`` is a text."""
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if True in found:
        found["on"] = found.pop(True)
    return found


def steps(path: Path) -> Iterator[Step]:
    """Yield each step of a workflow, or of an action, that has a script."""
    workflow = content(path)
    jobs = workflow.get("jobs") or {"": workflow["runs"]}
    for name, job in jobs.items():
        shell = workflow.get("defaults", {}).get("run", {}).get("shell", "")
        shell = job.get("defaults", {}).get("run", {}).get("shell", shell)
        for number, step in enumerate(job.get("steps", ()), 1):
            if "run" in step:
                env = {**workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                yield Step(path.name, name, number, step["run"], step.get("shell", shell), env)


def value(expression: str, context: Mapping[str, Any]) -> Any:
    """Return what an expression is in a context: a path, a text, ``a || b``, or ``toJSON(path)``.

    Raises:
        LookupError: The context has no such value. GitHub would go on with an empty text.
    """
    if "||" in expression:
        parts = [part.strip() for part in expression.split("||")]
        return next((found for part in parts[:-1] if (found := value(part, context))), value(parts[-1], context))
    if call := re.fullmatch(r"toJSON\((.*)\)", expression):
        return json.dumps(value(call[1], context), indent=2)
    if re.fullmatch(r"'[^']*'", expression):
        return expression[1:-1]
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", expression):
        raise LookupError(f"nothing here evaluates {expression!r}")
    at: Any = context
    for name in expression.split("."):
        at = at[name]
    return at


def render(text: str, context: Mapping[str, Any]) -> str:
    """Return a text of a workflow with the value of each expression put in its place, as it stands."""
    return EXPRESSION.sub(lambda match: str(value(match[1], context)), text)


def stand_ins(folder: Path, *names: str) -> Path:
    """Make programs that say what they were asked to do, and return the folder to put before PATH."""
    folder.mkdir(exist_ok=True)
    for name in names:
        program = folder / name
        program.write_text(STANDS_IN, encoding="utf-8")
        program.chmod(0o755)
    return folder


def run(
    step: Step,
    folder: Path,
    context: Mapping[str, Any] | None = None,
    *,
    replaced: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a step's script in a folder, and return what it printed and its exit status.

    Args:
        step: The step.
        folder: Where it runs.
        context: What its expressions are looked up in.
        replaced: The programs that stand in for others.
        env: Variables that take the place of the step's own, such as the address of a test server.
    """
    context = context or {}
    script = folder / ".script"
    script.write_text(render(step.script, context), encoding="utf-8")
    known = {name: os.environ[name] for name in ("LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(
        [*SHELLS[step.shell], str(script)],
        cwd=folder,
        env={
            **known,
            "HOME": str(folder),
            "PATH": os.pathsep.join(
                str(part) for part in (replaced, BIN, "/usr/local/bin", "/usr/bin", "/bin") if part
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: render(str(text), context) for name, text in step.env.items()},
            **(env or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def zizmor(*paths: Path, format_: str = "json") -> list[str]:
    """Return the names of zizmor's findings in these files, the fussy ones included."""
    done = subprocess.run(
        [str(BIN / "zizmor"), "--offline", "--quiet", "--persona", "pedantic", "--format", format_, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    return sorted(finding["ident"] for finding in json.loads(done.stdout) if not finding["ignored"])
