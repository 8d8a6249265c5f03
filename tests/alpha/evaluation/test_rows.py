"""Time cut into cells and blocks, and calls of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.evaluation.rows import (
    BLOCKS_MIN,
    CELLS_A_BLOCK,
    DAY_NS,
    DAYS_MIN,
    HOUR_NS,
    HOURS_MIN,
    calls_of,
    cut,
    days_of,
)
from tests.alpha.evaluation.worlds import SECOND_NS, THIRDS


def test_a_day_counts_when_enough_of_its_hours_hold_rows() -> None:
    hours = np.arange(HOURS_MIN) * HOUR_NS
    assert days_of(hours) == days_of(np.repeat(hours, 9)) == 1
    assert days_of(hours[1:]) == 0
    assert days_of(np.concatenate([hours, hours + 5 * DAY_NS, hours[1:] + 7 * DAY_NS])) == 2
    assert days_of(np.array([DAY_NS - 1, DAY_NS])) == days_of(np.zeros(0, dtype=np.int64)) == 0


def test_from_twenty_days_on_a_block_is_a_day() -> None:
    ts_ns = np.repeat(np.arange(DAYS_MIN) * DAY_NS, HOURS_MIN) + np.tile(np.arange(HOURS_MIN) * HOUR_NS, DAYS_MIN)
    cells = cut(ts_ns, 500_000_000)
    assert cells.cells == cells.blocks == DAYS_MIN and cells.a_block == 1
    assert cells.cell.tolist() == np.repeat(np.arange(DAYS_MIN), HOURS_MIN).tolist()
    assert cut(ts_ns[:-1], 500_000_000).cells != DAYS_MIN, "nineteen days and a part are not cut by day"


@given(
    n=st.integers(1, 400),
    step_ms=st.integers(1, 3_000),
    horizon_ms=st.integers(1, 20_000),
    seed=st.integers(0, 1_000),
)
def test_a_block_spans_two_lives_of_a_label(n: int, step_ms: int, horizon_ms: int, seed: int) -> None:
    gaps = np.random.default_rng(seed).integers(1, step_ms * 2_000_000, n)
    ts_ns = np.cumsum(gaps)
    cells = cut(ts_ns, horizon_ms * 1_000_000)
    # In order of time, without holes.
    assert (np.diff(cells.cell) >= 0).all() and np.unique(cells.cell).tolist() == list(range(cells.cells))
    for first in range(cells.cells - CELLS_A_BLOCK):
        begin = ts_ns[cells.cell == first].max()
        end = ts_ns[cells.cell == first + CELLS_A_BLOCK].min()
        # Between a cell and the one that is a block later stand two lives, less the cell itself.
        assert end - begin >= 2 * horizon_ms * 1_000_000 * (CELLS_A_BLOCK - 1) / CELLS_A_BLOCK - 2
    assert cells.blocks == 0 or cells.blocks >= BLOCKS_MIN


def test_too_little_time_has_no_blocks() -> None:
    assert cut(np.arange(5) * SECOND_NS, 10 * SECOND_NS).blocks == 0
    assert cut(np.zeros(0, dtype=np.int64), SECOND_NS).cells == 0
    assert cut(np.arange(2_000) * SECOND_NS, SECOND_NS).blocks > BLOCKS_MIN


def test_coins_at_one_time_share_a_cell() -> None:
    one = np.arange(500) * SECOND_NS
    both = cut(np.concatenate([one, one]), SECOND_NS)
    assert both.cell[:500].tolist() == both.cell[500:].tolist()


def test_the_likeliest_class_is_named_and_the_balanced_call_weighs_classes_alike() -> None:
    p = np.array([[0.2, 0.7, 0.1], [0.05, 0.5, 0.45]])
    found = calls_of(p, np.zeros(2), np.array([0.1, 0.8, 0.1]))
    assert found.calls.tolist() == [1, 1]
    assert found.balanced.tolist() == [0, 2]


def test_a_rule_s_own_calls_stand() -> None:
    p = np.array([[0.2, 0.7, 0.1]])
    found = calls_of(p, np.zeros(1), THIRDS, np.array([2]))
    assert found.calls.tolist() == found.balanced.tolist() == [2]


@pytest.mark.parametrize(
    ("p", "mu", "word"),
    [
        ([[0.5, 0.5]], [0.0], "shape"),
        ([[0.2, 0.3, 0.5]], [0.0, 1.0], "shape"),
        ([[float("nan"), 0.5, 0.5]], [0.0], "no number"),
        ([[0.2, 0.3, 0.5]], [float("inf")], "no number"),
        ([[-0.5, 1.0, 0.5]], [0.0], "below 0"),
        ([[0.5, 0.5, 0.5]], [0.0], "not 1"),
    ],
)
def test_what_is_no_probability_is_refused(p: list[list[float]], mu: list[float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        calls_of(np.array(p), np.array(mu), THIRDS)
