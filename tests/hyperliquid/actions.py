"""Actions of two kinds at once: as commands for the encoder, and as the dictionary that the official SDK would sign."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid as SdkCloid

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.packing import LEG_DTYPE, ActionKind
from hlhft.units import Market

OWNER = 0xA11CE
NOW_MS = 1_790_000_000_000
MARKETS = (
    Market.perpetual("BTC", asset_id=0, size_decimals=5),
    Market.perpetual("ETH", asset_id=1, size_decimals=4),
    Market.perpetual("ATOM", asset_id=5, size_decimals=2),
    Market.perpetual("kPEPE", asset_id=180, size_decimals=0),
    Market.spot("@107", asset_id=10107, size_decimals=2),
    Market.perpetual("xyz:SILVER", asset_id=110000, size_decimals=2),
    Market.perpetual("OP", asset_id=4, size_decimals=4),
)
TIFS = ("Alo", "Gtc", "Ioc")
ROWS = {market.asset_id: row for row, market in enumerate(MARKETS)}


def market_records() -> np.ndarray:
    return np.concatenate([market.record() for market in MARKETS])


@dataclass(frozen=True)
class Case:
    """One action: the arguments of `encode` and what the SDK would hash."""

    kind: ActionKind
    legs: np.ndarray
    marks: np.ndarray
    action: dict[str, Any]
    flag: int = 0
    value: int = 0
    market: int = 0
    session: int = 0

    @property
    def arguments(self) -> tuple[Any, ...]:
        return int(self.kind), self.flag, self.value, self.market, self.session, self.legs, self.marks


def row(**values: int) -> np.ndarray:
    """One command, shape (1,): a post-only buy of 0.0015 BTC at 104000, that expires after three seconds."""
    made = np.zeros(1, LEG_DTYPE)
    filled = {
        "ts_ns": NOW_MS * 1_000_000, "order_id": 1025, "price_ticks": 1_040_000, "size_lots": 150, "kind": 1,
        "expires_ns": (NOW_MS + 3000) * 1_000_000, "side": 1, **values,
    }  # fmt: skip
    for name, value in filled.items():
        made[name] = value
    return made


def rows(count: int, **values: int) -> np.ndarray:
    """That many of them, each another order."""
    return np.concatenate([row(order_id=(index + 1) << 10, **values) for index in range(count)])


def sdk_order(leg: np.ndarray, session: int, revision: int, *, owner: int = OWNER) -> dict[str, Any]:
    """The order as the SDK's own builder writes it, from floats."""
    market = MARKETS[leg["market"]]
    request = {
        "coin": market.name,
        "is_buy": bool(leg["side"] > 0),
        "sz": int(leg["size_lots"]) / 10**market.size_decimals,
        "limit_px": int(leg["price_ticks"]) / 10**market.price_decimals,
        "order_type": {"limit": {"tif": TIFS[leg["time_in_force"]]}},
        "reduce_only": bool(leg["reduce_only"]),
        "cloid": sdk_cloid(leg, session, revision, owner=owner),
    }
    made: dict[str, Any] = sdk.order_request_to_order_wire(request, market.asset_id)
    return made


def sdk_cloid(leg: np.ndarray, session: int, revision: int, *, owner: int = OWNER) -> SdkCloid:
    return SdkCloid.from_int(Cloid(owner, session, int(leg["order_id"]), revision).number())


def sdk_action(case_kind: ActionKind, legs: np.ndarray, marks: np.ndarray, session: int, flag: int) -> dict[str, Any]:
    """What the SDK's methods build; fast cancels and `a` are added behind, as the venue has them."""
    if case_kind is ActionKind.ORDER:
        wires = [sdk_order(leg, session, int(mark[0])) for leg, mark in zip(legs, marks, strict=True)]
        made: dict[str, Any] = sdk.order_wires_to_order_action(wires)
        return made
    assets = [MARKETS[leg["market"]].asset_id for leg in legs]
    if case_kind is ActionKind.CANCEL:
        ids = [{"a": asset, "o": int(mark[1])} for asset, mark in zip(assets, marks, strict=True)]
        return {"type": "cancel", "cancels": ids, **({"f": True} if flag else {})}
    if case_kind is ActionKind.CANCEL_BY_CLOID:
        cloids = [
            {"asset": asset, "cloid": sdk_cloid(leg, session, int(mark[0])).to_raw()}
            for asset, leg, mark in zip(assets, legs, marks, strict=True)
        ]
        return {"type": "cancelByCloid", "cancels": cloids, **({"f": True} if flag else {})}
    modified = [
        {
            "oid": int(mark[1]) or sdk_cloid(leg, session, int(mark[0])).to_raw(),
            "order": sdk_order(leg, session, int(mark[0]) + 1),
        }
        for leg, mark in zip(legs, marks, strict=True)
    ]
    always = {"a": True} if flag else {}
    if case_kind is ActionKind.MODIFY:
        return {"type": "modify", **modified[0], **always}
    return {"type": "batchModify", "modifies": modified, **always}


def random_case(draw: random.Random) -> Case:
    """An action of any kind, with numbers of any width."""
    kind = draw.choice(list(ActionKind))
    flag = draw.randrange(2)
    none = np.zeros(0, LEG_DTYPE), np.zeros((0, 2), np.int64)
    if kind is ActionKind.NOOP:
        return Case(kind, *none, {"type": "noop"})
    value = draw.getrandbits(draw.choice((1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47)))
    if kind is ActionKind.SCHEDULE_CANCEL:
        return Case(kind, *none, {"type": "scheduleCancel", **({"time": value} if value else {})}, value=value)
    if kind is ActionKind.UPDATE_LEVERAGE:
        market = draw.randrange(len(MARKETS))
        action = {"type": "updateLeverage", "asset": MARKETS[market].asset_id, "isCross": bool(flag), "leverage": value}
        return Case(kind, *none, action, flag=flag, value=value, market=market)
    count = 1 if kind is ActionKind.MODIFY else draw.choice((1, 1, 2, 2, 3, 5, 15, 16, 17))
    session = draw.choice((1, 77, 2**32 - 1))
    legs, marks = np.concatenate([_random_leg(draw, kind) for _ in range(count)]), np.zeros((count, 2), np.int64)
    for mark in marks:
        mark[0] = draw.choice((0, 0, 1, 254))
        mark[1] = (
            0
            if kind in (ActionKind.MODIFY, ActionKind.BATCH_MODIFY) and draw.randrange(2)
            else 1 + draw.getrandbits(draw.choice((6, 7, 8, 16, 32, 39)))
        )
    return Case(kind, legs, marks, sdk_action(kind, legs, marks, session, flag), flag=flag, session=session)


def _random_leg(draw: random.Random, kind: ActionKind) -> np.ndarray:
    return row(
        order_id=1 + draw.getrandbits(draw.choice((1, 10, 20, 40, 62))),
        # As many digits as a float of the SDK's carries exactly.
        price_ticks=1 + draw.getrandbits(draw.choice((1, 4, 10, 20, 26))),
        size_lots=draw.choice((1, 10, 100, 1000)) * (1 + draw.getrandbits(draw.choice((1, 4, 10, 20)))),
        market=draw.randrange(len(MARKETS)),
        side=draw.choice((1, -1)),
        time_in_force=draw.randrange(3),
        reduce_only=draw.randrange(2),
        kind={ActionKind.ORDER: 1, ActionKind.CANCEL: 2, ActionKind.CANCEL_BY_CLOID: 2}.get(kind, 3),
    )


def read_orders(orders: Sequence[dict[str, Any]], kind: int) -> np.ndarray:
    """Commands that say the same as these orders; a client order id becomes the order id of owner and session 0."""
    legs = np.zeros(len(orders), LEG_DTYPE)
    for leg, order in zip(legs, orders, strict=True):
        market = MARKETS[ROWS[order["a"]]]
        leg["market"], leg["kind"] = ROWS[order["a"]], kind
        leg["price_ticks"] = int(Decimal(order["p"]).scaleb(market.price_decimals))
        leg["size_lots"] = int(Decimal(order["s"]).scaleb(market.size_decimals))
        leg["side"] = 1 if order["b"] else -1
        leg["reduce_only"] = order["r"]
        leg["time_in_force"] = TIFS.index(order["t"]["limit"]["tif"])
        leg["order_id"] = int(order.get("c", "0x0"), 16)
    return legs


def read_action(action: dict[str, Any]) -> Case | None:
    """An action of the recorded vectors as commands, None when no command becomes such an action."""
    kind = action["type"]
    flag = int(action.get("f", False) or action.get("a", False))
    none = np.zeros(0, LEG_DTYPE), np.zeros((0, 2), np.int64)
    if kind == "order":
        is_plain = action["grouping"] == "na" and "builder" not in action
        if not is_plain or not all("limit" in order["t"] for order in action["orders"]):
            return None
        legs = read_orders(action["orders"], 1)
        return Case(ActionKind.ORDER, legs, np.zeros((len(legs), 2), np.int64), action)
    if kind in ("cancel", "cancelByCloid"):
        legs = np.zeros(len(action["cancels"]), LEG_DTYPE)
        marks = np.zeros((len(legs), 2), np.int64)
        for leg, mark, cancel in zip(legs, marks, action["cancels"], strict=True):
            leg["market"], leg["kind"] = ROWS[cancel["a" if kind == "cancel" else "asset"]], 2
            leg["order_id"], mark[1] = int(cancel.get("cloid", "0x0"), 16), cancel.get("o", 0)
        return Case(ActionKind[kind.replace("ByCloid", "_BY_CLOID").upper()], legs, marks, action, flag=flag)
    if kind in ("modify", "batchModify"):
        modified = [action] if kind == "modify" else action["modifies"]
        legs = read_orders([each["order"] for each in modified], 3)
        if not all(isinstance(each["oid"], int) for each in modified):
            return None  # the new order keeps the client order id of the old one
        marks = np.array([[0, each["oid"]] for each in modified])
        return Case(ActionKind.MODIFY if kind == "modify" else ActionKind.BATCH_MODIFY, legs, marks, action, flag=flag)
    if kind == "scheduleCancel":
        return Case(ActionKind.SCHEDULE_CANCEL, *none, action, value=action.get("time", 0))
    if kind == "updateLeverage":
        made = {"flag": int(action["isCross"]), "value": action["leverage"], "market": ROWS[action["asset"]]}
        return Case(ActionKind.UPDATE_LEVERAGE, *none, action, **made)
    return Case(ActionKind.NOOP, *none, action) if kind == "noop" else None
