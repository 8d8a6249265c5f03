"""`hlhft data node`: the files of one's own node brought into the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hlhft.cli.data.shared import AS_JSON, FOLDER, SPECIFICATION, folder_of, json_of, opened, progress
from hlhft.cli.errors import CommandError, ExitCode


@click.command("node")
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@FOLDER
@SPECIFICATION
@click.option(
    "--coins", multiple=True, metavar="COIN", help="A coin to take; several times. Default: all that are known."
)
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Order-level snapshot to begin from, or "empty". Default: those beside the files.',
)
@click.option("--hide-user", "hidden_users", multiple=True, metavar="ADDRESS", help="Leave out this user's orders.")
@AS_JSON
def node(
    folder: Path,
    catalogue: Path | None,
    specification: Path | None,
    coins: tuple[str, ...],
    snapshot: Path | None,
    hidden_users: tuple[str, ...],
    as_json: bool,
) -> None:
    """Bring the files of a node (FOLDER, as ~/hl/data) into the catalogue: books order by order, best prices, trades.

    Every part begins with the whole book. Where blocks are missing and no later snapshot says what the books are, it
    ends with exit code 3; the hours before stay.
    """
    from hlhft.data.node.parts import write_parts
    from hlhft.data.node.source import NodeSource

    options: dict[str, Any] = {"hidden_users": list(hidden_users)}
    if coins:
        options["coins"] = list(coins)
    if snapshot is not None:
        options["snapshot"] = str(snapshot) if str(snapshot) == "empty" else snapshot
    source = opened([folder], None, specification, None, options if folder.is_dir() else None)
    if not isinstance(source, NodeSource):
        raise CommandError(f"{folder} holds no files of a node, bring it in with `hlhft data import`", ExitCode.DATA)
    with progress(f"reading {source.name}", hidden=as_json) as shown:
        done = write_parts(source, folder_of(catalogue), progress=shown)
    if as_json:
        click.echo(json_of(done))
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.rows.items())) or "nothing"
    gaps = f", {done.gaps} gaps" if done.gaps else ""
    click.echo(f"{done.name}: {kinds}; {done.parts_written} parts written{gaps}")
