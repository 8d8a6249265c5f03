"""Markouts by hand: the sign is ours, the weight is the fill's value, the band comes from blocks of time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.report.markouts import (
    BLOCKS_MIN,
    FILL_KIND,
    HORIZONS_NS,
    REASONS,
    block_mean,
    horizons_of,
    markouts,
    of_group,
)
from hlhft.venue.recorded import FillReason
from tests.report.histories import PERPETUAL, SECOND, History

HORIZONS = len(HORIZONS_NS)


def fills(*sides_and_prices: tuple[int, int]) -> History:
    made = History([PERPETUAL])
    for side, ticks in sides_and_prices:
        made.fill(side, ticks, 1, mid=200)
        made.wait(60 * SECOND)
    return made


def test_a_buy_gains_when_the_mid_rises_and_a_sell_when_it_falls() -> None:
    made = fills((1, 99), (-1, 99))
    later = np.full((2, HORIZONS), 208)
    found = markouts(made.log, later, np.ones(2))
    buys, sells = of_group(found, "buys"), of_group(found, "sells")
    assert [one.horizon_s for one in buys] == [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0]
    assert buys[0].mean_bp == pytest.approx(1 / 99 * 1e4)
    assert buys[1].mean_bp == pytest.approx(5 / 99 * 1e4)
    assert sells[1].mean_bp == pytest.approx(-5 / 99 * 1e4)
    both = of_group(found, "all")[1]
    assert (both.mean_bp, both.fills, both.error_bp) == (pytest.approx(0.0), 2, None)


def test_the_mean_is_weighted_by_value() -> None:
    made = fills((1, 100), (1, 100))
    later = np.zeros((2, HORIZONS), np.int64)
    later[:, 0] = 202, 206
    (_, after) = of_group(markouts(made.log, later, np.array([3.0, 1.0])), "all")[:2]
    assert after.mean_bp == pytest.approx((3 * 100 + 1 * 300) / 4)


def test_an_unknown_mid_does_not_count() -> None:
    made = fills((1, 100), (1, 100))
    later = np.zeros((2, HORIZONS), np.int64)
    later[0, 0] = 202
    found = of_group(markouts(made.log, later, np.ones(2)), "all")
    assert (found[1].fills, found[1].mean_bp) == (1, pytest.approx(100.0))
    assert (found[2].fills, found[2].mean_bp, found[2].error_bp) == (0, None, None)


def test_groups_are_sides_and_reasons_that_have_fills() -> None:
    made = History([PERPETUAL])
    made.fill(1, 100, 1, mid=200, reason=3)
    made.fund(5)
    found = markouts(made.log, np.full((2, HORIZONS), 200), np.ones(2))
    assert {one.group for one in found} == {"all", "buys", "crossed"}
    assert markouts(made.log[1:], np.zeros((1, HORIZONS), np.int64), np.ones(1)) == ()


def test_fills_of_one_block_count_once() -> None:
    """Six blocks of two equal values each: the error is that of six numbers, not of twelve."""
    values = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2)
    times = np.repeat(np.arange(6), 2) * 10 * SECOND
    mean, error = block_mean(values, np.ones(12), times, 10 * SECOND)
    assert mean == pytest.approx(3.5)
    assert error == pytest.approx(math.sqrt(17.5 / 5) / math.sqrt(6))


def test_the_band_is_wider_where_fewer_blocks_tell_of_it() -> None:
    """Student's factors for 95 %: 2.776 with 5 blocks, 2.045 with 30. Two standard errors are too few for either."""
    for blocks, factor in ((BLOCKS_MIN, 2.776), (30, 2.045)):
        made = History([PERPETUAL])
        made.now_ns -= made.now_ns % (20 * SECOND)
        for number in range(blocks):
            made.fill(1, 100, 1, mid=200 + number % 3)
            made.wait(20 * SECOND)
        at_fill = of_group(markouts(made.log, np.zeros((blocks, HORIZONS), np.int64), np.ones(blocks)), "all")[0]
        assert (at_fill.blocks, at_fill.fills) == (blocks, blocks)
        assert at_fill.error_bp is not None and at_fill.error_bp > 0.0
        assert at_fill.band_bp == pytest.approx(factor * at_fill.error_bp, rel=0.001)


def test_too_few_blocks_have_no_band_and_nothing_has_no_mean() -> None:
    times = np.arange(BLOCKS_MIN) * SECOND
    values, weights = np.arange(float(BLOCKS_MIN)), np.ones(BLOCKS_MIN)
    assert block_mean(values, weights, times, SECOND)[1] is not None
    assert block_mean(values[1:], weights[1:], times[1:], SECOND) == (pytest.approx(2.5), None)
    assert block_mean(values[:0], weights[:0], times[:0], SECOND) == (None, None)
    assert block_mean(values, 0.0 * weights, times, SECOND) == (None, None)


def test_blocks_grow_with_the_horizon() -> None:
    """Twelve fills, 20 s apart: at 10 s each block holds one, at 30 s three, and four blocks are too few."""
    made = History([PERPETUAL])
    made.now_ns -= made.now_ns % (240 * SECOND)
    for _ in range(12):
        made.fill(1, 100, 1, mid=200)
        made.wait(20 * SECOND)
    found = of_group(markouts(made.log, np.full((12, HORIZONS), 202), np.ones(12)), "all")
    assert [one.error_bp for one in found] == [*[0.0] * 6, None, None, None, None]


def test_horizons_are_exchange_times() -> None:
    made = fills((1, 100))
    assert (horizons_of(made.log) - made.start_ns).tolist() == [list(HORIZONS_NS)]


def test_reasons_and_kinds_are_those_of_the_venue() -> None:
    names = {reason.value: reason.name.replace("_", " ").lower() for reason in FillReason if reason}
    assert names == REASONS
    assert EventKind.ORDER_FILLED == FILL_KIND
