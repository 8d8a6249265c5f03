"""All markets of a recording watched as a quoter at the touch would have lived in them: from blocks to results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from hlhft.data.catalogue.layout import BBO, BOOK, TRADE
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.files import Progress
from hlhft.data.merge import Events
from hlhft.data.sources import Source
from hlhft.report.scan_fills import Watched
from hlhft.report.scan_results import MarketResult, ScanSettings, results_of
from hlhft.report.scan_touches import blocks_of
from hlhft.units import Market


class MarketScan:
    """Watches some markets. Memory: the last minute of each, and a row of sums for each five minutes."""

    def __init__(self, markets: Sequence[Market], settings: ScanSettings) -> None:
        self.settings = settings
        self.watched = [Watched(market, settings.quote_micro) for market in markets]

    def take(self, blocks: Events) -> None:
        """Whole blocks of any markets, sorted by ts_exch_ns, none earlier than those before. Raises DataError."""
        if len(blocks) == 0:
            return
        order = np.argsort(blocks["market"], kind="stable")
        rows = blocks[order]
        places, starts = np.unique(rows["market"], return_index=True)
        for place, part in zip(places.tolist(), np.split(rows, starts[1:]), strict=True):
            self.watched[place].take(part)

    def finish(self) -> None:
        """Nothing more comes. Once only."""
        for watched in self.watched:
            watched.finish()


def scan_source(source: Source, settings: ScanSettings, *, progress: Progress | None = None) -> MarketScan:
    """Watches a whole recording. Raises DataError for what cannot be read."""
    scan = MarketScan(source.markets, settings)
    for blocks in blocks_of(source, progress=progress):
        scan.take(blocks)
    scan.finish()
    return scan


def scan_catalogue(
    catalogue: Catalogue,
    coins: Sequence[str],
    settings: ScanSettings,
    *,
    begin_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress | None = None,
) -> Iterator[MarketScan]:
    """Watches these coins of a catalogue, or all that it has books, best prices or trades of, one after the other.

    Within [begin_ns, end_ns) of exchange time; None is without bound. Yields each when it is finished. Raises DataError
    for what cannot be read, and for a named coin of which there is nothing.
    """
    kinds = (BOOK, BBO, TRADE)
    bytes_of: Counter[str] = Counter()
    for manifest in catalogue.manifests(kinds=kinds, coins=coins or None, begin_ns=begin_ns, end_ns=end_ns):
        if manifest.rows:
            bytes_of[manifest.coin] += manifest.bytes
    total, before = max(bytes_of.total(), 1), 0
    for coin in coins or sorted(bytes_of):
        source = catalogue.source([coin], begin_ns=begin_ns, end_ns=end_ns)
        yield scan_source(source, settings, progress=_within(progress, before, bytes_of[coin], total))
        before += bytes_of[coin]


def _within(progress: Progress | None, before: int, share: int, total: int) -> Progress | None:
    """Progress of one coin as that of all."""
    if progress is None:
        return None
    return lambda done, whole: progress(before + share * done // max(whole, 1), total)


def ranking(scans: Sequence[MarketScan], settings: ScanSettings) -> tuple[MarketResult, ...]:
    """The results of all markets of these scans that are finished, best first."""
    return results_of([watched for scan in scans for watched in scan.watched], settings)
