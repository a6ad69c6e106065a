"""What authors may use on a page works in the browser, whether a page uses it today or not."""

from __future__ import annotations

import functools
import re
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.site.conftest import Handler, Visit
from tests.tools.conftest import Copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PAGE = """---
title: A page with everything
description: A page that exists in a test alone, and that uses every feature an author may use on a page of this site.
---

# A page with everything

A sentence with a footnote[^1], the keys ++ctrl+k++ and an API.

[^1]: The text of the footnote.

=== "PostgreSQL"

    ```python
    port = 5432
    ```

=== "MySQL"

    ```python
    port = 3306
    ```

A second group of tabs:

=== "PostgreSQL"

    Five thousand

=== "MySQL"

    Three thousand

```python
x = 1  # (1)!
```

1.  The text of the annotation.

```console
$ echo one \\
    two
one two
$ cd /tmp
```

```pycon
>>> 1 / 0
Traceback (most recent call last):
  ...
ZeroDivisionError: division by zero
>>> for letter in "ab":
...     if letter == "a":
...         print("a")
...
...     print("-")
a
-
-
>>> "$ 5"
'$ 5'
```

!!! note

    The text of the note.

??? question "A question"

    The text of the answer.

| Left | Right |
| --- | --- |
| one | two |
"""


LOOP = """for letter in "ab":
    if letter == "a":
        print("a")

    print("-")"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Visit]:
    """A window on a page with everything."""
    root = tmp_path_factory.mktemp("features") / "project"
    root.mkdir()
    copy = Copy(root).shorten()
    (root / "docs" / "everything.md").write_text(PAGE, encoding="utf-8")
    copy.edit("mkdocs.yml", "  - Home: index.md\n", "  - Home: index.md\n  - Everything: everything.md\n")
    run = copy.build()
    assert run.returncode == 0, run.stderr
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root / "site"))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        window = Visit(browser, f"http://127.0.0.1:{server.server_address[1]}/", reduced_motion="reduce")
        window.page.goto("everything/", wait_until="networkidle")
        yield window
        window.context.close()
        server.shutdown()
    window.check()


def test_tabs_with_one_name_change_together(page: Visit) -> None:
    expect(page.page.get_by_text("Five thousand")).to_be_visible()
    page.page.locator(".tabbed-labels label", has_text="MySQL").first.click()
    expect(page.page.get_by_text("Three thousand")).to_be_visible()
    expect(page.page.get_by_text("Five thousand")).to_be_hidden()


def test_an_annotation_opens(page: Visit) -> None:
    page.page.locator(".md-annotation__index").click()
    expect(page.page.get_by_text("The text of the annotation.")).to_be_visible()
    page.page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("block", "copied"),
    [(".language-console", "echo one \\\n    two\ncd /tmp"), (".language-pycon", "1 / 0\n" + LOOP + '\n\n"$ 5"')],
)
def test_copying_a_session_leaves_out_prompts_and_output(page: Visit, block: str, copied: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.page.locator(f"{block} [data-md-type=copy]").click()
    expect(page.page.locator(".md-dialog--active")).to_be_visible()
    assert page.page.evaluate("navigator.clipboard.readText()") == copied
    expect(page.page.locator(".md-dialog--active")).to_be_hidden()


def test_a_footnote_and_a_term_explain_themselves(page: Visit) -> None:
    page.page.locator(".footnote-ref").hover()
    expect(page.page.locator(".md-tooltip2", has_text="The text of the footnote.")).to_be_visible()
    page.page.locator("article abbr", has_text="API").hover()
    expect(page.page.locator(".md-tooltip2", has_text="Application programming interface")).to_be_visible()


def test_an_answer_is_hidden_until_it_is_asked_for(page: Visit) -> None:
    expect(page.page.get_by_text("The text of the answer.")).to_be_hidden()
    page.page.get_by_text("A question").click()
    expect(page.page.get_by_text("The text of the answer.")).to_be_visible()


def test_headings_have_permalinks_and_the_top_is_one_click_away(page: Visit) -> None:
    expect(page.page.locator("h1 .headerlink")).to_have_attribute("href", re.compile("#a-page-with-everything$"))
    page.page.set_viewport_size({"width": 800, "height": 300})
    page.page.mouse.wheel(0, 900)
    page.page.wait_for_timeout(300)
    page.page.mouse.wheel(0, -100)
    expect(page.page.get_by_role("button", name="Back to top")).to_be_visible()


def test_previous_and_next_pages_are_linked(page: Visit) -> None:
    expect(page.page.locator(".md-footer__link--prev")).to_have_attribute("aria-label", "Previous: Home")
    expect(page.page.locator(".md-footer__link--next")).to_have_attribute("aria-label", "Next: Technologies")
