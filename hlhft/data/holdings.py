"""What a catalogue holds and what it lacks, from its manifests alone."""

from __future__ import annotations

import difflib
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hlhft.data.addresses import RemotePath
from hlhft.data.catalogue.layout import DAY_NS, KINDS, date_of, day_ns
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.merging import Range, clipped, owned
from hlhft.data.catalogue.names import Wanted, wanted
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.files import Progress
from hlhft.data.sources import Source

WHOLE_DAY_SHARE = 0.999  # a recorder that turns its files at the hour misses moments
GAP_NS_MIN = 60_000_000_000  # what is shorter lies between the last row of an hour's part and the first of the next
NO_PART = "no-part"  # nothing says why there is nothing
ANY_KIND = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What there is of one coin and kind. `days` says by date which share of it is covered, from 0 to 1."""

    coin: str
    kind: str
    parts: int
    rows: int
    bytes: int
    sources: tuple[str, ...]
    clocks: tuple[str, ...]  # measured, modelled, or both; none where no part has rows
    first_ns: int  # of what is covered, exchange time
    last_ns: int
    missing: int  # stretches of at least GAP_NS_MIN within it that are not
    missing_ns: int  # of these
    days: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A stretch of exchange time, [from_ns, to_ns), within what is covered, of which nothing is known, and why."""

    coin: str
    kind: str
    from_ns: int
    to_ns: int
    reasons: tuple[str, ...]  # of the parts around it, or NO_PART


def is_catalogue(folder: Path) -> bool:
    """Whether the folder has one of a kind of parts in it; one that may not be looked into has none."""
    return any(os.path.isdir(folder / f"kind={kind}") for kind in KINDS)


def catalogue_at(folder: Path | RemotePath) -> Catalogue:
    """The catalogue in that folder or at that address. Raises DataError when it is missing or holds none."""
    if isinstance(folder, RemotePath):
        if not folder.is_dir():
            raise DataError(folder, None, "there is nothing at this address, name a catalogue with --catalogue")
        return Catalogue(folder)
    if not folder.is_dir():
        raise DataError(folder, None, "there is no such folder, name a catalogue with --catalogue")
    if not is_catalogue(folder):
        raise DataError(
            folder, None, "the folder is no catalogue: it has no folder as kind=book, give another or fill it"
        )
    return Catalogue(folder)


def holdings(manifests: Iterable[Manifest]) -> list[Holding]:
    """One entry a coin and kind, by coin, kinds in their order."""
    return [_holding(parts) for parts in _grouped(manifests)]


def chosen(catalogue: Catalogue, names: Sequence[str]) -> list[tuple[Wanted | None, list[Manifest]]]:
    """The manifests of each name, a coin or as 2026-04-01/BTC, with what such a name asks for; no names: of all.

    Raises DataError for a coin that the catalogue does not hold, or a name that cannot be meant.
    """
    if not names:
        return [(None, catalogue.manifests())]
    held = sorted({coin for kind in KINDS for coin in catalogue.coins(kind)})
    found = []
    for name in names:
        try:
            asked = wanted(name)
        except ValueError as error:
            raise DataError(name, None, str(error)) from None
        coins = (name,) if asked is None else asked.coins
        for coin in coins:
            if coin not in held:
                near = difflib.get_close_matches(coin, held, n=1, cutoff=0.0)
                hint = f"the nearest it holds is {near[0]}" if near else "it is empty"
                raise DataError(catalogue.root, None, f"there is nothing of coin {coin} in this catalogue, {hint}")
        begin, end = (None, None) if asked is None else (asked.begin_ns, asked.end_ns)
        found.append((asked, catalogue.manifests(coins=coins, begin_ns=begin, end_ns=end)))
    return found


def held_kinds(catalogue: Catalogue, coins: Sequence[str]) -> list[tuple[str, str]]:
    """(coin, kind) of what the catalogue holds of these coins at any time."""
    return [(coin, kind) for kind in KINDS for coin in catalogue.coins(kind) if coin in coins]


def missing(
    manifests: Iterable[Manifest],
    *,
    least_ns: int,
    within: Range | None = None,
    expected: Iterable[tuple[str, str]] = (),
) -> list[Missing]:
    """What is missing for at least `least_ns`, by coin, kind, time: between what is covered, or in all of `within`.

    Of a coin and kind that is `expected` and has no part at all, all of `within` is missing.
    """
    found = []
    groups = {(parts[0].coin, parts[0].kind): parts for parts in _grouped(manifests)}
    wanted_groups = {*groups, *(() if within is None else expected)}
    for coin, kind in sorted(wanted_groups, key=lambda group: (group[0], KINDS.index(group[1]))):
        parts = groups.get((coin, kind), [])
        reasons = [(gap.from_ns, gap.to_ns, gap.reason) for part in parts for gap in part.gaps]
        covered = _covered(parts)
        if within is not None:
            begin, end = within
            covered = [(begin, begin), *clipped(covered, begin, end), (end, end)]
        for begin, end in _holes(covered):
            if end - begin >= max(least_ns, 1):
                why = {reason for from_ns, to_ns, reason in reasons if from_ns < end and begin < to_ns}
                found.append(
                    Missing(
                        coin=coin,
                        kind=kind,
                        from_ns=begin,
                        to_ns=end,
                        reasons=tuple(sorted(why)) or (NO_PART,),
                    )
                )
    return found


def silences(source: Source, *, least_ns: int, progress: Progress | None = None) -> list[Missing]:
    """Where a recording has no event of a market for at least `least_ns`, by market and time; kind ANY_KIND.

    Raises DataError for what cannot be read.
    """
    newest: dict[int, int] = {}
    found: list[list[Missing]] = [[] for _ in source.markets]
    for rows in source.chunks(progress=progress):
        for market in np.unique(rows["market"]).tolist():
            exch = rows["ts_exch_ns"][rows["market"] == market]
            running = np.maximum.accumulate(np.append(newest.get(market, int(exch[0])), exch))
            newest[market] = int(running[-1])
            for step in np.flatnonzero(np.diff(running) >= max(least_ns, 1)).tolist():
                begin, end = int(running[step]), int(running[step + 1])
                coin = source.markets[market].name
                found[market].append(Missing(coin=coin, kind=ANY_KIND, from_ns=begin, to_ns=end, reasons=("silence",)))
    return [one for of_market in found for one in of_market]


def _grouped(manifests: Iterable[Manifest]) -> list[list[Manifest]]:
    groups: dict[tuple[str, int], list[Manifest]] = {}
    for manifest in manifests:
        groups.setdefault((manifest.coin, KINDS.index(manifest.kind)), []).append(manifest)
    return [parts for _, parts in sorted(groups.items(), key=lambda entry: entry[0])]


def _covered(parts: Sequence[Manifest]) -> list[Range]:
    """The stretches that some part answers for, ascending and apart."""
    # Parts of one input have the same stretches, all of the input's: here each is once.
    out: list[Range] = []
    for begin, end in sorted({span for ranges in owned(parts) for span in ranges}):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out


def _holes(covered: Sequence[Range]) -> list[Range]:
    return [(end, begin) for (_, end), (begin, _) in itertools.pairwise(covered)]


def _holding(parts: Sequence[Manifest]) -> Holding:
    covered = _covered(parts)
    holes = [(begin, end) for begin, end in _holes(covered) if end - begin >= GAP_NS_MIN]
    return Holding(
        coin=parts[0].coin,
        kind=parts[0].kind,
        parts=len(parts),
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        sources=tuple(sorted({part.source for part in parts})),
        clocks=tuple(sorted({part.clock.local for part in parts if part.rows})),
        first_ns=covered[0][0] if covered else 0,
        last_ns=covered[-1][1] if covered else 0,
        missing=len(holes),
        missing_ns=sum(end - begin for begin, end in holes),
        days=_days(covered),
    )


def _days(covered: Iterable[Range]) -> dict[str, float]:
    seconds: dict[str, int] = {}
    for begin, end in covered:
        while begin < end:
            date = date_of(begin)
            cut = min(end, day_ns(date) + DAY_NS)
            seconds[date] = seconds.get(date, 0) + cut - begin
            begin = cut
    return {date: round(ns / DAY_NS, 6) for date, ns in sorted(seconds.items())}


def calendar(days: dict[str, float]) -> list[tuple[str, str]]:
    """(month, a letter a day from the first to the 31st): # a whole day, + part of one, . nothing of it."""
    months: dict[str, list[str]] = {}
    for date, share in sorted(days.items()):
        line = months.setdefault(date[:7], ["."] * 31)
        line[int(date[8:]) - 1] = "#" if share >= WHOLE_DAY_SHARE else "+"
    return [(month, "".join(line)) for month, line in months.items()]
