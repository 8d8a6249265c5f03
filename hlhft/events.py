"""The event record: the one interchange form of journal, catalogue and core.

One event is 64 bytes. What a kind puts into each field is the table `FIELDS`; a test holds it against the
enumeration, and the documentation prints it. Sizes and prices are whole lots and ticks of the event's market
(`hlhft.units`), times are nanoseconds since the Unix epoch, money is micro-USDC.
"""

from enum import IntEnum, IntFlag

import numpy as np

EVENT_DTYPE = np.dtype(
    [
        ("ts_exch_ns", np.int64),
        ("ts_local_ns", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("order_id", np.int64),
        ("aux0", np.int64),
        ("aux1", np.int64),
        ("kind", np.uint16),
        ("flags", np.uint16),
        ("market", np.uint16),
        ("side", np.int8),
        ("padding", np.int8),
    ]
)
assert EVENT_DTYPE.itemsize == 64


class Side(IntEnum):
    """Direction of an order, a level or an aggressor; the value is also the sign of the position change."""

    BUY = 1
    SELL = -1
    NONE = 0


class EventKind(IntEnum):
    """What happened. Values are written to disk: append, never renumber."""

    NONE = 0
    # Market data.
    DEPTH_LEVEL = 1
    DEPTH_CLEAR = 2
    SNAPSHOT_BEGIN = 3
    SNAPSHOT_END = 4
    BBO = 5
    TRADE = 6
    ASSET_CONTEXT = 7
    # Fates of our own orders, as the venue reports them.
    ORDER_ACKNOWLEDGED = 16
    ORDER_REJECTED = 17
    ORDER_FILLED = 18
    ORDER_CANCELLED = 19
    ORDER_EXPIRED = 20
    ORDER_UNKNOWN = 21
    CANCEL_REJECTED = 22
    # Orders that wait at the venue.
    ORDER_WAITING = 23
    ORDER_TRIGGERED = 24
    TWAP_STATE = 25
    ORDER_ADOPTED = 26  # one of an earlier session rests and is ours again
    # What became of our commands on this side of the wire.
    COMMAND_SENT = 32
    COMMAND_SEND_FAILED = 33
    COMMAND_REFUSED = 34
    # The account.
    ACCOUNT_STATE = 48
    LEDGER_TRANSFER = 49
    FUNDING_PAYMENT = 50
    FEE_CHANGE = 51
    LEVERAGE_CHANGE = 52
    ACTION_DONE = 53
    ACTION_REFUSED = 54
    LIQUIDATION = 55
    ADDRESS_ACTIONS = 56
    # Everything else.
    SIGNAL = 64
    TIMER = 65
    CONNECTION_UP = 66
    CONNECTION_DOWN = 67
    VENUE_MODE = 68
    OPERATOR_COMMAND = 69
    # What a session starts from, and whether a market can be traded.
    MARKET_STATE = 70
    POSITION_STATE = 71
    EQUITY_STATE = 72
    RESTORED = 73
    # What a policy wants quoted with.
    POLICY = 74


class EventFlag(IntFlag):
    """Bits of an event's `flags`."""

    EXCHANGE_VISIBLE = 1  # happened at the venue at ts_exch_ns
    LOCAL_VISIBLE = 2  # reached this machine at ts_local_ns
    FRAME_END = 4  # last event of one received message: the core re-quotes after it
    MAKER = 8  # a fill that rested
    SYNTHETIC = 16  # inferred between two snapshots, not recorded
    BACKFILL = 32  # older than the subscription that delivered it


# What each kind puts in the fields beyond times, kind, flags and market. A field that is not named is zero.
FIELDS: dict[EventKind, dict[str, str]] = {
    EventKind.NONE: {},
    EventKind.DEPTH_LEVEL: {
        "side": "book side: BUY bids, SELL asks",
        "price_ticks": "the level",
        "size_lots": "new total at the level; 0 removes it",
        "aux0": "number of orders at the level, 0 unknown",
        "aux1": "order-level feeds: exchange time in ns when the order that changed was placed; 0 unknown, 1 imported",
    },
    EventKind.DEPTH_CLEAR: {
        "side": "side to clear, NONE both",
        "price_ticks": "clear from the touch to this price inclusive; 0 clears the whole side",
    },
    EventKind.SNAPSHOT_BEGIN: {
        "aux0": "levels a side that the channel can carry",
        "aux1": "channel: 0 full depth, 1 fast (5 levels), 2 order-level",
    },
    EventKind.SNAPSHOT_END: {"aux0": "levels sent", "aux1": "channel, as in SNAPSHOT_BEGIN"},
    EventKind.BBO: {
        "side": "BUY best bid, SELL best ask",
        "price_ticks": "price, 0 when the side is empty",
        "size_lots": "size",
        "aux0": "number of orders, 0 unknown",
    },
    EventKind.TRADE: {
        "side": "aggressor",
        "price_ticks": "price",
        "size_lots": "size",
        "order_id": "trade id of the venue",
    },
    EventKind.ASSET_CONTEXT: {
        "price_ticks": "mark price, 0 unknown",
        "size_lots": "open interest",
        "order_id": "oracle price in ticks, 0 unknown",
        "aux0": "hourly funding rate in 1e-12",
        "aux1": "premium in 1e-12",
    },
    EventKind.ORDER_ACKNOWLEDGED: {
        "side": "side",
        "price_ticks": "price it rests at",
        "size_lots": "size that rests",
        "order_id": "our order id",
        "aux0": "venue's order id",
    },
    EventKind.ORDER_REJECTED: {"order_id": "our order id", "aux0": "refusal code of hlhft.venue.refusals"},
    EventKind.ORDER_FILLED: {
        "side": "side of our order",
        "price_ticks": "fill price",
        "size_lots": "fill size",
        "order_id": "our order id",
        "aux0": "lots left of the order after this fill",
        "aux1": "fee in micro-USDC, negative for a rebate",
    },
    EventKind.ORDER_CANCELLED: {
        "order_id": "our order id",
        "size_lots": "lots that were left",
        "aux0": "cause, hlhft.venue.refusals",
    },
    EventKind.ORDER_EXPIRED: {"order_id": "our order id", "size_lots": "lots that were left"},
    EventKind.ORDER_UNKNOWN: {"order_id": "our order id"},
    EventKind.CANCEL_REJECTED: {"order_id": "our order id", "aux0": "refusal code of hlhft.venue.refusals"},
    EventKind.ORDER_WAITING: {
        "side": "side",
        "price_ticks": "limit price",
        "size_lots": "size",
        "order_id": "our order id",
        "aux0": "0 for its parent's fill, 1 for the mark price",
        "aux1": "trigger price in ticks",
    },
    EventKind.ORDER_TRIGGERED: {"order_id": "our order id", "aux1": "mark price in ticks"},
    EventKind.TWAP_STATE: {
        "side": "side",
        "size_lots": "lots executed so far",
        "order_id": "the venue's id of the TWAP",
        "aux0": "0 running, 1 finished, 2 ended by its owner, 3 ended by the venue",
        "aux1": "notional executed so far in micro-USDC",
    },
    EventKind.ORDER_ADOPTED: {
        "side": "side",
        "price_ticks": "price it rests at",
        "size_lots": "lots left of it",
        "order_id": "our order id, its slot in the low bits",
        "aux0": "venue's order id",
        "aux1": "1 reduce-only, 0 not",
    },
    EventKind.COMMAND_SENT: {
        "order_id": "batch id, 0 when it only tells how late this turn is",
        "aux0": "local receipt of the triggering frame, ns",
        "aux1": "last byte written, ns",
    },
    EventKind.COMMAND_SEND_FAILED: {"order_id": "our order id or batch id", "aux0": "0 order, 1 batch"},
    EventKind.COMMAND_REFUSED: {"order_id": "our order id", "aux0": "refusal code of the gateway"},
    EventKind.ACCOUNT_STATE: {
        "price_ticks": "account value in micro-USDC",
        "size_lots": "margin in use in micro-USDC",
        "order_id": "maintenance margin in micro-USDC",
        "aux0": "address actions used",
        "aux1": "address actions allowed",
    },
    EventKind.LEDGER_TRANSFER: {"aux0": "amount in micro-USDC, negative when money leaves"},
    EventKind.FUNDING_PAYMENT: {
        "aux0": "amount in micro-USDC, negative when paid",
        "aux1": "rate in 1e-12",
        "size_lots": "signed position it was paid on",
    },
    EventKind.FEE_CHANGE: {"aux0": "maker rate in 1e-9, negative for a rebate", "aux1": "taker rate in 1e-9"},
    EventKind.LEVERAGE_CHANGE: {"aux0": "leverage", "aux1": "1 cross, 0 isolated"},
    EventKind.ACTION_DONE: {"aux0": "kind of the leg, hlhft.venue.blocks.ActionKind"},
    EventKind.ACTION_REFUSED: {
        "aux0": "refusal code of hlhft.venue.refusals",
        "aux1": "kind of the leg, hlhft.venue.blocks.ActionKind",
    },
    EventKind.LIQUIDATION: {
        "size_lots": "signed lots that were closed or taken over",
        "price_ticks": "mark price; auto-deleveraging: the one before, at which it was done",
        "aux0": "0 into the book, 1 taken over by the backstop, 2 this account was auto-deleveraged against another, 3"
        " against others because it was short",
        "aux1": "account value in micro-USDC before",
    },
    EventKind.ADDRESS_ACTIONS: {
        "aux0": "actions of the address that count beside the core's own: what the gateway sent by itself, was charged"
        " for an expiry, or had under way when the venue told its count",
    },
    EventKind.SIGNAL: {
        "price_ticks": "expected move in 1e-9 of the mid",
        "size_lots": "its deviation in 1e-9",
        "order_id": "sequence number",
        "aux0": "valid until, ns",
        "aux1": "model id",
    },
    EventKind.TIMER: {"aux0": "timer id"},
    EventKind.CONNECTION_UP: {"aux0": "connection id"},
    EventKind.CONNECTION_DOWN: {"aux0": "connection id"},
    EventKind.VENUE_MODE: {"aux0": "0 normal, 1 post-only window, 2 down"},
    EventKind.OPERATOR_COMMAND: {
        "aux0": "0 halt, 1 resume, 2 flatten: cancel all and close at market, 3 strategy too slow, 4 stop: cancel all,"
        " no new quotes until the process ends, positions are kept",
        "aux1": "reason code",
    },
    EventKind.MARKET_STATE: {"aux0": "0 fresh, 1 stale, 2 closed: delisted, or not ours to trade"},
    EventKind.POSITION_STATE: {
        "price_ticks": "mark that the position is valued at from now on, 0 for no position",
        "size_lots": "signed position at the venue",
    },
    EventKind.EQUITY_STATE: {
        "aux0": "account value plus spot at mark in micro-USDC",
        "aux1": "1 at the start of a session, 0 for a later check",
    },
    EventKind.RESTORED: {
        "side": "1: closing at market was under way, 0 not",
        "size_lots": "highest equity of the last hour in micro-USDC, transfers since then added; 0 unknown",
        "order_id": "when that was, ns; 0 now",
        "aux0": "latches: bit per hlhft.core.risk.Breaker",
        "aux1": "halt code, a Breaker",
    },
    EventKind.POLICY: {
        "price_ticks": "multiplier of the risk aversion in 1e-6, 0.25 to 4",
        "size_lots": "multiplier of the signal weight in 1e-6, 0 to 2",
        "order_id": "multiplier of the spread in 1e-6, 0.5 to 2",
        "aux0": "valid until, ns; at most a minute from its arrival",
        "aux1": "share of the half-spread that moves the centre in 1e-6, -0.5 to 0.5",
    },
}


def empty(count: int) -> np.ndarray:
    """An all-zero event array of shape (count,), dtype EVENT_DTYPE."""
    return np.zeros(count, dtype=EVENT_DTYPE)
