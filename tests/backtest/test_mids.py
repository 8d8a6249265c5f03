"""The venue's mid at any time: after every row of that instant, unknown on a one-sided book and past the recording."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.backtest.mids import mids_at
from hlhft.backtest.replay import RowArray
from hlhft.backtest.rows import EXCHANGE_BIT, LEVEL, LOCAL_BIT, LOTS_SHIFT, ROW_DTYPE, SELL_BIT, TRADE
from hlhft.units import Market

MARKET = Market.perpetual("BTC", asset_id=0, size_decimals=5)
BUY, SELL = 0, SELL_BIT


def stream(*rows: tuple[int, int, int, int], visible: int = EXCHANGE_BIT | LOCAL_BIT) -> RowArray:
    """Levels as (time, side bit, ticks, lots)."""
    array = np.zeros(len(rows), ROW_DTYPE)
    for row, (ts_ns, side, ticks, lots) in zip(array, rows, strict=True):
        row["ts_ns"], row["price_ticks"] = ts_ns, ticks
        row["word"] = LEVEL | side | visible | lots << LOTS_SHIFT
    return RowArray(array, 90, 110)


LEVELS = (
    (10, BUY, 99, 5),
    (20, SELL, 101, 5),
    (30, BUY, 100, 1),
    (30, SELL, 101, 0),
    (30, SELL, 103, 2),
    (40, BUY, 98, 1),
)


def mids(times: list[int], *rows: tuple[int, int, int, int]) -> list[int]:
    (found,) = mids_at([MARKET], [stream(*rows)], [np.array(times, np.int64)])
    return found.tolist()


def test_the_mid_is_that_after_all_rows_of_the_instant() -> None:
    assert mids([19, 20, 29, 30, 39], *LEVELS) == [0, 200, 200, 203, 203]


def test_it_is_unknown_before_the_book_has_two_sides_and_from_the_last_row_on() -> None:
    assert mids([5, 15, 25, 40, 41], *LEVELS) == [0, 0, 200, 0, 0]


def test_rows_that_only_we_see_do_not_move_it() -> None:
    array = stream(*LEVELS)
    ours = stream((25, BUY, 100, 9), visible=LOCAL_BIT)
    array.rows = np.insert(array.rows, 2, ours.rows[0])
    (found,) = mids_at([MARKET], [array], [np.array([26], np.int64)])
    assert found.tolist() == [200]


def test_trades_do_not_move_it() -> None:
    array = stream(*LEVELS)
    trade = array.rows[0].copy()
    trade["ts_ns"], trade["price_ticks"] = 25, 105
    trade["word"] = TRADE | EXCHANGE_BIT | 3 << LOTS_SHIFT
    array.rows = np.insert(array.rows, 2, trade)
    (found,) = mids_at([MARKET], [array], [np.array([26], np.int64)])
    assert found.tolist() == [200]


@pytest.mark.parametrize("window", [1, 2, 3])
def test_windows_do_not_matter(window: int) -> None:
    class Slow(RowArray):
        def read(self, rows_max: int) -> np.ndarray:
            return super().read(min(rows_max, window))

    slow = Slow(stream(*LEVELS).rows, 90, 110)
    (found,) = mids_at([MARKET], [slow], [np.array([5, 20, 30, 39, 50], np.int64)])
    assert found.tolist() == [0, 200, 203, 203, 0]


def test_each_market_has_its_own() -> None:
    other = tuple((ts_ns, side, ticks - 4, lots) for ts_ns, side, ticks, lots in LEVELS)
    times = [np.array([20], np.int64), np.array([], np.int64), np.array([30], np.int64)]
    found = mids_at([MARKET] * 3, [stream(*LEVELS), stream(*LEVELS), stream(*other)], times)
    assert [one.tolist() for one in found] == [[200], [], [195]]
