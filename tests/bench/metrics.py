"""What showing its numbers costs an engine: one update, one count, one set, and the copy of all that it knows.

The copy is that of an engine of two markets that quotes on an exchange in a thread beside it, part by part: what is
promised is how long one part keeps the sockets waiting.
"""

from __future__ import annotations

import tempfile
import time
import timeit
from pathlib import Path

from hlhft.live.metrics import OWNER, EngineMetrics
from hlhft.monitor.block import SERIES_MAX, BlockWriter, block_path
from hlhft.monitor.metrics import Source
from tests.bench.figures import Figure, median
from tests.live.engines import Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings

SECTION = "metrics"
TIMES, TIMES_SHORT = 1_000_000, 100_000
COPIES, COPIES_SHORT = 200, 20
SERIES = 1_000
US_PER_S, NS_PER_US = 1e6, 1e3


def each_us(statement: str, names: dict[str, object], times: int) -> float:
    """Microseconds of one execution in the fastest of many short series: what slows others down is not of the code."""
    found = timeit.repeat(statement, globals=names, number=SERIES, repeat=times // SERIES)
    return min(found) / SERIES * US_PER_S


def parts_us(copies: EngineMetrics, count: int) -> list[float]:
    """For each part of the copy, microseconds in the median of `count` copies."""
    spent: list[list[float]] = [[] for _ in copies._slices]
    for _ in range(count):
        copies._open_set()
        for place in range(len(spent)):
            began_ns = time.perf_counter_ns()
            copies._do_slice()
            spent[place].append((time.perf_counter_ns() - began_ns) / NS_PER_US)
        copies._end_set()
    return [median(times) for times in spent]


def copied_us(folder: Path, count: int) -> list[float]:
    """The same of a running engine of two markets."""
    found: list[float] = []
    exchange = Exchange()
    try:
        trader, owner = Trader(exchange.url, 3), Owner(exchange.url, 1)
        for asset in (0, 1):
            trader.make(asset)
        path = write_settings(folder, exchange, owner)

        async def work() -> None:
            async with engine(path) as (there, _):
                await until(lambda: all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH")))
                copies = there.hub.timers._owners[OWNER].__self__  # type: ignore[attr-defined]
                found.extend(parts_us(copies, count))

        run_on_uvloop(work)
    finally:
        exchange.stop()
    return found


def metrics(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; it needs no recordings."""
    del recordings
    times = TIMES_SHORT if short else TIMES
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = BlockWriter(block_path(folder, Source.ENGINE), source=Source.ENGINE, labels={}, clock_ns=time.time_ns)
        slots = [made.slot("hlhft_position_size", str(number)) for number in range(SERIES_MAX)]
        values, note = made.values, made.histogram("hlhft_step_seconds").note
        update_us = each_us("values[slot] = 1.5", {"values": values, "slot": slots[-1]}, times)
        note_us = each_us("note(123_456)", {"note": note}, times)
        end_us = each_us("end()", {"end": made.end}, times // 10)
        parts = copied_us(folder, COPIES_SHORT if short else COPIES)
    return [
        Figure(SECTION, "one value updated in the block", update_us, "us", maximum=0.2, gate=1.0),
        Figure(SECTION, "one latency counted in the block", note_us, "us", maximum=0.2, gate=1.0),
        Figure(SECTION, f"a set of {SERIES_MAX} values shown", end_us, "us"),
        Figure(SECTION, "all that an engine of two markets knows copied, twice a second", sum(parts), "us"),
        Figure(SECTION, "the longest part of it, between two looks at the sockets", max(parts), "us",
               maximum=100, gate=1000),
    ]  # fmt: skip
