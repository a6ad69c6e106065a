"""Draw a measured series as a chart, and write the same numbers as a table.

Charts are drawn here and not by pygal: its pictures have random ids, fixed colors and a script,
take twice the bytes, and have neither dashes, marker shapes nor a logarithmic horizontal axis.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from dataclasses import asdict, dataclass, field
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

from tests.recording.diagram import TEXT, picture
from tests.recording.versions import machine

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 360  # what a phone has room for
RIGHT = WIDTH - 24  # where the plot ends; the last label of the axis needs the rest
HEIGHT = 200  # of the plot alone
LINE = 20  # from one line of text to the next
LONGEST = 38  # of a name that stands in one line, in letters
LETTER = 0.6 * TEXT  # the width of one, on the wide side
SMALL = 13
MOST_STEPS = 5  # between ticks

# Lines are told apart by color, dashes and markers. A marker is drawn from its center.
DASHES = ("none", "7 4", "2 3", "9 3 2 3")
MARKERS = ("m-4-4h8v8h-8z", "m0-5l5 9h-10z", "m0-5l5 5l-5 5l-5-5z", "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z")


def today() -> str:
    """Return the date of a measurement that is made now."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


@dataclass(frozen=True)
class Measurement:
    """Numbers that were measured once: lines over an axis, or a bar for each category.

    ``x`` and ``y`` say what is measured and in which unit; ``machine`` and ``date``, which is written
    2026-01-31, are those of now unless they are given.
    """

    title: str
    description: str
    x: str
    y: str
    machine: str = field(default_factory=machine, kw_only=True)
    versions: dict[str, str]
    date: str = field(default_factory=today, kw_only=True)
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False

    def __post_init__(self) -> None:
        if not self.description.strip():
            raise ValueError("a picture needs a title and a description")
        if bool(self.lines) == bool(self.bars) or len(self.lines) > len(DASHES):
            raise ValueError(f"a chart has either bars or one to {len(DASHES)} lines")
        if max(map(len, [self.x, *self.lines])) > LONGEST:
            raise ValueError(
                f"the names of lines and of the lower axis have at most {LONGEST} letters: lines do not wrap"
            )
        if not all(self.lines.values()) or not all(map(math.isfinite, self.numbers())):
            raise ValueError("every line has points, and every number is finite")
        if self.bars and (self.log_x or self.log_y or min(self.bars.values()) < 0):
            raise ValueError("bars begin at zero: they are not negative, and their axis is not logarithmic")

    def numbers(self) -> list[float]:
        """Return every number that was measured."""
        return [*self.bars.values(), *(value for points in self.lines.values() for point in points for value in point)]

    def caption(self) -> str:
        """Say when, where and with what it was measured."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"Measured {self.date} on {self.machine}; {versions}."

    def write(self, path: Path) -> None:
        """Write the numbers as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Measurement:
        """Read what ``write`` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values["lines"] = {name: [(x, y) for x, y in points] for name, points in values["lines"].items()}
        return cls(**values)


class Axis:
    """A straight or logarithmic scale from numbers to places in the picture, with its ticks."""

    def __init__(self, values: list[float], start: float, end: float, *, log: bool, zero: bool = False) -> None:
        self.start, self.end, self.log = start, end, log
        low, high = min(values), max(values)
        if log:
            if low <= 0:
                raise ValueError("a logarithmic axis has no place for zero and less")
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            last = max(last, first + 1)
            step = math.ceil((last - first) / MOST_STEPS)
            factors = (1, 2, 5) if last - first <= 2 else (1,)
            powers = range(first, last + step, step)
            self.ticks = [factor * 10.0**power for power in powers[:-1] for factor in factors] + [10.0 ** powers[-1]]
        else:
            low, high = (min(low, 0), max(high, 0)) if zero else (low, high)
            high = high if high > low else low + 1
            rough = (high - low) / MOST_STEPS
            unit = 10.0 ** math.floor(math.log10(rough))
            step_by = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
            numbers = range(math.floor(low / step_by), math.ceil(high / step_by) + 1)
            self.ticks = [float(f"{number * step_by:.12g}") for number in numbers]

    def place(self, value: float) -> float:
        """Return where a number stands, in pixels."""
        low, high = self.ticks[0], self.ticks[-1]
        if self.log:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def short(value: float) -> str:
    """Return a number for an axis: 20000 as 20k, and 2026 as it is."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}"


def number(value: float) -> str:
    """Return a number as it was measured, with its thousands set apart."""
    return f"{value:,}"


def place(value: float) -> str:
    """Return a place on the lower axis: 1.0 as 1, for a whole number has no decimals there."""
    return number(int(value) if float(value).is_integer() else value)


def words(x: float, y: float, text: str, *, at: str = "start", size: int = TEXT) -> str:
    """Return a piece of text, its baseline at a place."""
    anchor = "" if at == "start" else f' text-anchor="{at}"'
    small = "" if size == TEXT else f' font-size="{size}"'
    return f'<text x="{x:g}" y="{y:g}"{anchor}{small}>{escape(text)}</text>'


def paragraph(y: float, text: str, *, size: int = TEXT) -> tuple[list[str], float]:
    """Return text in as many lines as it needs, and where the next may begin."""
    lines = wrap(text, int(WIDTH / (0.55 * size)))
    return [words(0, y + size + index * (size + 4), line, size=size) for index, line in enumerate(lines)], (
        y + len(lines) * (size + 4)
    )


def chart(series: Measurement) -> str:
    """Return the picture of a measurement as SVG."""
    body, bottom = bars(series) if series.bars else lines(series)
    caption, bottom = paragraph(bottom + 8, series.caption(), size=SMALL)
    return picture(
        "\n".join([*body, *caption]),
        WIDTH,
        math.ceil(bottom + 6),
        title=series.title,
        description=f"{series.description} {series.caption()}",
    )


def bars(series: Measurement) -> tuple[list[str], float]:
    """Return a bar for each category, its name above and its number beside it."""
    body, y = paragraph(0, f"{series.y}, by {series.x}")
    most = max(series.bars.values()) or 1
    room = WIDTH - 10 - max(len(number(value)) for value in series.bars.values()) * LETTER
    y += 6
    for name, value in series.bars.items():
        label, y = paragraph(y + 4, name)
        width = round(room * value / most, 2)
        body += label
        body.append(
            f'<rect x="0" y="{y + 2:g}" width="{width:g}" height="16" fill="var(--nx-series-1, currentColor)"/>'
        )
        body.append(words(width + 6, y + 15, number(value)))
        y += 22
    return body, y


def lines(series: Measurement) -> tuple[list[str], float]:
    """Return the key, the axes and the lines."""
    body, top = [], 0.0
    colors = [f"var(--nx-series-{index}, currentColor)" for index in range(1, 5)]
    styles = list(zip(series.lines.items(), colors, DASHES, MARKERS, strict=False))
    for (name, _), color, dash, marker in styles:
        body.append(stroke([(0, top + 11), (36, top + 11)], color, dash))
        body.append(f'<path fill="{color}" d="M18 {top + 11:g}{marker}"/>')
        body.append(words(44, top + 16, name))
        top += LINE
    text, top = paragraph(top + 4, series.y)
    top += 12
    points = [point for line in series.lines.values() for point in line]
    y = Axis([y for _, y in points], top + HEIGHT, top, log=series.log_y, zero=True)
    left = max(len(short(tick)) for tick in y.ticks) * LETTER + 8
    x = Axis([x for x, _ in points], left, RIGHT, log=series.log_x)
    body += text
    for tick in y.ticks:
        at = y.place(tick)
        body.append(f'<path stroke="currentColor" opacity="0.25" d="M{left:g} {at:g}H{RIGHT}"/>')
        body.append(words(left - 6, at + 5, short(tick), at="end"))
    for tick in x.ticks:
        at = x.place(tick)
        body.append(f'<path stroke="currentColor" d="M{at:g} {top + HEIGHT:g}v5"/>')
        body.append(words(at, top + HEIGHT + LINE, short(tick), at="middle"))
    body.append(f'<path stroke="currentColor" d="M{left:g} {top + HEIGHT:g}H{RIGHT}"/>')
    for (_, line), color, dash, marker in styles:
        places = [(x.place(a), y.place(b)) for a, b in line]
        body.append(stroke(places, color, dash))
        body.append(f'<path fill="{color}" d="{"".join(f"M{a:.2f} {b:.2f}{marker}" for a, b in places)}"/>')
    bottom = top + HEIGHT + LINE + 20
    return [*body, words(RIGHT, bottom, series.x, at="end")], bottom + 4


def stroke(places: list[tuple[float, float]], color: str, dash: str) -> str:
    """Return a line through places."""
    dashes = "" if dash == "none" else f' stroke-dasharray="{dash}"'
    way = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
    return f'<polyline fill="none" stroke="{color}" stroke-width="2"{dashes} points="{way}"/>'


def table(series: Measurement) -> str:
    """Return the same numbers as a table in Markdown, below a line that says what they are."""
    if series.bars:
        head = [series.x, series.y]
        rows = [[cell(name), number(value)] for name, value in series.bars.items()]
    else:
        head = [series.x, *series.lines]
        columns = [dict(line) for line in series.lines.values()]
        keys = sorted({x for column in columns for x in column})
        rows = [[place(x), *(number(column[x]) if x in column else "" for column in columns)] for x in keys]
    text = ["| " + " | ".join(row) + " |" for row in [[cell(name) for name in head], ["---:"] * len(head), *rows]]
    text[1] = text[1].replace("---:", "---", 1) if series.bars else text[1]
    return "\n".join([f"{cell(series.y)}, by {cell(series.x)}:", "", *text, ""])


def cell(text: str) -> str:
    """Return text in which Markdown finds nothing to interpret."""
    return re.sub(r"([\\`*_{}\[\]#|])", r"\\\1", escape(text, quote=False))
