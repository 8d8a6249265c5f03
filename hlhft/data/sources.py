"""Any known recording as events: `open_source` looks at the content and picks the reader.

A source yields events in order of arrival (ts_local_ns never decreases), both times set, flags EXCHANGE_VISIBLE and
LOCAL_VISIBLE (an imported array keeps its own), FRAME_END on the last event of each received message, `market` the
place in `Source.markets`. Memory is bounded whatever the file's size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import Progress, ProgressMeter, fingerprint
from hlhft.data.markets import find
from hlhft.data.merge import Events, by_arrival, rechunk
from hlhft.units import Market

ROWS_MAX = 65_536


class Source(ABC):
    """One recording. Reading twice gives the same rows."""

    reader: ClassVar[str]  # name and version: part of the fingerprint
    snapshots_only: bool = False  # the book comes as snapshots
    ordered: bool = False  # already sorted by both clocks, with split rows

    def __init__(self, name: str, files: Sequence[Path], markets: Sequence[Market], options: Mapping[str, Any]) -> None:
        self.name = name
        self.files = tuple(files)
        self.markets = tuple(markets)
        self.options = dict(options)
        self.counts: Counter[str] = Counter()  # what the last full reading found and left out, by name

    @property
    def snapshot_markets(self) -> tuple[bool, ...]:
        """By market: whether its book comes as snapshots only, so that `hlhft.data.snapshots` makes it incremental."""
        return (self.snapshots_only,) * len(self.markets)

    @property
    def bytes_total(self) -> int:
        """Bytes that one reading takes from disk, over all passes."""
        return sum(path.stat().st_size for path in self.files)

    def fingerprint(self) -> str:
        """32 hexadecimal digits over contents, reader, options and market specifications: equal means equal events."""
        options = msgspec.json.encode(
            [sorted(self.options.items()), [repr(market) for market in self.markets]]
        ).decode()
        return fingerprint(self.files, self.reader, options)

    def chunks(self, rows_max: int = ROWS_MAX, *, progress: Progress | None = None) -> Iterator[Events]:
        """Yields arrays of EVENT_DTYPE of at most `rows_max` rows in order of arrival. Raises DataError."""
        self.counts.clear()
        return rechunk(self._arrays(ProgressMeter(progress, self.bytes_total)), rows_max)

    @abstractmethod
    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        """The events in arrays of any size."""


class MergedSource(Source):
    """Several recordings as one, in order of arrival; markets of the same name are one market."""

    reader = "merged-1"

    def __init__(self, parts: Sequence[Source]) -> None:
        markets: dict[str, Market] = {}
        for part in parts:
            for market in part.markets:
                if markets.setdefault(market.name, market) != market:
                    raise DataError(
                        part.name,
                        None,
                        f"market {market.name} is specified in two ways, give one specification for all files",
                    )
        files = [path for part in parts for path in part.files]
        super().__init__("+".join(part.name for part in parts), files, list(markets.values()), {})
        self.parts = tuple(parts)
        self._places = [
            np.array([list(markets).index(market.name) for market in part.markets], dtype=np.uint16) for part in parts
        ]

    @property
    def snapshot_markets(self) -> tuple[bool, ...]:
        """By market: whether any part brings it as snapshots."""
        found = {market.name: False for market in self.markets}
        for part in self.parts:
            for market, snapshots in zip(part.markets, part.snapshot_markets, strict=True):
                found[market.name] |= snapshots
        return tuple(found.values())

    @property
    def bytes_total(self) -> int:
        """Bytes that one reading takes from disk, over all parts and passes."""
        return sum(part.bytes_total for part in self.parts)

    def fingerprint(self) -> str:
        """As every source's, over the fingerprints of the parts."""
        return fingerprint((), self.reader, ",".join(part.fingerprint() for part in self.parts))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        for part in self.parts:
            part.counts.clear()
        streams = [self._placed(part, places, meter) for part, places in zip(self.parts, self._places, strict=True)]
        yield from by_arrival(streams)
        for part in self.parts:
            self.counts.update(part.counts)

    @staticmethod
    def _placed(part: Source, places: np.ndarray, meter: ProgressMeter) -> Iterator[Events]:
        for array in part._arrays(meter):
            moved = array.copy()
            moved["market"] = places[array["market"]]
            yield moved


def open_source(
    paths: Path | str | Sequence[Path | str],
    *,
    market: Market | str | None = None,
    specification: Mapping[str, Market] | None = None,
    **options: Any,
) -> Source:
    """The recording at `paths` (a file, a folder of Hyperliquid CSV files, or several that become one source).

    `market` says what the file holds where its content cannot; a name is looked up in `specification` (default: the
    shipped table). `options` go to the reader. Raises DataError for content that no reader knows.
    """
    from hlhft.data.readers.detect import open_one

    chosen = find(market, specification) if isinstance(market, str) else market
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise DataError("(no path)", None, "no recording was given, name at least one file")
    parts: list[Source] = []
    for path in given:
        for part in open_one(Path(path), chosen, specification, options):
            # Two files of one CSV set name the same recording.
            if all(set(part.files) != set(other.files) for other in parts):
                parts.append(part)
    return parts[0] if len(parts) == 1 else MergedSource(parts)


def market_for(path: Path, name: str, specification: Mapping[str, Market] | None) -> Market:
    """The market of that name. Raises DataError that names the nearest known one."""
    try:
        return find(name, specification)
    except LookupError as error:
        raise DataError(path, None, str(error.args[0])) from None
