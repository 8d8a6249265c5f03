"""`hlhft data stats`: what recordings are like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.data.shared import AS_JSON, CATALOGUE, MARKET, NAMES, SPECIFICATION, json_of, opened, progress

if TYPE_CHECKING:
    from hlhft.data.measures import Measured


@click.command()
@NAMES
@MARKET
@SPECIFICATION
@CATALOGUE
@AS_JSON
def stats(
    paths: tuple[Path, ...], market: str | None, specification: Path | None, catalogue: Path | str | None, as_json: bool
) -> None:
    """Measure rows by kind, spread, trades a minute, feed latency by channel, and bytes a row on disk."""
    from hlhft.data.measures import measure

    source = opened(paths, market, specification, catalogue)
    with progress(f"measuring {source.name}", hidden=as_json) as shown:
        found = measure(source, progress=shown)
    size = source.bytes_kept
    rows = sum(one.rows for one in found)
    bytes_a_row = size / rows if rows else None
    if as_json:
        markets = [asdict(one) for one in found]
        click.echo(json_of({"name": source.name, "bytes": size, "bytes_a_row": bytes_a_row, "markets": markets}))
        return
    click.echo(f"{source.name}: {rows} rows in {size} bytes" + (f", {bytes_a_row:.1f} a row" if bytes_a_row else ""))
    for one in found:
        for line in _lines(one):
            click.echo(line)


def _lines(one: Measured) -> Iterator[str]:
    from hlhft.report.numbers import period, plain

    kinds = ", ".join(f"{count} {name}" for name, count in one.kinds.items()) or "nothing"
    yield f"{one.market}: {kinds}"
    if one.rows:
        yield f"  {period(one.first_local_ns, one.last_local_ns)} by the local clock"
    if one.spread is not None:
        spread = one.spread
        yield (
            f"  spread {plain(spread.mean_bp, 3)} bp mean, {plain(spread.median_bp, 3)} median, "
            f"{plain(spread.p95_bp, 3)} at 95 % of {spread.count} {spread.of}"
        )
    if one.kinds.get("trade") and one.trades_a_minute is not None:
        notional = plain(one.notional_a_minute, 0)
        yield f"  {plain(one.trades_a_minute, 1)} trades and {notional} of the quote currency a minute"
    for latency in one.latencies:
        figures = (latency.p5_ms, latency.p50_ms, latency.p95_ms, latency.p99_ms)
        texts = [plain(figure, 1) for figure in figures]
        yield f"  latency of {latency.channel}: {' / '.join(texts)} ms at 5 / 50 / 95 / 99 % of {latency.count}"
