"""What Prometheus is shown: the blocks of all processes of this host, and what the host says of itself.

Each scrape reads each block once. A process is up while its block is young and not the last one, and a process of its
id lives that is older than the block's last set. The numbers of one that is not up are not shown: a gauge that stands
still says that all is as it was, and a rate of 0 that nothing happened. What is shown of it is that it is not up, since
when, and whether the settings want it.

A block that cannot be read, or says what no writer of this version says, is the block of a process that is not up: no
content of a file breaks a scrape. Nor does it show what Prometheus would refuse: a counter that is no number from 0 on,
or a gauge that is no number, is absent. Writers say NaN for what they do not know.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client.core import Metric as Family

from hlhft import __version__
from hlhft.monitor.block import REVISION, BlockError, HistogramReading, Reading, block_path, read_block
from hlhft.monitor.histogram import BOUNDS_NS, coarse
from hlhft.monitor.host import Host, ProcessState
from hlhft.monitor.metrics import BY_NAME, METRICS, PROCESS_LABELS, Kind, Metric, Source

BEAT_AGE_NS_MAX = 5_000_000_000  # of a process that is up; they beat every second, or oftener
YOUNGER_NS = 1_000_000_000  # a process that is younger than its block's last set by this is another of the same id
WRITERS = tuple(source for source in Source if source is not Source.EXPORTER)
NS_PER_S = 1e9
_BUCKETS = tuple(repr(bound_ns / NS_PER_S) for bound_ns in BOUNDS_NS)  # as prometheus-client writes them
_LOG = logging.getLogger(__name__)


class Collector:
    """A collector of prometheus-client. `folder` holds the blocks, `expected` are the processes that are wanted here.

    `now_ns` tells nanoseconds since 1970.
    """

    def __init__(self, folder: Path, *, expected: Sequence[str], host: Host, now_ns: Callable[[], int]) -> None:
        self._folder = folder
        self._expected = frozenset(expected)
        self._host = host
        self._now_ns = now_ns
        self._began_ns = now_ns()
        self._told: dict[Source, str] = {}  # what was last said of a block
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Family]:
        """Everything as it is now; scrapes that come together are made one after the other."""
        with self._lock:
            page = Page()
            now_ns = self._now_ns()
            self._own(page)
            for source in WRITERS:
                self._process(page, source, now_ns)
            for fact in self._host.facts():
                page.show(BY_NAME[fact.metric], fact.labels, fact.value)
        return iter(page.families())

    def _own(self, page: Page) -> None:
        process = str(Source.EXPORTER)
        page.exporters("build_info", process, __version__, os.environ.get(REVISION, "unknown"))
        page.exporters("process_up", process)
        page.exporters("process_start_time_seconds", process, value=self._began_ns / NS_PER_S)
        self._resources(page, process, self._host.process(os.getpid()))

    def _process(self, page: Page, source: Source, now_ns: int) -> None:
        """One process that writes a block, if it does or is to."""
        process, is_expected = str(source), source in self._expected
        reading = self._reading(source)
        if reading is None and not is_expected and not self._told.get(source):
            return
        page.exporters("process_expected", process, value=float(is_expected))
        state = None if reading is None else self._host.process(reading.pid)
        is_up = reading is not None and self._is_up(reading, state, now_ns)
        page.exporters("process_up", process, value=float(is_up))
        if reading is None:
            return
        page.exporters("build_info", process, reading.version, reading.revision)
        page.exporters("process_start_time_seconds", process, value=reading.started_ns / NS_PER_S)
        age_ns = max(now_ns - reading.beat_ns, 0)
        page.exporters("process_beat_age_seconds", process, value=age_ns / NS_PER_S)
        if is_up:
            self._resources(page, process, state)
            constant = {name: reading.labels[name] for name in PROCESS_LABELS[source]}
            for sample in reading.series:
                page.show(sample.metric, sample.labels, sample.value, constant)

    def _reading(self, source: Source) -> Reading | None:
        """The block of a process; None where it has none that can be used, which is told once."""
        path = block_path(self._folder, source)
        fault, reading = "", None
        try:
            # A pipe of that name would be waited for.
            reading = read_block(path) if path.is_file() else None
            fault = "" if reading is None else fault_of(reading, source)
        except BlockError as error:
            fault = str(error)
        if fault and fault != self._told.get(source):
            _LOG.warning("%s is not shown: %s", source, fault)
        self._told[source] = fault
        return None if fault else reading

    def _is_up(self, reading: Reading, state: ProcessState | None, now_ns: int) -> bool:
        age_ns = now_ns - reading.beat_ns
        if reading.is_closed or age_ns > BEAT_AGE_NS_MAX:
            return False
        if state is not None and state.age_ns < age_ns - YOUNGER_NS:
            return False
        # Where another user's processes are hidden it may live, though nothing is known of it.
        return state is not None or self._host.lives(reading.pid)

    def _resources(self, page: Page, process: str, state: ProcessState | None) -> None:
        if state is not None:
            page.exporters("process_cpu_seconds_total", process, value=state.cpu_seconds)
            page.exporters("process_resident_bytes", process, value=float(state.resident_bytes))


class Page:
    """What one scrape shows: families in the order of the list, and no series twice."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._seen: set[tuple[str, tuple[str, ...]]] = set()

    def families(self) -> list[Family]:
        """Those that have a series."""
        return [self._families[metric.name] for metric in METRICS if metric.name in self._families]

    def exporters(self, name: str, *labels: str, value: float = 1.0) -> None:
        """Shows a number of the exporter's own."""
        self.show(BY_NAME[f"hlhft_{name}"], labels, value)

    def show(
        self,
        metric: Metric,
        labels: tuple[str, ...],
        value: float | HistogramReading,
        constant: Mapping[str, str] | None = None,
    ) -> None:
        """Shows a series, unless it is there or its value is none that its kind can have."""
        key = (metric.name, labels)
        if key in self._seen or not _can_be_shown(metric, value):
            return
        self._seen.add(key)
        family = self._families.get(metric.name)
        if family is None:
            # Formats put the suffix of a counter back, each in its own way.
            name = metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
            family = self._families[metric.name] = Family(name, metric.help, str(metric.kind))
        named = {**(constant or {}), **dict(zip(metric.labels, labels, strict=True))}
        if isinstance(value, HistogramReading):
            _add_histogram(family, named, value)
        else:
            family.add_sample(metric.name, named, value)


def fault_of(reading: Reading, source: Source) -> str:
    """What is wrong with a block of that name, in a sentence; empty for nothing."""
    if reading.source is not source:
        return f"its block is one of {reading.source}"
    texts = [reading.version, reading.revision, *(reading.labels.get(name) for name in PROCESS_LABELS[source])]
    if not all(isinstance(text, str) and _is_unicode(text) for text in texts):
        return "its block does not say what it is of"
    if not 0 < reading.pid < 1 << 31:
        return f"its block names process {reading.pid}"
    if any(isinstance(value, HistogramReading) and min(value.counts) < 0 for _, _, value in reading.series):
        return "its block has counts below 0"
    return ""


def _is_unicode(text: str) -> bool:
    """Whether it can be written; JSON can name halves of characters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _can_be_shown(metric: Metric, value: float | HistogramReading) -> bool:
    if isinstance(value, HistogramReading):
        return True
    return 0.0 <= value < math.inf if metric.kind is Kind.COUNTER else not math.isnan(value)


def _add_histogram(family: Family, named: dict[str, str], value: HistogramReading) -> None:
    for bound, count in zip(_BUCKETS, coarse(value.counts, BOUNDS_NS), strict=True):
        family.add_sample(f"{family.name}_bucket", {**named, "le": bound}, count)
    family.add_sample(f"{family.name}_bucket", {**named, "le": "+Inf"}, value.count)
    family.add_sample(f"{family.name}_count", named, value.count)
    family.add_sample(f"{family.name}_sum", named, value.total_ns / NS_PER_S)
