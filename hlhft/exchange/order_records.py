"""An order as the exchange remembers and shows it.

Sources: venue reference sections 3.2 (shapes, status words) and 6.4, and the recorded messages of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hlhft.exchange.listing import Listed
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.refusals import Refusal

# The status of an order that ended for a reason; None: the reason never ends an order. Where the venue has no word of
# its own for it, "rejected" (unverified).
STATUS_OF: dict[Refusal, str | None] = {
    Refusal.NONE: None,
    Refusal.TICK: "tickRejected",
    Refusal.MINIMUM_NOTIONAL: "minTradeNtlRejected",
    Refusal.MARGIN: "perpMarginRejected",
    Refusal.REDUCE_ONLY: "reduceOnlyRejected",
    Refusal.BAD_ALO_PRICE: "badAloPxRejected",
    Refusal.IOC_NO_MATCH: "iocCancelRejected",
    Refusal.PRICE_BAND: "rejected",
    Refusal.ORDER_TOO_LARGE: "rejected",
    Refusal.ZERO_SIZE: "rejected",
    Refusal.INVALID_PRICE: "rejected",
    Refusal.NEVER_PLACED: None,
    Refusal.CANNOT_MODIFY: "rejected",
    Refusal.ACTION_EXPIRED: "rejected",
    Refusal.TOO_MANY_OPEN_ORDERS: "tooManyOpenOrdersRejected",
    Refusal.POST_ONLY_WINDOW: "rejected",
    Refusal.NO_LIQUIDITY: "marketOrderNoLiquidityRejected",
    Refusal.SELF_TRADE: "selfTradeCanceled",
    Refusal.REDUCE_ONLY_CANCELLED: "reduceOnlyCanceled",
    Refusal.MARGIN_CANCELLED: "marginCanceled",
    Refusal.LIQUIDATED: "liquidatedCanceled",
    Refusal.REQUESTED: "canceled",
    Refusal.REQUEST_LOST: None,
    Refusal.FAST_CANCEL_OF_TRIGGER: None,
    Refusal.BAD_TRIGGER_PRICE: "badTriggerPxRejected",
    Refusal.TRIGGER_COUNT: "rejected",
    Refusal.SIBLING_FILLED: "siblingFilledCanceled",
    Refusal.PARENT_CANCELLED: "canceled",
    Refusal.SCHEDULED_CANCEL: "scheduledCancel",
    Refusal.SCHEDULE_VOLUME: None,
    Refusal.SCHEDULE_TOO_SOON: None,
    Refusal.SCHEDULE_TOO_MANY: None,
    Refusal.TWAP_DURATION: None,
    Refusal.TWAP_UNKNOWN: None,
    Refusal.TOO_MANY_TRIGGERS: "tooManyOpenOrdersRejected",
    Refusal.PRIORITY_NOT_ALLOWED: "rejected",
    Refusal.INVALID_LEVERAGE: None,
    Refusal.LEVERAGE_TYPE_OPEN: None,
    Refusal.NOT_ISOLATED: None,
    Refusal.STRICT_ISOLATED: None,
    Refusal.INSUFFICIENT_MARGIN_TRANSFER: None,
    Refusal.INSUFFICIENT_SPOT_BALANCE: "insufficientSpotBalanceRejected",
    Refusal.INSUFFICIENT_BALANCE: None,
    Refusal.INVALID_AMOUNT: None,
    Refusal.BUILDER_NOT_APPROVED: "rejected",
    Refusal.POSITION_TIER_LIMIT: "perpMaxPositionRejected",
    Refusal.ORACLE_DISTANCE: "oracleRejected",
    Refusal.CROSS_NOT_ALLOWED: None,
    Refusal.UNKNOWN_ACTION: None,
}

# Why orders end other than by their owner's wish: these are told as `nonUserCancel` (venue reference section 6.4), but
# for reduce-only orders of a position that is gone (section 4.5).
NOT_THE_OWNERS = frozenset(
    {Refusal.SELF_TRADE, Refusal.MARGIN_CANCELLED, Refusal.LIQUIDATED, Refusal.SIBLING_FILLED, Refusal.SCHEDULED_CANCEL}
)

SIDE_TEXT = {1: "B", -1: "A"}
TIF_TEXT = {0: "Alo", 1: "Gtc", 2: "Ioc", 3: "FrontendMarket"}


def status_of(code: int) -> str:
    """The status word of an order that ended for the reason `code`; "rejected" where the table has no word."""
    try:
        return STATUS_OF.get(Refusal(code)) or "rejected"
    except ValueError:
        return "rejected"


@dataclass(slots=True, kw_only=True, eq=False)
class OrderRecord:
    """One order; what changes in its life is `lots`, `status`, `status_ms` and `tif`."""

    account: int
    row: int  # market
    listed: Listed
    oid: int
    side: int
    limit_ticks: int
    lots: int  # left
    lots_original: int
    placed_ms: int
    tif: str | None
    cloid: str | None = None
    client_id: int = 0
    reduce_only: bool = False
    order_type: str = "Limit"
    trigger_ticks: int = 0
    trigger_condition: str = "N/A"
    is_trigger: bool = False
    is_position_tpsl: bool = False
    by_leg: bool = True  # whether its owner asked for it, or the venue itself made it
    children: list[OrderRecord] = field(default_factory=list)
    status: str = "open"
    status_ms: int = 0

    def basic(self, lots: int) -> dict[str, object]:
        """The shape of `orderUpdates` and `openOrders` with `lots` left."""
        market = self.listed.market
        shape: dict[str, object] = {
            "coin": market.name,
            "side": SIDE_TEXT[self.side],
            "limitPx": answer_number(self.limit_ticks, market.price_decimals),
            "sz": answer_number(lots, market.size_decimals),
            "oid": self.oid,
            "timestamp": self.placed_ms,
            "origSz": answer_number(self.lots_original, market.size_decimals),
        }
        if self.cloid is not None:
            shape["cloid"] = self.cloid
        if self.reduce_only:
            shape["reduceOnly"] = True
        return shape

    def frontend(self, lots: int) -> dict[str, object]:
        """The shape of `frontendOpenOrders`, `orderStatus` and `historicalOrders` with `lots` left."""
        market = self.listed.market
        return {
            "coin": market.name,
            "side": SIDE_TEXT[self.side],
            "limitPx": answer_number(self.limit_ticks, market.price_decimals),
            "sz": answer_number(lots, market.size_decimals),
            "oid": self.oid,
            "timestamp": self.placed_ms,
            "triggerCondition": self.trigger_condition,
            "isTrigger": self.is_trigger,
            "triggerPx": answer_number(self.trigger_ticks, market.price_decimals),
            "children": [child.frontend(child.lots) for child in self.children if child.status == "open"],
            "isPositionTpsl": self.is_position_tpsl,
            "reduceOnly": self.reduce_only,
            "orderType": self.order_type,
            "origSz": answer_number(self.lots_original, market.size_decimals),
            "tif": self.tif,
            "cloid": self.cloid,
        }


class OrderUpdate(NamedTuple):
    """An order reached a status, with `lots` left then."""

    order: OrderRecord
    status: str
    lots: int
    time_ms: int

    def basic(self) -> dict[str, object]:
        """The shape of `orderUpdates`."""
        return {"order": self.order.basic(self.lots), "status": self.status, "statusTimestamp": self.time_ms}

    def frontend(self) -> dict[str, object]:
        """The shape of `historicalOrders`."""
        return {"order": self.order.frontend(self.lots), "status": self.status, "statusTimestamp": self.time_ms}


def trigger_text(*, is_take_profit: bool, is_market: bool) -> str:
    """The order type of a trigger order."""
    return ("Take Profit " if is_take_profit else "Stop ") + ("Market" if is_market else "Limit")


def trigger_condition(*, side: int, is_take_profit: bool, price: str) -> str:
    """When a trigger order of `side` fires, in the venue's words (recorded in 2023: "Price above 10.004")."""
    above = (side < 0) == is_take_profit
    return f"Price {'above' if above else 'below'} {price}"
