"""The block clock, its determinism, and the order of actions inside a block."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core import state as core_state
from hlhft.venue import blocks
from hlhft.venue.blocks import (
    ACTION_DTYPE,
    BLOCK_NONE,
    QUANTILE_STEPS,
    ActionKind,
    TimeInForce,
    block_including,
    new_clock,
    next_block_time,
    next_random,
    sort_actions,
    spacing_quantiles,
)

MS = 1_000_000
PLACE, CANCEL, MODIFY = ActionKind.PLACE, ActionKind.CANCEL, ActionKind.MODIFY
BACKGROUND = (ActionKind.BACKGROUND_LEVEL, ActionKind.BACKGROUND_TRADE)
ALO, GTC, IOC, MARKET = TimeInForce
REFERENCE = {"mean_ns": 78 * MS, "deviation_ns": 30 * MS, "ns_min": MS, "ns_max": 215 * MS}


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return spacing_quantiles(**REFERENCE)


def draw(clock, table, count: int) -> list[int]:
    return [next_block_time(clock, table) for _ in range(count)]


# The generator.


def test_the_generator_is_lecuyers_of_1988():
    """From the definition: s1 = 40014 s1 mod 2147483563, s2 = 40692 s2 mod 2147483399, their difference mod m1 - 1."""
    clock = new_clock(start_ns=0, seed=12345)
    clock["seed_1"], clock["seed_2"] = 1, 1
    assert next_random(clock[0]) == (40_014 - 40_692) % 2_147_483_562
    second_1, second_2 = 40_014**2 % 2_147_483_563, 40_692**2 % 2_147_483_399
    assert next_random(clock[0]) == (second_1 - second_2) % 2_147_483_562
    assert (clock[0]["seed_1"], clock[0]["seed_2"]) == (second_1, second_2)


@settings(max_examples=40)
@given(st.integers(0, 2**128))
def test_every_seed_starts_both_generators_in_their_range(seed):
    clock = new_clock(start_ns=5, seed=seed)[0]
    assert (clock["time_ns"], clock["height"], clock["given"]) == (5, 0, 0)
    assert 1 <= clock["seed_1"] < 2_147_483_563
    assert 1 <= clock["seed_2"] < 2_147_483_399
    assert 0 <= next_random(clock) <= 2_147_483_561


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="at least 0, not -1"):
        new_clock(start_ns=0, seed=-1)


def test_seeds_differ_from_their_neighbours(table):
    firsts = [draw(new_clock(start_ns=0, seed=seed)[0], table, 3) for seed in range(200)]
    assert len({tuple(first) for first in firsts}) == 200
    # And not by a constant step: neighbouring seeds are not correlated.
    steps = np.diff([first[0] for first in firsts])
    assert len(set(steps.tolist())) > 190
    # Seeds beyond the first generator's range go on in the second.
    assert draw(new_clock(start_ns=0, seed=2_147_483_562)[0], table, 3) != firsts[0]


# The spacing.


def test_quantiles_of_the_reference(table):
    assert table.dtype == np.int64
    assert len(table) == QUANTILE_STEPS + 1
    assert (np.diff(table) >= 0).all()
    assert (table % 1000 == 0).all(), "whole microseconds"
    assert table[0] == REFERENCE["ns_min"]
    assert table[-1] == REFERENCE["ns_max"]
    # Between two quantiles the draw is linear.
    middle = (table[1:] + table[:-1]) / 2
    assert abs(middle.mean() / MS - 78) < 0.5
    assert abs(middle.std() / MS - 30) < 1.0


@pytest.mark.parametrize(
    ("mean", "deviation", "smallest", "largest"),
    [
        (75 * MS, 1_000, 1, 10**9),  # a peak far narrower than the range
        (75 * MS, 1, 1, 10**9),
        (75 * MS, 5 * MS, 75 * MS, 80 * MS),
        (75 * MS, 200 * MS, MS, 10**9),  # wider than its mean
        (1_500, 700, 700, 3_300),  # bounds that are no whole microseconds
        (10, 1, 10, 10),  # nothing to choose
    ],
)
def test_quantiles_of_any_shape_stay_in_their_bounds(mean, deviation, smallest, largest):
    found = spacing_quantiles(mean_ns=mean, deviation_ns=deviation, ns_min=smallest, ns_max=largest)
    assert (np.diff(found) >= 0).all()
    assert smallest <= found[0] <= found[-1] <= largest
    if deviation * 100 < mean:
        assert abs(found - mean).max() <= max(12 * deviation, 1000)
        assert abs(int(found[QUANTILE_STEPS // 2]) - mean) <= 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {"ns_min": 0},
        {"ns_min": 79 * MS},
        {"ns_max": 77 * MS},
        {"deviation_ns": 0},
        {"mean_ns": -1},
    ],
)
def test_impossible_spacings_are_refused(wrong):
    with pytest.raises(ValueError, match="expected 0 < minimum <= mean <= maximum and a deviation above 0"):
        spacing_quantiles(**{**REFERENCE, **wrong})


def test_drawn_spacings_follow_the_table(table):
    times = draw(new_clock(start_ns=0, seed=7)[0], table, 4000)
    spacing = np.diff([0, *times])
    assert spacing.min() >= REFERENCE["ns_min"]
    assert spacing.max() <= REFERENCE["ns_max"]
    # The error of the mean of 4000 draws is 0.5 ms, so four of them.
    assert abs(spacing.mean() / MS - 78) < 2
    assert abs(spacing.std() / MS - 30) < 1.5
    # Not rank by rank in sequence: the next spacing does not depend on this one (error 0.016, so four of them).
    assert abs(np.corrcoef(spacing[1:], spacing[:-1])[0, 1]) < 0.064


def test_the_model_is_the_recorded_chain(recordings: Path):
    """A coarse picture of 1000 recorded blocks: mean and deviation agree, quantiles nearly."""
    (path,) = (recordings / "hyperliquid/node_fills_by_block_20251027").glob("*.jsonl.gz")
    with gzip.open(path, "rt") as lines:
        times = np.array([json.loads(line)["block_time"] for line in lines], dtype="datetime64[ns]").astype(np.int64)
    recorded = np.diff(times)
    table = spacing_quantiles(**REFERENCE)
    assert abs(recorded.mean() - table.mean()) < 4 * MS
    assert abs(recorded.std() - table.std()) < 2 * MS
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert abs(np.quantile(recorded, share) - table[int(share * QUANTILE_STEPS)]) < 12 * MS


# The clock.


def test_the_same_seed_gives_the_same_blocks(table):
    first, again = (draw(new_clock(start_ns=10**18, seed=42)[0], table, 50) for _ in range(2))
    assert first == again
    assert first == sorted(set(first))


KNOWN_DIGEST = """
import hashlib, numpy as np
from hlhft.venue.blocks import new_clock, next_block_time
table = np.arange(1025, dtype=np.int64) * 200_000 + 1_000_000
clock = new_clock(start_ns=10**18, seed=2**40 + 1)
times = np.array([next_block_time(clock[0], table) for _ in range(500)], dtype=np.int64)
print(hashlib.blake2b(times.tobytes() + clock.tobytes(), digest_size=8).hexdigest())
"""


def test_compiled_and_interpreted_clocks_agree():
    """In another process with compilation switched the other way, and another hash seed, the bytes are the same."""
    switched = {"NUMBA_DISABLE_JIT": "0" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "1", "PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", KNOWN_DIGEST], env={**os.environ, **switched}, capture_output=True, text=True, check=True
    )
    table = np.arange(1025, dtype=np.int64) * 200_000 + 1_000_000
    clock = new_clock(start_ns=10**18, seed=2**40 + 1)
    times = np.array(draw(clock[0], table, 500), dtype=np.int64)
    assert other.stdout.strip() == hashlib.blake2b(times.tobytes() + clock.tobytes(), digest_size=8).hexdigest()


def test_given_times_are_taken_and_then_used_up():
    given_times = np.array([100, 175, 300], dtype=np.int64)
    clock = new_clock(start_ns=0, seed=1, given=True)[0]
    assert draw(clock, given_times, 3) == [100, 175, 300]
    assert draw(clock, given_times, 2) == [BLOCK_NONE, BLOCK_NONE]
    assert (clock["time_ns"], clock["height"]) == (300, 3)


def test_the_block_that_includes_an_arrival():
    given_times = np.array([100, 175, 300], dtype=np.int64)
    clock = new_clock(start_ns=0, seed=1, given=True)[0]
    # Before the first block the start is no block, not even for what arrived before it.
    assert block_including(clock, given_times, -50) == 100
    assert block_including(clock, given_times, 100) == 100  # a block at the same instant counts
    assert block_including(clock, given_times, 101) == 175
    assert block_including(clock, given_times, 50) == 175  # the latest block, never an earlier one
    assert clock["height"] == 2
    assert block_including(clock, given_times, 301) == BLOCK_NONE


def test_drawn_blocks_include_arrivals_in_order(table):
    clock = new_clock(start_ns=10**18, seed=3)[0]
    before = 0
    for arrival in range(10**18, 10**18 + 2_000 * MS, 13 * MS):
        time = block_including(clock, table, arrival)
        assert arrival <= time < arrival + REFERENCE["ns_max"]
        assert time >= before
        before = time


# The order inside a block.


def actions_of(*legs: tuple[int, int, int]) -> np.ndarray:
    """(action, kind, time in force) rows in order of arrival."""
    rows = np.zeros(len(legs), ACTION_DTYPE)
    for row, (action, kind, time_in_force) in zip(rows, legs):
        row["action"], row["kind"], row["time_in_force"] = action, kind, time_in_force
    return rows


def executed(actions: np.ndarray) -> list[int]:
    out = np.full(len(actions), -1, dtype=np.int64)
    sort_actions(actions, len(actions), out)
    return out.tolist()


def test_post_only_then_cancels_then_takers():
    actions = actions_of((1, PLACE, IOC), (2, CANCEL, ALO), (3, PLACE, ALO), (4, PLACE, GTC), (5, CANCEL, ALO))
    assert executed(actions) == [2, 1, 4, 0, 3]
    assert actions["block_class"].tolist() == [2, 1, 0, 2, 1]


def test_one_taking_leg_costs_the_whole_action_its_place():
    """Action 1 mixes post-only with an IOC: its post-only leg waits too, and stays ahead of its IOC."""
    actions = actions_of((1, PLACE, ALO), (1, PLACE, IOC), (2, CANCEL, ALO), (3, PLACE, ALO))
    assert executed(actions) == [3, 2, 0, 1]
    assert actions["block_class"].tolist() == [2, 2, 1, 0]


def test_a_post_only_leg_makes_an_action_of_cancels_post_only():
    actions = actions_of((1, CANCEL, ALO), (2, CANCEL, ALO), (2, PLACE, ALO), (3, PLACE, ALO), (3, CANCEL, ALO))
    assert actions_classes(actions) == [1, 0, 0, 0, 0]


def actions_classes(actions: np.ndarray) -> list[int]:
    executed(actions)
    return actions["block_class"].tolist()


@pytest.mark.parametrize(("time_in_force", "expected"), [(ALO, 0), (GTC, 2), (IOC, 2)])
def test_a_modify_is_classed_by_its_new_order(time_in_force, expected):
    assert actions_classes(actions_of((1, MODIFY, time_in_force))) == [expected]


def test_a_cancel_is_never_a_taker_whatever_its_unused_field_says():
    assert actions_classes(actions_of((1, CANCEL, IOC))) == [1]


@pytest.mark.parametrize("kind", BACKGROUND)
def test_what_a_feed_says_is_like_a_taker(kind):
    assert actions_classes(actions_of((1, kind, ALO))) == [2]


@pytest.mark.parametrize("kind", [k for k in ActionKind if k not in (PLACE, CANCEL, MODIFY, *BACKGROUND)])
@pytest.mark.parametrize("time_in_force", [ALO, GTC])
def test_only_orders_that_take_at_once_are_takers(kind, time_in_force):
    assert actions_classes(actions_of((1, kind, time_in_force))) == [0]


def test_a_market_order_takes_and_a_modify_to_a_trigger_does_not():
    assert actions_classes(actions_of((1, PLACE, MARKET))) == [2]
    actions = actions_of((1, MODIFY, GTC))
    actions["trigger_kind"] = 2
    assert actions_classes(actions) == [0]


def test_only_the_first_of_the_actions_are_looked_at():
    actions = actions_of((1, PLACE, IOC), (2, PLACE, ALO), (3, PLACE, ALO))
    out = np.full(3, -1, dtype=np.int64)
    sort_actions(actions, 2, out)
    assert out.tolist() == [1, 0, -1]
    sort_actions(actions, 0, out)
    assert out.tolist() == [1, 0, -1]


@settings(max_examples=60)
@given(st.lists(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2])), min_size=1, max_size=3)))
def test_the_order_is_a_stable_sort_by_class(batches):
    legs = [(number, kind, tif) for number, batch in enumerate(batches) for kind, tif in batch]

    def class_of(batch: list[tuple[int, int]]) -> int:
        if any(kind != CANCEL and tif != ALO for kind, tif in batch):
            return 2
        return 1 if all(kind == CANCEL for kind, _ in batch) else 0

    classes = [class_of(batches[number]) for number, _, _ in legs]
    assert executed(actions_of(*legs)) == sorted(range(len(legs)), key=lambda row: classes[row])


def test_times_in_force_are_those_of_the_cores_commands():
    cores = {m.name: m.value for m in core_state.TimeInForce}
    assert {m.name: m.value for m in blocks.TimeInForce if m != MARKET} == cores
