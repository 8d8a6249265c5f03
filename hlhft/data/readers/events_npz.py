"""Our own container: an .npz with the array `events` (EVENT_DTYPE) and `markets.json`, which says what they are of.

The rows are what a source yields, so reading one back replays exactly as the recording it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered, by_row
from hlhft.data.npz import rows_of, text_of, write
from hlhft.data.readers.messages import UNDECODABLE
from hlhft.data.sources import Source
from hlhft.data.times import out_of_range
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.units import Market, UnitsError

MEMBER, SPECIFICATION_MEMBER = "events", "markets.json"
VERSION = 1
_KINDS = np.array([int(kind) for kind in EventKind], dtype=np.uint16)


class _Contents(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    markets: list[Market]
    snapshot_markets: list[bool]
    ordered: bool


class EventsSource(Source):
    """One container."""

    reader = "events-npz-1"
    unit = "row"

    def __init__(self, path: Path, contents: _Contents) -> None:
        super().__init__(path.name, [path], contents.markets, {})
        self._path = path
        self._snapshot_markets = tuple(contents.snapshot_markets)
        self.ordered = contents.ordered

    @property
    def snapshot_markets(self) -> tuple[bool, ...]:
        """As the source it was made from."""
        return self._snapshot_markets

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The rows by number."""
        return ((self._path, rows) for rows in by_row(self._arrays(meter)))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        first = 0
        for rows in rows_of(self._path, MEMBER, EVENT_DTYPE, at=lambda position: meter.at("rows", position)):
            wrong = (rows["market"] >= len(self.markets)) | ~np.isin(rows["kind"], _KINDS) | (np.abs(rows["side"]) > 1)
            wrong |= out_of_range(rows["ts_exch_ns"]) | out_of_range(rows["ts_local_ns"])
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                yield rows[:at]
                raise DataError(
                    self._path, f"row {first + at}", "its market, kind, side or time is unknown, write the file again"
                )
            first += len(rows)
            yield rows


def write_events(path: Path, arrays: Iterable[Events], source: Source) -> int:
    """Writes `arrays` (rows of `source`, or a repaired form of them) to a container; returns the rows written."""
    contents = {
        "version": VERSION,
        "markets": [asdict(market) for market in source.markets],
        "snapshot_markets": list(source.snapshot_markets),
        "ordered": source.ordered,
    }
    return write(path, MEMBER, arrays, EVENT_DTYPE, texts={SPECIFICATION_MEMBER: contents})


def open_events(path: Path, market: Market | None, options: Mapping[str, Any]) -> Source:
    """The source. Raises DataError when the specification inside is damaged or of another version."""
    if options:
        raise DataError(path, None, f"the reader of event containers has no option {next(iter(options))}, leave it out")
    if market is not None:
        raise DataError(path, None, "a container says itself which markets it holds, leave the market out")
    try:
        contents = msgspec.json.decode(text_of(path, SPECIFICATION_MEMBER), type=_Contents)
    except (*UNDECODABLE, UnitsError) as error:
        raise DataError(
            path, f"member {SPECIFICATION_MEMBER}", f"{error}, expected a market list, convert the data again"
        ) from None
    if contents.version != VERSION or len(contents.snapshot_markets) != len(contents.markets):
        raise DataError(
            path,
            f"member {SPECIFICATION_MEMBER}",
            f"version {contents.version} is not {VERSION}, convert the data again",
        )
    return EventsSource(path, contents)
