"""Every pair of state and event is in the table, or known to be impossible."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.connection_table import TRANSITIONS, Event, State, Step, transitions_table

# Without a socket nothing comes of one; timers are forgotten with what they were for.
OF_A_SOCKET = frozenset(
    {Event.DATA, Event.PONG, Event.ACKNOWLEDGED, Event.ERROR, Event.PING_DUE, Event.PONG_DUE, Event.WATCH_DUE}
    | {Event.SUBSCRIPTIONS_DUE, Event.SETTLED, Event.UNSETTLED, Event.SOME_STALE, Event.ALL_FRESH, Event.GIVEN_UP}
    | {Event.RECONCILED}
)
ENDS_OF_A_SOCKET = frozenset({Event.LOST, Event.ROTATED})
OF_CONNECTING = frozenset({Event.BACKOFF_DUE, Event.BUDGET_GRANTED, Event.BUDGET_REFUSED})
OF_OPENING = frozenset({Event.TRANSPORT_UP, Event.UPGRADED})
STARTED = frozenset({Event.START})
PHASE = frozenset({Event.PHASE_DUE})
IMPOSSIBLE: dict[State, frozenset[Event]] = {
    State.IDLE: OF_A_SOCKET | ENDS_OF_A_SOCKET | OF_CONNECTING | OF_OPENING | PHASE,
    State.BACKING_OFF: OF_A_SOCKET | ENDS_OF_A_SOCKET | OF_OPENING | STARTED | PHASE,
    State.CONNECTING: OF_A_SOCKET | OF_CONNECTING | STARTED | {Event.UPGRADED},
    State.HANDSHAKING: OF_A_SOCKET | OF_CONNECTING | STARTED | {Event.TRANSPORT_UP},
    # Not settled is what it is until it is; whether markets are fresh is asked when they may be.
    State.SUBSCRIBING: OF_CONNECTING | OF_OPENING | STARTED | PHASE
    | {Event.UNSETTLED, Event.SOME_STALE, Event.ALL_FRESH, Event.RECONCILED},
    State.RECONCILING: OF_CONNECTING | OF_OPENING | STARTED | {Event.SETTLED, Event.SOME_STALE, Event.ALL_FRESH},
    State.LIVE: OF_CONNECTING | OF_OPENING | STARTED | PHASE | {Event.SETTLED, Event.ALL_FRESH, Event.RECONCILED},
    State.STALE: OF_CONNECTING | OF_OPENING | STARTED | PHASE | {Event.SETTLED, Event.SOME_STALE, Event.RECONCILED},
    State.CLOSED: OF_A_SOCKET | ENDS_OF_A_SOCKET | OF_CONNECTING | OF_OPENING | STARTED | PHASE,
}  # fmt: skip


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_each_pair_is_a_row_or_impossible(state: State, event: Event) -> None:
    assert ((state, event) in TRANSITIONS) is not (event in IMPOSSIBLE[state])


def test_every_state_is_reached_and_every_step_is_taken() -> None:
    assert {state for state, _ in TRANSITIONS.values()} == set(State)
    assert {step for _, steps in TRANSITIONS.values() for step in steps} == set(Step)


def test_closed_is_for_good() -> None:
    assert {row for (state, _), row in TRANSITIONS.items() if state is State.CLOSED} == {(State.CLOSED, ())}


@pytest.mark.parametrize("state", [State.SUBSCRIBING, State.RECONCILING, State.LIVE, State.STALE])
def test_whatever_ends_a_socket_tells_the_markets_first(state: State) -> None:
    away = {State.BACKING_OFF, State.CLOSED}
    rows = [steps for (before, _), (after, steps) in TRANSITIONS.items() if before is state and after in away]
    assert len(rows) == 5
    assert all(steps[0] is Step.TELL for steps in rows)


def test_only_a_reconciliation_leads_to_live() -> None:
    ways = {pair for pair, (after, _) in TRANSITIONS.items() if after is State.LIVE and pair[0] is not State.LIVE}
    assert ways == {(State.RECONCILING, Event.RECONCILED), (State.STALE, Event.ALL_FRESH)}
    ways = {pair[0] for pair, (after, _) in TRANSITIONS.items() if after is State.STALE and pair[0] is not State.STALE}
    assert ways == {State.LIVE}


def test_the_table_for_people() -> None:
    lines = transitions_table().splitlines()
    assert len(lines) == 2 + len(TRANSITIONS)
    assert "| handshaking | upgraded | subscribing | begin to ping |" in lines
    assert "| closed | stop | closed |  |" in lines
