"""Products and quotients beyond 64 bits, against Python's own whole numbers."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.venue.arithmetic import EXACT_MAX, drawn, multiply_divide, next_state


def test_the_generator_is_lecuyers_of_1988():
    """s1 = 40014 s1 mod 2147483563, s2 = 40692 s2 mod 2147483399, and their difference mod 2147483562."""
    state = next_state(1, 1)
    assert state == (40_014, 40_692) and drawn(*state) == (40_014 - 40_692) % 2_147_483_562
    largest = next_state(2_147_483_562, 2_147_483_398)
    assert largest == (2_147_483_563 - 40_014, 2_147_483_399 - 40_692)


below = st.integers(-(EXACT_MAX - 1), EXACT_MAX - 1)


def truncated(first: int, second: int, divisor: int) -> int:
    magnitude = abs(first * second) // divisor
    return -magnitude if (first < 0) != (second < 0) else magnitude


@pytest.mark.parametrize(
    ("first", "second", "divisor", "expected"),
    [
        (7, 3, 2, 10),  # 21 / 2
        (-7, 3, 2, -10),  # toward zero, not down to -11
        (7, -3, 2, -10),
        (-7, -3, 2, 10),
        (0, EXACT_MAX - 1, 1, 0),
        (EXACT_MAX - 1, 0, 1, 0),
        (EXACT_MAX - 1, 1, 1, EXACT_MAX - 1),
        # (2^62 - 1)^2 / (2^62 - 1): the product has 124 digits.
        (EXACT_MAX - 1, EXACT_MAX - 1, EXACT_MAX - 1, EXACT_MAX - 1),
        # (2^62 - 1)(2^62 - 2) / (2^62 - 1), whose remainder is 0, and one less, whose remainder is not.
        (EXACT_MAX - 1, EXACT_MAX - 2, EXACT_MAX - 1, EXACT_MAX - 2),
        (EXACT_MAX - 2, EXACT_MAX - 2, EXACT_MAX - 1, EXACT_MAX - 3),
        # The largest product that is still taken directly, 2^62, and the first that is not.
        (2**31, 2**31, 3, 2**62 // 3),
        (2**31, 2**31 + 1, 3, 2**31 * (2**31 + 1) // 3),
        # A part of the divisor comes first and what remains of it after.
        (10**18 + 7, 10**12, 10**15, (10**18 + 7) // 1000),
    ],
)
def test_by_hand(first, second, divisor, expected):
    assert multiply_divide(first, second, divisor) == expected


@settings(max_examples=200)
@given(below, below, st.integers(1, EXACT_MAX - 1))
@example(EXACT_MAX - 1, EXACT_MAX - 1, EXACT_MAX - 1)
@example(-(EXACT_MAX - 1), EXACT_MAX - 1, EXACT_MAX - 1)
def test_it_is_the_truncated_quotient_wherever_that_fits(first, second, divisor):
    expected = truncated(first, second, divisor)
    if abs(expected) >= EXACT_MAX:
        # Scaled down until it fits, so that no draw is wasted.
        second = second // (abs(expected) // EXACT_MAX + 1) // 2
        expected = truncated(first, second, divisor)
    assert abs(expected) < EXACT_MAX
    assert multiply_divide(first, second, divisor) == expected
