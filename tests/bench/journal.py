"""The journal beside the core: what an append costs the loop, what a segment costs the disk."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from hlhft.core.brain import Brain
from hlhft.core.state import CommandKind
from hlhft.events import empty
from hlhft.hyperliquid.cloids import Cloid
from hlhft.live.journal.brains import Copy, source_of
from hlhft.live.journal.records import EVENT_BYTES, HEADER_BYTES, Action
from hlhft.live.journal.retention import tidy
from hlhft.live.journal.segments import Form, Name, files
from hlhft.live.journal.writer import Journal, JournalSettings, digest
from hlhft.strategies import DEFAULT, load
from hlhft.units import Market
from tests.bench.figures import Figure, median
from tests.bench.frames import answers, book_frames, new_brain

SECTION = "the journal"
SIZES = (22, 42)  # events of a snapshot of ten and of twenty levels a side
BATCH = 20
PACE_NS = 1_000_000
NS_PER_S, NS_PER_MS = 1e9, 1_000_000
FIRST_VENUE_ID = 496_160_000_000
MARKETS = 50
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
US, MS_PER_S = 1e3, 1e3
BOOKS_A_DAY = 1000 * 86_400
GB = 1e9


@contextmanager
def written(folder: Path, names: list[Market]) -> Iterator[tuple[Journal, Brain]]:
    """A journal over a brain of these markets, with the collector as in production."""
    brain = new_brain(np.concatenate([market.record() for market in names]))
    settings = JournalSettings()
    source = source_of(
        brain,
        session=1,
        strategy=load(DEFAULT),
        markets=names,
        configuration="",
        checkpoint_steps=settings.checkpoint_steps,
    )
    journal = Journal(folder, settings, source, session=1, compress=False)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield journal, brain
    finally:
        gc.enable()
        gc.unfreeze()
        journal.close()


def coins(count: int) -> list[Market]:
    """So many markets."""
    return [Market.perpetual(f"COIN{place}", asset_id=place, size_decimals=2) for place in range(count)]


def appends(events: np.ndarray, count: int, *, rounds: int) -> tuple[float, float, float]:
    """Microseconds of one append: median within batches; median and p99 of single ones, a millisecond apart."""
    with tempfile.TemporaryDirectory() as folder, written(Path(folder), coins(1)) as (journal, _):
        batches, singles = [], []
        for _ in range(rounds):
            begin = time.perf_counter_ns()
            for _ in range(BATCH):
                journal.inputs(events, count)
            batches.append((time.perf_counter_ns() - begin) / BATCH)
        due = time.perf_counter_ns()
        for _ in range(rounds):
            due += PACE_NS
            # Asleep as a loop is between two frames: then the journal's thread works, and all caches are cold.
            time.sleep(max(due - time.perf_counter_ns(), 0) / NS_PER_S)
            begin = time.perf_counter_ns()
            journal.inputs(events, count)
            singles.append(time.perf_counter_ns() - begin)
    return median(batches) / US, median(singles) / US, float(np.percentile(singles, 99)) / US


def heads(rounds: int) -> tuple[float, float, float]:
    """With MARKETS markets: milliseconds of a rotation, microseconds to copy the state, milliseconds to hash it."""
    with tempfile.TemporaryDirectory() as folder, written(Path(folder), coins(MARKETS)) as (journal, brain):
        room = Copy(brain)
        rotations, copies, hashes = [], [], []
        for _ in range(rounds):
            while journal._spare is None:
                time.sleep(0.01)
            journal._spare.ahead(0, 4 << 20)  # as the journal's thread does when a segment is nearly full
            begin = time.perf_counter_ns()
            journal.rotate()
            rotations.append(time.perf_counter_ns() - begin)
            begin = time.perf_counter_ns()
            taken = room.take()
            copies.append(time.perf_counter_ns() - begin)
            begin = time.perf_counter_ns()
            digest(taken)
            hashes.append(time.perf_counter_ns() - begin)
    return median(rotations) / US / MS_PER_S, median(copies) / US, median(hashes) / US / MS_PER_S


def told(command: np.void, now_ns: int) -> bytes:
    """A frame of the user's stream about one command, as the venue writes it (venue reference appendix C)."""
    now_ms, number = now_ns // NS_PER_MS, int(command["order_id"])
    cloid = Cloid(owner=1, session=1, order_id=number).number()
    order = {
        "coin": "BTC",
        "side": "B" if command["side"] > 0 else "A",
        "limitPx": BTC.price_text(int(command["price_ticks"])),
        "sz": BTC.size_text(int(command["size_lots"])),
        "oid": FIRST_VENUE_ID + number,
        "timestamp": now_ms,
        "origSz": BTC.size_text(int(command["size_lots"])),
        "cloid": f"0x{cloid:032x}",
    }
    status = "open" if command["kind"] == CommandKind.PLACE else "canceled"
    update = {"order": order, "status": status, "statusTimestamp": now_ms}
    return msgspec.json.encode({"channel": "orderUpdates", "data": [update]})


def on_disk(recording: Path) -> tuple[float, float, float]:
    """GB a day at 1,000 books a second, as written and closed; bytes of the ledger for each command, with its action,
    its answer and the frame that told it, as the default strategy trades on these books."""
    _, events, starts, counts = book_frames(recording)
    commands_in_all = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with written(folder, [BTC]) as (journal, brain):
            for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
                frame = events[start : start + count].copy()
                journal.inputs(frame, count)
                said = brain.step(frame, count)
                commands = brain.commands[:said].copy()
                journal.commands(commands, said)
                if said:
                    ids = tuple(commands["order_id"].tolist())
                    journal.action(Action(journal.sequence, journal.sequence, 1, 0, 1, 0, ids))
                    for command in commands:
                        journal.raw(1, told(command, int(frame["ts_local_ns"][-1])), time.time_ns())
                    news = answers(commands, int(frame["ts_local_ns"][-1]))
                    journal.inputs(news, said)
                    brain.step(news, said)
                    commands_in_all += said
        tidy(folder, Name(2, 0), total_bytes_max=1 << 40, keep_days=1, now_ns=time.time_ns())
        packed = {file.form: file.bytes for file in files(folder)}
    plain = float((counts * EVENT_BYTES + HEADER_BYTES).sum())
    day = BOOKS_A_DAY / len(counts) / GB
    return plain * day, (packed[Form.WHOLE] - packed[Form.LEDGER]) * day, packed[Form.LEDGER] / commands_in_all


def journal(folder: Path, *, short: bool) -> list[Figure]:
    """Costs of the loop, then of the disk."""
    figures = []
    rounds = 300 if short else 5000
    rows = empty(64)
    for count in SIZES:
        batch, single, late = appends(rows, count, rounds=rounds)
        figures += [
            Figure(SECTION, f"append of {count} events", batch, "µs", maximum=2, gate=10),
            Figure(SECTION, f"append of {count} events, a millisecond after the one before", single, "µs"),
            Figure(SECTION, "the same, 99th percentile, the disk flushed every 20 ms", late, "µs"),
        ]
    rotation, copy, hashing = heads(3 if short else 20)
    figures += [
        Figure(SECTION, f"a new segment with the state of {MARKETS} markets, in a quiet moment", rotation, "ms"),
        Figure(SECTION, f"copying the state of {MARKETS} markets for a checkpoint, every 10,000 steps", copy, "µs"),
        Figure(SECTION, "hashing it, in the journal's thread", hashing, "ms"),
    ]
    plain, packed, ledger = on_disk(folder / "hyperliquid" / "l2_trades_bbo_20250904" / "orderbooks_BTC.csv.gz")
    figures += [
        Figure(SECTION, "a day of 1,000 books of twenty levels a second, as written", plain, "GB"),
        Figure(SECTION, "the same, closed", packed, "GB"),
        Figure(
            SECTION, "ledger of a command: with its action, its answer, and the frame that told it", ledger, "bytes"
        ),
    ]
    return figures
