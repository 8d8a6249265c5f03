"""`hlhft evaluate`: what a model is worth beside simple rules, after costs, and how much of it is luck."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress
from hlhft.cli.spreading import spread, spreading

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from hlhft.alpha.evaluation.folder import Wish
    from hlhft.alpha.evaluation.result import Evaluation

TRIALS = Path("runs/trials.jsonl")
ENGINES = ("onnx", "torch")
WIDE_COLUMNS = 100  # from so many on an interval stands in one line


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="PATH",
    required=True,
    help="A dataset, a catalogue, a recording or a folder of some: that of the training, or data it never saw.",
)
@click.option("--coins", metavar="COIN,...", help="Of a catalogue, these only. Default: all there are.")
@click.option(
    "--feed-profile", "profile", metavar="NAME", help="Cadence and depth of the feed.  [default: those of the training]"
)
@click.option(
    "--trials",
    type=click.Path(path_type=Path),
    default=TRIALS,
    show_default=True,
    metavar="FILE",
    help="The log of trials; this evaluation is added to it.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where datasets are kept. Default: with the code.",
)
@click.option(
    "--fee-bp",
    type=click.FloatRange(-1, 100),
    default=1.5,
    show_default=True,
    metavar="BP",
    help="Fee of a deal; a new account's maker pays 1.5, its taker 4.5.",
)
@click.option(
    "--resamples", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Resamples for intervals."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of resamples and of LightGBM.")
@click.option(
    "--engine", type=click.Choice(ENGINES), default="onnx", show_default=True, help="What computes the model."
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads of each library.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
@spread
def command(
    model: Path,
    *,
    data_dir: Path,
    coins: str | None,
    profile: str | None,
    trials: Path,
    cache: Path | None,
    fee_bp: float,
    resamples: int,
    seed: int,
    engine: str,
    threads: int,
    as_json: bool,
    **spread_options: Any,
) -> None:
    """Judge the model in the folder MODEL on rows that it was not fitted on, and say what it is worth.

    Where the data hold the blocks that it was made of, its test block is opened, as a new trial in the log; other data
    are split anew, and the rivals learn from their train block. "No gain" is a result and exits with 0. With --on
    the rivals of each label, and pieces of the test block for the model, are tasks; the result is the same.
    """
    from hlhft.extra import need

    need("an evaluation", "lightgbm", "purgedcv", "scipy", "sklearn", "onnxruntime" if engine == "onnx" else "torch")
    from hlhft.alpha.baselines import Settings
    from hlhft.alpha.evaluation.evaluating import Options
    from hlhft.alpha.evaluation.folder import Wish

    wish = Wish(
        data_dir=data_dir,
        profile=profile,
        trials=trials,
        cache=cache,
        coins=tuple(coin.strip() for coin in (coins or "").split(",") if coin.strip()),
        engine=engine,
        threads=threads,
        options=Options(resamples=resamples, seed=seed, fee_bp=fee_bp, fitting=Settings(seed=seed, threads=threads)),
    )
    _show(_evaluated(model, wish, spread_options, as_json=as_json), as_json=as_json)


def _evaluated(model: Path, wish: Wish, spread_options: dict[str, Any], *, as_json: bool) -> Evaluation:
    from hlhft.alpha.evaluation.folder import evaluate_folder
    from hlhft.data.profiles import profile_named

    try:
        if wish.profile is not None:
            profile_named(wish.profile)
    except ValueError as error:
        raise CommandError(f"--feed-profile: {error}", ExitCode.USAGE) from None
    with spreading(spread_options, models=True, hidden=as_json) as where:
        if where is not None:
            from hlhft.alpha.bundle import model_folder
            from hlhft.scale.judging import Judging

            judging = Judging(where, model_folder(model), engine=wish.engine, threads=wish.threads)
            return evaluate_folder(model, wish, elsewhere=judging)
        with progress(f"Evaluating {model}", hidden=as_json) as update:
            return evaluate_folder(model, wish, progress=update)


def _show(found: Evaluation, *, as_json: bool) -> None:
    if as_json:
        from hlhft.alpha.evaluation.result import to_json

        click.echo(to_json(found).decode())
        return
    from rich.console import Console

    console = Console(highlight=False)
    for part in parts(found, is_wide=console.width >= WIDE_COLUMNS):
        console.print(part)


def parts(found: Evaluation, *, is_wide: bool = True) -> Iterator[RenderableType]:
    """What to print, in order: what was judged, two tables a horizon, what is assumed, the verdict."""
    from rich.padding import Padding
    from rich.text import Text

    from hlhft.alpha.evaluation.words import (
        absent_sentences,
        assumptions,
        days_table,
        figures_table,
        gains_table,
        horizon_title,
        subject_title,
        trials_sentence,
        walk_sentence,
    )

    yield Text()
    yield Text(subject_title(found), style="bold")
    for horizon in found.horizons:
        yield Padding(Text(horizon_title(horizon), style="bold cyan"), (1, 0, 0, 0))
        yield Padding(_table(*figures_table(horizon), is_wide=is_wide), (1, 0))
        yield _table(*gains_table(horizon), is_wide=is_wide)
        if horizon is found.horizons[0] and len(horizon.by_day) > 1:
            yield Padding(_table(*days_table(horizon), is_wide=is_wide), (1, 0, 0, 0))
        if horizon is not found.horizons[0]:
            yield Padding(Text(horizon.verdict.sentence), (1, 0, 0, 0))
    yield Text()
    said = (walk_sentence(found), *absent_sentences(found), assumptions(found), trials_sentence(found.trials))
    for sentence in filter(None, said):
        yield Text(sentence, style="dim")
    yield Text()
    yield Text(found.verdict.sentence, style="bold")
    if found.verdict.remarks:
        yield Text(" ".join(found.verdict.remarks), style="dim")
    yield Text()


def _table(heads: list[str], rows: list[list[str]], *, is_wide: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False, header_style="dim")
    broken = [[row[0], *(_broken(cell, is_wide=is_wide) for cell in row[1:])] for row in rows]
    for place, head in enumerate(heads):
        # Titles wrap between words; words and figures never do.
        cells = (row[place].split("\n" if place else None) for row in broken)
        pieces = [*head.split(), *(piece for cell in cells for piece in cell)]
        wide = max(map(len, pieces), default=0)
        width = None if is_wide else wide
        shown.add_column(head, justify="right" if place else "left", overflow="fold", min_width=wide, width=width)
    for row in broken:
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _broken(cell: str, *, is_wide: bool) -> str:
    """A figure, and below it its interval, in two lines where there is little room."""
    below = cell.replace(" (", "\n(")
    return below if is_wide else below.replace(" to ", " to\n")
