"""The transitions of the reconciliation: complete, and nothing leads nowhere."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.reconcile_table import TRANSITIONS, Event, State, Step, reconcile_table

ANY_TIME = {Event.BEGIN, Event.PROVE, Event.TOLD, Event.OUT_OF_DATE}
ANSWERS = {Event.ANSWERED, Event.FAILED, Event.QUESTIONS_DUE}
EXPECTED = {
    State.OFF: set(),
    State.IDLE: {Event.ROUND_DUE},
    State.READING: {*ANSWERS, Event.READ},
    State.COMPARING: {Event.OWN, Event.AGREES, Event.SEEDS, Event.CONFIRM, Event.DIFFERS, Event.DISAGREES},
    State.WAITING: {Event.WAIT_DUE},
    State.PROVING: {*ANSWERS, Event.READ, Event.PROVEN, Event.UNPROVEN, Event.PROOF_DUE},
    State.PROOF_WAITING: {Event.WAIT_DUE, Event.PROOF_DUE},
}


@pytest.mark.parametrize("state", State)
def test_each_state_has_the_rows_it_needs_and_no_other(state: State) -> None:
    assert {event for of, event in TRANSITIONS if of is state} == EXPECTED[state] | ANY_TIME


def test_every_step_and_event_is_used() -> None:
    assert {step for _, steps in TRANSITIONS.values() for step in steps} == set(Step)
    assert {event for _, event in TRANSITIONS} == set(Event)


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_and_left(state: State) -> None:
    assert any(row[0] is state for (of, _), row in TRANSITIONS.items() if of is not state)
    assert any(row[0] is not state for (of, _), row in TRANSITIONS.items() if of is state)


def test_every_end_of_a_round_leads_to_the_next() -> None:
    """The slow lane never stops: whatever ends a round waits for another one."""
    for (_, event), (following, steps) in TRANSITIONS.items():
        if event in (Event.AGREES, Event.SEEDS, Event.DISAGREES):
            assert following is State.IDLE and steps[-1] is Step.REST


def test_the_printed_table_has_a_line_for_each_row() -> None:
    assert len(reconcile_table().splitlines()) == len(TRANSITIONS) + 2
