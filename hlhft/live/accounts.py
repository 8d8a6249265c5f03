"""The reconciliation's effects performed: questions over HTTP, its readings told to fates and core, its verdicts on.

A connection's demand for a reading and the reading itself have different numbers: whoever asked is remembered until the
account agrees, and a newer demand takes the place of an older one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hlhft.core.brain import Brain
from hlhft.events import EventKind
from hlhft.hyperliquid.connection_events import Reconcile
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import FatesError
from hlhft.hyperliquid.gateway_events import FillsRead as AllFillsRead
from hlhft.hyperliquid.gateway_events import Listed
from hlhft.hyperliquid.gateway_events import Told as GatewayTold
from hlhft.hyperliquid.messages import Fills, Fundings, Liquidation, OrderUpdates, Transfers
from hlhft.hyperliquid.reconcile import Reconciliation
from hlhft.hyperliquid.reconcile_compare import own_orders
from hlhft.hyperliquid.reconcile_events import (
    ALARMING,
    Adopt,
    Agreed,
    Ask,
    AskOwn,
    Begin,
    BeginPeaks,
    BeginSession,
    CancelLeftovers,
    CorePositions,
    Disagreed,
    Effect,
    Empty,
    FillsRead,
    Input,
    NotEmpty,
    ProveEmpty,
    Reason,
    Report,
    ReportCode,
    SetTimer,
    Tell,
    TellFills,
    TellListing,
    Timer,
    TimerName,
    Told,
    Watermark,
)
from hlhft.hyperliquid.reconcile_events import Answer as ReadingAnswer
from hlhft.hyperliquid.supervisor_events import Agreed as AccountAgrees
from hlhft.hyperliquid.supervisor_events import Disagreed as AccountDisagrees
from hlhft.hyperliquid.supervisor_events import EmptyProven
from hlhft.hyperliquid.supervisor_events import NotEmpty as OrdersAreLeft
from hlhft.live.feed import OwnNews
from hlhft.live.http import Answer
from hlhft.live.hub import Hub
from hlhft.live.orders import Orders

OWNER = "reconcile"  # of its timers
NS_PER_MS = 1_000_000
LOOK_NS = 1_000_000_000  # between two readings that news leads to: each has its weight
FOLLOWING_MS = 10  # until a question about our own side is tried again
_ACCOUNT_STATE, _LEDGER_TRANSFER = int(EventKind.ACCOUNT_STATE), int(EventKind.LEDGER_TRANSFER)
_QUIET = frozenset({ReportCode.AGREED, ReportCode.DIFFERS})


class Accounts:
    """The account of one engine, at `address`. `reconciled(number)` tells a connection that its demand is met;
    `leftovers(orders)` cancels orders that nobody answers for; `watermark(ms)` keeps up to where all is known,
    `begin_peaks(micro, ms)` and `moved(micro, ms)` what was moved in and out, by which equity of before is compared
    with that of now."""

    def __init__(
        self,
        hub: Hub,
        reconciliation: Reconciliation,
        *,
        brain: Brain,
        fates: Fates,
        orders: Orders,
        address: str,
        settled_ms: int,
        reconciled: Callable[[int], None],
        leftovers: Callable[[CancelLeftovers], None],
        fills: Callable[[Fills], None],
        watermark: Callable[[int], None],
        begin_peaks: Callable[[int, int], None],
        moved: Callable[[int, int], None],
    ) -> None:
        self.reconciliation = reconciliation
        self.agreed = 0  # how often a demanded reading agreed
        self.compared = 0  # how often a comparison came to an end
        self.compared_ns = 0  # when the last did, 0 for none
        self._hub = hub
        self._clock = hub.clock
        self._brain = brain
        self._fates = fates
        self._orders = orders
        self._address = address
        self._settled_ms = settled_ms
        self._reconciled = reconciled
        self._leftovers = leftovers
        self._fills = fills
        self._watermark = watermark
        self._begin_peaks = begin_peaks
        self._moved = moved
        self._number = 0
        self._looked_ns = 0  # when news led to a reading last
        self._foreign_tid = 0  # the newest trade of somebody else that was told
        self._demand: tuple[int, int] | None = None  # number of the Begin, number of the connection's demand
        self._is_proving = False
        self._fault = ""  # of the newest answer; empty when it was one
        hub.timers.own(OWNER, self._fired)
        self._effects: dict[type, Callable[[Any], None]] = {
            Ask: self._ask, TellListing: self._tell_listing, TellFills: self._tell_fills,
            FillsRead: self._fills_read, AskOwn: self._ask_own, Tell: self._tell,
            BeginSession: self._begin_session, BeginPeaks: self._begin_peak, Adopt: self._adopt,
            CancelLeftovers: self._cancel_leftovers,
            Agreed: self._agree, Disagreed: self._disagree, Watermark: self._keep_watermark,
            Empty: self._empty, NotEmpty: self._not_empty,
            SetTimer: self._set_timer, Report: self._report,
        }  # fmt: skip

    def on(self, event: Input) -> None:
        """Tells the machine, and performs what it demands."""
        for effect in self.reconciliation.on(event, self._clock.now_ns()):
            self._perform(effect)

    def demand(self, demand: Reconcile) -> None:
        """A connection wants the account to be read. While emptiness is being proven nothing is to be quoted any more,
        and the proof goes on."""
        if self._is_proving:
            return
        self._number += 1
        self._demand = self._number, demand.number
        reason = Reason(str(demand.reason)) if self.reconciliation.is_seeded else Reason.START
        self.on(Begin(self._number, reason, self._settled_ms))

    def read_again(self) -> None:
        """An operator looks: reads the account once more, unless a connection waits for that already."""
        if self._demand is None and not self._is_proving:
            self._number += 1
            self.on(Begin(self._number, Reason.RESUMED, self._settled_ms))

    def prove_empty(self, *, expiry_ms: int, deadline_ns: int) -> None:
        """Finds out whether nothing of ours is open, nor can be; the gate is closed."""
        self._number += 1
        self._demand = None
        self._is_proving = True
        self.on(ProveEmpty(self._number, expiry_ms, deadline_ns))

    def news(self, message: OwnNews) -> None:
        """What the user's streams told, which the fates know already."""
        if isinstance(message, Fills | Fundings | Transfers):
            self.on(Told(message))
            if isinstance(message, Fills) and not message.is_snapshot:
                self._look_for_others(message)
        elif isinstance(message, Liquidation):
            self._liquidated(message)
        elif isinstance(message, OrderUpdates):
            self._look_for_left(message)

    def _liquidated(self, message: Liquidation) -> None:
        """The positions that the core knows are gone, and readings would take half a minute to be sure of that: who was
        liquidated does not quote meanwhile."""
        self._hub.say(f"a liquidation was told: {message.notional_text} of {message.liquidated_user}", "error")
        if message.liquidated_user.lower() == self._address:
            sentence = f"liquidation: the venue closed {message.notional_text} USDC of this account's positions"
            self._hub.engine.supervise(AccountDisagrees(f"{sentence}; see what it holds, then begin a new session"))
        self.read_again()

    def _look_for_others(self, message: Fills) -> None:
        """Somebody else traded: a position is not what the core takes it for, and readings would take half a minute to
        be sure of that. A liquidation is told for itself, and says more."""
        others = (fill for fill in message.fills if not fill.is_liquidation and self._fates.is_foreign(fill))
        foreign = next(others, None)
        if foreign is None or foreign.tid == self._foreign_tid:
            return  # two channels tell each fill
        self._foreign_tid = foreign.tid
        trade = f"{foreign.direction} {foreign.coin}"
        sentence = f"somebody else traded ({trade}): order {foreign.oid} is not ours, and was filled"
        self._hub.say(f"the account does not agree, {sentence}", "error")
        self._hub.engine.supervise(AccountDisagrees(f"{sentence}; see what it holds, then begin a new session"))
        self._read_soon()

    def _look_for_left(self, message: OrderUpdates) -> None:
        """An order of an earlier session came to rest after this one had begun, as the clock of that one was ahead: the
        next reading cancels it, and is not to be waited for."""
        if not self.reconciliation.is_seeded:
            return
        if any(one.status == "open" and self._fates.is_left(one.cloid, one.oid) for one in message.updates):
            self._read_soon()

    def _read_soon(self) -> None:
        """Reads again because of some news, unless news led to that just before."""
        now_ns = self._clock.now_ns()
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            self.read_again()

    # Effects.

    def _perform(self, effect: Effect) -> None:
        self._effects[type(effect)](effect)

    def _ask(self, effect: Ask) -> None:
        def told(answer: Answer) -> None:
            self._turn()
            if answer.body is None:
                self._hub.counters["questions without an answer"] += 1
                # What is wrong with the venue is told when it begins and when it changes, not with every question.
                is_news = answer.fault != self._fault
                self._hub.say(f"a question got no answer: {answer.fault}", "warning" if is_news else "debug")
            self._fault = answer.fault
            self.on(ReadingAnswer(effect.request_id, answer.body, self._hub.timers.draw()))

        self._hub.http.post("/info", effect.body, told)

    def _tell_listing(self, effect: TellListing) -> None:
        self._orders.on(Listed(effect.orders, effect.block_ms, effect.come_ns))

    def _tell_fills(self, effect: TellFills) -> None:
        self._orders.on(GatewayTold(effect.fills))
        self._fills(effect.fills)

    def _fills_read(self, effect: FillsRead) -> None:
        self._orders.on(AllFillsRead(effect.from_ms, effect.through_ms, effect.asked_ns))

    def _ask_own(self, effect: AskOwn) -> None:
        if self._hub.dispatch.is_behind:
            # Rows that were told just now have not been stepped over.
            self._hub.timers.set(OWNER, f"own {effect.number}", self._clock.now_ns() + FOLLOWING_MS * NS_PER_MS)
            return
        lane, books = self._brain.lane, self._brain.data.books
        orders = own_orders(self._fates.live_orders(), self._fates.doubts(self._clock.now_ns()))
        self.on(
            CorePositions(effect.number, _whole(lane.positions["position_lots"]), _whole(books["mark_ticks"]), orders)
        )

    def _tell(self, effect: Tell) -> None:
        rows = list(effect.rows)
        for row in effect.rows:
            if row[7] == _LEDGER_TRANSFER:
                self._moved(row[5], row[0] // NS_PER_MS)
            elif row[7] == _ACCOUNT_STATE:
                rows += self._orders.gateway.uncounted(effect.since_ns, self._clock.now_ns())
        self._hub.dispatch.tell(rows)

    def _begin_session(self, effect: BeginSession) -> None:
        self._hub.dispatch.tell(self._fates.begun(effect.block_ms, self._clock.now_ns()))

    def _begin_peak(self, effect: BeginPeaks) -> None:
        self._begin_peaks(effect.transferred_micro, effect.block_ms)

    def _adopt(self, effect: Adopt) -> None:
        for order in effect.orders:
            try:
                rows = self._fates.adopted(order, effect.block_ms, self._clock.now_ns())
            except FatesError as error:
                self._hub.say(f"an order of an earlier session cannot be adopted, it is cancelled: {error}", "warning")
                continue
            self._hub.dispatch.tell(rows)

    def _cancel_leftovers(self, effect: CancelLeftovers) -> None:
        self._hub.say(f"{len(effect.orders)} orders of ours that nobody answers for are cancelled", "warning")
        self._leftovers(effect)

    def _agree(self, effect: Agreed) -> None:
        self.agreed += 1
        if self._demand is not None and self._demand[0] == effect.number:
            demanded, self._demand = self._demand[1], None
            self._reconciled(demanded)
        self._hub.engine.supervise(AccountAgrees())

    def _end_comparison(self) -> None:
        self.compared += 1
        self.compared_ns = self._clock.now_ns()

    def _disagree(self, effect: Disagreed) -> None:
        self._end_comparison()
        text = f"{effect.code.name.lower()}: {effect.sentence}"
        self._hub.say(f"the account does not agree, {text}", "error")
        self._hub.engine.supervise(AccountDisagrees(text))

    def _keep_watermark(self, effect: Watermark) -> None:
        # Every round that agrees gives one, also those that nobody waits for.
        self._end_comparison()
        self._watermark(effect.block_ms)

    def _empty(self, effect: Empty) -> None:
        self._hub.engine.supervise(EmptyProven())

    def _not_empty(self, effect: NotEmpty) -> None:
        self._hub.engine.supervise(OrdersAreLeft(effect.count or 0))

    def _set_timer(self, effect: SetTimer) -> None:
        self._hub.timers.set(OWNER, effect.name, effect.at_ns)

    def _report(self, effect: Report) -> None:
        self._hub.counters[f"reconcile: {effect.code.name}"] += 1
        text = f"reconcile: {effect.code.name.lower().replace('_', ' ')}, {effect.detail}"
        level = "warning" if effect.code in ALARMING else "debug" if effect.code in _QUIET else "info"
        self._hub.say(text, level)  # type: ignore[arg-type]

    # Timers.

    def _fired(self, name: str, draw: int) -> None:
        self._turn()
        if name.startswith("own "):
            self._ask_own(AskOwn(int(name.removeprefix("own "))))
        else:
            self.on(Timer(TimerName(name), draw))

    def _turn(self) -> None:
        self._hub.dispatch.turn()


def _whole(column: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in column)
