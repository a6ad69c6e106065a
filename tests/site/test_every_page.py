"""Every page as a reader meets it: in both color schemes, on a wide screen and on a narrow one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults

from scripts.pages import ROOT
from tests.site.conftest import Visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PATHS = sorted(
    re.sub(r"(^|/)index$", r"\1", file.relative_to(ROOT / "docs").with_suffix("").as_posix()).rstrip("/") + "/"
    for file in (ROOT / "docs").rglob("*.md")
)
PATHS = ["" if path == "/" else path for path in PATHS] + ["404.html"]

# One load of a page is looked at in this order. The body's attribute names what the theme shows.
SCHEMES: dict[Literal["light", "dark"], str] = {"light": "default", "dark": "slate"}
LOOKS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 1280), ("dark", 320), ("light", 320)]

# Contrast takes most of axe's time, and most of it goes to code. Tokens that have the same classes and styles, on the
# same ground, have the same contrast: three stand for all of them, here and on the pages that follow in this window.
# Axe leaves out single characters and signs, so those stand for nothing else.
AXE = """([context, options]) => {
    const looks = new Map()
    const seen = JSON.parse(sessionStorage.getItem("seen") ?? "{}")
    for (const code of document.querySelectorAll("pre code")) {
        const ground = [getComputedStyle(code).backgroundColor, code.closest(".admonition, details")?.className]
        for (const token of code.querySelectorAll("span")) {
            const { color, backgroundColor, fontSize, fontWeight, opacity } = getComputedStyle(token)
            const text = token.textContent.trim()
            const parts = [token.className, text.length < 2, /\\w\\w/.test(text)]
            const style = [color, backgroundColor, fontSize, fontWeight, opacity]
            const look = [looks.get(token.parentElement) ?? ground, ...parts, ...style].join("|")
            looks.set(token, look)
            seen[look] = (seen[look] || 0) + 1
            token.toggleAttribute("data-seen", seen[look] > 3)
        }
    }
    sessionStorage.setItem("seen", JSON.stringify(seen))
    axe.configure({ rules: [{ id: "color-contrast", selector: ":not([data-seen])" }] })
    return axe.run(context, { resultTypes: ["violations"], ...options }).then(({ violations }) => ({ violations }))
}"""

# What stands around the article is the same on the pages of a section: it is looked at on their maps alone.
MAPS = {"404.html"} | {path for path in PATHS if (ROOT / "docs" / path / "index.md").exists()}
FRAME = [".md-header", ".md-tabs", ".md-sidebar", ".md-footer"]

# The other rules see the same page in the second scheme. The enhanced contrast is off unless its tag is named.
COLORS = {"runOnly": ["cat.color"], "rules": {"color-contrast-enhanced": {"enabled": False}}}

WIDE = """() => [
    ...(document.documentElement.scrollWidth > 320 ? ["the page scrolls sideways"] : []),
    ...[...document.querySelectorAll("article *")]
        .filter((node) => node.getBoundingClientRect().right > 321)
        .filter((node) => !node.closest("pre, .md-typeset__scrollwrap, .nx-figure, .tabbed-labels, [hidden]"))
        .map((node) => node.outerHTML.slice(0, 80)),
]"""


@pytest.fixture(scope="module")
def tour(browser: Browser, address: str) -> Iterator[Visit]:
    """A window for a look at every page."""
    window = Visit(browser, address)
    yield window
    window.context.close()


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_and_nothing_overflows(tour: Visit, path: str) -> None:
    page, faults = tour.page, []
    tour.forget()
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900 if width > 320 else 640})
        if (scheme, width) == LOOKS[0]:
            page.goto(path, wait_until="load")
            page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
            page.evaluate(AXE_SCRIPT)
        page.wait_for_function("name => document.body.dataset.mdColorScheme === name", arg=SCHEMES[scheme])
        page.wait_for_timeout(50)
        page.evaluate("document.getAnimations().forEach((part) => part instanceof CSSTransition && part.finish())")
        if width > 320:
            context = {"exclude": [] if path in MAPS else FRAME}
            findings = AxeResults(page.evaluate(AXE, [context, {} if scheme == "light" else COLORS]))
            found = [findings.generate_report()] if findings.violations_count else []
        else:
            found = page.evaluate(WIDE)
        faults += [f"{scheme}, {width} pixels: {fault}" for fault in found + tour.faults()]
        tour.forget()
    assert faults == [], "\n".join([path, *faults])
