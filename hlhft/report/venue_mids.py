"""The mids of a catalogue at the moments that an account's past asks for.

Only those moments are kept, so a month of best prices needs no more room than the fills do. A quote that is older than
QUOTE_AGE_NS then is none: the recording has a hole there, or does not reach so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hlhft.data.catalogue.layout import BBO, BOOK
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.sources import Source
from hlhft.events import EventKind, Side
from hlhft.report.attribution import HOUR_NS
from hlhft.report.markouts import HORIZONS_NS
from hlhft.report.scan_touches import blocks_of
from hlhft.report.venue_records import DECIMALS, History, Mids

QUOTE_AGE_NS = 60_000_000_000
_BBO = int(EventKind.BBO)


class RecordedMids(NamedTuple):
    """What a catalogue knew: mids by market, and at how many of how many moments."""

    mids: Mapping[str, Mids]
    known: int
    wanted: int

    @property
    def words(self) -> str:
        """What the mids are, in words."""
        return f"recorded best prices at {self.known} of {self.wanted} moments"


def recorded_mids(catalogue: Catalogue, history: History) -> RecordedMids:
    """Twice the mid at each fill, so long after it as markouts want, at each hour and reading. Raises DataError for a
    catalogue that cannot be read; of a market that it has nothing of there are none."""
    found: dict[str, Mids] = {}
    known = wanted = 0
    for coin, times in moments(history).items():
        wanted += len(times)
        begin_ns, end_ns = int(times[0]) - QUOTE_AGE_NS, int(times[-1]) + 1
        if not catalogue.manifests(kinds=(BOOK, BBO), coins=[coin], begin_ns=begin_ns, end_ns=end_ns):
            continue
        mids = mids_of(catalogue.source([coin], begin_ns=begin_ns, end_ns=end_ns), times)
        known += len(mids.ts_ns)
        found[coin] = mids
    return RecordedMids(found, known, wanted)


def with_mids(history: History, recorded: RecordedMids) -> History:
    """The history with recorded mids where there are, and those that it has elsewhere."""
    mids = dict(history.mids)
    for coin, own in recorded.mids.items():
        before = mids.get(coin, Mids())
        every = dict(zip(before.ts_ns, before.double, strict=True)) | dict(zip(own.ts_ns, own.double, strict=True))
        times = tuple(sorted(every))
        mids[coin] = Mids(times, tuple(every[time] for time in times))
    is_all = recorded.known == recorded.wanted
    words = recorded.words if is_all else f"{recorded.words}, else {history.mids_from}"
    return replace(history, mids=mids, mids_from=words, mids_every_ns=0 if is_all else history.mids_every_ns)


def moments(history: History) -> dict[str, np.ndarray]:
    """When mids are needed by market, int64 ascending: only of markets with fills."""
    ends = [one.ts_ns for one in history.readings]
    times: dict[str, set[int]] = {}
    for fill in history.fills:
        own = times.setdefault(fill.coin, set(ends))
        own.update((fill.ts_ns, *(fill.ts_ns + horizon_ns for horizon_ns in HORIZONS_NS)))
    for paid in history.fundings:
        if paid.coin in times:
            times[paid.coin].add(paid.ts_ns)
    for own in times.values():
        own.update(hour * HOUR_NS for hour in range(min(own) // HOUR_NS + 1, max(own) // HOUR_NS + 1))
    return {coin: np.array(sorted(own), np.int64) for coin, own in times.items()}


def mids_of(source: Source, times: np.ndarray) -> Mids:
    """The mids of a recording of one market at `times`, int64 ascending; those without a fresh quote are left out."""
    unit = 10 ** (DECIMALS - source.markets[0].price_decimals)
    kept_ns: list[int] = []
    double: list[int] = []
    place = 0
    last = (0, 0, 0)  # when, best bid, best ask
    for array in blocks_of(source):
        rows = array[array["kind"] == _BBO]
        if not len(rows):
            continue
        at_ns, bids, asks = _carried(rows, last)
        # Whatever came before the first row of this array is settled.
        until = int(np.searchsorted(times, at_ns[-1], side="left"))
        for time, row in zip(times[place:until], np.searchsorted(at_ns, times[place:until], side="right"), strict=True):
            known = last if row == 0 else (int(at_ns[row - 1]), int(bids[row - 1]), int(asks[row - 1]))
            _keep(int(time), known, unit, kept_ns, double)
        place = until
        last = (int(at_ns[-1]), int(bids[-1]), int(asks[-1]))
    for time in times[place:]:
        _keep(int(time), last, unit, kept_ns, double)
    return Mids(tuple(kept_ns), tuple(double))


def _keep(time: int, known: tuple[int, int, int], unit: int, kept_ns: list[int], double: list[int]) -> None:
    at_ns, bid, ask = known
    if bid > 0 and ask > 0 and time - at_ns <= QUOTE_AGE_NS:
        kept_ns.append(time)
        double.append((bid + ask) * unit)


def _carried(rows: np.ndarray, last: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, best bids and best asks after each row, int64, the other side as it was before."""
    buys = rows["side"] == int(Side.BUY)
    sides = []
    for mine, before in ((buys, last[1]), (~buys, last[2])):
        index = np.maximum.accumulate(np.where(mine, np.arange(len(rows)), -1))
        sides.append(np.where(index < 0, before, rows["price_ticks"][index]))
    return rows["ts_exch_ns"].astype(np.int64), sides[0], sides[1]
