import pytest

from tests.alpha.truth.intervals import interval


def test_the_interval_of_three_samples_by_hand() -> None:
    # Deviation 1, error 1 / sqrt(3), and 4.3027 is Student's quantile of 97.5 % for two degrees of freedom.
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert (found.low, found.high) == pytest.approx((2.0 - 4.3027 / 3**0.5, 2.0 + 4.3027 / 3**0.5), abs=1e-4)
    assert interval([1.0, 2.0, 3.0], confidence=0.99).low < found.low


def test_one_sample_has_no_interval() -> None:
    assert interval([0.5]) == (0.5, 0.5, 0.5)
