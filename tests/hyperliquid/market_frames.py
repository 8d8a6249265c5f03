"""Frames of the market channels for tests: as the venue writes them, recorded, broken at random, and what each means.

What a frame means is told a second time here, slowly, from `json` and `decimal`, to hold the decoder against.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.units import Market

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
SOL = Market.perpetual("SOL", asset_id=5, size_decimals=2)
PURR = Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0)
MARKETS = (BTC, SOL, PURR)
NOW = 1_790_000_000_123_456_789
TIME_MS = 1_790_000_000_000
HASH = "0x" + 64 * "a"
USERS = ["0x" + 40 * "1", "0x" + 40 * "2"]
VISIBLE, END = 3, 4

Row = tuple[int, ...]


def frame(channel: str, data: Any) -> bytes:
    """As the venue writes it: no blanks."""
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":")).encode()


def level(price: str, size: str, orders: int = 1) -> dict[str, Any]:
    return {"px": price, "sz": size, "n": orders}


def book(bids: list[Any], asks: list[Any], *, coin: str = "BTC", fast: bool = False, **more: Any) -> bytes:
    data = {"coin": coin, "time": TIME_MS, "levels": [bids, asks], **({"fast": True} if fast else {})}
    return frame("l2Book", {**data, **more})


def bbo(bid: Any, ask: Any, *, coin: str = "BTC", time: Any = TIME_MS) -> bytes:
    return frame("bbo", {"coin": coin, "time": time, "bbo": [bid, ask]})


def trade(price: str, size: str, *, coin: str = "BTC", side: str = "B", time: int = TIME_MS, tid: int = 7) -> Any:
    return {
        "coin": coin, "side": side, "px": price, "sz": size, "time": time, "hash": HASH, "tid": tid, "users": USERS,
    }  # fmt: skip


def trades(*each: Any) -> bytes:
    return frame("trades", list(each))


def rows(events: np.ndarray) -> list[Row]:
    return [tuple(int(value) for value in event) for event in events.tolist()]


def row(kind: int, side: int = 0, ticks: int = 0, lots: int = 0, **more: int) -> Row:
    """A row of EVENT_DTYPE; `order_id`, `aux0`, `aux1`, `market`, `end` and `ms` are the rest."""
    return (
        more.get("ms", TIME_MS) * 1_000_000, NOW, ticks, lots, more.get("order_id", 0), more.get("aux0", 0),
        more.get("aux1", 0), kind, VISIBLE | (END if more.get("end") else 0), more.get("market", 0), side, 0,
    )  # fmt: skip


# What a frame means, told again.


class Refusal(Exception):
    """The frame means nothing."""


def meaning(text: bytes, markets: tuple[Market, ...] = MARKETS) -> list[Row] | None:
    """The rows of a market frame, none for another coin; None when it must be refused."""
    try:
        told = json.loads(text.decode(), parse_constant=_refuse)
        return _MEANINGS[_of(str, told["channel"])](told["data"], {market.name: market for market in markets})
    except (Refusal, ValueError, KeyError, TypeError, IndexError):
        return None


def _refuse(name: str) -> Any:
    raise Refusal(name)


def _need(holds: bool) -> None:
    if not holds:
        raise Refusal


def _of(kind: type, value: Any) -> Any:
    _need(type(value) is kind)
    return value


def _units(text: Any, decimals: int, maximum: int) -> int:
    _need(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", _of(str, text), re.ASCII) is not None and len(text) <= 40)
    scaled = Decimal(text) * 10**decimals
    _need(scaled == int(scaled) and 0 <= scaled <= maximum)
    return int(scaled)


def _time(value: Any) -> int:
    _need(0 < _of(int, value) < 9_000_000_000_000)
    return int(value)


def _amounts(told: Any, market: Market) -> tuple[int, int]:
    ticks = _units(told["px"], market.price_decimals, 2**31 - 1)
    _need(ticks > 0)
    return ticks, _units(told["sz"], market.size_decimals, 2**46 - 1)


def _level(told: Any, market: Market) -> tuple[int, int, int]:
    orders = _of(int, _of(dict, told).get("n", 0))
    _need(0 <= orders < 2**31)
    return *_amounts(told, market), orders


def _market(coin: Any, markets: dict[str, Market]) -> tuple[int, Market] | None:
    names = list(markets)
    return (names.index(coin), markets[coin]) if _of(str, coin) in names else None


def _shape_of_level(told: Any) -> None:
    """What must hold of the level of any coin."""
    _of(str, _of(dict, told)["px"]), _of(str, told["sz"])
    _need(0 <= _of(int, told.get("n", 0)) < 2**31)


def _book(data: Any, markets: dict[str, Market]) -> list[Row]:
    found, ms = _market(data["coin"], markets), _time(data["time"])
    fast = _of(bool, data.get("fast", False))
    sides = _of(list, data["levels"])
    _need(len(sides) == 2)
    for side in sides:
        for told in _of(list, side):
            _shape_of_level(told)
    if found is None:
        return []
    place, market = found
    made = [[_level(told, market) for told in side] for side in sides]
    prices = [[ticks for ticks, _, _ in side] for side in made]
    _need(prices[0] == sorted(set(prices[0]), reverse=True) and prices[1] == sorted(set(prices[1])))
    _need(not prices[0] or not prices[1] or prices[0][0] < prices[1][0])
    middle = [
        row(1, sign, ticks, lots, aux0=orders, market=place, ms=ms)
        for sign, side in zip((1, -1), made, strict=True)
        for ticks, lots, orders in side
    ]
    begin = row(3, aux0=5 if fast else 20, aux1=int(fast), market=place, ms=ms)
    return [begin, *middle, row(4, aux0=len(middle), aux1=int(fast), market=place, ms=ms, end=1)]


def _bbo(data: Any, markets: dict[str, Market]) -> list[Row]:
    found, ms = _market(data["coin"], markets), _time(data["time"])
    sides = _of(list, data["bbo"])
    _need(len(sides) == 2)
    for told in sides:
        if told is not None:
            _shape_of_level(told)
    if found is None:
        return []
    place, market = found
    (bid, bid_lots, bids), (ask, ask_lots, asks) = [
        (0, 0, 0) if told is None else _level(told, market) for told in sides
    ]
    _need(not bid or not ask or bid < ask)
    return [
        row(5, 1, bid, bid_lots, aux0=bids, market=place, ms=ms),
        row(5, -1, ask, ask_lots, aux0=asks, market=place, ms=ms, end=1),
    ]


def _trades(data: Any, markets: dict[str, Market]) -> list[Row]:
    made = []
    for told in _of(list, data):
        _of(dict, told)
        _market(told["coin"], markets), _of(str, told["px"]), _of(str, told["sz"])
        _need(told["side"] in ("A", "B") and 0 <= _of(int, told["tid"]) < 2**63)
        _time(told["time"])
    for told in sorted(data, key=lambda told: told["time"]):
        found = _market(told["coin"], markets)
        if found is not None:
            ticks, lots = _amounts(told, found[1])
            _need(lots > 0)
            side = 1 if told["side"] == "B" else -1
            made.append(row(6, side, ticks, lots, order_id=told["tid"], market=found[0], ms=told["time"]))
    if made:
        made[-1] = (*made[-1][:8], VISIBLE | END, *made[-1][9:])
    return made


_MEANINGS: dict[str, Callable[[Any, dict[str, Market]], list[Row]]] = {"l2Book": _book, "bbo": _bbo, "trades": _trades}


# Broken at random.

NUMBERS = (
    "0", "0.0", "-1", "-0", "1e5", "1E-3", "NaN", "Infinity", "", ".", "1.", ".5", "+1", " 1", "1 ", "007", "0007.50",
    "1.50", "0.12345678", "2147483647", "2147483648", "214748364.7", "214748364.8", "99999999999999999999", "0.000001",
    "1" + 17 * "0", "1" + 18 * "0", "1." + 17 * "0", "1." + 18 * "0", "0." + 30 * "0", "703687441.77663",
    "703687441.77664", "1_0", "\u0661", "12a", "5", "109741.0", "109742.00000",
)  # fmt: skip
WHOLES = (
    0, 1, 9, -1, 1.0, 2**31 - 1, 2**31, 999_999_999, 1_000_000_000, 10**18, 2**63 - 1, 2**63, True, None, "1",
    TIME_MS, TIME_MS + 1, 8_999_999_999_999, 9_000_000_000_000, 10_000_000_000_000,
)  # fmt: skip
COINS = ("BTC", "SOL", "PURR/USDC", "ETH", "", "BTCX", "BT", "b", 'B"', "B\\", "\u00e9", "x" * 64, "x" * 65, None, 5)
ALPHABET = b'{}[],:"0123456789.-+eEnulltrfasb \\\n\x00\x7f'


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a decoded message."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        found.append((value, key))
        found += _places(inner)
    return found


def _change(container: Any, key: Any, draw: random.Random) -> None:
    """Changes one value of a message, or what stands around it."""
    choice = draw.randrange(8)
    if choice == 0:
        del container[key]
    elif choice == 1 and isinstance(container, list):
        container.insert(draw.randrange(len(container) + 1), container[key])
    elif choice == 1:
        container[draw.choice(("extra", "fast", "spread", "n"))] = draw.choice((True, False, None, "1", 3, [{}], {}))
    elif choice == 2 and isinstance(container, list):
        draw.shuffle(container)
    elif choice == 2:
        items = list(container.items())
        draw.shuffle(items)
        container.clear()
        container.update(items)
    elif key in ("px", "sz"):
        container[key] = draw.choice(NUMBERS)
    elif key in ("n", "time", "tid"):
        container[key] = draw.choice(WHOLES)
    elif key == "coin":
        container[key] = draw.choice(COINS)
    else:
        container[key] = draw.choice((None, [], {}, "A", "B", "", 1, True, [None, None], container[key]))


def mutated(text: bytes, draw: random.Random) -> bytes:
    """The frame with one to three changes: to its values and keys, to how it is written, or to its bytes."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        choice = draw.randrange(10)
        if choice < 6:
            text = _restructured(text, draw)
        elif choice == 6 and text.isascii():
            text = re.sub(rb"[,:]", lambda match: match[0] + draw.choice((b"", b"", b" ")), text)
        elif choice == 7:
            text = text[: draw.randrange(len(text) + 1)]
        elif text:
            place = draw.randrange(len(text))
            new = bytes(draw.choices(ALPHABET, k=draw.randrange(3)))
            text = text[:place] + new + text[place + draw.randrange(3) :]
    return text


def _restructured(text: bytes, draw: random.Random) -> bytes:
    try:
        told = json.loads(text)
    except ValueError:
        return text
    places = _places(told)
    if not places:
        return text
    _change(*draw.choice(places), draw)
    return json.dumps(told, separators=(",", ":"), ensure_ascii=draw.randrange(2) == 0).encode()


# Recorded.


def recorded(recordings: Path) -> list[tuple[int, bytes]]:
    """(local time, frame) of every recorded market message, as it was written down."""
    folder = recordings / "hyperliquid"
    log = gzip.decompress((folder / "ws_raw_20250126" / "btcusd_20250126.gz").read_bytes()).splitlines()
    found = [(int(line.split(b" ", 1)[0]), line.split(b" ", 1)[1]) for line in log]
    for line in (folder / "api" / "recorded_messages_2026" / "messages.jsonl").read_text().splitlines():
        message = json.loads(line)["message"]
        if isinstance(message, dict) and message.get("channel") in ("l2Book", "bbo", "trades", "activeAssetCtx"):
            found.append((NOW, frame(message["channel"], message["data"])))
    return found


def as_live(text: bytes) -> bytes:
    """The frame with its keys in the order in which the venue writes them; who recorded some sorted them."""
    order = ["coin", "side", "px", "sz", "n", "time", "levels", "bbo", "fast", "hash", "tid", "users"]

    def arranged(value: Any) -> Any:
        if isinstance(value, list):
            return [arranged(inner) for inner in value]
        if isinstance(value, dict) and set(value) <= set(order):
            return {key: arranged(value[key]) for key in order if key in value}
        return value

    told = json.loads(text)
    return frame(told["channel"], arranged(told["data"]))
