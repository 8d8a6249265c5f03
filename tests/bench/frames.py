"""`core.step` on recorded book messages, the default strategy re-quoting: in a batch, and call by call from Python."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from hlhft.backtest.session import Settings, limits_of
from hlhft.compiled import compiled
from hlhft.core.brain import Brain, step_at
from hlhft.core.state import COMMAND_DTYPE, BookKind, CommandKind
from hlhft.data.sources import open_source
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.strategies import DEFAULT, load
from hlhft.units import MICRO
from tests.bench.figures import Figure, median

FRAMES = 3000
BATCH = 50
US, NS_PER_US = 1e6, 1e3


@compiled
def batch_of(handle, frames, starts, counts, first, last, out, news):
    """Steps through frames first .. last - 1, every command answered at once; returns the number of commands.

    `out` COMMAND_DTYPE[n], `news` EVENT_DTYPE[n]: the venue's word on each command, given in a step of its own.
    """
    total = 0
    for index in range(first, last):
        start = starts[index]
        frame = frames[start : start + counts[index]]
        said = step_at(handle, frame, counts[index], out)
        for place in range(said):
            answer, command = news[place], out[place]
            answer["kind"] = 16 if command["kind"] == 1 else 19
            answer["ts_local_ns"] = frame[0]["ts_local_ns"]
            answer["order_id"] = command["order_id"]
            answer["side"] = command["side"]
            answer["price_ticks"] = command["price_ticks"]
            answer["size_lots"] = command["size_lots"]
            answer["market"] = command["market"]
        if said > 0:
            step_at(handle, news, said, out)
        total += said
    return total


def book_frames(recording: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(markets, events, starts, counts) of the recording's snapshot messages, FRAMES at most."""
    source = open_source([recording])
    events = np.concatenate(list(source.chunks()))
    ends = np.flatnonzero(events["flags"] & int(EventFlag.FRAME_END)) + 1
    starts = np.append(0, ends[:-1])
    is_book = events["kind"][starts] == int(EventKind.SNAPSHOT_BEGIN)
    pieces = [events[start:end] for start, end in zip(starts[is_book], ends[is_book], strict=True)][:FRAMES]
    counts = np.array([len(piece) for piece in pieces])
    records = np.concatenate([market.record() for market in source.markets])
    return records, np.concatenate(pieces), np.append(0, np.cumsum(counts)[:-1]), counts


def new_brain(markets: np.ndarray) -> Brain:
    """A brain of the product's default strategy with all features, funded and connected."""
    strategy = load(DEFAULT)
    limits = limits_of(Settings(strategy=strategy))
    limits["markets"] = len(markets)
    brain = Brain(markets, limits)
    brain.data.books["kind"] = BookKind.SNAPSHOT
    lane = brain.lane.lane
    lane["strategy_address"] = strategy.address()
    lane["connected"] = 1
    lane["starting_equity_micro"] = lane["equity_micro"] = 10_000 * MICRO
    lane["address_initial"] = lane["address_allowance"] = 1_000_000
    brain.lane.positions["maker_rate_e9"] = 0
    brain.lane.params[:] = strategy.params_bytes({})
    return brain


def answers(commands: np.ndarray, now_ns: int) -> np.ndarray:
    """The venue's word on each command: placed orders rest, cancelled ones are gone."""
    events = np.zeros(len(commands), EVENT_DTYPE)
    placed = commands["kind"] == CommandKind.PLACE
    events["kind"] = np.where(placed, EventKind.ORDER_ACKNOWLEDGED, EventKind.ORDER_CANCELLED)
    events["ts_local_ns"] = now_ns
    for name in ("order_id", "side", "price_ticks", "size_lots", "market"):
        events[name] = commands[name]
    return events


def call_by_call(markets: np.ndarray, events: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> tuple[float, int]:
    """(median microseconds of one call from Python, commands in all); answers arrive between the calls, untimed."""
    brain = new_brain(markets)
    elapsed, commands = [], 0
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        frame = events[start : start + count]
        begin = time.perf_counter_ns()
        said = brain.step(frame, count)
        elapsed.append(time.perf_counter_ns() - begin)
        if said:
            commands += said
            news = answers(brain.commands[:said], int(frame["ts_local_ns"][-1]))
            brain.step(news, len(news))
    return median(elapsed) / NS_PER_US, commands


def in_batches(markets: np.ndarray, events: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> tuple[float, int]:
    """(median microseconds a frame within batches of BATCH frames, commands in all); answers are part of the time."""
    brain = new_brain(markets)
    out, news = np.zeros(len(brain.commands), COMMAND_DTYPE), np.zeros(len(brain.commands), EVENT_DTYPE)
    elapsed, commands = [], 0
    for first in range(0, len(counts), BATCH):
        last = min(first + BATCH, len(counts))
        begin = time.perf_counter()
        commands += batch_of(brain.handle, events, starts, counts, first, last, out, news)
        elapsed.append((time.perf_counter() - begin) / (last - first))
    return median(elapsed[1:]) * US, commands


def frames(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    folder = recordings / "hyperliquid" / "l2_trades_bbo_20250904"
    markets, events, starts, counts = book_frames(folder / "orderbooks_BTC.csv.gz")
    call_by_call(markets, events, starts, counts)
    in_batches(markets, events, starts, counts)
    runs = 1 if short else 5
    calls = [call_by_call(markets, events, starts, counts) for _ in range(runs)]
    batches = [in_batches(markets, events, starts, counts) for _ in range(runs)]
    section = "core.step on a recorded 20-level book message, default strategy"
    assert calls[0][1] == batches[0][1], "both ways lead to the same commands"
    return [
        Figure(
            section,
            f"inside a batch of {BATCH} frames, answers to its commands included",
            median([batch for batch, _ in batches]),
            "us a frame",
            maximum=2.0,
            gate=6.0,
        ),
        Figure(section, "called from Python", median([call for call, _ in calls]), "us a call", maximum=3.0, gate=9.0),
        Figure(section, f"commands over {len(counts)} frames", float(calls[0][1]), ""),
    ]
