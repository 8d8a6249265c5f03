"""Panels stand beside each other, then below, and never on each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.monitor.panels import COLUMNS, Panel, Place, Query, View, below, placed

SIZES = st.lists(st.tuples(st.integers(1, COLUMNS), st.integers(1, 12)), max_size=20)


def panel(width: int, height: int) -> Panel:
    return Panel(title="a", description="b", view=View.STAT, queries=(Query("up", ""),), width=width, height=height)


def overlap(one: Place, other: Place) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def test_what_does_not_fit_beside_the_last_begins_a_line_below_the_highest() -> None:
    places = placed([panel(12, 4), panel(6, 8), panel(8, 3), panel(16, 2)], y=5)
    assert places == [Place(0, 5, 12, 4), Place(12, 5, 6, 8), Place(0, 13, 8, 3), Place(8, 13, 16, 2)]
    assert below(places, 5) == 16
    assert (placed([], 7), below([], 7)) == ([], 7)


@given(SIZES, st.integers(0, 100))
def test_no_panel_overlaps_another_or_leaves_the_grid(sizes: list[tuple[int, int]], y: int) -> None:
    places = placed([panel(*size) for size in sizes], y)
    assert [(place.width, place.height) for place in places] == sizes
    assert all(place.x >= 0 and place.y >= y and place.x + place.width <= COLUMNS for place in places)
    assert not any(overlap(one, other) for index, one in enumerate(places) for other in places[:index])
    assert all(place.y + place.height <= below(places, y) for place in places)


@pytest.mark.parametrize(("width", "height"), [(0, 4), (COLUMNS + 1, 4), (4, 0)])
def test_a_panel_without_room_is_none(width: int, height: int) -> None:
    with pytest.raises(AssertionError):
        panel(width, height)


def test_a_panel_asks_something() -> None:
    with pytest.raises(AssertionError, match="nothing is asked"):
        Panel(title="a", description="b", view=View.STAT, queries=())
