"""The nonces of one signer: each is given out once, also over crashes, and the venue takes them in any order.

The venue keeps the hundred highest nonces of a signer; a new one must be above the lowest of them, not among them, and
within (T - 2 days, T + 1 day) of block time T, all in milliseconds (venue reference section 5.4). So a nonce is the
clock, or one more than the last; the clock is believed only near the estimated block time, and a nonce that nobody
answered yet has few given out after it.

The high-water mark makes it safe to crash. The shell writes the mark that `reserve` returns to disk and, once it is
there, says so with `reserved`: only nonces up to a mark on disk are given out, and a restart begins above it. A mark
never comes from a backup: the venue's evidence of a nonce that we do not know to have given out latches ROLLED_BACK,
until an operator resumes.

Placements are refused while that is not settled. What takes risk away (`urgent`) is refused only what could not work:
a nonce that the disk does not cover, or that lies outside the venue's window. Pure: time and news come as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NONCE_MAX = 2**63 - 1
VENUE_KEEPS = 100  # venue reference section 5.4
VENUE_PAST_MS = 2 * DAY_MS
VENUE_FUTURE_MS = DAY_MS


class NonceError(ValueError):
    """A call that cannot be right: the caller's mistake."""


class NonceState(IntEnum):
    """What the venue's evidence says about the mark we started from."""

    UNPROVEN = 0  # nothing yet
    PROVEN = 1  # the venue knows no nonce that we do not
    ROLLED_BACK = 2  # it does: an old backup, or somebody else who signs with this key


class NonceEvent(IntEnum):
    """What can be learned."""

    KNOWN = 0  # the venue's newest nonce of this signer is one that we gave out, or older than the mark
    UNKNOWN = 1  # it is none of ours
    RESUME = 2  # an operator looked into it


class NonceRefusal(Enum):
    """Why no nonce is given out. Not a number, so that none is ever taken for a nonce."""

    UNPROVEN = 1  # the venue's evidence has not been heard
    ROLLED_BACK = 2  # it contradicts our mark
    IN_FLIGHT = 3  # the oldest unanswered nonce would come near falling out of the venue's set
    FIRST = 4  # the first nonce of this run is not answered: in an empty set it might outrun the next
    UNRESERVED = 5  # no mark on disk covers it
    AHEAD = 6  # too far ahead of block time
    BEHIND = 7  # too far behind it: the mark on disk is old


_S, _E = NonceState, NonceEvent
# State x event -> next state. What is missing is an error.
TRANSITIONS: dict[NonceState, dict[NonceEvent, NonceState]] = {
    _S.UNPROVEN: {_E.KNOWN: _S.PROVEN, _E.UNKNOWN: _S.ROLLED_BACK},
    _S.PROVEN: {_E.KNOWN: _S.PROVEN, _E.UNKNOWN: _S.ROLLED_BACK},
    _S.ROLLED_BACK: {_E.KNOWN: _S.ROLLED_BACK, _E.UNKNOWN: _S.ROLLED_BACK, _E.RESUME: _S.PROVEN},
}


def transitions_table() -> str:
    """The transitions as a Markdown table, one line a state with every event it allows."""
    rows = ["| state | event → next state; any other event is an error |", "| --- | --- |"]
    for state, row in TRANSITIONS.items():
        cells = ", ".join(f"{event.name} → {following.name}" for event, following in row.items())
        rows.append(f"| {state.name} | {cells} |")
    return "\n".join(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceRules:
    """The bounds. Raises NonceError when they do not fit each other or the venue's."""

    window_ms: int = 10_000  # how far a new mark lies ahead of what is in use
    skew_ms_max: int = 60_000  # how far from block time the clock is believed
    ahead_ms_max: int = HOUR_MS  # how far ahead of block time a nonce may lie; many restarts in a row add up
    behind_ms_max: int = DAY_MS  # and how far behind
    span_max: int = 90  # nonces given out from the oldest unanswered one on, itself among them
    first_alone: bool = True  # one nonce must have been answered before a second is given out

    def __post_init__(self) -> None:
        if not 1 <= self.window_ms <= self.ahead_ms_max - self.skew_ms_max:
            raise NonceError("a mark's window must be positive and fit between the clock's skew and the bound ahead")
        if not 0 <= self.skew_ms_max <= self.behind_ms_max < VENUE_PAST_MS:
            raise NonceError("the bound behind block time must hold the clock's skew and lie within the venue's window")
        if not self.ahead_ms_max < VENUE_FUTURE_MS:
            raise NonceError("the bound ahead of block time must lie within the venue's window")
        if not 1 <= self.span_max <= VENUE_KEEPS:
            raise NonceError(f"the venue keeps {VENUE_KEEPS} nonces, so 1 to that many may be in flight")


DEFAULTS = NonceRules()


class NonceAllocator:
    """Gives out the nonces of one signer. `mark` is the one on disk, 0 for a signer that never signed.

    Bounded: at most VENUE_KEEPS unanswered nonces are remembered; an urgent one beyond lets the oldest go, counted in
    `pushed_out`, as the venue will refuse that one if it has not arrived.
    """

    def __init__(self, mark: int, rules: NonceRules = DEFAULTS) -> None:
        if not 0 <= mark <= NONCE_MAX:
            raise NonceError(f"a mark lies in 0..2^63-1, not {mark}")
        self.rules = rules
        self.state = NonceState.UNPROVEN
        self.last = mark
        self.mark = mark  # on disk
        self.pushed_out = 0
        self._asked = mark  # on its way to disk
        self._given = 0
        self._is_first = True  # the venue took none of this run yet
        self._open: dict[int, int] = {}  # nonce -> how many had been given out before it; ascending in both

    def __repr__(self) -> str:
        return f"NonceAllocator({self.state.name}, last={self.last}, mark={self.mark}, unanswered={len(self._open)})"

    # Questions.

    @property
    def unanswered(self) -> tuple[int, ...]:
        """The nonces whose fate is not settled, oldest first."""
        return tuple(self._open)

    def allocate(self, now_ms: int, block_time_ms: int, *, urgent: bool = False) -> int | NonceRefusal:
        """A nonce that was never given out, or why there is none; a refusal changes nothing.

        `block_time_ms` is the estimated time of the newest block. `urgent` is for what takes risk away.
        """
        if not urgent and (self._open or self.state is not NonceState.PROVEN):
            refusal = self._refusal()
            if refusal is not None:
                return refusal
        rules = self.rules
        following = self.last + 1
        skew = rules.skew_ms_max
        # On the hot path: comparisons cost a third of what min and max do.
        nonce = now_ms if now_ms - skew <= block_time_ms <= now_ms + skew else self._clock(now_ms, block_time_ms)
        if nonce < following or nonce > self.mark:
            # Or the disk is behind: what was reserved and not used still serves, one by one.
            nonce = following
            if nonce > self.mark:
                return NonceRefusal.UNRESERVED
        if nonce > block_time_ms + rules.ahead_ms_max:
            return NonceRefusal.AHEAD
        if nonce < block_time_ms - rules.behind_ms_max:
            return NonceRefusal.BEHIND
        self.last = nonce
        self._remember(nonce)
        return nonce

    # News.

    def answered(self, nonce: int) -> bool:
        """The venue answered, so it has taken the nonce. Returns whether it was unanswered: the second answer to a
        nonce changes nothing."""
        if not self.lost(nonce):
            return False
        self._is_first = False
        return True

    def lost(self, nonce: int) -> bool:
        """It is proven that the venue never took the nonce, nor will. Returns whether it was unanswered."""
        return self._open.pop(nonce, None) is not None

    def reserve(self, now_ms: int, block_time_ms: int) -> int | None:
        """The mark to write to disk now, None while more than half a window is left or a mark is on its way.

        Ask before the first nonce and on a timer of a fraction of the window; never on the hot path.
        """
        if self._asked > self.mark:
            return None
        base = max(self._clock(now_ms, block_time_ms), self.last)
        if self.mark - base > self.rules.window_ms // 2:
            return None
        self._asked = base + self.rules.window_ms
        return self._asked

    def reserved(self, mark: int) -> None:
        """The mark is on disk, and survives a power cut. Raises NonceError when it is not the one asked for."""
        if mark != self._asked or mark <= self.mark:
            raise NonceError(f"{mark} is not the mark that was asked for")
        self.mark = mark

    def not_reserved(self) -> None:
        """The mark could not be written: `reserve` will ask again."""
        self._asked = self.mark

    def evidence(self, newest: int) -> NonceState:
        """The highest nonce of this signer that the venue is known to have taken; 0 when it took none.

        Not the time of an order: that is the block's. What lies above our own last nonce is not ours; nothing at or
        below it is given out any more.
        """
        if newest <= self.last:
            return self._learn(NonceEvent.KNOWN)
        self.last = newest
        return self._learn(NonceEvent.UNKNOWN)

    def refused_as_used(self, nonce: int) -> NonceState:
        """The venue refused as used a nonce that was sent once only: somebody else used it."""
        self.lost(nonce)
        return self._learn(NonceEvent.UNKNOWN)

    def resume(self) -> NonceState:
        """An operator found the reason. Raises NonceError when there is nothing to resume from."""
        return self._learn(NonceEvent.RESUME)

    # Parts.

    def _learn(self, event: NonceEvent) -> NonceState:
        following = TRANSITIONS[self.state].get(event)
        if following is None:
            raise NonceError(f"{event.name} cannot happen in state {self.state.name}")
        self.state = following
        return following

    def _refusal(self) -> NonceRefusal | None:
        if self.state is not NonceState.PROVEN:
            is_new = self.state is NonceState.UNPROVEN
            return NonceRefusal.UNPROVEN if is_new else NonceRefusal.ROLLED_BACK
        assert self._open, "the caller has looked"
        if self.rules.first_alone and self._is_first:
            return NonceRefusal.FIRST
        oldest = next(iter(self._open.values()))
        return NonceRefusal.IN_FLIGHT if self._given - oldest >= self.rules.span_max else None

    def _clock(self, now_ms: int, block_time_ms: int) -> int:
        """The clock, as far as block time bears it out."""
        skew = self.rules.skew_ms_max
        return min(max(now_ms, block_time_ms - skew), block_time_ms + skew)

    def _remember(self, nonce: int) -> None:
        self._open[nonce] = self._given
        self._given += 1
        oldest = next(iter(self._open))
        if self._given - self._open[oldest] > VENUE_KEEPS:
            del self._open[oldest]
            self.pushed_out += 1
        assert len(self._open) <= VENUE_KEEPS, "what the venue would refuse is not waited for"
