"""Journals for tests: records that need no core, and the source of heads that a writer asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hlhft.events import EVENT_DTYPE
from hlhft.live.journal.records import SCHEMA, RecordKind, Start, pack, pack_start
from hlhft.live.journal.writer import Journal, JournalSettings, Source
from hlhft.units import Market

NOW = 1_790_000_000_000_000_000
COIN = Market.perpetual("COIN", asset_id=0, size_decimals=2)
SMALL = JournalSettings(segment_bytes=4 << 20, sync_ms=1, checkpoint_steps=4, total_bytes_max=64 << 20)


def start(*, session: int = 7, number: int = 0, step: int = 0, snapshot: bytes = b"state") -> Start:
    """A head that no brain fits."""
    return Start(
        schema=SCHEMA,
        session=session,
        number=number,
        step=step,
        checkpoint_steps=4,
        code_key="key",
        versions={"numpy": "2"},
        cpu="a processor",
        configuration="[strategy]\n",
        strategy="glft",
        strategy_source=b"",
        markets=[COIN],
        limits=b"limits",
        ladders=0,
        width=1,
        snapshot=snapshot,
    )


def events(count: int, first: int = 0) -> np.ndarray:
    """EVENT_DTYPE[count] of trades, numbered from `first` by their trade id."""
    made = np.zeros(count, EVENT_DTYPE)
    made["kind"], made["order_id"], made["ts_local_ns"] = 6, np.arange(first, first + count), NOW
    return made


def segment(*records: tuple[RecordKind, bytes], session: int = 7, sequence: int = 1) -> bytes:
    """The bytes of a segment that begins with a head and holds these records."""
    heads = [(RecordKind.START, pack_start(start(session=session)))]
    return b"".join(
        pack(kind, payload, sequence=sequence + place, ts_ns=NOW + place, session=session)
        for place, (kind, payload) in enumerate([*heads, *records])
    )


def source(state: Callable[[], bytes] = lambda: b"state", *, session: int = 7) -> Source:
    """Heads of no brain."""
    return Source(describe=lambda number, step: start(session=session, number=number, step=step), state=state)


def journal(folder: Path, settings: JournalSettings = SMALL, *, session: int = 7) -> Journal:
    """One whose closed segments stay as they are."""
    return Journal(folder, settings, source(session=session), session=session, compress=False, clock_ns=lambda: NOW)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread does."""
    waiting = threading.Event()
    for _ in range(5000):
        if condition():
            return
        waiting.wait(0.001)
    raise AssertionError("it did not happen within five seconds")
