"""A clean WebSocket log and a clean CSV set of one market, as lines, to plant faults in."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.making import write

START_NS = 1_737_918_843_000_000_000
STEP_NS = 100_000_000
LATENCY_NS = 250_000_000


def times(number: int) -> tuple[int, int]:
    """(exchange milliseconds, local nanoseconds) of the message `number`."""
    exch_ns = START_NS + number * STEP_NS
    return exch_ns // 1_000_000, exch_ns + LATENCY_NS


def book_line(number: int, *, bid: int = 1000, ask: int = 1001, depth: int = 3) -> str:
    """A line of the log with a book message."""
    exch_ms, local_ns = times(number)
    levels = [[{"px": str(bid - place), "sz": "1.5", "n": 2} for place in range(depth)],
              [{"px": str(ask + place), "sz": "2.5", "n": 3} for place in range(depth)]]  # fmt: skip
    return line(local_ns, "l2Book", {"coin": "BTC", "time": exch_ms, "levels": levels})


def bbo_line(number: int, *, bid: int = 1000, ask: int = 1001) -> str:
    """A line of the log with a message of the best bid and offer."""
    exch_ms, local_ns = times(number)
    touch = [{"px": str(bid), "sz": "1.5", "n": 2}, {"px": str(ask), "sz": "2.5", "n": 3}]
    return line(local_ns, "bbo", {"coin": "BTC", "time": exch_ms, "bbo": touch})


def trades_line(number: int, *, identity: int | None = None, of: int | None = None) -> str:
    """A line of the log with two trades; `of` is the message whose trades are repeated."""
    exch_ms = times(number if of is None else of)[0]
    first = 1000 * (number if of is None else of) + 1 if identity is None else identity
    trades = [{"coin": "BTC", "side": side, "px": price, "sz": "0.01", "time": exch_ms, "tid": first + place}
              for place, (side, price) in enumerate((("B", "1001"), ("A", "1000")))]  # fmt: skip
    return line(times(number)[1], "trades", trades)


def line(local_ns: int, channel: str, data: object) -> str:
    """A line of the log."""
    return f"{local_ns} {json.dumps({'channel': channel, 'data': data}, separators=(',', ':'))}"


def clean_log(count: int) -> list[str]:
    """Books, touches and trades in turn."""
    kinds = (book_line, bbo_line, trades_line)
    return [kinds[number % 3](number) for number in range(count)]


def clean_set(count: int) -> dict[str, list[str]]:
    """The lines of the three files of a CSV set, `count` messages a file; the first is the header."""
    levels = [f"{side}_{what}_{level}" for level in range(2) for side in ("bid", "ask") for what in ("price", "size")]
    found = {
        "orderbooks": [",".join(["timestamp", "sequence", "exchange_timestamp", *levels])],
        "prices": ["timestamp,price,size,side,exchange_timestamp"],
        "trades": ["timestamp,price,size,side,trade_id,exchange_timestamp"],
    }
    for number in range(count):
        exch_ms, local_ns = times(number)
        local = f"{local_ns // 10**9}.{local_ns % 10**9 // 100:07d}"
        found["orderbooks"].append(f"{local},{number},{exch_ms},1000,1.5,1001,2.5,999,1.5,1002,2.5")
        found["prices"] += [f"{local},1000,1.5,bid,{exch_ms}", f"{local},1001,2.5,ask,{exch_ms}"]
        found["trades"].append(f"{local},1001,0.01,buy,{number + 1},{exch_ms}")
    return found


def write_set(folder: Path, lines: dict[str, list[str]], coin: str = "BTC") -> Path:
    """The set on disk; returns its folder."""
    folder.mkdir(exist_ok=True)
    for kind, content in lines.items():
        write(folder / f"{kind}_{coin}.csv", content)
    return folder
