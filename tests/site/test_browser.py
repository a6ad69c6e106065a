"""The site as a reader meets it, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.site.conftest import Visit

pytestmark = pytest.mark.browser

# What a person would type, and the page that should be among the first three.
SEARCHES = {
    "serializer validation": "technologies/rest-apis/validation/",
    "virtual environment": "technologies/python/",
    "what is a queryset": "technologies/django/querysets/",
    "many to many": "concepts/database-design/",
    "missing environment variable": "challenges/docker-environment/",
    "when to use async": "concepts/asynchronous/when-to-use/",
    "cache invalidation": "concepts/caching/invalidation/",
    "difference between rest and graphql": "technologies/graphql/",
    "github actions": "technologies/ci-cd/",
    "commit message": "practices/version-control/",
    "task lost when worker is killed": "concepts/message-queues/delivery/",
    "rate limiting": "concepts/system-design/rate-limiting/",
    "lost update": "challenges/lost-update/",
}

# An error as it is copied from a terminal or a page, and the page that explains it.
PASTED = {
    "Forbidden (Origin checking failed - https://shop.example does not match any trusted origins.)": "django",
    "Reverse for 'post' with no arguments not found. 1 pattern(s) tried: ['posts/(?P<pk>[0-9]+)/\\Z']": "django",
    "TypeError: Object of type datetime is not JSON serializable": "api",
    '{"detail":"JSON parse error - Expecting value: line 1 column 1 (char 0)"}': "api",
    "django.db.utils.OperationalError: database is locked": "data",
    'psycopg.errors.UndefinedTable: relation "blog_post" does not exist': "data",
    "Error 111 connecting to localhost:6379. Connection refused.": "operation",
    "web-1 exited with code 137": "operation",
}


def search(page: Page, words: str, *, paste: bool = False) -> list[str]:
    """Type or paste words into the search and return the addresses of the pages that it finds, best first."""
    page.keyboard.press("Control+k")
    field = page.locator("[data-md-component=search-query]")
    if paste:
        field.fill(words)  # no key goes up, as with a paste from a menu
    else:
        field.press_sequentially(words)
    results = page.locator(".md-search-result__item > a")
    expect(results.first).to_be_visible()
    page.wait_for_timeout(200)
    addresses = [re.sub(r"[?#].*", "", link.get_attribute("href") or "") for link in results.all()]
    return list(dict.fromkeys(addresses))


@pytest.mark.parametrize(("words", "expected"), SEARCHES.items())
def test_search_finds_what_a_person_expects(visit: Visit, words: str, expected: str) -> None:
    visit.page.goto("about/")
    assert visit.address + expected in search(visit.page, words)[:3]


@pytest.mark.parametrize(("error", "page"), PASTED.items())
def test_search_finds_a_pasted_error(visit: Visit, error: str, page: str) -> None:
    visit.page.goto("about/")
    assert f"{visit.address}challenges/symptoms-{page}/" in search(visit.page, error, paste=True)[:3]


def test_search_suggests_highlights_and_shares(visit: Visit) -> None:
    visit.page.goto("")
    results = search(visit.page, "data")
    expect(visit.page.locator("[data-md-component=search-suggest]")).to_contain_text("data")
    expect(visit.page.locator("[data-md-component=search-share]")).to_have_attribute("href", re.compile(r"\?q=data"))
    assert results
    visit.page.goto(visit.address + "concepts/caching/?h=invalidation")
    expect(visit.page.locator("mark").first).to_be_visible()


def test_a_shared_search_opens_with_its_results(visit: Visit) -> None:
    visit.page.goto("?q=middleware")
    expect(visit.page.locator(".md-search-result__item").first).to_be_visible()


def test_the_search_loads_only_when_the_reader_turns_to_it(visit: Visit) -> None:
    visit.page.goto("concepts/caching/", wait_until="networkidle")
    before = visit.paths()
    assert not [path for path in before if "search_index" in path or "workers/" in path]
    search(visit.page, "redis")
    assert [path for path in visit.paths() if "search_index" in path]


def test_only_theme_and_own_files_are_loaded(visit: Visit) -> None:
    visit.page.goto("", wait_until="networkidle")
    kinds = {re.sub(r"\.[0-9a-f]{8}\.", ".", path.split("?")[0]) for path in visit.paths()}
    assert kinds <= {
        "",
        "assets/favicon.svg",
        "assets/javascripts/bundle.min.js",
        "assets/logo.svg",
        "assets/nexus.css",
        "assets/nexus.js",
        "assets/search-worker.js",
        "assets/stylesheets/main.min.css",
        "assets/stylesheets/palette.min.css",
        "sitemap.xml",
    }


def test_the_scheme_follows_the_system_and_a_choice_persists(browser: Browser, address: str) -> None:
    window = Visit(browser, address, color_scheme="dark")
    page = window.page
    page.goto("")
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.emulate_media(color_scheme="light")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.locator("label[for=__palette_1]").click()
    page.locator("label[for=__palette_2]").click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.goto("about/")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.reload()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    window.context.close()
    window.check()


def test_the_drawer_works_with_the_keyboard_alone(browser: Browser, address: str) -> None:
    window = Visit(browser, address, viewport={"width": 360, "height": 740})
    page = window.page
    page.goto("")
    link = page.locator(".md-sidebar--primary a", has_text="Technologies").first
    expect(link).to_be_hidden()
    menu = page.get_by_role("button", name="Menu")
    for _ in range(10):
        page.keyboard.press("Tab")
        if menu.evaluate("node => node === document.activeElement"):
            break
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Space")
    expect(link).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(address + "technologies/")
    window.context.close()
    window.check()


def test_one_letter_alone_does_nothing(visit: Visit) -> None:
    visit.page.goto("concepts/caching/")
    for key in ("n", "p", "s", "f", "/", ",", "."):
        visit.page.keyboard.press(key)
    visit.page.wait_for_timeout(300)
    assert visit.page.url == visit.address + "concepts/caching/"
    assert not visit.page.locator("#__search").is_checked()


def test_instant_navigation_keeps_working(visit: Visit) -> None:
    page = visit.page
    page.goto("", wait_until="networkidle")
    page.evaluate("window.sameDocument = true")
    for name, title in (("Technologies", "Technologies"), ("Concepts", "Concepts"), ("About", "The program")):
        page.locator(".md-tabs__link", has_text=name).click()
        expect(page.locator("article h1")).to_contain_text(title)
        expect(page).to_have_title(re.compile(title))
    page.go_back()
    expect(page.locator("article h1")).to_contain_text("Concepts")
    assert page.evaluate("window.sameDocument")
    page.locator("article a", has_text="Caching").first.click()
    expect(page.locator(".md-code__button").first).to_be_visible()
    assert page.evaluate("window.sameDocument")


@pytest.mark.parametrize(
    ("path", "shows", "copied"),
    [
        (
            "concepts/caching/",
            ">>> for _ in range(1000):",
            ["for _ in range(1000):", "    courses = cached_popular_courses()", "", "courses", "queries"],
        ),
        ("concepts/caching/", "from django.core.cache import cache", None),
    ],
)
def test_copy_leaves_out_prompts_and_output(
    browser: Browser, address: str, path: str, shows: str, copied: list[str] | None
) -> None:
    window = Visit(browser, address)
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.page
    page.goto(path)
    block = page.locator(".highlight", has_text=shows).first
    block.locator("[data-md-type=copy]").click()
    expect(page.locator(".md-dialog--active")).to_be_visible()
    expected = copied or block.locator("code").inner_text().rstrip().split("\n")
    assert page.evaluate("navigator.clipboard.readText()").split("\n") == expected
    window.context.close()
    window.check()


def test_an_unknown_address_offers_the_search(browser: Browser, address: str) -> None:
    window = Visit(browser, address)
    window.page.goto("no/such/page/")
    window.page.get_by_text("Search the handbook").click()
    window.page.keyboard.type("caching")
    expect(window.page.locator(".md-search-result__item").first).to_be_visible()
    window.context.close()
    assert [text for text in window.complaints if "404" not in text] == []


def test_pages_are_readable_without_javascript(browser: Browser, address: str) -> None:
    window = Visit(browser, address, java_script_enabled=False)
    window.page.goto("concepts/caching/")
    expect(window.page.locator("article h1")).to_be_visible()
    expect(window.page.locator(".highlight").first).to_be_visible()
    question = window.page.locator("details").first
    question.locator("summary").click()
    expect(question.locator("p").last).to_be_visible()
    window.context.close()


def test_print_leaves_the_page_alone(visit: Visit) -> None:
    visit.page.goto("concepts/caching/")
    visit.page.emulate_media(media="print")
    for chrome in (
        ".md-header",
        ".md-sidebar--primary",
        ".md-tabs",
        ".md-footer",
        ".md-path",
        ".md-code__nav >> nth=0",
    ):
        expect(visit.page.locator(chrome)).to_be_hidden()
    expect(visit.page.locator("details p").last).to_be_visible()
    expect(visit.page.locator("article h1")).to_be_visible()
