"""The error of a mean over blocks of time: known cases, Student's table, and a band that holds as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.report.bootstrap import BLOCKS_MAX, BLOCKS_MIN, band_factor, blocks_used, ratio_error, student_quantile


def test_of_equal_weights_it_is_the_usual_standard_error() -> None:
    values = np.arange(20.0)
    assert ratio_error(values, np.ones(20)) == pytest.approx(values.std(ddof=1) / math.sqrt(20), rel=0.05)


def test_the_same_ratio_everywhere_has_no_error() -> None:
    weights = np.arange(1.0, 10.0)
    assert ratio_error(0.25 * weights, weights) == pytest.approx(0.0, abs=1e-12)


def test_few_blocks_have_none_and_empty_blocks_are_no_blocks() -> None:
    weights = np.append(np.ones(BLOCKS_MIN - 1), np.zeros(50))
    assert ratio_error(weights, weights) is None
    assert blocks_used(weights) == BLOCKS_MIN - 1
    assert ratio_error(np.zeros(0), np.zeros(0)) is None
    assert ratio_error(np.ones(BLOCKS_MIN), np.ones(BLOCKS_MIN)) is not None


def test_many_blocks_become_longer_ones() -> None:
    """Neighbours that undo each other have a large error one by one, and none where they are put together."""
    values = np.tile([1.0, -1.0], 5 * BLOCKS_MAX)
    assert blocks_used(np.ones(len(values))) == BLOCKS_MAX
    assert ratio_error(values, np.ones(len(values))) == pytest.approx(0.0, abs=1e-12)
    assert blocks_used(np.ones(BLOCKS_MAX + 1)) == BLOCKS_MAX // 2 + 1


def test_the_same_data_give_the_same_error() -> None:
    values = np.sin(np.arange(50.0))
    assert ratio_error(values, np.ones(50)) == ratio_error(values.copy(), np.ones(50))


@settings(max_examples=20)
@given(st.lists(st.floats(-100, 100), min_size=6, max_size=40), st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_shift(values: list[float], scale: float, shift: float) -> None:
    gains, weights = np.array(values), np.ones(len(values))
    error = ratio_error(gains, weights)
    assert error is not None
    assert ratio_error(scale * gains + shift, weights) == pytest.approx(scale * error, abs=1e-9)


@pytest.mark.parametrize(
    ("normal", "freedom", "expected"),
    [(1.959964, 5, 2.5706), (1.959964, 11, 2.2010), (2.497705, 6, 3.5212), (2.807034, 30, 3.0298), (1.0, 10**6, 1.0)],
)
def test_students_quantiles_are_those_of_the_table(normal: float, freedom: int, expected: float) -> None:
    assert student_quantile(normal, freedom) == pytest.approx(expected, rel=0.003)


def test_the_more_is_claimed_the_wider_the_band() -> None:
    assert band_factor(1000, 1) == pytest.approx(1.962, abs=0.001)
    assert band_factor(6, 1) == pytest.approx(2.5706, rel=0.003)
    assert band_factor(1000, 1) < band_factor(1000, 10) < band_factor(1000, 200) < 4.0
    assert band_factor(6, 4) > band_factor(12, 4) > band_factor(500, 4)


def test_the_band_holds_as_often_as_it_says() -> None:
    """A thousand markets without any edge, twelve blocks each: about one in twenty is outside its own band."""
    random = np.random.default_rng(7)
    outside = 0
    for _ in range(1000):
        gains, weights = random.normal(size=12), random.uniform(1.0, 3.0, 12)
        error = ratio_error(gains, weights)
        assert error is not None
        outside += abs(gains.sum() / weights.sum()) > band_factor(12, 1) * error
    assert 30 <= outside <= 70
