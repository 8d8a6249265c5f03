"""What a connection is told, and what it demands in turn: `hlhft.hyperliquid.connection` turns the one into the other.

`socket` is everywhere the number that Open gave; `draw` a random whole number below `hlhft.hyperliquid.backoff.DRAWS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

from msgspec import Struct

from hlhft.hyperliquid.subscriptions import ALL_MARKETS, Stream, StreamKind


class TimerName(StrEnum):
    """The timers of a connection."""

    BACKOFF = "backoff"
    PHASE = "phase"
    PING = "ping"
    PONG = "pong"
    WATCH = "watch"
    SUBSCRIPTIONS = "subscriptions"


class ReportCode(IntEnum):
    """What a connection reports; those of ALARMING need to be looked at when they go on."""

    LIVE = 1
    STOPPED = 2
    ROTATED = 3
    LOST = 4
    CONNECT_LATE = 5
    HANDSHAKE_LATE = 6
    PONG_MISSING = 7
    STREAM_STALE = 8
    STREAM_DEAD = 9
    SUBSCRIPTION_REFUSED = 10
    SUBSCRIPTION_UNANSWERED = 11
    ERROR_UNMATCHED = 12
    RECONCILE_LATE = 13
    CONNECTS_EXHAUSTED = 14


REPORT_MEANING: Mapping[ReportCode, str] = {
    ReportCode.LIVE: "reconciled; fresh markets may be quoted",
    ReportCode.STOPPED: "closed on demand",
    ReportCode.ROTATED: "the venue closed the socket by age, as it does; another is opened",
    ReportCode.LOST: "the socket was closed or could not be opened; the detail is its code and reason",
    ReportCode.CONNECT_LATE: "no transport in time",
    ReportCode.HANDSHAKE_LATE: "no upgrade to WebSocket in time",
    ReportCode.PONG_MISSING: "a ping went unanswered; the socket is given up",
    ReportCode.STREAM_STALE: "a stream is stale; its market's quotes are pulled, it is begun again",
    ReportCode.STREAM_DEAD: "a stale stream stayed so; the socket is given up, unless that was tried and others flow",
    ReportCode.SUBSCRIPTION_REFUSED: "the venue refuses a subscription; it is asked for again later",
    ReportCode.SUBSCRIPTION_UNANSWERED: "requests of a subscription went unanswered; the socket is given up",
    ReportCode.ERROR_UNMATCHED: "an error frame that is about no request of this connection",
    ReportCode.RECONCILE_LATE: "no reconciliation in time; it is asked for again",
    ReportCode.CONNECTS_EXHAUSTED: "the connects of this minute are used up; the next waits",
}
ALARMING = frozenset(ReportCode) - {ReportCode.LIVE, ReportCode.STOPPED, ReportCode.ROTATED}


def reports_table() -> str:
    """What a connection reports, as a Markdown table, for the documentation."""
    rows = ["| code | report | alarming | meaning |", "| ---: | --- | --- | --- |"]
    for code, meaning in REPORT_MEANING.items():
        rows.append(f"| {int(code)} | {code.name} | {'yes' if code in ALARMING else 'no'} | {meaning} |")
    return "\n".join(rows)


class ReconcileReason(StrEnum):
    """Why the account must be read from the venue before anything is quoted."""

    CONNECTED = "connected"
    RESUBSCRIBED = "resubscribed"  # to the user's streams, on the same socket: what they told meanwhile is lost


# What happens.


class Start(Struct, frozen=True):
    """The connection is wanted from now on."""


class Desire(Struct, frozen=True):
    """Exactly these streams are wanted from now on."""

    streams: tuple[Stream, ...]


class TransportUp(Struct, frozen=True):
    """TCP and TLS stand."""

    socket: int


class Upgraded(Struct, frozen=True):
    """The WebSocket stands; messages may be sent."""

    socket: int


class Data(Struct, frozen=True):
    """A frame of data. `block_ms` is the venue's time of a book, bbo or latest trade; the touch is that of a book or
    bbo, 0 for a side that is empty."""

    socket: int
    kind: StreamKind
    market: int = ALL_MARKETS
    block_ms: int = 0
    bid_ticks: int = 0
    ask_ticks: int = 0


class Pong(Struct, frozen=True):
    """The venue answered a ping."""

    socket: int


class Acknowledged(Struct, frozen=True):
    """A `subscriptionResponse` frame."""

    socket: int
    method: str
    subscription: Mapping[str, Any]


class ErrorFrame(Struct, frozen=True):
    """An `error` frame."""

    socket: int
    text: str


class Closed(Struct, frozen=True):
    """The socket is gone, or could not be opened; without a close frame the code is 1006."""

    socket: int
    draw: int
    code: int = 1006
    reason: str = ""


class Reconciled(Struct, frozen=True):
    """The account agrees with the venue, as the Reconcile of this number demanded."""

    number: int


class Timer(Struct, frozen=True):
    """A timer fired; early, late or out of date does no harm."""

    name: TimerName
    draw: int


class Stop(Struct, frozen=True):
    """The connection is wanted no more; it does not start again."""


Input = (
    Start
    | Desire
    | TransportUp
    | Upgraded
    | Data
    | Pong
    | Acknowledged
    | ErrorFrame
    | Closed
    | Reconciled
    | Timer
    | Stop
)


# What is to be done.


class Open(Struct, frozen=True):
    """Open a socket, and tell all of it with this number."""

    url: str
    socket: int


class Send(Struct, frozen=True):
    """Send a text frame."""

    socket: int
    payload: bytes


class Close(Struct, frozen=True):
    """Close a socket, without waiting for the peer; what it still tells is dropped."""

    socket: int
    code: int


class SetTimer(Struct, frozen=True):
    """Tell Timer at this time; replaces the timer of this name."""

    name: TimerName
    at_ns: int


class MarketStale(Struct, frozen=True):
    """Quote this market no more; ALL_MARKETS: none."""

    market: int


class PullQuotes(Struct, frozen=True):
    """Cancel the quotes of this market; ALL_MARKETS: of all."""

    market: int


class MarketFresh(Struct, frozen=True):
    """This market may be quoted as far as this connection knows; ALL_MARKETS: the user's streams are well."""

    market: int


class Reconcile(Struct, frozen=True):
    """Read the account from the venue, and tell Reconciled with this number once it agrees."""

    reason: ReconcileReason
    number: int


class Report(Struct, frozen=True):
    """Something to log and count."""

    code: ReportCode
    detail: str = ""


Effect = Open | Send | Close | SetTimer | MarketStale | PullQuotes | MarketFresh | Reconcile | Report
