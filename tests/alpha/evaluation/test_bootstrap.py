"""Resamples of blocks, their intervals, and that they cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.evaluation.bootstrap import RESAMPLES_MAX, measured, weights
from hlhft.alpha.evaluation.rows import Cells


def cells_of(count: int, a_block: int) -> Cells:
    return Cells(np.arange(count), count, a_block, count // a_block)


@given(count=st.integers(10, 60), a_block=st.integers(1, 8), seed=st.integers(0, 1_000))
def test_a_resample_is_made_of_whole_blocks_that_go_round(count: int, a_block: int, seed: int) -> None:
    found = weights(cells_of(count, a_block), resamples=3, seed=seed)
    generator = np.random.default_rng(seed)
    for row in found:
        expected = np.zeros(count)
        for start in generator.integers(0, count, -(-count // a_block)):
            for step in range(a_block):
                expected[(start + step) % count] += 1.0
        assert row.tolist() == expected.tolist()


def test_the_same_seed_gives_the_same_resamples() -> None:
    cells = cells_of(40, 4)
    assert (weights(cells, resamples=5, seed=7) == weights(cells, resamples=5, seed=7)).all()
    assert (weights(cells, resamples=5, seed=7) != weights(cells, resamples=5, seed=8)).any()


def test_without_enough_blocks_there_is_no_resample_and_no_interval() -> None:
    found = weights(Cells(np.arange(5), 5, 1, 0), seed=1)
    assert found.shape == (0, 5)
    assert measured(1.5, found[:, 0]).low is None
    assert "blocks" in measured(1.5, found[:, 0]).why


def test_resamples_are_bounded() -> None:
    with pytest.raises(ValueError, match="resamples"):
        weights(cells_of(40, 4), resamples=RESAMPLES_MAX + 1, seed=1)


def test_what_is_not_defined_says_why() -> None:
    found = measured(float("nan"), np.ones(100), why="no direction was called")
    assert found.value is None and found.low is None and found.why == "no direction was called"
    often = np.where(np.arange(100) < 10, np.nan, 1.0)
    assert measured(1.0, often).low is None and measured(1.0, often).value == 1.0
    seldom = np.where(np.arange(100) < 4, np.nan, 1.0)
    assert measured(1.0, seldom).low == 1.0


def test_the_interval_is_that_of_the_percentiles() -> None:
    found = measured(50.0, np.arange(1001) / 10.0, confidence=0.9)
    assert (found.low, found.high) == (pytest.approx(5.0), pytest.approx(95.0))


def test_intervals_cover_the_mean_of_what_hangs_together_where_single_rows_would_not() -> None:
    generator = np.random.default_rng(3)
    covered = {1: 0, 20: 0}
    worlds = 120
    for world in range(worlds):
        noise = generator.normal(size=420)
        values = np.convolve(noise, np.ones(10), mode="valid")[:400]
        for a_block in covered:
            again = weights(cells_of(400, a_block), resamples=200, seed=world) @ values / 400.0
            found = measured(float(values.mean()), again)
            assert found.low is not None and found.high is not None
            covered[a_block] += found.low <= 0.0 <= found.high
    assert covered[20] >= 0.85 * worlds, "blocks hold what hangs together"
    assert covered[1] <= 0.6 * worlds, "rows drawn one by one are far too sure"
