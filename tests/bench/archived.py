"""Writes objects as the archives hold them, seeded: an hour's books of a coin, an hour's fills, a day's contexts.

A book has twenty levels a side, neighbouring prices, every 0.54 s; the touch moves in a fifth of them, and two levels
of three change in size between two, as in the recordings. Equal arguments give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import lz4.frame
import numpy as np

from hlhft.data.markets import find
from hlhft.units import Market

HOUR_MS, BOOK_MS, MINUTE_MS = 3_600_000, 540, 60_000
LEVELS = 20
CHANGED, MOVED = 0.64, 0.2
MOVE_STEPS = 6  # of the touch, the mean when it moves
LATENCY_NS, LATENCY_SPREAD_NS = 250_000_000, 60_000_000
PRICES = {"BTC": (680_000, 10), "ETH": (200_000, 10), "SOL": (850_000, 100)}  # first price and step, in ticks
NOTIONAL, LOTS_SIGMA = 5_000, 1.6  # of a level: USD, the median, and the deviation of its logarithm
MILLISECOND_NS = 1_000_000
FRAME_BYTES = 1 << 22


def clock_text(time_ns: int) -> str:
    """A time as the archive writes it: UTC without a zone, nine decimals."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}"


def _decimal(units: int, decimals: int) -> str:
    """A number as the venue writes it: at least one decimal, no other nought at its end."""
    if decimals == 0:
        return f"{units}.0"
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{f'{part:0{decimals}d}'.rstrip('0') or '0'}"


class Book:
    """A coin's book that goes on from hour to hour."""

    def __init__(self, market: Market, seed: int) -> None:
        self.market = market
        self._random = np.random.default_rng(seed)
        first, self._step = PRICES.get(market.name, (100 * 10**market.price_decimals, 1))
        self._bid = first // self._step
        self._levels: dict[int, str] = {}
        self._scale = NOTIONAL * 10.0 ** (market.price_decimals + market.size_decimals) / first

    def lines(self, begin_ms: int, end_ms: int) -> Iterator[bytes]:
        """The lines of [begin, end) in block milliseconds."""
        count = (end_ms - begin_ms) // BOOK_MS
        random = self._random
        moves = np.where(random.random(count) < MOVED, random.geometric(1 / MOVE_STEPS, count), 0)
        moves = np.where(random.random(count) < 0.5, moves, -moves).tolist()
        late = (LATENCY_NS + np.abs(random.normal(0, LATENCY_SPREAD_NS, count))).astype(np.int64).tolist()
        jitter = random.integers(-60, 60, count).tolist()
        shape = count, 2 * LEVELS
        changed = (random.random(shape) < CHANGED).tolist()
        lots = (self._scale * np.exp(random.normal(0, LOTS_SIGMA, shape))).astype(np.int64) + 1
        sizes, orders = lots.tolist(), random.geometric(0.3, shape).tolist()
        for number in range(count):
            self._bid = max(self._bid + moves[number], 100 * LEVELS)
            time_ms = begin_ms + number * BOOK_MS + 60 + jitter[number]
            local_ns = time_ms * MILLISECOND_NS + late[number]
            yield self._line(time_ms, local_ns, changed[number], sizes[number], orders[number])

    def _line(self, time_ms: int, local_ns: int, changed: list[bool], lots: list[int], orders: list[int]) -> bytes:
        bids, asks = range(self._bid, self._bid - LEVELS, -1), range(self._bid + 1, self._bid + 1 + LEVELS)
        held, market = self._levels, self.market
        shown: list[str] = []
        for place, price in enumerate((*bids, *asks)):
            text = held.get(price)
            if text is None or changed[place]:
                ticks = _decimal(price * self._step, market.price_decimals)
                size = _decimal(lots[place], market.size_decimals)
                text = held[price] = f'{{"px":"{ticks}","sz":"{size}","n":{orders[place]}}}'
            shown.append(text)
        if len(held) > 50 * LEVELS:
            self._levels = {price: held[price] for price in (*bids, *asks)}
        levels = f"[{','.join(shown[:LEVELS])}],[{','.join(shown[LEVELS:])}]"
        return (
            f'{{"time":"{clock_text(local_ns)}","ver_num":1,"raw":{{"channel":"l2Book","data":{{"coin":"{market.name}",'
            f'"time":{time_ms},"levels":[{levels}]}}}}}}\n'
        ).encode()


def write_books(
    folder: Path, coin: str, begin_ms: int, *, hours: int = 24, hour_ms: int = HOUR_MS, seed: int = 1
) -> list[Path]:
    """A file of `coin` for each hour from `begin_ms` on, H.lz4 by the hour of the day; of it the first `hour_ms`."""
    book = Book(find(coin), seed)
    paths = []
    for hour in range(hours):
        start = begin_ms + hour * HOUR_MS
        path = folder / f"{start // HOUR_MS % 24}.lz4"
        write_lines(path, book.lines(start, start + hour_ms))
        paths.append(path)
    return paths


def write_lines(path: Path, lines: Iterator[bytes]) -> None:
    """Lines as an LZ4 frame, as the archives pack them."""
    with lz4.frame.open(path, "wb") as stream:
        held: list[bytes] = []
        for line in lines:
            held.append(line)
            if len(held) == FRAME_BYTES >> 11:
                stream.write(b"".join(held))
                held.clear()
        stream.write(b"".join(held))


def fills_by_block(
    begin_ms: int, end_ms: int, coins: list[str], *, seed: int = 1, mean: float = 3.6
) -> Iterator[bytes]:
    """Lines of node_fills_by_block: a block every 81 ms, most with trades of some of the coins, two fills each."""
    random = np.random.default_rng(seed)
    markets = [find(coin) for coin in coins]
    time_ms, number, local_ns = begin_ms, 900_000_000, 0
    while time_ms < end_ms:
        trades = [
            fill
            for _ in range(int(random.poisson(mean)))
            for fill in _pair(random, markets[int(random.integers(len(markets)))], time_ms)
        ]
        at_ns = time_ms * MILLISECOND_NS + int(random.integers(MILLISECOND_NS))
        local_ns = max(local_ns + 1, at_ns + LATENCY_NS + int(random.integers(LATENCY_NS)))
        line = {"local_time": clock_text(local_ns),
                "block_time": clock_text(at_ns), "block_number": number, "events": trades}  # fmt: skip
        yield json.dumps(line, separators=(",", ":")).encode() + b"\n"
        number += 1
        time_ms += 1 + int(random.exponential(80))


def _pair(random: np.random.Generator, market: Market, time_ms: int) -> list[list[object]]:
    first, step = PRICES.get(market.name, (100 * 10**market.price_decimals, 1))
    price = _decimal((first // step + int(random.integers(-50, 50))) * step, market.price_decimals)
    size = _decimal(int(random.geometric(1e-3)), market.size_decimals)
    tid, aggressor = int(random.integers(1, 2**50)), int(random.integers(2))
    return [
        [f"0x{int(random.integers(2**60)):040x}",
         {"coin": market.name, "px": price, "sz": size, "side": letter, "time": time_ms, "startPosition": "16642.0",
          "dir": "Open Long" if letter == "B" else "Close Long", "closedPnl": "0.13797",
          "hash": f"0x{tid:064x}", "oid": int(random.integers(2**38)), "crossed": side == aggressor,
          "fee": "0.004562" if side == aggressor else "-0.000119", "tid": tid, "feeToken": "USDC", "twapId": None}]
        for side, letter in enumerate("BA")
    ]  # fmt: skip


def contexts_csv(begin_ms: int, minutes: int, coins: list[str], *, seed: int = 1) -> Iterator[bytes]:
    """Lines of asset_ctxs: the header, then a row a coin and minute."""
    random = np.random.default_rng(seed)
    yield (
        b"time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,"
        b"impact_ask_px\n"
    )
    for minute in range(minutes):
        time = f"{datetime.fromtimestamp((begin_ms + minute * MINUTE_MS) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        for coin in coins:
            market = find(coin)
            first, _ = PRICES.get(coin, (100 * 10**market.price_decimals, 1))
            price = first / 10**market.price_decimals * (1 + float(random.normal(0, 1e-4)))
            yield (
                f"{time},{coin},0.0000125,{float(random.uniform(900, 1100)):.4f},{price:.3f},1000000.5,-0.00031774,"
                f"{price:.3f},{price:.4f},{price:.3f},{price:.3f},{price:.3f}\n"
            ).encode()
