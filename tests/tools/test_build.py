"""Each mistake of an author gives one message, with file, line and mend."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.tools.conftest import Copy

PAGE = "docs/concepts/caching/index.md"

pytestmark = pytest.mark.slow


@dataclass
class Mistake:
    """An edit that an author might make, and what the message must say of it.

    ``place`` is a text of the line that the message must point at, or empty for line 1.
    """

    name: str
    path: str
    old: str
    new: str
    says: str
    place: str = ""
    blamed: str = ""


MISTAKES = [
    Mistake("broken link", PAGE, "", "\n[a](no-such-page.md)\n", "no-such-page.md leads to no file", "no-such-page"),
    Mistake("broken anchor", PAGE, "", "\n[a](#no-such-part)\n", "#no-such-part names a section", "no-such-part"),
    Mistake(
        "broken anchor elsewhere",
        PAGE,
        "",
        "\n[a](../index.md#no-such-part)\n",
        "#no-such-part names a section",
        "no-such-part",
    ),
    Mistake("absolute link", PAGE, "", "\n[a](/about/)\n", "/about/ starts at the root", "(/about/)"),
    Mistake("missing image", PAGE, "", "\n![A tree](tree.png)\n", "tree.png leads to no file", "tree.png"),
    Mistake("missing snippet", PAGE, "", '\n--8<-- "lab/no/file.py"\n', "quoted lab/no/file.py", "lab/no/file.py"),
    Mistake(
        "missing snippet section",
        PAGE,
        "",
        '\n--8<-- "Makefile:no-section"\n',
        "quoted no-section does not exist",
        "no-section",
    ),
    Mistake("front matter", PAGE, "title: Caching", "title: Caching: all", "front matter does not parse", "title:"),
    Mistake("no front matter", PAGE, "---\ntitle", "title", "no front matter"),
    Mistake("no description", PAGE, "description: ", "summary: ", "has no description"),
    Mistake("duplicate title", PAGE, "title: Caching", "title: Glossary", "has the same title", "title:"),
    Mistake("image without text", PAGE, "", "\n![](x.png)\n", "x.png has no alternative text", "x.png"),
    Mistake(
        "img without text",
        PAGE,
        "",
        '\n<img src="x.png">\n',
        "<img> has no alt attribute",
        "<img",
    ),
    Mistake(
        "third-party image",
        PAGE,
        "",
        "\n![A badge](https://example.com/badge.svg)\n",
        "https://example.com/badge.svg would be fetched",
        "badge.svg",
    ),
    Mistake(
        "third-party image by reference",
        PAGE,
        "",
        "\n![A badge][badge]\n\n[badge]: https://example.com/badge.svg\n",
        "https://example.com/badge.svg would be fetched",
        "[badge]: https",
    ),
    Mistake(
        "image by reference without text", PAGE, "", "\n![][x]\n\n[x]: x.png\n", "has no alternative text", "![][x]"
    ),
    Mistake(
        "link that begins like another", PAGE, "", "\n[a](../index.md)\n\n[b](../ind)\n", "../ind leads to", "../ind)"
    ),
    Mistake("broken link in a table", PAGE, "", "\n| a |\n| --- |\n| [a](gone.md) |\n", "gone.md leads to", "gone.md"),
    Mistake(
        "setting given twice", "mkdocs.yml", "\nwatch:", "\ncopyright: x\nwatch:", "`copyright` stands", "copyright: x"
    ),
    Mistake(
        "third-party script",
        PAGE,
        "",
        '\n<script src="//cdn.example.com/x.js"></script>\n',
        "//cdn.example.com/x.js would be fetched",
        "cdn.example.com",
    ),
    Mistake(
        "third-party script in the configuration",
        "mkdocs.yml",
        "extra_css:\n",
        "extra_css:\n  - https://example.com/x.css\n",
        "https://example.com/x.css would be fetched",
        "example.com",
    ),
    Mistake(
        "third-party font in the styles",
        "overrides/assets/nexus.css",
        "",
        "\n@import url(https://example.com/font.css);\n",
        "https://example.com/font.css would be fetched",
        "example.com",
    ),
    Mistake(
        "page outside the navigation",
        "mkdocs.yml",
        "          - concepts/caching/index.md\n",
        "",
        "no navigation entry",
        blamed=PAGE,
    ),
    Mistake(
        "navigation entry without page",
        "mkdocs.yml",
        "  - About:\n",
        "  - Gone: concepts/gone.md\n  - About:\n",
        "concepts/gone.md, and there is no such page",
        "gone.md",
    ),
    Mistake("unknown setting", "mkdocs.yml", "site_name:", "site_color: x\nsite_name:", "`site_color`", "site_color:"),
    Mistake("wrong type", "mkdocs.yml", "watch:\n", "strict: perhaps\nwatch:\n", "`strict`", "strict: perhaps"),
    Mistake(
        "unknown plugin",
        "mkdocs.yml",
        "plugins:\n",
        "plugins:\n  - no-such-plugin\n",
        "no-such-plugin",
        "no-such-plugin",
    ),
    Mistake(
        "unknown extension", "mkdocs.yml", "  - abbr\n", "  - abbr\n  - no_such_ext\n", "no_such_ext", "no_such_ext"
    ),
    Mistake(
        "template that does not parse",
        "overrides/main.html",
        "{% endblock %}",
        "{% endblok %}",
        "the template does not parse",
        "{% endblok %}",
    ),
    Mistake("YAML that does not parse", "mkdocs.yml", "watch:\n", "watch: [\n", "mkdocs.yml", ""),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_gives_one_message_with_place_and_mend(copy: Copy, mistake: Mistake) -> None:
    copy.edit(mistake.path, mistake.old, mistake.new)
    run = copy.build("--check")
    assert run.returncode == 1
    assert "Traceback" not in run.stdout + run.stderr
    message = run.stderr.strip().split("\n")
    assert len(message) == 2, run.stderr
    blamed = mistake.blamed or mistake.path
    place = re.match(rf"{re.escape(blamed)}:(\d+): ", message[0])
    assert place, run.stderr
    assert mistake.says in message[0]
    assert re.match(r"    Mend: \w+", message[1])
    if mistake.place:
        assert int(place[1]) == copy.line_of(blamed, mistake.place)


def test_a_missing_configuration_is_named(copy: Copy) -> None:
    (copy.root / "mkdocs.yml").unlink()
    run = copy.build("--check")
    assert run.returncode == 1
    what, mend = run.stderr.splitlines()
    assert what == "mkdocs.yml:1: the file cannot be read: No such file or directory"
    assert mend == "    Mend: bring it back: git checkout mkdocs.yml"


@pytest.mark.parametrize("how", ["windows line ends", "byte order mark"])
def test_other_editors_files_are_welcome(copy: Copy, how: str) -> None:
    page = copy.root / PAGE
    data = page.read_bytes()
    page.write_bytes(data.replace(b"\n", b"\r\n") if how == "windows line ends" else b"\xef\xbb\xbf" + data)
    assert copy.build("--check").returncode == 0


def test_an_override_in_another_encoding_is_named_with_its_line(copy: Copy) -> None:
    style = copy.root / "overrides/assets/nexus.css"
    style.write_bytes(b"/* one */\n/* \xe9 */\n" + style.read_bytes())
    run = copy.build("--check")
    assert run.stderr.startswith("overrides/assets/nexus.css:2: this line is not UTF-8\n")


def test_a_page_with_a_space_in_its_name_is_named(copy: Copy) -> None:
    text = (
        (copy.root / PAGE).read_text(encoding="utf-8").replace("Caching", "Other").replace("The map", "Other: the map")
    )
    (copy.root / "docs" / "a page.md").write_text(text.replace("description: Other:", "description: Other,"))
    run = copy.build("--check")
    assert "docs/a page.md:1: no navigation entry leads to this page" in run.stderr


def test_two_mistakes_give_two_messages_in_order(copy: Copy) -> None:
    copy.edit(PAGE, "", "\n[a](one.md)\n\n[b](two.md)\n")
    run = copy.build("--check")
    assert [line for line in run.stderr.splitlines() if "leads to no file" in line] == [
        line for line in run.stderr.splitlines() if not line.startswith("    Mend")
    ]
    assert run.stderr.index("one.md") < run.stderr.index("two.md")


def test_make_check_shows_the_message_and_stops(copy: Copy) -> None:
    copy.edit(PAGE, "", "\n[a](no-such-page.md)\n")
    run = copy.run("make", "check")
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 2, run.stderr
    assert f"{PAGE}:" in lines[0]


def test_links_in_code_are_left_alone(copy: Copy) -> None:
    copy.edit(PAGE, "", '\n`![](https://example.com/x.png)`\n\n```json\n"![](https://example.com/y.png)"\n```\n')
    assert copy.build("--check").returncode == 0


def test_a_failed_build_leaves_the_good_site(copy: Copy) -> None:
    assert copy.build().returncode == 0
    good = (copy.root / "site" / "index.html").read_bytes()
    copy.edit(PAGE, "", "\n[a](no-such-page.md)\n")
    assert copy.build().returncode == 1
    assert (copy.root / "site" / "index.html").read_bytes() == good
    assert not list(copy.root.glob(".site-*"))


def test_check_keeps_nothing(copy: Copy) -> None:
    before = {path.name for path in copy.root.iterdir()}
    assert copy.build("--check").returncode == 0
    assert {path.name for path in copy.root.iterdir()} == before
