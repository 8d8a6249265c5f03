"""Slots as compiled code finds them: by address, the same arrays; and the pieces that a step is made of."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.alpha import action
from hlhft.alpha.fleet import Fleet
from hlhft.alpha.lanes import EPISODE_DTYPE, HANDLE, handle_of, variance_until
from hlhft.backtest.loop import Status
from tests.alpha import worlds

# Its compilation is of the environment alone, which only these tests need.
pytestmark = pytest.mark.alpha


def begun(**changes: float) -> Fleet:
    fleet = Fleet(worlds.task(decision_s=2.0), 1)
    fleet.assign(0, worlds.path(3, **changes))
    fleet.begin(np.ones(1, bool))
    return fleet


def test_a_handle_holds_the_addresses_of_all_arrays() -> None:
    fleet = begun()
    slot = fleet.slots[0]
    assert slot is not None
    handle = handle_of(slot)
    assert handle.shape == (HANDLE,) and np.array_equal(handle, fleet.handles[0])
    assert handle[10] == slot.loop.ctypes.data and handle[-1] == slot.variance.ctypes.data
    assert len(set(handle[10:].tolist())) == HANDLE - 10, "no array is named twice"


def test_a_slot_pauses_at_each_decision_and_knows_when_its_path_ends() -> None:
    fleet = begun()
    episode = fleet.episodes[0]
    assert episode["now_ns"] == episode["begin_ns"] + 10_000_000_000 and episode["status"] == Status.PAUSED
    steps = 0
    while fleet.outcomes["done"][0] == 0:
        fleet.step(np.zeros((1, action.SIZE), np.float32))
        steps += 1
    assert steps == 25 == episode["steps"]  # 50 s at 2 s each
    assert episode["now_ns"] <= episode["end_ns"] < episode["now_ns"] + 2_000_000_000
    fleet.finish(0)
    assert episode["status"] == Status.DONE


def test_what_a_slot_is_told_is_in_order_of_arrival_with_what_its_path_says() -> None:
    fleet = begun(drift_bp=0.2)
    path = fleet.paths[0]
    assert path is not None
    for _ in range(25):
        fleet.step(np.zeros((1, action.SIZE), np.float32))
    told = fleet.told(0)
    assert (np.diff(told["ts_local_ns"]) >= 0).all()
    policies = told[told["kind"] == action.POLICY]
    assert len(policies) == 25
    np.testing.assert_array_equal(np.diff(policies["ts_exch_ns"]), 2_000_000_000)
    np.testing.assert_array_equal(policies["ts_local_ns"] - policies["ts_exch_ns"], 1)
    np.testing.assert_array_equal(policies["aux0"] - policies["ts_local_ns"], 10_000_000_000)
    signals = told[told["kind"] != action.POLICY]
    assert signals.tobytes() == path.signals[: len(signals)].tobytes()
    later = path.signals[len(signals) :]
    assert len(later) == 0 or later["ts_local_ns"][0] > fleet.episodes["now_ns"][0]


def test_variance_is_linear_between_seconds_and_ends_with_the_path() -> None:
    fleet = begun(sigma_bp=2.0)
    slot = fleet.slots[0]
    episode = np.zeros(1, EPISODE_DTYPE)[0]
    assert slot is not None
    for at_s, expected in ((-1.0, 0.0), (0.0, 0.0), (0.25, 1.0), (10.5, 42.0), (60.0, 240.0), (99.0, 240.0)):
        assert variance_until(slot, episode, round(at_s * 1e9)) == pytest.approx(expected)
    unknown = slot._replace(variance=np.zeros(1))
    assert variance_until(unknown, episode, 5_000_000_000) == 0.0
