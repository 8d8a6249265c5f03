"""Blocks of all processes with everything that the list names, and what a scrape of them shows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hlhft.monitor.block import BlockWriter, block_path
from hlhft.monitor.collecting import WRITERS, Collector
from hlhft.monitor.host import Host, Places
from hlhft.monitor.metrics import METRICS, PROCESS_LABELS, Kind, Source

ACCOUNT = "0x" + "ab" * 20
Shown = dict[tuple[str, frozenset[tuple[str, str]]], float]


def written(folder: Path, source: Source, *, clock_ns: Callable[[], int] = time.time_ns) -> BlockWriter:
    """The block of this process in the place of another's, with one series of each of its metrics: the labels are
    `some`, a gauge or counter is 2.5, a histogram has counted 15 us."""
    labels = dict.fromkeys(PROCESS_LABELS[source], ACCOUNT)
    made = BlockWriter(block_path(folder, source), source=source, labels=labels, clock_ns=clock_ns)
    for metric in METRICS:
        if metric.source is not source:
            continue
        some = ["some"] * len(metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            made.histogram(metric.name, *some).note(15_000)
        else:
            made.values[made.slot(metric.name, *some)] = 2.5
    made.end()
    return made


def all_written(folder: Path) -> list[BlockWriter]:
    """The blocks of all processes."""
    return [written(folder, source) for source in WRITERS]


def collector_of(
    folder: Path,
    *,
    expected: tuple[str, ...] = ("engine", "watchdog"),
    now_ns: Callable[[], int] = time.time_ns,
    proc: Path = Path("/proc"),
) -> Collector:
    """What shows the blocks of a folder, with the disk of that folder for all of them."""
    return Collector(folder, expected=expected, host=Host(Places(proc=proc, folders={"state": folder})), now_ns=now_ns)


def parsed(page: str) -> Shown:
    """The series of a page in Prometheus's text by name and labels; none is there twice."""
    found: Shown = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name.removeprefix("hlhft_"), frozenset(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def series(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """The key of a series."""
    return name, frozenset(labels.items())


@pytest.fixture
def promtool() -> str:
    """Prometheus's own tool; skips loudly where it is not installed."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("NOT TESTED by Prometheus itself: promtool is not installed (Debian's package prometheus)")
    return found
