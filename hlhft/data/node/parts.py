"""A node's files brought into the catalogue: an hour of the node's clock a part, which begins with the whole books.

Parts are named `node-HH`. One that covers less than what is there under that name, because a later snapshot came in
the middle of the hour, is named with the height of its first block besides; whoever reads the catalogue takes both.
Writing again what was written gives the same bytes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hlhft.data.catalogue.layout import BBO, BOOK, EVENT_KINDS, TRADE, PartKey, date_of
from hlhft.data.catalogue.manifest import MEASURED, Clock, Gap
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.files import Progress, ProgressMeter
from hlhft.data.node.joining import HOUR_NS, Joined
from hlhft.data.node.source import NodeSource
from hlhft.events import EventFlag, EventKind

COINS_MAX = 128  # each is three open files
NS_PER_MS = 1_000_000
_KINDS = (BOOK, BBO, TRADE)
_CLOCK = Clock(local=MEASURED, by="the node")
_SYNTHETIC = int(EventFlag.SYNTHETIC)
_CLEAR = int(EventKind.DEPTH_CLEAR)


@dataclass(slots=True, kw_only=True)
class NodeParts:
    """What a node's files became. `rows` are by name of event kind, `counts` what the reader found and left out."""

    name: str
    coins: list[str]
    parts_written: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def write_parts(source: NodeSource, root: Path, *, progress: Progress | None = None) -> NodeParts:
    """Writes every hour of `source` into the catalogue at `root`.

    Raises DataError for what cannot be read or written: of that hour nothing is kept, hours before it stay.
    """
    if len(source.markets) > COINS_MAX:
        raise DataError(
            source.folder.root, None, f"{len(source.markets)} coins are too many at once, choose at most {COINS_MAX}"
        )
    done = NodeParts(name=source.name, coins=[market.name for market in source.markets])
    hour: _Hour | None = None
    try:
        for joined in source.joined(ProgressMeter(progress, source.bytes_total), hourly=True):
            if len(joined.blocks):
                begins_ns = int(joined.blocks["block_ns"][0])
                number = int(joined.blocks["local_ns"][0]) // HOUR_NS
                if hour is None or hour.number != number:
                    if hour is not None:
                        hour.finish(begins_ns)
                    hour = _Hour(source, root, number, joined, done)
            if hour is not None:
                hour.take(joined)
        if hour is not None:
            hour.finish(None)
    finally:
        if hour is not None:
            hour.close()
        done.counts = {name: int(count) for name, count in sorted(source.counts.items())}
    return done


class _Hour:
    """The parts of one hour while they are written."""

    def __init__(self, source: NodeSource, root: Path, number: int, first: Joined, done: NodeParts) -> None:
        self.number = number
        self._done = done
        self._begins_ns = int(first.blocks["block_ns"][0])
        self._newest_ns = self._begins_ns
        self._gap_from_ns: int | None = None
        self._gaps: list[Gap] = []
        self._blocks = 0
        self._stack = contextlib.ExitStack()
        self._writers: dict[tuple[int, str], PartWriter] = {}
        catalogue = Catalogue(root)
        date = date_of(number * HOUR_NS)
        with contextlib.ExitStack() as opening:
            for place, market in enumerate(source.markets):
                name = f"node-{number % 24:02d}"
                there = catalogue.manifest(PartKey(BOOK, market.name, date, name))
                if there is not None and there.covers[0] < self._begins_ns:
                    name = f"{name}-{int(first.blocks['height'][0])}"
                for kind in _KINDS:
                    writer = PartWriter(
                        root,
                        PartKey(kind, market.name, date, name),
                        market,
                        source="node",
                        origin=f"node {source.folder.layout.name.lower()} {name}",
                        clock=_CLOCK,
                        snapshots=False,
                    )
                    self._writers[place, kind] = opening.enter_context(writer)
            self._stack = opening.pop_all()

    def take(self, joined: Joined) -> None:
        """Adds what was told within the hour."""
        if len(joined.blocks):
            if self._gap_from_ns is not None:
                self._gaps.append(Gap(self._gap_from_ns, int(joined.blocks["block_ns"][0]), "disconnected"))
                self._gap_from_ns = None
            self._newest_ns = int(joined.blocks["block_ns"][-1])
            self._blocks += len(joined.blocks)
        events = joined.events
        cleared = np.flatnonzero((events["kind"] == _CLEAR) & ((events["flags"] & _SYNTHETIC) != 0))
        if len(cleared):
            self._gap_from_ns = int(events["ts_exch_ns"][cleared[-1]])
        for (place, kind), writer in self._writers.items():
            kinds = [int(event) for event in EVENT_KINDS[kind]]
            rows = events[(events["market"] == place) & np.isin(events["kind"], kinds)]
            writer.write(rows)
            for number, count in zip(*np.unique(rows["kind"], return_counts=True), strict=True):
                self._done.rows[EventKind(number).name] += int(count)

    def finish(self, next_ns: int | None) -> None:
        """Completes the parts; `next_ns` is when the next hour's first block was, None where there is none."""
        end_ns = next_ns if next_ns is not None else self._newest_ns + NS_PER_MS
        if self._gap_from_ns is not None:
            self._gaps.append(Gap(self._gap_from_ns, max(end_ns, self._gap_from_ns), "disconnected"))
        for writer in self._writers.values():
            for gap in self._gaps:
                writer.gap(gap)
            writer.finish(covers=(self._begins_ns, end_ns), counts={"blocks": self._blocks})
            self._done.parts_written += 1
        self._done.gaps += len(self._gaps)
        self.close()

    def close(self) -> None:
        """Drops what was not finished."""
        self._stack.close()
