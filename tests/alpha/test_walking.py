"""The band of a ladder follows the touch and forgets nothing near it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.walking import _centre, _follow
from hlhft.core.state import LEVEL_DTYPE
from hlhft.ladder import new_cells, new_header, set_ask, set_bid, top_levels

WIDTH = 64


def top(ladder: np.void, cells: np.ndarray) -> list[list[tuple[int, int]]]:
    found = []
    for row in range(2):
        levels = np.zeros(5, LEVEL_DTYPE)
        count = top_levels(ladder, cells, row, levels)
        found.append([(int(level["price_ticks"]), int(level["size_lots"])) for level in levels[:count]])
    return found


@given(
    bids=st.dictionaries(st.integers(10_000, 10_009), st.integers(1, 9), min_size=1, max_size=6),
    asks=st.dictionaries(st.integers(10_011, 10_020), st.integers(1, 9), min_size=1, max_size=6),
    moves=st.lists(st.integers(-20, 20), max_size=4),
)
def test_a_band_that_moves_keeps_the_levels_in_it(bids: dict[int, int], asks: dict[int, int], moves: list[int]) -> None:
    header, cells = new_header(0, WIDTH), new_cells(WIDTH)
    ladder = header[0]
    _centre(ladder, cells, 10_010)
    for ticks, lots in bids.items():
        set_bid(ladder, cells, ticks, lots)
    for ticks, lots in asks.items():
        set_ask(ladder, cells, ticks, lots)
    before = top(ladder, cells)
    for move in moves:
        _centre(ladder, cells, 10_010 + move)
        assert ladder["base_ticks"] == 10_010 + move - WIDTH // 2
        assert top(ladder, cells) == before


def test_the_band_follows_a_touch_that_leaves_its_middle_half() -> None:
    header, cells = new_header(1000, WIDTH), new_cells(WIDTH)
    ladder = header[0]
    set_bid(ladder, cells, 1016, 5)
    _follow(ladder, cells)
    assert ladder["base_ticks"] == 1000
    set_bid(ladder, cells, 1048, 7)
    _follow(ladder, cells)
    assert ladder["base_ticks"] == 1048 - WIDTH // 2
    assert top(ladder, cells) == [[(1048, 7), (1016, 5)], []]


def test_a_side_whose_touch_falls_out_of_the_band_is_empty() -> None:
    header, cells = new_header(1000, WIDTH), new_cells(WIDTH)
    ladder = header[0]
    set_bid(ladder, cells, 1001, 5)
    set_ask(ladder, cells, 1060, 5)
    _centre(ladder, cells, 1061)
    assert top(ladder, cells) == [[], [(1060, 5)]]
    set_bid(ladder, cells, 1059, 2)
    assert top(ladder, cells) == [[(1059, 2)], [(1060, 5)]]
