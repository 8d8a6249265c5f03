"""What the watchdog reads: open orders, positions at a block time, how markets are numbered, answers to posts.

Answers to `POST /info` (venue reference sections 3.1 and 3.2), each a typed value or a `Fault`. The watchdog has small
readers of its own: a mistake in the engine's must not blind both.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec

from hlhft.hyperliquid.cloids import Cloid, parse
from hlhft.hyperliquid.reading import TEXT_MAX, UNDECODABLE, Fault, Id, TimeMs, cloid_or_none

ORDERS_MAX = 10_000  # the venue allows an account 5,000 (venue reference section 7)
MARKETS_MAX = 10_000
SPOT_ASSETS_FROM = 10_000  # venue reference section 2, as the next two
BUILDER_ASSETS_FROM = 100_000
BUILDER_ASSETS_EACH = 10_000
ESTABLISHED_TEXT = "Websocket connection established."  # the one frame that is no JSON (venue reference section 1)
SIZE_DECIMALS_MAX = 6  # of a perpetual


class OpenOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order that rests, or waits for its trigger. `cloid` is None when it carries none of our form."""

    coin: str
    oid: int
    cloid: Cloid | None
    cloid_number: int


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A position in a perpetual: its signed size as text without sign, and the mark that the venue values it at."""

    coin: str
    is_long: bool
    size: str
    mark: Decimal


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """Positions at a block time."""

    block_ms: int
    positions: tuple[Position, ...]


class Asset(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How the venue numbers a market; `size_decimals` lies in 0 .. SIZE_DECIMALS_MAX on perpetuals."""

    asset_id: int
    size_decimals: int


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a post. `body` is as over HTTP; None when the request was not carried out, and `text` says why."""

    id: int
    body: bytes | None
    text: str


class _Order(msgspec.Struct):
    coin: str
    oid: Id
    cloid: str | None = None


class _Held(msgspec.Struct):
    coin: str
    szi: str
    value: str = msgspec.field(name="positionValue")


class _Entry(msgspec.Struct):
    position: _Held


class _State(msgspec.Struct):
    positions: list[_Entry] = msgspec.field(name="assetPositions")
    time: TimeMs


class _Perpetual(msgspec.Struct):
    name: str
    size_decimals: int = msgspec.field(name="szDecimals")


class _Meta(msgspec.Struct):
    universe: list[_Perpetual]


class _Pair(msgspec.Struct):
    name: str
    index: Id


class _SpotMeta(msgspec.Struct):
    universe: list[_Pair]


class _Dex(msgspec.Struct):
    name: str


class _Frame(msgspec.Struct):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Response(msgspec.Struct):
    type: Literal["info", "action", "error"]
    payload: msgspec.Raw


class _Posted(msgspec.Struct):
    id: Id
    response: _Response


class _Info(msgspec.Struct):
    data: msgspec.Raw


_FRAME = msgspec.json.Decoder(_Frame)
_POSTED = msgspec.json.Decoder(_Posted)
_INFO = msgspec.json.Decoder(_Info)
_ORDERS = msgspec.json.Decoder(list[_Order])
_STATE = msgspec.json.Decoder(_State)
_META = msgspec.json.Decoder(_Meta)
_SPOT_META = msgspec.json.Decoder(_SpotMeta)
_DEXES = msgspec.json.Decoder(list[_Dex | None])


def open_orders(data: bytes) -> tuple[OpenOrder, ...] | Fault:
    """The answer to openOrders."""
    try:
        listed = _ORDERS.decode(data)
    except UNDECODABLE:
        return Fault.WRONG_SHAPE
    if len(listed) > ORDERS_MAX:
        return Fault.TOO_MANY
    return tuple(map(_open_order, listed))


def _open_order(order: _Order) -> OpenOrder:
    number = cloid_or_none(order.cloid)
    cloid = None if number is None else parse(number)
    return OpenOrder(coin=order.coin, oid=order.oid, cloid=cloid, cloid_number=number or 0)


def account_state(data: bytes) -> AccountState | Fault:
    """The answer to clearinghouseState."""
    try:
        state = _STATE.decode(data)
        held = [entry.position for entry in state.positions]
        sizes = [Decimal(position.szi) for position in held]
        values = [Decimal(position.value) for position in held]
    except UNDECODABLE:
        return Fault.WRONG_SHAPE
    except InvalidOperation:
        return Fault.NO_NUMBER
    if not all(number.is_finite() for number in (*sizes, *values)):
        return Fault.NO_NUMBER
    positions = tuple(
        # The position's value is |size| x mark, exactly (venue reference section 3.2).
        Position(coin=position.coin, is_long=size > 0, size=f"{abs(size):f}", mark=abs(value / size))
        for position, size, value in zip(held, sizes, values)
        if size
    )
    return AccountState(block_ms=state.time, positions=positions)


def perpetuals(data: bytes, dex_index: int) -> Mapping[str, Asset] | Fault:
    """The answer to meta of the dex at this place of perpDexs, 0 for the venue's own: assets by coin."""
    try:
        universe = _META.decode(data).universe
    except UNDECODABLE:
        return Fault.WRONG_SHAPE
    if len(universe) > MARKETS_MAX:
        return Fault.TOO_MANY
    if not all(0 <= market.size_decimals <= SIZE_DECIMALS_MAX for market in universe):
        return Fault.OUT_OF_RANGE
    first = BUILDER_ASSETS_FROM + dex_index * BUILDER_ASSETS_EACH if dex_index else 0
    return {
        market.name: Asset(asset_id=first + place, size_decimals=market.size_decimals)
        for place, market in enumerate(universe)
    }


def spot_pairs(data: bytes) -> Mapping[str, Asset] | Fault:
    """The answer to spotMeta: assets by the name of the pair. Sizes of spot are not needed here."""
    try:
        universe = _SPOT_META.decode(data).universe
    except UNDECODABLE:
        return Fault.WRONG_SHAPE
    if len(universe) > MARKETS_MAX:
        return Fault.TOO_MANY
    return {pair.name: Asset(asset_id=SPOT_ASSETS_FROM + pair.index, size_decimals=0) for pair in universe}


def dex_places(data: bytes) -> Mapping[str, int] | Fault:
    """The answer to perpDexs: the place of each dex by name; the venue's own has the name "" and the place 0."""
    try:
        dexes = _DEXES.decode(data)
    except UNDECODABLE:
        return Fault.WRONG_SHAPE
    return {"" if dex is None else dex.name: place for place, dex in enumerate(dexes)}


def posted(frame: bytes | str) -> Post | Fault | None:
    """The answer to a post in a frame of the socket (venue reference section 6.1); None for every other frame."""
    if frame == ESTABLISHED_TEXT:
        return None
    try:
        read = _FRAME.decode(frame)
        if read.channel != "post":
            return None
        post = _POSTED.decode(read.data)
        kind, payload = post.response.type, post.response.payload
        if kind == "info":
            return Post(id=post.id, body=bytes(_INFO.decode(payload).data), text="")
    except UNDECODABLE:
        return Fault.WRONG_SHAPE
    if kind == "action":
        return Post(id=post.id, body=bytes(payload), text="")
    return Post(id=post.id, body=None, text=bytes(payload)[:TEXT_MAX].decode(errors="replace"))
