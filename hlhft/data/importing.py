"""Recordings into the catalogue: kinds apart, an hour a part, named after the recording's content.

A part holds the rows of one coin and kind whose exchange time lies in one hour (asset contexts: one day). Its name
comes from the recording's fingerprint and the hour, so importing again finds it there, and an import that was killed
goes on where it stopped. What a reader marks about sessions is taken off: whoever reads the catalogue marks the whole.
"""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hlhft.data.catalogue.layout import (
    BBO,
    BOOK,
    CONTEXT,
    DAY_NS,
    EVENT_KINDS,
    TRADE,
    PartKey,
    date_of,
    manifest_path,
    part_path,
)
from hlhft.data.catalogue.manifest import Clock, Gap
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.files import Progress
from hlhft.data.merge import Events, by_row, whole_frames
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.events_npz import EventsSource
from hlhft.data.readers.hftbacktest_npz import HftbacktestSource
from hlhft.data.sessions import GAP_NS
from hlhft.data.sources import MergedSource, Source
from hlhft.events import EventFlag, EventKind

HOUR_NS = 3_600_000_000_000
# A part is complete when the coin's newest exchange time is so much beyond it; what comes later for it is left out and
# counted. Only the trades that a subscription repeats come as late.
LATE_NS_MAX = HOUR_NS
OPEN_PARTS_MAX = 512  # of all coins and kinds: each is an open file
_KINDS = (BOOK, BBO, TRADE, CONTEXT)
_PLACES = np.full(256, len(_KINDS), dtype=np.int64)  # where an event's kind stands in _KINDS
for _place, _kind in enumerate(_KINDS):
    _PLACES[[int(event) for event in EVENT_KINDS[_kind]]] = _place
_SPAN_NS = np.array([DAY_NS if kind == CONTEXT else HOUR_NS for kind in _KINDS], dtype=np.int64)
_RECORDED = Clock(local="measured", by="the recording")
# Recordings without a receiver.
_CLOCKS = {"funding-history-1": Clock(local="modelled", by="the venue's own stamp", delay_ns=0)}
_FRAME_END, _LOCAL = np.uint16(EventFlag.FRAME_END), np.uint16(EventFlag.LOCAL_VISIBLE)
_BACKFILL, _EXCHANGE = np.uint16(EventFlag.BACKFILL), np.uint16(EventFlag.EXCHANGE_VISIBLE)
_LOCK_NAME = "_import.lock"

NAME_DIGITS = 16  # of the fingerprint, in the parts' names
_NEVER = 2**63 - 1

Int64 = NDArray[np.int64]
_Place = tuple[int, int, int]  # market, place in _KINDS, hour or day


@dataclass(slots=True, kw_only=True)
class Imported:
    """What one recording became. `rows` are by name of event kind, `counts` what the reader found and left out."""

    name: str
    fingerprint: str
    coins: list[str]
    parts_written: int = 0
    parts_there: int = 0  # of an earlier import of the same content: not touched
    rows: dict[str, int] = field(default_factory=dict)
    gaps: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def import_source(source: Source, root: Path, *, progress: Progress | None = None) -> list[Imported]:
    """Brings every recording of `source` into the catalogue at `root`, one after the other.

    Raises DataError for one that cannot be read or written: what this call wrote of that one is taken away again; what
    was there before and the recordings before it stay. One import at a time writes to a catalogue.
    """
    parts = source.parts if isinstance(source, MergedSource) else (source,)
    with _alone(root):
        return [_Import(part, root).run(progress) for part in parts]


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Holds the catalogue's lock of imports, which the system frees with the process."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        stream = (root / _LOCK_NAME).open("a")
    except OSError as error:
        raise DataError(
            root, None, f"the catalogue cannot be written ({error.strerror}), give a folder that can be written"
        ) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(root, None, "another import writes to this catalogue, wait until it is done") from None
        yield


def unmarked(rows: Events) -> Events:
    """The rows without what `hlhft.data.sessions` marks: as they were received."""
    cleared = (rows["kind"] == int(EventKind.DEPTH_CLEAR)) & ((rows["flags"] & int(EventFlag.SYNTHETIC)) != 0)
    out: Events = rows[~cleared].copy()
    backfill = (out["flags"] & _BACKFILL) != 0
    out["flags"][backfill] = (out["flags"][backfill] | _EXCHANGE) & ~_BACKFILL
    return out


def frames_ended(rows: Events, frame: Int64) -> Events:
    """`rows`, some of a stream's, with FRAME_END on the last row that we see of each frame; `frame`, int64[n], rises.

    A row that only the venue sees ends nothing.
    """
    out = rows.copy()
    out["flags"] &= ~_FRAME_END
    seen = np.flatnonzero(out["flags"] & _LOCAL)
    last = np.append(frame[seen][1:] != frame[seen][:-1], True)[: len(seen)]
    out["flags"][seen[last]] |= _FRAME_END
    return out


@dataclass(slots=True)
class _Stretch:
    """What is known of one coin and kind so far, in exchange time. Parts still open need the gaps."""

    first_ns: int
    newest_ns: int
    gaps: list[Gap] = field(default_factory=list)

    def fall_silent(self, from_ns: int) -> None:
        """Nothing is known from `from_ns` on, until a row says otherwise."""
        if not self.gaps or self.gaps[-1].to_ns < _NEVER:
            self.gaps.append(Gap(from_ns, _NEVER, "silence"))

    def take(self, exch: Int64) -> None:
        """Rows of these times came: a gap ends before the first row in it."""
        self.first_ns, self.newest_ns = min(self.first_ns, int(exch.min())), max(self.newest_ns, int(exch.max()))
        for place, gap in enumerate(self.gaps):
            inside = exch[(exch >= gap.from_ns) & (exch < gap.to_ns)]
            if len(inside):
                self.gaps[place] = Gap(gap.from_ns, int(inside.min()), gap.reason)

    def gaps_within(self, begin_ns: int, end_ns: int) -> list[Gap]:
        """The gaps that are longer than GAP_NS, cut to [begin_ns, end_ns)."""
        found = (
            Gap(max(gap.from_ns, begin_ns), min(gap.to_ns, end_ns), gap.reason)
            for gap in self.gaps
            if gap.to_ns - gap.from_ns > GAP_NS
        )
        return [gap for gap in found if gap.from_ns < gap.to_ns]


@dataclass(slots=True)
class _Part:
    """One part being written; without a writer it was there before. Covers at most [begin_ns, end_ns)."""

    key: PartKey
    begin_ns: int
    end_ns: int
    writer: PartWriter | None


class _Import:
    """One recording on its way into the catalogue."""

    def __init__(self, source: Source, root: Path) -> None:
        self._source, self._root, self._catalogue = source, root, Catalogue(root)
        self._fingerprint = source.fingerprint()
        self._origin = f"{source.reader} {self._fingerprint}"
        self._pictures = source.snapshot_markets
        self._rows: Counter[int] = Counter()
        self._open: dict[_Place, _Part] = {}
        self._closed: set[_Place] = set()
        self._stretches: dict[tuple[int, int], _Stretch] = {}  # by market and kind
        self._newest_ns: dict[int, int] = {}  # exchange time by market
        self._newest_local_ns = 0
        self._written: list[PartKey] = []
        self._there = self._gaps = self._late = 0

    def run(self, progress: Progress | None) -> Imported:
        """Everything. Raises DataError, after taking away what was written."""
        try:
            for rows in whole_frames(self._arrays(progress)):
                self._take(unmarked(rows))
            for place in sorted(self._open):
                self._close(place)
        except DataError:
            self._take_back()
            raise
        finally:
            for part in self._open.values():
                if part.writer is not None:
                    part.writer.__exit__(None, None, None)
        counts = Counter(self._source.counts) + Counter(rows_too_late=self._late)
        return Imported(
            name=self._source.name,
            fingerprint=self._fingerprint,
            coins=[market.name for market in self._source.markets],
            parts_written=len(self._written),
            parts_there=self._there,
            rows={EventKind(kind).name.lower(): count for kind, count in sorted(self._rows.items())},
            gaps=self._gaps,
            counts=dict(sorted(counts.items())),
        )

    def _arrays(self, progress: Progress | None) -> Iterator[Events]:
        arrays = self._source.chunks(progress=progress)
        if isinstance(self._source, EventsSource | HftbacktestSource):
            # Where the venue's rows stand apart, they stand at their exchange time.
            return in_arrival_order(by_row(arrays), name=self._source.name, unit="row")
        return arrays

    def _take(self, rows: Events) -> None:
        """Whole frames, to their parts."""
        if len(rows) == 0:
            return
        kinds, counts = np.unique(rows["kind"], return_counts=True)
        self._rows.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
        local = rows["ts_local_ns"]
        silences = np.flatnonzero(np.diff(local, prepend=self._newest_local_ns or local[0]) > GAP_NS).tolist()
        self._newest_local_ns = int(local[-1])
        for begin, end in pairwise([0, *silences, len(rows)]):
            if begin in silences:
                self._fall_silent()
            if begin < end:
                self._take_unbroken(rows[begin:end])

    def _fall_silent(self) -> None:
        """Nothing at all came for longer than GAP_NS. Pictures have a cadence of their own, contexts none."""
        for (market, kind), stretch in self._stretches.items():
            if _KINDS[kind] != CONTEXT and not self._has_cadence(market, kind):
                stretch.fall_silent(self._newest_ns[market] + 1)

    def _has_cadence(self, market: int, kind: int) -> bool:
        return _KINDS[kind] == BOOK and self._pictures[market]

    def _take_unbroken(self, rows: Events) -> None:
        """Rows without a silence between them (at least one)."""
        kind = _PLACES[np.minimum(rows["kind"], 255)]
        if (kind == len(_KINDS)).any():
            name = EventKind(int(rows["kind"][np.argmax(kind)])).name
            raise DataError(self._source.name, None, f"an event of kind {name} has no place in a catalogue, drop it")
        market, span = rows["market"].astype(np.int64), rows["ts_exch_ns"] // _SPAN_NS[kind]
        for one in np.unique(market).tolist():
            newest = int(rows["ts_exch_ns"][market == one].max())
            self._newest_ns[one] = max(newest, self._newest_ns.get(one, 0))
        frame = np.append(0, np.cumsum((rows["flags"] & _FRAME_END) != 0)[:-1])
        spans, span_place = np.unique(span, return_inverse=True)
        _, group = np.unique((market * len(_KINDS) + kind) * len(spans) + span_place, return_inverse=True)
        for mine in np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1]):
            first = mine[0]
            place = (int(market[first]), int(kind[first]), int(span[first]))
            self._write(place, frames_ended(rows[mine], frame[mine]))
        for place in sorted(self._open):
            if self._newest_ns[place[0]] >= self._open[place].end_ns + LATE_NS_MAX:
                self._close(place)

    def _write(self, place: _Place, rows: Events) -> None:
        """Rows of one part (at least one); counted when it is complete already."""
        if place in self._closed:
            self._late += len(rows)
            return
        part = self._open.get(place) or self._begin(place)
        market, kind, _ = place
        exch = rows["ts_exch_ns"]
        stretch = self._stretches.setdefault((market, kind), _Stretch(int(exch[0]), int(exch[0])))
        if self._has_cadence(market, kind):
            running = np.maximum.accumulate(np.append(stretch.newest_ns, exch))
            for step in np.flatnonzero(np.diff(running) > GAP_NS).tolist():
                stretch.fall_silent(int(running[step]) + 1)
                stretch.take(exch[step:])
        stretch.take(exch)
        if part.writer is not None:
            part.writer.write(rows)

    def _begin(self, place: _Place) -> _Part:
        market, kind, span = place
        begin_ns, length_ns = span * int(_SPAN_NS[kind]), int(_SPAN_NS[kind])
        coin, name = self._source.markets[market], f"import-{self._fingerprint[:NAME_DIGITS]}"
        if length_ns == HOUR_NS:
            name += f"-{begin_ns % DAY_NS // HOUR_NS:02d}"
        key = PartKey(_KINDS[kind], coin.name, date_of(begin_ns), name)
        if len(self._open) == OPEN_PARTS_MAX:
            raise DataError(
                self._source.name,
                None,
                f"its coins and kinds make more than {OPEN_PARTS_MAX} parts at a time, import them one by one with "
                "--market",
            )
        there = self._catalogue.manifest(key)
        writer: PartWriter | None = None
        if there is None or there.origin != self._origin:
            clock = _CLOCKS.get(self._source.reader, _RECORDED)
            pictures = self._pictures[market]
            writer = PartWriter(
                self._root, key, coin, source="import", origin=self._origin, clock=clock, snapshots=pictures
            ).__enter__()
        self._open[place] = part = _Part(key, begin_ns, begin_ns + length_ns, writer)
        return part

    def _close(self, place: _Place) -> None:
        """Completes a part: it answers from the coin's first row of this kind on, until the coin's newest of any."""
        part = self._open.pop(place)
        market, kind, _ = place
        stretch = self._stretches[market, kind]
        begin_ns, end_ns = max(part.begin_ns, stretch.first_ns), min(part.end_ns, self._newest_ns[market] + 1)
        gaps = stretch.gaps_within(begin_ns, end_ns)
        self._closed.add(place)
        self._gaps += len(gaps)
        if part.writer is None:
            self._there += 1
        else:
            self._finish(part.writer, gaps, covers=(begin_ns, end_ns))
            self._written.append(part.key)
        needed_ns = min((other.begin_ns for other in self._open.values()), default=end_ns)
        stretch.gaps = [gap for gap in stretch.gaps if gap.to_ns > needed_ns]

    def _finish(self, writer: PartWriter, gaps: list[Gap], *, covers: tuple[int, int]) -> None:
        shift_ns = self._source.counts.get("clock_shift_ns", 0)
        try:
            for gap in gaps:
                writer.gap(gap)
            writer.finish(covers=covers, counts={"clock_shift_ns": shift_ns} if shift_ns else {})
        finally:
            writer.__exit__(None, None, None)

    def _take_back(self) -> None:
        """Of a recording that turned out to be unreadable, nothing stays."""
        for key in self._written:
            # The manifest first: a part without it is not there.
            manifest_path(self._root, key).unlink(missing_ok=True)
            part_path(self._root, key).unlink(missing_ok=True)
