"""A policy trained as tasks is the policy trained in one go, to the byte; what was done is not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hlhft.alpha import policy_run
from hlhft.alpha.fleet import Task as PolicyTask
from hlhft.alpha.paths import World, simulate, write_path
from hlhft.alpha.policy_run import write_result
from hlhft.alpha.policy_training import Schedule
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.scale.backends import InProcess
from hlhft.scale.learning import (
    Learning,
    LearningError,
    packed_seed,
    packed_tuned,
    train_on,
    unpacked_seed,
    unpacked_tuned,
)
from hlhft.scale.running import Ran, run
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from hlhft.strategies import load
from tests.alpha import worlds

pytestmark = pytest.mark.alpha

SMALL = Schedule(
    steps=400, seeds=(1, 2), lanes=4, rollout=16, batch=64, epochs=1, checkpoints=2, hidden=(8,),
    steered=("gamma", "spread"),
)  # fmt: skip
HOUR_NS = 3_600_000_000_000


class Here:
    """Threads of this process."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.rans = Storage(folder), list[Ran]()

    def run(self, what: str, tasks: Sequence[Task]) -> Ran:
        with InProcess(self.storage) as backend:
            self.rans.append(run(tasks, backend, self.storage, retries_max=0))
        return self.rans[-1]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(6):
        path, _ = simulate(World(seconds=30.0), number, begin_ns=1_756_994_400_000_000_000 + number * HOUR_NS)
        write_path(folder / f"{number}.npz", path)
    return folder


def learning(where: Here, recordings: Path | None, task: PolicyTask | None = None, **changes: object) -> Learning:
    schedule = replace(SMALL, **changes)  # type: ignore[arg-type]
    return Learning(
        worlds.task() if task is None else task, schedule, where.storage, paths=recordings, train_paths=4,
        profile="recorded",
    )  # fmt: skip


def folder_of(folder: Path, result: policy_run.Result) -> dict[str, bytes]:
    write_result(folder, result)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_the_training_of_one_process_to_the_byte_and_what_is_done_is_skipped(
    recordings: Path, tmp_path: Path
) -> None:
    task = worlds.task()
    blocks = policy_run.recorded_blocks(recordings, profile="recorded")
    whole = folder_of(tmp_path / "whole", policy_run.train_policy(task, blocks, SMALL))
    where = Here(tmp_path / "store")
    spread = train_on(where, learning(where, recordings), task, blocks, SMALL)
    assert folder_of(tmp_path / "spread", spread) == whole
    assert [(len(one.tasks), one.skipped) for one in where.rans] == [(1, 0), (2, 0)]
    more = replace(SMALL, seeds=(1, 2, 3))
    train_on(where, learning(where, recordings, seeds=(1, 2, 3)), task, blocks, more)
    assert [(len(one.tasks), one.skipped) for one in where.rans[2:]] == [(1, 1), (3, 2)]


def test_whatever_decides_the_result_is_in_the_task(recordings: Path, tmp_path: Path) -> None:
    where = Here(tmp_path / "store")
    keys = [learning(where, recordings).tuning().key, learning(where, None).tuning().key]
    keys.append(learning(where, recordings, steps=401).tuning().key)
    keys.append(learning(where, recordings, replace(worlds.task(), eta=0.5)).tuning().key)
    keys.append(learning(where, recordings, replace(worlds.task(), warm_s=3.0)).tuning().key)
    (recordings.parent / "fewer").mkdir()
    for path in sorted(recordings.iterdir())[:5]:
        (recordings.parent / "fewer" / path.name).symlink_to(path)
    keys.append(learning(where, recordings.parent / "fewer").tuning().key)
    assert len(set(keys)) == len(keys)
    again = learning(where, recordings, seeds=(7,))
    assert again.tuning().key == keys[0], "other seeds tune nothing else"
    assert [one.seed for one in again.seeds(worlds.task())] == [7]


def test_what_was_packed_is_unpacked(recordings: Path, tmp_path: Path) -> None:
    blocks = policy_run.recorded_blocks(recordings, profile="recorded")
    tuned = policy_run.tuned_on(worlds.task(), blocks, replace(SMALL, steps=200))
    assert packed_tuned(unpacked_tuned(packed_tuned(tuned))) == packed_tuned(tuned)
    assert unpacked_tuned(packed_tuned(tuned)) == tuned
    pair = policy_run.seed_on(worlds.task(), blocks, replace(SMALL, steps=100), 1)
    assert packed_seed(*unpacked_seed(packed_seed(*pair))) == packed_seed(*pair)
    assert unpacked_seed(packed_seed(*pair))[1].gain == pair[1].gain


def test_a_strategy_of_a_file_goes_along(recordings: Path, tmp_path: Path) -> None:
    from hlhft.core.strategies import glft

    own = tmp_path / "mine.py"
    own.write_text(Path(glft.__file__).read_text())
    where = Here(tmp_path / "store")
    task = replace(worlds.task(), settings=replace(worlds.task().settings, strategy=load(str(own))))
    made = learning(where, recordings, task)
    assert made.tuning().key != learning(where, recordings).tuning().key
    own.rename(tmp_path / "other.py")
    moved = replace(task, settings=replace(task.settings, strategy=load(str(tmp_path / "other.py"))))
    assert learning(where, recordings, moved).tuning().key == made.tuning().key


def test_what_only_this_machine_has_is_refused(recordings: Path, tmp_path: Path) -> None:
    where = Here(tmp_path / "store")
    (tmp_path / "latency.npz").write_bytes(b"")
    task = worlds.task()
    measured = replace(task, settings=replace(task.settings, latency=f"history:{tmp_path / 'latency.npz'}"))
    with pytest.raises(LearningError, match="is a file of this machine"):
        learning(where, recordings, measured)
    (tmp_path / "nested" / "csv").mkdir(parents=True)
    with pytest.raises(LearningError, match="a file each"):
        learning(where, tmp_path / "nested")


def test_the_command_trains_in_tasks_what_it_trains_without(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [
        "policy",
        "train",
        "--paths",
        str(recordings),
        "--feed-profile",
        "recorded",
        "--steps",
        "100",
        "--seeds",
        "2",
    ]
    line += ["--lanes", "2", "--latency", "constant:5", "--output"]
    assert invoke([*line, str(tmp_path / "here")]) == ExitCode.OK
    where = ["--on", "threads", "--store", str(tmp_path / "store"), "--jobs", "1"]
    assert invoke([*line, str(tmp_path / "there"), *where]) == ExitCode.OK
    capsys.readouterr()
    here, there = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("here", "there"))
    assert there == here
