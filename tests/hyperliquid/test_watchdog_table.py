"""The watchdog's table: complete where it must be, and no way out of the promise."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.watchdog_table import TRANSITIONS, Event, State, Step, transitions_table

BEATS = (Event.WELL, Event.UNFINISHED, Event.STOPPED)
RUNNING = tuple(state for state in State if state is not State.IDLE)


@pytest.mark.parametrize("state", RUNNING)
def test_a_beat_and_a_stop_may_come_at_any_time(state: State) -> None:
    assert all((state, event) in TRANSITIONS for event in (*BEATS, Event.STOP))


@pytest.mark.parametrize("state", [State.ARMED, State.GRACE, State.RETURNING])
def test_silence_always_leads_to_cancelling(state: State) -> None:
    following, steps = TRANSITIONS[state, Event.SILENT]
    assert following is State.CANCELLING and Step.CANCEL in steps


def test_cancelling_is_begun_exactly_on_entering_its_state() -> None:
    for (state, _), (following, steps) in TRANSITIONS.items():
        assert (Step.CANCEL in steps) == (following is State.CANCELLING and state is not State.CANCELLING)


def test_only_a_proof_leads_to_empty() -> None:
    ways = {
        (state, event)
        for (state, event), (following, _) in TRANSITIONS.items()
        if following is State.EMPTY and state is not State.EMPTY
    }
    assert ways == {(State.CANCELLING, Event.PROVEN)}


def test_cancelling_ends_by_a_proof_by_the_engine_or_by_a_stop() -> None:
    ways = {
        event
        for (state, event), (following, _) in TRANSITIONS.items()
        if state is State.CANCELLING and following is not State.CANCELLING
    }
    assert ways == {Event.PROVEN, Event.BACK, Event.STOP}


def test_a_sweep_is_stopped_on_every_way_out_of_a_state_that_may_have_one() -> None:
    for (state, event), (following, steps) in TRANSITIONS.items():
        if state is State.CANCELLING and following is not state:
            assert Step.REST in steps, (state, event)


def test_every_step_and_every_state_is_used() -> None:
    used = {step for _, steps in TRANSITIONS.values() for step in steps}
    assert used == set(Step)
    assert {following for following, _ in TRANSITIONS.values()} == set(State) - {State.IDLE}


def test_the_table_is_printed_whole() -> None:
    lines = transitions_table().splitlines()
    assert len(lines) == len(TRANSITIONS) + 2
    assert "| armed | silent | cancelling | report the engine lost, " in "\n".join(lines)
