"""The figures, on data small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.exchange.flow.rehearsal import DEPTH_DTYPE, TOUCH_DTYPE, TRADE_DTYPE
from hlhft.exchange.flow.statistics import BLOCK_NS, NAMES, SAMPLE_NS, MarketData, errors, measure
from tests.exchange.flow.stage import BTC

START = 1_000 * SAMPLE_NS
END = START + BLOCK_NS + 10**9
BLOCKS = np.array([0])


def market(touches, trades, depths=((START, 1_000),)) -> MarketData:
    """Touches as (ns after the start, bid, bid lots, ask, ask lots), prices in whole dollars; a last one ends it."""
    touch_rows = np.zeros(len(touches) + 1, TOUCH_DTYPE)
    for row, (after_ns, bid, bid_lots, ask, ask_lots) in enumerate([*touches, (END - START, *touches[-1][1:])]):
        touch_rows[row] = (START + after_ns, 0, bid * 10, bid_lots, ask * 10, ask_lots)
    trade_rows = np.zeros(len(trades), TRADE_DTYPE)
    for row, (after_ns, side, price, lots) in enumerate(trades):
        trade_rows[row] = (START + after_ns, 0, side, price * 10, lots)
    depth_rows = np.zeros(len(depths), DEPTH_DTYPE)
    for row, (ts_ns, lots) in enumerate(depths):
        depth_rows[row] = (ts_ns, 0, lots, 40)
    return MarketData(BTC, touch_rows, trade_rows, depth_rows)


def steady(step_at: dict[int, int], every_ns: int = 10**9) -> list[tuple[int, int, int, int, int]]:
    """A touch a second at 100,000 / 100,001, the bid queue three times the ask's; moved by step_at[s] in second s."""
    rows, moved = [], 0
    for second in range(BLOCK_NS // every_ns):
        moved += step_at.get(second, 0)
        rows.append((second * every_ns, 100_000 + moved, 300_000, 100_001 + moved, 100_000))
    return rows


def test_rates_and_sizes():
    trades = [
        (10**9, 1, 100_001, 50_000),
        (10**9, 1, 100_001, 50_000),
        (10**9, -1, 100_000, 1_000),
        (2 * 10**9, 1, 100_001, 100),
    ]
    found = measure(market(steady({}), trades), BLOCKS)
    assert found.trades_per_minute == 4
    assert found.events_per_minute == 3
    assert found.event_usdc == pytest.approx(1_000), "of 100,001, 1,000 and 100 USDC"
    assert found.usdc_per_minute == pytest.approx(100_001 * 1.001 + 1_000)
    assert found.touches_per_s == pytest.approx(1.0)
    assert found.spread_bp == pytest.approx(1 / 100_000.5 * 1e4)
    assert found.one_step_share == 1.0
    assert found.touch_usdc == pytest.approx(200_000, rel=0.6)
    assert found.depth_usdc == pytest.approx(0.01 * 100_000.5)
    assert found.unmoved_share == 1.0
    assert found.move_bp == 0.0
    assert found.train_ratio == 1.0
    assert found.imbalance_share == 0.5, "nothing ever moved"


def test_a_markout_is_the_passive_sides():
    # A buyer takes 100,001; a second later the mid is two dollars higher, ten seconds later four lower.
    data = market(steady({6: 2, 12: -6}), [(5 * 10**9, 1, 100_001, 10)])
    found = measure(data, BLOCKS)
    assert found.markout_1_bp == pytest.approx(-(100_002.5 - 100_001) / 100_001 * 1e4)
    assert found.markout_10_bp == pytest.approx(-(99_996.5 - 100_001) / 100_001 * 1e4)
    sold = measure(market(steady({6: 2, 12: -6}), [(5 * 10**9, -1, 100_000, 10)]), BLOCKS)
    assert sold.markout_1_bp == pytest.approx((100_002.5 - 100_000) / 100_000 * 1e4)
    late = measure(market(steady({}), [(BLOCK_NS - 10**9, 1, 100_001, 10)]), BLOCKS)
    assert late.markout_60_bp == 0.0, "no horizon lies within the data"


def test_of_a_sweep_the_touch_sees_the_first_fill_and_the_money_the_large_ones():
    # A buyer sweeps 100,001 and 100,003, told in the other order; another time a seller takes one lot of the touch.
    sweep = [(5 * 10**9, 1, 100_003, 90), (5 * 10**9, 1, 100_001, 10)]
    data = market(steady({6: 2}), [*sweep, (20 * 10**9, -1, 100_002, 100)])
    first, second, sold = (-(100_002.5 - p) / p * 1e4 for p in (100_001, 100_003, 100_002))
    found = measure(data, BLOCKS)
    assert found.events_per_minute == 2
    assert found.markout_1_bp == pytest.approx((first + second - sold) / 3)
    assert found.touch_markout_1_bp == pytest.approx((first - sold) / 2)
    assert found.touch_markout_10_bp == pytest.approx((first - sold) / 2)
    assert found.value_markout_1_bp == pytest.approx((first * 10 + second * 90 - sold * 100) / 200, rel=1e-4)


def test_moves_and_what_the_imbalance_said():
    found = measure(market(steady({20: 3, 40: -1}), [(10**9, 1, 100_001, 10)]), BLOCKS)
    # Samples up to the move at 20 s are right, those to the one at 40 s wrong; later ones have none.
    assert found.imbalance_share == pytest.approx(0.5, abs=0.01)
    moves = np.zeros(BLOCK_NS // SAMPLE_NS)
    moves[0], moves[1] = 3 / 100_000.5 * 1e4, -1 / 100_003.5 * 1e4
    assert found.move_bp == pytest.approx(moves.std(), rel=0.02)
    assert found.unmoved_share == pytest.approx(1 - 2 / len(moves), abs=0.001)


def test_a_train_of_moves_shows():
    train = dict.fromkeys(range(10, 16), 1)
    alternating = {second: 1 if second % 2 else -1 for second in range(10, 40)}
    trades = [(10**9, 1, 100_001, 10)]
    assert measure(market(steady(train), trades), BLOCKS).train_ratio > 3
    assert measure(market(steady(alternating), trades), BLOCKS).train_ratio < 0.3


def test_while_the_recorder_is_silent_nothing_is_sampled():
    rows = [row for row in steady({30: 50}) if not 10 * 10**9 < row[0] < 30 * 10**9]
    found = measure(market(rows, [(10**9, 1, 100_001, 10)]), BLOCKS)
    assert found.unmoved_share == 1.0, "the move fell into the silence"


def test_only_the_blocks_that_were_asked_for_count():
    rows = steady({})
    wide = [(after_ns + BLOCK_NS, 100_000, 100, 100_010, 100) for after_ns, *_ in rows]
    trades = [(10**9, 1, 100_001, 10)] * 3 + [(BLOCK_NS + 1, 1, 100_010, 10)]
    data = market([*rows, *wide], trades, [(START, 1_000), (START + BLOCK_NS, 3_000)])
    data.touches["ts_ns"][-1] = START + 2 * BLOCK_NS + 1
    assert list(data.blocks()) == [0, 1]
    first, second = measure(data, np.array([0])), measure(data, np.array([1]))
    assert (first.one_step_share, second.one_step_share) == (1.0, 0.0)
    assert (first.trades_per_minute, second.trades_per_minute) == (3, 1)
    assert second.depth_usdc == pytest.approx(3 * first.depth_usdc, rel=0.001)
    assert len(NAMES) == len(first.values()) == 19


def test_nothing_to_measure_is_an_error():
    data = market(steady({}), [(10**9, 1, 100_001, 10)])
    with pytest.raises(ValueError, match="BTC: no whole block of data or no trade to measure"):
        measure(data, np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="no trade"):
        measure(market(steady({}), []), BLOCKS)


def test_errors_are_those_of_the_mean_of_blocks():
    """For a figure that is a mean over blocks the jackknife is the standard error of the mean."""
    count = 6
    rows = [(second * 10**9, 100_000, 100, 100_001, 100) for second in range(count * BLOCK_NS // 10**9)]
    trades = [(block * BLOCK_NS + 1 + number, 1, 100_001, 10) for block in range(count) for number in range(1 + block)]
    data = market(rows, trades, [(START + block * BLOCK_NS + 1, 1_000) for block in range(count)])
    data.touches["ts_ns"][-1] = START + count * BLOCK_NS + 1
    found = dict(zip(NAMES, errors(data, np.arange(count))))
    per_minute = np.arange(1, count + 1) / (BLOCK_NS / 60e9)
    assert found["trades_per_minute"] == pytest.approx(per_minute.std(ddof=1) / np.sqrt(count))
    assert found["spread_bp"] == pytest.approx(0.0)
