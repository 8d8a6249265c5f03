"""`hlhft policy`: learn how risk-averse to quote, and say whether that beats the closed form it steers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.backtest import parameters
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress, say_if_it_compiles
from hlhft.cli.spreading import spread, spreading

if TYPE_CHECKING:
    from hlhft.alpha.fleet import Task
    from hlhft.alpha.paths import Path as MarketPath
    from hlhft.alpha.policy import Policy
    from hlhft.alpha.policy_run import Blocks, Result
    from hlhft.alpha.policy_training import Schedule

SIMULATED = "simulated"
STEPS_MAX = 10**10
NEEDED = ("torch", "stable_baselines3", "gymnasium", "onnxruntime", "onnx")


@click.group()
def command() -> None:
    """Train and judge a policy: bounded multipliers on a tuned closed form, decided every few seconds.

    A policy proposes; the core clamps what it says, and without one the closed form quotes as it was tuned.
    """


@command.command()
@click.option(
    "--paths",
    default=SIMULATED,
    show_default=True,
    metavar="simulated|DIR",
    help="Simulated worlds, or a folder of recordings.",
)
@click.option("--strategy", default="glft", show_default=True, metavar="NAME|FILE", help="The closed form to steer.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy; repeatable.")
@click.option(
    "--steps",
    type=click.IntRange(1, STEPS_MAX),
    default=2_000_000,
    show_default=True,
    help="Decisions of each seed, and of tuning the closed form.",
)
@click.option("--seeds", type=click.IntRange(1, 100), default=5, show_default=True, help="How many are trained.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="The first of them.")
@click.option(
    "--eta",
    type=click.FloatRange(0, 1000),
    default=0.01,
    show_default=True,
    help="Price of inventory, per bp; fixed before anything is tuned.",
)
@click.option(
    "--decision-s", type=click.FloatRange(1, 5), default=1.0, show_default=True, help="Seconds between decisions."
)
@click.option("--latency", default="blocks", show_default=True, metavar="MODEL", help="As of hlhft backtest.")
@click.option("--fees", default="1.5,4.5", show_default=True, metavar="MAKER,TAKER", help="In bp, or tier:0 to tier:6.")
@click.option("--lanes", type=click.IntRange(1, 4096), default=256, show_default=True, help="Paths played at once.")
@click.option("--train-paths", type=click.IntRange(1, 4096), default=256, show_default=True, help="Simulated ones.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Of replays and of learning.")
@click.option(
    "--feed-profile",
    type=click.Choice(["recorded", "2026"]),
    default="2026",
    show_default=True,
    help="Cadence and depth of recorded feeds.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs/policy"),
    show_default=True,
    metavar="FOLDER",
    help="Where the policy goes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON, and nothing else.")
@spread
def train(*, paths: str, output: Path, as_json: bool, **options: Any) -> None:
    """Tune a closed form, learn to steer it from several seeds, and judge what was learned on other paths.

    The folder holds the policy and its card. "No gain, weight 0" is a good result when it is true. With --on every
    seed is a task; the result is the same, and what was done is not done again.
    """
    from hlhft.alpha.policy import RECORD
    from hlhft.extra import need

    if (output / RECORD).exists():
        raise CommandError(f"{output} holds a policy already: give another --output", ExitCode.USAGE)
    need("training a policy", *NEEDED)
    from hlhft.alpha import policy_card, policy_run, policy_writing
    from hlhft.backtest.runs import check_folder
    from hlhft.compiled import cache_folder

    check_folder(output, policy_writing.FILES)
    task, schedule = _task(options), _schedule(options)
    say_if_it_compiles(cache_folder(), hidden=as_json)
    if paths == SIMULATED:
        blocks = policy_run.simulated_blocks(train_paths=options["train_paths"])
    else:
        blocks = policy_run.recorded_blocks(Path(paths), profile=options["feed_profile"])
    with spreading(options, models=True, hidden=as_json) as where:
        if where is None:
            result = _trained(task, blocks, schedule, hidden=as_json)
        else:
            from hlhft.scale.learning import Learning, train_on

            learning = Learning(
                task, schedule, where.storage, paths=None if paths == SIMULATED else Path(paths),
                train_paths=options["train_paths"], profile=options["feed_profile"],
            )  # fmt: skip
            result = train_on(where, learning, task, blocks, schedule)
    record = policy_run.write_result(output, result)
    if as_json:
        click.echo(policy_card.to_json(result.card).decode(), nl=False)
        return
    click.echo(result.card.verdict)
    click.echo(f"Policy {record.policy_id:016x}: {output / 'card.html'}")


def _trained(task: Task, blocks: Blocks, schedule: Schedule, *, hidden: bool) -> Result:
    """Trained in this process. Raises PathError and what replays raise."""
    from hlhft.alpha import policy_run

    parts = 1 + len(schedule.seeds)
    with progress(f"Training a policy, {schedule.steps:,} steps a seed", hidden=hidden) as update:
        done_parts = 0

        def report(what: str, done: int, total: int) -> None:
            nonlocal done_parts
            if update is not None:
                update(round(1000 * (done_parts + done / total)), 1000 * parts)
            done_parts += int(done == total)

        return policy_run.train_policy(task, blocks, schedule, report)


def _schedule(options: dict[str, Any]) -> Schedule:
    from hlhft.alpha.policy_training import Schedule

    first = options["seed"]
    return Schedule(
        steps=options["steps"],
        seeds=tuple(range(first, first + options["seeds"])),
        lanes=options["lanes"],
        threads=options["threads"],
    )


def _task(options: dict[str, Any]) -> Task:
    from hlhft.alpha.fleet import Task
    from hlhft.backtest.models import parse_fees, parse_latency
    from hlhft.backtest.session import Settings
    from hlhft.strategies import load

    strategy = load(options["strategy"])
    params = parameters(options["params"])
    strategy.params_bytes(params)
    parse_latency(options["latency"], seed=1)
    parse_fees(options["fees"])
    settings = Settings(strategy=strategy, params=params, latency=options["latency"], fees=options["fees"])
    return Task(settings=settings, decision_s=options["decision_s"], eta=options["eta"])


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option(
    "--paths",
    default=SIMULATED,
    show_default=True,
    metavar="simulated|RECORDING",
    help="Simulated worlds of other parameters than it was trained on, or a recording.",
)
@click.option(
    "--test-paths", type=click.IntRange(6, 4096), default=128, show_default=True, help="How many simulated ones."
)
@click.option(
    "--feed-profile",
    type=click.Choice(["recorded", "2026"]),
    default="2026",
    show_default=True,
    help="Cadence and depth of a recorded feed.",
)
@click.option(
    "--track",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write what the policy, as it is served, says over the recording, for hlhft backtest --signals.",
)
@click.option("--in-sample", is_flag=True, help="Also on a time that the policy was made from; the result says so.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Of replays.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def evaluate(folder: Path, *, paths: str, track: Path | None, as_json: bool, **options: Any) -> None:
    """Say what a policy would come to against the closed form that it steers, on the same paths.

    It is played as if its weight were 1. Needs nothing of what training needs.
    """
    from hlhft.alpha import policy_evaluation
    from hlhft.alpha.policy import load_policy
    from hlhft.compiled import cache_folder

    if track is not None and paths == SIMULATED:
        raise click.UsageError("--track needs a recording: give one with --paths")
    policy = load_policy(folder)
    task = policy_evaluation.task_of(policy.record)
    say_if_it_compiles(cache_folder(), hidden=as_json)
    market_paths = _paths(paths, options)
    met = _met(policy, market_paths)
    if met and not options["in_sample"]:
        raise CommandError(
            f"{met}: give a recording of another time, or --in-sample to have the result stamped", ExitCode.USAGE
        )
    result = policy_evaluation.result_of(task, market_paths, policy, stamp=met, threads=options["threads"])
    if track is not None:
        _write_track(track, Path(paths), policy, options["feed_profile"])
    click.echo(policy_evaluation.to_json(result).decode() if as_json else policy_evaluation.words(result))


def _write_track(track: Path, recording: Path, policy: Policy, profile: str) -> None:
    from hlhft.alpha.policy_evaluation import task_of, track_of
    from hlhft.backtest.signals import write_track
    from hlhft.data.sources import open_source

    write_track(track, *track_of(task_of(policy.record), open_source(recording), policy, profile=profile))


def _paths(paths: str, options: dict[str, Any]) -> list[MarketPath]:
    from hlhft.alpha.paths import recorded, simulated
    from hlhft.alpha.policy_evaluation import TEST, TEST_SEED
    from hlhft.data.sources import open_source

    if paths == SIMULATED:
        return simulated(TEST, range(TEST_SEED, TEST_SEED + options["test_paths"]))
    return recorded(open_source(Path(paths)), profile=options["feed_profile"])


def _met(policy: Policy, paths: list[MarketPath]) -> str:
    """Which part of the paths the policy was made from, "" for none."""
    from hlhft.report.origins import meetings

    for path in paths:
        found = meetings([policy.record.origin], path.begin_ns, path.end_ns) if path.world is None else ()
        if found:
            return found[0]
    return ""
