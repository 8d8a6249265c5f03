"""`hlhft data import`: recordings brought into the catalogue."""

from __future__ import annotations

from pathlib import Path

import click

from hlhft.cli.data.shared import AS_JSON, FOLDER, MARKET, SPECIFICATION, folder_of, json_of, opened, progress
from hlhft.cli.errors import CommandError, ExitCode


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@FOLDER
@MARKET
@SPECIFICATION
@AS_JSON
def bring_in(
    paths: tuple[Path, ...], catalogue: Path | None, market: str | None, specification: Path | None, as_json: bool
) -> None:
    """Bring recordings into the catalogue: kinds apart, an hour a part.

    A PATH is a recording of any known form. Importing the same content again changes nothing, under whatever name; an
    import that was killed goes on where it stopped; of a recording that cannot be read nothing stays.
    """
    from hlhft.data.importing import Imported, import_source
    from hlhft.data.node.source import NodeSource

    root = folder_of(catalogue)
    done: list[Imported] = []
    for path in paths:
        source = opened([path], market, specification, None)
        if isinstance(source, NodeSource):
            # A node's blocks belong together: what is imported kind by kind has lost how.
            raise CommandError(f"{path} holds the files of a node, bring it in with `hlhft data node`", ExitCode.USAGE)
        with progress(f"importing {source.name}", hidden=as_json) as shown:
            found = import_source(source, root, progress=shown)
        done.extend(found)
        if not as_json:
            for one in found:
                click.echo(_sentence(one.name, one.rows, one.parts_written, one.parts_there, one.counts))
    if as_json:
        click.echo(json_of(done))


# What a reader counts, and a person should hear of: something is not there as it was recorded.
_TOLD = (
    "clock_shift_ns",
    "duplicate_trades",
    "fills_without_trade",
    "levels_cut_to_whole_lots",
    "messages_of_other_channels",
    "messages_of_other_coins",
    "rows_out_of_order",
    "rows_too_late",
    "torn_last_line",
    "trades_not_at_market",
    "trades_of_other_coins",
    "updates_applied_again",
)


def _sentence(name: str, rows: dict[str, int], written: int, there: int, counts: dict[str, int]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in rows.items()) or "nothing"
    earlier = f", {there} parts were there" if there else ""
    found = "".join(f"\n  {what.replace('_', ' ')}: {count}" for what in _TOLD if (count := counts.get(what)))
    return f"{name}: {kinds}; {written} parts written{earlier}{found}"
