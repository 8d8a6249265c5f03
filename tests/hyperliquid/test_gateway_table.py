"""Every pair of state and event of an action is in the table, or known to be impossible."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.gateway_table import TRANSITIONS, Event, State, Step, transitions_table

IMPOSSIBLE: dict[State, frozenset[Event]] = {
    State.FLYING: frozenset({Event.VOIDED}),  # no noop was sent
    State.SILENT: frozenset(),
    State.PROBING: frozenset(),
    State.LANDED: frozenset(),
    State.SETTLED: frozenset(Event),  # it is forgotten
}
NONCE_STEPS = {Step.SETTLE_NONCE, Step.NONCE_TAKEN, Step.NONCE_LOST, Step.BLAME}
OPEN = (State.FLYING, State.SILENT, State.PROBING)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_each_pair_is_a_row_or_impossible(state: State, event: Event) -> None:
    assert ((state, event) in TRANSITIONS) is not (event in IMPOSSIBLE[state])


def test_every_state_is_reached_and_every_step_is_taken() -> None:
    assert {state for state, _ in TRANSITIONS.values()} == set(State) - {State.FLYING}
    assert {step for _, steps in TRANSITIONS.values() for step in steps} == set(Step)


def test_the_nonce_is_settled_exactly_once() -> None:
    for (state, _), (following, steps) in TRANSITIONS.items():
        settles = len(NONCE_STEPS.intersection(steps))
        assert settles == int(state in OPEN and following not in OPEN)


def test_the_fates_hear_of_silence_once_and_before_anything_else() -> None:
    for (state, _), (following, steps) in TRANSITIONS.items():
        is_first = state is State.FLYING and following is not State.SETTLED
        assert (Step.SILENCE in steps) is is_first
        assert not is_first or steps[0] is Step.SILENCE


def test_silence_is_always_probed_and_a_landed_action_is_forgotten() -> None:
    assert TRANSITIONS[State.SILENT, Event.DUE] == (State.PROBING, (Step.PROBE,))
    assert TRANSITIONS[State.PROBING, Event.DUE] == (State.SILENT, (Step.PLAN,))
    assert TRANSITIONS[State.LANDED, Event.DUE] == (State.SETTLED, ())


def test_the_table_for_people() -> None:
    lines = transitions_table().splitlines()
    assert len(lines) == 2 + len(TRANSITIONS)
    assert lines[2] == "| flying | told | settled | tell the fates the answer, then settle the nonce by the answer |"
