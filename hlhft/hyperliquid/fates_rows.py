"""Rows for the core: an event's fields in EVENT_DTYPE's order, one function for each thing that is told of an order.

FRAME_END is left to whoever puts rows of several machines into one frame.
"""

from __future__ import annotations

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_records import Placement
from hlhft.hyperliquid.messages import Fill

_LOCAL = int(EventFlag.LOCAL_VISIBLE)
_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE) | _LOCAL
_MAKER, _BACKFILL = int(EventFlag.MAKER), int(EventFlag.BACKFILL)
_ACKNOWLEDGED, _REJECTED = int(EventKind.ORDER_ACKNOWLEDGED), int(EventKind.ORDER_REJECTED)
_FILLED, _CANCELLED = int(EventKind.ORDER_FILLED), int(EventKind.ORDER_CANCELLED)
_EXPIRED, _UNKNOWN = int(EventKind.ORDER_EXPIRED), int(EventKind.ORDER_UNKNOWN)
_CANCEL_REJECTED, _SEND_FAILED = int(EventKind.CANCEL_REJECTED), int(EventKind.COMMAND_SEND_FAILED)
_ADOPTED = int(EventKind.ORDER_ADOPTED)


def acknowledged(placement: Placement, ts_exch_ns: int, now_ns: int) -> Row:
    """It rests, with what can still be filled of it."""
    return (
        ts_exch_ns, now_ns, placement.price_ticks, placement.left_lots, placement.order_id, placement.oid, 0,
        _ACKNOWLEDGED, _VISIBLE, placement.market, placement.side, 0,
    )  # fmt: skip


def adopted(placement: Placement, ts_exch_ns: int, now_ns: int) -> Row:
    """An order of an earlier session is ours from now on."""
    return (
        ts_exch_ns, now_ns, placement.price_ticks, placement.left_lots, placement.order_id, placement.oid,
        int(placement.reduce_only), _ADOPTED, _VISIBLE, placement.market, placement.side, 0,
    )  # fmt: skip


def filled(fill: Fill, order_id: int, left_lots: int, fee_micro: int, now_ns: int, *, is_backfill: bool) -> Row:
    """One fill, and the most that the order can still fill after it; `fee_micro` is in micro-USDC."""
    flags = _VISIBLE | (0 if fill.is_taker else _MAKER) | (_BACKFILL if is_backfill else 0)
    return (
        fill.ts_ns, now_ns, fill.price_ticks, fill.size_lots, order_id, left_lots, fee_micro, _FILLED, flags,
        fill.market, fill.side, 0,
    )  # fmt: skip


def cancelled(placement: Placement, lots: int, ts_exch_ns: int, now_ns: int) -> Row:
    """It is over with `lots` left."""
    return _ended(placement, _CANCELLED, lots, placement.code, _VISIBLE, ts_exch_ns, now_ns)


def gone(placement: Placement, ts_exch_ns: int, now_ns: int) -> Row:
    """Nothing is left of it, and its last fill is in the position that the core began with."""
    return _ended(placement, _CANCELLED, 0, 0, _VISIBLE, ts_exch_ns, now_ns)


def expired(placement: Placement, lots: int, ts_exch_ns: int, now_ns: int) -> Row:
    """The `lots` that an immediate order did not find are gone."""
    return _ended(placement, _EXPIRED, lots, 0, _VISIBLE, ts_exch_ns, now_ns)


def rejected(placement: Placement, ts_exch_ns: int, now_ns: int) -> Row:
    """It was refused, or is proven never to have been executed."""
    return _ended(placement, _REJECTED, 0, placement.code, _VISIBLE, ts_exch_ns, now_ns)


def unknown(placement: Placement, now_ns: int) -> Row:
    """Nobody knows what became of it."""
    return _ended(placement, _UNKNOWN, 0, 0, _LOCAL, 0, now_ns)


def send_failed(placement: Placement, now_ns: int) -> Row:
    """Its newest command never left this machine."""
    return _ended(placement, _SEND_FAILED, 0, 0, _LOCAL, 0, now_ns)


def cancel_rejected(placement: Placement, code: int, now_ns: int) -> Row:
    """Its cancel or modification was refused, and it still rests."""
    return _ended(placement, _CANCEL_REJECTED, 0, code, _VISIBLE, 0, now_ns)


def _ended(placement: Placement, kind: int, lots: int, aux0: int, flags: int, ts_exch_ns: int, now_ns: int) -> Row:
    return (ts_exch_ns, now_ns, 0, lots, placement.order_id, aux0, 0, kind, flags, placement.market, 0, 0)
