"""What an alpha process knows of a market, what happens to that, and what is done then: all as data.

`hlhft.alpha.serving.machine` follows this table. A missing entry is an error.
"""

from __future__ import annotations

from enum import StrEnum

from hlhft.alpha.wire import REASON_MEANING, Reason


class State(StrEnum):
    """What is known of a market."""

    EMPTY = "empty"  # nothing
    FILLING = "filling"  # unbroken rows, fewer than the model looks at
    READY = "ready"  # a whole window
    GAPPED = "gapped"  # rows are missing before those that are known; the newest were asked for
    STALE = "stale"  # the newest row is older than allowed


class Event(StrEnum):
    """What happens to a market."""

    ROWS = "rows"  # they follow the newest, and are still too few
    FULL = "full"  # they follow the newest, and are enough
    RESET = "reset"  # the engine began anew among them, and what followed is too little
    GAP = "gap"  # rows before them are missing
    OLD = "old"  # all of them are known
    SNAPSHOT = "snapshot"  # the newest rows, as asked for, and still too few
    SNAPSHOT_FULL = "snapshot, full"
    SNAPSHOT_LATE = "snapshot, late"  # it does not reach to the rows that are known
    UNASKED = "snapshot, unasked"
    SILENT = "silent"
    ASK_DUE = "ask due"  # no answer came, or none that helps
    SESSION = "session"  # of another engine, or of the same after a restart; or a model with another window


class Step(StrEnum):
    """What is done on a transition, after the state has changed."""

    ASK = "ask for the newest rows"
    PREDICT = "ask the model"
    ABSTAIN = "say that the model says nothing"


_S, _E, _A = State, Event, Step
TABLE: dict[tuple[State, Event], tuple[State, tuple[Step, ...]]] = {
    (_S.EMPTY, _E.FULL): (_S.READY, (_A.PREDICT,)),
    (_S.EMPTY, _E.RESET): (_S.FILLING, (_A.ABSTAIN,)),
    (_S.EMPTY, _E.GAP): (_S.GAPPED, (_A.ASK, _A.ABSTAIN)),
    (_S.EMPTY, _E.UNASKED): (_S.EMPTY, ()),
    (_S.EMPTY, _E.SESSION): (_S.EMPTY, ()),
    (_S.FILLING, _E.ROWS): (_S.FILLING, ()),
    (_S.FILLING, _E.FULL): (_S.READY, (_A.PREDICT,)),
    (_S.FILLING, _E.RESET): (_S.FILLING, ()),
    (_S.FILLING, _E.GAP): (_S.GAPPED, (_A.ASK, _A.ABSTAIN)),
    (_S.FILLING, _E.OLD): (_S.FILLING, ()),
    (_S.FILLING, _E.UNASKED): (_S.FILLING, ()),
    (_S.FILLING, _E.SILENT): (_S.STALE, (_A.ABSTAIN,)),
    (_S.FILLING, _E.SESSION): (_S.EMPTY, ()),
    (_S.READY, _E.FULL): (_S.READY, (_A.PREDICT,)),
    (_S.READY, _E.RESET): (_S.FILLING, (_A.ABSTAIN,)),
    (_S.READY, _E.GAP): (_S.GAPPED, (_A.ASK, _A.ABSTAIN)),
    (_S.READY, _E.OLD): (_S.READY, ()),
    (_S.READY, _E.UNASKED): (_S.READY, ()),
    (_S.READY, _E.SILENT): (_S.STALE, (_A.ABSTAIN,)),
    (_S.READY, _E.SESSION): (_S.EMPTY, ()),
    (_S.GAPPED, _E.ROWS): (_S.GAPPED, ()),
    (_S.GAPPED, _E.FULL): (_S.READY, (_A.PREDICT,)),
    (_S.GAPPED, _E.RESET): (_S.FILLING, (_A.ABSTAIN,)),
    (_S.GAPPED, _E.GAP): (_S.GAPPED, ()),  # asked again when that is due
    (_S.GAPPED, _E.OLD): (_S.GAPPED, ()),
    (_S.GAPPED, _E.SNAPSHOT): (_S.FILLING, (_A.ABSTAIN,)),
    (_S.GAPPED, _E.SNAPSHOT_FULL): (_S.READY, (_A.PREDICT,)),
    (_S.GAPPED, _E.SNAPSHOT_LATE): (_S.GAPPED, ()),
    (_S.GAPPED, _E.SILENT): (_S.STALE, (_A.ABSTAIN,)),
    (_S.GAPPED, _E.ASK_DUE): (_S.GAPPED, (_A.ASK,)),
    (_S.GAPPED, _E.SESSION): (_S.EMPTY, ()),
    (_S.STALE, _E.ROWS): (_S.GAPPED, (_A.ASK, _A.ABSTAIN)),  # what came before may have been missed, too
    (_S.STALE, _E.FULL): (_S.READY, (_A.PREDICT,)),
    (_S.STALE, _E.RESET): (_S.FILLING, (_A.ABSTAIN,)),
    (_S.STALE, _E.GAP): (_S.GAPPED, (_A.ASK, _A.ABSTAIN)),
    (_S.STALE, _E.OLD): (_S.STALE, ()),
    (_S.STALE, _E.UNASKED): (_S.STALE, ()),
    (_S.STALE, _E.SESSION): (_S.EMPTY, ()),
}

# Why nothing is said of a market in each state; READY depends on its rows.
REASONS: dict[State, Reason] = {
    State.EMPTY: Reason.FILLING,
    State.FILLING: Reason.FILLING,
    State.READY: Reason.NONE,
    State.GAPPED: Reason.GAP,
    State.STALE: Reason.STALE,
}

# What is counted when it happens, by the state that it happened in.
FAULTS = frozenset({Event.RESET, Event.GAP, Event.OLD, Event.SNAPSHOT_LATE, Event.UNASKED, Event.SILENT, Event.SESSION})


class ImpossibleEvent(AssertionError):
    """Something happened that cannot in this state: a mistake of this program."""


def transitions_table() -> str:
    """The transitions as a Markdown table, for the documentation."""
    rows = ["| market | event | next | steps |", "| --- | --- | --- | --- |"]
    for (state, event), (following, steps) in TABLE.items():
        rows.append(f"| {state} | {event} | {following} | {'; '.join(steps)} |")
    return "\n".join(rows)


def reasons_table() -> str:
    """Why a model abstains, as a Markdown table."""
    rows = ["| code | reason | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(reason)} | {reason.name} | {meaning} |" for reason, meaning in REASON_MEANING.items() if reason]
    return "\n".join(rows)
