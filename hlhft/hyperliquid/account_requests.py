"""Questions about an account and the markets: bodies of POST /info, and what they cost an IP address.

Shapes from venue reference section 3 and appendix A, weights from section 7. Ask with the address of the account that
is traded, never an agent's: the venue answers an agent with nothing at all.

Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hlhft.hyperliquid.wire import cloid_text, read_address

ITEMS_PER_WEIGHT = 20  # answers that are lists of these cost 1 more for each 20 items
FILLS_PER_PAGE = 2_000  # venue reference section 3
ITEMS_PER_PAGE = 500


class InfoKind(StrEnum):
    """What is asked; the value is the venue's name."""

    META = "meta"
    DEXS = "perpDexs"
    SPOT_META = "spotMeta"
    OPEN_ORDERS = "openOrders"
    FRONTEND_OPEN_ORDERS = "frontendOpenOrders"
    ORDER_STATUS = "orderStatus"
    STATE = "clearinghouseState"
    SPOT_STATE = "spotClearinghouseState"
    FILLS = "userFillsByTime"
    FEES = "userFees"
    RATE_LIMIT = "userRateLimit"
    ABSTRACTION = "userAbstraction"
    ROLE = "userRole"
    AGENTS = "extraAgents"
    ASSET = "activeAssetData"
    TRANSFERS = "userNonFundingLedgerUpdates"
    FUNDINGS = "userFunding"
    STATUS = "exchangeStatus"


_CHEAP = frozenset({InfoKind.ORDER_STATUS, InfoKind.STATE, InfoKind.SPOT_STATE, InfoKind.STATUS})
_BY_ITEM = frozenset({InfoKind.FILLS, InfoKind.TRANSFERS, InfoKind.FUNDINGS})
_WEIGHT, _WEIGHT_CHEAP, _WEIGHT_ROLE = 20, 2, 60


class InfoRequest(msgspec.Struct, frozen=True, gc=False):
    """A question: its body, and its weight before anything is answered (`answer_weight` for the rest)."""

    kind: InfoKind
    body: bytes
    weight: int


def weight_of(kind: InfoKind) -> int:
    """The weight of a question on the IP address that asks."""
    if kind in _CHEAP:
        return _WEIGHT_CHEAP
    return _WEIGHT_ROLE if kind is InfoKind.ROLE else _WEIGHT


def answer_weight(kind: InfoKind, items: int) -> int:
    """What an answer of so many items costs beside the question."""
    return items // ITEMS_PER_WEIGHT if kind in _BY_ITEM else 0


def of_user(kind: InfoKind, user: str, *, dex: str = "") -> InfoRequest:
    """A question about an account that needs nothing else: its orders, state, fees, limits, mode, role, agents.

    `dex` names a builder's exchange. Raises WireError when `user` is no address.
    """
    fields = {"user": read_address(user)}
    return _request(kind, {**fields, "dex": dex} if dex else fields)


def of_time(kind: InfoKind, user: str, start_ms: int, end_ms: int | None = None) -> InfoRequest:
    """What happened to an account from `start_ms` on, oldest first: fills, transfers or funding payments."""
    fields: dict[str, str | int] = {"user": read_address(user), "startTime": start_ms}
    return _request(kind, fields if end_ms is None else {**fields, "endTime": end_ms})


def order_status(user: str, *, oid: int | None = None, cloid: int | None = None) -> InfoRequest:
    """What became of an order, by the venue's id, or by the client's."""
    assert (oid is None) is not (cloid is None), "an order is named by one id"
    named: str | int = oid if cloid is None and oid is not None else cloid_text(cloid or 0)
    return _request(InfoKind.ORDER_STATUS, {"user": read_address(user), "oid": named})


def asset_data(user: str, coin: str) -> InfoRequest:
    """The account's leverage setting in a market, also without a position."""
    return _request(InfoKind.ASSET, {"user": read_address(user), "coin": coin})


def meta(dex: str = "") -> InfoRequest:
    """The perpetuals of a dex, "" for the main one."""
    return _request(InfoKind.META, {"dex": dex})


def dexs() -> InfoRequest:
    """The list of builders' exchanges, whose places are part of their markets' numbers."""
    return _request(InfoKind.DEXS, {})


def spot_meta() -> InfoRequest:
    """Spot pairs and tokens."""
    return _request(InfoKind.SPOT_META, {})


def exchange_status() -> InfoRequest:
    """The venue's time, and whether anything is special."""
    return _request(InfoKind.STATUS, {})


def _request(kind: InfoKind, fields: dict[str, str] | dict[str, str | int]) -> InfoRequest:
    return InfoRequest(kind, msgspec.json.encode({"type": str(kind), **fields}), weight_of(kind))
