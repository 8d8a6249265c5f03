"""What a catalogue holds of some coins and a stretch of time as one recording, wherever it came from."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from hlhft.data.addresses import Place, RemotePath, place_at
from hlhft.data.catalogue.layout import BOOK, EVENT_KINDS, FILL, TRADE, date_of, day_ns
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.merging import Range, clipped, owned, touches
from hlhft.data.catalogue.names import wanted
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered, by_arrival, whole_frames
from hlhft.data.sessions import Sessions, TradeMemory
from hlhft.data.sources import Source
from hlhft.units import Market

DEFAULT_FOLDER = "catalog"
_KINDS = tuple(kind for kind in EVENT_KINDS if kind != FILL)  # at equal times in this order
_SHOWN_MAX = 8  # names in an error


class _Piece(NamedTuple):
    """A part and the stretches of exchange time for which it is the one to ask."""

    manifest: Manifest
    ranges: tuple[Range, ...]


class CatalogueSource(Source):
    """Coins of a catalogue within [begin_ns, end_ns) of exchange time; None is without bound.

    Reads only parts and row groups that hold rows of it. Overlapping sources are merged (`merging`), trades known by
    exchange time and id are given once, and markets whose book comes as pictures get the marks of
    `hlhft.data.sessions`. Raises DataError when a coin has no book, best prices or trades there.
    """

    reader = "catalogue-1"
    unit = "row"

    def __init__(
        self,
        catalogue: Catalogue,
        coins: Sequence[str],
        *,
        begin_ns: int | None = None,
        end_ns: int | None = None,
        name: str | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.begin_ns, self.end_ns = begin_ns, end_ns
        names = [_coin_named(catalogue, coin) for coin in coins]
        found = [
            {kind: catalogue.manifests(kinds=[kind], coins=[coin], begin_ns=begin_ns, end_ns=end_ns) for kind in _KINDS}
            for coin in names
        ]
        # Also those of which no row is given: they say whose the rows of others are.
        self.described = tuple(one for by_kind in found for parts in by_kind.values() for one in parts)
        self._pieces = [
            {kind: _pieces(parts, begin_ns, end_ns) for kind, parts in by_kind.items()} for by_kind in found
        ]
        self.coins = tuple(names)
        for coin, pieces in zip(names, self._pieces, strict=True):
            if not any(pieces[kind] for kind in _KINDS if kind != "context"):
                raise _nothing_of(catalogue, coin, begin_ns, end_ns)
        markets = [
            _market_of(catalogue, coin, pieces.values()) for coin, pieces in zip(names, self._pieces, strict=True)
        ]
        paths = [catalogue.path_of(piece.manifest) for piece in self._all_pieces()]
        files = [path for path in paths if isinstance(path, Path)]
        super().__init__(name or _named(names, begin_ns, end_ns), files, markets, {})
        self._snapshot_markets = tuple(_comes_as_pictures(pieces) for pieces in self._pieces)

    @property
    def snapshot_markets(self) -> tuple[bool, ...]:
        """By market: whether any part brings its book as pictures."""
        return self._snapshot_markets

    @property
    def without_trades(self) -> tuple[str, ...]:
        """The coins of which there is no trade here."""
        return tuple(
            market.name for market, pieces in zip(self.markets, self._pieces, strict=True) if not pieces[TRADE]
        )

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """The parts that it is read from."""
        return tuple(piece.manifest for piece in self._all_pieces())

    @property
    def bytes_total(self) -> int:
        """Bytes of all parts that are read from."""
        return self.bytes_kept

    @property
    def bytes_kept(self) -> int:
        """The same, as their manifests say."""
        return sum(piece.manifest.bytes for piece in self._all_pieces())

    def fingerprint(self) -> str:
        """As every source's, over the parts' content hashes and what is taken of each; no part is read."""
        parts = [(*piece.manifest.key, piece.manifest.content_hash, piece.ranges) for piece in self._all_pieces()]
        text = msgspec.json.encode([self.reader, parts, [repr(market) for market in self.markets]])
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Place, Numbered]]:
        """The rows of each part that are given, by their number there."""
        for index, pieces in enumerate(self._pieces):
            for piece in (piece for kind in _KINDS for piece in pieces[kind]):
                path = self.catalogue.path_of(piece.manifest)
                for rows in self.catalogue.numbered(piece.manifest, piece.ranges):
                    rows.events["market"] = index
                    yield path, rows

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        streams, starts = [], []
        for index, by_kind in enumerate(self._pieces):
            for kind, pieces in by_kind.items():
                if pieces:
                    streams.append(self._kind_rows(index, kind, pieces, meter))
                    starts.append(min(piece.manifest.first_local_ns for piece in pieces))
        merged = by_arrival(streams, starts)
        if not any(self._snapshot_markets):
            return merged
        return Sessions(len(self.markets), self.counts, of=self._snapshot_markets).marked(merged)

    def _kind_rows(self, market: int, kind: str, pieces: Sequence[_Piece], meter: ProgressMeter) -> Iterator[Events]:
        """One kind of one coin in order of arrival, each trade once."""
        rows = by_arrival(
            [self._piece_rows(market, piece, meter) for piece in pieces],
            [piece.manifest.first_local_ns for piece in pieces],
        )
        if kind != TRADE:
            return rows
        memory = TradeMemory()
        return (fresh for whole in whole_frames(rows) if len(fresh := memory.without_repeats(whole, self.counts)))

    def _piece_rows(self, market: int, piece: _Piece, meter: ProgressMeter) -> Iterator[Events]:
        path = str(self.catalogue.path_of(piece.manifest))
        for rows, done in self.catalogue.rows(piece.manifest, piece.ranges, market=market):
            yield rows
            meter.at(path, done)
        meter.at(path, piece.manifest.bytes)

    def _all_pieces(self) -> Iterator[_Piece]:
        return (piece for by_kind in self._pieces for pieces in by_kind.values() for piece in pieces)


def open_named(name: str, catalogue: Path | RemotePath | Catalogue | None) -> CatalogueSource | None:
    """The source that a name as `2026-04-01/BTC` stands for (hlhft.data.catalogue.names), None when it is none.

    `catalogue` may be where it is; None: the default folder. Raises DataError when the folder, the coin or the date is
    not there.
    """
    try:
        asked = wanted(name)
    except ValueError as error:
        raise DataError(name, None, str(error)) from None
    if asked is None:
        return None
    if not isinstance(catalogue, Catalogue):
        root = place_at(DEFAULT_FOLDER) if catalogue is None else catalogue
        if not root.is_dir():
            raise DataError(root, None, f"there is no catalogue for {name}, name its folder with --catalogue")
        catalogue = Catalogue(root)
    return CatalogueSource(catalogue, asked.coins, begin_ns=asked.begin_ns, end_ns=asked.end_ns, name=name)


def _pieces(found: Sequence[Manifest], begin_ns: int | None, end_ns: int | None) -> list[_Piece]:
    """The parts, of one coin and kind, of which rows are given, by their first arrival."""
    pieces = []
    for manifest, ranges in zip(found, owned(found), strict=True):
        cut = clipped(ranges, begin_ns, end_ns)
        if manifest.rows and touches(cut, manifest.first_exch_ns, manifest.last_exch_ns):
            pieces.append(_Piece(manifest, cut))
    return sorted(pieces, key=lambda piece: (piece.manifest.first_local_ns, piece.manifest.key))


def _comes_as_pictures(pieces: dict[str, list[_Piece]]) -> bool:
    """Whether a coin's book does; without a book, whether its source's would."""
    telling = pieces[BOOK] or [piece for kind in _KINDS for piece in pieces[kind]]
    return any(piece.manifest.snapshots for piece in telling)


def _market_of(catalogue: Catalogue, coin: str, by_kind: Iterable[list[_Piece]]) -> Market:
    """The coin's market as its newest part says. Raises DataError when parts differ in what their numbers mean."""
    manifests = [piece.manifest for pieces in by_kind for piece in pieces]
    newest = max(manifests, key=lambda manifest: (manifest.date, manifest.last_exch_ns, manifest.key))
    for manifest in manifests:
        # What may change over time without changing the numbers: the asset's place, leverage, fees, least value.
        market = newest.market
        same = replace(
            manifest.market,
            asset_id=market.asset_id,
            maximum_leverage=market.maximum_leverage,
            minimum_notional_micro=market.minimum_notional_micro,
            maker_rate_e9=market.maker_rate_e9,
            taker_rate_e9=market.taker_rate_e9,
        )
        if same != market:
            raise DataError(
                catalogue.path_of(manifest),
                None,
                f"market {coin} is specified in another way than in {newest.date}/{newest.name}, "
                "give a range within which they agree, or write one of them again",
            )
    return newest.market


def _coin_named(catalogue: Catalogue, coin: str) -> str:
    """The coin as the catalogue spells it. Raises DataError naming what is there."""
    there = sorted({known for kind in _KINDS for known in catalogue.coins(kind)})
    if coin in there:
        return coin
    alike = [known for known in there if known.casefold() == coin.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(coin, there, n=1, cutoff=0.0)
    shown = ", ".join([*near, *(known for known in there if known not in near)][:_SHOWN_MAX])
    more = f" and {len(there) - _SHOWN_MAX} more" if len(there) > _SHOWN_MAX else ""
    raise DataError(
        catalogue.root,
        None,
        f"there is nothing of coin {coin} in this catalogue, it holds {shown}{more}"
        if there
        else "there is nothing in this catalogue, fill it with `hlhft mine` or `hlhft data import`",
    )


def _nothing_of(catalogue: Catalogue, coin: str, begin_ns: int | None, end_ns: int | None) -> DataError:
    """Names the dates that are there, the nearest first."""
    held = {manifest.date for manifest in catalogue.manifests(kinds=_KINDS, coins=[coin]) if manifest.rows}
    middle = begin_ns if begin_ns is not None else end_ns if end_ns is not None else 0
    near = sorted(held, key=lambda date: (abs(day_ns(date) - middle), date))
    stretch = _named([coin], begin_ns, end_ns)
    if not near:
        return DataError(catalogue.root, None, f"there is no row of {coin} in this catalogue, mine or record some")
    shown = ", ".join(near[:_SHOWN_MAX])
    more = f" and {len(near) - _SHOWN_MAX} more dates" if len(near) > _SHOWN_MAX else ""
    return DataError(
        catalogue.root, None, f"there is nothing for {stretch}, of {coin} it holds {shown}{more}, the nearest first"
    )


def _named(coins: Sequence[str], begin_ns: int | None, end_ns: int | None) -> str:
    begin = "" if begin_ns is None else date_of(begin_ns)
    last = "" if end_ns is None else date_of(end_ns - 1)
    return f"{begin if begin == last else f'{begin}..{last}'}/{','.join(coins)}"
