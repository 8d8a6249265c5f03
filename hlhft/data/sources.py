"""Any known recording as events: `open_source` looks at the content and picks the reader.

A source yields events in order of arrival (ts_local_ns never decreases), both times set, flags EXCHANGE_VISIBLE and
LOCAL_VISIBLE (an imported array keeps its own), FRAME_END on the last event of each received message, `market` the
place in `Source.markets`. Memory is bounded whatever the file's size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
import numpy as np

from hlhft.data.addresses import Place, RemotePath
from hlhft.data.errors import DataError
from hlhft.data.files import Progress, ProgressMeter, fingerprint
from hlhft.data.markets import find
from hlhft.data.merge import Events, Numbered, by_arrival, copied, rechunk
from hlhft.data.tally import Tally
from hlhft.units import Market

if TYPE_CHECKING:
    from hlhft.data.catalogue.reading import Catalogue

ROWS_MAX = 65_536

Block = TypeVar("Block", list[bytes], bytes)


class Source(ABC):
    """One recording. Reading twice gives the same rows."""

    reader: ClassVar[str]  # name and version: part of the fingerprint
    snapshots_only: bool = False  # the book comes as snapshots
    unit: str = "line"  # what `numbered` counts: lines from 1, or rows from 0
    ordered: bool = False  # already sorted by both clocks, with split rows
    sorts: bool = True  # rows below a later one are put in order and counted; else only when mending
    mending: bool = False  # this reading mends

    def __init__(self, name: str, files: Sequence[Path], markets: Sequence[Market], options: Mapping[str, Any]) -> None:
        self.name = name
        self.files = tuple(files)
        self.markets = tuple(markets)
        self.options = dict(options)
        self.counts = Tally()  # what the last full reading found and left out, by name

    @property
    def snapshot_markets(self) -> tuple[bool, ...]:
        """By market: whether its book comes as snapshots only, so that `hlhft.data.snapshots` makes it incremental."""
        return (self.snapshots_only,) * len(self.markets)

    @property
    def without_trades(self) -> tuple[str, ...]:
        """The markets of which it is known before reading that no trade is here."""
        return ()

    @property
    def bytes_total(self) -> int:
        """Bytes that one reading takes from disk, over all passes."""
        return self.bytes_kept

    @property
    def bytes_kept(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.files)

    def fingerprint(self) -> str:
        """32 hexadecimal digits over contents, reader, options and market specifications: equal means equal events."""
        options = msgspec.json.encode(
            [sorted(self.options.items()), [repr(market) for market in self.markets]]
        ).decode()
        return fingerprint(self.files, self.reader, options)

    def chunks(
        self, rows_max: int = ROWS_MAX, *, progress: Progress | None = None, mending: bool = False
    ) -> Iterator[Events]:
        """Yields arrays of EVENT_DTYPE of at most `rows_max` rows in order of arrival. Raises DataError.

        A `mending` reading sorts what an ordinary one refuses for its order. One reading at a time.
        """
        self.counts.clear()
        self.mending = mending
        return rechunk(self._arrays(ProgressMeter(progress, self.bytes_total)), rows_max)

    @abstractmethod
    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Place, Numbered]]:
        """Yields events as they stand in each file, with their places: nothing sorted, marked or left out as repeated.

        Raises DataError for what cannot be read.
        """

    @abstractmethod
    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        """The events in arrays of any size."""

    def _up_to_fault(
        self,
        blocks: Iterable[tuple[int, Block]],
        read: Callable[[int, Block], Numbered],
        first_lines: Callable[[Block, int], Block] | None = None,
    ) -> Iterator[Numbered]:
        """`read(first line, lines)` of each block; where it raises for a line, first of the lines before that one.

        These may show an earlier fault: the earliest is raised.

        `read` starts afresh at each call; `first_lines` gives so many lines of a block, where it is no list.
        """
        for first, lines in blocks:
            counted = self.counts.counted()
            fault: DataError | None = None
            while True:
                try:
                    rows = read(first, lines)
                except DataError as error:
                    if not isinstance(error.line, int) or error.line <= first:
                        raise
                    fault, count = error, error.line - first
                    lines = lines[:count] if first_lines is None else first_lines(lines, count)
                    self.counts.forget_since(counted)
                    continue
                break
            yield rows
            if fault is not None:
                raise fault


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
        self.sorts = all(part.sorts for part in parts)
        self.unit = "line" if all(part.unit == "line" for part in parts) else "place"
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
    def without_trades(self) -> tuple[str, ...]:
        """The markets of which no part that has them has a trade."""
        lacking = [(market.name, market.name in part.without_trades) for part in self.parts for market in part.markets]
        return tuple(
            market.name for market in self.markets if all(lacks for name, lacks in lacking if name == market.name)
        )

    @property
    def bytes_total(self) -> int:
        """Bytes that one reading takes from disk, over all parts and passes."""
        return sum(part.bytes_total for part in self.parts)

    @property
    def bytes_kept(self) -> int:
        """Bytes of all files."""
        return sum(part.bytes_kept for part in self.parts)

    def fingerprint(self) -> str:
        """As every source's, over the fingerprints of the parts."""
        return fingerprint((), self.reader, ",".join(part.fingerprint() for part in self.parts))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        for part in self.parts:
            part.counts.clear()
        streams = [self._placed(part, places, meter) for part, places in zip(self.parts, self._places, strict=True)]
        try:
            yield from by_arrival(streams)
        finally:
            for part, places in zip(self.parts, self._places, strict=True):
                first = {name: _moved(event, places) for name, event in part.counts.first.items()}
                self.counts.absorb(part.counts, first)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Place, Numbered]]:
        """As every source's, part after part."""
        for part, places in zip(self.parts, self._places, strict=True):
            for path, (events, lines) in part.numbered(meter):
                yield path, Numbered(_moved(events, places), lines)

    def _placed(self, part: Source, places: np.ndarray, meter: ProgressMeter) -> Iterator[Events]:
        part.mending = self.mending
        for array in part._arrays(meter):
            yield _moved(array, places)


def _moved(events: Events, places: np.ndarray) -> Events:
    """The same events of a part in the markets of the whole."""
    moved = copied(events)
    moved["market"] = places[events["market"]]
    return moved


def open_source(
    paths: Path | str | Sequence[Path | str],
    *,
    market: Market | str | None = None,
    specification: Mapping[str, Market] | None = None,
    catalogue: Path | RemotePath | Catalogue | None = None,
    **options: Any,
) -> Source:
    """The recording at `paths` (a file, a folder of Hyperliquid CSV files, or several that become one source).

    Where there is no file of the name, one as `2026-04-01/BTC` is looked up in `catalogue` (default: the folder
    `catalog` here; see hlhft.data.catalogue.names). `market` says what the file holds where its content cannot; a name
    is looked up in `specification` (default: the shipped table). `options` go to the reader. Raises DataError for
    content that no reader knows.
    """
    from hlhft.data.catalogue.source import open_named
    from hlhft.data.readers.detect import open_one

    chosen = find(market, specification) if isinstance(market, str) else market
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise DataError("(no path)", None, "no recording was given, name at least one file")
    parts: list[Source] = []
    for path in given:
        named = None if Path(path).exists() else open_named(str(path), catalogue)
        if named is not None:
            parts.append(named)
            continue
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
