"""The test of Diebold and Mariano: against its formula row by row, its size without a difference, its power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.evaluation.comparison import diebold_mariano, newey_west
from hlhft.alpha.evaluation.rows import Cells


def cells_of(cell: np.ndarray, a_block: int) -> Cells:
    count = int(cell.max()) + 1
    return Cells(cell, count, a_block, count // a_block)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(0, 8))
def test_the_variance_is_bartlett_weighted(values: list[float], lags: int) -> None:
    expected = sum(
        max(0.0, 1.0 - abs(i - j) / (lags + 1.0)) * a * b
        for i, a in enumerate(values)
        for j, b in enumerate(values)
        if abs(i - j) <= lags
    )
    assert newey_west(np.array(values), lags) == pytest.approx(max(0.0, expected), abs=1e-6)


def test_by_hand() -> None:
    # One row a cell, lags 1: the deviations are -1.5, -.5, .5, 1.5 and the variance of their sum 5 + 2 x .5 x 1.25.
    difference = np.array([1.0, 2.0, 3.0, 4.0])
    found = diebold_mariano(difference, cells_of(np.arange(4), 1))
    assert found is not None
    plain = 2.5 / math.sqrt(6.25 / 16.0)
    correction = math.sqrt((4 + 1 - 4 + 2 / 4) / 4)
    assert found.statistic == pytest.approx(plain * correction)
    assert found.cells == 4 and found.lags == 1 and 0.0 < found.p_value < 0.2


def test_rows_of_one_cell_are_one_piece_of_evidence() -> None:
    generator = np.random.default_rng(5)
    once = generator.normal(0.1, 1.0, 300)
    alone = diebold_mariano(once, cells_of(np.arange(300), 2))
    tenfold = diebold_mariano(np.repeat(once, 10), cells_of(np.repeat(np.arange(300), 10), 2))
    assert alone is not None and tenfold is not None
    assert tenfold.statistic == pytest.approx(alone.statistic)


def test_no_difference_is_seldom_found_and_a_real_one_often() -> None:
    generator = np.random.default_rng(6)
    found = {0.0: 0, 0.6: 0}
    worlds = 300
    for shift in found:
        for _ in range(worlds):
            noise = np.convolve(generator.normal(size=410), np.ones(5), mode="valid")[:400]
            test = diebold_mariano(noise + shift, cells_of(np.arange(400), 16))
            assert test is not None
            found[shift] += test.p_value < 0.05
    assert found[0.0] <= 0.1 * worlds
    assert found[0.6] >= 0.6 * worlds


def test_what_never_differs_or_never_varies_is_no_evidence() -> None:
    found = diebold_mariano(np.zeros(50), cells_of(np.arange(50), 4))
    assert found is not None and found.statistic == 0.0 and found.p_value == 1.0


def test_too_little_time_is_not_tested() -> None:
    assert diebold_mariano(np.ones(7), cells_of(np.arange(7), 4)) is None
