"""What one object of the archives gives: events of the catalogue, and what is known of them afterwards.

`decode_books`, `decode_fills` and `decode_contexts` open an object on disk and return a `Decoded`: its `batches` are
iterated once, with bounded memory, and give rows of each coin and kind in order of arrival, frames whole; then `counts`
and `gaps` say what was found. A torn last line is left out and counted; anything else that cannot be read is a
DataError naming the line, after which nothing of the object should be kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from hlhft.data.catalogue.layout import BOOK, CONTEXT, FILL, TRADE
from hlhft.data.catalogue.manifest import MEASURED, MODELLED, Clock, Gap
from hlhft.data.files import LineFile
from hlhft.data.merge import Events, Numbered, nothing
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.archive import ArchiveLines
from hlhft.data.readers.contexts import read_contexts
from hlhft.data.readers.fills import BY_BLOCK, DELAY_NS, FillsLines, same_frame
from hlhft.data.tally import Tally
from hlhft.events import EventFlag
from hlhft.units import Market

SILENCE_NS = 60_000_000_000  # longer ones are gaps: books come every 0.54 s, blocks every 75 ms
CONTEXTS_SILENCE_NS = 180_000_000_000  # a row a minute
SILENCE, TORN_LINE = "silence", "torn-line"
ARCHIVER, NODE = "the archive's recorder", "the archive's node"
_FRAME_END = np.uint16(EventFlag.FRAME_END)


class Batch(NamedTuple):
    """Rows of one coin and kind of part: events of market 0, or fills as a batch of FILLS_SCHEMA."""

    coin: str
    kind: str
    rows: Events | pa.RecordBatch


class Decoded(ABC):
    """One object. `batches` first, once; what else it tells is known when they have ended."""

    def __init__(self, path: Path, clock: Clock, *, snapshots: bool, silence_ns: int) -> None:
        self.path = path
        self.clock = clock  # what the local clock of its rows is
        self.snapshots = snapshots  # the book comes as pictures
        self._tally = Tally()
        self._heard = _Heard(silence_ns)

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """The rows, a megabyte of text at a time. Raises DataError."""

    @abstractmethod
    def counts(self, coin: str) -> dict[str, int]:
        """What was found and left out of a coin, by name, above zero; the same whichever other coins were asked for."""

    def gaps(self, stretch_ns: tuple[int, int]) -> tuple[Gap, ...]:
        """Where nothing was heard for longer than it can be silent, by the exchange's clock: between messages, from the
        beginning of a stretch [from, to) to the first one and from the last one to its end; and what a torn last line
        may have taken away, up to the end."""
        return self._heard.gaps(stretch_ns, torn=self._tally["torn_last_line"] > 0)

    @property
    def first_exch_ns(self) -> int:
        """Exchange time of the first message of any coin; 0 when there was none."""
        return self._heard.first_ns

    @property
    def last_exch_ns(self) -> int:
        """The newest exchange time of any message; 0 when there was none."""
        return self._heard.newest_ns


class _Heard:
    """Silences between exchange times that come as arrays."""

    def __init__(self, silence_ns: int) -> None:
        self.first_ns = self.newest_ns = 0
        self._silence_ns = silence_ns
        self._silences: list[tuple[int, int]] = []

    def take(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Takes the times of some messages in, int64[n], about in order; which are earlier than one before, bool[n]."""
        if len(times) == 0:
            return np.zeros(0, dtype=np.bool_)
        if not self.newest_ns:
            self.first_ns = self.newest_ns = int(times[0])
        running = np.maximum(np.maximum.accumulate(times), self.newest_ns)
        before = np.append(self.newest_ns, running[:-1])
        for at in np.flatnonzero(running - before > self._silence_ns).tolist():
            self._silences.append((int(before[at]), int(running[at])))
        self.newest_ns = int(running[-1])
        return np.asarray(times < running)

    def gaps(self, stretch_ns: tuple[int, int], *, torn: bool) -> tuple[Gap, ...]:
        """As `Decoded.gaps`."""
        begin, end = stretch_ns
        if not self.newest_ns:
            return (Gap(begin, end, SILENCE),)
        silences = [(begin, self.first_ns), *self._silences]
        found = [Gap(start, stop, SILENCE) for start, stop in silences if stop - start > self._silence_ns]
        if torn or end - self.newest_ns > self._silence_ns:
            # The newest message itself is known.
            start = min(self.newest_ns + 1, end)
            found.append(Gap(start, end, TORN_LINE if torn else SILENCE))
        return tuple(gap for gap in found if gap.from_ns < gap.to_ns)


class _Books(Decoded):
    """The books of one coin and hour."""

    def __init__(self, path: Path, market: Market) -> None:
        super().__init__(path, Clock(MEASURED, ARCHIVER), snapshots=True, silence_ns=SILENCE_NS)
        self._market = market

    def batches(self) -> Iterator[Batch]:
        """Pictures of the book."""
        for rows in in_arrival_order(self._rows(), name=str(self.path), tally=self._tally):
            yield Batch(self._market.name, BOOK, rows)

    def _rows(self) -> Iterator[Numbered]:
        lines = ArchiveLines(self.path, [self._market], self._tally)
        for first, text in LineFile(self.path).texts():
            rows = lines.read(first, text)
            late = self._heard.take(np.ascontiguousarray(rows.events["ts_exch_ns"]))
            if late.any():
                self._tally["snapshots_overtaken"] += len(np.unique(rows.places[late]))
            yield rows
        lines.close()

    def counts(self, coin: str) -> dict[str, int]:
        """As every object's."""
        return {name: count for name, count in self._tally.items() if count}


class _Fills(Decoded):
    """The fills of all coins of an hour, as trades of some, and as fills where they are asked for."""

    def __init__(self, path: Path, markets: Mapping[str, Market], layout: str, *, fills: bool, delay_ns: int) -> None:
        measured = layout == BY_BLOCK
        model = "default delay of the channel trades" if delay_ns == DELAY_NS else "given delay of the channel trades"
        clock = Clock(MEASURED, NODE) if measured else Clock(MODELLED, model, delay_ns)
        super().__init__(path, clock, snapshots=False, silence_ns=SILENCE_NS)
        self._coins = list(markets)
        self._fills = fills
        self._lines = FillsLines(path, list(markets.values()), layout, self._tally, delay_ns=delay_ns, fills=fills)
        self._given: dict[str, int] = dict.fromkeys(self._coins, 0)
        self._batches_of_fills: list[pa.RecordBatch] = []

    def batches(self) -> Iterator[Batch]:
        """Trades by block, and fills before the trades of the same lines."""
        open_frames = {coin: nothing() for coin in self._coins}
        for rows in in_arrival_order(self._rows(), name=str(self.path), tally=self._tally):
            yield from self._take_fills()
            for place in np.unique(rows["market"]).tolist():
                coin = self._coins[place]
                mine = rows[rows["market"] == place]
                mine["market"] = 0
                whole, open_frames[coin] = _frames(np.concatenate([open_frames[coin], mine]))
                if len(whole):
                    yield self._trades(coin, whole)
        yield from self._take_fills()
        for coin, rest in open_frames.items():
            if len(rest):
                yield self._trades(coin, rest)

    def counts(self, coin: str) -> dict[str, int]:
        """As every object's."""
        found = {
            "trades": self._given[coin],
            "fills_without_trade": self._lines.without_trade[coin],
            "torn_last_line": self._tally["torn_last_line"],
        }
        return {name: count for name, count in found.items() if count}

    def _trades(self, coin: str, rows: Events) -> Batch:
        self._given[coin] += len(rows)
        return Batch(coin, TRADE, rows)

    def _rows(self) -> Iterator[Numbered]:
        for first, lines in LineFile(self.path).blocks():
            rows = self._lines.read(first, lines)
            self._heard.take(np.array(self._lines.times_ns, dtype=np.int64))
            if self._fills:
                self._batches_of_fills.append(self._lines.take_fills())
            yield rows
        self._lines.close()

    def _take_fills(self) -> Iterator[Batch]:
        for batch in self._batches_of_fills:
            held = set(batch.column("coin").unique().to_pylist())
            for coin in self._coins:
                if coin in held:
                    yield Batch(coin, FILL, batch.filter(compute.equal(batch.column("coin"), coin)))
        self._batches_of_fills.clear()


def _frames(rows: Events) -> tuple[Events, Events]:
    """(whole frames, the rows of the last one, to which more may come) of the trades of a market, a block a frame."""
    if len(rows) == 0:
        return rows, rows
    ends = np.append(~same_frame(rows), True)
    rows["flags"] = np.where(ends, rows["flags"] | _FRAME_END, rows["flags"] & ~_FRAME_END)
    earlier = np.flatnonzero(ends[:-1])
    cut = int(earlier[-1]) + 1 if len(earlier) else 0
    return rows[:cut], rows[cut:]


class _Contexts(Decoded):
    """The asset contexts of all coins of a day."""

    def __init__(self, path: Path, markets: Mapping[str, Market], delay_ns: int) -> None:
        model = "default delay of the channel activeAssetCtx"
        if delay_ns != DELAY_NS:
            model = "given delay of the channel activeAssetCtx"
        super().__init__(path, Clock(MODELLED, model, delay_ns), snapshots=False, silence_ns=CONTEXTS_SILENCE_NS)
        self._markets, self._delay_ns = markets, delay_ns
        self._counts: dict[str, Tally] = {}

    def batches(self) -> Iterator[Batch]:
        """A coin after the other, a day of minutes each."""
        found = read_contexts(self.path, self._markets, delay_ns=self._delay_ns)
        self._counts, self._tally["torn_last_line"] = found.counts, int(found.is_torn)
        self._heard.take(found.times_ns)
        for coin, events in found.events.items():
            yield Batch(coin, CONTEXT, events)

    def counts(self, coin: str) -> dict[str, int]:
        """As every object's."""
        found = {**self._counts.get(coin, {}), "torn_last_line": self._tally["torn_last_line"]}
        return {name: count for name, count in found.items() if count}


def decode_books(path: Path, market: Market) -> Decoded:
    """An hour's books of one coin (`l2Book/COIN.lz4`). Raises DataError when the file cannot be opened as lines.

    Messages of another coin are counted and left out.
    """
    LineFile(path)
    return _Books(path, market)


def decode_fills(
    path: Path, markets: Mapping[str, Market], layout: str, *, fills: bool = False, delay_ns: int = DELAY_NS
) -> Decoded:
    """An hour's fills in a layout of `hlhft.data.readers.fills`, in one pass: the trades of the coins in `markets`,
    with `fills` both their sides too. `delay_ns` (>= 0) models the local clock where the layout has none.

    Raises DataError when the file cannot be opened as lines, ValueError for a layout that is none.
    """
    LineFile(path)
    return _Fills(path, markets, layout, fills=fills, delay_ns=delay_ns)


def decode_contexts(path: Path, markets: Mapping[str, Market], *, delay_ns: int = DELAY_NS) -> Decoded:
    """A day's asset contexts of the coins in `markets`; the local clock is modelled by `delay_ns` (>= 0).

    Raises DataError when the file cannot be opened as lines.
    """
    LineFile(path)
    return _Contexts(path, markets, delay_ns)
