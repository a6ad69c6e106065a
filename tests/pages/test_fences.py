"""A block that is wrong, or that nothing proves, is refused with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sybil import Sybil
from sybil.example import SybilFailure

from tests.pages.fences import regions, set_up, tear_down

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("page_database")


def prove(folder: Path, text: str) -> str:
    """Run the blocks of a page; return the first refusal, or an empty text."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    document = Sybil(parsers=[regions], path=str(folder)).parse(page)
    set_up(document.namespace)
    try:
        for example in document.examples():
            example.evaluate()
    except (SybilFailure, Exception) as failure:
        return f"{type(failure).__name__}: {failure}"
    finally:
        tear_down(document.namespace)
    return ""


GOOD = {
    "python": "x = 1",
    "pycon": ">>> 1 + 1\n2",
    "pycon with an error": ">>> 1 / 0\nTraceback (most recent call last):\n  ...\nZeroDivisionError: division by zero",
    "console": "$ echo one\none\n$ true",
    "json": '{"a": 1}',
    "yaml": "a: 1",
    "toml": "a = 1",
    "graphql": "{ courses { title } }",
    "dockerfile": 'FROM debian:trixie-slim\nUSER 1000\nCMD ["true"]',
}
BAD = {
    "python": "x = ",
    "python that fails": "assert 1 == 2",
    "pycon": ">>> 1 + 1\n3",
    "pycon without its output": ">>> 1 + 1",
    "pycon without its error": ">>> 1\nTraceback (most recent call last):\n  ...\nZeroDivisionError: division by zero",
    "console": "$ echo one\ntwo",
    "console that fails": "$ false",
    "console without a command": "one",
    "console that ends the shell": "$ exit 3\n$ echo two\nthree",
    "console that stops at errors": "$ set -e\n$ false\n$ true",
    "console with an open quote": "$ echo 'one\n$ echo two\nthree",
    "console that reads": "$ cat > file && test -s file\n$ true",
    "pycon that is skipped": ">>> 1 / 0  # doctest: +SKIP",
    "pycon without a statement": "3",
    "pycon with more than it prints": ">>> 1 + 1\n2\n\n3",
    "pycon without a space": ">>>1 + 1\n2",
    "console with text above": "one\n$ true",
    "json": '{"a": 1,}',
    "yaml": "a: [",
    "toml": "a = ",
    "graphql": "{ courses {",
    "dockerfile": "FROM debian:latest",
    "bash": "echo one",
    "": "nothing says what this is",
    'yaml title="compose.yaml"': "services: [web]",
    'yaml title=".github/workflows/x.yml"': "on: push\njobs: {a: {steps: []}}",
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_block_passes(tmp_path: Path, kind: str) -> None:
    assert prove(tmp_path, f"```{kind.split(' ')[0]}\n{GOOD[kind]}\n```\n") == ""


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_block_is_refused(tmp_path: Path, kind: str) -> None:
    info = kind if "=" in kind else kind.split(" ")[0]
    assert prove(tmp_path, f"# A page\n\n```{info}\n{BAD[kind]}\n```\n") != ""


def test_a_block_that_nothing_proves_is_named_with_file_and_line(tmp_path: Path) -> None:
    refusal = prove(tmp_path, "# A page\n\n```ruby\nputs 1\n```\n")
    assert f"{tmp_path / 'page.md'}:3: nothing proves a block in ruby" in refusal


def test_an_indented_block_is_proven_too(tmp_path: Path) -> None:
    assert prove(tmp_path, '??? question "Q"\n\n    ```pycon\n    >>> 1\n    2\n    ```\n') != ""


def test_blocks_of_a_page_share_their_names_and_pages_do_not(tmp_path: Path) -> None:
    assert prove(tmp_path, "```python\nx = 1\n```\n\n```pycon\n>>> x\n1\n```\n") == ""
    assert "NameError" in prove(tmp_path, "```python\ny = x\n```\n")


def test_models_and_routes_of_a_block_work_and_end_with_the_page(tmp_path: Path) -> None:
    model = """```python
from django.db import models
from django.http import HttpResponse
from django.urls import path

class Tag(models.Model):
    name = models.CharField(max_length=9, unique=True)

urlpatterns = [path("n/", lambda request: HttpResponse(str(Tag.objects.count())))]
```

```pycon
>>> from lab.academy.models import User
>>> tag, user = Tag.objects.create(name="sql"), User.objects.create_user("ama@example.com")
>>> from django.test import Client
>>> Client().get("/n/").content
b'1'
```
"""
    assert prove(tmp_path, model) == ""
    assert prove(tmp_path, model) == ""


def test_a_quoted_file_is_left_to_its_own_tests(tmp_path: Path) -> None:
    assert prove(tmp_path, '```python\n--8<-- "scripts/pages.py"\n```\n') == ""
