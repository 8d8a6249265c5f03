"""How a whole engine starts, reacts and ends: processes as a user starts them, on an exchange with a market that moves.

One engine after the other lives in the house of `tests.endtoend.house`. Some are frozen for 200 ms and then stopped,
the others are killed while a watchdog looks on. What an engine did by itself is read from its journal, which has the
time of each action before it left; what is left at the venue is read with the official SDK.

- *Start*: from before the process is made to the first order written. Only after a session that ended well: after a
  kill an engine waits until nothing of the session before can arrive any more.
- *Breaker*: from the event that trips tick to trade, the first thing an engine does after it stood still, to the return
  of the call that wrote the cancel of everything.
- *Stop*: from SIGTERM to the end of the process with exit code 0, which says that it was proven that nothing is left.
- *Kill*: from SIGKILL to the watchdog's word for the same.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hlhft.core.risk import PAUSE_NS
from hlhft.events import EventKind
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.watchdog_events import ReportCode
from hlhft.live.journal.reader import readings
from hlhft.live.journal.records import Action, Record, RecordKind, read_action, read_inputs
from tests.bench.figures import Figure, median
from tests.endtoend.house import EXPIRY_S, House, eventually

SECTION = "an engine as a process: start, breaker, stop, kill"
STOPPED, KILLED = "stopped", "killed"
FREEZES = 3  # of each life that is stopped: after a freeze all that is measured is cold, and scatters
LIVES, LIVES_SHORT = (STOPPED,) * 3 + (KILLED,) * 3, (STOPPED, KILLED)
FREEZE_S = 0.2
QUOTES_S, EMPTY_S = 30.0, 30.0
NS_PER_MS, NS_PER_S = 1e6, 1e9
BREAKER_NS = 150_000_000  # the mission's, which is the default
CANCELS = (ActionKind.CANCEL, ActionKind.CANCEL_BY_CLOID)
_SENT = int(EventKind.COMMAND_SENT)


@dataclass
class Life:
    """One engine: when its process was made, its session, and how it ended."""

    began_ns: int
    is_after_clean: bool
    session: int = 0
    frozen_ns: list[int] = field(default_factory=list)


@dataclass
class Times:
    """What was measured."""

    start_s: list[float] = field(default_factory=list)
    breaker_ms: list[float] = field(default_factory=list)
    stop_s: list[float] = field(default_factory=list)
    kill_s: list[float] = field(default_factory=list)


def sent_rows(record: Record) -> np.ndarray:
    """Those rows of a record's events that say when something was received and when the last byte of the reaction left;
    without an order's id, of nothing that left: the loop was late."""
    rows = read_inputs(record.payload)
    chosen: np.ndarray = rows[rows["kind"] == _SENT]
    return chosen


def first_order_ns(records: list[Record]) -> int:
    """When the first order of a session was about to leave."""
    for record in records:
        if record.kind is RecordKind.ACTION and read_action(record.payload).kind == ActionKind.ORDER:
            return record.ts_ns
    raise AssertionError("the session sent no order")


def trip_to_cancel_ns(records: list[Record], since_ns: int) -> int | None:
    """From the first trip of tick to trade after `since_ns` to the cancel written. None where the pause was kept and no
    cancel came: everything was being cancelled as the freeze began. Fails when anything else left before it."""
    tripped_ns = 0
    action: Action | None = None
    for record in records:
        if tripped_ns and action is None and record.kind is RecordKind.ACTION:
            action = read_action(record.payload)
            if action.kind not in CANCELS:
                after_ns = record.ts_ns - tripped_ns
                told = f"kind {action.kind}, batch {action.batch_id}, {after_ns / NS_PER_MS:.1f} ms after it"
                assert after_ns >= PAUSE_NS, f"the first thing that left after the trip was no cancel: {told}"
                return None
            if not action.batch_id:
                action = None  # one of the gateway's own, which repeats what was under way before the freeze
        elif record.kind is RecordKind.INPUTS:
            for row in sent_rows(record):
                if action is not None and int(row["order_id"]) == action.batch_id:
                    return int(row["aux1"]) - tripped_ns
                is_late = int(row["order_id"]) == 0 and int(row["aux1"] - row["aux0"]) > BREAKER_NS
                if is_late and not tripped_ns and int(row["ts_local_ns"]) >= since_ns:
                    tripped_ns = int(row["ts_local_ns"])
    raise AssertionError("the session has no trip of tick to trade with a cancel behind it")


def live(house: House, *, is_after_clean: bool) -> Life:
    """An engine, from its start until both sides of every market are quoted."""
    life = Life(time.time_ns(), is_after_clean)
    house.start_engine()
    house.quotes_within(QUOTES_S)
    told = house.status()
    assert told is not None
    life.session = told.session
    return life


def freeze(house: House, life: Life) -> None:
    """The process stands still for longer than the breaker allows, cancels all, and quotes again after a pause."""
    assert house.engine is not None
    life.frozen_ns.append(time.time_ns())
    house.engine.signal(signal.SIGSTOP)
    time.sleep(FREEZE_S)
    house.engine.signal(signal.SIGCONT)
    eventually(lambda: not house.own_orders(), within_s=QUOTES_S)
    house.quotes_within(QUOTES_S)


def stop(house: House) -> float:
    """Seconds until it has ended, and says that nothing is left; the venue says so too."""
    assert house.engine is not None
    began_s = time.monotonic()
    code = house.engine.stop()
    took_s = time.monotonic() - began_s
    assert code == 0, house.engine.output
    assert not house.own_orders()
    return took_s


def kill(house: House) -> float:
    """Seconds until the watchdog has proven that nothing is left; the venue says so too."""
    assert house.engine is not None and house.watchdog is not None
    watchdog = house.watchdog
    before = watchdog.output.count(ReportCode.EMPTY)
    began_s = time.monotonic()
    house.engine.kill()
    eventually(lambda: watchdog.output.count(ReportCode.EMPTY) > before, within_s=EMPTY_S)
    took_s = time.monotonic() - began_s
    assert not house.own_orders()
    return took_s


def measured(folder: Path, endings: tuple[str, ...]) -> Times:
    """Lives one after the other, with these endings; the first start may compile and is not counted."""
    times, lives = Times(), list[Life]()
    with House(folder, exchange=("--no-limits",)) as house:
        house.start_watchdog()
        for place, ending in enumerate(endings):
            life = live(house, is_after_clean=place > 0 and endings[place - 1] == STOPPED)
            lives.append(life)
            if ending == STOPPED:
                for _ in range(FREEZES):
                    freeze(house, life)
                times.stop_s.append(stop(house))
            else:
                times.kill_s.append(kill(house))
        journal = house.state / "journal"
        for life in lives:
            records = [record for reading in readings(journal, life.session) for record in reading]
            if life.is_after_clean:
                times.start_s.append((first_order_ns(records) - life.began_ns) / NS_PER_S)
            trips_ns = [trip_to_cancel_ns(records, at_ns) for at_ns in life.frozen_ns]
            times.breaker_ms.extend(took_ns / NS_PER_MS for took_ns in trips_ns if took_ns is not None)
    return times


def lives(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; it needs no recordings."""
    del recordings
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        times = measured(Path(temporary), LIVES_SHORT if short else LIVES)
    return [
        Figure(SECTION, "start with warm caches to the first quote", median(times.start_s), "s",
               maximum=3.0, gate=12.0),
        Figure(SECTION, "breaker trip to the cancel of everything written", median(times.breaker_ms), "ms",
               maximum=1.0, gate=10.0),
        Figure(SECTION, "SIGTERM to verified empty", median(times.stop_s), "s", maximum=2.0, gate=10.0),
        Figure(SECTION, "kill -9 to verified empty", median(times.kill_s), "s", maximum=EXPIRY_S + 2.0, gate=15.0),
    ]  # fmt: skip
