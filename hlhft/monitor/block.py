"""The block: a process's numbers in a mapped file of fixed size, written by it alone and read by whoever may.

Nobody waits for anybody. The writer's values are its own memory; at the end of each set they are copied into the one of
two halves of the file that is not shown, and then the number of the set is raised, which shows it. A reader copies the
half that is shown, and again where the number has changed meanwhile. So whatever becomes of the writer, and whenever,
what stands is the last whole set. Histograms lie in the file itself: each count is one number written at once, so they
are true at every moment, sets or not.

This relies on stores being seen in their order, which x86-64 promises, and other processors practically do over the
hundreds of instructions that lie between.

The file's room is taken when it is made, so that a full disk is met then, and never in a store to the mapping. It is
made under another name and given its own: a reader that has an older one open keeps that one, as it was left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hlhft import __version__
from hlhft.monitor.histogram import BUCKETS, Histogram, total
from hlhft.monitor.metrics import BY_NAME, METRICS, Kind, Metric, Source

SUFFIX = ".block"
LAYOUT = 1  # raise it with every change of what stands where
MAGIC = b"hlhftblk"
MODE = 0o640  # the exporter reads as one of the group
SERIES_MAX = 4096  # of gauges and counters; an engine with the most markets that the settings take has fewer
HISTOGRAMS_MAX = 16
LABEL_BYTES_MAX = 64  # of one label; the rest is cut
LABELS_BYTES_MAX = 248  # of one series
READS_MAX = 100  # of a half that changes meanwhile; a set takes the writer microseconds, and it makes few a second
REVISION = "HLHFT_REVISION"  # what the environment says of the sources that the build is made of

# The head: magic, layout, hash of the list of metrics, size of the description; then the number of the set.
_HEAD = struct.Struct("<8sQ32sQ")
_SEQUENCE = _HEAD.size
_DESCRIPTION, _DESCRIPTION_MAX = 64, 4096 - 64
assert _SEQUENCE + 8 <= _DESCRIPTION
# A series: its metric's place in the list, the bytes of its labels, its place among values or histograms.
_SERIES = struct.Struct(f"<HHI{LABELS_BYTES_MAX}s")
_TABLE = _DESCRIPTION + _DESCRIPTION_MAX
_ENTRIES_MAX = SERIES_MAX + HISTOGRAMS_MAX
# A half: time of the set, series in the table, whether it is the last, series that did not fit; then the values.
_HALF = struct.Struct("<4q")
_HALF_BYTES = _HALF.size + 8 * SERIES_MAX
_HALVES = _TABLE + _SERIES.size * _ENTRIES_MAX
_HISTOGRAMS = _HALVES + 2 * _HALF_BYTES
BLOCK_BYTES = _HISTOGRAMS + HISTOGRAMS_MAX * BUCKETS * 8
_BETWEEN = "\x1f"
_PLACES = {metric.name: place for place, metric in enumerate(METRICS)}


class BlockError(Exception):
    """A block that cannot be made or read; the message is one sentence."""


def list_hash() -> bytes:
    """What tells one list of metrics from another: 32 bytes of names, kinds, sources and labels in their order."""
    rows = [(metric.name, str(metric.kind), str(metric.source), metric.labels) for metric in METRICS]
    return hashlib.sha256(json.dumps(rows).encode()).digest()


def block_path(folder: Path, source: Source) -> Path:
    """Where a process has its block."""
    return folder / f"{source}{SUFFIX}"


class BlockWriter:
    """The numbers of one process. `clock_ns` tells nanoseconds since 1970; `labels` are those of all of its series.

    With `path` None the block lies in memory that nobody else reads: all is as usual, and nothing is shown. Raises
    BlockError where the file cannot be made; one that is there is replaced, whatever it is.
    """

    def __init__(
        self, path: Path | None, *, source: Source, labels: Mapping[str, str], clock_ns: Callable[[], int]
    ) -> None:
        self.path = path
        self.source = source
        self.refused = 0  # series that did not fit
        self._clock_ns = clock_ns
        # One more, which is never shown: where the values of a series that did not fit are written.
        self._own = memoryview(bytearray(8 * (SERIES_MAX + 1)))
        self.values = self._own.cast("d")  # values[slot] = x is an update; it is shown at the next end
        self._slots: dict[tuple[str, ...], int] = {}
        self._histograms: dict[tuple[str, ...], Histogram] = {}
        self._entries = self._sequence = 0
        description = {
            "source": str(source), "pid": os.getpid(), "version": __version__, "labels": dict(labels),
            "revision": _cut(os.environ.get(REVISION, "unknown")), "started_ns": clock_ns(),
        }  # fmt: skip
        text = json.dumps(description).encode()
        assert len(text) <= _DESCRIPTION_MAX, "few labels, and each of an address' size"
        self._map, self._id = (mmap.mmap(-1, BLOCK_BYTES), 0) if path is None else _made(path)
        _HEAD.pack_into(self._map, 0, MAGIC, LAYOUT, list_hash(), len(text))
        self._map[_DESCRIPTION : _DESCRIPTION + len(text)] = text
        self._shown = memoryview(self._map)[_SEQUENCE : _SEQUENCE + 8].cast("q")
        self._publish(is_last=False)
        if path is not None:
            _put(path)

    @property
    def fault(self) -> str:
        """What keeps its numbers from being seen, in a sentence; empty when nothing does."""
        if self.refused:
            return f"{self.refused} series of metrics did not fit into a block of {SERIES_MAX}; trade fewer markets"
        return ""

    @property
    def is_shown(self) -> bool:
        """Whether the file that others open is this block; false once it was removed or replaced."""
        if self.path is None:
            return False
        with contextlib.suppress(OSError):
            return self.path.stat().st_ino == self._id
        return False

    def slot(self, name: str, *labels: str) -> int:
        """The place in `values` of a gauge or counter with these labels, made where it is not there.

        Where nothing more fits it is one that is never shown, and counted in `refused`. Raises KeyError for a metric
        that is not in the list, ValueError for one of another process, a histogram, or not its labels.
        """
        key = (name, *labels)
        found = self._slots.get(key)
        if found is not None:
            return found
        metric = self._metric(name, labels)
        if metric.kind is Kind.HISTOGRAM:
            raise ValueError(f"{name} is a histogram, which has no slot")
        place = len(self._slots)
        if place >= SERIES_MAX:
            self.refused += 1
            return SERIES_MAX
        self._enter(metric, labels, place)
        self._slots[key] = place
        return place

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram with these labels, made where it is not there; what it counts is shown at once.

        Raises as `slot` does. Only one thread may count in it. Where nothing more fits, one that is never shown.
        """
        key = (name, *labels)
        found = self._histograms.get(key)
        if found is not None:
            return found
        metric = self._metric(name, labels)
        if metric.kind is not Kind.HISTOGRAM:
            raise ValueError(f"{name} is a {metric.kind}, and no histogram")
        place = len(self._histograms)
        if place >= HISTOGRAMS_MAX:
            self.refused += 1
            return Histogram()
        first = _HISTOGRAMS + place * BUCKETS * 8
        made = Histogram(memoryview(self._map)[first : first + BUCKETS * 8].cast("q"))
        self._enter(metric, labels, place)
        self._histograms[key] = made
        return made

    def end(self) -> None:
        """Shows all values as they are now, as one set with what was written since the last end, and the time of it.
        Costs some microseconds."""
        self._publish(is_last=False)

    def close(self) -> None:
        """Shows all values for the last time, and that the process ended in order. The file stays and says so."""
        self._publish(is_last=True)

    # Parts.

    def _metric(self, name: str, labels: tuple[str, ...]) -> Metric:
        metric = BY_NAME[name]
        if metric.source is not self.source:
            raise ValueError(f"{name} is written by {metric.source}, and not by {self.source}")
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name} has the labels {', '.join(metric.labels) or 'none'}; {len(labels)} were given")
        return metric

    def _enter(self, metric: Metric, labels: tuple[str, ...], place: int) -> None:
        """Writes a series into the table; it is shown with the next set."""
        text = _BETWEEN.join(map(_cut, labels)).encode()
        assert len(text) <= LABELS_BYTES_MAX, "a metric has few labels"
        _SERIES.pack_into(
            self._map, _TABLE + self._entries * _SERIES.size, _PLACES[metric.name], len(text), place, text
        )
        self._entries += 1

    def _publish(self, *, is_last: bool) -> None:
        self._sequence += 1
        half = _HALVES + (self._sequence & 1) * _HALF_BYTES
        _HALF.pack_into(self._map, half, self._clock_ns(), self._entries, is_last, self.refused)
        first, used = half + _HALF.size, 8 * len(self._slots)
        self._map[first : first + used] = self._own[:used]
        self._shown[0] = self._sequence


def _made(path: Path) -> tuple[mmap.mmap, int]:
    """A new file beside `path`, mapped, and its number in the file system. Raises BlockError."""
    writing = _writing(path)
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        writing.unlink(missing_ok=True)
        descriptor = os.open(writing, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE)
        try:
            os.fchmod(descriptor, MODE)  # whatever the process' mask takes away
            os.posix_fallocate(descriptor, 0, BLOCK_BYTES)
            return mmap.mmap(descriptor, BLOCK_BYTES), os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            writing.unlink(missing_ok=True)
        raise _refusal(path, error) from None


def _put(path: Path) -> None:
    """Gives the new file its name. It is not brought to the disk: after a loss of power it would say nothing that is
    true. Raises BlockError; what was there then stays."""
    try:
        _writing(path).replace(path)
    except OSError as error:
        raise _refusal(path, error) from None


def _writing(path: Path) -> Path:
    return path.with_name(f".{path.name}.writing")


def _refusal(path: Path, error: OSError) -> BlockError:
    return BlockError(
        f"{path}: the numbers of this process cannot be shown there ({error.strerror}); "
        "make room, or set metrics.folder to a folder that it may write"
    )


def _cut(label: str) -> str:
    """The label's first LABEL_BYTES_MAX bytes, without what keeps labels apart."""
    return label.replace(_BETWEEN, " ").encode(errors="replace")[:LABEL_BYTES_MAX].decode(errors="ignore")


# Reading.


@dataclass(frozen=True, slots=True)
class HistogramReading:
    """A histogram at one moment."""

    counts: array[int]  # int64[BUCKETS], by the fine buckets of hlhft.monitor.histogram
    count: int
    total_ns: int  # right to 1.6 %


class Sample(NamedTuple):
    """One series; `labels` in the order of the metric's."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | HistogramReading


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A block at one moment: the last whole set, and its histograms as they stood a little later."""

    source: Source
    pid: int
    version: str
    revision: str
    labels: Mapping[str, str]
    started_ns: int
    beat_ns: int  # when the set was shown
    is_closed: bool  # the process ended in order
    refused: int  # series that did not fit
    series: tuple[Sample, ...] = field(repr=False)


def read_block(path: Path) -> Reading:
    """A consistent copy of the block at `path`.

    Raises BlockError for a file that is not there or none, of another layout or list of metrics, damaged, or whose sets
    change faster than they can be copied.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BlockError(f"{path}: no block can be read ({error.strerror}); is its process running?") from None
    try:
        size = os.fstat(descriptor).st_size
        if size != BLOCK_BYTES:
            raise BlockError(f"{path}: no block of this version, which has {BLOCK_BYTES} bytes and not {size}")
        with mmap.mmap(descriptor, BLOCK_BYTES, access=mmap.ACCESS_READ) as mapped:
            return _read(path, mapped)
    except (OSError, ValueError) as error:
        raise BlockError(f"{path}: the block cannot be read ({error}); restart its process") from None
    finally:
        os.close(descriptor)


def _read(path: Path, mapped: mmap.mmap) -> Reading:
    magic, layout, known, length = _HEAD.unpack_from(mapped, 0)
    if magic != MAGIC:
        raise BlockError(f"{path}: no block; is metrics.folder a folder of its own?")
    if layout != LAYOUT:
        raise BlockError(f"{path}: a block of layout {layout}, and not {LAYOUT}; restart what is older")
    if known != list_hash():
        raise BlockError(f"{path}: its process has another list of metrics; run one version of hlhft on a host")
    if length > _DESCRIPTION_MAX:
        raise BlockError(f"{path}: a damaged block, its description has {length} bytes; restart its process")
    half = _shown(path, mapped)
    beat_ns, entries, is_last, refused = _HALF.unpack_from(half)
    if not 0 <= entries <= _ENTRIES_MAX:
        raise BlockError(f"{path}: a damaged block, with {entries} series; restart its process")
    values = array("d", half[_HALF.size :])
    try:
        told = json.loads(mapped[_DESCRIPTION : _DESCRIPTION + length])
        return Reading(
            source=Source(told["source"]), pid=int(told["pid"]), version=told["version"], revision=told["revision"],
            labels=dict(told["labels"]), started_ns=int(told["started_ns"]), beat_ns=beat_ns, is_closed=bool(is_last),
            refused=refused, series=tuple(_sample(mapped, values, place) for place in range(entries)),
        )  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as error:
        raise BlockError(f"{path}: a damaged block ({error}); restart its process") from None


def _shown(path: Path, mapped: mmap.mmap) -> bytes:
    """The half that is shown, as it was at one moment. Raises BlockError when it changes at every try."""
    for _ in range(READS_MAX):
        before = mapped[_SEQUENCE : _SEQUENCE + 8]
        first = _HALVES + (before[0] & 1) * _HALF_BYTES
        half = mapped[first : first + _HALF_BYTES]
        if mapped[_SEQUENCE : _SEQUENCE + 8] == before:
            return half
    raise BlockError(f"{path}: the block changes faster than it can be read; its process misuses it")


def _sample(mapped: mmap.mmap, values: array[float], entry: int) -> Sample:
    """The series of an entry of the table. Raises IndexError, ValueError for one that is none."""
    number, length, place, text = _SERIES.unpack_from(mapped, _TABLE + entry * _SERIES.size)
    metric = METRICS[number]
    labels = tuple(text[:length].decode().split(_BETWEEN)) if metric.labels else ()
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} with {len(labels)} labels")
    if metric.kind is not Kind.HISTOGRAM:
        return Sample(metric, labels, values[place])
    if place >= HISTOGRAMS_MAX:
        raise IndexError(f"{metric.name} beyond the histograms")
    first = _HISTOGRAMS + place * BUCKETS * 8
    counts = array("q", mapped[first : first + BUCKETS * 8])
    return Sample(metric, labels, HistogramReading(counts, sum(counts), total(counts)))
