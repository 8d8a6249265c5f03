"""What happens to a watchdog from outside, what it wants done, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct

from hlhft.hyperliquid import cloids
from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS, BackoffSettings
from hlhft.hyperliquid.signing import address_bytes
from hlhft.hyperliquid.watchdog_beats import Beat

WEIGHT_PER_MINUTE_MAX = 1200  # venue reference section 7, of an IP address
LOOK_WEIGHT_MIN = 60  # what one reading of an account needs, and a few cancels
DEXES_MAX = 8
SWITCH_NS_MIN = 5 * SECOND_NS  # venue reference section 4.2


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSettings:
    """The numbers of one watchdog. Raises ValueError when they are out of range or do not fit each other.

    `account` is the address that trades; its `vault_address` is the same when it is a sub-account or a vault, None when
    it signs for itself or through an API wallet. `flatten_coins` are perpetuals whose positions are closed after the
    orders are gone; the legs of a carry pair do not belong there, as its spot leg would stay.
    """

    account: str
    owner: int
    mainnet: bool
    vault_address: str | None = None
    dexes: tuple[str, ...] = ("",)  # the venue's own and those of builders, by name
    silence_ns: int = 1500 * MILLISECOND_NS
    start_ns: int = 5 * SECOND_NS  # for the first beat, before orders that stand are orphans
    halt_grace_ns: int = 5 * SECOND_NS  # for an engine that cancels
    waiting_grace_ns: int = 10 * SECOND_NS  # for one that lives and does not agree with the venue
    flatten_grace_ns: int = 60 * SECOND_NS  # for one that closes its positions
    returns: int = 3  # beats in a row from an engine that was lost, before cancelling ends
    look_ns: int = 60 * SECOND_NS  # from one look for own orders to the next, without an engine
    look_first_ns: int = 5 * SECOND_NS  # the first after a proof, each next after twice as long
    request_ns: int = SECOND_NS  # for an answer, before it is asked for on the other lane
    round_ns: int = SECOND_NS  # between two readings while there is progress
    end_ns: int = 2 * SECOND_NS  # for the switch to be cleared
    backoff: BackoffSettings = field(default_factory=lambda: BackoffSettings(longest_ns=5 * SECOND_NS))
    proof_margin_ms: int = 250  # a server that answers may lag behind the one that told the time
    expires_after_ms: int = 3000  # of placements of an engine that was never heard
    clock_skew_ms: int = 1000  # of its clock then
    weight_per_minute: int = 120  # the watchdog's part of the rate limit
    weight_per_minute_max: int = 600  # with the engine's part, while that is lost
    flatten_coins: tuple[str, ...] = ()
    flatten_slippage_bps: int = 300  # how far from the mark positions are closed at most
    switch: bool = True  # whether the venue's dead man's switch is used; it cancels every order of the account
    switch_ns: int = 60 * SECOND_NS  # after the last push, until it fires
    push_ns: int = 20 * SECOND_NS
    switch_retry_ns: int = 3600 * SECOND_NS  # after the venue refused it

    def __post_init__(self) -> None:
        address_bytes(self.account)
        if self.vault_address is not None:
            address_bytes(self.vault_address)
        cloids.require(owner=self.owner, session=1)
        for name in self.__slots__:
            value = getattr(self, name)
            if type(value) is int and value <= 0 and name not in ("proof_margin_ms", "clock_skew_ms"):
                raise ValueError(f"{name} of the watchdog is {value}, and must be more than 0")
        if self.proof_margin_ms < 0 or self.clock_skew_ms < 0:
            raise ValueError("proof_margin_ms and clock_skew_ms of the watchdog must be 0 or more")
        if not 1 <= len(self.dexes) <= DEXES_MAX or len(set(self.dexes)) != len(self.dexes):
            raise ValueError(f"the watchdog looks at 1 to {DEXES_MAX} different dexes, not {len(self.dexes)}")
        if not LOOK_WEIGHT_MIN <= self.weight_per_minute <= self.weight_per_minute_max <= WEIGHT_PER_MINUTE_MAX:
            raise ValueError(
                f"the watchdog has {self.weight_per_minute} of the rate limit, in need {self.weight_per_minute_max}: "
                f"from {LOOK_WEIGHT_MIN}, what a reading needs, to {WEIGHT_PER_MINUTE_MAX}, and in need not less"
            )
        if self.switch_ns < SWITCH_NS_MIN or 2 * self.push_ns > self.switch_ns:
            raise ValueError(
                "the dead man's switch is set 5 s ahead or more (switch_ns), and pushed twice before it fires (push_ns)"
            )
        if self.flatten_slippage_bps >= 10_000:
            raise ValueError("flatten_slippage_bps of the watchdog must be below 10000, the whole price")


class ReportCode(StrEnum):
    """What an operator should know; `hlhft.live.watchdog` says which are alarms."""

    HEARD = "the engine is heard"
    SILENT = "the engine is silent"
    OVERDUE = "the engine has not finished in time what it said it does"
    STOPPED = "the engine has stopped"
    ORPHANS = "own orders stand and no engine is heard"
    SWEEP = "a sweep was asked for"
    FOUND = "own orders appeared after it was proven that there were none"
    CANCELLED = "cancels sent"
    EMPTY = "proven: no own order is left"
    FLATTENING = "closing positions"
    BACK = "the engine beats again"
    RECONCILED = "the engine has reconciled"
    UNREACHABLE = "the venue does not answer"
    REFUSED = "the venue refuses"
    UNREADABLE = "the venue's answer cannot be read"
    NO_ASSET = "a market of an own order is unknown, it cannot be cancelled"
    NO_WEIGHT = "the watchdog's share of the rate limit is used up"
    SWITCH_ARMED = "the dead man's switch is armed"
    SWITCH_REFUSED = "the venue refuses the dead man's switch"
    SWITCH_UNKNOWN = "whether the dead man's switch is armed is unknown"
    SWITCH_CLEARED = "the dead man's switch is cleared"
    UNPROVEN = "the watchdog ends before it was proven that no own order is left"


class TimerName(StrEnum):
    """The timers of a watchdog."""

    SILENCE = "silence"
    GRACE = "grace"
    LOOK = "look"
    ROUND = "round"
    REQUEST = "request"
    SWITCH = "switch"
    END = "end"


class Lane(StrEnum):
    """Where a request goes."""

    SOCKET = "socket"
    HTTP = "http"


class RequestKind(StrEnum):
    """To which endpoint a request goes."""

    INFO = "info"
    ACTION = "action"


# Inputs.


class Start(Struct, frozen=True):
    """Begin to watch."""


class Sweep(Struct, frozen=True):
    """An operator wants all own orders gone, and proof of it."""


class Stop(Struct, frozen=True):
    """Leave, once the dead man's switch is cleared."""


class Heard(Struct, frozen=True):
    """A beat that the gate let through."""

    beat: Beat


class SocketUp(Struct, frozen=True):
    """Requests may go over the socket."""


class SocketDown(Struct, frozen=True):
    """They may not; what was sent over it is not answered any more."""


class Answered(Struct, frozen=True):
    """The answer to a request: the JSON of an information request, the body of an action's. None when there is none,
    and `text` says why."""

    request_id: int
    body: bytes | None
    draw: int
    text: str = ""


class Timer(Struct, frozen=True):
    """A timer that was set has fired. `draw` is a random whole number below `backoff.DRAWS`."""

    name: TimerName
    draw: int


Input = Start | Sweep | Stop | Heard | SocketUp | SocketDown | Answered | Timer


# Effects.


class Ask(Struct, frozen=True):
    """Send a request; answer with `Answered`. Its body is not shown: an action is good for whoever finds it."""

    request_id: int
    lane: Lane
    kind: RequestKind
    body: bytes

    def __repr__(self) -> str:
        return f"Ask({self.request_id}, {self.lane}, {self.kind})"


class SetTimer(Struct, frozen=True):
    """Set a timer; one of the same name replaces the one before."""

    name: TimerName
    at_ns: int


class Report(Struct, frozen=True):
    """Tell the operator."""

    code: ReportCode
    detail: str


class Ended(Struct, frozen=True):
    """The watchdog has ended; `is_clean` unless own orders may be left."""

    is_clean: bool


Effect = Ask | SetTimer | Report | Ended
