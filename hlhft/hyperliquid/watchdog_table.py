"""The states of a watchdog, what happens to it, and what it does then: all as data.

`hlhft.hyperliquid.watchdog` follows this table. A missing entry is an error; the documentation prints it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What a watchdog does."""

    IDLE = "idle"  # not started
    WAITING = "waiting"  # no beat was heard yet
    ARMED = "armed"  # the engine is alive and answers for its orders
    GRACE = "grace"  # it is alive and starts, waits for the venue, cancels or closes; it has a while for that
    CANCELLING = "cancelling"  # the engine's orders are being cancelled, until it is proven that none is left
    EMPTY = "empty"  # that was proven; it is looked again now and then
    RETURNING = "returning"  # the engine beats again, and has not reconciled since: it answers for its orders
    ENDING = "ending"  # the dead man's switch is being cleared
    ENDED = "ended"


class Event(StrEnum):
    """What happens to a watchdog: from outside, or derived from what it knows."""

    START = "start"
    SWEEP = "sweep"  # an operator wants the engine's orders gone
    STOP = "stop"
    # A beat, by what the engine says.
    WELL = "beat: well"
    UNFINISHED = "beat: unfinished"
    STOPPED = "beat: stopped"
    # Time.
    SILENT = "silent"
    OVERDUE = "overdue"
    LOOK_DUE = "look due"
    END_DUE = "end due"
    # What was read.
    FOUND = "own orders found"
    NONE_FOUND = "none found"
    PROVEN = "proven empty"
    # Derived.
    ORPHANED = "own orders, and no beat"
    BACK = "back"
    RECONCILED = "reconciled"
    CLEARED = "switch cleared"


class Step(StrEnum):
    """What is done on a transition, after the state has changed."""

    EXPECT = "expect beats"
    LOOK = "look for own orders"
    LOOK_LATER = "look later"
    NOTE_BEAT = "note the beat"
    WATCH = "watch for silence"
    GIVE_GRACE = "give grace"
    END_GRACE = "end the grace"
    REST = "stop sweeping"
    CANCEL = "cancel until proven empty"
    EXTEND = "extend the proof"
    HOLD_SWITCH = "push the switch"
    LEAVE_SWITCH = "leave the switch to fire"
    CLEAR_SWITCH = "clear the switch"
    BEGIN_END = "begin to end"
    FINISH = "end"
    REPORT_HEARD = "report the engine heard"
    REPORT_SILENT = "report the engine lost"
    REPORT_OVERDUE = "report the engine overdue"
    REPORT_STOPPED = "report the engine stopped"
    REPORT_ORPHANS = "report orders without an engine"
    REPORT_SWEEP = "report the sweep"
    REPORT_FOUND = "report orders found"
    REPORT_EMPTY = "report empty"
    REPORT_BACK = "report the engine back"
    REPORT_UNPROVEN = "report that nothing is proven"
    REPORT_RECONCILED = "report the engine reconciled"


Row = tuple[State, tuple[Step, ...]]
_S, _E, _T = State, Event, Step
_CANCEL = (_T.LEAVE_SWITCH, _T.CANCEL)
_ENDING: Row = (_S.ENDING, (_T.REST, _T.CLEAR_SWITCH, _T.BEGIN_END))


def _alive(state: State) -> dict[tuple[State, Event], Row]:
    """The rows of the states in which the engine is known to live."""
    return {
        (state, _E.WELL): (_S.ARMED, (_T.NOTE_BEAT, _T.WATCH)),
        (state, _E.UNFINISHED): (_S.GRACE, (_T.NOTE_BEAT, _T.WATCH, _T.GIVE_GRACE)),
        (state, _E.STOPPED): (_S.CANCELLING, (_T.NOTE_BEAT, _T.REPORT_STOPPED, *_CANCEL)),
        (state, _E.SILENT): (_S.CANCELLING, (_T.REPORT_SILENT, *_CANCEL)),
        (state, _E.STOP): _ENDING,
    }


TRANSITIONS: dict[tuple[State, Event], Row] = {
    (_S.IDLE, _E.START): (_S.WAITING, (_T.EXPECT, _T.LOOK)),
    (_S.IDLE, _E.SWEEP): (_S.CANCELLING, (_T.REPORT_SWEEP, _T.CANCEL)),
    (_S.IDLE, _E.STOP): (_S.ENDED, (_T.FINISH,)),
    (_S.WAITING, _E.WELL): (_S.ARMED, (_T.NOTE_BEAT, _T.WATCH, _T.REST, _T.HOLD_SWITCH, _T.REPORT_HEARD)),
    (_S.WAITING, _E.UNFINISHED): (
        _S.GRACE,
        (_T.NOTE_BEAT, _T.WATCH, _T.REST, _T.GIVE_GRACE, _T.HOLD_SWITCH, _T.REPORT_HEARD),
    ),
    (_S.WAITING, _E.STOPPED): (_S.CANCELLING, (_T.NOTE_BEAT, _T.REPORT_STOPPED, _T.CANCEL)),
    (_S.WAITING, _E.LOOK_DUE): (_S.WAITING, (_T.LOOK,)),
    (_S.WAITING, _E.FOUND): (_S.WAITING, (_T.LOOK_LATER,)),
    (_S.WAITING, _E.NONE_FOUND): (_S.WAITING, (_T.LOOK_LATER,)),
    (_S.WAITING, _E.ORPHANED): (_S.CANCELLING, (_T.REPORT_ORPHANS, _T.CANCEL)),
    (_S.WAITING, _E.STOP): _ENDING,
    **_alive(_S.ARMED),
    **_alive(_S.GRACE),
    (_S.GRACE, _E.OVERDUE): (_S.CANCELLING, (_T.REPORT_OVERDUE, *_CANCEL)),
    **_alive(_S.RETURNING),
    # A beat alone does not say that the engine knows which of its orders were cancelled for it.
    (_S.RETURNING, _E.WELL): (_S.RETURNING, (_T.NOTE_BEAT, _T.WATCH, _T.END_GRACE)),
    (_S.RETURNING, _E.UNFINISHED): (_S.RETURNING, (_T.NOTE_BEAT, _T.WATCH, _T.GIVE_GRACE)),
    (_S.RETURNING, _E.OVERDUE): (_S.CANCELLING, (_T.REPORT_OVERDUE, *_CANCEL)),
    (_S.RETURNING, _E.RECONCILED): (_S.ARMED, (_T.HOLD_SWITCH, _T.REPORT_RECONCILED)),
    (_S.CANCELLING, _E.WELL): (_S.CANCELLING, (_T.NOTE_BEAT, _T.EXTEND)),
    (_S.CANCELLING, _E.UNFINISHED): (_S.CANCELLING, (_T.NOTE_BEAT, _T.EXTEND)),
    (_S.CANCELLING, _E.STOPPED): (_S.CANCELLING, (_T.NOTE_BEAT,)),
    (_S.CANCELLING, _E.BACK): (_S.RETURNING, (_T.REST, _T.WATCH, _T.REPORT_BACK)),
    (_S.CANCELLING, _E.PROVEN): (_S.EMPTY, (_T.REST, _T.CLEAR_SWITCH, _T.LOOK_LATER, _T.REPORT_EMPTY)),
    # Orders that may still rest are worth one firing of the switch: it stays armed.
    (_S.CANCELLING, _E.STOP): (_S.ENDED, (_T.REST, _T.REPORT_UNPROVEN, _T.FINISH)),
    (_S.EMPTY, _E.WELL): (_S.EMPTY, (_T.NOTE_BEAT,)),
    (_S.EMPTY, _E.UNFINISHED): (_S.EMPTY, (_T.NOTE_BEAT,)),
    (_S.EMPTY, _E.STOPPED): (_S.EMPTY, (_T.NOTE_BEAT,)),
    (_S.EMPTY, _E.BACK): (_S.RETURNING, (_T.REST, _T.WATCH, _T.REPORT_BACK)),
    (_S.EMPTY, _E.LOOK_DUE): (_S.EMPTY, (_T.LOOK,)),
    (_S.EMPTY, _E.NONE_FOUND): (_S.EMPTY, (_T.LOOK_LATER,)),
    (_S.EMPTY, _E.FOUND): (_S.CANCELLING, (_T.REPORT_FOUND, _T.CANCEL)),
    (_S.EMPTY, _E.STOP): _ENDING,
    (_S.ENDING, _E.CLEARED): (_S.ENDED, (_T.FINISH,)),
    (_S.ENDING, _E.END_DUE): (_S.ENDED, (_T.FINISH,)),
    **{
        (state, event): (state, ())
        for state in (_S.ENDING, _S.ENDED)
        for event in (_E.WELL, _E.UNFINISHED, _E.STOPPED, _E.STOP)
    },
}


class ImpossibleStep(ValueError):
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
