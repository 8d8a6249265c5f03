"""What the supervisor of an engine is told, and what it demands in turn: `hlhft.hyperliquid.supervisor` turns the one
into the other."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from msgspec import Struct

from hlhft.hyperliquid.decode import Row


class GateLevel(IntEnum):
    """What may be placed; cancels always pass."""

    CLOSED = 0  # nothing
    REDUCING = 1  # what reduces a position
    OPEN = 2


class HaltCause(IntEnum):
    """Why an engine is halted. Values are written to disk: append, never renumber."""

    BREAKER = 1
    OPERATOR = 2
    FLATTEN = 3
    DISAGREEMENT = 4
    JOURNAL = 5
    NONCES = 6
    STATE = 7


HALT_MEANING: dict[HaltCause, str] = {
    HaltCause.BREAKER: "a breaker that latches has tripped",
    HaltCause.OPERATOR: "an operator halted trading",
    HaltCause.FLATTEN: "an operator had all orders cancelled and the positions closed at market",
    HaltCause.DISAGREEMENT: "the account at the venue is not what the engine's own records say",
    HaltCause.JOURNAL: "the journal cannot be written: what cannot be replayed is not traded",
    HaltCause.NONCES: "the venue knows nonces of this key that we did not give out: an old backup, or another user",
    HaltCause.STATE: "the state folder is not as the last session left it: an old copy, or parts of two",
}


def causes_table() -> str:
    """Why an engine is halted, as a Markdown table, for the documentation."""
    rows = ["| code | cause | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(cause)} | {cause.name} | {meaning} |" for cause, meaning in HALT_MEANING.items()]
    return "\n".join(rows)


class Halt(Struct, frozen=True):
    """A halt as it is kept on disk: `latches` are bits of hlhft.core.risk.Breaker, `breaker` the first that tripped."""

    cause: HaltCause
    reason: str
    latches: int = 0
    breaker: int = 0


class Verdict(StrEnum):
    """What is known of our orders when the engine ends."""

    UNSTARTED = "nothing was ever sent"
    EMPTY = "the venue has no order of ours, and can get none any more"
    NOT_EMPTY = "orders of ours may be left at the venue"


class ReportCode(IntEnum):
    """What a supervisor reports."""

    TRADING = 1
    WAITING = 2
    HALTED = 3
    RESUMED = 4
    STOPPING = 5
    STOPPED = 6
    STILL_HALTED = 7


# What happens.


class Warmed(Struct, frozen=True):
    """All that is compiled is loaded and all files are open."""


class FeedUp(Struct, frozen=True):
    """The connection with our own news is live."""


class FeedDown(Struct, frozen=True):
    """It is not; whatever was agreed on counts no more."""


class LaneUp(Struct, frozen=True):
    """Orders can be sent on this trading connection."""

    lane: int


class LaneDown(Struct, frozen=True):
    """They cannot."""

    lane: int


class Agreed(Struct, frozen=True):
    """The account at the venue is what our records say."""


class Disagreed(Struct, frozen=True):
    """It is not, and not because something was under way."""

    reason: str


class Tripped(Struct, frozen=True):
    """Breakers that latch have tripped in the core; all latches that are set, and the first breaker."""

    latches: int
    breaker: int
    reason: str


class JournalFailed(Struct, frozen=True):
    """The journal takes no more."""

    reason: str


class JournalWorks(Struct, frozen=True):
    """It does again."""


class NoncesRolledBack(Struct, frozen=True):
    """The venue knows nonces that are not ours."""

    reason: str


class HaltAsked(Struct, frozen=True):
    """An operator wants no trading. Requests have a number, which their answer repeats."""

    request: int
    reason: str


class ResumeAsked(Struct, frozen=True):
    """An operator has found the reason of a halt."""

    request: int
    reason: str


class FlattenAsked(Struct, frozen=True):
    """An operator wants all orders cancelled and all positions closed at market."""

    request: int
    reason: str


class StopAsked(Struct, frozen=True):
    """The process is to end; asked for again, it ends without waiting for proof."""

    reason: str


class Failed(Struct, frozen=True):
    """The engine itself failed; what it has at the venue is cancelled before it ends."""

    reason: str


class EmptyProven(Struct, frozen=True):
    """A listing of the venue, later than any expiry, has no order of ours."""


class NotEmpty(Struct, frozen=True):
    """No such listing came in the time that there was."""

    count: int


class StopDue(Struct, frozen=True):
    """The time to stop is over; early, late or out of date it does no harm."""


Input = (
    Warmed | FeedUp | FeedDown | LaneUp | LaneDown | Agreed | Disagreed | Tripped | JournalFailed | JournalWorks
    | NoncesRolledBack | HaltAsked | ResumeAsked | FlattenAsked | StopAsked | Failed | EmptyProven | NotEmpty | StopDue
)  # fmt: skip


# What is to be done.


class TellCore(Struct, frozen=True):
    """Events for the core, in their order."""

    rows: tuple[Row, ...]


class SetGate(Struct, frozen=True):
    """What the gateway lets pass from now on."""

    level: GateLevel


class CancelOwn(Struct, frozen=True):
    """Cancel every order of ours that may be alive, whatever the core knows of it."""


class ProveEmpty(Struct, frozen=True):
    """Read the open orders until EmptyProven or NotEmpty can be told."""


class SetStopTimer(Struct, frozen=True):
    """Tell StopDue at this time."""

    at_ns: int


class Persist(Struct, frozen=True):
    """Write to disk before anything else is done: the halt, or None and why it is over."""

    halt: Halt | None
    reason: str = ""


class Ready(Struct, frozen=True):
    """Tell the service manager that we trade, or would but for a halt. Told once."""


class Stopping(Struct, frozen=True):
    """Tell the service manager that we are about to end."""


class Answer(Struct, frozen=True):
    """The answer to an operator's request."""

    request: int
    is_done: bool
    text: str


class Report(Struct, frozen=True):
    """Something to log and count."""

    code: ReportCode
    detail: str = ""


class Exit(Struct, frozen=True):
    """End the process."""

    verdict: Verdict
    halt: Halt | None
    failure: str = ""


Effect = (
    TellCore | SetGate | CancelOwn | ProveEmpty | SetStopTimer | Persist | Ready | Stopping | Answer | Report | Exit
)
