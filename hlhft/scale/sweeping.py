"""A sweep cut into tasks, each a shard of the data times a block of sets, and put together again.

A shard is a recording of its own: without shards there is one, the whole, and the result is `run_sweep`'s byte for
byte. With several, a day each say, every set starts each of them anew, without a position and with its whole capital,
and its figures are added up in order of time.

How a sweep is cut does not depend on where it runs, so what one machine did, another need not. What tasks gave is put
together by set and shard, in whatever order it comes.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.backtest.models import FeeScenario, parse_fees
from hlhft.backtest.parameter_sets import ParameterSets, SweepError
from hlhft.backtest.recordings import Outline, Recording, RowFile
from hlhft.backtest.session import Settings
from hlhft.backtest.sweep import (
    FIGURE_DTYPE,
    LANES_PER_PASS,
    SAMPLE_NS_MIN,
    SAMPLES_MAX,
    SweepResult,
    run_pass,
)
from hlhft.scale.backends import Backend
from hlhft.scale.compiling import Shard
from hlhft.scale.revision import revision
from hlhft.scale.running import RETRIES_MAX, Failure, Ran, run
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from hlhft.scale.worker import Job
from hlhft.strategies import Strategy, load
from hlhft.units import Market

TASKS = ("run_block",)
TASKS_WANTED = 32  # so that a small sweep has something for every core as well
SETS_MIN = 8  # fewer in a task, and walking the rows would cost more than the lanes
SHARDS_MAX = 4096
STRATEGIES_MAX = 8  # that a process keeps compiled
_APART = frozenset({"strategy", "params", "signals", "origins"})  # of the settings: not said as plain values
_FILES_OF_LATENCY = ("history", "measured")
_LOADING = threading.Lock()  # loading a strategy sets where compiled code goes, for all threads

Set = Mapping[str, float]
Progress = Callable[[int, int], None]


def key_of(values: Set) -> str:
    """What names a set, whatever the order of its parameters."""
    return msgspec.json.encode(dict(values), order="deterministic").decode()


@dataclass(frozen=True)
class Table:
    """What is known of sets on shards: figures FIGURE_DTYPE[C] and profit int64[C, T] by shard and `key_of` the set.

    Merging is associative, and its order is nothing.
    """

    parts: Mapping[tuple[int, str], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def merged(self, other: Table) -> Table:
        """All that either knows. Raises SweepError where they know different things of the same set and shard."""
        for key in self.parts.keys() & other.parts.keys():
            if any(a.tobytes() != b.tobytes() for a, b in zip(self.parts[key], other.parts[key], strict=True)):
                raise SweepError(
                    f"set {key[1]} has two results on shard {key[0]}: machines or code differ, name a fresh --store"
                )
        return Table({**self.parts, **other.parts})

    def of_set(self, shards: int, values: Set) -> tuple[np.ndarray, np.ndarray] | None:
        """A set's figures FIGURE_DTYPE[C] and profit int64[C, T] over all shards in order; None where one lacks."""
        key = key_of(values)
        parts = [self.parts.get((shard, key)) for shard in range(shards)]
        known = [part for part in parts if part is not None]
        return added([part[0] for part in known], [part[1] for part in known]) if len(known) == shards else None


def added(figures: Sequence[np.ndarray], profits: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One set's figures FIGURE_DTYPE[C] and profit int64[C, T] of several shards, in order of time, as those of one.

    A profit goes on from where the shard before ended; the breaker is the first that ended a shard.
    """
    if len(figures) == 1:
        return figures[0], profits[0]
    total = np.zeros_like(figures[0])
    for name in FIGURE_DTYPE.names or ():
        if name not in ("drawdown_micro", "halt_code"):
            total[name] = sum(one[name] for one in figures)
    for one in figures:
        total["halt_code"] = np.where(total["halt_code"] == 0, one["halt_code"], total["halt_code"])
    ends = np.cumsum([profit[:, -1] for profit in profits], axis=0)
    joined = [profits[0], *(profit + end[:, np.newaxis] for profit, end in zip(profits[1:], ends))]
    profit = np.concatenate(joined, axis=1)
    total["drawdown_micro"] = (np.maximum.accumulate(np.maximum(profit, 0), axis=1) - profit).max(axis=1)
    return total, profit


def sets_per_task(sets: int, scenarios: int, shards: int) -> int:
    """How many sets a task holds: a whole pass where there are many, fewer where that leaves too few tasks.

    It depends on the sweep alone, so that the same sweep has the same tasks everywhere.
    """
    blocks = max(1, -(-TASKS_WANTED // shards))
    return max(1, min(LANES_PER_PASS // scenarios, max(SETS_MIN, -(-sets // blocks)), sets))


class Sweeper:
    """Runs sets over shards on a back-end. What is needed there is put into the storage when it is made.

    The rows are there already, however they came there (`hlhft.scale.compiling`).
    """

    def __init__(
        self,
        settings: Settings,
        shards: Sequence[Shard],
        backend: Backend,
        storage: Storage,
        *,
        scenarios: Sequence[FeeScenario] | None = None,
    ) -> None:
        """Raises SweepError for shards that overlap or are of different markets, StorageError and OSError."""
        assert settings.signals is None and shards
        self.backend, self.storage = backend, storage
        self.scenarios = parse_fees(settings.fees) if scenarios is None else scenarios
        self.shards = _in_order(shards)
        spans = sum(shard.told.last_ns - shard.told.first_ns for shard in self.shards)
        interval_ns = max(-(-spans // (SAMPLES_MAX * SAMPLE_NS_MIN)), 1) * SAMPLE_NS_MIN
        self.settings = replace(settings, params={}, record_interval_ns=interval_ns)
        self.settings.strategy.address()  # a file that does not compile is refused here, and once
        self._params, self._inputs = _said(self.settings, storage)

    def tasks(self, sets: Sequence[Set]) -> list[tuple[Task, int, Sequence[Set]]]:
        """Each task with its shard's place and its sets."""
        size = sets_per_task(len(sets), len(self.scenarios), len(self.shards))
        blocks = [sets[start : start + size] for start in range(0, len(sets), size)]
        return [(self._task(shard, block), place, block) for place, shard in enumerate(self.shards) for block in blocks]

    def _task(self, shard: Shard, block: Sequence[Set]) -> Task:
        return Task(
            function="hlhft.scale.sweeping:run_block",
            params={
                **self._params,
                "scenarios": msgspec.to_builtins(list(self.scenarios)),
                "markets": msgspec.to_builtins(list(shard.told.markets)),
                "files": [[rows.total, rows.low_ticks, rows.high_ticks] for rows in shard.rows],
                "times_ns": shard.times_ns(self.settings.record_interval_ns)[[0, -1]].tolist(),
                "sets": [dict(values) for values in block],
            },
            inputs={**self._inputs, **{f"rows{index}": rows.blob for index, rows in enumerate(shard.rows)}},
            seed=self.settings.seed,
            revision=revision(),
        )

    def run(
        self,
        sets: Sequence[Set],
        *,
        retries_max: int = RETRIES_MAX,
        progress: Progress | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        on_remark: Callable[[str], None] | None = None,
    ) -> tuple[Table, Ran]:
        """What the sets made, and how the tasks went. Raises TasksFailed where one failed for good."""
        cut = self.tasks(sets)
        ran = run(
            [task for task, _, _ in cut],
            self.backend,
            self.storage,
            retries_max=retries_max,
            progress=progress,
            on_failure=on_failure,
            on_remark=on_remark,
        )
        ran.refuse_failures()
        parts: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}
        for place in sorted(ran.finished):
            _, shard, block = cut[place]
            figures, profit = unpacked(ran.read(place))
            for row, values in enumerate(block):
                parts[shard, key_of(values)] = (figures[row], profit[row])
        return Table(parts), ran

    def result(self, parameters: ParameterSets, table: Table, *, interrupted: bool = False) -> SweepResult:
        """The sweep as `run_sweep` gives it, of the sets that are known on every shard."""
        known = [table.of_set(len(self.shards), values) for values in parameters.sets]
        done = [one for one in known if one is not None]
        interval_ns = self.settings.record_interval_ns
        times = np.maximum.accumulate(np.concatenate([shard.times_ns(interval_ns) for shard in self.shards]))
        empty = (
            np.zeros((0, len(self.scenarios)), FIGURE_DTYPE),
            np.zeros((0, len(self.scenarios), len(times)), np.int64),
        )
        told = [shard.told for shard in self.shards]
        return SweepResult(
            settings=self.settings,
            recording=joined(told),
            parameters=parameters,
            scenarios=self.scenarios,
            finished=np.flatnonzero([one is not None for one in known]),
            figures=np.stack([one[0] for one in done]) if done else empty[0],
            times_ns=times,
            profit_micro=np.stack([one[1] for one in done]) if done else empty[1],
            interrupted=interrupted and len(done) < len(parameters.sets),
            shards=tuple(one.name for one in told) if len(told) > 1 else (),
        )


def _in_order(shards: Sequence[Shard]) -> list[Shard]:
    """The shards in order of time."""
    if len(shards) > SHARDS_MAX:
        raise SweepError(f"{len(shards)} shards are more than {SHARDS_MAX}: sweep over a part at a time")
    ordered = sorted(shards, key=lambda shard: shard.told.span_ns())
    for one, other in itertools.pairwise(shard.told for shard in ordered):
        if other.first_ns < one.last_ns - SAMPLE_NS_MIN:
            raise SweepError(f"{one.name} and {other.name} overlap in time: name each stretch of time once")
        if one.markets != other.markets:
            raise SweepError(f"{one.name} and {other.name} are of different markets: sweep over each by itself")
    return ordered


def joined(told: Sequence[Outline]) -> Outline:
    """Several recordings under one name, for what is told of a sweep over them; one stays as it is."""
    if len(told) == 1:
        return told[0]
    digest = hashlib.blake2b(" ".join(one.fingerprint for one in told).encode(), digest_size=16)
    counts: dict[str, int] = {}
    for one in told:
        for name, count in one.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Outline(
        name=f"{told[0].name}+{told[-1].name}",
        fingerprint=digest.hexdigest(),
        profile=told[0].profile,
        markets=told[0].markets,
        events=sum(one.events for one in told),
        counts=counts,
        first_ns=min(one.first_ns for one in told),
        last_ns=max(one.last_ns for one in told),
    )


def _said(settings: Settings, storage: Storage) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings as a task's parameters, and what of them is files as its inputs."""
    plain = {name: getattr(settings, name) for name in settings.__dataclass_fields__ if name not in _APART}
    inputs: dict[str, str] = {}
    strategy = settings.strategy
    if strategy.is_user_file:
        inputs["strategy"] = storage.put_bytes(strategy.fingerprint)  # which is its source
    kind, _, path = settings.latency.partition(":")
    if kind in _FILES_OF_LATENCY:
        inputs["latency"] = storage.put_bytes(Path(path).read_bytes())
        plain["latency"] = f"{kind}:"
    # Of a user's file the name is nothing, and the content is among the inputs.
    return {"settings": plain, "strategy": "" if strategy.is_user_file else strategy.name}, inputs


def run_block(job: Job) -> bytes:
    """The task: one pass of a block of sets over a shard, `packed`."""
    params = job.params
    said = dict(params["settings"])
    if said["latency"].partition(":")[0] in _FILES_OF_LATENCY:
        said["latency"] += str(job.input("latency"))
    settings = Settings(strategy=_strategy(job), **said)
    files = tuple(
        RowFile(job.input(f"rows{index}"), total, low, high) for index, (total, low, high) in enumerate(params["files"])
    )
    recording = Recording(
        name="shard",
        fingerprint="",
        profile="",
        markets=tuple(msgspec.convert(params["markets"], list[Market])),
        files=files,
        events=0,
        counts={},
    )
    first, last = params["times_ns"]
    times = np.arange(first, last + 1, settings.record_interval_ns)
    scenarios = msgspec.convert(params["scenarios"], list[FeeScenario])
    figures, profit = run_pass(settings, recording, scenarios, times, params["sets"], functools.partial(_noted, job))
    job.log.info("%d sets over %d rows", len(params["sets"]), sum(file.rows_total for file in files))
    return packed(figures, profit)


def _noted(job: Job, done: int, total: int) -> None:
    job.check()


def _strategy(job: Job) -> Strategy:
    """The strategy, compiled once a process."""
    with _LOADING:
        if job.params["strategy"]:
            return _built_in(str(job.params["strategy"]))
        return _from_source(job.input("strategy").read_bytes())


@functools.lru_cache(STRATEGIES_MAX)
def _built_in(name: str) -> Strategy:
    strategy = load(name)
    strategy.address()
    return strategy


@functools.lru_cache(STRATEGIES_MAX)
def _from_source(source: bytes) -> Strategy:
    """As a file's, under a name that Python's files have."""
    with tempfile.TemporaryDirectory(prefix="hlhft-task-") as folder:
        path = Path(folder, "strategy.py")
        path.write_bytes(source)
        strategy = load(str(path))
        strategy.address()
    return strategy


def packed(figures: np.ndarray, profit: np.ndarray) -> bytes:
    """FIGURE_DTYPE[K, C] and int64[K, C, T] as bytes, the same for the same values."""
    return msgspec.msgpack.encode([list(profit.shape), figures.tobytes(), profit.tobytes()])


def unpacked(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """What `packed` was given."""
    shape, figures, profit = msgspec.msgpack.decode(content, type=tuple[list[int], bytes, bytes])
    return (
        np.frombuffer(figures, FIGURE_DTYPE).reshape(shape[:2]),
        np.frombuffer(profit, np.int64).reshape(shape),
    )
