"""`hlhft data head`: the first events, with prices and sizes as people write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.data.shared import AS_JSON, CATALOGUE, MARKET, NAMES, SPECIFICATION, aligned, json_of, opened

if TYPE_CHECKING:
    import numpy as np

    from hlhft.data.sources import Source

ROWS_MAX = 100_000
_SIDES = {1: "buy", -1: "sell", 0: ""}
_BOOK_SIDES = {1: "bid", -1: "ask", 0: ""}
_COLUMNS = ("time", "latency_ms", "market", "kind", "side", "price", "size", "id", "flags")


@click.command()
@NAMES
@MARKET
@SPECIFICATION
@CATALOGUE
@click.option("-n", "--rows", "count", type=click.IntRange(1, ROWS_MAX), default=20, show_default=True)
@AS_JSON
def head(
    paths: tuple[Path, ...],
    market: str | None,
    specification: Path | None,
    catalogue: Path | str | None,
    count: int,
    as_json: bool,
) -> None:
    """Print the first events in order of arrival: exchange time (UTC), latency, price and size in decimals."""
    rows = list(_rows(opened(paths, market, specification, catalogue), count))
    if as_json:
        click.echo(json_of(rows))
        return
    lines = [tuple("" if row[name] is None else str(row[name]) for name in _COLUMNS) for row in rows]
    titles = tuple(name.replace("_", " ") for name in _COLUMNS)
    for line in aligned([titles, *lines], right=(1, 5, 6, 7)):
        click.echo(line)


def _rows(source: Source, count: int) -> Iterator[dict[str, Any]]:
    for events in source.chunks(count):
        for event in events[:count]:
            yield _row(source, event)
        count -= len(events)
        if count <= 0:
            return


def _row(source: Source, event: np.void) -> dict[str, Any]:
    import numpy as np

    from hlhft.events import EventFlag, EventKind

    kind, flags = EventKind(int(event["kind"])), EventFlag(int(event["flags"]))
    market = source.markets[int(event["market"])]
    ticks, lots, exch_ns = int(event["price_ticks"]), int(event["size_lots"]), int(event["ts_exch_ns"])
    names = _SIDES if kind is EventKind.TRADE else _BOOK_SIDES
    return {
        "time": f"{np.datetime64(exch_ns, 'ns')}Z",
        "latency_ms": round((int(event["ts_local_ns"]) - exch_ns) / 1e6, 3),
        "market": market.name,
        "kind": kind.name.lower(),
        "side": names[int(event["side"])],
        "price": market.price_text(ticks) if ticks else None,
        "size": market.size_text(lots) if lots or kind is EventKind.DEPTH_LEVEL else None,
        "id": int(event["order_id"]) or None,
        "flags": " ".join(flag.name.lower() for flag in EventFlag if flag in flags and flag.name is not None),
    }
