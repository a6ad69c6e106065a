"""Draw a diagram from Graphviz source as SVG that stands inside a page.

The picture takes its text color and font from the page, tells a screen reader what it shows, and
comes out the same on every machine: Graphviz runs as WebAssembly with font widths of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from scripts.pages import ROOT

# Wider pictures scroll sideways in a page; below this part of their width they scroll instead of shrinking.
WIDEST = 640
SMALLEST_SCALE = 0.8
SMALLEST_TEXT = 12
ROOM_ON_A_PHONE = 288  # what 320 pixels leave for a picture
TEXT = 14

# What a color name in the source becomes. The page decides how the variables look.
COLORS = {
    "none": "none",
    "transparent": "none",
    "black": "currentColor",
    "gray": "var(--nx-quiet, currentColor)",
    "lightgray": "var(--nx-tint, none)",
    "green": "var(--nx-series-1, currentColor)",
    "orange": "var(--nx-series-2, currentColor)",
    "blue": "var(--nx-series-3, currentColor)",
    "purple": "var(--nx-series-4, currentColor)",
}
FONTS = {"DejaVu Sans": None, "Courier,monospace": "monospace"}  # None: the font of the page
SHAPES = {"g", "path", "polygon", "polyline", "ellipse", "text"}
UPRIGHT = "scale(1 1) rotate(0) "
LEFT_OUT = {"id", "class", "{http://www.w3.org/XML/1998/namespace}space"}


def picture(body: str, width: float, height: float, *, title: str, description: str) -> str:
    """Return shapes and text as one SVG element with a name, a description and a natural size.

    Args:
        body: The elements of the picture.
        width: The natural width in pixels, at which text has its full size.
        height: The natural height in pixels.
        title: What the picture is called; no other picture of a page may have the same.
        description: What it shows, for who does not see it.

    Raises:
        ValueError: The title or the description is empty, or the picture is too wide.
    """
    name = "nx-" + re.sub(r"\W+", "-", title.casefold()).strip("-")
    if name == "nx-" or not description.strip():
        raise ValueError("a picture needs a title and a description")
    if width > WIDEST:
        raise ValueError(f"the picture is {width:g} pixels wide, more than {WIDEST}: set it from top to bottom")
    least = round(width * SMALLEST_SCALE)
    # What scrolls must be reachable by keyboard.
    focus = ' tabindex="0"' if least > ROOM_ON_A_PHONE else ""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"{focus}'
            f' aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
            f' style="width: 100%; min-width: {least}px; max-width: {width:g}px"'
            f' fill="currentColor" font-family="sans-serif" font-size="{TEXT}">',
            f'<title id="{name}-title">{escape(" ".join(title.split()))}</title>',
            f'<desc id="{name}-desc">{escape(" ".join(description.split()))}</desc>',
            body.strip(),
            "</svg>\n",
        ]
    )


def cleaned(element: ElementTree.Element) -> str:
    """Return an element of Graphviz's SVG without what a page has no use for.

    Raises:
        ValueError: It is a kind of element, a color, a font or a text size that pictures do without.
    """
    tag = element.tag.partition("}")[2]
    if tag not in SHAPES:
        raise ValueError(f"a diagram holds no links, images or gradients: <{tag}>")
    attributes = []
    for name, value in element.attrib.items():
        if name in {"fill", "stroke"}:
            if value not in COLORS:
                raise ValueError(f"{value!r} is not a color of diagrams; these are: {', '.join(COLORS)}")
            if tag != "text" or value != "black":
                attributes.append((name, COLORS[value]))
        elif name == "font-family":
            if value not in FONTS:
                raise ValueError(f"{value!r} is not a font of diagrams: leave fontname out, or set it to Courier")
            if font := FONTS[value]:
                attributes.append((name, font))
        elif name == "font-size":
            if float(value) < SMALLEST_TEXT:
                raise ValueError(f"text of size {value} is too small to read; {SMALLEST_TEXT} is the least")
            if float(value) != TEXT:
                attributes.append((name, f"{float(value):g}"))
        elif name == "transform":
            if not value.startswith(UPRIGHT):
                raise ValueError("a diagram is drawn at its own size: leave size, ratio and rotate out")
            attributes.append((name, value.removeprefix(UPRIGHT)))
        elif name not in LEFT_OUT:
            attributes.append((name, value))
    start = "".join([tag, *(f' {name}="{escape(value)}"' for name, value in attributes)])
    if tag == "text":
        # Spaces at the ends keep a label off its line; the page would swallow them.
        text = re.sub(r"^ +| +$", lambda spaces: "\N{NO-BREAK SPACE}" * len(spaces[0]), element.text or "")
        return f"<{start}>{escape(text)}</{tag}>"
    inside = join(element)
    if tag == "g":
        # A group matters for where it puts its content, and for nothing else.
        return f"<{start}>\n{inside}\n</g>" if attributes and inside else inside
    return f"<{start}/>"


def join(element: ElementTree.Element) -> str:
    """Return what an element holds; the names of boxes and arrows would be tooltips that say what is seen."""
    parts = [cleaned(child) for child in element if not child.tag.endswith("}title")]
    return "\n".join(part for part in parts if part)  # a page ends a piece of HTML at a blank line


def draw(dot: str, *, title: str, description: str) -> str:
    """Return a diagram in Graphviz's language as SVG.

    Boxes and arrows are black in the source and take the page's text color; the other colors are
    the names in ``COLORS``. Boxes are the default shape, arrows go from top to bottom.

    Raises:
        ValueError: Graphviz does not understand the source, or it asks for what pictures do without.
    """
    run = subprocess.run(
        [Path(sys.executable).with_name("node"), ROOT / "scripts/draw.mjs"],
        input=dot,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if run.returncode:
        raise ValueError(f"Graphviz: {run.stderr.strip()}")
    root = ElementTree.fromstring(run.stdout)  # noqa: S314  # our own source, drawn a moment ago
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    return picture(join(root), width, height, title=title, description=description)
