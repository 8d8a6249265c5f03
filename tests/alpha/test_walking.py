"""The band of a ladder follows the touch and forgets nothing near it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.features import new_state
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.walking import _centre, _first_price, _follow, walk
from hlhft.core.state import LEVEL_DTYPE, BookKind
from hlhft.ladder import new_cells, new_header, set_ask, set_bid, top_levels
from tests.alpha.feeds import book, level, new_brain, touch, trade
from tests.core.worlds import BUY, SELL

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


def test_an_empty_book_leaves_its_band_where_it_is() -> None:
    header, cells = new_header(1000, WIDTH), new_cells(WIDTH)
    _follow(header[0], cells)
    assert header[0]["base_ticks"] == 1000


def test_a_side_whose_touch_falls_out_of_the_band_is_empty() -> None:
    header, cells = new_header(1000, WIDTH), new_cells(WIDTH)
    ladder = header[0]
    set_bid(ladder, cells, 1001, 5)
    set_ask(ladder, cells, 1060, 5)
    _centre(ladder, cells, 1061)
    assert top(ladder, cells) == [[], [(1060, 5)]]
    set_bid(ladder, cells, 1059, 2)
    assert top(ladder, cells) == [[(1059, 2)], [(1060, 5)]]


def test_frames_are_walked_while_there_is_room_for_their_rows() -> None:
    schema = FeatureSchema(levels=2)
    brain = new_brain(BookKind.LADDER)
    brain.data.ladders[:] = new_header(0, 256)  # knows no price yet
    state, centred = new_state(schema, 1, 2), np.zeros(1, np.int64)
    events = np.concatenate(
        [
            trade(0, 1, 3),  # names no price of the book
            level(10, SELL, 1004, 7),
            level(20, BUY, 1000, 5),
            level(30, BUY, 1001, 6),
            level(40, BUY, 1001, 0),
        ]
    )
    first, rows = walk(brain.data, brain.lane, state, centred, events, 0)
    assert (first, rows, centred[0]) == (4, 2, 1)
    assert state.heads["mid_ticks"].tolist() == [1002.0, 1002.5]
    first, rows = walk(brain.data, brain.lane, state, centred, events, first)
    assert (first, rows) == (5, 1)
    assert state.heads["mid_ticks"][0] == 1002.0


def test_a_snapshot_book_is_walked_without_a_band() -> None:
    schema = FeatureSchema(levels=2)
    brain = new_brain()
    state = new_state(schema, 1, 4)
    events = np.concatenate([book(0, [(1000, 5)], [(1004, 5)]), touch(10, (1002, 5), (1004, 5))])
    first, rows = walk(brain.data, brain.lane, state, np.zeros(1, np.int64), events, 0)
    assert (first, rows) == (len(events), 2)
    assert state.heads["mid_ticks"][:2].tolist() == [1002.0, 1003.0]


def test_the_first_price_lies_between_the_sides_that_a_frame_names() -> None:
    both = np.concatenate(
        [level(0, BUY, 1000, 5), level(0, BUY, 990, 5), level(0, SELL, 1010, 5), level(0, SELL, 1020, 1)]
    )
    assert _first_price(both, 0, len(both), 0) == 1005
    assert _first_price(both, 0, 2, 0) == 1000
    assert _first_price(both, 2, 4, 0) == 1010
    assert _first_price(both, 0, len(both), 1) == 0
