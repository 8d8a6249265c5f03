"""What a watchdog shows is what its machine knows, and nothing of what it does not know."""

from __future__ import annotations

import math
from pathlib import Path

from hlhft.hyperliquid.watchdog_events import Start, Stop
from hlhft.hyperliquid.watchdog_table import State
from hlhft.live.watchdog_metrics import WatchdogMetrics
from hlhft.monitor.block import BlockWriter, block_path, read_block
from hlhft.monitor.metrics import METRICS, Source
from tests.hyperliquid.watchdog_bench import OTHER, SECOND, Bench

ACCOUNT = "0x" + "ab" * 20


class Watched:
    """A watchdog in virtual time, and what it shows."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(switch=True)
        self.path = block_path(folder, Source.WATCHDOG)
        block = BlockWriter(
            self.path, source=Source.WATCHDOG, labels={"account": ACCOUNT}, clock_ns=lambda: self.bench.now_ns
        )
        self.metrics = WatchdogMetrics(block)

    def shown(self, *, refused: int = 0, answered_ns: int = 0) -> dict[str, float]:
        """Its numbers by name, and of its states the one that it is in."""
        self.metrics.write(self.bench.machine, refused=refused, answered_ns=answered_ns, now_ns=self.bench.now_ns)
        found: dict[str, float] = {}
        states = []
        for metric, labels, value in read_block(self.path).series:
            assert isinstance(value, float)
            if metric.name == "hlhft_watchdog_state":
                states += [label for label in labels if value]
            else:
                found[metric.name.removeprefix("hlhft_watchdog_")] = value
        assert states == [str(self.bench.machine.state)]
        return found


def test_every_metric_of_a_watchdog_is_written(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.shown()
    written = {sample.metric.name for sample in read_block(watched.path).series}
    assert written == {metric.name for metric in METRICS if metric.source is Source.WATCHDOG}
    states = {sample.labels for sample in read_block(watched.path).series if sample.metric.name.endswith("_state")}
    assert states == {(str(state),) for state in State}


def test_what_was_never_heard_has_no_age(tmp_path: Path) -> None:
    shown = Watched(tmp_path).shown(refused=3)
    unknown = {name for name, value in shown.items() if math.isnan(value)}
    assert unknown == {"beat_age_seconds", "venue_age_seconds", "orders"}
    assert (shown["beats_total"], shown["beats_refused_total"], shown["schedule_seconds"]) == (0, 3, 0)


def test_an_engine_that_lives_and_one_that_is_lost(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    bench = watched.bench
    bench.feed(Start())
    bench.live(SECOND)
    shown = watched.shown(answered_ns=bench.now_ns - SECOND // 2)
    assert shown["venue_age_seconds"] == 0.5
    assert shown["beat_age_seconds"] < 0.5 and shown["beats_total"] > 3
    assert shown["sweeps_total"] == 0
    assert 0 < shown["schedule_seconds"] <= bench.settings.switch_ns / SECOND
    bench.venue.place(1)
    bench.venue.place(2)
    bench.venue.place(3, owner=OTHER)
    bench.run(bench.settings.silence_ns + SECOND)
    assert watched.shown()["sweeps_total"] == 1
    bench.run(30 * SECOND)
    assert bench.machine.state is State.EMPTY
    shown = watched.shown()
    assert (shown["sweeps_total"], shown["orders"], shown["schedule_seconds"]) == (1, 0, 0)
    assert shown["beat_age_seconds"] > 30


def test_own_orders_of_a_listing_are_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.bench.venue.place(1)
    watched.bench.venue.place(2)
    watched.bench.venue.place(3, owner=OTHER)
    watched.bench.feed(Start())
    watched.bench.run(SECOND // 2)
    assert watched.shown()["orders"] == 2


def test_its_end_is_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.bench.feed(Start())
    watched.bench.feed(Stop())
    watched.shown()
    watched.metrics.close()
    assert read_block(watched.path).is_closed
