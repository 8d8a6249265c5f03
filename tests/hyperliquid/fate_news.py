"""Orders, answers and news in the shapes that the fates are told them, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hlhft.core.state import COMMAND_DTYPE
from hlhft.data.markets import known
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.hyperliquid.account import OpenOrder, OrderStatus
from hlhft.hyperliquid.answers import ActionAnswer, LegStatus, Outcome
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import DEFAULTS, FateSettings, Sent
from hlhft.hyperliquid.messages import Ended, Fill, Fills, NonUserCancels, OrderUpdate, OrderUpdates
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reading import Fault
from hlhft.units import Market

OWNER, SESSION = 7, 3
T0 = 1_790_000_000_000  # ms
S = 1_000_000_000
NOW = T0 * 1_000_000
BTC, ETH = 0, 1
BUY, SELL = 1, -1
ALO, GTC, IOC = 0, 1, 2
LIFE_MS = 3000
LATER = T0 + LIFE_MS + DEFAULTS.margin_ms + 1  # a block that proves what is not there never came


def markets() -> tuple[Market, ...]:
    each = known()
    return tuple(replace(each[name], asset_id=row) for row, name in enumerate(("BTC", "ETH")))


def new_fates(*, settings: FateSettings = DEFAULTS, begun_ms: int | None = 0) -> Fates:
    return Fates(markets(), owner=OWNER, session=SESSION, settings=settings, begun_ms=begun_ms)


def cloid(order_id: int, revision: int = 0, *, session: int = SESSION, owner: int = OWNER) -> int:
    return Cloid(owner, session, order_id, revision).number()


# What leaves.


def command(order_id: int, **more: Any) -> dict[str, int]:
    values = {
        "ts_ns": NOW, "order_id": order_id, "price_ticks": 1000, "size_lots": 10, "market": ETH, "side": BUY,
        "time_in_force": ALO, "kind": 1,
    }  # fmt: skip
    return {**values, **more}


def commands(*each: dict[str, int]) -> np.ndarray:
    made = np.zeros(len(each), COMMAND_DTYPE)
    for row, values in enumerate(each):
        for name, value in values.items():
            made[row][name] = value
    return made


def orders(nonce: int, *each: dict[str, int], batch_id: int = 1, expires_ms: int | None = T0 + LIFE_MS) -> Sent:
    return Sent(ActionKind.ORDER, nonce, expires_ms, batch_id, commands(*each))


def cancels(nonce: int, *order_ids: int, batch_id: int = 1, session: int = 0) -> Sent:
    legs = commands(*(command(order_id, kind=2) for order_id in order_ids))
    return Sent(ActionKind.CANCEL_BY_CLOID, nonce, None, batch_id, legs, session)


def modifies(nonce: int, *each: dict[str, int], kind: ActionKind = ActionKind.BATCH_MODIFY) -> Sent:
    legs = commands(*({**one, "kind": 3} for one in each))
    return Sent(kind, nonce, T0 + LIFE_MS, 1, legs)


def placed(*order_ids: int, **more: Any) -> Fates:
    """Fates that know of orders in one action of nonce 1, without an answer."""
    fates = new_fates()
    assert fates.sent(orders(1, *(command(order_id, **more) for order_id in order_ids))) == []
    return fates


def resting(*order_ids: int, **more: Any) -> Fates:
    """Orders that the venue took as its orders 100 + id."""
    fates = placed(*order_ids, **more)
    fates.answered(1, ok(*(rests(100 + order_id) for order_id in order_ids)), NOW)
    return fates


# What comes back.


def ok(*statuses: LegStatus, kind: str = "order") -> ActionAnswer:
    return ActionAnswer(is_ok=True, kind=kind, statuses=statuses)


def rests(oid: int, **more: Any) -> LegStatus:
    return LegStatus(outcome=Outcome.RESTING, oid=oid, **more)


def takes(oid: int, size: str, **more: Any) -> LegStatus:
    """`size` as the wire has it: a lot of ETH is 0.0001."""
    return LegStatus(outcome=Outcome.FILLED, oid=oid, size_text=size, average_price_text="10.0", **more)


def error(text: str) -> LegStatus:
    return LegStatus(outcome=Outcome.ERROR, text=text)


SUCCESS = LegStatus(outcome=Outcome.SUCCESS)


def update(order_id: int, status: str, left: int = 10, **more: Any) -> OrderUpdates:
    """An update of one order; `time_ms` counts from T0."""
    time_ms = more.pop("time_ms", 100)
    values: dict[str, Any] = {
        "coin": "ETH", "market": ETH, "side": BUY, "price_ticks": 1000, "left_lots": left, "size_lots": 10,
        "oid": 100 + order_id, "cloid": cloid(order_id), "reduce_only": False, "status": status,
        "placed_ns": NOW, "status_ns": (T0 + time_ms) * 1_000_000, "price_text": "", "left_text": "", "size_text": "",
        "fault": Fault.NONE,
    }  # fmt: skip
    return OrderUpdates(updates=(OrderUpdate(**{**values, **more}),))


def fill(order_id: int, tid: int, lots: int, **more: Any) -> Fill:
    time_ms = more.pop("time_ms", 200)
    values: dict[str, Any] = {
        "coin": "ETH", "market": ETH, "side": BUY, "price_ticks": 1000, "size_lots": lots, "start_lots": 0,
        "fee_micro": 5, "closed_micro": 0, "fee_token": "USDC", "oid": 100 + order_id, "tid": tid,
        "cloid": cloid(order_id), "is_taker": False, "is_liquidation": False, "direction": "Open Long", "hash": "0x0",
        "ts_ns": (T0 + time_ms) * 1_000_000, "price_text": "", "size_text": "", "fault": Fault.NONE,
    }  # fmt: skip
    return Fill(**{**values, **more})


def fills(*each: Fill, is_snapshot: bool = False) -> Fills:
    return Fills(fills=each, is_snapshot=is_snapshot)


def ended(*oids: int) -> NonUserCancels:
    return NonUserCancels(orders=tuple(Ended(coin="ETH", market=ETH, oid=oid) for oid in oids))


def open_order(order_id: int, left: int = 10, **more: Any) -> OpenOrder:
    values: dict[str, Any] = {
        "coin": "ETH", "market": ETH, "side": BUY, "price_ticks": 1000, "left_lots": left, "size_lots": 10,
        "oid": 100 + order_id, "cloid": cloid(order_id), "is_reduce_only": False, "is_trigger": False,
        "placed_ns": NOW, "price_text": "", "left_text": "", "size_text": "", "fault": Fault.NONE,
    }  # fmt: skip
    return OpenOrder(**{**values, **more})


def status(order_id: int, word: str, left: int = 10, **more: Any) -> OrderStatus:
    time_ms = more.pop("time_ms", 300)
    order = open_order(order_id, left, **more)
    return OrderStatus(order=order, status=word, status_ns=(T0 + time_ms) * 1_000_000)


# What is told.


def kinds(rows: Sequence[Row]) -> list[EventKind]:
    return [EventKind(row[EVENT_DTYPE.names.index("kind")]) for row in rows]


def field(row: Row, name: str) -> int:
    return row[EVENT_DTYPE.names.index(name)]
