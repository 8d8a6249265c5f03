"""The fair price: how it moves, and that nothing but the seed decides."""

from __future__ import annotations

import numpy as np

from hlhft.exchange.flow.draws import ONE
from hlhft.exchange.flow.fair import advance_fair, fair_before
from hlhft.exchange.flow.rehearsal import START_NS
from hlhft.exchange.flow.state import FAIR_STEP_NS, HISTORY
from tests.exchange.flow.stage import CALM, MS, STILL, changed, stage

START = 1_000_000 * ONE  # 100,000 USDC


def path(numbers, seconds: float, seed: int = 1) -> np.ndarray:
    """The fair price in subticks a step."""
    flow = stage(numbers, seed=seed).flow
    advance_fair(flow, 0, START_NS)
    found = []
    for step in range(round(seconds / 0.025)):
        advance_fair(flow, 0, START_NS + (step + 1) * FAIR_STEP_NS)
        found.append(int(flow.states[0]["fair_subticks"]))
    return np.array(found)


def test_it_diffuses_as_much_as_it_says():
    found = path(changed(STILL, diffusion_bp=0.5, pull_per_day=0.0), 60)
    per_step_bp = np.diff(found) / START * 1e4
    assert abs(per_step_bp.std() / (0.5 * np.sqrt(0.025)) - 1) < 0.05


def test_a_jump_happens_at_once_in_part_and_the_rest_is_followed():
    flow = stage(changed(STILL, jump_at_once=0.25, follow_s=0.5, jump_bp=10.0, pull_per_day=0.0)).flow
    advance_fair(flow, 0, START_NS)
    state = flow.states[0]
    state["next_jump_ns"] = START_NS + 30 * MS
    advance_fair(flow, 0, START_NS + 50 * MS)
    moved, pending = int(state["fair_subticks"]) - START, int(state["pending_subticks"])
    assert moved != 0
    assert abs(moved * 3 - pending) <= 4
    assert state["next_jump_ns"] > START_NS + 3_600 * 10**9
    advance_fair(flow, 0, START_NS + 550 * MS)
    followed = (int(state["fair_subticks"]) - START - moved) / pending
    assert abs(followed - (1 - np.exp(-1))) < 0.01, "a time constant later"
    advance_fair(flow, 0, START_NS + 10_000 * MS)
    assert abs(int(state["fair_subticks"]) - START - moved - pending) < 0.01 * abs(pending)


def test_it_is_pulled_back_to_where_it_began():
    flow = stage(changed(STILL, pull_per_day=24.0)).flow
    advance_fair(flow, 0, START_NS)
    for side in (1, -1):
        flow.states[0]["fair_subticks"] = START + side * START // 100
        advance_fair(flow, 0, int(flow.states[0]["fair_ns"]) + 60 * 10**9)
        kept = side * (int(flow.states[0]["fair_subticks"]) - START) / (START // 100)
        assert abs(kept - np.exp(-1 / 60)) < 0.002


def test_the_past_is_remembered():
    flow = stage(CALM).flow
    advance_fair(flow, 0, START_NS)
    found = []
    for step in range(HISTORY + 5):
        advance_fair(flow, 0, START_NS + (step + 1) * FAIR_STEP_NS)
        found.append(int(flow.states[0]["fair_subticks"]))
    assert [fair_before(flow, 0, steps) for steps in range(HISTORY)] == found[: -HISTORY - 1 : -1]


def test_steps_do_not_depend_on_when_it_is_asked():
    often, seldom = stage(CALM).flow, stage(CALM).flow
    for flow, every_ns in ((often, 7 * MS), (seldom, 903 * MS)):
        for ts_ns in range(START_NS, START_NS + 9_030 * MS + 1, every_ns):
            advance_fair(flow, 0, ts_ns)
    assert often.states[0]["fair_steps"] == seldom.states[0]["fair_steps"] == 361
    assert often.history.tobytes() == seldom.history.tobytes()


def test_after_a_long_silence_it_does_not_walk_all_the_way():
    flow = stage(STILL).flow
    flow.states[0]["fair_ns"] = START_NS
    flow.states[0]["next_jump_ns"] = START_NS + 10**9
    advance_fair(flow, 0, START_NS + (4_000 + 3) * FAIR_STEP_NS)
    assert flow.states[0]["fair_steps"] == 4_000
    assert flow.states[0]["fair_ns"] == START_NS + 4_003 * FAIR_STEP_NS
