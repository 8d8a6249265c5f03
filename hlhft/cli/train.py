"""`hlhft train`: recorded data to a model folder with a card that says what it is worth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hlhft.alpha.card import Card
    from hlhft.alpha.making import Wish
    from hlhft.alpha.training_report import SeedFigures

TRIALS = Path("runs/trials.jsonl")
PACKAGES = (
    "lightning", "lightgbm", "onnx", "onnxruntime", "purgedcv", "safetensors", "scipy", "sklearn", "tensorboard",
    "torch",
)  # fmt: skip
PRESETS = ("paper", "plus", "deeplob")
LABELS = ("barrier", "window", "markout")
HORIZONS_MAX = 16
WALK_MAX = 400  # days; splits.FOLDS_MAX, which is not imported here because numpy would be


def _milliseconds(context: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isdigit() and 0 < int(part) <= 86_400_000 for part in parts) or len(set(parts)) != len(parts):
        raise click.BadParameter(f"{value} is no list of different milliseconds such as 1000,5000", context, option)
    if len(parts) > HORIZONS_MAX:
        raise click.BadParameter(f"{len(parts)} horizons are more than {HORIZONS_MAX}", context, option)
    return tuple(int(part) for part in parts)


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="PATH",
    required=True,
    help="A dataset, a catalogue, a recording, a folder of some, FI-2010 text files, or Binance books as CSV.",
)
@click.option("--epochs", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most.")
@click.option("--preset", type=click.Choice(PRESETS), default="plus", show_default=True, help="The network.")
@click.option("--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Trained one after another.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Of the run. Default: runs/NAME-train."
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="FOLDER", help="Go on with this run of ours.")
@click.option(
    "--horizon", default="10000", show_default=True, callback=_milliseconds, metavar="MS,...", help="Of labels."
)
@click.option("--label", type=click.Choice(LABELS), default="barrier", show_default=True, help="What is forecast.")
@click.option("--width", type=click.FloatRange(0, 100), default=1.0, show_default=True, help="Of barriers, in sigmas.")
@click.option("--cost-bp", type=click.FloatRange(0, 100), default=1.5, show_default=True, help="Floor of barriers.")
@click.option("--from", "from_ms", type=click.IntRange(0), default=0, metavar="MS", help="Begin of a window label.")
@click.option("--length", type=click.IntRange(1, 4096), default=100, show_default=True, help="Rows of a window.")
@click.option("--levels", type=click.IntRange(1, 20), default=5, show_default=True, help="Book levels a side.")
@click.option(
    "--clock-ms", type=click.IntRange(0, 60_000), default=0, show_default=True, help="At most a row so often; 0: each."
)
@click.option(
    "--half-life-ms", type=click.IntRange(640, 3_600_000), default=32_000, show_default=True,
    help="Longest memory of a feature; blocks are kept five of them apart.",
)  # fmt: skip
@click.option(
    "--feed-profile", "profile", default="2026", show_default=True, metavar="NAME",
    help="Cadence and depth of the feed.",
)  # fmt: skip
@click.option("--coins", metavar="COIN,...", help="Of a catalogue, these only. Default: all there are.")
@click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda")),
    default="auto",
    show_default=True,
    help="auto: a GPU if there is one.",
)
@click.option("--threads", type=click.IntRange(0, 1024), default=0, show_default=True, help="0: all that there are.")
@click.option("--batch", type=click.IntRange(1, 65_536), default=128, show_default=True, help="Windows a step.")
@click.option("--learning-rate", type=click.FloatRange(1e-8, 1), default=1e-3, show_default=True, help="At the start.")
@click.option("--patience", type=click.IntRange(1, 10_000), default=4, show_default=True, help="Epochs without gain.")
@click.option(
    "--averaging", type=click.FloatRange(0, 0.99999), default=0.995, show_default=True, help="Of weights; 0: none."
)
@click.option(
    "--class-weighting", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="1: classes weigh alike."
)
@click.option("--epoch-samples", type=click.IntRange(0), default=0, show_default=True, help="Windows an epoch; 0: all.")
@click.option("--fi2010-inputs", type=click.Choice(("40", "144")), default="144", show_default=True, help="Of FI-2010.")
@click.option(
    "--fee-bp", type=click.FloatRange(-1, 100), default=1.5, show_default=True, help="Of a deal, in the evaluation."
)
@click.option("--resamples", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="For intervals.")
@click.option(
    "--trials", type=click.Path(path_type=Path), default=TRIALS, show_default=True, metavar="FILE",
    help="The log of trials; this training is added to it.",
)  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), metavar="FOLDER", help="Of datasets. Default: with the code.")
@click.option(
    "--walk-forward", type=click.IntRange(1, WALK_MAX), metavar="N",
    help="Judge by the newest N days, each forecast by a model of what lies before it. Default: by one split.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON, and nothing else.")
def command(*, as_json: bool, **options: Any) -> None:
    """Train a model on recorded data and say what it is worth.

    Rows in order of time become four blocks, apart from each other: train, stop, calibrate, test. Each seed is trained
    on the first and stopped by the second; the best is calibrated on the third and judged, beside simple rules, on the
    fourth, which is opened once. The model, its card and what it takes to go on are in the folder. With --walk-forward
    that is done for each of the newest days, the fourth block, and all are judged as one; the newest model is kept.

    Interrupted, it keeps whole epochs; --resume goes on to the same result. Under torchrun all processes train one
    network, each with --batch windows a step of its own, and the first one writes and prints.
    """
    from hlhft.extra import need

    need("training", *PACKAGES)
    wish = _wish(options)
    card = _made(wish, as_json=as_json)
    if card is None:
        return
    if as_json:
        from hlhft.alpha.card import to_json

        click.echo(to_json(card).decode(), nl=False)
        return
    from rich.console import Console

    console = Console(highlight=False)
    for part in parts(card, wish.folder):
        console.print(part)


def _wish(options: dict[str, Any]) -> Wish:
    """The options as a wish. Raises CommandError for a folder that holds another run, or none to go on with."""
    from hlhft.alpha.baselines import Settings
    from hlhft.alpha.evaluation.evaluating import Options
    from hlhft.alpha.making import Wish
    from hlhft.alpha.schema import FeatureSchema
    from hlhft.alpha.training_options import TrainingOptions
    from hlhft.data.profiles import profile_named

    try:
        profile_named(options["profile"])
    except ValueError as error:
        raise CommandError(f"--feed-profile: {error}", ExitCode.USAGE) from None
    named = {name: options[name] for name in ("epochs", "patience", "batch", "learning_rate", "averaging",
                                              "class_weighting", "epoch_samples", "device", "threads")}  # fmt: skip
    return Wish(
        data_dir=options["data_dir"],
        schema=FeatureSchema(
            levels=options["levels"], clock_ms=options["clock_ms"], half_life_ms=options["half_life_ms"]
        ),
        labels=tuple(_label(options, horizon_ms) for horizon_ms in options["horizon"]),
        profile=options["profile"],
        preset=options["preset"],
        length=options["length"],
        training=TrainingOptions(**named),
        evaluation=Options(
            resamples=options["resamples"],
            fee_bp=options["fee_bp"],
            fitting=Settings(threads=options["threads"] or 1),
        ),
        seeds=options["seeds"],
        folder=_folder(options),
        trials=options["trials"],
        coins=tuple(coin.strip() for coin in (options["coins"] or "").split(",") if coin.strip()),
        cache=options["cache"],
        fi2010_inputs=int(options["fi2010_inputs"]),
        walk=options["walk_forward"],
    )


def _label(options: dict[str, Any], horizon_ms: int) -> Any:
    from hlhft.alpha.labels import LabelSpec

    kind = options["label"]
    try:
        return LabelSpec(
            name=f"{kind}-{horizon_ms}",
            kind=kind,
            horizon_ms=horizon_ms,
            from_ms=options["from_ms"] if kind == "window" else 0,
            width=options["width"],
            cost_bp=options["cost_bp"],
        )
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None


def _folder(options: dict[str, Any]) -> Path:
    resume: Path | None = options["resume"]
    if resume is not None:
        if options["output"] is not None and options["output"] != resume:
            raise CommandError("--resume names the folder already, leave out --output", ExitCode.USAGE)
        if not (resume / "run.json").is_file():
            raise CommandError(f"{resume} holds no run of hlhft train, name one or leave out --resume", ExitCode.USAGE)
        return resume
    folder: Path = options["output"] or Path("runs", f"{options['data_dir'].resolve().name.split('.')[0]}-train")
    if (folder / "run.json").exists():
        raise CommandError(
            f"{folder} holds a run already: give --resume {folder} to go on with it, or another --output",
            ExitCode.USAGE,
        )
    return folder


def _made(wish: Wish, *, as_json: bool) -> Card | None:
    """The card, None on a rank of torchrun's that is not the first. Raises CommandError when interrupted."""
    from hlhft.alpha.devices import chosen_device
    from hlhft.alpha.making import make_model
    from hlhft.alpha.ranks import joined, ranks_of

    ranks = ranks_of(os.environ)
    is_silent = as_json or not ranks.is_first

    finished: list[SeedFigures] = []

    def on_seed(figures: SeedFigures) -> None:
        finished.append(figures)
        if not is_silent:
            click.echo(
                f"Seed {figures.seed}: best epoch {figures.best_epoch} of {figures.epochs}, NLL {figures.stop_nll:.4f} "
                f"on the stop block, {figures.samples_per_s:,.0f} samples a second",
                err=True,
            )

    try:
        with joined(ranks, device=chosen_device(wish.training.device)):
            return make_model(wish, lambda what: progress(what, hidden=is_silent), on_seed=on_seed, ranks=ranks)
    except KeyboardInterrupt:
        raise CommandError(
            f"interrupted: {len(finished)} of {wish.seeds * (wish.walk or 1)} seeds are finished and whole epochs are "
            f"kept, go on with --resume {wish.folder} and the same options",
            ExitCode.INTERRUPTED,
        ) from None


def parts(card: Card, folder: Path) -> Iterator[RenderableType]:
    """What to print, in order: how training went, then the evaluation, then where everything is."""
    from rich.text import Text

    from hlhft.cli.evaluate import parts as evaluation_parts

    for one in card.training.calibration:
        yield Text(
            f"Calibration of {one.label}: logits x {one.scale:.2f}, NLL {one.nll_before:.4f} to {one.nll_after:.4f}, "
            f"{one.nll_prior:.4f} of the shares alone",
            style="dim",
        )
    if card.evaluation is not None:
        yield from evaluation_parts(card.evaluation)
    yield Text.assemble("Model: ", (str(folder / "model"), "bold"), ("   card.html in it says everything", "dim"))
