"""What readings prove: the status of one order, all open orders, all fills of a time.

A reading is no older than its `block_ms`: a venue block time that was known when it was asked for, or that it brought.
Proofs of non-execution need one that is later than an action's expiry by `margin_ms`: what has not been included then
never will be (venue reference section 5.4).

A listing shows that an order does not rest any more, and not why; only together with a gapless reading of the fills up
to it does it end an order, which may have come and gone unfilled or never have come. It may have been made long after
its block, which is only known to be no later, and what was filled until then is in no fills but those that were asked
for once it had come. The answer to a question about the order says more and is asked for first: the venue remembers
what ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.hyperliquid import fates_rows
from hlhft.hyperliquid.account import OpenOrder, OrderStatus
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_ledger import Ledger, chain
from hlhft.hyperliquid.fates_life import Life, Telling
from hlhft.hyperliquid.fates_records import FateCode, FatesError, News, Placement, Reason
from hlhft.hyperliquid.fates_streams import Streams
from hlhft.hyperliquid.fates_table import UNRESOLVED, Evidence, State
from hlhft.hyperliquid.fates_words import Code
from hlhft.hyperliquid.wire import NS_PER_MS

_SLOT_MASK = (1 << 10) - 1  # an order id's place in the core's table: hlhft.core.state.SLOT_BITS


class Readings:
    """Takes in readings of one account."""

    def __init__(self, ledger: Ledger, life: Life, streams: Streams) -> None:
        self._ledger = ledger
        self._life = life
        self._streams = streams
        self._settings = ledger.settings
        self._fills_ms = (0, 0)  # from where to where the fills were read without a gap
        self._fills_asked_ns = 0  # when the newest of them were asked for
        self.empty_ms = 0  # block of the newest listing without an order of ours, 0 when it had one

    # One order.

    def status_read(
        self, order_id: int, told: OrderStatus | None, block_ms: int, now_ns: int, revision: int | None
    ) -> list[Row]:
        """See `hlhft.hyperliquid.fates.Fates.status_read`."""
        telling = Telling(now_ns, [])
        newest = self._ledger.orders.get(order_id)
        placement = next((one for one in chain(newest) if revision in (None, one.revision)), None)
        if told is not None:
            order = told.order
            placement = self._ledger.find(order.cloid, order.oid)
            if placement is None or placement.order_id != order_id:
                self._ledger.report(FateCode.MISFIT, newest, f"its status was asked for, and order {order.oid} came")
                return []
            time_ms = told.status_ns // NS_PER_MS
            news = News(order.oid, told.status, time_ms, order.size_lots, order.left_lots, order.fault)
            self._streams.news(placement, news, Evidence.SEEN, telling.at_ms(time_ms))
        elif placement is not None and not placement.is_done:
            self._not_known(placement, block_ms, telling)
        return telling.rows

    def _not_known(self, placement: Placement, block_ms: int, telling: Telling) -> None:
        """The venue knows no such order, at a block not before `block_ms`."""
        if not self._is_past_expiry(placement, block_ms):
            return
        if placement.state in UNRESOLVED and not placement.lived_ms:
            self._prove(placement, telling)
        else:
            self._ledger.report(FateCode.FORGOTTEN, placement, f"at block {block_ms}")
            self._miss(placement, block_ms, telling.now_ns, telling)

    def _prove(self, placement: Placement, telling: Telling) -> None:
        """It was never executed. What it was to modify may have been cancelled all the same (venue reference section
        4.4), and is asked about."""
        modified = placement.previous
        if modified is not None and modified.state is State.LIVE:
            self._ledger.doubt(modified, Reason.MODIFIED, telling.now_ns)
        self._life.prove(placement, telling)

    # All open orders.

    def listed(self, open_orders: Sequence[OpenOrder], block_ms: int, come_ns: int, now_ns: int) -> list[Row]:
        """See `hlhft.hyperliquid.fates.Fates.listed`."""
        telling = Telling(now_ns, [])
        seen: set[int] = set()
        ours = 0
        for order in open_orders:
            placement = self._ledger.find(order.cloid, order.oid)
            if placement is None:
                ours += self._ledger.ours(order.cloid) is not None
                self._streams.stranger(order.cloid, order.oid)
                continue
            ours += 1
            seen.add(placement.key)
            news = News(order.oid, "open", block_ms, order.size_lots, order.left_lots, order.fault)
            self._streams.news(placement, news, Evidence.SEEN, telling)
        for placement in [one for one in self._ledger.live.values() if one.key not in seen]:
            self._miss(placement, block_ms, come_ns, telling)
        self.empty_ms = 0 if ours else block_ms
        return telling.rows

    def _miss(self, placement: Placement, block_ms: int, come_ns: int, telling: Telling) -> None:
        """A listing, which had come at `come_ns`, lacks a placement that is not over."""
        lived_ms = placement.lived_ms
        if not self._is_past_expiry(placement, block_ms) and not (lived_ms and block_ms > lived_ms):
            return  # it may have come to rest later
        if not placement.absent_ms:
            placement.absent_ms, placement.absent_ns = block_ms, come_ns
        if placement.state is State.LIVE and placement.reason is Reason.NONE:
            self._ledger.doubt(placement, Reason.ABSENT, telling.now_ns + self._settings.settle_ns)
        self._close_absent(placement, telling)

    # All fills.

    def fills_read(self, from_ms: int, through_ms: int, asked_ns: int, now_ns: int) -> list[Row]:
        """See `hlhft.hyperliquid.fates.Fates.fills_read`."""
        if from_ms > through_ms:
            raise FatesError(f"fills cannot be read from {from_ms} to {through_ms}")
        telling = Telling(now_ns, [])
        known_from, known_through = self._fills_ms
        if from_ms <= known_through and through_ms >= known_from:
            self._fills_ms = (min(from_ms, known_from), max(through_ms, known_through))
            self._fills_asked_ns = max(self._fills_asked_ns, asked_ns)
        else:
            self._fills_ms, self._fills_asked_ns = (from_ms, through_ms), asked_ns
        for placement in list(self._ledger.live.values()):
            self._close_absent(placement, telling)
        return telling.rows

    def _close_absent(self, placement: Placement, telling: Telling) -> None:
        """Ends what is known to be over or not to rest at a block up to which all its fills have been read."""
        over_ms = placement.ended_ms or placement.absent_ms
        from_ms, through_ms = self._fills_ms
        if not over_ms or over_ms > through_ms or placement.since_ms(self._settings.skew_ms) < from_ms:
            return
        if not placement.ended_ms and placement.absent_ns > self._fills_asked_ns:
            return  # what was filled before it was missed may be in none of them
        if placement.state in UNRESOLVED and not placement.lived_ms:
            placement.ended_ms = over_ms
            self._life.learn(placement, Evidence.ABSENCE, telling.at_ms(over_ms))
            return
        claimed = max(placement.end_lots, placement.told_lots)
        if placement.filled_lots < claimed and not placement.reduce_only:
            told = f"the venue said that {claimed} were filled, and no more fills are there"
            self._ledger.report(FateCode.FILLS_SHORT, placement, told)
        placement.end_lots, placement.is_exact = placement.filled_lots, True
        self._life.end(placement, Code.NONE, placement.filled_lots, telling.at_ms(over_ms), is_exact=True)

    # Orders of earlier sessions.

    def adopted(self, order: OpenOrder, block_ms: int, now_ns: int) -> list[Row]:
        """See `hlhft.hyperliquid.fates.Fates.adopted`."""
        named = self._ledger.ours(order.cloid)
        if named is None or named.session == self._ledger.session:
            raise FatesError(f"order {order.oid} is not of an earlier session of this owner")
        if order.fault or order.left_lots <= 0:
            raise FatesError(f"order {order.oid} of {order.left_lots} lots cannot be adopted: cancel it")
        slot = named.order_id & _SLOT_MASK
        taken = (one for one in self._ledger.live.values() if one.market == order.market)
        if named.order_id in self._ledger.orders or any(one.order_id & _SLOT_MASK == slot for one in taken):
            raise FatesError(f"the place of order {named.order_id} is taken: cancel the venue's order {order.oid}")
        placement = Placement(
            named.order_id, named.revision, named.session, order.market, order.side, order.price_ticks,
            order.size_lots, 0, False, order.is_reduce_only, order.placed_ns, None,
        )  # fmt: skip
        placement.filled_lots = order.size_lots - order.left_lots
        placement.state, placement.acknowledged = State.LIVE, True
        placement.lived_ms = placement.from_ms = block_ms
        self._ledger.adopt(placement)
        self._ledger.name(placement, order.oid)
        self.empty_ms = 0
        return [fates_rows.adopted(placement, block_ms * NS_PER_MS, now_ns)]

    # Parts.

    def _is_past_expiry(self, placement: Placement, block_ms: int) -> bool:
        return block_ms > placement.expires_ms + self._settings.margin_ms
