"""A minute's picture: the book as it was followed, bounded, and one page that loads nothing."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.events import EventKind
from hlhft.report import minute
from hlhft.report.minute import COLUMNS, ROWS, figure, page, stretch_of
from tests.data.making import BTC, ETH, SECOND, ListSource, bbo, event, level, snapshot, trade

MINUTE = 60 * SECOND
T0 = 1_757_000_040_000_000_000


def drawn(rows: list[Events], **more: bool) -> dict[str, dict]:
    found = figure(stretch_of(ListSource(rows, **more), "BTC", T0, T0 + MINUTE))
    return {trace["name"]: trace for trace in found["data"]}


def resting(trace: dict) -> list[dict[float, float]]:
    """By column, notional by price."""
    columns: list[dict[float, float]] = [{} for _ in range(COLUMNS)]
    for price, row in zip(trace["y"], trace["z"], strict=True):
        for column, value in enumerate(row):
            if value is not None:
                columns[column][price] = value
    return columns


def test_pictures_replace_each_other() -> None:
    rows = [
        snapshot(T0 - SECOND, [(990, 100_000)], [(1010, 200_000)]),
        snapshot(T0 + 30 * SECOND, [(991, 100_000)], [(1010, 300_000)]),
    ]
    found = drawn(rows)
    bids, asks = resting(found["bids"]), resting(found["asks"])
    # 99 and 99.1 USDC for one coin; columns are a quarter of a second.
    assert [list(bids[column].values()) for column in (0, 118, 120, COLUMNS - 1)] == [[99.0], [99.0], [99.1], [99.1]]
    assert [list(asks[column].values()) for column in (0, 120)] == [[202.0], [303.0]]
    # Without a channel of its own the touch is the book's.
    assert (found["best bid"]["y"][0], found["best bid"]["y"][-1], found["best ask"]["y"][0]) == (99.0, 99.1, 101.0)


def test_levels_clears_and_the_touch_change_the_book() -> None:
    rows = [
        level(T0 - MINUTE * 60, 1, 990, 100_000), level(T0 - 5, 1, 989, 100_000), level(T0 - 4, -1, 1010, 100_000),
        level(T0 + 10 * SECOND, 1, 990, 0),
        bbo(T0 + 20 * SECOND, (988, 100_000), (1010, 100_000)),
        level(T0 + 25 * SECOND, 1, 987, 100_000),
        event(EventKind.DEPTH_CLEAR, T0 + 30 * SECOND, side=1),
    ]  # fmt: skip
    bids = resting(drawn(rows, snapshots_only=False)["bids"])
    assert [len(bids[column]) for column in (0, 45, 85, 105, 130)] == [2, 1, 0, 1, 0]


def test_trades_and_touches_of_the_stretch_alone() -> None:
    rows = [
        trade(T0 - 1, 1, 1000, 1, 1), bbo(T0 + SECOND, (999, 1), (1001, 1)),
        trade(T0 + 2 * SECOND, 1, 1001, 100_000, 2), trade(T0 + 3 * SECOND, -1, 999, 25_000, 3),
        trade(T0 + MINUTE, 1, 1001, 1, 4),
    ]  # fmt: skip
    found = drawn(rows)
    assert (found["buys"]["y"], found["buys"]["text"]) == ([100.1], ["1"])
    assert (found["sells"]["y"], found["sells"]["text"]) == ([99.9], ["0.25"])
    assert found["buys"]["marker"]["size"][0] > found["sells"]["marker"]["size"][0]
    assert found["sells"]["x"] == [T0 / 1e6 + 3000]
    assert (found["best bid"]["y"], found["best ask"]["y"]) == ([99.9], [100.1])


def test_another_market_is_not_looked_at() -> None:
    rows = [bbo(T0, (99, 1), (101, 1)), bbo(T0, (199, 1), (201, 1), market=1)]
    found = stretch_of(ListSource(rows, [BTC, ETH]), "ETH", T0, T0 + MINUTE)
    assert found.touches == [(T0, 199, 201)]
    with pytest.raises(DataError, match="it has no market SOL, expected one of BTC, ETH"):
        stretch_of(ListSource(rows, [BTC, ETH]), "SOL", T0, T0 + MINUTE)


def test_a_stretch_without_anything_is_one_sentence() -> None:
    with pytest.raises(DataError, match=r"there is nothing of BTC at 2025-09-04 15:34:00 UTC and the 1 min after it"):
        stretch_of(ListSource([bbo(T0 + MINUTE, (99, 1), (101, 1))]), "BTC", T0, T0 + MINUTE)


@pytest.mark.parametrize("length", [0, -1, 2 * minute.SPAN_NS_MAX])
def test_a_stretch_has_a_length(length: int) -> None:
    with pytest.raises(ValueError, match="a stretch lasts at most"):
        stretch_of(ListSource([]), "BTC", T0, T0 + length)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 10**6)), min_size=1, max_size=30))
def test_bands_are_bounded_and_hold_every_price_near_the_touch(levels: list[tuple[int, int]]) -> None:
    bids = dict(levels)
    best = max(bids)
    rows = [snapshot(T0, list(bids.items()), [(best + 1, 5)]), bbo(T0, (best, bids[best]), (best + 1, 5))]
    found = drawn(rows)
    assert len(found["bids"]["y"]) <= ROWS + 2
    assert len(found["bids"]["z"]) == len(found["bids"]["y"])
    shown = np.array([[value or 0.0 for value in row] for row in found["bids"]["z"]])[:, -1].sum()
    # The touch itself is always there; notional is rounded to cents.
    assert shown >= best * bids[best] / 1e6 - 0.01


def test_many_trades_are_drawn_in_part_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minute, "TRADES_MAX", 5)
    found = drawn([trade(T0 + place, 1, 1000 + place, 1, place + 1) for place in range(9)])
    assert len(found["buys (5 of 9 shown)"]["x"]) == 5


def test_the_page_is_one_file_the_same_every_time() -> None:
    rows = [snapshot(T0, [(990, 1)], [(1010, 1)]), trade(T0 + 1, 1, 1010, 100_000)]
    stretch = stretch_of(ListSource(rows), "BTC", T0, T0 + MINUTE)
    text = page(stretch, "a <b> name")
    assert text == page(stretch, "a <b> name")
    assert "a &lt;b&gt; name" in text
    assert "1 trade worth 101, 0 changes of the touch." in text
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"http", text)
    data = re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    content = json.loads(data[1])
    assert content["range"] == [T0 / 1e6, (T0 + MINUTE) / 1e6]
    assert [trace["name"] for trace in content["data"]] == ["bids", "asks", "best bid", "best ask", "buys", "sells"]
