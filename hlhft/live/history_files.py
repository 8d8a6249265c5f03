"""An account's past as the venue told it, in a folder: what it said, byte for byte, so that a report can be made again.

| file | a line is |
| --- | --- |
| `fills.jsonl`, `fundings.jsonl`, `transfers.jsonl` | one record, in order of time |
| `readings.jsonl` | what the account held when it was asked: its state on each dex, and its spot balances |
| `candles.jsonl` | the candles of one market |
| `listing.jsonl` | what was listed: perpetuals by dex, spot pairs |
| `history.json` | all of it: whose, from when to when, what is missing, and the hash of each file |

`history.json` is written last, so what is without it is no history. What is asked again into the same folder is added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from hlhft.backtest.runs import FILES
from hlhft.data.writing import sync_folder, write_file
from hlhft.hyperliquid.markets import (
    DEX_BASE,
    DEX_STRIDE,
    SPOT_BASE,
    USDC_TOKEN,
    Meta,
    SpotMeta,
)
from hlhft.hyperliquid.reading import UNDECODABLE
from hlhft.report.venue_records import (
    History,
    HistoryError,
    Mids,
    Reading,
    is_spot,
    read_candles,
    read_fill,
    read_flow,
    read_funding,
    read_reading,
)
from hlhft.units import PERPETUAL_MAX_DECIMALS, SPOT_MAX_DECIMALS, Market

MANIFEST = "history.json"
SCHEMA = 1
FILLS_REACH = 10_000  # the venue tells the most recent ones; venue reference section 3.2
FILE_BYTES_MAX = 1 << 30
INTERRUPTED = "it was interrupted: what came after the last record of each list was not asked"
LISTS = ("fills", "fundings", "transfers", "readings", "candles", "listing")
FILE_NAMES = (*(f"{name}.jsonl" for name in LISTS), MANIFEST)
FOLDER_NAMES = (*FILES, *FILE_NAMES)  # of the folder of a report and what it rests on
_MINUTE_NS = 60_000_000_000
_T = TypeVar("_T")


class Told(msgspec.Struct):
    """What an account held: `states` of each dex, the main one first, and `spot`, as the venue wrote them."""

    states: list[msgspec.Raw]
    spot: msgspec.Raw


class ToldCandles(msgspec.Struct):
    """The candles of one market, each `every_ms` long."""

    coin: str
    every_ms: int
    candles: msgspec.Raw


class ToldListing(msgspec.Struct, omit_defaults=True):
    """What a dex lists, "" for the main one, with its place in the list of them; or the spot pairs."""

    dex: str = ""
    place: int = 0
    meta: msgspec.Raw = msgspec.Raw()
    spot: msgspec.Raw = msgspec.Raw()


class Manifest(msgspec.Struct, kw_only=True):
    """`history.json`. Times are the venue's; `until_ms` is that of the last question."""

    schema: int = SCHEMA
    address: str
    base_url: str
    from_ms: int
    until_ms: int
    is_whole: bool  # nobody interrupted it
    is_from_the_beginning: bool  # the first record is the account's first
    cuts: tuple[str, ...] = ()
    hashes: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A history as it was told: its manifest, and the lines of each file."""

    manifest: Manifest
    lines: Mapping[str, Sequence[bytes]] = field(default_factory=dict)

    def of(self, name: str) -> Sequence[bytes]:
        """The lines of a file."""
        return self.lines.get(name, ())


def save(saved: Saved, folder: Path) -> None:
    """Writes all files, the manifest last. Raises OSError; an earlier history that was there may then be mixed with
    this one, which `load` says."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name in LISTS:
        content = b"".join(_line(line) + b"\n" for line in saved.of(name))
        hashes[name] = hashlib.sha256(content).hexdigest()
        write_file(folder / f"{name}.jsonl", content)
    manifest = msgspec.structs.replace(saved.manifest, hashes=hashes)
    write_file(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    sync_folder(folder)


def _line(body: bytes) -> bytes:
    """A body in one line; the venue writes none in more."""
    return msgspec.json.format(body, indent=-1) if b"\n" in body else body


def load(folder: Path) -> Saved:
    """The history of a folder. Raises HistoryError when it is none, or not what was written, and OSError."""
    try:
        manifest = msgspec.json.decode(_content(folder / MANIFEST), type=Manifest)
    except UNDECODABLE as error:
        raise HistoryError(f"{folder / MANIFEST}: no record of a history ({error}), ask for it again") from None
    if manifest.schema != SCHEMA:
        raise HistoryError(
            f"{folder / MANIFEST}: schema {manifest.schema}, and this version reads {SCHEMA}: ask for the history again"
        )
    lines = {}
    for name in LISTS:
        path = folder / f"{name}.jsonl"
        content = _content(path)
        if hashlib.sha256(content).hexdigest() != manifest.hashes.get(name):
            raise HistoryError(f"{path}: not what {MANIFEST} says was written there, ask for the history again")
        lines[name] = content.split(b"\n")[:-1]
    return Saved(manifest=manifest, lines=lines)


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    if size > FILE_BYTES_MAX:
        raise HistoryError(f"{path}: {size} bytes, more than {FILE_BYTES_MAX}: ask for a shorter time")
    return path.read_bytes()


def history_of(saved: Saved) -> History:
    """The records of what was told. Raises HistoryError.

    An account whose past is known from its first record on has nothing at its opening. Else the first of several
    readings opens it, and what was before that is left out; with one or none, nothing is known of the opening.
    """
    listing = _Listing(saved.of("listing"))
    manifest, cuts = saved.manifest, list(saved.manifest.cuts)
    fills = [read_fill(line, f"fills.jsonl line {row}") for row, line in enumerate(saved.of("fills"), 1)]
    kept = [one for one in fills if one.coin not in listing.foreign]
    if len(kept) < len(fills):
        coins = ", ".join(sorted({one.coin for one in fills} & listing.foreign))
        cuts.append(f"{len(fills) - len(kept)} fills of pairs that are not quoted in USDC are left out: {coins}")
    known, every_ns = _candles(saved.of("candles"))
    words = f"the last trade of each candle of {every_ns // _MINUTE_NS} min" if known else "nothing"
    readings = [_reading(line, row, listing, known) for row, line in enumerate(saved.of("readings"), 1)]
    readings.sort(key=lambda one: one.ts_ns)
    opening, later = _opening(manifest, readings)
    if opening is not None and opening.ts_ns:
        before = sum(one.ts_ns <= opening.ts_ns for one in kept)
        cuts.append(f"{before} fills before the first reading of the account are left out: its worth then is not known")
    return History(
        address=manifest.address,
        fills=kept,
        fundings=[read_funding(line, f"fundings.jsonl line {row}") for row, line in enumerate(saved.of("fundings"), 1)],
        flows=[
            read_flow(line, f"transfers.jsonl line {row}", address=manifest.address, coins=listing.coins)
            for row, line in enumerate(saved.of("transfers"), 1)
        ],
        opening=opening,
        readings=later,
        mids=known,
        mids_from=words,
        mids_every_ns=every_ns,
        markets=listing.markets,
        cuts=cuts,
    )


def _opening(manifest: Manifest, readings: Sequence[Reading]) -> tuple[Reading | None, Sequence[Reading]]:
    if manifest.is_from_the_beginning:
        return Reading(ts_ns=0, cash=0), readings
    return (readings[0], readings[1:]) if len(readings) > 1 else (None, readings)


def _reading(line: bytes, row: int, listing: _Listing, mids: Mapping[str, Mids]) -> Reading:
    where = f"readings.jsonl line {row}"
    told = _decoded(Told, line, where)
    return read_reading(told.states, told.spot, where, coins=listing.coins, mids=mids)


def _candles(lines: Sequence[bytes]) -> tuple[dict[str, Mids], int]:
    """Mids by market, and the longest candle in ns. Where two lines tell of one time, the first does."""
    found: dict[str, dict[int, int]] = {}
    every_ns = 0
    for row, line in enumerate(lines, 1):
        where = f"candles.jsonl line {row}"
        told = _decoded(ToldCandles, line, where)
        mids = read_candles(told.candles, where)
        for ts_ns, double in zip(mids.ts_ns, mids.double, strict=True):
            found.setdefault(told.coin, {}).setdefault(ts_ns, double)
        every_ns = max(every_ns, told.every_ms * 1_000_000 if mids.ts_ns else 0)
    return {
        coin: Mids(tuple(sorted(own)), tuple(own[time] for time in sorted(own))) for coin, own in found.items()
    }, every_ns


class _Listing:
    """What the venue lists: markets by name, pairs by their token's name, and pairs of another currency."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.markets: dict[str, Market] = {}
        self.coins: dict[str, str] = {}
        self.foreign: set[str] = set()
        for row, line in enumerate(lines, 1):
            where = f"listing.jsonl line {row}"
            told = _decoded(ToldListing, line, where)
            if bytes(told.meta):
                self._perpetuals(
                    _decoded(Meta, told.meta, where), DEX_BASE + DEX_STRIDE * told.place if told.dex else 0
                )
            if bytes(told.spot):
                self._pairs(_decoded(SpotMeta, told.spot, where))

    def _perpetuals(self, meta: Meta, base: int) -> None:
        for place, entry in enumerate(meta.universe):
            if entry.size_decimals <= PERPETUAL_MAX_DECIMALS:
                self.markets[entry.name] = Market.perpetual(
                    entry.name,
                    asset_id=base + place,
                    size_decimals=entry.size_decimals,
                    maximum_leverage=entry.maximum_leverage,
                )

    def _pairs(self, meta: SpotMeta) -> None:
        tokens = {token.index: token for token in meta.tokens}
        for pair in meta.universe:
            base = tokens.get(pair.tokens[0])
            if pair.tokens[1] != USDC_TOKEN or base is None:
                self.foreign.add(pair.name)
                continue
            self.coins.setdefault(base.name, pair.name)
            if base.size_decimals <= SPOT_MAX_DECIMALS:
                self.markets[pair.name] = Market.spot(
                    pair.name, asset_id=SPOT_BASE + pair.index, size_decimals=base.size_decimals
                )
        assert all(is_spot(name) for name in self.coins.values()), "a pair's name says that it is one"


def _decoded(shape: type[_T], body: bytes | msgspec.Raw, where: str) -> _T:
    try:
        return msgspec.json.decode(body, type=shape)
    except UNDECODABLE as error:
        raise HistoryError(f"{where}: not what was written there ({error}), ask for the history again") from None


def merged(saved: Saved, earlier: Saved) -> Saved:
    """What was told now and before, as one history: every record once, readings of both. Both are of one account.

    What is told now begins where the earlier one ended, or before that: what both have is told now. What only the
    earlier one has is kept where asking was interrupted, or where the venue no longer reaches back to it.
    """
    now, before = saved.manifest, earlier.manifest
    assert now.address == before.address, "histories of two accounts are not one"
    lines = {name: list(saved.of(name)) for name in LISTS}
    reaches = len(lines["fills"]) < FILLS_REACH
    for name in ("fills", "fundings", "transfers"):
        told = set(lines[name])
        is_all = now.is_whole and (reaches or name != "fills")
        kept = [line for line in earlier.of(name) if time_of(line) < now.from_ms or not (is_all or line in told)]
        lines[name] = sorted(kept + lines[name], key=time_of)
    lines["listing"] = lines["listing"] or list(earlier.of("listing"))
    lines["readings"] = [*earlier.of("readings"), *lines["readings"]]
    lines["candles"] = list(dict.fromkeys([*lines["candles"], *earlier.of("candles")]))
    is_whole = now.is_whole and (before.is_whole or now.from_ms <= before.from_ms)
    cuts = dict.fromkeys((*before.cuts, *now.cuts))
    manifest = msgspec.structs.replace(
        now,
        from_ms=min(now.from_ms, before.from_ms),
        until_ms=max(now.until_ms, before.until_ms),
        is_from_the_beginning=now.is_from_the_beginning or (before.is_from_the_beginning and reaches),
        is_whole=is_whole,
        cuts=tuple(cut for cut in cuts if cut != INTERRUPTED or not is_whole),
    )
    return replace(saved, manifest=manifest, lines=lines)


class _Timed(msgspec.Struct):
    time: int


_TIMED = msgspec.json.Decoder(_Timed)


def time_of(line: bytes | msgspec.Raw) -> int:
    """The time of a record in ms. Raises HistoryError."""
    try:
        return _TIMED.decode(line).time
    except UNDECODABLE as error:
        raise HistoryError(f"a record of the venue has no time ({error}), ask again") from None
