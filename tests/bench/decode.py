"""Frames to events, and on into the book with all features; in turn with msgspec and json, which only decode.

The frames are written from recorded books, touches and trades, as the venue writes them. Each is decoded by our
decoder, by msgspec with the types it needs, and by json, before the next one comes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hlhft.data.sources import open_source
from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.decode import Decoder
from hlhft.hyperliquid.wire import answer_number
from hlhft.units import Market
from tests.bench.figures import Figure, median
from tests.bench.frames import new_brain

SECTION = "frames of the WebSocket"
FRAMES = 3000
FAST_LEVELS = 5
TRADES_AT_FIRST = 30
NS_PER_US, NS_PER_MS = 1e3, 1_000_000
START_NS, SPACING_NS = 1_800_000_000_000_000_000, 500_000_000
HASH, USERS = "0x" + 64 * "a", ["0x" + 40 * "1", "0x" + 40 * "2"]
# As recorded, the update of another coin.
TOLD = {
    "an order's answer": (
        b'{"channel":"post","data":{"id":3000001,"response":{"type":"action","payload":{"status":"ok","response":'
        b'{"type":"order","data":{"statuses":[{"resting":{"oid":496160097503,'
        b'"cloid":"0x00030070b4ed5113000001000000002e"}}]}}}}}}'
    ),
    "an order's update": (
        b'{"channel":"orderUpdates","data":[{"order":{"coin":"BTC","side":"B","limitPx":"1500.0","sz":"1.0","oid":'
        b'313890189710,"timestamp":1770381849546,"origSz":"1.0","cloid":"0x00030050c6301a2b00000100000000d2"},"status":'
        b'"open","statusTimestamp":1770381849546}]}'
    ),
}


class Level(msgspec.Struct):
    px: str
    sz: str
    n: int


class Book(msgspec.Struct):
    coin: str
    time: int
    levels: tuple[list[Level], list[Level]]


class Touch(msgspec.Struct):
    coin: str
    time: int
    bbo: tuple[Level | None, Level | None]


class Trade(msgspec.Struct):
    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int


class BookFrame(msgspec.Struct):
    data: Book


class TouchFrame(msgspec.Struct):
    data: Touch


class TradesFrame(msgspec.Struct):
    data: list[Trade]


TYPES: dict[str, type] = {"l2Book": BookFrame, "bbo": TouchFrame, "trades": TradesFrame}


def written(channel: str, data: object) -> bytes:
    return msgspec.json.encode({"channel": channel, "data": data})


def recorded_frames(files: Sequence[Path], market: Market) -> dict[str, list[bytes]]:
    """The frames by what they are: "bbo", "5 levels", "20 levels", "1 trade", "30 trades"; FRAMES at most of each."""
    events = np.concatenate(list(open_source(list(files), market=market).chunks()))
    found: dict[str, list[bytes]] = {"bbo": [], "5 levels": [], "20 levels": [], "1 trade": [], "30 trades": []}
    trades: list[dict[str, object]] = []
    ends = np.flatnonzero(events["flags"] & int(EventFlag.FRAME_END)) + 1
    for begin, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True):
        piece = events[begin:end]
        head = {"coin": market.name, "time": int(piece[0]["ts_exch_ns"]) // NS_PER_MS}
        kind = piece[0]["kind"]
        if kind == EventKind.SNAPSHOT_BEGIN:
            sides = [[shape(event, market) for event in piece[1:-1] if event["side"] == side] for side in (1, -1)]
            found["20 levels"].append(written("l2Book", {**head, "levels": sides}))
            fast = [side[:FAST_LEVELS] for side in sides]
            found["5 levels"].append(written("l2Book", {**head, "levels": fast, "fast": True}))
        elif kind == EventKind.BBO:
            touch = [shape(event, market) if event["price_ticks"] else None for event in piece]
            found["bbo"].append(written("bbo", {**head, "bbo": touch}))
        elif kind == EventKind.TRADE:
            trades += [traded(event, market) for event in piece]
    trades.sort(key=lambda trade: int(str(trade["time"])))
    found["1 trade"] = [written("trades", [trade]) for trade in trades]
    found["30 trades"] = [
        written("trades", trades[begin : begin + TRADES_AT_FIRST])
        for begin in range(0, len(trades) - TRADES_AT_FIRST, TRADES_AT_FIRST)
    ]
    return {name: texts[:FRAMES] for name, texts in found.items()}


def shape(event: np.void, market: Market) -> dict[str, object]:
    return {
        "px": answer_number(int(event["price_ticks"]), market.price_decimals),
        "sz": answer_number(int(event["size_lots"]), market.size_decimals),
        "n": 1 + int(event["size_lots"]) % 20,  # the recording has no numbers of orders
    }


def traded(event: np.void, market: Market) -> dict[str, object]:
    made = shape(event, market)
    return {
        "coin": market.name, "side": "B" if event["side"] > 0 else "A", "px": made["px"], "sz": made["sz"],
        "time": int(event["ts_exch_ns"]) // NS_PER_MS, "hash": HASH, "tid": int(event["order_id"]), "users": USERS,
    }  # fmt: skip


def timed(decoder: Decoder, text: bytes) -> float:
    """Microseconds."""
    start = time.perf_counter_ns()
    decoder.decode(text, START_NS)
    return (time.perf_counter_ns() - start) / NS_PER_US


def compare(texts: Sequence[bytes], market: Market) -> dict[str, float]:
    """Median microseconds of one frame by our decoder, by our types alone, by msgspec and by json, in turn."""
    ours, by_types = Decoder((market,)), Decoder((market,), scanned_bytes_max=0)
    typed = msgspec.json.Decoder(TYPES[json.loads(texts[0])["channel"]])
    now_ns = 1
    calls: dict[str, Callable[[bytes], object]] = {
        "ours": lambda text: ours.decode(text, now_ns),
        "by types": lambda text: by_types.decode(text, now_ns),
        "msgspec": typed.decode,
        "json": json.loads,
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for text in texts:
        for name, call in calls.items():
            start = time.perf_counter_ns()
            call(text)
            times[name].append((time.perf_counter_ns() - start) / NS_PER_US)
        assert np.array_equal(ours.events[:2], by_types.events[:2])
    assert ours.scanned == len(texts) == by_types.typed, "every frame is recognised"
    return {name: median(values) for name, values in times.items()}


def into_the_book(texts: Sequence[bytes], market: Market) -> float:
    """Median microseconds from the frame to the book with all features: `core.step`, which decides nothing."""
    decoder, brain = Decoder((market,)), new_brain(market.record())
    brain.limits["decide_on_frame"] = 0
    times = []
    for place, text in enumerate(texts):
        ts_local_ns = START_NS + place * SPACING_NS
        start = time.perf_counter_ns()
        brain.step(decoder.events, decoder.decode(text, ts_local_ns))
        times.append((time.perf_counter_ns() - start) / NS_PER_US)
    assert brain.data.books[0]["best_bid_ticks"] > 0
    assert decoder.scanned == len(texts)
    return median(times)


def decode(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    folder = recordings / "hyperliquid" / "l2_trades_bbo_20250904"
    market = Market.perpetual("BTC", asset_id=0, size_decimals=5)
    files = [folder / f"{name}_BTC.csv.gz" for name in ("orderbooks", "prices", "trades")]
    recorded = recorded_frames(files, market)
    figures = []
    for name, texts in recorded.items():
        texts = texts[:500] if short else texts
        compare(texts[:200], market)
        medians = compare(texts, market)
        figures += [
            Figure(SECTION, f"{name} to events", medians["ours"], "us", gate=12.0),
            Figure(SECTION, f"{name}: by types, what the scanner does not recognise", medians["by types"], "us"),
            Figure(SECTION, f"{name}: msgspec to objects", medians["msgspec"], "us"),
            Figure(SECTION, f"{name}: json to objects", medians["json"], "us"),
            Figure(SECTION, f"{name}: json / ours", medians["json"] / medians["ours"], "x"),
        ]
    for name in ("bbo", "5 levels", "20 levels"):
        texts = (recorded["20 levels"][:50] if name == "bbo" else []) + recorded[name][: 500 if short else FRAMES]
        into_the_book(texts[:200], market)
        book = into_the_book(texts, market)
        figures.append(Figure(SECTION, f"{name} to the book with all features", book, "us", maximum=4.0, gate=12.0))
    for name, text in TOLD.items():
        decoder = Decoder((market,))
        times = [timed(decoder, text) for _ in range(500 if short else FRAMES)]
        assert decoder.message is not None
        figures.append(Figure(SECTION, f"{name} to a message", median(times), "us", gate=60.0))
    return figures
