"""The generated page is what the code says today."""

from __future__ import annotations

from tests.reference import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "docs/reference.md is old: run `make docs`"
