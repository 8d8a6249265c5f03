"""What is remembered of one account and of one market, how much of it, and what one block changes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hlhft.exchange.candles import CANDLES_MAX, Candles
from hlhft.exchange.fill_records import (
    Entry,
    FillRecord,
    FundingRecord,
    LedgerRecord,
    TradeRecord,
    TwapRequest,
    TwapStatus,
)
from hlhft.exchange.order_records import OrderRecord, OrderUpdate
from hlhft.exchange.volumes import DayVolumes, MarketDay


class Names(Protocol):
    """Who is who, as far as records need it."""

    def address_of(self, account: int) -> str:
        """The account's address."""

    def cloid_of(self, client_id: int) -> str | None:
        """The client order id on the wire of the kernel's `client_id`; None for 0."""


class Listener(Protocol):
    """Who hears of each thing as it is remembered, in the order in which it happened."""

    def order(self, update: OrderUpdate, leg: int) -> None:
        """An order reached a status, because of the leg in this row of the block, -1 the venue's own doing."""

    def fill(self, fill: FillRecord) -> None:
        """One side of a trade; the buyer's comes first. What else the block tells may still be added to it."""

    def trade(self, trade: TradeRecord) -> None:
        """A trade, before its second side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """How much is remembered: entries an account, or a market where it says so."""

    statuses_max: int = 2000  # venue reference section 3.2, historicalOrders
    orders_finished_max: int = 2000
    fills_max: int = 10_000
    payments_max: int = 10_000
    ledger_updates_max: int = 2000
    twap_statuses_max: int = 2000
    trades_max: int = 500  # a market
    rates_max: int = 5000  # a market: hourly funding rates
    candles_max: int = CANDLES_MAX  # a market and interval
    withdrawal_fee_micro: int = 1_000_000  # as the chain's parameter
    ioc_rest_status: str = "filled"  # of an IOC that was filled in part (unverified)
    tells_partial_fills: bool = True  # an `open` update with the smaller size (unverified)


class Happened(NamedTuple):
    """The fields of VENUE_EVENT_DTYPE that records read."""

    account: int
    price_ticks: int
    size_lots: int
    order_id: int
    aux0: int
    aux1: int
    kind: int
    flags: int
    market: int
    side: int
    venue_order_id: int
    trade_id: int
    start_position_lots: int
    leg: int
    builder_fee_micro: int
    twap_id: int


@dataclass(slots=True, eq=False)
class Changes:
    """What one block changed: by account, trades by market row."""

    time_ms: int
    orders: dict[int, list[OrderUpdate]] = field(default_factory=dict)
    fills: dict[int, list[FillRecord]] = field(default_factory=dict)
    fundings: dict[int, list[FundingRecord]] = field(default_factory=dict)
    ledger: dict[int, list[LedgerRecord]] = field(default_factory=dict)
    ended: dict[int, list[dict[str, object]]] = field(default_factory=dict)  # the shape of nonUserCancel
    liquidations: dict[int, list[dict[str, object]]] = field(default_factory=dict)
    twaps: dict[int, list[TwapStatus]] = field(default_factory=dict)
    trades: dict[int, list[TradeRecord]] = field(default_factory=dict)


class AccountRecords:
    """What is remembered of one account."""

    def __init__(self, settings: RecordSettings) -> None:
        self.open: dict[int, OrderRecord] = {}  # by the venue's order id, oldest first
        self.finished: deque[OrderRecord] = deque()
        self.statuses: deque[OrderUpdate] = deque(maxlen=settings.statuses_max)
        self.fills: deque[FillRecord] = deque(maxlen=settings.fills_max)
        self.fundings: deque[FundingRecord] = deque(maxlen=settings.payments_max)
        self.ledger: deque[LedgerRecord] = deque(maxlen=settings.ledger_updates_max)
        self.twaps: deque[TwapStatus] = deque(maxlen=settings.twap_statuses_max)
        self.running: dict[int, TwapRequest] = {}  # by the venue's id of the TWAP
        self.latest_twaps: dict[int, TwapStatus] = {}  # of those that run
        self.volumes = DayVolumes()
        self.entries: dict[int, Entry] = {}  # by market row
        self.deposited_micro = 0  # deposits less withdrawals

    def entry(self, row: int) -> Entry:
        """What the account holds in a market and what it cost."""
        return self.entries.setdefault(row, Entry())


class MarketRecords:
    """What is remembered of one market."""

    def __init__(self, candles: Candles, settings: RecordSettings) -> None:
        self.candles = candles
        self.day = MarketDay()
        self.trades: deque[TradeRecord] = deque(maxlen=settings.trades_max)
        self.rates: deque[tuple[int, int, int]] = deque(maxlen=settings.rates_max)  # time in ms, rate, premium in 1e-12
        self.rate_ns = 0  # of the latest rate
        self.last_ticks = 0
