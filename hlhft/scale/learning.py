"""`hlhft policy train` as tasks: the closed form tuned in one, then every seed trained and judged in one of its own.

What decides a result is in the task: the closed form, the paths (simulated ones by their number, recordings by
the contents of their files) and the schedule. The same task on the same kind of processor gives the same bytes; on
another kind, the last digits of what is learnt may differ, and a worker with another processor is not used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from hlhft.alpha.fleet import Score, Task
from hlhft.alpha.policy import Weights
from hlhft.backtest.session import Settings
from hlhft.scale.revision import revision
from hlhft.scale.running import Ran
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task as ScaleTask
from hlhft.scale.worker import Job
from hlhft.strategies import load

if TYPE_CHECKING:
    from hlhft.alpha.policy_run import Blocks, Result
    from hlhft.alpha.policy_training import Judged, Schedule, Trained, Tuned

TASKS = ("tune_closed_form", "train_seed")
FILES_MAX = 2048  # recordings of one training
_STRATEGY = "strategy"
_APART = frozenset({"strategy", "params", "signals", "origins"})  # of the settings: files, or said by themselves
_PATH = "path/"  # before the names of recordings among the inputs

Array = tuple[str, tuple[int, ...], bytes]  # dtype, shape, content


class Where(Protocol):
    """Where tasks are run, and told of while they are."""

    def run(self, what: str, tasks: Sequence[ScaleTask]) -> Ran:
        """All tasks, done. Raises TasksFailed where one failed for good, and what the back-end raises."""


class LearningError(ValueError):
    """A training that cannot be told to other machines."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What every task of a training is told."""

    strategy: str  # empty where its file is an input
    params: dict[str, str | float]
    settings: dict[str, Any]  # the others of hlhft.backtest.session.Settings
    task: dict[str, float]  # of hlhft.alpha.fleet.Task, but for its settings
    schedule: dict[str, Any]
    train_paths: int | None  # simulated ones; None: recordings, among the inputs
    profile: str


class Learning:
    """A training cut into tasks; its inputs are put into the storage when it is made."""

    def __init__(
        self, task: Task, schedule: Schedule, storage: Storage, *, paths: Path | None, train_paths: int, profile: str
    ) -> None:
        """`paths` is a folder of recordings or one recording, None for simulated worlds.

        Raises LearningError for what only this machine has, StorageError and OSError.
        """
        self._schedule = schedule
        self.inputs: dict[str, str] = {}
        strategy, name = task.settings.strategy, task.settings.strategy.name
        if strategy.is_user_file:
            self.inputs[_STRATEGY], name = storage.put_file(Path(strategy.source)), ""
        if ":" in task.settings.latency and Path(task.settings.latency.partition(":")[2]).exists():
            raise LearningError(
                f"--latency {task.settings.latency} is a file of this machine: name a model, or train without --on"
            )
        for path in _files_of(paths):
            self.inputs[_PATH + path.name] = storage.put_file(path)
        settings = task.settings
        self._told = Told(
            strategy=name,
            params=dict(settings.params),
            settings={one.name: getattr(settings, one.name) for one in fields(settings) if one.name not in _APART},
            task={one.name: getattr(task, one.name) for one in fields(task) if one.name != "settings"},
            schedule={**asdict(schedule), "seeds": ()},
            train_paths=train_paths if paths is None else None,
            profile=profile,
        )

    def tuning(self) -> ScaleTask:
        """The one task that comes first."""
        return self._made("tune_closed_form", self._told, seed=0)

    def seeds(self, steered: Task) -> list[ScaleTask]:
        """A task a seed, of the closed form as it was tuned."""
        told = msgspec.structs.replace(self._told, params=dict(steered.settings.params))
        return [self._made("train_seed", told, seed=seed) for seed in self._schedule.seeds]

    def _made(self, function: str, told: Told, *, seed: int) -> ScaleTask:
        return ScaleTask(
            function=f"hlhft.scale.learning:{function}",
            params=msgspec.to_builtins(told),
            inputs=self.inputs,
            seed=seed,
            revision=revision(models=True),
        )


def _files_of(paths: Path | None) -> list[Path]:
    if paths is None:
        return []
    entries = sorted(paths.iterdir()) if paths.is_dir() else [paths]
    odd = next((path for path in entries if not path.is_file()), None)
    if odd is not None or len(entries) > FILES_MAX:
        raise LearningError(
            f"{paths}: {odd or f'{len(entries)} entries'}: on other machines a training takes at most {FILES_MAX} "
            "recordings that are a file each; give such a folder, or train without --on"
        )
    return entries


def train_on(where: Where, learning: Learning, task: Task, blocks: Blocks, schedule: Schedule) -> Result:
    """`policy_run.train_policy` of the same arguments, its parts run somewhere. Raises as `Where.run`."""
    from hlhft.alpha.policy_run import result_of
    from hlhft.alpha.policy_training import tuned_task

    (content,) = where.run("Tuning the closed form", [learning.tuning()]).results()
    tuned = unpacked_tuned(content)
    steered = tuned_task(task, tuned)
    tasks = learning.seeds(steered)
    pairs = [unpacked_seed(one) for one in where.run(f"Training {len(tasks)} seeds", tasks).results()]
    return result_of(steered, blocks, schedule, tuned, pairs)


def tune_closed_form(job: Job) -> bytes:
    """The task: `packed_tuned` of the closed form on the blocks."""
    from hlhft.alpha.policy_run import tuned_on

    with _asked(job) as (task, blocks, schedule):
        return packed_tuned(tuned_on(task, blocks, schedule, lambda what, done, total: job.check()))


def train_seed(job: Job) -> bytes:
    """The task: `packed_seed` of the job's seed on the blocks."""
    from hlhft.alpha.policy_run import seed_on

    with _asked(job) as (task, blocks, schedule):
        trained, judged = seed_on(task, blocks, schedule, job.seed, lambda what, done, total: job.check())
        job.log.info("seed %d: gain %+.4f where it was chosen", job.seed, trained.best.gain)
        return packed_seed(trained, judged)


@contextmanager
def _asked(job: Job) -> Iterator[tuple[Task, Blocks, Schedule]]:
    """What a task is told, as the training has it; files of other names are linked under their own."""
    from hlhft.alpha.policy_run import recorded_blocks, simulated_blocks
    from hlhft.alpha.policy_training import Schedule

    told = msgspec.convert(job.params, Told)
    names: Sequence[str] = sorted(job.inputs)
    schedule = Schedule(
        **{
            **told.schedule,
            **{name: tuple(told.schedule[name]) for name in ("hidden", "steered")},
            "seeds": (job.seed,),
        }
    )
    with tempfile.TemporaryDirectory(prefix="hlhft-task-") as made:
        folder = Path(made)
        if _STRATEGY in names:
            (folder / "strategy.py").symlink_to(job.input(_STRATEGY).resolve())
        task = _task_of(told, str(folder / "strategy.py"))
        if told.train_paths is not None:
            yield task, simulated_blocks(train_paths=told.train_paths), schedule
            return
        recordings = folder / "paths"
        recordings.mkdir()
        for name in names:
            if name.startswith(_PATH):
                (recordings / name.removeprefix(_PATH)).symlink_to(job.input(name).resolve())
        yield task, recorded_blocks(recordings, profile=told.profile), schedule


def _task_of(told: Told, file: str) -> Task:
    settings = Settings(strategy=load(told.strategy or file), params=told.params, **told.settings)
    return Task(settings=settings, **told.task)


def packed_tuned(tuned: Tuned) -> bytes:
    """As bytes, the same for the same values."""
    tried = [[dict(params), utility] for params, utility in tuned.tried]
    return msgspec.msgpack.encode([dict(tuned.params), tuned.utility, tried, tuned.steps])


def unpacked_tuned(content: bytes) -> Tuned:
    """What `packed_tuned` packed."""
    from hlhft.alpha.policy_training import Tuned

    params, utility, tried, steps = msgspec.msgpack.decode(content)
    return Tuned(params, utility, [(one, value) for one, value in tried], steps)


def packed_seed(trained: Trained, judged: Judged) -> bytes:
    """As bytes, the same for the same values."""
    best = next(place for place, one in enumerate(trained.checkpoints) if one is trained.best)
    return msgspec.msgpack.encode(
        {
            "seed": trained.seed,
            "checkpoints": [[one.steps, one.gain, _weights_out(one.weights)] for one in trained.checkpoints],
            "best": best,
            "statistics": dict(trained.statistics),
            "policy": {name: _out(value) for name, value in asdict(judged.policy).items()},
            "base": {name: _out(value) for name, value in asdict(judged.base).items()},
        }
    )


def unpacked_seed(content: bytes) -> tuple[Trained, Judged]:
    """What `packed_seed` packed."""
    from hlhft.alpha.policy_training import Checkpoint, Judged, Trained

    found = msgspec.msgpack.decode(content)
    checkpoints = [Checkpoint(steps, gain, _weights_in(weights)) for steps, gain, weights in found["checkpoints"]]
    trained = Trained(found["seed"], checkpoints, checkpoints[found["best"]], found["statistics"])
    return trained, Judged(_score_in(found["policy"]), _score_in(found["base"]))


def _score_in(plain: Mapping[str, Any]) -> Score:
    return Score(**{name: _in(value) for name, value in plain.items()})


def _weights_out(weights: Weights | None) -> Any:
    if weights is None:
        return None
    layers = [[_out(matrix), _out(bias)] for matrix, bias in weights.layers]
    return [_out(weights.mean), _out(weights.scale), layers, list(weights.columns), weights.weight]


def _weights_in(plain: Any) -> Weights | None:
    if plain is None:
        return None
    mean, scale, layers, columns, weight = plain
    pairs = tuple((_in(matrix), _in(bias)) for matrix, bias in layers)
    return Weights(_in(mean), _in(scale), pairs, tuple(columns), weight)


def _out(values: np.ndarray) -> Array:
    return values.dtype.str, values.shape, np.ascontiguousarray(values).tobytes()


def _in(plain: Array) -> np.ndarray:
    kind, shape, content = plain
    return np.frombuffer(content, dtype=kind).reshape(shape).copy()
