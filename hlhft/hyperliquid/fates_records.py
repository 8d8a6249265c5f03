"""What `hlhft.hyperliquid.fates` remembers, is told and asks: placements, actions under way, doubts, reports.

Sizes are lots and prices ticks of the market, a place in the list of markets; times end in their unit, `_ms` is the
venue's block time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hlhft.hyperliquid.fates_table import DONE, State
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.wire import NS_PER_MS

SECOND_NS = 1_000_000_000
NOT_TOLD = -1


class FatesError(ValueError):
    """A call that cannot be right: the caller's mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FateSettings:
    """The bounds. Raises ValueError when one is not positive."""

    margin_ms: int = 1000  # how much later than an action's expiry a reading must be to prove that it never came
    skew_ms: int = 10_000  # how far our clock may be from the venue's
    settle_ns: int = SECOND_NS  # how long fills and updates may lag behind what refers to them before anybody asks
    answer_ns: int = 10 * SECOND_NS  # how long the answer to a question may take: later ones nobody waits for any more
    live_max: int = 16_384  # placements that are not over: refused beyond
    finished_max: int = 8192  # placements that are over and still told apart from strangers: the oldest are forgotten
    flights_max: int = 4096  # actions without an answer: the oldest is given up, its orders are asked about
    fills_max: int = 65_536  # fills remembered by their trade ids: what is older than the forgotten counts as known
    held_max: int = 4096  # fills that wait for the start of the session: what comes beyond is lost, and reported
    reports_max: int = 256  # reports that nobody has fetched yet: counted beyond

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of the fates is {getattr(self, name)}, and must be more than 0")


DEFAULTS = FateSettings()


class Sent(NamedTuple):
    """An action whose bytes are about to leave. `legs` are its commands, COMMAND_DTYPE[n], which are not kept.

    `batch_id` is the core's number, 0 for an action that the core did not ask for. `session` is that of the orders that
    a cancel by client order id names, 0 for the present one; `revisions` are those of the orders that a cancel names,
    None: the newest of each that is not over.
    """

    kind: ActionKind
    nonce: int
    expires_after_ms: int | None
    batch_id: int
    legs: np.ndarray
    session: int = 0
    revisions: Sequence[int] | None = None


class Reason(IntEnum):
    """Why an order is to be asked about."""

    NONE = 0
    SILENT = 1  # an action about it was not answered
    NOTHING_TO_CANCEL = 2  # the venue says that it has no such order, and not why
    END_UNTOLD = 3  # it is over, but how much of it was filled is not known
    FILLS_MISSING = 4  # the venue says that more was filled than fills have come
    UNRECOGNISED = 5  # a status, an error or a number that means nothing to us
    ABSENT = 6  # it is not among the open orders any more
    MODIFIED = 7  # its modification was refused, and the venue may have cancelled it
    CONTRADICTED = 8  # two words of the venue about it cannot both be true


class Question(IntEnum):
    """What answers a doubt."""

    STATUS = 0  # orderStatus by `cloid`, or by `oid` where that is not 0
    FILLS = 1  # userFillsByTime from `since_ms`


class Doubt(NamedTuple):
    """An order to ask about. A reading that knows nothing of it is a proof only when its block is later than
    `proof_ms`; before, only a positive answer helps."""

    order_id: int
    revision: int
    cloid: int
    oid: int
    market: int
    reason: Reason
    question: Question
    since_ms: int
    proof_ms: int


class LiveOrder(NamedTuple):
    """A placement of ours that may still fill, as far as anybody can prove."""

    order_id: int
    revision: int
    session: int
    cloid: int
    oid: int  # 0 while it is not known
    market: int
    side: int
    price_ticks: int
    left_lots: int  # the most that it can still fill, missing fills included
    state: State
    sent_ns: int
    reduce_only: bool = False  # then less of it may rest: it shrinks with the position (venue reference section 4.5)


class Identity(NamedTuple):
    """How to name an order to the venue. The next modification must take the revision after `revision_last`: name the
    order by `oid` when that is not `revision`."""

    session: int
    revision: int
    revision_last: int
    oid: int
    market: int


class FateCode(IntEnum):
    """What is reported."""

    CONTRADICTION = 1
    UNRECOGNISED_STATUS = 2
    UNRECOGNISED_ERROR = 3
    MISFIT = 4
    UNREADABLE = 5
    FILL_UNREADABLE = 6
    OVERFILLED = 7
    FILLS_SHORT = 8
    FORGOTTEN = 9
    OWN_UNKNOWN = 10
    FOREIGN = 11
    FILL_TOO_OLD = 12
    FILLS_LOST = 13
    GIVEN_UP = 14


MEANING: Mapping[FateCode, str] = {
    FateCode.CONTRADICTION: "news about an order contradicts what was proven of it",
    FateCode.UNRECOGNISED_STATUS: "a status of an order that the reference does not name; the order counts as unknown",
    FateCode.UNRECOGNISED_ERROR: "an error text that the reference does not name; it is taken as a refusal",
    FateCode.MISFIT: "an answer does not fit its action: its orders count as unknown and are asked about",
    FateCode.UNREADABLE: "numbers of an order's news that are none, or not of its market",
    FateCode.FILL_UNREADABLE: "a fill of an order of ours cannot be booked: the position is not known",
    FateCode.OVERFILLED: "more was filled than an order had",
    FateCode.FILLS_SHORT: "an order ended with more filled than all fills that the venue tells",
    FateCode.FORGOTTEN: "the venue does not know an order any more that it had taken",
    FateCode.OWN_UNKNOWN: "an order bears our owner's number and is not in our books",
    FateCode.FOREIGN: "orders or fills of somebody else on this account; the orders are left alone, a fill halts",
    FateCode.FILL_TOO_OLD: "a fill older than all that are remembered was left out as known",
    FateCode.FILLS_LOST: "more fills than can wait came before the session began",
    FateCode.GIVEN_UP: "too many actions without an answer: the oldest was given up and its orders are asked about",
}
# What says that position or orders are not what we think: whoever gets one of these stops trading.
HALTING = frozenset(
    {
        FateCode.CONTRADICTION,
        FateCode.UNRECOGNISED_STATUS,
        FateCode.FILL_UNREADABLE,
        FateCode.OVERFILLED,
        FateCode.FILLS_SHORT,
        FateCode.FILLS_LOST,
    }
)


def reports_table() -> str:
    """What is reported, as a Markdown table, for the documentation."""
    rows = ["| code | report | halts | meaning |", "| ---: | --- | --- | --- |"]
    for code, meaning in MEANING.items():
        rows.append(f"| {int(code)} | {code.name} | {'yes' if code in HALTING else 'no'} | {meaning} |")
    return "\n".join(rows)


class FateReport(NamedTuple):
    """Something to log and count; `order_id` is 0 where no order of this session is meant."""

    code: FateCode
    order_id: int
    detail: str


class News(NamedTuple):
    """A status of an order, from whichever channel."""

    oid: int
    status: str
    status_ms: int
    size_lots: int
    left_lots: int
    fault: Fault


class Chain(IntEnum):
    """What the core was told last of an order that was modified; kept at its newest placement."""

    PENDING = 0  # nothing since the modification left
    LIVE = 1
    UNKNOWN = 2
    DONE = 3


class Placement:
    """One order as the venue knows it. `previous` is the one that this modified."""

    __slots__ = (
        "absent_ms", "absent_ns", "acknowledged", "ask_ns", "chain", "code", "denials", "end_lots", "ended_ms",
        "expires_ms", "filled_lots", "from_ms", "is_exact", "is_immediate", "key", "lived_ms", "lots", "market", "oid",
        "order_id", "over_ns", "previous", "price_ticks", "reason", "reduce_only", "revision", "revision_last",
        "sent_ns", "session", "side", "state", "told_lots",
    )  # fmt: skip

    def __init__(
        self,
        order_id: int,
        revision: int,
        session: int,
        market: int,
        side: int,
        price_ticks: int,
        lots: int,
        expires_ms: int,
        is_immediate: bool,
        reduce_only: bool,
        sent_ns: int,
        previous: Placement | None,
    ) -> None:
        self.order_id = order_id
        self.revision = self.revision_last = revision
        self.session = session
        self.key = order_id << 8 | revision
        self.market = market
        self.side = side
        self.price_ticks = price_ticks
        self.lots = lots
        self.filled_lots = 0
        self.told_lots = 0  # what the venue says was filled while it is live
        self.end_lots = NOT_TOLD  # what the venue says was filled when it ended
        self.is_exact = False  # whether `end_lots` is the venue's own sum, and not what is left taken from the size
        self.expires_ms = expires_ms
        self.is_immediate = is_immediate
        self.reduce_only = reduce_only
        self.sent_ns = sent_ns
        self.previous = previous
        self.state = State.SENT
        self.oid = 0
        self.code = 0
        self.acknowledged = False
        self.lived_ms = 0  # block time of the newest news that it rests
        self.ended_ms = 0  # block time of its end
        self.over_ns = 0  # when its end was told
        self.absent_ms = 0  # block time of the first listing that would have had to show it
        self.absent_ns = 0  # when that had come: what is asked from then on, was true later
        self.from_ms = 0  # fills up to this block were taken off before it was adopted
        self.chain = Chain.PENDING
        self.denials = 0  # readings, asked for after its end was told, that showed it resting
        self.reason = Reason.NONE
        self.ask_ns = 0

    def __repr__(self) -> str:
        filled = f"{self.filled_lots}/{self.lots}"
        return (
            f"Placement({self.order_id}, revision={self.revision}, {self.state.name}, filled={filled}, oid={self.oid})"
        )

    @property
    def is_done(self) -> bool:
        """Whether its fate is proven."""
        return self.state in DONE

    @property
    def left_lots(self) -> int:
        """The most that it can still fill, missing fills included."""
        return 0 if self.state in DONE else max(0, self.lots - self.filled_lots)

    def since_ms(self, skew_ms: int) -> int:
        """A block time before which it was not filled, but for what was taken off when it was adopted."""
        return self.from_ms or max(0, self.sent_ns // NS_PER_MS - skew_ms)


class Flight:
    """An action without an answer. `placements` has one entry a leg: what it places, or cancels; None for an order that
    is not in the books. The core waits for it when `is_core`."""

    __slots__ = ("is_core", "is_reposted", "is_silent", "kind", "placements")

    def __init__(self, kind: ActionKind, placements: tuple[Placement | None, ...], *, is_core: bool) -> None:
        self.kind = kind
        self.placements = placements
        self.is_core = is_core
        self.is_silent = False
        self.is_reposted = False
