"""The hints of the challenges: three or more for each, from a question to a direction, and never the solution."""

from __future__ import annotations

from scripts import challenge


def test_hints_are_words_and_not_code() -> None:
    files = sorted(challenge.LAB.glob("*/hints.md"))
    assert {file.parent.name.replace("_", "-") for file in files} == set(challenge.names())
    for file in files:
        hints = challenge.hints(file.parent.name.replace("_", "-"))
        assert len(hints) >= 3, file
        for hint in hints:
            assert "```" not in hint, file
            assert 40 <= len(hint) <= 600, (file, hint)
