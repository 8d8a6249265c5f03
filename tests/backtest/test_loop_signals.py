"""What models say in a replay: heard when it reached us, as live, by every lane; and pauses that change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.replay import Drive, run
from hlhft.core.signals import hear
from hlhft.core.state import LEVEL_DTYPE, LEVELS, BookKind
from hlhft.core.step import step
from hlhft.events import EventFlag, EventKind
from hlhft.strategies import load
from tests.backtest.scenarios import MS, ORIGIN_NS, Scenario, bytes_of, events_of, limits, lively, ns, random_events
from tests.core.worlds import event

LISTENING = str(Path(__file__).parent / "strategies" / "listening.py")
TABLE = """
    0 level buy 99.9 5
    0 level sell 100.1 5
    10 level buy 99.91 5
    20 level buy 99.92 5
    30 level buy 99.93 5
    40 level buy 99.94 5
"""


def said(*messages):
    """SIGNAL events of (arrival in ms, move), valid for a second; in one array."""
    parts = [
        event(EventKind.SIGNAL, ns(at), price_ticks=move, size_lots=1, aux0=ns(at + 1000), market=market)
        for at, move, market in messages
    ]
    return np.concatenate(parts)


def policies(*messages):
    """POLICY events of (arrival in ms, gamma in 1e-6), valid for `life` ms."""
    return np.concatenate(
        [
            event(EventKind.POLICY, ns(at), price_ticks=gamma, size_lots=10**6, order_id=10**6, aux0=ns(at + life))
            for at, gamma, life in messages
        ]
    )


def listening(**values):
    return Scenario(**{"tables": [TABLE], "strategy": load(LISTENING), "params": [{}], **values})


def heard(output, lane=0):
    """(decisions, the last of them in ms, newest signal seen)."""
    asked, last, signal = output.lanes.memory[lane, :24].view(np.int64).tolist()
    return asked, (last - ORIGIN_NS) / MS, signal


def test_a_signal_is_seen_by_the_first_decision_that_is_not_earlier():
    for at, expected in ((19.9, 7), (20, 7), (20.000001, 0)):
        # The recording ends at 30, where nobody decides any more, so the decision at 20 is the last.
        table = "\n".join(TABLE.strip().splitlines()[:5])
        output = listening(tables=[table]).run(signals=said((at, 7, 0)))
        assert heard(output) == (3, 20, expected)


def test_a_signal_alone_makes_no_decision():
    without = heard(listening().run())
    signals = said(*[(at / 10, at, 0) for at in range(390)])
    asked, last_ms, newest = heard(listening().run(signals=signals))
    assert (asked, last_ms) == without[:2]
    assert newest == 300  # at 30; the end, at 40, is no moment to decide at


@pytest.mark.parametrize(("life", "gamma"), [(25, 1_000_000), (26, 2_000_000)])
def test_a_policy_expires_in_a_replay_as_it_does_live(life, gamma):
    """Told at 5, and looked at by the last decision, at 30."""
    output = listening().run(signals=policies((5, 2_000_000, life)))
    assert output.lanes.views[0, 0]["policy_gamma_e6"] == gamma


def test_every_lane_hears_what_concerns_its_market():
    other = TABLE.replace("99.9", "49.9").replace("100.1", "50.1")
    scenario = listening(tables=[TABLE, other], params=[{}, {}, {}])
    output = scenario.run(signals=said((5, 7, 0), (15, 9, 1)))
    assert output.lanes.positions["signal_e9"].tolist() == [[7, 9]] * 3
    assert len({memory.tobytes() for memory in output.lanes.memory}) == 1


def by_steps(events, signals, markets):
    """The strategy's memory after `core.step` over the recording's frames and the signals, as a live session steps."""
    from tests.core.worlds import World

    world = World(strategy=LISTENING, of=markets[0])
    world.data.books["kind"] = int(BookKind.SNAPSHOT)
    world.limits[:] = limits()
    world.row["strategy_address"] = load(LISTENING).address()
    frames, first = [], 0
    for place in np.flatnonzero(events["flags"] & int(EventFlag.FRAME_END)):
        frames.append(events[first : place + 1])
        first = place + 1
    inputs = [*((frame["ts_local_ns"][-1], 1, frame) for frame in frames)]
    inputs += [(one["ts_local_ns"], 0, signals[place : place + 1]) for place, one in enumerate(signals)]
    # A replay is over when the last frame was read: nobody decides about it, or hears what came since the one before.
    inputs = sorted(inputs, key=lambda entry: entry[:2])
    inputs = inputs[: [place for place, entry in enumerate(inputs) if entry[1]][-2] + 1]
    scratch = np.zeros((2, LEVELS), LEVEL_DTYPE)
    for now_ns, _, frame in inputs:
        world.data.books["time_local_ns"] = now_ns
        step(world.data, world.lane, world.limits, scratch, frame, len(frame), world.out)
    return world.lane


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_replay_shows_a_strategy_what_the_core_would_live(seed):
    events = random_events(seed)
    draw = np.random.default_rng(seed)
    arrivals = np.sort(draw.integers(0, 900, 60))
    parts = []
    for at in arrivals.tolist():
        if draw.random() < 0.5:
            parts.append(said((at, int(draw.integers(-(10**10), 10**10)), 0)))
        else:
            parts.append(policies((at, int(draw.integers(-(10**6), 10**7)), int(draw.integers(-5, 80)))))
    signals = np.concatenate(parts)
    scenario = listening(tables=(), events=[events])
    replayed = scenario.run(signals=signals).lanes
    live = by_steps(events, signals, scenario.planned().markets)
    assert replayed.memory[0].tobytes() == live.memory.tobytes()
    for name in live.positions.dtype.names:
        if name.startswith(("signal_", "policy_")):
            assert replayed.positions[0][name].tolist() == live.positions[name].tolist(), name
    for name in ("signals_ignored", "policies_ignored", "policies_clamped"):
        assert replayed.lane[0][name].tolist() == live.lane[name].tolist(), name


# Pauses.


def paused(replay, moments):
    """The outcome of a replay that pauses at each of these moments."""
    drive = Drive(replay)
    for moment in moments:
        drive.run_until(moment)
        assert int(replay.loop["now_ns"][0]) <= max(moment, int(replay.loop["first_ns"][0]))
    assert not drive.run_until(2**62 - 1)
    return drive.end(interrupted=False)


@settings(deadline=None, max_examples=25)
@given(
    moments=st.lists(st.integers(ORIGIN_NS - MS, ORIGIN_NS + 1200 * MS), max_size=40).map(sorted),
    interval=st.sampled_from([0, 30 * MS]),
    on_frame=st.sampled_from([0, 1]),
    on_fill=st.sampled_from([0, 1]),
)
def test_a_replay_that_pauses_has_the_outcome_of_one_that_does_not(moments, interval, on_frame, on_fill):
    changed = {"interval_ns": interval, "decide_on_frame": on_frame, "decide_on_fill": on_fill, "features": 127}
    if not (interval or on_frame):
        changed["interval_ns"] = 50 * MS
    signals = said((100, 5, 0), (300, 6, 0), (301, 7, 0))
    scenario = lively(limits=changed)
    whole = run(scenario.prepared(signals=signals))
    assert len(whole.fills) > 0
    assert bytes_of(paused(scenario.prepared(signals=signals), moments)) == bytes_of(whole)


def test_a_pause_stands_between_the_moments_of_our_side():
    replay = listening().prepared()
    drive = Drive(replay)
    for until, asked in ((9.9, 1), (10, 2), (29.999999, 3), (30, 4)):
        assert drive.run_until(ns(until))
        assert int(replay.lanes.memory[0, :8].view(np.int64)[0]) == asked
    assert not drive.run_until(ns(1000))


@pytest.mark.parametrize("at_ms", [0, 7, 20, 29])
def test_what_is_told_at_a_pause_is_a_signal_that_arrives_right_after_it(at_ms):
    """An environment that decides at its pauses and a track that holds the same events give the same replay."""
    message = policies((at_ms, 3_000_000, 100))
    replay = listening().prepared()
    drive = Drive(replay)
    drive.run_until(ns(at_ms))
    message["ts_local_ns"] = ns(at_ms) + 1
    hear(replay.lanes.lane[0, 0], replay.lanes.positions[0, 0], message[0])
    drive.run_until(2**62 - 1)
    assert bytes_of(drive.end(interrupted=False)) == bytes_of(listening().run(signals=message))


def test_signals_out_of_order_or_of_another_market_are_no_plan():
    with pytest.raises(AssertionError):
        listening().prepared(signals=said((20, 1, 0), (10, 1, 0)))
    with pytest.raises(AssertionError):
        listening().prepared(signals=said((20, 1, 1)))


def test_the_tables_events_are_market_data_alone():
    assert set(events_of(TABLE)["kind"].tolist()) == {int(EventKind.DEPTH_LEVEL)}
