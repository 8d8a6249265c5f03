"""The life of one signed action, from the wire to its settled nonce: states, events and what is done, all as data.

`hlhft.hyperliquid.gateway` follows this table. A missing entry is an error; the documentation prints it.

An action is settled by its own answer, by a `noop` that the venue took under its nonce (then it never executed), or by
its nonce being refused as used (then it arrived, and its orders are asked about; venue reference sections 4.2, 5.4).
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What is known of an action that was signed."""

    FLYING = "flying"  # posted once, the answer is awaited
    SILENT = "silent"  # nobody knows; to be posted again, or voided, when due
    PROBING = "probing"  # posted again, or a noop on its nonce: the answer is awaited
    LANDED = "landed"  # its nonce is settled, its own answer has not come; forgotten when due
    SETTLED = "settled"  # nothing more is expected


class Event(StrEnum):
    """What happens to an action."""

    TOLD = "told"  # the answer to the action itself, which settles it
    USED = "used"  # its nonce was refused: to it, or to a noop
    VOIDED = "voided"  # a noop was taken under its nonce
    TROUBLED = "troubled"  # an answer that proves nothing
    UNANSWERED = "unanswered"  # the connection that carried the newest request ended, or its answer did not come
    NOT_WRITTEN = "not written"  # no byte of the newest request left
    DUE = "due"  # its time has come


class Step(StrEnum):
    """What is done on a transition, after the state has changed."""

    TELL = "tell the fates the answer"
    SETTLE_NONCE = "settle the nonce by the answer"
    NONCE_TAKEN = "settle the nonce as taken"
    NONCE_LOST = "settle the nonce as never taken"
    BLAME = "find out who used the nonce"
    SILENCE = "tell the fates that nobody knows"
    NEVER_LEFT = "tell the fates that it never left"
    VOID = "tell the fates that it never executed"
    PLAN = "plan the next try"
    PROBE = "post it again, or a noop"
    LINGER = "wait for its own answer"


Row = tuple[State, tuple[Step, ...]]

_UNKNOWN: dict[Event, Row] = {
    Event.TOLD: (State.SETTLED, (Step.TELL, Step.SETTLE_NONCE)),
    Event.USED: (State.LANDED, (Step.NONCE_TAKEN, Step.LINGER)),
    Event.VOIDED: (State.SETTLED, (Step.VOID, Step.NONCE_TAKEN)),
}
_STILL = (Event.USED, Event.TROUBLED, Event.UNANSWERED, Event.NOT_WRITTEN)

TRANSITIONS: dict[tuple[State, Event], Row] = {
    (State.FLYING, Event.TOLD): (State.SETTLED, (Step.TELL, Step.SETTLE_NONCE)),
    (State.FLYING, Event.USED): (State.LANDED, (Step.SILENCE, Step.BLAME, Step.LINGER)),
    (State.FLYING, Event.NOT_WRITTEN): (State.SETTLED, (Step.NEVER_LEFT, Step.NONCE_LOST)),
    **{
        (State.FLYING, event): (State.SILENT, (Step.SILENCE, Step.PLAN))
        for event in (Event.TROUBLED, Event.UNANSWERED, Event.DUE)
    },
    **{(State.SILENT, event): row for event, row in _UNKNOWN.items()},
    (State.SILENT, Event.DUE): (State.PROBING, (Step.PROBE,)),
    # Late news of an earlier request.
    **{(State.SILENT, event): (State.SILENT, ()) for event in (Event.TROUBLED, Event.UNANSWERED, Event.NOT_WRITTEN)},
    **{(State.PROBING, event): row for event, row in _UNKNOWN.items()},
    **{
        (State.PROBING, event): (State.SILENT, (Step.PLAN,))
        for event in (Event.TROUBLED, Event.UNANSWERED, Event.NOT_WRITTEN, Event.DUE)
    },
    (State.LANDED, Event.TOLD): (State.SETTLED, (Step.TELL,)),
    # What was posted again was refused because a noop had been taken before, whose answer comes only now.
    (State.LANDED, Event.VOIDED): (State.SETTLED, (Step.VOID,)),
    **{(State.LANDED, event): (State.LANDED, ()) for event in _STILL},
    (State.LANDED, Event.DUE): (State.SETTLED, ()),
}


class ImpossibleEvent(ValueError):
    """An event that cannot happen to an action in this state: an error of the shell, or of this program."""


def transitions_table() -> str:
    """The transitions as a Markdown table, for the documentation."""
    rows = ["| state | event | next state | what is done |", "| --- | --- | --- | --- |"]
    for state in State:
        for event in Event:
            row = TRANSITIONS.get((state, event))
            if row is not None:
                rows.append(f"| {state} | {event} | {row[0]} | {', then '.join(row[1])} |")
    return "\n".join(rows)
