"""The life of one placement at the venue, as data: state x evidence -> next state and what the core is told.

A placement is one order as the venue knows it: a modification makes another one, with its own client order id. Nothing
but evidence moves it. An end that the venue tells is a claim until the fills that belong to it have arrived: until then
the placement is ENDING and counts in full. News that contradicts a proof changes nothing and is told loudly.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class State(IntEnum):
    """What is known of a placement."""

    SENT = 0  # its bytes left, or may have
    UNKNOWN = 1  # nobody ever heard of it, and the answer did not come
    LIVE = 2  # the venue took it, and said nothing of its end
    DOUBTED = 3  # the venue took it; whether it still rests is to be asked
    ENDING = 4  # the venue says that it is over; fills are missing, or nobody said how many there are
    FILLED = 5
    CANCELLED = 6
    EXPIRED = 7  # an immediate one: what found nothing is gone
    REJECTED = 8  # the venue refused it
    NEVER = 9  # proven that it was not executed, nor will be
    GONE = 10  # proven that it neither rests nor was filled; whether it ever came is not known


class Evidence(IntEnum):
    """What can be learned of a placement."""

    RESTS = 0  # an answer or an update says that it rests: at some time it did
    SEEN = 1  # a reading, of its status or of all open orders, shows it resting
    FILL = 2  # one fill, and more could come
    FILL_LAST = 3  # the fill that makes it whole
    END = 4  # the venue says that it is over
    WHOLE_CANCELLED = 5  # and all fills that it had have arrived
    WHOLE_EXPIRED = 6  # the same of an immediate one
    REJECTION = 7  # the venue refused it
    LOSS = 8  # no answer, or one that says nothing
    PROOF = 9  # a reading past its expiry that knows nothing of it, or a noop under its nonce
    UNSENT = 10  # no byte of it left this machine
    ABSENCE = 11  # past its expiry it does not rest, and all fills until then are known


class Told(IntEnum):
    """What a step tells, beside the fill itself."""

    NOTHING = 0
    ACKNOWLEDGED = 1  # the first time, or after a doubt
    CANCELLED = 2
    EXPIRED = 3
    REJECTED = 4
    UNKNOWN = 5
    SEND_FAILED = 6
    LATE = 7  # old news: counted
    CONTRADICTION = 8  # counted, and reported


class Step(NamedTuple):
    """Where evidence leads, and what is told of it."""

    following: State
    told: Told


_S, _E, _T = State, Evidence, Told
_UNHEARD = {
    _E.RESTS: Step(_S.LIVE, _T.ACKNOWLEDGED),
    _E.SEEN: Step(_S.LIVE, _T.ACKNOWLEDGED),
    _E.FILL_LAST: Step(_S.FILLED, _T.NOTHING),
    _E.END: Step(_S.ENDING, _T.NOTHING),
    _E.REJECTION: Step(_S.REJECTED, _T.REJECTED),
    _E.PROOF: Step(_S.NEVER, _T.REJECTED),
    _E.ABSENCE: Step(_S.GONE, _T.CANCELLED),
}
_TAKEN = {
    _E.FILL_LAST: Step(_S.FILLED, _T.NOTHING),
    _E.END: Step(_S.ENDING, _T.NOTHING),
}


def _still(state: State, **told: Told) -> dict[Evidence, Step]:
    return {Evidence[name]: Step(state, what) for name, what in told.items()}


def _over(state: State) -> dict[Evidence, Step]:
    """An order whose fills were complete when it ended: news from before is late, another fill contradicts."""
    return _still(
        state,
        RESTS=_T.LATE, SEEN=_T.LATE, END=_T.LATE, LOSS=_T.NOTHING,
        FILL=_T.CONTRADICTION, FILL_LAST=_T.CONTRADICTION, REJECTION=_T.CONTRADICTION,
        PROOF=_T.CONTRADICTION, UNSENT=_T.CONTRADICTION,
    )  # fmt: skip


def _dead(state: State, unsent: Told) -> dict[Evidence, Step]:
    """An order that never lived: whatever says that it did contradicts."""
    return _still(
        state,
        REJECTION=_T.LATE, LOSS=_T.NOTHING, PROOF=_T.NOTHING, UNSENT=unsent,
        RESTS=_T.CONTRADICTION, SEEN=_T.CONTRADICTION, END=_T.CONTRADICTION,
        FILL=_T.CONTRADICTION, FILL_LAST=_T.CONTRADICTION,
    )  # fmt: skip


# State x evidence -> step. What is missing is an error of this program: only an ENDING placement becomes whole, and
# only one that nobody ever heard of is ended by its absence.
TRANSITIONS: dict[State, dict[Evidence, Step]] = {
    _S.SENT: {
        **_UNHEARD,
        _E.FILL: Step(_S.LIVE, _T.NOTHING),
        _E.LOSS: Step(_S.UNKNOWN, _T.UNKNOWN),
        _E.UNSENT: Step(_S.NEVER, _T.SEND_FAILED),
    },
    _S.UNKNOWN: {
        **_UNHEARD,
        # It lived, but the connection to it was lost: whether it still rests is to be asked.
        _E.FILL: Step(_S.DOUBTED, _T.NOTHING),
        _E.LOSS: Step(_S.UNKNOWN, _T.NOTHING),
        _E.UNSENT: Step(_S.NEVER, _T.REJECTED),
    },
    _S.LIVE: {
        **_TAKEN,
        **_still(_S.LIVE, RESTS=_T.ACKNOWLEDGED, SEEN=_T.ACKNOWLEDGED, FILL=_T.NOTHING),
        **_still(_S.LIVE, PROOF=_T.CONTRADICTION, UNSENT=_T.CONTRADICTION),
        _E.LOSS: Step(_S.DOUBTED, _T.UNKNOWN),
        _E.REJECTION: Step(_S.DOUBTED, _T.CONTRADICTION),
    },
    _S.DOUBTED: {
        **_TAKEN,
        # An update or an answer may be older than the doubt; a reading is not.
        **_still(_S.DOUBTED, RESTS=_T.NOTHING, FILL=_T.NOTHING, LOSS=_T.NOTHING),
        **_still(_S.DOUBTED, REJECTION=_T.CONTRADICTION, PROOF=_T.CONTRADICTION, UNSENT=_T.CONTRADICTION),
        _E.SEEN: Step(_S.LIVE, _T.ACKNOWLEDGED),
    },
    _S.ENDING: {
        **_TAKEN,
        **_still(_S.ENDING, RESTS=_T.LATE, SEEN=_T.LATE, FILL=_T.NOTHING, LOSS=_T.NOTHING),
        **_still(_S.ENDING, REJECTION=_T.CONTRADICTION, PROOF=_T.CONTRADICTION, UNSENT=_T.CONTRADICTION),
        _E.WHOLE_CANCELLED: Step(_S.CANCELLED, _T.CANCELLED),
        _E.WHOLE_EXPIRED: Step(_S.EXPIRED, _T.EXPIRED),
    },
    _S.FILLED: _over(_S.FILLED),
    _S.CANCELLED: _over(_S.CANCELLED),
    _S.EXPIRED: _over(_S.EXPIRED),
    _S.REJECTED: _dead(_S.REJECTED, _T.CONTRADICTION),
    _S.NEVER: _dead(_S.NEVER, _T.NOTHING),
    _S.GONE: _still(
        _S.GONE,
        RESTS=_T.LATE,
        SEEN=_T.LATE,
        END=_T.LATE,
        REJECTION=_T.LATE,
        LOSS=_T.NOTHING,
        PROOF=_T.NOTHING,
        FILL=_T.CONTRADICTION,
        FILL_LAST=_T.CONTRADICTION,
        UNSENT=_T.NOTHING,
    ),
}

WHOLE = frozenset({Evidence.WHOLE_CANCELLED, Evidence.WHOLE_EXPIRED})
DONE = frozenset({State.FILLED, State.CANCELLED, State.EXPIRED, State.REJECTED, State.NEVER, State.GONE})
UNRESOLVED = frozenset({State.SENT, State.UNKNOWN})  # may still arrive at the venue


def transitions_table() -> str:
    """The transitions as a Markdown table, one line a state; what a step tells stands in brackets."""
    rows = ["| state | evidence → next state (told); any other evidence is an error |", "| --- | --- |"]
    for state, row in TRANSITIONS.items():
        cells = [f"{evidence.name} → {row[evidence].following.name}{_shown(row[evidence])}" for evidence in sorted(row)]
        rows.append(f"| {state.name} | {', '.join(cells)} |")
    return "\n".join(rows)


def _shown(step: Step) -> str:
    return "" if step.told is Told.NOTHING else f" ({step.told.name})"
