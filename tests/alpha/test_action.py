"""Actions: bounded, exact at zero, never undefined."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.action import NAMES, NEUTRAL_E6, POLICY, write_policy
from hlhft.core.signals import (
    ASYMMETRY_E6_MAX,
    GAMMA_E6_MAX,
    GAMMA_E6_MIN,
    KIND_POLICY,
    SIGNAL_E6_MAX,
    SPREAD_E6_MAX,
    SPREAD_E6_MIN,
)
from hlhft.events import EventKind, empty

FIELDS = ("price_ticks", "size_lots", "order_id", "aux1")


def told(*action: float) -> tuple[int, ...]:
    event = empty(1)
    write_policy(event[0], np.array(action, np.float32), 3, 10, 20, 30)
    assert (event["kind"][0], event["market"][0]) == (EventKind.POLICY, 3)
    assert (event["ts_exch_ns"][0], event["ts_local_ns"][0], event["aux0"][0]) == (10, 20, 30)
    return tuple(int(event[name][0]) for name in FIELDS)


def test_zeros_are_the_closed_form_exactly() -> None:
    assert told(0, 0, 0, 0) == NEUTRAL_E6 == (1_000_000, 1_000_000, 1_000_000, 0)
    assert POLICY == KIND_POLICY == EventKind.POLICY and len(NAMES) == 4


def test_the_ends_are_the_core_s_bounds() -> None:
    assert told(1, 1, 1, 1) == (GAMMA_E6_MAX, SIGNAL_E6_MAX, SPREAD_E6_MAX, ASYMMETRY_E6_MAX)
    assert told(-1, -1, -1, -1) == (GAMMA_E6_MIN, 0, SPREAD_E6_MIN, -ASYMMETRY_E6_MAX)
    assert told(0.5, 0, 0.5, 0) == (2_000_000, 1_000_000, 1_414_214, 0)


@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_whatever_a_policy_says_is_within_the_bounds(action: list[float]) -> None:
    gamma, weight, spread, asymmetry = told(*action)
    assert GAMMA_E6_MIN <= gamma <= GAMMA_E6_MAX and 0 <= weight <= SIGNAL_E6_MAX
    assert SPREAD_E6_MIN <= spread <= SPREAD_E6_MAX and abs(asymmetry) <= ASYMMETRY_E6_MAX
    for value, found, neutral in zip(action, (gamma, weight, spread, asymmetry), NEUTRAL_E6, strict=True):
        if np.isnan(value) or np.isinf(value):
            assert found == neutral
