"""The market data of a journal as a recording, so that the backtest reads what the engine saw, without the engine.

The venue's books held our own orders: what rested of them is taken out (`hlhft.live.journal.resting`), so that a
strategy that is tried there does not queue behind itself. Marked as every recording of the venue's own feed is: trades
that a second connection repeats are dropped, those from before the first book are backfill, and a silence of more than
a minute starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered, by_row, whole_frames
from hlhft.data.readers.events_npz import write_events
from hlhft.data.sessions import Sessions, TradeMemory
from hlhft.data.sources import Source
from hlhft.live.journal.reader import market_data, readings
from hlhft.live.journal.records import RecordKind, read_start
from hlhft.live.journal.resting import OthersOnly, Resting
from hlhft.live.journal.segments import Form, JournalError

ROWS_AT_ONCE = 16_384


class JournalSource(Source):
    """One session of a journal, by default the newest, or one file."""

    reader = "journal-3"
    snapshots_only = True
    unit = "row"

    def __init__(
        self, path: Path, session: int | None = None, *, clock_ns: int = 0, resting: Resting | None = None
    ) -> None:
        """`clock_ns` is added to the venue's times, which then are by our clock; `resting` what of the session's orders
        rested when, where that is known already.

        Raises JournalError when there is nothing, or the market data of a part was dropped; RecordError when a head
        is of another schema."""
        found = readings(path, session)
        if any(reading.form is Form.LEDGER for reading in found):
            raise JournalError(
                f"{path}: the market data of some segments was dropped, give the files of the others one by one"
            )
        heads = (record for reading in found for record in reading if record.kind is RecordKind.START)
        head = next(heads, None)
        if head is None:
            raise JournalError(f"{path}: there is not one whole record, so there is no market data")
        super().__init__(
            path.name, [reading.path for reading in found], read_start(head.payload).markets, {"clock_ns": clock_ns}
        )
        self._journal = path
        self.session = head.session
        self._clock_ns = clock_ns
        self._resting = resting

    @property
    def resting(self) -> Resting:
        """What of ours rested when; the journal is read for it once."""
        if self._resting is None:
            self._resting = Resting(self.markets)
            for reading in readings(self._journal, self.session):
                for record in reading:
                    self._resting.take(record)
            self._resting.settle()
        return self._resting

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The rows by number."""
        return ((self._journal, rows) for rows in by_row(self._rows()))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        memory = TradeMemory()
        fresh = (memory.without_repeats(whole, self.counts) for whole in whole_frames(self._rows()))
        return Sessions(len(self.markets), self.counts).marked(fresh)

    def _rows(self) -> Iterator[Events]:
        others = OthersOnly(self.resting)
        for rows in _gathered(market_data(self._journal, self.session)):
            kept = others.of(rows)
            if len(kept):
                kept["ts_exch_ns"] += self._clock_ns
                yield kept


def export(path: Path, target: Path, session: int | None = None) -> int:
    """Writes the market data of a session as `.npz`, which the backtest and `hlhft data` read; returns the events.

    Raises as JournalSource does, DataError when the file cannot be written.
    """
    source = JournalSource(path, session)
    return write_events(target, source.chunks(), source)


def _gathered(arrays: Iterable[Events]) -> Iterator[Events]:
    """The same rows in arrays of about ROWS_AT_ONCE."""
    held: list[Events] = []
    count = 0
    for array in arrays:
        held.append(array)
        count += len(array)
        if count >= ROWS_AT_ONCE:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)
