"""Seeded objects of the archives: small, and of the venue's form (venue reference section 11)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import lz4.frame

from hlhft.data.mining.keys import ARCHIVE, NODE, Layout, books_key, contexts_key, fills_key, midnight_ns

LEVELS = 5
PRICES = {"BTC": (60_000, "1", 1), "ETH": (3_000, "0.1", 10), "SOL": (150, "0.01", 100)}
CONTEXTS_HEADER = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,"
    "impact_ask_px"
)

Objects = dict[tuple[str, str], bytes]


def packed(lines: Iterable[str]) -> bytes:
    """Lines as the archives keep them."""
    return bytes(lz4.frame.compress("".join(f"{line}\n" for line in lines).encode()))


def iso(time_ns: int) -> str:
    """UTC without a zone, nine decimals."""
    at = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09d}"


def price(coin: str, steps: int) -> str:
    """So many steps above the coin's usual price."""
    whole, _, per_unit = PRICES[coin]
    ticks = whole * per_unit + steps
    return f"{ticks // per_unit}.{ticks % per_unit:02d}" if per_unit > 1 else f"{ticks}"


def book_line(coin: str, block_ms: int, local_ns: int, middle: int, draw: random.Random) -> str:
    """One picture, LEVELS a side, the touch at `middle` steps."""
    sides = [
        [
            {"px": price(coin, middle + way * (level + (way > 0))), "sz": f"{draw.randint(1, 99) / 10}", "n": level + 1}
            for level in range(LEVELS)
        ]
        for way in (-1, 1)
    ]
    data = {"coin": coin, "time": block_ms, "levels": sides}
    line = {"time": iso(local_ns), "ver_num": 1, "raw": {"channel": "l2Book", "data": data}}
    return json.dumps(line, separators=(",", ":"))


def book_lines(coin: str, day: date, hour: int, *, every_ms: int = 30_000, seed: int = 1) -> list[str]:
    """An hour's pictures; the first ones of an hour carry block times of the hour before."""
    draw = random.Random(f"{seed}{coin}{day}{hour}")
    begin_ns = midnight_ns(day) + hour * 3_600 * 10**9
    middle = 0
    lines = []
    for local_ns in range(begin_ns + 100_000_000, begin_ns + 3_600 * 10**9, every_ms * 1_000_000):
        middle += draw.randint(-2, 2)
        lines.append(book_line(coin, local_ns // 1_000_000 - 350, local_ns, middle, draw))
    return lines


def fill(coin: str, side: str, block_ms: int, tid: int, at: str, size: str, *, crossed: bool) -> dict[str, object]:
    """One side of a trade, as the venue writes it."""
    return {
        "coin": coin, "px": at, "sz": size, "side": side, "time": block_ms, "startPosition": "0.0", "dir": "Open Long",
        "closedPnl": "0.0", "hash": "0x" + "ab" * 32, "oid": tid + 1, "crossed": crossed, "fee": "0.01", "tid": tid,
        "feeToken": "USDC", "twapId": None,
    }  # fmt: skip


def trade_events(coins: Sequence[str], block_ms: int, draw: random.Random) -> list[list[object]]:
    """Both sides of up to two trades a coin in a block, the buyer first."""
    events: list[list[object]] = []
    for coin in coins:
        for _ in range(draw.randint(0, 2)):
            tid = draw.randrange(1, 2**50)
            at, size = price(coin, draw.randint(-3, 3)), f"{draw.randint(1, 50) / 10}"
            buyer_crosses = draw.random() < 0.5
            for side, crossed in (("B", buyer_crosses), ("A", not buyer_crosses)):
                user = f"0x{draw.randrange(16**40):040x}"
                events.append([user, fill(coin, side, block_ms, tid, at, size, crossed=crossed)])
    return events


def fills_lines(
    coins: Sequence[str],
    day: date,
    hour: int,
    *,
    layout: Layout = Layout.BY_BLOCK,
    every_ms: int = 30_000,
    seed: int = 1,
) -> list[str]:
    """An hour's fills of all coins: by block, or one a line."""
    draw = random.Random(f"{seed}{day}{hour}")
    begin_ms = (midnight_ns(day) + hour * 3_600 * 10**9) // 1_000_000
    lines = []
    for number, block_ms in enumerate(range(begin_ms + 20, begin_ms + 3_600_000, every_ms)):
        events = trade_events(coins, block_ms, draw)
        if layout is not Layout.BY_BLOCK:
            lines.extend(json.dumps(event) for event in events)
            continue
        at = block_ms * 1_000_000 + 250_000
        block = {
            "local_time": iso(at + 300_000_000),
            "block_time": iso(at),
            "block_number": begin_ms // 75 + number,
            "events": events,
        }
        lines.append(json.dumps(block, separators=(",", ":")))
    return lines


def contexts_lines(coins: Sequence[str], day: date, *, every_minutes: int = 30) -> list[str]:
    """A day's contexts."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the file's own form has no zone
    rows = [CONTEXTS_HEADER]
    for minute in range(0, 1440, every_minutes):
        at = (midnight + timedelta(minutes=minute)).isoformat()
        rows += [
            f"{at},{coin},0.0000125,1000.5,{price(coin, 0)},1000000.0,0.0001,{price(coin, 1)},{price(coin, 0)},"
            f"{price(coin, 0)},{price(coin, -1)},{price(coin, 1)}"
            for coin in coins
        ]
    return rows


def archive_day(
    coins: Sequence[str], day: date, *, hours: Iterable[int] = range(24), every_ms: int = 30_000
) -> Objects:
    """Everything that the archives hold of a day."""
    objects: Objects = {(ARCHIVE.name, contexts_key(day)): packed(contexts_lines(coins, day))}
    for hour in hours:
        for coin in coins:
            objects[ARCHIVE.name, books_key(day, hour, coin)] = packed(book_lines(coin, day, hour, every_ms=every_ms))
        lines = fills_lines(coins, day, hour, every_ms=every_ms)
        objects[NODE.name, fills_key(day, hour, Layout.BY_BLOCK)] = packed(lines)
    return objects
