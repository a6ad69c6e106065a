"""Pictures that pages quote: the same on every machine, at home in every color scheme, true to their numbers."""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import markdown
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from django.db import models
from django.test.utils import isolate_apps

from scripts.pages import ROOT
from tests.recording.chart import MARKERS, Measurement, chart, table
from tests.recording.diagram import COLORS, SMALLEST_SCALE, WIDEST, draw, picture
from tests.recording.entities import entities, source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

DOT = """digraph {
    visitor [label="a <visitor> & \\"more\\" → café" style=rounded]
    subgraph cluster_compose {
        label="docker compose"; style=dashed; color=gray; fontcolor=gray
        web [style=filled fillcolor=lightgray fontname=Courier]
        db [shape=cylinder]
        room [shape=none label=""]
    }
    visitor -> web [label=" GET " color=green]
    web -> db [style=dashed color=orange]
}"""

LINES = Measurement(
    title="Queries of a list",
    description="Without prefetching the number of queries grows with the rows.",
    x="rows",
    y="time (ms)",
    machine="2 cores, 4 GB",
    versions={"Django": "5.2.19", "PostgreSQL": "18.0"},
    date="2026-01-31",
    lines={
        "one at a time": [(1, 2.5), (40, 91.25), (1500, 3050)],
        "select_related(*)": [(1, 3), (40, 3.5)],
        "a *b* | c": [(1, 1), (1500, 7)],
        "<cache>": [(40, 0.25), (300, 0.5)],
    },
)
BARS = replace(
    LINES, title="Sizes", x="base image", y="size (MB)", lines={}, bars={"slim": 198, "full": 1020.5, "none": 0}
)

CHARTS = {
    "lines": LINES,
    "both logarithmic": replace(LINES, title="Queries, logarithmic", log_x=True, log_y=True),
    "one decade": replace(LINES, title="One decade", lines={"a": [(2, 3), (7, 9)]}, log_x=True, log_y=True),
    "below zero": replace(LINES, title="Below zero", lines={"a": [(2020, -3), (2026, 9.5)]}),
    "one point": replace(LINES, title="One point", lines={"a": [(3, 0)]}),
    "bars": BARS,
}


@isolate_apps("tests.recording")
def academy() -> list[type[models.Model]]:
    """Models with every kind of relation. Tag is drawn, Enrollment is found, Elsewhere stays out."""

    class Learner(models.Model):
        email = models.EmailField(unique=True)
        mentor = models.ForeignKey("self", on_delete=models.SET_NULL, null=True)

        class Meta:
            app_label = "recording"

    class Tag(models.Model):
        slug = models.SlugField(primary_key=True)

        class Meta:
            app_label = "recording"

    class Elsewhere(models.Model):
        class Meta:
            app_label = "recording"

    class Course(models.Model):
        title = models.CharField(max_length=120)
        tags = models.ManyToManyField(Tag)
        learners = models.ManyToManyField(Learner, through="Enrollment")
        place = models.ForeignKey(Elsewhere, on_delete=models.CASCADE)

        class Meta:
            app_label = "recording"
            unique_together = (("title", "place"),)

    class Enrollment(models.Model):
        learner = models.ForeignKey(Learner, on_delete=models.CASCADE)
        course = models.ForeignKey(Course, on_delete=models.CASCADE)
        fee = models.DecimalField(max_digits=6, decimal_places=2)

        class Meta:
            app_label = "recording"
            constraints = (
                models.UniqueConstraint(fields=["learner", "course"], name="once"),
                models.UniqueConstraint(fields=["course"], condition=models.Q(fee=0), name="free"),
            )

    class Certificate(models.Model):
        enrollment = models.OneToOneField(Enrollment, on_delete=models.CASCADE)

        class Meta:
            app_label = "recording"

    class Special(Course):
        class Meta:
            app_label = "recording"

    return [Learner, Tag, Course, Certificate, Special]


def all_pictures() -> dict[str, str]:
    """Make one picture of each kind."""
    made = {name: chart(series) for name, series in CHARTS.items()}
    made["diagram"] = draw(DOT, title="The way of a request", description="From a visitor to the database.")
    made["entities"] = entities(*academy(), title="The academy", description="Learners take courses.")
    made["wide"] = draw(
        "digraph { rankdir=LR; one -> two -> three -> four -> five }", title="Wide", description="Five."
    )
    return made


@pytest.fixture(scope="module")
def pictures() -> dict[str, str]:
    """One picture of each kind."""
    return all_pictures()


def parsed(svg: str) -> ElementTree.Element:
    """Return the SVG as a tree."""
    return ElementTree.fromstring(svg)  # noqa: S314  # made a moment ago


def texts(svg: str) -> list[str]:
    """Return the pieces of text that are drawn."""
    return [(element.text or "").strip() for element in parsed(svg).iterfind(".//{*}text")]


@pytest.mark.slow
def test_a_picture_is_the_same_each_time(pictures: dict[str, str]) -> None:
    assert all_pictures() == pictures


@pytest.mark.slow
def test_a_picture_takes_its_looks_from_the_page(pictures: dict[str, str]) -> None:
    for name, svg in pictures.items():
        root = parsed(svg)
        kinds = {element.tag.partition("}")[2] for element in root.iter()}
        assert kinds <= {"svg", "title", "desc", "g", "path", "polygon", "polyline", "ellipse", "rect", "text"}, name
        assert root.get("fill") == "currentColor"
        for element in root.iter():
            assert {element.get("fill"), element.get("stroke")} - {None} <= set(COLORS.values()), name
            assert (
                element is root or set(element.attrib).isdisjoint({"style", "class"}) or element.get("class") == "key"
            )
            assert element.get("font-family") in {None, "monospace"} or element is root
            assert float(element.get("font-size", "14")) >= 12


@pytest.mark.slow
def test_a_picture_has_a_name_and_a_description(pictures: dict[str, str]) -> None:
    for name, svg in pictures.items():
        root = parsed(svg)
        assert root.get("role") == "img"
        for kind, reference in (("title", "aria-labelledby"), ("desc", "aria-describedby")):
            named = root.findall(f"{{*}}{kind}")
            assert [element.get("id") for element in named] == [root.get(reference)], name
            assert named[0].text
        assert len(root.findall(".//{*}title")) == 1, "boxes show no tooltips"


@pytest.mark.slow
def test_pictures_stand_in_one_page(pictures: dict[str, str]) -> None:
    ids = re.findall(r'\bid="([^"]*)"', "".join(pictures.values()))
    assert len(ids) == len(set(ids)) == 2 * len(pictures)
    for name, svg in pictures.items():
        assert svg.startswith("<svg ")
        assert svg.endswith("\n</svg>\n")
        assert all(line.strip() for line in svg.splitlines()), f"{name}: a page ends HTML at a blank line"
        assert "<!--" not in svg
        assert len(svg) < 12_000


@pytest.mark.slow
def test_a_picture_fits_a_phone_or_scrolls_by_keyboard(pictures: dict[str, str]) -> None:
    for name, svg in pictures.items():
        root = parsed(svg)
        width = float(root.get("viewBox", "").split()[2])
        assert width <= WIDEST
        assert root.get("style") == f"width: 100%; min-width: {round(width * SMALLEST_SCALE)}px; max-width: {width:g}px"
        assert (root.get("tabindex") == "0") == (width * SMALLEST_SCALE > 288), name
    assert parsed(pictures["wide"]).get("tabindex") == "0"
    assert parsed(pictures["lines"]).get("tabindex") is None


@pytest.mark.slow
def test_a_diagram_shows_what_the_source_names(pictures: dict[str, str]) -> None:
    svg = pictures["diagram"]
    shown = ['a <visitor> & "more" → café', "docker compose", "web", "db", "GET"]
    assert sorted(texts(svg)) == sorted(shown)
    assert "var(--nx-series-1, currentColor)" in svg
    assert "var(--nx-tint, none)" in svg
    assert 'font-family="monospace"' in svg


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dot", "message"),
    [
        ("digraph {", "syntax error"),
        ("digraph { a [color=purpel] }", "purpel"),
        ('digraph { a [color="#ff0000"] }', "not a color of diagrams"),
        ("digraph { a [style=filled fillcolor=red] }", "not a color of diagrams"),
        ('digraph { a [URL="https://example.com/"] }', "no links"),
        ("digraph { a [fontsize=9] }", "too small"),
        ("digraph { a [fontname=Arial] }", "not a font"),
        ('digraph { size="1,1"; a -> b -> c -> d }', "at its own size"),
        ("digraph { rankdir=LR; node [width=3]; a -> b -> c -> d }", "pixels wide"),
    ],
)
def test_what_a_diagram_does_without_is_refused(dot: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(dot, title="A diagram", description="It is refused.")


@pytest.mark.parametrize(("title", "description"), [("…", "It shows."), ("A picture", " ")])
def test_a_picture_without_words_is_refused(title: str, description: str) -> None:
    with pytest.raises(ValueError, match="title and a description"):
        picture("<g/>", 10, 10, title=title, description=description)
    with pytest.raises(ValueError, match="title and a description"):
        chart(replace(BARS, title=title, description=description))


def rows(model: str) -> list[list[str]]:
    """Return the rows of a model's box."""
    box = re.search(rf'^"recording\.{model}" \[label=<(.*)>\]$', source(*academy()), re.MULTILINE)
    assert box
    return [
        [cell.get_text().strip() for cell in row.select("td")]
        for row in BeautifulSoup(box[1], "html.parser").select("tr")
    ]


def test_a_box_holds_every_field() -> None:
    assert [row[0] for row in rows("Learner")] == ["Learner", "id", "email", "mentor"]
    assert rows("Learner")[2:] == [["email", "Email unique"], ["mentor", "FK Learner null"]]
    assert rows("Tag") == [["Tag"], ["slug", "Slug PK"]]
    assert rows("Course")[2:] == [
        ["title", "Char(120)"],
        ["place", "FK Elsewhere"],
        ["tags", "M:N Tag"],
        ["learners", "M:N Learner"],
        ["unique: title, place"],
    ]
    assert rows("Enrollment")[4:] == [["fee", "Decimal(6, 2)"], ["unique: learner, course"], ["partly unique: course"]]
    assert rows("Certificate")[2:] == [["enrollment", "1:1 Enrollment"]]
    assert rows("Special") == [["Special"], ["course_ptr", "1:1 Course PK"]]


def test_a_line_stands_for_every_relation() -> None:
    lines = re.findall(
        r'^"recording\.(\w+)" -> "recording\.(\w+)" \[label="(.*)" arrowtail=(\w+) arrowhead=(\w+)\]$',
        source(*academy()),
        re.MULTILINE,
    )
    assert {(a, b, label.replace(r"\l", "").split("  ")[0].strip(), *ends) for a, b, label, *ends in lines} == {
        ("Learner", "Learner", "mentor", "teeodot", "crowodot"),
        ("Tag", "Course", "tags", "crowodot", "crowodot"),
        ("Learner", "Enrollment", "1 to many", "teetee", "crowodot"),
        ("Course", "Enrollment", "1 to many", "teetee", "crowodot"),
        ("Enrollment", "Certificate", "1 to 0..1", "teetee", "teeodot"),
        ("Course", "Special", "course_ptr", "teetee", "teeodot"),
    }
    assert len(lines) == 6
    assert "0..1 to many" in source(*academy())
    assert "many to many" in source(*academy())


@pytest.mark.slow
def test_the_entity_diagram_draws_every_row_and_relation(pictures: dict[str, str]) -> None:
    shown = texts(pictures["entities"])
    for model in ("Learner", "Tag", "Course", "Enrollment", "Certificate", "Special"):
        for row in rows(model):
            assert set(row) <= set(shown)
    assert shown.count("1 to many") == 2
    assert "Elsewhere" not in shown


def scale(ticks: list[tuple[float, float]], *, log: bool) -> Callable[[float], float]:
    """Return the function from a place to a number that the labels of an axis promise."""
    (first, start), *_, (last, end) = ticks
    low, high = (math.log10(first), math.log10(last)) if log else (first, last)

    def value(place: float) -> float:
        found = low + (place - start) / (end - start) * (high - low)
        return 10**found if log else found

    for number, place in ticks:
        assert value(place) == pytest.approx(number, rel=0.01, abs=0.001)
    return value


def labels(svg: str, *, anchor: str, at: str) -> list[tuple[float, float]]:
    """Return the numbers along an axis and where they stand."""
    found = []
    for element in parsed(svg).iterfind(f".//{{*}}text[@text-anchor='{anchor}']"):
        if re.fullmatch(r"-?[\d.]+k?", element.text or ""):
            number = float((element.text or "").replace("k", "e3"))
            found.append((number, float(element.get(at, ""))))
    return found


@pytest.mark.parametrize("name", [name for name, series in CHARTS.items() if series.lines])
def test_markers_stand_where_the_axes_say(name: str) -> None:
    series = CHARTS[name]
    svg = chart(series)
    x = scale(labels(svg, anchor="middle", at="x"), log=series.log_x)
    y = scale([(n, place - 5) for n, place in labels(svg, anchor="end", at="y")], log=series.log_y)
    drawn = [element.get("d", "") for element in parsed(svg).iterfind(".//{*}path") if element.get("fill")]
    drawn = [path for path in drawn if "M18 " not in path]
    assert len(drawn) == len(series.lines)
    for path, marker, points in zip(drawn, MARKERS, series.lines.values(), strict=False):
        centers = re.findall(rf"M([\d.]+) ([\d.]+){re.escape(marker)}", path)
        assert len(centers) == len(points)
        for (a, b), (wanted_x, wanted_y) in zip(centers, points, strict=True):
            span = max(point[0] for line in series.lines.values() for point in line)
            assert x(float(a)) == pytest.approx(wanted_x, rel=0.01, abs=span / 5000)
            span = max(abs(point[1]) for line in series.lines.values() for point in line)
            assert y(float(b)) == pytest.approx(wanted_y, rel=0.01, abs=span / 5000 + 1e-9)


@pytest.mark.parametrize("name", [name for name, series in CHARTS.items() if series.lines])
def test_lines_are_told_apart_without_color(name: str) -> None:
    root = parsed(chart(CHARTS[name]))
    ways = list(root.iterfind(".//{*}polyline"))
    count = len(CHARTS[name].lines)
    assert len({element.get("stroke-dasharray") for element in ways}) == count
    assert len({element.get("stroke") for element in ways}) == count
    assert len(ways) == 2 * count, "each line and its key"
    assert set(CHARTS[name].lines) <= set(texts(chart(CHARTS[name])))


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = chart(BARS)
    widths = [float(element.get("width", "")) for element in parsed(svg).iterfind(".//{*}rect")]
    assert [width / widths[1] for width in widths] == pytest.approx([198 / 1020.5, 1, 0], abs=0.001)
    assert [text for text in texts(svg) if text in {"slim", "full", "none", "198", "1,020.5", "0"}] == [
        "slim", "198", "full", "1,020.5", "none", "0"
    ]  # fmt: skip


def test_nothing_of_a_chart_is_cut_off() -> None:
    for name, series in CHARTS.items():
        svg = chart(series)
        _, _, width, height = map(float, parsed(svg).get("viewBox", "").split())
        for element in parsed(svg).iterfind(".//{*}text"):
            size = float(element.get("font-size", "14"))
            long = len(element.text or "") * 0.56 * size
            shift = {"end": 1.0, "middle": 0.5}.get(element.get("text-anchor", ""), 0.0)
            left = float(element.get("x", "")) - shift * long
            assert left >= -1, (name, element.text)
            assert left + long <= width + 8, (name, element.text)
            assert size <= float(element.get("y", "")) <= height - 4, (name, element.text)


def test_a_chart_says_where_it_was_measured() -> None:
    for series in CHARTS.values():
        svg = chart(series)
        caption = "Measured 2026-01-31 on 2 cores, 4 GB; Django 5.2.19, PostgreSQL 18.0."
        assert caption in " ".join(texts(svg))
        assert caption in (parsed(svg).findtext("{*}desc") or "")


@pytest.mark.parametrize("series", [LINES, BARS], ids=["lines", "bars"])
def test_the_table_holds_every_number(series: Measurement) -> None:
    page = BeautifulSoup(markdown.markdown(table(series), extensions=["tables"]), "html.parser")
    cells = [[cell.get_text() for cell in row.select("th, td")] for row in page.select("tr")]
    assert page.select("p")[0].get_text() == f"{series.y}, by {series.x}:"
    if series.bars:
        assert cells == [["base image", "size (MB)"], ["slim", "198"], ["full", "1,020.5"], ["none", "0"]]
    else:
        assert cells == [
            ["rows", *series.lines],
            ["1", "2.5", "3", "1", ""],
            ["40", "91.25", "3.5", "", "0.25"],
            ["300", "", "", "", "0.5"],
            ["1,500", "3,050", "", "7", ""],
        ]


@pytest.mark.parametrize("name", CHARTS)
def test_a_measurement_is_kept_as_json(name: str, tmp_path: Path) -> None:
    CHARTS[name].write(tmp_path / "one.json")
    assert Measurement.read(tmp_path / "one.json") == CHARTS[name]
    assert json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["machine"] == "2 cores, 4 GB"


@pytest.mark.parametrize(
    "wrong",
    [
        {"bars": {"a": 1}},
        {"lines": {}},
        {"lines": {"a": []}},
        {"lines": {"a" * 39: [(1, 1)]}},
        {"lines": {"a": [(1, math.nan)]}},
        {"lines": {name: [(1, 1)] for name in "abcde"}},
        {"lines": {}, "bars": {"a": -1}},
        {"lines": {}, "bars": {"a": 1}, "log_y": True},
    ],
)
def test_what_no_chart_can_show_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"lines|points|bars"):
        replace(LINES, **wrong)


def test_zero_has_no_place_on_a_logarithmic_axis() -> None:
    with pytest.raises(ValueError, match="logarithmic"):
        chart(replace(LINES, lines={"a": [(0, 1), (1, 1)]}, log_x=True))


def page_of(pictures: dict[str, str]) -> str:
    """Return a page in which every picture stands."""
    figures = "\n".join(f'<figure class="nx-figure">\n{svg}</figure>' for svg in pictures.values())
    style = (ROOT / "overrides/assets/nexus.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Pictures</title>\n'
        f"<style>{style}</style>\n</head>\n"
        '<body data-md-color-scheme="default" style="margin: 16px">\n<main class="md-typeset">\n<h1>Pictures</h1>\n'
        f"{figures}\n</main>\n</body>\n</html>\n"
    )


@pytest.mark.slow
def test_pictures_are_valid_html(pictures: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page_of(pictures), encoding="utf-8")
    command = ["node_modules/html-validate/bin/html-validate.mjs", "--config", ".htmlvalidate.json"]
    run = subprocess.run(
        [ROOT / ".venv/bin/node", *command, "--formatter", "text", str(tmp_path / "page.html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing_in_pictures(browser: Browser, pictures: dict[str, str], width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 640})
    page.set_content(page_of(pictures))
    findings = Axe().run(page)
    assert findings.violations_count == 0, findings.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "a wide picture scrolls in its figure"
    # No text leaves its picture, whatever font the browser has.
    assert (
        page.evaluate(
            """() => [...document.querySelectorAll('figure text')].filter((text) => {
            const [inner, outer] = [text, text.closest('svg')].map((part) => part.getBoundingClientRect())
            return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1
        }).map((text) => text.textContent)"""
        )
        == []
    )
    page.close()


def luminance(color: str) -> float:
    """Return the relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("scheme", "background"), [("default", "#ffffff"), ("slate", "#101917")])
def test_series_stand_out_from_the_page(scheme: str, background: str) -> None:
    style = (ROOT / "overrides/assets/nexus.css").read_text(encoding="utf-8")
    found = re.search(rf'\[data-md-color-scheme="{scheme}"\] \{{ (--nx-series-1:[^}}]*)\}}', style)
    assert found
    colors = re.findall(r"--nx-series-\d: (#\w{6})", found[1])
    assert len(set(colors)) == 4
    for color in colors:
        light, dark = sorted((luminance(color), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, color
