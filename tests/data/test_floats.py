"""Floats as whole units: exact within a billionth, refused by row otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.floats import cut_to_lots, refusing, whole
from hlhft.units import LOTS_MAX


@settings(max_examples=60)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=9), st.integers(0, 5))
def test_every_decimal_comes_back(units: list[int], decimals: int) -> None:
    values = np.array([float(f"{unit}e-{decimals}") for unit in units])
    assert whole(values, decimals, LOTS_MAX, refusing("a", 0), "size", "lot").tolist() == units
    same, cut = cut_to_lots(values, decimals, np.ones(len(units), dtype=np.bool_))
    assert (same.tolist(), cut) == (values.tolist(), 0)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "size is not finite, expected a number"),
        (float("inf"), "size is not finite"),
        (-1.0, "size is out of range, expected 0 or more"),
        (1e300, "size is out of range"),
        (0.15, "size is no whole lot of 1e-1"),
    ],
)
def test_what_is_no_number_of_units_is_refused_by_its_row(value: float, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        whole(np.array([0.1, value]), 1, LOTS_MAX, refusing("a", 7), "size", "lot")
    assert str(caught.value).startswith(f"a, row 8: {problem}")
    assert str(caught.value).endswith(", correct or drop the row")


def test_only_what_rests_is_cut() -> None:
    values, resting = np.array([0.19, 0.19, float("nan"), 0.3]), np.array([True, False, True, True])
    found, cut = cut_to_lots(values, 1, resting)
    assert cut == 1
    assert found[[0, 1, 3]].tolist() == [0.1, 0.19, 0.3]
