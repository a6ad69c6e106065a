"""The glossary page is made from the terms that are tooltips."""

from __future__ import annotations

from scripts.glossary import PAGE, TERMS, page, read_terms


def test_the_page_is_made_from_the_terms() -> None:
    terms, problems = read_terms(TERMS.read_text(encoding="utf-8"))
    assert problems == []
    assert PAGE.read_text(encoding="utf-8") == page(terms)


def test_a_wrong_line_and_a_double_term_are_named_with_their_lines() -> None:
    _, problems = read_terms("*[API]: One\n\nAPI: Two\n*[API]: Three\n")
    assert [(problem.line, problem.what) for problem in problems] == [
        (3, "this is no glossary line"),
        (4, "API stands here twice"),
    ]


def test_terms_stand_in_the_order_of_the_alphabet() -> None:
    assert page({"b": "Two", "A": "One"}).index("One") < page({"b": "Two", "A": "One"}).index("Two")
