"""What the gateway is told, and what it demands in turn: `hlhft.hyperliquid.gateway` turns the one into the other.

`lane` is the place of a trading connection, 0 or 1; `socket` the number its connection gave it; `request_id` the number
of a request to the venue, never given twice; `draw` a random whole number below `hlhft.hyperliquid.backoff.DRAWS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum

from msgspec import Struct

from hlhft.hyperliquid.account import OpenOrder, OrderStatus
from hlhft.hyperliquid.answers import ActionPosted, PostRefused
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_records import FateReport
from hlhft.hyperliquid.messages import Fills, NonUserCancels, OrderUpdates

LANES = 2


class TimerName(StrEnum):
    """The timers of a gateway."""

    WATCH = "watch"  # answers that are late, cancels to be repeated, silent actions to be resolved
    ASK = "ask"  # orders to ask about
    MARK = "mark"  # nonces to be reserved
    MODE = "mode"  # the end of a post-only window or of a wait for a troubled venue


class GatewayRefusal(IntEnum):
    """Why a command did not leave: the code of a COMMAND_REFUSED event."""

    CLOSED = 1
    NO_LANE = 2
    PRESSURE = 3
    NONCE = 4
    MESSAGES = 5
    POSTS = 6
    VENUE = 7
    ENCODE = 8
    FULL = 9


REFUSAL_MEANING: Mapping[GatewayRefusal, str] = {
    GatewayRefusal.CLOSED: "the gate is closed: nothing that adds risk leaves",
    GatewayRefusal.NO_LANE: "no trading connection is up, and only what takes risk away goes over HTTP",
    GatewayRefusal.PRESSURE: "bytes wait in the send buffer of a trading connection",
    GatewayRefusal.NONCE: "no nonce could be given out; the report names why",
    GatewayRefusal.MESSAGES: "the messages or requests of this minute are used up",
    GatewayRefusal.POSTS: "too many requests are unanswered",
    GatewayRefusal.VENUE: "the venue is in trouble, and the wait for it is not over",
    GatewayRefusal.ENCODE: "the command is no action; the report says which and why",
    GatewayRefusal.FULL: "too many orders whose fate is open are remembered already",
}


class ReportCode(IntEnum):
    """What a gateway reports; those of HALTING stop trading."""

    LATE_ANSWER = 1
    UNANSWERED = 2
    CANCEL_REPEATED = 3
    VOIDED = 4
    LANDED = 5
    ACTION_REFUSED = 6
    UNKNOWN_USER = 7
    NONCE_USED = 8
    NONCE_ROLLED_BACK = 9
    NO_NONCE = 10
    ADDRESS_EXHAUSTED = 11
    EXPIRED = 12
    POST_ONLY = 13
    VENUE_DOWN = 14
    VENUE_BACK = 15
    MARK_FAILED = 16
    DEADMAN_SET = 17
    DEADMAN_REFUSED = 18
    DEADMAN_UNKNOWN = 19
    NOT_ENCODED = 20
    PUSHED_OUT = 21
    TROUBLE = 22


REPORT_MEANING: Mapping[ReportCode, str] = {
    ReportCode.LATE_ANSWER: "an answer to a request that is settled, or that this process never sent",
    ReportCode.UNANSWERED: "no answer in time, or its connection ended; the action's fate is being proven",
    ReportCode.CANCEL_REPEATED: "a cancel without an answer was sent again on the other connection",
    ReportCode.VOIDED: "a noop was taken under an action's nonce: the action never executed",
    ReportCode.LANDED: "an action's nonce is used: the action arrived, and its orders are asked about",
    ReportCode.ACTION_REFUSED: "the venue refused a whole action; the detail is its text",
    ReportCode.UNKNOWN_USER: "the venue does not know the signer or the account: wrong key, account or network",
    ReportCode.NONCE_USED: "a nonce that was sent once is used: somebody else signs with this key",
    ReportCode.NONCE_ROLLED_BACK: "the venue knows a newer nonce than we do: an old mark, or a shared key",
    ReportCode.NO_NONCE: "no nonce for an action; the detail is why",
    ReportCode.ADDRESS_EXHAUSTED: "the address has used up its actions; only volume buys more",
    ReportCode.EXPIRED: "an action arrived after its expiry; the venue counts it five times",
    ReportCode.POST_ONLY: "the venue takes only post-only orders for a while",
    ReportCode.VENUE_DOWN: "the venue answered with errors several times in a row",
    ReportCode.VENUE_BACK: "the venue answers again, or is given another try",
    ReportCode.MARK_FAILED: "the mark of nonces could not be written; it is tried again",
    ReportCode.DEADMAN_SET: "the venue took the time of the scheduled cancel, or its end",
    ReportCode.DEADMAN_REFUSED: "the venue refused the scheduled cancel; the detail is its text",
    ReportCode.DEADMAN_UNKNOWN: "nobody knows whether the scheduled cancel was taken",
    ReportCode.NOT_ENCODED: "commands that are no action: an error of this program",
    ReportCode.PUSHED_OUT: "an unanswered nonce has fallen out of the hundred that the venue keeps",
    ReportCode.TROUBLE: "an answer that is no answer: HTML, no JSON, or an HTTP status of 429 or 5xx",
}
HALTING = frozenset({ReportCode.UNKNOWN_USER, ReportCode.NONCE_USED, ReportCode.NONCE_ROLLED_BACK})


def refusals_table() -> str:
    """Why commands do not leave, as a Markdown table, for the documentation."""
    rows = ["| code | refusal | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(code)} | {code.name} | {meaning} |" for code, meaning in REFUSAL_MEANING.items()]
    return "\n".join(rows)


def reports_table() -> str:
    """What a gateway reports, as a Markdown table, for the documentation."""
    rows = ["| code | report | halts | meaning |", "| ---: | --- | --- | --- |"]
    for code, meaning in REPORT_MEANING.items():
        rows.append(f"| {int(code)} | {code.name} | {'yes' if code in HALTING else 'no'} | {meaning} |")
    return "\n".join(rows)


# What happens.


class Start(Struct, frozen=True, gc=False):
    """The gateway is wanted from now on: nonces are reserved."""


class LaneUp(Struct, frozen=True, gc=False):
    """A trading connection may carry posts. What the socket before it left unanswered is treated as of LaneDown."""

    lane: int
    socket: int


class LaneDown(Struct, frozen=True, gc=False):
    """A trading connection carries nothing any more; what it left unanswered may or may not have arrived."""

    lane: int


class Pressure(Struct, frozen=True, gc=False):
    """Whether bytes wait in the send buffer of a trading connection."""

    lane: int
    is_waiting: bool


class Written(Struct, frozen=True, gc=False):
    """The last byte of a request was handed to the socket at this time."""

    request_id: int
    at_ns: int


class NotWritten(Struct, frozen=True, gc=False):
    """No byte of a request left this machine, nor will: the socket refused all of it."""

    request_id: int


class Posted(Struct, frozen=True):
    """An answer to a post came over a trading connection."""

    socket: int
    message: ActionPosted | PostRefused


class HttpAnswered(Struct, frozen=True, gc=False):
    """What became of a PostHttp: the HTTP status and body, or None when no answer came."""

    request_id: int
    status: int = 0
    body: bytes | None = None


class Told(Struct, frozen=True):
    """A message of the user's streams."""

    message: OrderUpdates | Fills | NonUserCancels


class BlockTime(Struct, frozen=True, gc=False):
    """The venue's block time of a frame."""

    ms: int


class MarkWritten(Struct, frozen=True, gc=False):
    """A mark of nonces is on disk, and survives a power cut."""

    mark: int


class MarkFailed(Struct, frozen=True, gc=False):
    """A mark of nonces could not be written."""


class NonceEvidence(Struct, frozen=True, gc=False):
    """The highest nonce of our signer that the venue is known to have taken; 0 when it took none."""

    newest: int


class Resume(Struct, frozen=True, gc=False):
    """An operator found out why the venue knew a nonce that we did not."""


class StatusRead(Struct, frozen=True):
    """The answer to an AskStatus; `status` is None for an order that the venue does not know. `block_ms` is a block
    that the reading is no older than; 0: the newest one that was known when it was asked for."""

    order_id: int
    revision: int
    status: OrderStatus | None
    block_ms: int = 0


class FillsRead(Struct, frozen=True, gc=False):
    """All fills of the account from one block to another were read, and told as Told before; and all up to when they
    were asked for, unless that is 0."""

    from_ms: int
    through_ms: int
    asked_ns: int


class Listed(Struct, frozen=True):
    """All open orders of the account, as of this block of the venue or a later one, in an answer that had come then."""

    open_orders: Sequence[OpenOrder]
    block_ms: int
    come_ns: int


class Gate(Struct, frozen=True, gc=False):
    """Whether placements may leave; cancels always may. Through a closed gate reduce-only orders may while `reductions`
    is set: a halt may close positions at market."""

    is_open: bool
    reductions: bool = False


class CancelOwn(Struct, frozen=True, gc=False):
    """Cancel every live order of ours in a market, by its row; None: in all. With `replaced` only those of which a
    modification is under way: the core cannot cancel them until it knows which of the two rests."""

    market: int | None = None
    replaced: bool = False


class SentElsewhere(Struct, frozen=True, gc=False):
    """An action of ours left by another way: it counts for so many actions of the address."""

    actions: int


class AnsweredElsewhere(Struct, frozen=True, gc=False):
    """It was answered: what the venue tells of a time from now on has it."""

    actions: int


class Deadman(Struct, frozen=True, gc=False):
    """Let the venue cancel everything at this time, ms; None: not any more (venue reference section 4.2)."""

    time_ms: int | None


class Timer(Struct, frozen=True, gc=False):
    """A timer fired; early, late or out of date does no harm."""

    name: TimerName
    draw: int


Input = (
    Start
    | LaneUp
    | LaneDown
    | Pressure
    | Written
    | NotWritten
    | Posted
    | HttpAnswered
    | Told
    | BlockTime
    | MarkWritten
    | MarkFailed
    | NonceEvidence
    | Resume
    | StatusRead
    | FillsRead
    | Listed
    | Gate
    | CancelOwn
    | SentElsewhere
    | AnsweredElsewhere
    | Deadman
    | Timer
)


# What is to be done.


class Post(Struct, frozen=True, gc=False):
    """Write a text frame to the socket of a trading connection now, and tell Written or NotWritten. `batch_id` is the
    core's number of the action, 0 for one of the gateway's own."""

    lane: int
    socket: int
    request_id: int
    payload: bytes
    batch_id: int = 0

    def __repr__(self) -> str:
        """Without the payload: a signed action that was never sent is an order for whoever finds it."""
        return f"Post(lane={self.lane}, request_id={self.request_id}, batch_id={self.batch_id})"


class PostHttp(Struct, frozen=True, gc=False):
    """Send the body to `POST /exchange`, once; tell Written, and HttpAnswered whatever becomes of it."""

    request_id: int
    body: bytes
    batch_id: int = 0

    def __repr__(self) -> str:
        """As of Post."""
        return f"PostHttp(request_id={self.request_id}, batch_id={self.batch_id})"


class Tell(Struct, frozen=True):
    """Events for the core, as one frame."""

    rows: list[Row]


class WriteMark(Struct, frozen=True, gc=False):
    """Write the mark of nonces to disk and sync it, then tell MarkWritten or MarkFailed."""

    mark: int


class AskStatus(Struct, frozen=True, gc=False):
    """Send the body to `POST /info` (`orderStatus`), and tell StatusRead if an answer comes."""

    order_id: int
    revision: int
    body: bytes
    weight: int = 2  # venue reference section 7


class AskFills(Struct, frozen=True, gc=False):
    """Read all fills of the account since this block (`userFillsByTime`); tell them as Told, and then FillsRead."""

    since_ms: int
    weight: int = 20  # venue reference section 7


class Found(Struct, frozen=True):
    """What the fates report: to log and count. What is in `hlhft.hyperliquid.fates_records.HALTING` stops trading."""

    report: FateReport


class BudgetTold(Struct, frozen=True, gc=False):
    """The venue said how many actions of the address are used and allowed; they belong into the next ACCOUNT_STATE."""

    used: int
    allowed: int


class SetTimer(Struct, frozen=True, gc=False):
    """Tell Timer at this time; replaces the timer of this name."""

    name: TimerName
    at_ns: int


class Report(Struct, frozen=True, gc=False):
    """Something to log and count."""

    code: ReportCode
    detail: str = ""


Effect = Post | PostHttp | Tell | WriteMark | AskStatus | AskFills | Found | BudgetTold | SetTimer | Report
