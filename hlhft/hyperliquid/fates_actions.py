"""What leaves and what is answered: actions under way by their nonces, and the fates that answers and silence mean.

An action without an answer is a flight; there are at most `flights_max`, the oldest is given up and its orders are
asked about. Source: venue reference sections 4.2 and 4.4.
"""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.hyperliquid import cloids, fates_rows
from hlhft.hyperliquid.answers import ActionAnswer, LegStatus, Outcome
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_ledger import Ledger, chain
from hlhft.hyperliquid.fates_life import Life, Telling
from hlhft.hyperliquid.fates_records import NOT_TOLD, FateCode, FatesError, Flight, Placement, Reason, Sent
from hlhft.hyperliquid.fates_table import DONE, Evidence, State
from hlhft.hyperliquid.fates_words import DURING_MODIFY, Code, error_code, says_used
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reading import whole_units
from hlhft.hyperliquid.wire import NS_PER_MS
from hlhft.units import LOTS_MAX, Market

_ORDER, _MODIFY = ActionKind.ORDER, ActionKind.MODIFY
PLACING = frozenset({ActionKind.ORDER, ActionKind.BATCH_MODIFY, ActionKind.MODIFY})
_CANCELLING = frozenset({ActionKind.CANCEL, ActionKind.CANCEL_BY_CLOID})
_IOC = 2
_ORDER_ID = 1  # its place among the fields of COMMAND_DTYPE


class Actions:
    """The actions of one signer."""

    def __init__(self, ledger: Ledger, life: Life, markets: Sequence[Market]) -> None:
        self._ledger = ledger
        self._life = life
        self._markets = markets
        self._settings = ledger.settings
        self._session = ledger.session
        self._flights: dict[int, Flight] = {}

    @property
    def in_flight(self) -> int:
        """How many actions about orders have no answer."""
        return len(self._flights)

    # What leaves.

    def sent(self, action: Sent) -> list[Row]:
        """The bytes of an action are about to leave: its orders are SENT from now on.

        To be called before the bytes go, and never for the same bytes again (`reposted`). Raises FatesError for a
        placement without expiry, which could never be proven dead, for one of an id that is in the books, a
        modification of what is over or was modified too often, and when there is no room (`has_room`).
        """
        kind = action.kind
        if action.nonce in self._flights:
            raise FatesError(f"nonce {action.nonce} is under way: the same bytes are told as reposted")
        placements: tuple[Placement | None, ...]
        if kind is _ORDER:
            placements = self._placed(action)
        elif kind in PLACING:
            placements = self._modified(action)
        elif kind in _CANCELLING:
            placements = self._cancelled(action)
        else:
            return []
        self._flights[action.nonce] = Flight(kind, placements, is_core=action.batch_id != 0)
        if len(self._flights) > self._settings.flights_max:
            return self._give_up(action)
        return []

    def reposted(self, nonce: int) -> None:
        """The same bytes of an action are about to leave again: a refusal proves nothing of it any more."""
        flight = self._flights.get(nonce)
        if flight is not None:
            flight.is_reposted = True

    def never_left(self, nonce: int, now_ns: int) -> list[Row]:
        """No byte of an action left this machine, nor will."""
        flight = self._flights.pop(nonce, None)
        telling = Telling(now_ns, [])
        if flight is None:
            return telling.rows
        for placement in flight.placements:
            if placement is None:
                continue
            if flight.kind in PLACING:
                placement.code = placement.code or Code.REQUEST_LOST
                self._life.learn(placement, Evidence.UNSENT, telling)
            elif flight.is_core and placement.state is State.LIVE and not flight.is_silent:
                telling.rows.append(fates_rows.send_failed(placement, now_ns))
        return telling.rows

    def _placed(self, action: Sent) -> tuple[Placement, ...]:
        expires_ms, orders = _expiry(action), self._ledger.orders
        placements = []
        for leg in action.legs.tolist():
            if leg[_ORDER_ID] in orders:
                raise FatesError(f"order {leg[_ORDER_ID]} is in the books: an id is never used twice")
            placements.append(self._placement(leg, action.nonce, expires_ms, 0, None))
        return self._enter(placements)

    def _modified(self, action: Sent) -> tuple[Placement, ...]:
        expires_ms, ledger = _expiry(action), self._ledger
        placements, newest = [], []
        for leg in action.legs.tolist():
            target = ledger.current(leg[_ORDER_ID])
            if target is None or target.revision_last >= cloids.REVISION_MAX:
                times = f"was modified {cloids.REVISION_MAX} times"
                raise FatesError(f"order {leg[_ORDER_ID]} is over, or {times}: place it anew")
            newest.append(ledger.newest(target))
            revision = target.revision_last + 1
            placements.append(self._placement(leg, action.nonce, expires_ms, revision, newest[-1]))
        entered = self._enter(placements)
        for placement, modified in zip(placements, newest, strict=True):
            ledger.trim(modified)
            for older in chain(modified):
                older.revision_last = placement.revision
        return entered

    def _placement(
        self, leg: tuple[int, ...], nonce: int, expires_ms: int, revision: int, previous: Placement | None
    ) -> Placement:
        """The placement that a leg makes; `leg` has the fields of COMMAND_DTYPE."""
        ts_ns, order_id, ticks, lots, _, _, market, _, _, side, time_in_force, reduce_only = leg
        return Placement(
            order_id, revision, self._session, market, side, ticks, lots, expires_ms, time_in_force == _IOC,
            reduce_only != 0, ts_ns or nonce * NS_PER_MS, previous,
        )  # fmt: skip

    def _enter(self, placements: list[Placement]) -> tuple[Placement, ...]:
        """All of an action's placements, or none of them."""
        if len({placement.order_id for placement in placements}) < len(placements):
            raise FatesError("an action names an order twice")
        self._ledger.require_room(len(placements))
        for placement in placements:
            self._ledger.add(placement)
        return tuple(placements)

    def _cancelled(self, action: Sent) -> tuple[Placement | None, ...]:
        session = action.session or self._session
        order_ids = action.legs["order_id"].tolist()
        if action.revisions is None:
            found = [self._ledger.current(order_id) for order_id in order_ids]
        else:
            found = [self._ledger.revision(*one) for one in zip(order_ids, action.revisions, strict=True)]
        # The same number may be an order of another session, which is not in the books.
        return tuple(None if one is None or session not in (one.session, self._session) else one for one in found)

    def _give_up(self, action: Sent) -> list[Row]:
        """Too many actions are unanswered: the oldest one will never be."""
        nonce = next(iter(self._flights))
        now_ns = int(action.legs["ts_ns"][0])
        self._ledger.report(FateCode.GIVEN_UP, None, f"action {nonce}")
        telling = Telling(now_ns, [])
        self._lost(self._flights.pop(nonce), Reason.SILENT, telling)
        return telling.rows

    # Answers.

    def answered(self, nonce: int, answer: ActionAnswer, now_ns: int) -> list[Row]:
        """The venue answered an action. The second answer to one is counted as late."""
        if not answer.is_ok:
            return self.refused(nonce, answer.text, now_ns)
        flight = self._flights.pop(nonce, None)
        if flight is None:
            self._ledger.counters["late"] += 1
            return []
        telling = Telling(now_ns, [])
        statuses = answer.statuses
        if flight.kind is _MODIFY and not statuses:
            # A single modification is answered without a status (venue reference section 4.2).
            statuses = (LegStatus(outcome=Outcome.RESTING),)
        if len(statuses) == 1 and statuses[0].outcome is Outcome.ERROR:
            statuses *= len(flight.placements)  # one error for the whole batch (section 4.4)
        if len(statuses) != len(flight.placements):
            told = f"{len(statuses)} statuses for {len(flight.placements)} legs of {flight.kind.name}"
            self._ledger.report(FateCode.MISFIT, None, told)
            self._lost(flight, Reason.UNRECOGNISED, telling)
            return telling.rows
        for placement, status in zip(flight.placements, statuses, strict=True):
            if placement is None:
                continue
            if flight.kind in PLACING:
                self._leg(placement, status, telling)
            else:
                self._cancel_leg(placement, status, telling)
        return telling.rows

    def refused(self, nonce: int, text: str, now_ns: int) -> list[Row]:
        """The venue refused an action as a whole: none of it was executed, unless it may have been before.

        That is so when the same bytes were posted twice, or the text is about a used nonce: then its orders count as
        unknown, and a later answer to the first post still counts.
        """
        flight = self._flights.get(nonce)
        if flight is None:
            self._ledger.counters["late"] += 1
            return []
        telling = Telling(now_ns, [])
        if flight.is_reposted or says_used(text):
            self._lost(flight, Reason.SILENT, telling)
            return telling.rows
        del self._flights[nonce]
        code = self._code(text, None)
        for placement in flight.placements:
            if placement is None:
                continue
            if flight.kind not in PLACING:
                self._cancel_refused(placement, code, telling)
            elif flight.kind is _MODIFY and (code is Code.CANNOT_MODIFY or text.startswith(DURING_MODIFY)):
                self._leg_refused(placement, text, code, telling)
            else:
                self._life.reject(placement, code, telling)
        return telling.rows

    def silent(self, nonce: int, now_ns: int) -> list[Row]:
        """No answer to an action came in time, or its connection ended. A late answer still counts."""
        flight = self._flights.get(nonce)
        telling = Telling(now_ns, [])
        if flight is not None:
            flight.is_silent = True
            self._lost(flight, Reason.SILENT, telling)
        return telling.rows

    def voided(self, nonce: int, now_ns: int) -> list[Row]:
        """The venue took a `noop` under the action's nonce: the action was never executed, nor will it be."""
        flight = self._flights.pop(nonce, None)
        telling = Telling(now_ns, [])
        for placement in () if flight is None or flight.kind not in PLACING else flight.placements:
            assert placement is not None, "what is placed is in the books"
            self._life.prove(placement, telling)
        return telling.rows

    def _leg(self, placement: Placement, status: LegStatus, telling: Telling) -> None:
        """What an answer says of one order."""
        if status.cloid is not None and status.cloid != self._ledger.cloid_of(placement):
            self._ledger.report(FateCode.MISFIT, placement, f"it is answered as {status.cloid:#x}")
            self._life.lose(placement, Reason.UNRECOGNISED, telling, ask_ns=telling.now_ns)
            return
        outcome = status.outcome
        self._ledger.name(placement, status.oid)
        if outcome is Outcome.RESTING:
            self._life.rests(placement, Evidence.RESTS, 0, 0, telling)
        elif outcome is Outcome.FILLED:
            self._taken(placement, status, telling)
        elif outcome is Outcome.ERROR:
            self._leg_refused(placement, status.text, self._code(status.text, placement), telling)
        else:
            self._life.unrecognised(placement, f"{outcome.name} {status.text}", telling)

    def _taken(self, placement: Placement, status: LegStatus, telling: Telling) -> None:
        """It was filled at once, in part or in whole; fills will say the same. What rests of it has no second status,
        and what is left of an immediate one is gone (venue reference section 4.4)."""
        decimals = self._markets[placement.market].size_decimals
        lots, fault = whole_units(status.size_text, decimals, LOTS_MAX)
        if fault:
            self._ledger.report(FateCode.UNREADABLE, placement, f"filled {status.size_text!r}: {fault.name}")
            lots = NOT_TOLD
        if placement.is_immediate or lots >= placement.lots:
            self._life.end(placement, Code.NONE, lots, telling, is_exact=True)
        else:
            self._life.rests(placement, Evidence.RESTS, 0, max(0, lots), telling)

    def _leg_refused(self, placement: Placement, text: str, code: Code, telling: Telling) -> None:
        """One order was refused. A refused modification may have cancelled what it modified."""
        modified = placement.previous
        if modified is not None and not modified.is_done:
            if text.startswith(DURING_MODIFY):
                self._life.end(modified, Code.REQUESTED, NOT_TOLD, telling)
            elif code is Code.CANNOT_MODIFY:
                self._life.lose(modified, Reason.MODIFIED, telling, ask_ns=telling.now_ns)
            elif modified.state is State.LIVE:
                # Its end comes as an update; if none comes, it has to be asked about.
                self._ledger.doubt(modified, Reason.MODIFIED, telling.now_ns + self._settings.settle_ns)
        self._life.reject(placement, code, telling)

    def _cancel_leg(self, placement: Placement, status: LegStatus, telling: Telling) -> None:
        """What an answer says of one cancel."""
        if status.outcome is Outcome.SUCCESS:
            if placement.state not in DONE:
                self._life.end(placement, Code.REQUESTED, NOT_TOLD, telling)
        elif status.outcome is Outcome.ERROR:
            self._cancel_refused(placement, self._code(status.text, placement), telling)
        else:
            self._life.unrecognised(placement, f"{status.outcome.name} {status.text}", telling)

    def _cancel_refused(self, placement: Placement, code: Code, telling: Telling) -> None:
        """It was not cancelled, or there was nothing to cancel: then it is over, and nobody said how."""
        if code is Code.NEVER_PLACED:
            ask_ns = telling.now_ns + self._settings.settle_ns
            self._life.lose(placement, Reason.NOTHING_TO_CANCEL, telling, ask_ns=ask_ns)
        else:
            self._life.refuse_cancel(placement, code, telling)

    def _code(self, text: str, placement: Placement | None) -> Code:
        code = error_code(text)
        if code is None:
            self._ledger.report(FateCode.UNRECOGNISED_ERROR, placement, text)
            return Code.NONE
        return code

    def _lost(self, flight: Flight, reason: Reason, telling: Telling) -> None:
        """Nobody knows whether an action was executed; what is known of its orders from elsewhere stays."""
        for placement in flight.placements:
            if placement is None:
                continue
            # A placement that rests does so whatever its answer says; an immediate one may have ended with it.
            is_open = placement.state is State.LIVE and (flight.kind in _CANCELLING or placement.is_immediate)
            if placement.state is State.SENT or is_open:
                self._life.lose(placement, reason, telling, ask_ns=telling.now_ns)


def _expiry(action: Sent) -> int:
    """Raises FatesError where there is none."""
    if action.expires_after_ms is None:
        raise FatesError(f"action {action.nonce} has no expiry: its orders could never be proven dead")
    return action.expires_after_ms
