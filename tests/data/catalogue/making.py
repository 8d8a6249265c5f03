"""Catalogues made by hand, for the tests of hlhft.data.catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hlhft.data.catalogue.layout import PartKey, date_of
from hlhft.data.catalogue.manifest import Clock, Gap, Manifest
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.merge import Events
from hlhft.units import Market
from tests.data.making import BTC

MEASURED_BY_TEST = Clock("measured", "the test")
NOON = 1_775_044_800_000_000_000  # 2026-04-01T12:00 UTC


def put(
    root: Path,
    kind: str,
    name: str,
    arrays: Iterable[Events],
    *,
    market: Market = BTC,
    date: str = date_of(NOON),
    source: str = "archive",
    snapshots: bool = True,
    covers: tuple[int, int] | None = None,
    gaps: Iterable[Gap] = (),
    origin: str | None = None,
) -> Manifest:
    """One part of these rows."""
    key = PartKey(kind, market.name, date, name)
    with PartWriter(
        root, key, market, source=source, origin=origin or f"test:{name}", clock=MEASURED_BY_TEST, snapshots=snapshots
    ) as part:
        for array in arrays:
            part.write(array)
        for gap in gaps:
            part.gap(gap)
        return part.finish(covers=covers)
