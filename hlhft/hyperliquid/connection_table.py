"""The states of a connection, what happens to it, and what it does then: all as data.

`hlhft.hyperliquid.connection` follows this table. A missing entry is an error; the documentation prints it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How far a connection has come."""

    IDLE = "idle"  # not started
    BACKING_OFF = "backing off"
    CONNECTING = "connecting"
    HANDSHAKING = "handshaking"
    SUBSCRIBING = "subscribing"
    RECONCILING = "reconciling"
    LIVE = "live"
    STALE = "stale"  # live, but for some markets
    CLOSED = "closed"  # stopped, for good


class Event(StrEnum):
    """What happens to a connection: from outside, or derived from what it knows."""

    START = "start"
    DESIRE = "desire"
    TRANSPORT_UP = "transport up"
    UPGRADED = "upgraded"
    DATA = "data"
    PONG = "pong"
    ACKNOWLEDGED = "acknowledged"
    ERROR = "error"
    RECONCILED = "reconciled"
    LOST = "lost"
    ROTATED = "rotated"
    STOP = "stop"
    BACKOFF_DUE = "backoff due"
    PHASE_DUE = "phase due"
    PING_DUE = "ping due"
    PONG_DUE = "pong due"
    WATCH_DUE = "watch due"
    SUBSCRIPTIONS_DUE = "subscriptions due"
    # Derived.
    BUDGET_GRANTED = "budget granted"
    BUDGET_REFUSED = "budget refused"
    SETTLED = "settled"
    UNSETTLED = "unsettled"
    SOME_STALE = "some stale"
    ALL_FRESH = "all fresh"
    GIVEN_UP = "given up"


class Step(StrEnum):
    """What is done on a transition, after the state has changed."""

    DESIRE = "take what is desired"
    TELL = "tell markets, pull quotes"
    ASK_TO_CONNECT = "ask for a connect"
    WAIT_FOR_BUDGET = "wait for the budget"
    OPEN = "open"
    LIMIT_HANDSHAKE = "limit the handshake"
    BEGIN = "begin to ping"
    NOTE_DATA = "note data"
    NOTE_PONG = "note the pong"
    NOTE_ANSWER = "note the answer"
    NOTE_ERROR = "note the error"
    EXPIRE = "pass deadlines of subscriptions"
    JUDGE = "mend stale streams"
    BURY = "judge what was to be mended"
    PING = "ping"
    RECONCILE = "ask to reconcile"
    RECONCILE_AGAIN = "ask again"
    ABANDON = "abandon the reconciliation"
    ARRIVE = "report live"
    REPORT_CONNECT_LATE = "report the transport late"
    REPORT_HANDSHAKE_LATE = "report the upgrade late"
    REPORT_RECONCILE_LATE = "report the reconciliation late"
    REPORT_PONG = "report the pong missing"
    REPORT_GIVEN_UP = "report why it is given up"
    REPORT_LOST = "report lost"
    REPORT_ROTATED = "report rotated"
    DROP = "close the socket"
    FORGET = "forget the socket"
    BACK_OFF = "back off"
    END = "end"


Row = tuple[State, tuple[Step, ...]]


def _common(state: State) -> dict[tuple[State, Event], Row]:
    """The rows that all states with an upgraded socket share."""
    away = State.BACKING_OFF
    return {
        (state, Event.DESIRE): (state, (Step.DESIRE,)),
        (state, Event.DATA): (state, (Step.NOTE_DATA,)),
        (state, Event.PONG): (state, (Step.NOTE_PONG,)),
        (state, Event.ACKNOWLEDGED): (state, (Step.NOTE_ANSWER,)),
        (state, Event.ERROR): (state, (Step.NOTE_ERROR,)),
        (state, Event.PING_DUE): (state, (Step.PING,)),
        (state, Event.WATCH_DUE): (state, (Step.JUDGE, Step.BURY)),
        (state, Event.SUBSCRIPTIONS_DUE): (state, (Step.EXPIRE,)),
        (state, Event.PONG_DUE): (away, (Step.TELL, Step.REPORT_PONG, Step.DROP, Step.BACK_OFF)),
        (state, Event.GIVEN_UP): (away, (Step.TELL, Step.REPORT_GIVEN_UP, Step.DROP, Step.BACK_OFF)),
        (state, Event.LOST): (away, (Step.TELL, Step.REPORT_LOST, Step.FORGET, Step.BACK_OFF)),
        (state, Event.ROTATED): (away, (Step.TELL, Step.REPORT_ROTATED, Step.FORGET, Step.BACK_OFF)),
        (state, Event.STOP): (State.CLOSED, (Step.TELL, Step.DROP, Step.END)),
    }


def _opening(state: State, late: Step) -> dict[tuple[State, Event], Row]:
    """The rows of the two states in which a socket comes to be."""
    away = State.BACKING_OFF
    return {
        (state, Event.DESIRE): (state, (Step.DESIRE,)),
        (state, Event.PHASE_DUE): (away, (late, Step.DROP, Step.BACK_OFF)),
        (state, Event.LOST): (away, (Step.REPORT_LOST, Step.FORGET, Step.BACK_OFF)),
        (state, Event.ROTATED): (away, (Step.REPORT_ROTATED, Step.FORGET, Step.BACK_OFF)),
        (state, Event.STOP): (State.CLOSED, (Step.DROP, Step.END)),
    }


TRANSITIONS: dict[tuple[State, Event], Row] = {
    (State.IDLE, Event.DESIRE): (State.IDLE, (Step.DESIRE,)),
    (State.IDLE, Event.START): (State.BACKING_OFF, (Step.TELL, Step.ASK_TO_CONNECT)),
    (State.IDLE, Event.STOP): (State.CLOSED, (Step.END,)),
    (State.BACKING_OFF, Event.DESIRE): (State.BACKING_OFF, (Step.DESIRE,)),
    (State.BACKING_OFF, Event.BACKOFF_DUE): (State.BACKING_OFF, (Step.ASK_TO_CONNECT,)),
    (State.BACKING_OFF, Event.BUDGET_REFUSED): (State.BACKING_OFF, (Step.WAIT_FOR_BUDGET,)),
    (State.BACKING_OFF, Event.BUDGET_GRANTED): (State.CONNECTING, (Step.OPEN,)),
    (State.BACKING_OFF, Event.STOP): (State.CLOSED, (Step.END,)),
    **_opening(State.CONNECTING, Step.REPORT_CONNECT_LATE),
    (State.CONNECTING, Event.TRANSPORT_UP): (State.HANDSHAKING, (Step.LIMIT_HANDSHAKE,)),
    **_opening(State.HANDSHAKING, Step.REPORT_HANDSHAKE_LATE),
    (State.HANDSHAKING, Event.UPGRADED): (State.SUBSCRIBING, (Step.BEGIN,)),
    **_common(State.SUBSCRIBING),
    (State.SUBSCRIBING, Event.SETTLED): (State.RECONCILING, (Step.RECONCILE,)),
    **_common(State.RECONCILING),
    (State.RECONCILING, Event.UNSETTLED): (State.SUBSCRIBING, (Step.ABANDON,)),
    (State.RECONCILING, Event.PHASE_DUE): (State.RECONCILING, (Step.REPORT_RECONCILE_LATE, Step.RECONCILE_AGAIN)),
    (State.RECONCILING, Event.RECONCILED): (State.LIVE, (Step.ARRIVE,)),
    **_common(State.LIVE),
    (State.LIVE, Event.SOME_STALE): (State.STALE, ()),
    (State.LIVE, Event.UNSETTLED): (State.SUBSCRIBING, (Step.TELL,)),
    **_common(State.STALE),
    (State.STALE, Event.ALL_FRESH): (State.LIVE, ()),
    (State.STALE, Event.UNSETTLED): (State.SUBSCRIBING, (Step.TELL,)),
    # What is still under way when a connection ends is ignored. Only to start it again is an error.
    **{(State.CLOSED, event): (State.CLOSED, ()) for event in (Event.DESIRE, Event.STOP)},
}


class ImpossibleEvent(ValueError):
    """An event that cannot happen in this state: an error of the shell, or of this program."""


def transitions_table() -> str:
    """The transitions as a Markdown table, for the documentation."""
    rows = ["| state | event | next state | what is done |", "| --- | --- | --- | --- |"]
    for state in State:
        for event in Event:
            row = TRANSITIONS.get((state, event))
            if row is not None:
                rows.append(f"| {state} | {event} | {row[0]} | {', then '.join(row[1])} |")
    return "\n".join(rows)
