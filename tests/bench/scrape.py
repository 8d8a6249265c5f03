"""What a scrape each second costs the engine: tick to trade in pairs, with Prometheus asking and without.

The way of `tests.bench.wire`, by the same peer and client, which here also counts its times in a block and shows the
block twice a second, as an engine does, in all rounds. `hlhft exporter` runs beside it in all rounds, too; in every
other one a client over HTTP asks it for the page each second, as Prometheus does. Which of a pair comes first changes
from pair to pair. A pair's shift is the difference of its two medians, and the figure the median of all shifts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from picows import WSTransport
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from hlhft.monitor.block import BlockWriter, block_path
from hlhft.monitor.collecting import Collector
from hlhft.monitor.host import Host, Places
from hlhft.monitor.metrics import METRICS, Kind, Source
from tests.bench.decode import recorded_frames
from tests.bench.encode import BTC
from tests.bench.figures import Figure, median
from tests.bench.wire import Hot, OurClient, Peer, percentile, round_of, running_peer

SECTION = "tick to trade while Prometheus asks each second"
ROOT = Path(__file__).resolve().parents[2]
PAIRS, PAIRS_SHORT = 24, 3
COUNT = 1_200  # books of a round, a thousand a second: it is asked at its begin, and a second later
ORDERS_MIN = 200  # of a round that counts
COPY_S = 0.5  # between two sets of the block, as an engine has it
MARKETS = ("BTC", "ETH", "SOL", "WLFI")
PAGES = 30
READY_S = 60.0


class ShownClient(OurClient):
    """The engine's callback, and its block."""

    def __init__(self, hot: Hot, block: BlockWriter) -> None:
        super().__init__(hot)
        self._block = block
        self._times = block.histogram("hlhft_tick_to_trade_seconds")

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        self._show()

    def book(self, content: memoryview) -> int:
        began_ns = time.perf_counter_ns()
        sent_ns = super().book(content)
        if sent_ns:
            self._times.note(sent_ns - began_ns)
        return sent_ns

    def _show(self) -> None:
        for slot in range(len(self._block.values) - 1):
            self._block.values[slot] += 1.0
        self._block.end()
        if not self.done.done():
            asyncio.get_running_loop().call_later(COPY_S, self._show)


@dataclass
class Round:
    """What one round gave, in ns."""

    wire_ns: list[int]
    inner_ns: list[int]


@dataclass
class Pairs:
    """Rounds with and without, in their order, and what each scrape took in ms."""

    asked: list[Round] = field(default_factory=list)
    unasked: list[Round] = field(default_factory=list)
    scrapes_ms: list[float] = field(default_factory=list)

    def shifts_us(self, part: float, of: str) -> list[float]:
        """By how much each pair's percentile is higher with scrapes."""
        return [
            percentile(getattr(one, of), part) - percentile(getattr(other, of), part)
            for one, other in zip(self.asked, self.unasked, strict=True)
        ]


def block_of(folder: Path, source: Source) -> BlockWriter:
    """A block with every metric of a process, and as many series as one of four markets has, or more."""
    labels = {"account": "0x" + "ab" * 20}
    made = BlockWriter(block_path(folder, source), source=source, labels=labels, clock_ns=time.time_ns)
    for metric in METRICS:
        if metric.source is not source:
            continue
        for market in MARKETS if metric.labels else ("",):
            labels = [market] * len(metric.labels)
            if metric.kind is Kind.HISTOGRAM:
                made.histogram(metric.name, *labels)
            else:
                made.slot(metric.name, *labels)
    return made


def page_ms(folder: Path) -> float:
    """Median milliseconds of one processor that a page of three processes takes, as Prometheus asks for it."""
    blocks = [block_of(folder, source) for source in (Source.ENGINE, Source.WATCHDOG, Source.RECORDER)]
    registry = CollectorRegistry()
    registry.register(Collector(folder, expected=(), host=Host(Places(folders={"state": folder})), now_ns=time.time_ns))
    took_ms = []
    for _ in range(PAGES):
        for block in blocks:
            block.end()
        began_s = time.thread_time()
        page = generate_latest(registry)
        took_ms.append(1e3 * (time.thread_time() - began_s))
        assert page.count(b"hlhft_process_up{") == len(blocks) + 1 and b"hlhft_fills_total{" in page
    return median(took_ms)


@contextlib.contextmanager
def running_exporter(folder: Path) -> Iterator[str]:
    """The URL of an exporter of the blocks in a folder."""
    settings, ready = folder / "settings.toml", folder / "ready.json"
    settings.write_text(f'[engine]\nstate_folder = "{folder}"\n[metrics]\nfolder = "{folder}"\nport = 0\n')
    command = [sys.executable, "-m", "hlhft", "exporter", "--config", str(settings), "--ready-file", str(ready)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + READY_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < end_s, "the exporter does not answer"
            time.sleep(0.02)
        yield json.loads(ready.read_text())["url"]
    finally:
        process.terminate()
        process.wait(READY_S)


@contextlib.contextmanager
def running_asker(url: str) -> Iterator[subprocess.Popen[str]]:
    """A client in a process of its own, which asks while it is told to (`tests.bench.scrape_client`)."""
    command = [sys.executable, "-m", "tests.bench.scrape_client", url]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(READY_S)


def told(asker: subprocess.Popen[str], word: str) -> None:
    """Says a word to the client."""
    assert asker.stdin is not None
    asker.stdin.write(f"{word}\n")
    asker.stdin.flush()


def in_pairs(peer: Peer, asker: subprocess.Popen[str], block: BlockWriter, count: int) -> Pairs:
    """`count` pairs of rounds, after one that warms. A pair in which hardly any book led to an order, as this machine
    did something else, is measured again, as many as are wanted; there may be fewer pairs then, or none."""
    hot, pairs = Hot(), Pairs()

    def one_round(*, is_asked: bool) -> Round:
        if is_asked:
            told(asker, "ask")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            inner_ns = runner.run(_served(hot, block, peer.port))
        wire_ns = [value for value in peer.replies_ns() if value >= 0]
        if is_asked:
            told(asker, "rest")
            assert asker.stdout is not None
            pairs.scrapes_ms += json.loads(asker.stdout.readline())
        return Round(wire_ns, inner_ns)

    for number in range(2 * count + 1):
        if len(pairs.asked) == count:
            break
        order = (True, False) if number % 2 else (False, True)
        found = {is_asked: one_round(is_asked=is_asked) for is_asked in order}
        if number and min(len(one.wire_ns) for one in found.values()) >= ORDERS_MIN:
            pairs.asked.append(found[True])
            pairs.unasked.append(found[False])
    return pairs


async def _served(hot: Hot, block: BlockWriter, port: int) -> list[int]:
    """One round of the client; its times inside."""
    client = ShownClient(hot, block)
    await round_of(client, port, polls=False)
    return client.inner_ns


def figures_of(pairs: Pairs) -> list[Figure]:
    """The shift of median and p99, and what a scrape takes."""
    count = len(pairs.asked)
    rounds = pairs.unasked
    return [
        Figure(SECTION, f"median of {count} shifts of the median, wire to wire",
               median(pairs.shifts_us(0.5, "wire_ns")), "us", maximum=2.0, gate=500.0),
        Figure(SECTION, f"median of {count} shifts of the median, inside the client",
               median(pairs.shifts_us(0.5, "inner_ns")), "us", maximum=2.0, gate=500.0),
        Figure(SECTION, f"median of {count} shifts of p99, wire to wire",
               median(pairs.shifts_us(0.99, "wire_ns")), "us"),
        Figure(SECTION, "nobody asks: wire to wire, median",
               median([percentile(one.wire_ns, 0.5) for one in rounds]), "us"),
        Figure(SECTION, "nobody asks: wire to wire, p99",
               median([percentile(one.wire_ns, 0.99) for one in rounds]), "us"),
        Figure(SECTION, f"a scrape beside all that, over HTTP, median of {len(pairs.scrapes_ms)}",
               median(pairs.scrapes_ms), "ms"),
    ]  # fmt: skip


def scrape(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    folder = recordings / "hyperliquid" / "l2_trades_bbo_20250904"
    files = [folder / f"{name}_BTC.csv.gz" for name in ("orderbooks", "prices", "trades")]
    books = recorded_frames(files, BTC)["20 levels"][:COUNT]
    with tempfile.TemporaryDirectory() as alone:
        page = Figure(
            SECTION, "the page of an engine, a watchdog and a recorder, time of one processor", page_ms(Path(alone)),
            "ms", maximum=20.0, gate=60.0,
        )  # fmt: skip
    with contextlib.ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        block = block_of(temporary, Source.ENGINE)
        url = stack.enter_context(running_exporter(temporary))
        asker = stack.enter_context(running_asker(url))
        peer = stack.enter_context(running_peer(temporary, books, COUNT))
        count = PAIRS_SHORT if short else PAIRS
        pairs = in_pairs(peer, asker, block, count)
        if len(pairs.asked) < count:
            print(
                f"NOT MEASURED: in only {len(pairs.asked)} of {count} pairs the client kept up; is this machine busy?"
            )
            return [page]
        return [*figures_of(pairs), page]
