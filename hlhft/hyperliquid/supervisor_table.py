"""The stages of an engine's life, what happens in it, and what is done then: all as data.

`hlhft.hyperliquid.supervisor` follows this table. A missing entry is an error; the documentation prints it.
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """How far an engine has come."""

    STARTING = "starting"  # compiling, opening files
    WAITING = "waiting"  # for connections, and for the account to agree
    TRADING = "trading"
    HALTED = "halted"  # until an operator resumes
    STOPPING = "stopping"  # until it is proven that no order is left
    STOPPED = "stopped"  # for good


class Event(StrEnum):
    """What happens to an engine: from outside, or derived from what it knows."""

    WARMED = "warmed"
    WARMED_HALTED = "warmed, halted on disk"
    HALT = "halt"
    AGREED = "agreed"
    RESUME = "resume"
    RESUME_REFUSED = "resume without its condition"
    FLATTEN = "flatten"
    STOP = "stop"
    EMPTY = "empty"
    NOT_EMPTY = "not empty"
    STOP_DUE = "stop due"
    # Derived.
    READY = "ready"
    UNREADY = "not ready"


class Step(StrEnum):
    """What is done on a transition, after the stage has changed, in order."""

    KEEP_HALT = "write the halt to disk"
    FORGET_HALT = "write to disk that it is over"
    OPEN_GATE = "open the gate"
    REDUCE_GATE = "let reductions pass"
    CLOSE_GATE = "close the gate"
    TELL_RESTORED = "tell the core its latches"
    TELL_UP = "tell the core: connected"
    TELL_DOWN = "tell the core: not connected"
    TELL_HALT = "tell the core: halt"
    TELL_RESUME = "tell the core: resume"
    TELL_FLATTEN = "tell the core: flatten"
    TELL_STOP = "tell the core: stop"
    CANCEL_OWN = "cancel all that is ours"
    PROVE_EMPTY = "prove that nothing is left"
    SET_DEADLINE = "set the deadline"
    NOTIFY_READY = "tell the service manager: ready"
    NOTIFY_STOPPING = "tell the service manager: stopping"
    ANSWER_DONE = "answer: done"
    ANSWER_REFUSED = "answer: refused"
    REPORT = "report the stage"
    END_UNSTARTED = "end, nothing sent"
    END_EMPTY = "end, empty"
    END_NOT_EMPTY = "end, not empty"


_S, _E, _D = Stage, Event, Step
_STOP = (
    _D.CLOSE_GATE, _D.NOTIFY_STOPPING, _D.TELL_STOP, _D.CANCEL_OWN, _D.PROVE_EMPTY, _D.SET_DEADLINE, _D.REPORT,
)  # fmt: skip
# What stops first, then what is written: the disk may be why it halts, and takes its time.
_HALT = (_D.REDUCE_GATE, _D.TELL_HALT, _D.KEEP_HALT, _D.ANSWER_DONE, _D.REPORT)
_FLATTEN = (_D.REDUCE_GATE, _D.TELL_FLATTEN, _D.KEEP_HALT, _D.ANSWER_DONE, _D.REPORT)
Row = tuple[Stage, tuple[Step, ...]]

# Stage x event -> next stage, steps. What is missing is an error.
TRANSITIONS: dict[tuple[Stage, Event], Row] = {
    (_S.STARTING, _E.WARMED): (_S.WAITING, (_D.CLOSE_GATE, _D.TELL_RESTORED, _D.REPORT)),
    (_S.STARTING, _E.WARMED_HALTED): (_S.HALTED, (_D.CLOSE_GATE, _D.TELL_RESTORED, _D.REPORT)),
    (_S.STARTING, _E.STOP): (_S.STOPPED, (_D.NOTIFY_STOPPING, _D.END_UNSTARTED)),
    (_S.STARTING, _E.RESUME_REFUSED): (_S.STARTING, (_D.ANSWER_REFUSED,)),
    (_S.STARTING, _E.AGREED): (_S.STARTING, ()),
    # A halt before the first order: the core is told once it listens.
    (_S.STARTING, _E.HALT): (_S.STARTING, (_D.KEEP_HALT, _D.ANSWER_DONE)),
    (_S.STARTING, _E.FLATTEN): (_S.STARTING, (_D.KEEP_HALT, _D.ANSWER_DONE)),
    (_S.WAITING, _E.READY): (_S.TRADING, (_D.TELL_UP, _D.OPEN_GATE, _D.NOTIFY_READY, _D.REPORT)),
    (_S.WAITING, _E.HALT): (_S.HALTED, (_D.CLOSE_GATE, *_HALT[1:])),
    (_S.WAITING, _E.FLATTEN): (_S.HALTED, (_D.CLOSE_GATE, *_FLATTEN[1:])),
    (_S.WAITING, _E.AGREED): (_S.WAITING, ()),
    (_S.WAITING, _E.RESUME_REFUSED): (_S.WAITING, (_D.ANSWER_REFUSED,)),
    (_S.WAITING, _E.STOP): (_S.STOPPING, _STOP),
    (_S.TRADING, _E.UNREADY): (_S.WAITING, (_D.CLOSE_GATE, _D.TELL_DOWN, _D.REPORT)),
    (_S.TRADING, _E.HALT): (_S.HALTED, _HALT),
    (_S.TRADING, _E.FLATTEN): (_S.HALTED, _FLATTEN),
    (_S.TRADING, _E.AGREED): (_S.TRADING, ()),
    (_S.TRADING, _E.RESUME_REFUSED): (_S.TRADING, (_D.ANSWER_REFUSED,)),
    (_S.TRADING, _E.STOP): (_S.STOPPING, _STOP),
    # Halted, it stays connected: what is open is cancelled, and closed where a breaker or an operator wants it so.
    (_S.HALTED, _E.READY): (_S.HALTED, (_D.TELL_UP, _D.REDUCE_GATE, _D.NOTIFY_READY)),
    (_S.HALTED, _E.UNREADY): (_S.HALTED, (_D.CLOSE_GATE, _D.TELL_DOWN)),
    (_S.HALTED, _E.HALT): (_S.HALTED, (_D.TELL_HALT, _D.KEEP_HALT, _D.ANSWER_DONE, _D.REPORT)),
    (_S.HALTED, _E.FLATTEN): (_S.HALTED, (_D.TELL_FLATTEN, _D.KEEP_HALT, _D.ANSWER_DONE, _D.REPORT)),
    (_S.HALTED, _E.AGREED): (_S.HALTED, ()),
    (_S.HALTED, _E.RESUME): (
        _S.WAITING, (_D.FORGET_HALT, _D.CLOSE_GATE, _D.TELL_RESUME, _D.ANSWER_DONE, _D.REPORT),
    ),
    (_S.HALTED, _E.RESUME_REFUSED): (_S.HALTED, (_D.ANSWER_REFUSED,)),
    (_S.HALTED, _E.STOP): (_S.STOPPING, _STOP),
    # A halt while it stops counts for the next start.
    (_S.STOPPING, _E.HALT): (_S.STOPPING, (_D.KEEP_HALT, _D.ANSWER_DONE)),
    (_S.STOPPING, _E.FLATTEN): (_S.STOPPING, (_D.ANSWER_REFUSED,)),
    (_S.STOPPING, _E.RESUME_REFUSED): (_S.STOPPING, (_D.ANSWER_REFUSED,)),
    (_S.STOPPING, _E.AGREED): (_S.STOPPING, ()),
    (_S.STOPPING, _E.READY): (_S.STOPPING, (_D.CANCEL_OWN,)),
    (_S.STOPPING, _E.UNREADY): (_S.STOPPING, ()),
    (_S.STOPPING, _E.EMPTY): (_S.STOPPED, (_D.END_EMPTY,)),
    (_S.STOPPING, _E.NOT_EMPTY): (_S.STOPPED, (_D.END_NOT_EMPTY,)),
    (_S.STOPPING, _E.STOP_DUE): (_S.STOPPED, (_D.END_NOT_EMPTY,)),
    (_S.STOPPING, _E.STOP): (_S.STOPPED, (_D.END_NOT_EMPTY,)),
}  # fmt: skip
# Proofs and deadlines of a stop that is none any more, or not yet, are out of date.
for _stage in (_S.STARTING, _S.WAITING, _S.TRADING, _S.HALTED, _S.STOPPED):
    for _event in (_E.EMPTY, _E.NOT_EMPTY, _E.STOP_DUE):
        TRANSITIONS[_stage, _event] = (_stage, ())
for _event in (_E.HALT, _E.FLATTEN, _E.RESUME_REFUSED):
    TRANSITIONS[_S.STOPPED, _event] = (_S.STOPPED, (_D.ANSWER_REFUSED,))
for _event in (_E.WARMED, _E.WARMED_HALTED, _E.AGREED, _E.STOP):
    TRANSITIONS[_S.STOPPED, _event] = (_S.STOPPED, ())


class ImpossibleEvent(ValueError):
    """What cannot happen to an engine in its stage: a mistake of the caller."""


def transitions_table() -> str:
    """The transitions as a Markdown table, for the documentation."""
    rows = ["| stage | event | next stage | steps |", "| --- | --- | --- | --- |"]
    for (stage, event), (following, steps) in TRANSITIONS.items():
        rows.append(f"| {stage} | {event} | {following} | {'; '.join(steps)} |")
    return "\n".join(rows)
