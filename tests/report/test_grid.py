"""A table that somebody adds to the page is whole: a cell for every head, and something in each."""

from __future__ import annotations

import pytest

from hlhft.report.grid import Grid


def grid(*rows: tuple[str, ...]) -> Grid:
    return Grid(title="a table", note="", heads=("of", "one"), rows=rows)


def test_a_whole_table_is_taken_as_it_is() -> None:
    assert grid(("a", "1"), ("b", "2")).rows == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("rows", [(), (("a",),), (("a", "1"), ("b", "2", "3")), (("a", ""),)])
def test_a_table_with_a_hole_is_refused(rows: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(AssertionError, match="a cell"):
        grid(*rows)
