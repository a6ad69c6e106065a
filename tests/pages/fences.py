"""A pytest plugin that proves every fenced block in ``docs/``.

Each block becomes one test item, named by page and line. Its language says how it is proven; a
block in a language without a proof fails. Blocks of one page run in order and share their names.

    python      runs
    pycon       runs, and what it prints must be what the page shows (... stands for any text)
    console     the lines after $ run in bash in an empty folder of the page; a command with
                output below it must print that, one without must succeed
    json yaml toml graphql      parses; a known file name in title="…" is held to its schema
    dockerfile  passes hadolint

A block that quotes a file (--8<--) is proven by what tests the file: see scripts/proof.py.
"""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphql
import pytest
import yaml
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator, OutputChecker
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from scripts.pages import ROOT
from scripts.proof import QUOTE
from tests.pages.project import PageProject
from tests.recording import shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import DjangoDbBlocker

FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF
SCHEMAS = {
    "compose.yaml": "vendor.compose-spec",
    ".github/workflows/": "vendor.github-workflows",
    ".github/dependabot.yml": "vendor.dependabot",
}

run_python = PythonEvaluator()
run_session = DocTestEvaluator(FLAGS)
fences = RawFencedCodeBlockLexer(re.compile(r"[ ]*(?P<language>[\w+-]*)(?P<options>[^\n]*)\n"))


def project_of(example: Example) -> PageProject:
    """Return the project that the samples of the example's page share."""
    project = example.namespace["project"]
    assert isinstance(project, PageProject)
    return project


def in_project(evaluator: Callable[[Example], str | None]) -> Callable[[Example], str | None]:
    """Return ``evaluator``, made to run in the namespace of the page's project."""

    def evaluate(example: Example) -> str | None:
        project, shared = project_of(example), example.namespace
        example.namespace = project.namespace
        try:
            result = evaluator(example)
            project.settle()
        finally:
            example.namespace = shared
        return result

    return evaluate


def run_console(example: Example) -> str | None:
    """Run the commands of a console block; return what differs from the page, if anything does."""
    if not example.parsed.startswith("$ "):
        return "the first line of a console block is a command after $"
    wanted = list(shell.commands(example.parsed))
    try:
        results = shell.run([command for command, _ in wanted], Path(example.namespace["folder"].name))
    except ValueError as error:
        return str(error)
    for (command, shown), (got, status) in zip(wanted, results, strict=True):
        if shown:
            if not OutputChecker().check_output(shown + "\n", got + "\n", FLAGS):
                return f"$ {command}prints\n{got}\nand the page shows\n{shown}"
        elif status:
            return f"$ {command}ends with status {status} and prints\n{got}"
    return None


def parse(language: str) -> Callable[[Example], str | None]:
    """Return an evaluator that parses a block in a data language, and holds it to a schema."""
    parsers: dict[str, Callable[[str], Any]] = {
        "json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads, "graphql": graphql.parse,
    }  # fmt: skip

    def evaluate(example: Example) -> str | None:
        try:
            parsers[language](str(example.parsed))
        except (ValueError, yaml.YAMLError, graphql.GraphQLError) as error:
            return f"this is not {language}: {error}"
        title = re.search(r'title="([^"]+)"', example.region.lexemes["options"])
        schema = next((SCHEMAS[name] for name in SCHEMAS if title and title[1].startswith(name)), None)
        if schema:
            return checked(example, ["check-jsonschema", "--builtin-schema", schema], f"block.{language}")
        return None

    return evaluate


def lint_dockerfile(example: Example) -> str | None:
    """Return what hadolint has to say of a Dockerfile."""
    return checked(example, ["hadolint", "--no-color"], "Dockerfile")


def checked(example: Example, command: list[str], name: str) -> str | None:
    """Write the block to a file, run a checker on it, and return its findings."""
    file = Path(example.namespace["folder"].name) / name
    file.write_text(str(example.parsed), encoding="utf-8")
    run = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:], str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return (run.stdout + run.stderr) if run.returncode else None


def skipped(example: Example) -> str:
    """Refuse a session that asks not to be run."""
    return f"{example.path}:{example.line}: +SKIP would leave this session unproven; show one that runs"


def is_session(text: str) -> bool:
    """Say whether a text is statements and what they print, and nothing that a doctest would pass over."""
    try:
        parts = doctest.DocTestParser().parse(text)
    except ValueError:
        return False
    return not any(isinstance(part, str) and part.strip() for part in parts)


def loose(example: Example) -> str:
    """Refuse a session with text that would not be compared."""
    return (
        f"{example.path}:{example.line}: a session starts with >>> and a space, and a blank line ends what a statement "
        "printed; write <BLANKLINE> for a blank line in it"
    )


def unproven(example: Example) -> str:
    """Refuse a block that nothing proves."""
    language = example.region.lexemes["language"] or "no language"
    return f"{example.path}:{example.line}: nothing proves a block in {language}; use one of {', '.join(EVALUATORS)}"


EVALUATORS: dict[str, Callable[[Example], str | None]] = {
    "python": in_project(run_python),
    "pycon": in_project(run_session),  # example by example: see regions()
    "console": run_console,
    "dockerfile": lint_dockerfile,
    **{language: parse(language) for language in ("json", "yaml", "toml", "graphql")},
}


def regions(document: Document) -> Iterator[Region]:
    """Yield every fenced block of a page, with what proves it."""
    for region in fences(document):
        source = region.lexemes["source"]
        language = region.lexemes["language"]
        if QUOTE.search(source):
            continue
        if language == "pycon" and "+SKIP" not in source and is_session(source):
            for part in DocTestStringParser(in_project(run_session))(source, document.path):  # type: ignore[arg-type]
                part.adjust(region, source)
                yield part
            continue
        region.parsed = source
        refused = skipped if "+SKIP" in source else loose
        region.evaluator = refused if language == "pycon" else EVALUATORS.get(language, unproven)
        yield region


def set_up(namespace: dict[str, Any]) -> None:
    """Give a page its project and its empty folder."""
    namespace["project"] = PageProject()
    namespace["folder"] = tempfile.TemporaryDirectory(prefix="nexus-page-")


def tear_down(namespace: dict[str, Any]) -> None:
    """Take both away again."""
    namespace.pop("project").close()
    namespace.pop("folder").cleanup()


@pytest.fixture(scope="session")
def tables(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Make the lab's tables, if pytest-django has not: it looks for tests in functions, not for pages."""
    from django.core.management import call_command
    from django.db import connection

    if connection.settings_dict["NAME"] == ":memory:":
        with django_db_blocker.unblock():
            call_command("migrate", verbosity=0)


@pytest.fixture
def page_database(tables: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the samples on a page use the test database, whose rows the page's other samples see."""
    PageProject.unblock = django_db_blocker.unblock
    with django_db_blocker.unblock():
        yield


pytest_collect_file = Sybil(
    parsers=[regions],
    path=str(ROOT / "docs"),
    pattern="*.md",
    setup=set_up,
    teardown=tear_down,
    fixtures=["page_database"],
).pytest()
