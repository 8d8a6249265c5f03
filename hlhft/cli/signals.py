"""`hlhft signals`: what a model says over a recording, as a track for `hlhft backtest --signals`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.catalogues import CatalogueType
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.alpha.tracks import Latency

LATENCY_US = 1000.0  # what an alpha process is to keep


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORDING...")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where the track goes, a .npz file.",
)  # fmt: skip
@click.option("--horizon", type=click.IntRange(0, 63), default=0, show_default=True, help="Which of the model's.")
@click.option(
    "--latency-us", type=click.FloatRange(0, 60_000_000), metavar="US",
    help=f"Computing and transport together, the same for every signal.  [default: {LATENCY_US:g}]",
)  # fmt: skip
@click.option(
    "--latencies", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="The times that hlhft alpha --latencies measured, in place of one.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(["onnx", "torch"]), default="onnx", show_default=True, help="What computes."
)
@click.option(
    "--feed-profile", type=click.Choice(["recorded", "2026"]),
    help="Cadence and depth of the feed.  [default: 2026 for Hyperliquid recordings, else recorded]",
)  # fmt: skip
@click.option("--market", metavar="NAME", help="Market the data are of, where they do not say so themselves.")
@click.option(
    "--markets", "specification", type=click.Path(path_type=Path), metavar="FILE",
    help="Market specification.  [default: the shipped table]",
)  # fmt: skip
@click.option(
    "--catalogue", type=CatalogueType(), metavar="FOLDER",
    help="Where DATE/COIN is looked up.  [default: data.catalogue, catalog]",
)  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings: time to live, bounds.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of the drawn latencies.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
def command(model: Path, paths: tuple[Path, ...], *, output: Path, as_json: bool, **options: Any) -> int:
    """Ask MODEL about every row of RECORDING as a live alpha process would, and write what it says and when it would
    have been heard.

    The settings of [alpha] say for how long a signal counts and how large a move may be, as they do live. A backtest of
    the track refuses times that the model was made from.

    Ends with exit code 0 when the track is written, 2 for an option that is none, 3 for a model or recording that is
    none, 1 where the packages of models are not installed.
    """
    from hlhft.extra import need

    need("asking a model", "safetensors", "torch" if options["engine"] == "torch" else "onnxruntime")
    if options["latency_us"] is not None and options["latencies"] is not None:
        raise click.UsageError("--latency-us assumes a time and --latencies measured it, give one of them.")
    told = _make(model, list(paths), output, _latency(options), options)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(told).decode())
    else:
        click.echo(f"Track         {output}: {told['events']:,} events of {told['signals']:,} signals,"
                   f" {told['abstentions']:,} abstentions")  # fmt: skip
        click.echo(f"Latency       {told['latency']}")
    return ExitCode.OK


def _latency(options: dict[str, Any]) -> Latency:
    from hlhft.alpha.tracks import assumed, measured

    if options["latencies"] is not None:
        return measured(options["latencies"])
    given = options["latency_us"]
    return assumed(round((LATENCY_US if given is None else given) * 1e3))


def _make(folder: Path, paths: list[Path], output: Path, latency: Latency, options: dict[str, Any]) -> dict[str, Any]:
    """Makes and writes the track; what it holds, in figures."""
    from hlhft.alpha.bundle import load_bundle, model_folder
    from hlhft.alpha.rows import feature_rows
    from hlhft.alpha.serving.loading import load_model
    from hlhft.alpha.serving.machine import E9_OF_BP, Settings
    from hlhft.alpha.tracks import meta_of, signals_over, track_events
    from hlhft.alpha.wire import Flag
    from hlhft.backtest.signals import write_track
    from hlhft.cli.backtest import open_recording, profile_for
    from hlhft.config.settings import whole

    config = loaded_settings(options["config"]).config
    bundle = load_bundle(model_folder(folder.resolve()))
    if bundle.features is None:
        raise CommandError(
            f"{folder}: this model's columns come with another data set, no feed has them", ExitCode.DATA
        )
    served = load_model(folder, horizon=options["horizon"], engine=options["engine"], device="cpu")
    source = open_recording(paths, options, config)
    profile = profile_for(source, options, config)
    names = tuple(market.name for market in source.markets)
    said = list(signals_over(feature_rows(source, bundle.features, profile=profile), served, names, Settings()))
    events = track_events(
        said, latency, time_to_live_ns=whole(config, "alpha.time_to_live_ms"),
        move_e9_max=round(config.alpha.move_bp_max * E9_OF_BP), seed=options["seed"],
    )  # fmt: skip
    digest = write_track(output, events, meta_of(bundle, source, profile, latency))
    abstentions = sum(bool(signal.flags & Flag.ABSTAINS) for signal in said)
    return {
        "track": str(output), "digest": digest, "model_id": f"{bundle.model_id:016x}", "recording": source.name,
        "events": len(events), "signals": len(said) - abstentions, "abstentions": abstentions,
        "latency": latency.words,
    }  # fmt: skip
