"""`hlhft policy train` without a terminal: blocks of paths, everything in its order, a folder at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np

from hlhft.alpha.fleet import Fleet, Score, Task
from hlhft.alpha.paths import Path, PathError, Ranges, recorded, simulated
from hlhft.alpha.policy import PolicyRecord, Weights, new_record
from hlhft.alpha.policy_card import DAY_S, Figures, PolicyCard, SeedResult, judged, to_json, to_page
from hlhft.alpha.policy_evaluation import HELD, TEST, TEST_SEED, TRAINING, interval, steered_of
from hlhft.alpha.policy_training import (
    Judged,
    Progress,
    Schedule,
    Trained,
    Tuned,
    judge,
    train,
    tune,
    tuned_task,
)
from hlhft.alpha.policy_writing import write_policy_folder
from hlhft.data.sources import open_source
from hlhft.report.origins import Span

TUNED = {
    "gamma": (1e-3, 10.0),
    "signal_weight": (0.0, 2.0),
    "half_spread_bp_min": (0.0, 2.0),
    "fee_coverage": (0.0, 1.5),
}
EMBARGO_NS = 1500 * 10**9  # five half-lives of the longest memory that an observation has
PATHS_MAX = 4096
RECORDINGS_MIN = 3
_SEEDS = {"train": 0, "chosen": 1_000_000, "test": TEST_SEED}  # of simulated paths, apart by block


@dataclass(frozen=True)
class Blocks:
    """Paths by what they are for; nothing is in two of them."""

    train: Sequence[Path]
    chosen: Sequence[Path]
    test: Sequence[Path]
    words: str
    is_simulated: bool

    @property
    def ranges(self) -> dict[str, tuple[Span, ...]]:
        """What of recordings is in each block."""
        if self.is_simulated:
            return {}
        return {
            name: tuple(Span(coin=path.market.name, from_ns=path.begin_ns, to_ns=path.end_ns) for path in block)
            for name, block in (("train", self.train), ("chosen", self.chosen), ("test", self.test))
        }


def simulated_blocks(
    *, train_paths: int = 256, chosen_paths: int = 64, test_paths: int = 128,
    training: Ranges = TRAINING, held: Ranges = HELD, test: Ranges = TEST,
) -> Blocks:  # fmt: skip
    """Simulated paths, worlds drawn from three sets of ranges. Raises PathError for numbers outside 1..PATHS_MAX."""
    if not all(1 <= number <= PATHS_MAX for number in (train_paths, chosen_paths, test_paths)):
        raise PathError(f"numbers of paths must lie in 1..{PATHS_MAX}")
    blocks = [
        simulated(ranges, range(_SEEDS[name], _SEEDS[name] + number))
        for name, ranges, number in (
            ("train", training, train_paths), ("chosen", held, chosen_paths), ("test", test, test_paths),
        )
    ]  # fmt: skip
    learn, choose, judge_on = blocks
    return Blocks(learn, choose, judge_on, f"simulated, {train_paths} to learn from", True)


def recorded_blocks(folder: FilePath, *, profile: str) -> Blocks:
    """The recordings in a folder in order of time: half to learn from, a quarter to choose on, a quarter to judge on.

    Of later blocks, what begins within EMBARGO_NS of the end of the one before is left out. Raises PathError when
    too little is left, DataError as reading does.
    """
    entries = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    sources = {source.fingerprint(): source for source in (open_source(entry) for entry in entries)}
    paths = sorted(
        (path for source in sources.values() for path in recorded(source, profile=profile)),
        key=lambda path: (path.begin_ns, path.name),
    )
    first, second = len(paths) // 2, len(paths) * 3 // 4
    learn = paths[:first]
    choose, last = _after(learn, paths[first:second]), _after(paths[:second], paths[second:])
    if len(paths) < RECORDINGS_MIN or not (learn and choose and last):
        raise PathError(
            f"{folder}: {len(paths)} recordings do not make three blocks {EMBARGO_NS // 10**9} s apart, to learn from, "
            "to choose on and to judge on; give more of them, or --paths simulated"
        )
    return Blocks(learn, choose, last, f"{len(paths)} recordings in {folder.name}", False)


def _after(before: Sequence[Path], paths: Sequence[Path]) -> list[Path]:
    end_ns = max((path.end_ns for path in before), default=0) + EMBARGO_NS
    return [path for path in paths if path.begin_ns > end_ns]


def _figures(score: Score, tail: float) -> Figures:
    return Figures(
        utility=interval(score.utility), profit=interval(score.profit),
        drawdown=interval(score.drawdown), tail=tail, inventory=interval(score.inventory),
    )  # fmt: skip


def _seed_result(trained: Trained, found: Judged) -> SeedResult:
    return SeedResult(
        seed=trained.seed,
        steps=tuple(one.steps for one in trained.checkpoints),
        held_gain=tuple(one.gain for one in trained.checkpoints),
        chosen_steps=trained.best.steps,
        test_gain=found.gain,
        drawdown_ratio=found.drawdown_ratio,
    )


@dataclass(frozen=True)
class Result:
    """Everything that a run of training came to."""

    card: PolicyCard
    weights: Weights  # with its weight, 0 where no gain was found
    record: PolicyRecord
    probes: np.ndarray


def train_policy(task: Task, blocks: Blocks, schedule: Schedule, progress: Progress | None = None) -> Result:
    """Tunes the closed form, trains every seed, and judges the one that was best on the paths to choose on.

    Raises PathError for paths too short for one decision and what replays raise.
    """
    tuned = tuned_on(task, blocks, schedule, progress)
    steered = tuned_task(task, tuned)
    seeds = [seed_on(steered, blocks, schedule, seed, _named(progress, seed)) for seed in schedule.seeds]
    return result_of(steered, blocks, schedule, tuned, seeds)


def tuned_on(task: Task, blocks: Blocks, schedule: Schedule, progress: Progress | None = None) -> Tuned:
    """The closed form tuned on a quarter of the paths to learn from. Raises PathError for paths too short."""
    ranges = {name: span for name, span in TUNED.items() if name in task.settings.strategy.parameters}
    shown = blocks.train[: max(len(blocks.train) // 4, 1)]
    return tune(task, shown, ranges, steps=schedule.steps, threads=schedule.threads, progress=progress)


def seed_on(
    steered: Task, blocks: Blocks, schedule: Schedule, seed: int, progress: Progress | None = None
) -> tuple[Trained, Judged]:
    """One seed on the tuned task, and its best on the paths to judge on. Raises as `train`."""
    trained = train(steered, blocks.train, blocks.chosen, schedule, seed, progress=progress)
    return trained, judge(steered, blocks.test, trained.best.weights, threads=schedule.threads)


def _named(progress: Progress | None, seed: int) -> Progress | None:
    return None if progress is None else lambda what, done, total: progress(f"seed {seed}: {what}", done, total)


def result_of(
    task: Task, blocks: Blocks, schedule: Schedule, tuned: Tuned, pairs: Sequence[tuple[Trained, Judged]]
) -> Result:
    """What all seeds come to, in order of the schedule's; `task` is the tuned one."""
    seeds, found = [trained for trained, _ in pairs], [one for _, one in pairs]
    best = max(range(len(seeds)), key=lambda number: seeds[number].best.gain)
    chosen, trained = found[best], seeds[best]
    worst, base_worst = chosen.tail()
    gain = chosen.gain
    days = float(chosen.base.seconds.sum()) / DAY_S
    verdict, weight = judged(
        gain, chosen.drawdown_ratio, (worst, base_worst), days=days, is_simulated=blocks.is_simulated
    )
    if trained.best.weights is None:
        verdict, weight = (
            "No gain: nothing that was learned beat the closed form where it was chosen. Its weight is 0.",
            0.0,
        )
    steered = steered_of(task)
    card = PolicyCard(
        verdict=verdict, weight=weight, paths=blocks.words, simulated=blocks.is_simulated, test_paths=len(blocks.test),
        test_days=days, policy=_figures(chosen.policy, worst), closed_form=_figures(chosen.base, base_worst), gain=gain,
        gain_over_seeds=interval(np.array([one.gain.mean for one in found])),
        drawdown_ratio=chosen.drawdown_ratio,
        seeds=tuple(_seed_result(*pair) for pair in zip(seeds, found, strict=True)), tuned=dict(tuned.params),
        candidates=len(tuned.tried), tuning_steps=tuned.steps, training_steps=schedule.steps, eta=task.eta,
        settings={
            "strategy": steered.strategy, "latency": steered.latency, "queue": steered.queue, "fees": steered.fees,
            "decision_s": steered.decision_s,
        },
    )  # fmt: skip
    learned = trained.best.weights or next(one.weights for one in reversed(trained.checkpoints) if one.weights)
    weights = Weights(learned.mean, learned.scale, learned.layers, learned.columns, weight)
    record = new_record(
        actions=schedule.steered, hidden=schedule.hidden, weight=weight, steered=steered, ranges=blocks.ranges,
        embargo_ns=0 if blocks.is_simulated else EMBARGO_NS, paths=blocks.words, seed=trained.seed,
    )  # fmt: skip
    return Result(card, weights, record, probes_of(task, blocks.chosen))


def probes_of(task: Task, paths: Sequence[Path], count: int = 32) -> np.ndarray:
    """float32[count, O]: what a policy sees on the first path while the closed form quotes, and zeros for a path that
    is shorter."""
    fleet = Fleet(task, 1)
    fleet.assign(0, paths[0])
    fleet.begin(np.ones(1, bool))
    probes = np.zeros((count, fleet.observations.shape[1]), np.float32)
    for number in range(min(count, task.decisions(paths[0]))):
        probes[number] = fleet.observations[0]
        fleet.step(np.zeros((1, 4), np.float32))
    return probes


def write_result(folder: FilePath, result: Result) -> PolicyRecord:
    """The policy folder of a run. Raises as `write_policy_folder` does."""
    return write_policy_folder(
        folder, result.weights, result.record, result.probes, to_json(result.card), to_page(result.card)
    )
