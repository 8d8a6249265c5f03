"""The states of the reconciliation, what happens to it, and what it does then: all as data.

`hlhft.hyperliquid.reconcile` follows this table. A missing entry is an error; the documentation prints it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What is being done."""

    OFF = "off"  # not begun, or the account was proven empty
    IDLE = "idle"  # the last round is over; the slow lane begins the next
    READING = "reading"
    COMPARING = "comparing"  # waiting for what the core and the fates have
    WAITING = "waiting"  # to read again
    PROVING = "proving"  # reading, to see whether anything of ours is open
    PROOF_WAITING = "waiting for proof"


class Event(StrEnum):
    """What happens: from outside, or derived from what is known."""

    BEGIN = "begin"
    PROVE = "prove"
    TOLD = "told"
    ANSWERED = "answered"
    FAILED = "failed"
    OUT_OF_DATE = "out of date"
    OWN = "own"
    QUESTIONS_DUE = "questions due"
    WAIT_DUE = "wait due"
    ROUND_DUE = "round due"
    PROOF_DUE = "proof due"
    # Derived.
    READ = "read"
    AGREES = "agrees"
    SEEDS = "seeds"
    CONFIRM = "confirm"
    DIFFERS = "differs"
    DISAGREES = "disagrees"
    PROVEN = "proven"
    UNPROVEN = "unproven"


class Step(StrEnum):
    """What is done on a transition, after the state has changed."""

    BEGIN_ROUND = "begin a round"
    BEGIN_SLOW = "begin a round of the slow lane"
    READ_AGAIN = "read again"
    TAKE = "take the answer"
    ASK_AGAIN = "ask again later"
    ASK = "ask what is due"
    COUNT = "count it"
    NOTE = "note what was told"
    HAND_OVER = "hand over listing and fills, ask for our own side"
    COMPARE = "compare"
    SEED = "tell the core what it starts from"
    AGREE = "tell that it agrees"
    DISAGREE = "tell that it disagrees"
    WAIT = "wait a little"
    REST = "wait for the next round"
    BEGIN_PROOF = "begin a proof"
    PROVE_AGAIN = "read open orders again"
    JUDGE = "judge the listing"
    TELL_EMPTY = "tell that it is empty"
    TELL_NOT_EMPTY = "tell that it is not"
    STOP = "stop asking"


Row = tuple[State, tuple[Step, ...]]


def _common(state: State) -> dict[tuple[State, Event], Row]:
    """What can happen at any time."""
    return {
        (state, Event.BEGIN): (State.READING, (Step.BEGIN_ROUND,)),
        (state, Event.PROVE): (State.PROVING, (Step.BEGIN_PROOF,)),
        (state, Event.TOLD): (state, (Step.NOTE,)),
        (state, Event.OUT_OF_DATE): (state, (Step.COUNT,)),
    }


def _asking(state: State) -> dict[tuple[State, Event], Row]:
    """What can happen while answers are awaited."""
    return {
        (state, Event.ANSWERED): (state, (Step.TAKE,)),
        (state, Event.FAILED): (state, (Step.ASK_AGAIN,)),
        (state, Event.QUESTIONS_DUE): (state, (Step.ASK,)),
    }


_OVER = (Step.TELL_NOT_EMPTY, Step.STOP)

TRANSITIONS: dict[tuple[State, Event], Row] = {
    **{key: row for state in State for key, row in _common(state).items()},
    (State.IDLE, Event.ROUND_DUE): (State.READING, (Step.BEGIN_SLOW,)),
    **_asking(State.READING),
    (State.READING, Event.READ): (State.COMPARING, (Step.HAND_OVER,)),
    (State.COMPARING, Event.OWN): (State.COMPARING, (Step.COMPARE,)),
    (State.COMPARING, Event.AGREES): (State.IDLE, (Step.AGREE, Step.REST)),
    (State.COMPARING, Event.SEEDS): (State.IDLE, (Step.SEED, Step.AGREE, Step.REST)),
    (State.COMPARING, Event.CONFIRM): (State.READING, (Step.READ_AGAIN,)),
    (State.COMPARING, Event.DIFFERS): (State.WAITING, (Step.WAIT,)),
    (State.COMPARING, Event.DISAGREES): (State.IDLE, (Step.DISAGREE, Step.REST)),
    (State.WAITING, Event.WAIT_DUE): (State.READING, (Step.READ_AGAIN,)),
    **_asking(State.PROVING),
    (State.PROVING, Event.READ): (State.PROVING, (Step.JUDGE,)),
    (State.PROVING, Event.PROVEN): (State.OFF, (Step.TELL_EMPTY, Step.STOP)),
    (State.PROVING, Event.UNPROVEN): (State.PROOF_WAITING, (Step.WAIT,)),
    (State.PROVING, Event.PROOF_DUE): (State.OFF, _OVER),
    (State.PROOF_WAITING, Event.WAIT_DUE): (State.PROVING, (Step.PROVE_AGAIN,)),
    (State.PROOF_WAITING, Event.PROOF_DUE): (State.OFF, _OVER),
}


def reconcile_table() -> str:
    """The transitions as a Markdown table, for the documentation."""
    rows = ["| state | event | next state | what is done |", "| --- | --- | --- | --- |"]
    for state in State:
        for event in Event:
            row = TRANSITIONS.get((state, event))
            if row is not None:
                rows.append(f"| {state} | {event} | {row[0]} | {', then '.join(row[1])} |")
    return "\n".join(rows)
