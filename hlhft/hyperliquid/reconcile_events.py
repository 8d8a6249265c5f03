"""What the reconciliation is told, and what it demands in turn: `hlhft.hyperliquid.reconcile` turns the one into the
other.

`draw` is a random whole number below `hlhft.hyperliquid.backoff.DRAWS`. Rows are the fields of an event, in
EVENT_DTYPE's order, without FRAME_END.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import NamedTuple

from msgspec import Struct

from hlhft.hyperliquid.account import OpenOrder
from hlhft.hyperliquid.messages import Fills, Fundings, Transfers

Row = tuple[int, ...]


class TimerName(StrEnum):
    """The timers of the reconciliation."""

    QUESTIONS = "questions"
    WAIT = "wait"
    ROUND = "round"
    PROOF = "proof"


class Reason(StrEnum):
    """Why the account is to be read."""

    START = "start"
    CONNECTED = "connected"
    RESUBSCRIBED = "resubscribed"
    RESUMED = "resumed"
    SLOW = "slow"  # the slow lane's own


class Code(IntEnum):
    """Why it disagrees."""

    POSITION = 1
    ORDERS = 2
    LEFTOVERS = 3
    MODE = 4
    UNREADABLE = 5
    UNSTABLE = 6


CODE_MEANING: Mapping[Code, str] = {
    Code.POSITION: "the venue holds another position than the core, beyond what is under way",
    Code.ORDERS: "an order that counts as resting is not open at the venue, or of another size there",
    Code.LEFTOVERS: "orders of ours that nobody answers for are still open, although they were cancelled",
    Code.MODE: "the account's balances hang together in a way that is not supported",
    Code.UNREADABLE: "an order or a position in one of our markets has numbers that are none",
    Code.UNSTABLE: "something always differed, although nothing did all the time",
}


class ReportCode(IntEnum):
    """What is reported; those of ALARMING need to be looked at."""

    AGREED = 1
    DIFFERS = 2
    LEFTOVERS = 3
    FOREIGN_ORDERS = 4
    FOREIGN_POSITIONS = 5
    UNANSWERED = 6
    UNREADABLE = 7
    STUCK = 8
    GIVEN_UP = 9
    TRANSFER_UNKNOWN = 10
    FILLS_BEYOND = 11
    ADOPTED = 12


REPORT_MEANING: Mapping[ReportCode, str] = {
    ReportCode.AGREED: "a round is over, and the account agrees",
    ReportCode.DIFFERS: "something differs, and is read again: it may be under way",
    ReportCode.LEFTOVERS: "orders of ours that nobody answers for are open; they are cancelled",
    ReportCode.FOREIGN_ORDERS: "orders of somebody else are open on this account; they are left alone",
    ReportCode.FOREIGN_POSITIONS: "positions in markets that are not ours share the account's margin",
    ReportCode.UNANSWERED: "the venue did not answer a question; it is asked again",
    ReportCode.UNREADABLE: "an answer is none; it is asked for again",
    ReportCode.STUCK: "a question goes unanswered again and again, or the account does not settle",
    ReportCode.GIVEN_UP: "a question that the round can do without is left to the next",
    ReportCode.TRANSFER_UNKNOWN: "a transfer whose amount the venue does not tell: equity is off by it",
    ReportCode.FILLS_BEYOND: "more happened since the last reading than the venue still tells",
    ReportCode.ADOPTED: "orders of an earlier session are ours again",
}
ALARMING = frozenset(
    {
        ReportCode.UNANSWERED,
        ReportCode.UNREADABLE,
        ReportCode.STUCK,
        ReportCode.GIVEN_UP,
        ReportCode.TRANSFER_UNKNOWN,
        ReportCode.FILLS_BEYOND,
    }
)


def codes_table() -> str:
    """Why it disagrees, as a Markdown table, for the documentation."""
    rows = ["| code | disagreement | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(code)} | {code.name} | {meaning} |" for code, meaning in CODE_MEANING.items()]
    return "\n".join(rows)


def reports_table() -> str:
    """What is reported, as a Markdown table, for the documentation."""
    rows = ["| code | report | alarming | meaning |", "| ---: | --- | --- | --- |"]
    for code, meaning in REPORT_MEANING.items():
        rows.append(f"| {int(code)} | {code.name} | {'yes' if code in ALARMING else 'no'} | {meaning} |")
    return "\n".join(rows)


class OwnOrder(NamedTuple):
    """An order of ours that is not over, as the fates have it. `is_resting`: the venue took it, and nothing under way
    would change it, as far as we know; `is_settled`: nothing is to be asked about it."""

    cloid: int
    market: int
    left_lots: int
    is_resting: bool
    is_settled: bool = True


class Leftover(NamedTuple):
    """An open order with our owner's number that nobody here answers for."""

    asset_id: int
    cloid: int
    oid: int
    coin: str


# What happens.


class Begin(Struct, frozen=True):
    """Read the account, and tell Agreed or Disagreed with this number. `settled_ms`: agree only after a reading later
    than this block time, until which orders of an earlier session may still arrive; 0 when none can."""

    number: int
    reason: Reason
    settled_ms: int = 0


class Answer(Struct, frozen=True):
    """The answer to an Ask; None when none came, or the venue refused it."""

    request_id: int
    body: bytes | None
    draw: int = 0


class CorePositions(Struct, frozen=True):
    """Our own side, after everything that was demanded before the AskOwn of this number has been done: positions in
    lots and marks in ticks (0 unknown) by market, and all orders of ours that are not over."""

    number: int
    positions_lots: tuple[int, ...]
    marks_ticks: tuple[int, ...]
    orders: tuple[OwnOrder, ...]


class Told(Struct, frozen=True):
    """A message of the user's streams, which the fates have been told before."""

    message: Fills | Fundings | Transfers


class ProveEmpty(Struct, frozen=True):
    """Find out whether no order of ours is open, and tell Empty or NotEmpty with this number. Nothing that was sent can
    arrive after block time `expiry_ms`; the gate is closed."""

    number: int
    expiry_ms: int
    deadline_ns: int


class Timer(Struct, frozen=True):
    """A timer fired; early, late or out of date does no harm."""

    name: TimerName
    draw: int


Input = Begin | Answer | CorePositions | Told | ProveEmpty | Timer


# What is to be done.


class Ask(Struct, frozen=True):
    """Send the body to `POST /info`, and tell Answer."""

    request_id: int
    body: bytes
    weight: int


class TellListing(Struct, frozen=True):
    """Tell the fates all open orders of the account; the listing is no older than this block, and had come then."""

    orders: tuple[OpenOrder, ...]
    block_ms: int
    come_ns: int


class TellFills(Struct, frozen=True):
    """Tell the fates these fills, most of which they know."""

    fills: Fills


class FillsRead(Struct, frozen=True):
    """Tell the fates that they have all fills of the account from one block time to the other, and up to when they were
    asked for."""

    from_ms: int
    through_ms: int
    asked_ns: int


class AskOwn(Struct, frozen=True):
    """Tell CorePositions with this number."""

    number: int


class Tell(Struct, frozen=True):
    """Events for the core, as one frame. What they say of the account was asked for at `since_ns` or later: what was
    under way then, or left since, may be missing in the actions that the address has used."""

    rows: list[Row]
    since_ns: int


class BeginSession(Struct, frozen=True):
    """Tell the fates that positions stand as of this block: fills up to it are in them, later ones count."""

    block_ms: int


class BeginPeaks(Struct, frozen=True):
    """Keep that equity is from now on that of a session that began at this block.

    `transferred_micro` is what was moved in and out between the settings' `transfers_ms` and this block, as far as the
    venue tells amounts: what the session begins with holds it, and peaks of earlier sessions do not.
    """

    transferred_micro: int
    block_ms: int


class Adopt(Struct, frozen=True):
    """Tell the fates, and by them the core, that these orders of earlier sessions are ours again, as they were at this
    block."""

    orders: tuple[OpenOrder, ...]
    block_ms: int


class CancelLeftovers(Struct, frozen=True):
    """Cancel these orders, at most CANCELS_MAX of them, by their client order ids."""

    orders: tuple[Leftover, ...]


class Agreed(Struct, frozen=True):
    """The account agrees as of this block, as the Begin of this number demanded."""

    number: int
    block_ms: int


class Disagreed(Struct, frozen=True):
    """It does not; of the slow lane, too, with the number of the Begin before it."""

    number: int
    sentence: str
    code: Code


class Watermark(Struct, frozen=True):
    """All fills and transfers up to this block time are known: a restart need not look farther back."""

    block_ms: int


class Empty(Struct, frozen=True):
    """Nothing of ours was open at this block, nor can anything arrive later."""

    number: int
    block_ms: int


class NotEmpty(Struct, frozen=True):
    """That could not be shown in time: so many of ours were open last, None when that is not known."""

    number: int
    count: int | None


class SetTimer(Struct, frozen=True):
    """Tell Timer at this time; replaces the timer of this name."""

    name: TimerName
    at_ns: int


class Report(Struct, frozen=True):
    """Something to log and count."""

    code: ReportCode
    detail: str = ""


Effect = (
    Ask
    | TellListing
    | TellFills
    | FillsRead
    | AskOwn
    | Tell
    | BeginSession
    | BeginPeaks
    | Adopt
    | CancelLeftovers
    | Agreed
    | Disagreed
    | Watermark
    | Empty
    | NotEmpty
    | SetTimer
    | Report
)
