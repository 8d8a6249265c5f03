"""What evidence does to a placement, and what the core is told of it: the table of `hlhft.hyperliquid.fates_table` at
work.

An order that was never modified is told as its placement goes. One that was is told as a whole, when what became of
both is known: until then the core counts both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hlhft.hyperliquid import fates_rows
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_ledger import Ledger, chain
from hlhft.hyperliquid.fates_records import NOT_TOLD, Chain, FateCode, Placement, Reason
from hlhft.hyperliquid.fates_table import DONE, TRANSITIONS, Evidence, State, Told
from hlhft.hyperliquid.fates_words import Code
from hlhft.hyperliquid.wire import NS_PER_MS

_HEARD = frozenset(
    {State.LIVE, State.DOUBTED, State.ENDING, State.FILLED}
)  # the venue took it, so what it modified is gone
_UNSURE = frozenset({State.UNKNOWN, State.DOUBTED})
_REFUSED = frozenset({State.REJECTED, State.NEVER, State.GONE})
DENIALS_MAX = 3  # readings that show an order resting of which the venue said that it is over


class Telling(NamedTuple):
    """When news comes, and the rows that it becomes. `at_ns` is the venue's time of it, 0 unknown."""

    now_ns: int
    rows: list[Row]
    at_ns: int = 0

    def at_ms(self, time_ms: int) -> Telling:
        """The same with the venue's time."""
        return self._replace(at_ns=time_ms * NS_PER_MS)


class Life:
    """Moves the placements of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._settle_ns = ledger.settings.settle_ns

    # Evidence.

    def learn(self, placement: Placement, evidence: Evidence, telling: Telling) -> None:
        """One step of the table, and what is told of it."""
        step = TRANSITIONS[placement.state].get(evidence)
        assert step is not None, f"{evidence.name} of {placement}"
        was, (following, told) = placement.state, step
        if following is not was:
            if was is State.UNKNOWN and following is State.LIVE:
                self._ledger.calm(placement)
            placement.state = following
            if following is State.ENDING:
                placement.over_ns = telling.now_ns
            if following in DONE:
                self._ledger.finish(placement)
        if told is Told.LATE:
            self._ledger.counters["late"] += 1
        elif told is Told.CONTRADICTION:
            self._ledger.report(FateCode.CONTRADICTION, placement, f"{evidence.name} cannot be true of it")
            if placement.state is State.DOUBTED:
                told = Told.UNKNOWN if was is State.LIVE else Told.NOTHING
                self._ledger.doubt(placement, Reason.CONTRADICTED, telling.now_ns)
        newest = self._ledger.newest(placement)
        if newest.previous is None:
            self._tell(placement, told, telling)
            return
        if placement.previous is not None and placement.state in _HEARD:
            self._end_modified(placement.previous, telling)
        self._settle(newest, evidence, telling)

    def rests(self, placement: Placement, evidence: Evidence, time_ms: int, told_lots: int, telling: Telling) -> None:
        """The venue says that it rested at block `time_ms`, 0 unknown, with `told_lots` of it filled; `evidence` is
        RESTS or SEEN."""
        if placement.ended_ms and time_ms > placement.ended_ms:
            self._ledger.report(FateCode.CONTRADICTION, placement, f"it rests at {time_ms}, after its end")
        elif evidence is Evidence.SEEN and placement.state is State.ENDING and not placement.ended_ms:
            # A reading may be older than an end that names no block, as long as its question may have been.
            placement.denials += telling.now_ns - placement.over_ns > self._ledger.settings.answer_ns
            if placement.denials == DENIALS_MAX:
                self._ledger.report(FateCode.CONTRADICTION, placement, "its end was told, and readings show it")
        placement.lived_ms = max(placement.lived_ms, time_ms)
        if not placement.reduce_only:
            # A reduce-only order shrinks with its position (venue reference section 4.5): that is no fill.
            placement.told_lots = max(placement.told_lots, told_lots)
        self.learn(placement, evidence, telling)
        if evidence is Evidence.SEEN and placement.state is State.LIVE:
            placement.absent_ms = placement.absent_ns = 0
            self._ledger.calm(placement)
            self._settle(self._ledger.newest(placement), evidence, telling)
        self.check_fills(placement, telling.now_ns)

    def end(
        self, placement: Placement, code: int, lots: int, telling: Telling, *, time_ms: int = 0, is_exact: bool = False
    ) -> None:
        """The venue says that it is over, at block `time_ms`, 0 unknown, with `lots` of it filled, NOT_TOLD unknown."""
        self.learn(placement, Evidence.END, telling)
        if placement.state is not State.ENDING:
            return
        if time_ms and not placement.ended_ms:
            placement.ended_ms = time_ms
        if placement.code in (Code.NONE, Code.REQUESTED) and code:
            placement.code = code
        if lots != NOT_TOLD:
            self._claim(placement, lots, is_exact=is_exact)
        self.close(placement, telling)

    def _claim(self, placement: Placement, lots: int, *, is_exact: bool) -> None:
        """How much was filled when it ended. The venue's own sum is better than a difference; of two that differ the
        larger one counts."""
        known = placement.end_lots
        if known == NOT_TOLD or (is_exact and not placement.is_exact):
            placement.end_lots, placement.is_exact = lots, is_exact
        elif lots != known and is_exact is placement.is_exact and not placement.reduce_only:
            self._ledger.report(FateCode.CONTRADICTION, placement, f"{lots} of it were filled, or {known}")
            placement.end_lots = max(lots, known)

    def close(self, placement: Placement, telling: Telling) -> None:
        """Ends what is over once its fills have come; else there is something to ask."""
        if placement.state is not State.ENDING:
            return
        if placement.end_lots == NOT_TOLD or placement.filled_lots < placement.end_lots:
            reason = Reason.END_UNTOLD if placement.end_lots == NOT_TOLD else Reason.FILLS_MISSING
            self._ledger.doubt(placement, reason, telling.now_ns + self._settle_ns)
            return
        whole = Evidence.WHOLE_EXPIRED if placement.is_immediate else Evidence.WHOLE_CANCELLED
        if placement.filled_lots > placement.end_lots:
            self._ledger.report(FateCode.CONTRADICTION, placement, f"it ended with {placement.end_lots} filled")
        self.learn(placement, whole, telling)

    def lose(self, placement: Placement, reason: Reason, telling: Telling, *, ask_ns: int) -> None:
        """Nobody knows what became of it, or of what was done to it."""
        self.learn(placement, Evidence.LOSS, telling)
        if placement.state in _UNSURE:
            self._ledger.doubt(placement, reason, ask_ns)

    def unrecognised(self, placement: Placement, told: str, telling: Telling) -> None:
        """The venue said of it what the reference does not name."""
        self._ledger.report(FateCode.UNRECOGNISED_STATUS, placement, told)
        self.lose(placement, Reason.UNRECOGNISED, telling, ask_ns=telling.now_ns)

    def reject(self, placement: Placement, code: Code, telling: Telling) -> None:
        """The venue refused it."""
        placement.code = code
        self.learn(placement, Evidence.REJECTION, telling)

    def prove(self, placement: Placement, telling: Telling) -> None:
        """It is proven that it was never executed, nor will be."""
        assert placement.filled_lots == 0, "what was filled was executed"
        placement.code = placement.code or Code.REQUEST_LOST
        self.learn(placement, Evidence.PROOF, telling)

    def check_fills(self, placement: Placement, now_ns: int) -> None:
        """Asks for fills that the venue spoke of, when they do not come."""
        if placement.state is not State.LIVE or placement.reason not in (Reason.NONE, Reason.FILLS_MISSING):
            return
        if placement.filled_lots < placement.told_lots:
            self._ledger.doubt(placement, Reason.FILLS_MISSING, now_ns + self._settle_ns)
        elif placement.reason is Reason.FILLS_MISSING:
            self._ledger.calm(placement)

    # What is told.

    def refuse_cancel(self, placement: Placement, code: Code, telling: Telling) -> None:
        """Its cancel was refused: an order that rests goes on resting. While a modification of it is under way, what is
        told waits for that."""
        newest = self._ledger.newest(placement)
        if placement.state is State.LIVE and (newest.previous is None or newest.chain is Chain.LIVE):
            telling.rows.append(fates_rows.cancel_rejected(placement, code, telling.now_ns))

    def _tell(self, placement: Placement, told: Told, telling: Telling) -> None:
        """Of an order that was never modified."""
        if told is Told.ACKNOWLEDGED:
            self._acknowledge(placement, telling)
        elif told in _ROWS:
            _ROWS[told](placement, telling)

    def _acknowledge(self, placement: Placement, telling: Telling) -> None:
        """The first time, and after each doubt."""
        if not placement.acknowledged:
            telling.rows.append(fates_rows.acknowledged(placement, telling.at_ns, telling.now_ns))
            placement.acknowledged = True

    def _end_modified(self, placement: Placement, telling: Telling) -> None:
        """A modification is carried out, so what it modified does not rest any more."""
        if placement.state not in DONE and placement.state is not State.ENDING:
            self.end(placement, Code.REQUESTED, NOT_TOLD, telling)

    def _settle(self, newest: Placement, evidence: Evidence, telling: Telling) -> None:
        """Tells of an order that was modified what is known of all its placements together."""
        if newest.previous is None:
            return
        left = [placement for placement in chain(newest) if not placement.is_done]
        if not left:
            # The last fill says that nothing is left.
            if newest.chain is not Chain.DONE and evidence is not Evidence.FILL_LAST:
                telling.rows.append(_end_of(newest, telling))
            newest.chain = Chain.DONE
        elif any(placement.state in _UNSURE for placement in left):
            if newest.chain is not Chain.UNKNOWN:
                telling.rows.append(fates_rows.unknown(newest, telling.now_ns))
            newest.chain = Chain.UNKNOWN
        elif len(left) == 1 and left[0].state is State.LIVE and left[0].reason is not Reason.MODIFIED:
            if newest.chain is Chain.LIVE:
                return
            if left[0] is not newest and newest.chain is Chain.PENDING:
                telling.rows.append(fates_rows.cancel_rejected(newest, newest.code, telling.now_ns))
            # Which of the two it is that rests, and what is left of it.
            telling.rows.append(fates_rows.acknowledged(left[0], telling.at_ns, telling.now_ns))
            newest.chain = Chain.LIVE


def _unknown(placement: Placement, telling: Telling) -> None:
    placement.acknowledged = False
    telling.rows.append(fates_rows.unknown(placement, telling.now_ns))


def _cancelled(placement: Placement, telling: Telling) -> None:
    lots = placement.lots - placement.filled_lots
    telling.rows.append(fates_rows.cancelled(placement, lots, telling.at_ns, telling.now_ns))


def _expired(placement: Placement, telling: Telling) -> None:
    lots = placement.lots - placement.filled_lots
    telling.rows.append(fates_rows.expired(placement, lots, telling.at_ns, telling.now_ns))


def _rejected(placement: Placement, telling: Telling) -> None:
    telling.rows.append(fates_rows.rejected(placement, telling.at_ns, telling.now_ns))


def _send_failed(placement: Placement, telling: Telling) -> None:
    telling.rows.append(fates_rows.send_failed(placement, telling.now_ns))


_ROWS: dict[Told, Callable[[Placement, Telling], None]] = {
    Told.CANCELLED: _cancelled,
    Told.EXPIRED: _expired,
    Told.REJECTED: _rejected,
    Told.UNKNOWN: _unknown,
    Told.SEND_FAILED: _send_failed,
}


def _end_of(newest: Placement, telling: Telling) -> Row:
    """The end of an order that was modified, all of whose placements are over.

    A refused modification ends the order as refused only where the core still waits for it and nothing was filled: what
    was filled in part is not refused any more.
    """
    is_untouched = not any(one.filled_lots for one in chain(newest))
    if newest.state in _REFUSED and newest.chain is Chain.PENDING and is_untouched:
        return fates_rows.rejected(newest, telling.at_ns, telling.now_ns)
    lived = next((one for one in chain(newest) if one.state not in _REFUSED), newest)
    lots = max(0, lived.lots - lived.filled_lots)
    if lived.state is State.EXPIRED:
        return fates_rows.expired(lived, lots, telling.at_ns, telling.now_ns)
    return fates_rows.cancelled(lived, lots, telling.at_ns, telling.now_ns)
