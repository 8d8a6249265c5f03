"""`hlhft record`: the live venue's public streams into the catalogue, until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.catalogues import written_to
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from hlhft.config.settings import Config
    from hlhft.data.recorder.metrics import RecorderMetrics
    from hlhft.data.recorder.running import Place
    from hlhft.data.recorder.status import Status
    from hlhft.units import Market

GIB = 1 << 30
MIB = 1 << 20


@click.command()
@click.option("--coins", "coins", multiple=True, metavar="COIN...", help="Markets to record, as BTC ETH or BTC,ETH.")
@click.argument("more_coins", nargs=-1, metavar="")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings to record with.")
@click.option(
    "--catalogue", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Where the parts go.  [default: data.catalogue, catalog]",
)  # fmt: skip
@click.option(
    "--raw/--no-raw", "keeps_raw", default=None, help="Keep the frames as they come, too.  [default: recorder.raw, yes]"
)
@click.option(
    "--raw-folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Where the frames go.  [default: raw beside the catalogue]",
)  # fmt: skip
@click.option("--base-url", metavar="URL", help="The venue.  [default: recorder.base_url, the mainnet]")
@click.option("--testnet", is_flag=True, help="Record the venue's testnet.")
@click.option(
    "--disk-free-min-gib", type=click.FloatRange(0, 100_000), metavar="N",
    help="Write nothing while less is free.  [default: recorder.disk_free_gib_min, 5]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON lines, the last one at the end.")
def command(
    coins: tuple[str, ...],
    more_coins: tuple[str, ...],
    config: Path | None,
    catalogue: Path | None,
    keeps_raw: bool | None,
    raw_folder: Path | None,
    base_url: str | None,
    testnet: bool,
    disk_free_min_gib: float | None,
    as_json: bool,
) -> int:
    """Record books, touch, trades and contexts of the named coins until SIGTERM or Ctrl-C.

    Writes hourly parts of the catalogue and, beside them, the frames as they came. Reconnects for ever; what is missing
    is a gap in the parts' manifests. What a killed recorder left is completed at the next start.

    Ends with exit code 0 after SIGTERM, 130 after Ctrl-C, 2 for a coin or setting that is none, 3 when another recorder
    has the folder or the disk refuses, 1 when the venue does not answer at the start.
    """
    if base_url is not None and testnet:
        raise click.UsageError("--base-url and --testnet name two venues, choose one of them.")
    settings = loaded_settings(config).config
    place = _place(
        settings,
        coins=_names((*coins, *more_coins)) or settings.recorder.coins,
        catalogue=catalogue,
        keeps_raw=keeps_raw,
        raw_folder=raw_folder,
        base_url=base_url,
        testnet=testnet,
        disk_free_min_gib=disk_free_min_gib,
    )
    from hlhft.cli.progress import COMPILING
    from hlhft.compiled import cache_folder
    from hlhft.data.recorder.running import Recording, run

    if not any(cache_folder().glob("*/*scan.scan-*.nbi")):
        click.echo(COMPILING, err=True)
    try:
        recording = Recording(
            place, settings, show=_shower(as_json), ready=_introducer(place, as_json), metrics=_metrics(settings)
        )
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    run(recording, (signal.SIGTERM, signal.SIGHUP), (signal.SIGINT,))
    if recording.is_interrupted:
        raise CommandError("interrupted; all that came is kept", ExitCode.INTERRUPTED)
    return ExitCode.OK


def _metrics(settings: Config) -> Callable[[], RecorderMetrics] | None:
    """Opens where its numbers are written; None where no folder can be named, as a recorder needs no state."""
    from hlhft.config.folders import metrics_folder_of
    from hlhft.config.load import ConfigError
    from hlhft.data.recorder.metrics import RecorderMetrics
    from hlhft.monitor.metrics import Source
    from hlhft.monitor.opening import opened

    log = logging.getLogger(__name__)
    try:
        folder = metrics_folder_of(settings, os.environ)
    except ConfigError as error:
        log.warning("its numbers are not shown: %s", error)
        return None
    return lambda: RecorderMetrics(opened(folder, Source.RECORDER, labels={}, clock_ns=time.time_ns, say=log.warning))


def _names(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for text in given for name in (part.strip() for part in text.split(",")) if name)


def _place(
    settings: Config,
    *,
    coins: tuple[str, ...],
    catalogue: Path | None,
    keeps_raw: bool | None,
    raw_folder: Path | None,
    base_url: str | None,
    testnet: bool,
    disk_free_min_gib: float | None,
) -> Place:
    """What the options say, and where they say nothing, the settings. Raises CommandError."""
    from hlhft.config.live_sections import BASE_URLS
    from hlhft.data.recorder.running import Place

    recorder = settings.recorder
    if not coins:
        raise CommandError("no coin is named: give --coins BTC ETH, or set recorder.coins", ExitCode.USAGE)
    folder = written_to(catalogue, settings).absolute()
    raw = (raw_folder or Path(recorder.raw_folder or folder.parent / "raw")).absolute()
    if raw_folder is not None and keeps_raw is False:
        raise CommandError("--raw-folder says where and --no-raw says nowhere, give one of them", ExitCode.USAGE)
    is_kept = raw_folder is not None or (recorder.raw if keeps_raw is None else keeps_raw)
    free_gib = recorder.disk_free_gib_min if disk_free_min_gib is None else disk_free_min_gib
    return Place(
        base_url=(base_url or (BASE_URLS["testnet"] if testnet else recorder.base_url)).rstrip("/"),
        coins=coins,
        catalogue=folder,
        raw=raw if is_kept else None,
        free_bytes_min=int(free_gib * GIB),
        queue_bytes_max=recorder.queue_mib * MIB,
    )


def _introducer(place: Place, as_json: bool) -> Callable[[list[Market]], None]:
    def introduce(markets: list[Market]) -> None:
        if as_json:
            return
        click.echo(f"Recording     {', '.join(market.name for market in markets)} of {place.base_url}")
        click.echo(f"Catalogue     {place.catalogue}")
        click.echo(f"Raw frames    {place.raw if place.raw is not None else 'not kept'}")

    return introduce


def _shower(as_json: bool) -> Callable[[Status], None]:
    def show(status: Status) -> None:
        import msgspec

        from hlhft.data.recorder.status import line_of

        if as_json:
            click.echo(msgspec.json.encode(status).decode())
            sys.stdout.flush()
        else:
            click.echo(line_of(status), err=True)

    return show
