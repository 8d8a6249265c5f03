"""What the exchange remembers of the past, bounded: orders and what became of them, fills, trades, payments.

Fed with one block after the other; what a block changed comes back as `Changes`, from which channels make their frames.
Every history has a maximum (`RecordSettings`): the oldest entry is forgotten, and counted. Accounts that nobody asks
about (the order flow's own) can be left out with `ignore`: their trades still move the market's records.

A fill of a liquidation is recognised by what else the block tells of its account and market.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.exchange.block import Block
from hlhft.exchange.candles import Candles
from hlhft.exchange.fill_records import (
    HASH_NONE,
    FillRecord,
    FundingRecord,
    LiquidationNote,
    TradeRecord,
    TwapRequest,
    TwapStatus,
)
from hlhft.exchange.ledger_records import ledger_records
from hlhft.exchange.listing import Listing
from hlhft.exchange.memory import (
    AccountRecords,
    Changes,
    Happened,
    Listener,
    MarketRecords,
    Names,
    RecordSettings,
)
from hlhft.exchange.order_records import (
    NOT_THE_OWNERS,
    TIF_TEXT,
    OrderRecord,
    OrderUpdate,
    status_of,
    trigger_condition,
    trigger_text,
)
from hlhft.exchange.volumes import DayVolumes
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.adl import DELEVERAGED
from hlhft.venue.blocks import ActionKind, Grouping, TriggerKind
from hlhft.venue.funding import RATE_NONE

MILLISECOND_NS = 1_000_000
MINUTE_NS = 60_000_000_000
_ORDER_LEGS = frozenset({ActionKind.PLACE, ActionKind.MODIFY, ActionKind.PLACE_TRIGGER})


# Events that say something of a market or of somebody else, besides their own account.
_OF_OTHERS_TOO = frozenset({int(EventKind.ORDER_FILLED), int(EventKind.LIQUIDATION), int(EventKind.ACTION_DONE)})

_FIELDS = list(Happened._fields)
_KIND, _ACCOUNT, _LEG = _FIELDS.index("kind"), _FIELDS.index("account"), _FIELDS.index("leg")


class Records:
    """The exchange's memory. One block at a time, in order."""

    def __init__(
        self,
        listing: Listing,
        names: Names,
        settings: RecordSettings | None = None,
        *,
        listener: Listener | None = None,
    ) -> None:
        self.listing = listing
        self.settings = settings or RecordSettings()
        self.forgotten = 0  # orders that found no room
        self.volumes = DayVolumes()  # of the whole exchange
        self.markets = [
            MarketRecords(Candles(listed, candles_max=self.settings.candles_max), self.settings)
            for listed in listing.markets
        ]
        self._names = names
        self._listener = listener
        self.accounts: dict[int, AccountRecords] = {}
        self._ignored: set[int] = set()
        self.orders: dict[int, OrderRecord] = {}
        self.order_of_client_id: dict[int, int] = {}
        self.liquidations = 0
        self._handlers: dict[int, Callable[[Happened], None]] = {
            EventKind.ORDER_ACKNOWLEDGED: self._acknowledged,
            EventKind.ORDER_REJECTED: self._rejected,
            EventKind.ORDER_FILLED: self._filled,
            EventKind.ORDER_CANCELLED: self._cancelled,
            EventKind.ORDER_EXPIRED: self._expired,
            EventKind.ORDER_WAITING: self._waiting,
            EventKind.ORDER_TRIGGERED: self._triggered,
            EventKind.TWAP_STATE: self._twap,
            EventKind.FUNDING_PAYMENT: self._funding,
            EventKind.LIQUIDATION: self._liquidated,
            EventKind.ACTION_DONE: self._done,
        }
        self._begin(Block(height=0, time_ns=0, legs=np.zeros(0), hashes=(), events=np.zeros(0)))

    def ignore(self, accounts: Iterable[int]) -> None:
        """Remembers nothing of these accounts themselves from now on."""
        self._ignored.update(accounts)

    # What is remembered.

    def account(self, account: int) -> AccountRecords:
        """What is remembered of an account, empty for one that never did anything."""
        return self.accounts.get(account) or AccountRecords(self.settings)

    def order(self, account: int, oid: int) -> OrderRecord | None:
        """The account's order by the venue's id."""
        order = self.orders.get(oid)
        return order if order is not None and order.account == account else None

    def order_by_client_id(self, account: int, client_id: int) -> OrderRecord | None:
        """The account's latest order by the kernel's number of its client order id."""
        return self.order(account, self.order_of_client_id.get(client_id, 0))

    def remember(self, order: OrderRecord) -> None:
        """Takes in an order that rests or waits since before the first block that this memory is told of."""
        self.orders[order.oid] = order
        self.account_records(order.account).open[order.oid] = order
        if order.client_id:
            self.order_of_client_id[order.client_id] = order.oid

    # One block.

    def apply(self, block: Block, prices: np.ndarray | None = None) -> Changes:
        """Takes in one block and returns what it changed.

        From `prices`, PRICE_DTYPE[M] after the block, it takes the funding rates of an hour that ended with it.
        """
        self._begin(block)
        if prices is not None:
            self._note_rates(prices)
        for fields in block.events[_FIELDS].tolist():
            handler = self._handlers.get(fields[_KIND])
            if handler is not None and (fields[_ACCOUNT] not in self._ignored or fields[_KIND] in _OF_OTHERS_TOO):
                self._leg = fields[_LEG]
                handler(Happened._make(fields))
        self._leg = -1
        self._finish_own_orders()
        self._note_liquidations()
        if self.settings.tells_partial_fills:
            for order in self._touched.values():
                if order.status == "open":
                    self._tell(order, "open")
        return self._changes

    def _note_rates(self, prices: np.ndarray) -> None:
        """Remembers the rate and the latest premium of every market whose hour ended."""
        rate_times_ns = prices["rate_ns"].tolist()
        for row in self.listing.perpetuals:
            paid_ns = rate_times_ns[row]
            market = self.markets[row]
            if paid_ns == market.rate_ns:
                continue
            market.rate_ns = paid_ns
            rate, premium = int(prices[row]["hourly_rate_e12"]), int(prices[row]["premium_e12"])
            if rate != RATE_NONE:
                market.rates.append((paid_ns // MILLISECOND_NS, rate, 0 if premium == RATE_NONE else premium))

    def _begin(self, block: Block) -> None:
        self._block = block
        self._time_ms = block.time_ns // MILLISECOND_NS
        self._changes = Changes(self._time_ms)
        self._leg = -1  # whose doing what is being remembered is
        self._half: Happened | None = None
        self._touched: dict[int, OrderRecord] = {}
        self._own_orders: list[OrderRecord] = []
        self._parents: dict[int, OrderRecord] = {}  # by action
        self._fills: dict[int, list[FillRecord]] = {}  # by trade id
        self._own_fills: list[FillRecord] = []
        self._liquidated_here: dict[tuple[int, int], Happened] = {}

    def account_records(self, account: int) -> AccountRecords:
        """What is remembered of an account, to be added to."""
        found = self.accounts.get(account)
        if found is None:
            found = self.accounts[account] = AccountRecords(self.settings)
        return found

    # Orders.

    def _tell(self, order: OrderRecord, status: str) -> None:
        update = OrderUpdate(order, status, order.lots, self._time_ms)
        self._changes.orders.setdefault(order.account, []).append(update)
        self.account_records(order.account).statuses.append(update)
        order.status = status
        order.status_ms = self._time_ms
        if self._listener is not None:
            self._listener.order(update, self._leg)

    def _end(self, order: OrderRecord, status: str) -> None:
        self._tell(order, status)
        records = self.account_records(order.account)
        records.open.pop(order.oid, None)
        records.finished.append(order)
        self._touched.pop(order.oid, None)
        if len(records.finished) > self.settings.orders_finished_max:
            oldest = records.finished.popleft()
            self.forgotten += 1
            self.orders.pop(oldest.oid, None)
            if self.order_of_client_id.get(oldest.client_id) == oldest.oid:
                del self.order_of_client_id[oldest.client_id]

    def _leg_of(self, happened: Happened) -> np.void | None:
        """The leg that asked for the order an event is about; None when the order is not the leg's own."""
        if happened.leg < 0:
            return None
        leg = self._block.legs[happened.leg]
        if int(leg["kind"]) not in _ORDER_LEGS or int(leg["account"]) != happened.account:
            return None
        return leg if int(leg["market"]) == happened.market else None

    def _new_order(self, happened: Happened, lots: int) -> OrderRecord:
        """Remembers the order that an event names for the first time, with `lots` to go."""
        leg = None if happened.flags & EventFlag.MAKER else self._leg_of(happened)
        listed = self.listing.markets[happened.market]
        order = OrderRecord(
            account=happened.account,
            row=happened.market,
            listed=listed,
            oid=happened.venue_order_id,
            side=happened.side,
            limit_ticks=happened.price_ticks,
            lots=lots,
            lots_original=lots,
            placed_ms=self._time_ms,
            tif=TIF_TEXT[2],
            cloid=self._names.cloid_of(happened.order_id),
            client_id=happened.order_id,
            by_leg=leg is not None,
        )
        if leg is not None:
            self._describe(order, leg)
        elif not happened.flags & EventFlag.MAKER:
            self._own_orders.append(order)
        self.remember(order)
        return order

    def _describe(self, order: OrderRecord, leg: np.void) -> None:
        """Fills in what only the leg of the order says."""
        kind, grouping, action = int(leg["kind"]), int(leg["grouping"]), int(leg["action"])
        order.side = int(leg["side"])
        order.limit_ticks = int(leg["price_ticks"])
        order.lots_original = int(leg["size_lots"])
        order.reduce_only = bool(leg["reduce_only"])
        tif = int(leg["time_in_force"])
        if kind == ActionKind.MODIFY and not leg["always_place"]:
            tif = 0  # venue reference section 4.2: the new order's becomes ALO
        order.tif = TIF_TEXT.get(tif)
        if order.tif == "FrontendMarket":
            order.order_type = "Market"
        if kind != ActionKind.PLACE_TRIGGER:
            if grouping == Grouping.NORMAL_TPSL:
                self._parents[action] = order
            return
        is_take_profit = int(leg["trigger_kind"]) == TriggerKind.TAKE_PROFIT
        order.tif = None
        order.is_trigger = True
        order.is_position_tpsl = grouping == Grouping.POSITION_TPSL
        order.trigger_ticks = int(leg["trigger_ticks"])
        order.order_type = trigger_text(is_take_profit=is_take_profit, is_market=bool(leg["trigger_is_market"]))
        order.trigger_condition = trigger_condition(
            side=order.side,
            is_take_profit=is_take_profit,
            price=order.listed.market.price_text(order.trigger_ticks),
        )
        parent = self._parents.get(action)
        if parent is not None:
            parent.children.append(order)

    def _acknowledged(self, happened: Happened) -> None:
        order = self.orders.get(happened.venue_order_id)
        if order is None:
            order = self._new_order(happened, happened.size_lots)
            if not order.by_leg:
                order.by_leg, order.tif = True, TIF_TEXT[1]  # whoever asked for it, it rests
            self._tell(order, "open")
            return
        order.lots = happened.size_lots
        order.by_leg = True
        if order.status == "triggered":
            self._tell(order, "open")
        else:
            self._touched[order.oid] = order

    def _rejected(self, happened: Happened) -> None:
        if happened.venue_order_id == 0:
            return
        order = self.orders.get(happened.venue_order_id)
        if order is None:
            order = self._new_order(happened, happened.size_lots)
            order.lots = order.lots_original
        self._end(order, status_of(happened.aux0))

    def _cancelled(self, happened: Happened) -> None:
        order = self.orders.get(happened.venue_order_id)
        if order is None:
            return
        order.lots = happened.size_lots
        self._end(order, status_of(happened.aux0))
        if happened.aux0 in NOT_THE_OWNERS:
            ended = self._changes.ended.setdefault(order.account, [])
            ended.append({"coin": order.listed.market.name, "oid": order.oid})

    def _expired(self, happened: Happened) -> None:
        order = self.orders.get(happened.venue_order_id)
        if order is None:
            return
        order.lots = happened.size_lots
        self._end(order, self.settings.ioc_rest_status)

    def _waiting(self, happened: Happened) -> None:
        if happened.venue_order_id in self.orders:
            return
        self._tell(self._new_order(happened, happened.size_lots), "open")

    def _triggered(self, happened: Happened) -> None:
        order = self.orders.get(happened.venue_order_id)
        if order is None:
            return
        self._tell(order, "triggered")
        if order.order_type.endswith("Limit"):
            order.tif = TIF_TEXT[1]

    # Fills.

    def _filled(self, happened: Happened) -> None:
        half, self._half = self._half, happened
        if half is not None and half.trade_id == happened.trade_id:
            self._half = None
            if happened.venue_order_id != 0:
                self._trade(half, happened)
        if happened.account not in self._ignored:
            self._fill(happened)

    def _hash_of(self, happened: Happened) -> str:
        return self._block.hashes[happened.leg] if happened.leg >= 0 else HASH_NONE

    def _trade(self, buyer: Happened, seller: Happened) -> None:
        row, ticks, lots = buyer.market, buyer.price_ticks, buyer.size_lots
        market = self.markets[row]
        listed = self.listing.markets[row]
        trade = TradeRecord(
            row=row,
            listed=listed,
            aggressor=-1 if buyer.flags & EventFlag.MAKER else 1,
            ticks=ticks,
            lots=lots,
            time_ms=self._time_ms,
            hash=self._hash_of(buyer),
            trade_id=buyer.trade_id,
            buyer=self._names.address_of(buyer.account),
            seller=self._names.address_of(seller.account),
        )
        market.trades.append(trade)
        if self._listener is not None:
            self._listener.trade(trade)
        market.last_ticks = ticks
        market.candles.trade(self._time_ms, ticks, lots)
        market.day.observe(self._time_ms, ticks, ticks * lots, lots)
        self.volumes.observe(self._time_ms, listed.market.micro(ticks, lots), taken=True)
        self._changes.trades.setdefault(row, []).append(trade)

    def _fill(self, happened: Happened) -> None:
        account, row = happened.account, happened.market
        listed = self.listing.markets[row]
        records = self.account_records(account)
        left = happened.aux0
        order = self.orders.get(happened.venue_order_id)
        if order is None and happened.venue_order_id != 0:
            order = self._new_order(happened, happened.size_lots + left)
            self._tell(order, "open")
        entry = records.entry(row)
        if entry.lots != happened.start_position_lots:
            entry.adjust(happened.start_position_lots, happened.price_ticks)
        maker = bool(happened.flags & EventFlag.MAKER)
        fill = FillRecord(
            account=account,
            row=row,
            listed=listed,
            oid=happened.venue_order_id,
            side=happened.side,
            ticks=happened.price_ticks,
            lots=happened.size_lots,
            time_ms=self._time_ms,
            start_lots=happened.start_position_lots,
            closed_quanta=entry.fill(happened.side, happened.price_ticks, happened.size_lots),
            fee_micro=happened.aux1,
            builder_fee_micro=happened.builder_fee_micro,
            crossed=not maker,
            trade_id=happened.trade_id,
            hash=self._hash_of(happened),
            cloid=None if order is None else order.cloid,
            twap_id=happened.twap_id or None,
        )
        records.fills.append(fill)
        if self._listener is not None:
            self._listener.fill(fill)
        notional_micro = listed.market.micro(happened.price_ticks, happened.size_lots)
        records.volumes.observe(self._time_ms, notional_micro, taken=not maker)
        self._changes.fills.setdefault(account, []).append(fill)
        self._fills.setdefault(happened.trade_id, []).append(fill)
        if not maker and (order is None or not order.by_leg):
            self._own_fills.append(fill)
        if order is None:  # a position that the venue moved, without an order
            return
        order.lots = left
        if left == 0:
            self._end(order, "filled")
        else:
            self._touched[order.oid] = order

    def _finish_own_orders(self) -> None:
        """Ends what the venue placed for itself and did not say the end of: its forced orders take and are gone."""
        for order in self._own_orders:
            if order.status == "open" and not order.by_leg:
                self._end(order, self.settings.ioc_rest_status)

    def _note_liquidations(self) -> None:
        """Says on both sides of every fill of a forced order that it came of a liquidation."""
        for fill in self._own_fills:
            happened = self._liquidated_here.get((fill.account, fill.row))
            if happened is None or fill.twap_id is not None:
                continue
            note = LiquidationNote(
                user=self._names.address_of(fill.account),
                mark_text=answer_number(happened.price_ticks, fill.listed.market.price_decimals),
                method="market" if happened.aux0 == 0 else "backstop",
            )
            for side in self._fills[fill.trade_id]:
                side.liquidation = note
            order = self.orders.get(fill.oid)
            if order is not None:
                order.tif, order.order_type = "LiquidationMarket", "Market"

    # Everything else.

    def _twap(self, happened: Happened) -> None:
        records = self.account_records(happened.account)
        if happened.leg >= 0 and int(self._block.legs[happened.leg]["kind"]) == ActionKind.PLACE_TWAP:
            leg = self._block.legs[happened.leg]
            records.running[happened.order_id] = TwapRequest(
                twap_id=happened.order_id,
                listed=self.listing.markets[happened.market],
                user=self._names.address_of(happened.account),
                side=int(leg["side"]),
                lots=int(leg["size_lots"]),
                minutes=int(leg["duration_ns"]) // MINUTE_NS,
                reduce_only=bool(leg["reduce_only"]),
                randomize=bool(leg["randomize"]),
                time_ms=self._time_ms,
            )
        request = records.running.get(happened.order_id)
        if request is None:
            return
        if happened.aux0 != 0:
            del records.running[happened.order_id]
        status = TwapStatus(
            request=request,
            time_ms=self._time_ms,
            state=happened.aux0,
            executed_lots=happened.size_lots,
            executed_micro=happened.aux1,
        )
        if happened.aux0 == 0:
            records.latest_twaps[happened.order_id] = status
        else:
            records.latest_twaps.pop(happened.order_id, None)
        told = self._changes.twaps.setdefault(happened.account, [])
        told.append(status)
        records.twaps.append(status)

    def _funding(self, happened: Happened) -> None:
        payment = FundingRecord(
            listed=self.listing.markets[happened.market],
            time_ms=self._time_ms,
            amount_micro=happened.aux0,
            lots=happened.size_lots,
            rate_e12=happened.aux1,
        )
        records = self.account_records(happened.account)
        records.fundings.append(payment)
        records.entry(happened.market).pay(happened.aux0)
        self._changes.fundings.setdefault(happened.account, []).append(payment)

    def _liquidated(self, happened: Happened) -> None:
        if happened.aux0 == DELEVERAGED:  # the counterparty, which is not liquidated
            return
        self._liquidated_here[happened.account, happened.market] = happened
        if happened.account in self._ignored:
            return
        self.liquidations += 1
        market = self.listing.markets[happened.market].market
        notional_micro = market.micro(happened.price_ticks, abs(happened.size_lots))
        told = self._changes.liquidations.setdefault(happened.account, [])
        told.append(
            {
                "lid": self.liquidations,
                "liquidator": self._names.address_of(0),
                "liquidated_user": self._names.address_of(happened.account),
                "liquidated_ntl_pos": answer_number(notional_micro, 6),
                "liquidated_account_value": answer_number(happened.aux1, 6),
            }
        )

    def _done(self, happened: Happened) -> None:
        if happened.leg < 0:
            return
        leg = self._block.legs[happened.leg]
        if happened.account not in self._ignored:
            sign = {int(ActionKind.DEPOSIT): 1, int(ActionKind.WITHDRAW): -1}.get(int(leg["kind"]), 0)
            if sign and not leg["token"]:
                self.account_records(happened.account).deposited_micro += sign * int(leg["amount"])
        made = ledger_records(
            leg,
            self.listing,
            self._names.address_of,
            time_ms=self._time_ms,
            hash_text=self._hash_of(happened),
            withdrawal_fee_micro=self.settings.withdrawal_fee_micro,
        )
        for account, record in made:
            if account not in self._ignored:
                self.account_records(account).ledger.append(record)
                self._changes.ledger.setdefault(account, []).append(record)
