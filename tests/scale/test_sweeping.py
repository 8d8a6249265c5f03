"""A sweep cut into tasks is the sweep, byte for byte; sharded it is its shards added up; merging has no order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hlhft.backtest.parameter_sets import ParameterSets, SweepError, choose_sets
from hlhft.backtest.recordings import Recording
from hlhft.backtest.sweep import FIGURE_DTYPE, SweepResult, run_sweep
from hlhft.backtest.sweep_files import select_all
from hlhft.scale.backends import InProcess
from hlhft.scale.compiling import Shard, put_here
from hlhft.scale.running import TasksFailed
from hlhft.scale.storage import Storage
from hlhft.scale.sweeping import Sweeper, Table, added, joined, key_of, packed, sets_per_task, unpacked
from tests.backtest.sweep_recording import recording, settings, wandering

GRID = ["half=0,1,2,4", "skew=0,1", "order_lots=200,400", "cap_lots=800"]
DAY_MS = 20_000


def grid() -> ParameterSets:
    return choose_sets(settings().strategy, GRID)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest.fixture(scope="module")
def days(folder: Path) -> list[Recording]:
    """Three stretches of a few seconds, apart, named against their order."""
    made = []
    for number in range(3):
        rows = wandering(3 + number, seed=number + 1)
        rows["ts_ns"] += number * DAY_MS * 1_000_000
        made.append(recording(folder, rows, name=f"day{number}"))
    return made


def shards(recordings: Sequence[Recording], storage: Storage) -> list[Shard]:
    return [put_here(one, storage) for one in recordings]


def swept(recordings: Sequence[Recording], storage: Storage) -> SweepResult:
    with InProcess(storage, 2) as backend:
        sweeper = Sweeper(settings(), shards(recordings, storage), backend, storage)
        table, ran = sweeper.run(grid().sets)
        return sweeper.result(grid(), table, interrupted=ran.interrupted)


def assert_equal(one: SweepResult, other: SweepResult) -> None:
    assert one.table().equals(other.table()) and one.metadata() == other.metadata()
    assert one.profit_micro.tobytes() == other.profit_micro.tobytes()
    assert one.times_ns.tobytes() == other.times_ns.tobytes() and one.figures.tobytes() == other.figures.tobytes()


def test_cut_into_tasks_it_is_the_sweep_byte_for_byte(days: list[Recording], tmp_path: Path) -> None:
    whole = run_sweep(settings(), days[0], grid(), jobs=2)
    assert whole.figures["fills"].max() > 0
    assert_equal(swept(days[:1], Storage(tmp_path)), whole)
    assert len(list((tmp_path / "results").rglob("*"))) >= 2 * 2, "else it was one task"


def test_a_second_run_runs_nothing(days: list[Recording], tmp_path: Path) -> None:
    first = swept(days, Storage(tmp_path))
    storage = Storage(tmp_path)
    with InProcess(storage) as backend:
        sweeper = Sweeper(settings(), shards(days[::-1], storage), backend, storage)
        table, ran = sweeper.run(grid().sets)
    assert ran.attempts == 0 and ran.skipped == len(ran.tasks)
    assert_equal(sweeper.result(grid(), table), first)


def test_shards_are_run_by_themselves_and_added_up(days: list[Recording], tmp_path: Path) -> None:
    together = swept(days, Storage(tmp_path))
    assert together.shards == ("day0", "day1", "day2") and together.metadata()["shards"] == ["day0", "day1", "day2"]
    alone = [run_sweep(settings(), one, grid(), jobs=2) for one in days]
    for name in ("profit_micro", "fee_micro", "fills", "placed", "volume_micro", "quoted_ns"):
        assert np.array_equal(together.figures[name], sum(one.figures[name] for one in alone)), name
    assert np.array_equal(together.times_ns, np.concatenate([one.times_ns for one in alone]))
    changes = [np.diff(one.profit_micro, axis=2, prepend=0) for one in alone]
    assert np.array_equal(np.diff(together.profit_micro, axis=2, prepend=0), np.concatenate(changes, axis=2))
    assert (
        together.figures["drawdown_micro"] >= np.max([one.figures["drawdown_micro"] for one in alone], axis=0)
    ).all()
    assert together.recording.span_ns() == (alone[0].recording.span_ns()[0], alone[2].recording.span_ns()[1])
    selection, *_ = select_all(together, folds=1)
    assert selection.span_ns == len(together.times_ns) * 10**9


def test_the_cut_is_the_same_wherever_it_runs(days: list[Recording], tmp_path: Path) -> None:
    keys = []
    for name, jobs in (("a", 1), ("b", 7)):
        storage = Storage(tmp_path / name)
        with InProcess(storage, jobs) as backend:
            keys.append(
                [
                    task.key
                    for task, _, _ in Sweeper(settings(), shards(days, storage), backend, storage).tasks(grid().sets)
                ]
            )
    assert keys[0] == keys[1] and len(set(keys[0])) == 6


@given(some.integers(1, 5000), some.integers(1, 3), some.integers(1, 400))
def test_a_task_has_no_more_lanes_than_a_pass_and_a_sweep_enough_tasks(sets: int, scenarios: int, shards: int) -> None:
    size = sets_per_task(sets, scenarios, shards)
    assert 1 <= size <= sets and size * scenarios <= 192
    tasks = -(-sets // size) * shards
    assert tasks >= min(16, -(-sets // 8)) or size <= 8


def tables() -> some.SearchStrategy[Table]:
    def part(seed: int) -> tuple[np.ndarray, np.ndarray]:
        figures = np.zeros(1, FIGURE_DTYPE)
        figures["fills"] = seed
        return figures, np.array([[seed]])

    # What is known of a set on a shard is a function of both, as it is in a sweep.
    keys = some.frozensets(some.tuples(some.integers(0, 3), some.sampled_from("abc")), max_size=8)
    return keys.map(lambda found: Table({key: part(7 * key[0] + ord(key[1])) for key in found}))


def known(table: Table) -> dict[tuple[int, str], bytes]:
    return {key: part[0].tobytes() + part[1].tobytes() for key, part in table.parts.items()}


@given(tables(), tables(), tables())
def test_merging_is_associative_and_has_no_order(one: Table, two: Table, three: Table) -> None:
    whole = known(one.merged(two).merged(three))
    assert whole == known(one.merged(two.merged(three))) == known(three.merged(one).merged(two))
    assert known(one.merged(one)) == known(one) == known(Table().merged(one))


def test_two_results_of_one_set_are_refused() -> None:
    figures = np.zeros(1, FIGURE_DTYPE)
    one, other = (Table({(0, "a"): (figures, np.array([[value]]))}) for value in (1, 2))
    with pytest.raises(SweepError, match="set a has two results on shard 0"):
        one.merged(other)


@given(some.lists(some.integers(-50, 50), min_size=1, max_size=6), some.integers(0, 5))
def test_drawdown_of_shards_is_that_of_their_profit_on_end(changes: list[int], cut: int) -> None:
    parts = [part for part in (changes[:cut], changes[cut:]) if part]
    profits = [np.cumsum(part)[np.newaxis, :] for part in parts]
    figures = [np.zeros(1, FIGURE_DTYPE) for _ in parts]
    for number, one in enumerate(figures):
        one["profit_micro"] = profits[number][0, -1]
        one["halt_code"] = number * 3
    total, profit = added(figures, profits)
    whole = np.cumsum(changes)
    assert profit[0].tolist() == whole.tolist() and total["profit_micro"][0] == whole[-1]
    assert total["halt_code"][0] == (3 if len(parts) == 2 else 0)
    if len(parts) == 2:
        high, fall = 0, 0
        for value in whole.tolist():
            high = max(high, value)
            fall = max(fall, high - value)
        assert total["drawdown_micro"][0] == fall


def test_a_set_that_lacks_a_shard_is_not_finished(days: list[Recording], tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with InProcess(storage) as backend:
        sweeper = Sweeper(settings(), shards(days, storage), backend, storage)
        table, _ = sweeper.run(grid().sets)
        lacking = Table({key: part for key, part in table.parts.items() if key != (1, key_of(grid().sets[3]))})
        result = sweeper.result(grid(), lacking, interrupted=True)
        assert result.interrupted and 3 not in result.finished and len(result.finished) == len(grid().sets) - 1
        nothing = sweeper.result(grid(), Table(), interrupted=True)
    assert len(nothing.finished) == 0 and nothing.figures.shape == (0, 3) and nothing.profit_micro.shape[:2] == (0, 3)


def test_stretches_that_overlap_or_are_of_other_markets_are_refused(days: list[Recording], tmp_path: Path) -> None:
    storage = Storage(tmp_path / "store")
    with InProcess(storage) as backend:
        with pytest.raises(SweepError, match="day1 and day1 overlap in time"):
            Sweeper(settings(), shards([days[1], days[0], days[1]], storage), backend, storage)
        rows = wandering(3)
        rows["ts_ns"] += 10 * DAY_MS * 1_000_000
        two = recording(tmp_path, rows, rows, name="two")
        with pytest.raises(SweepError, match="day0 and two are of different markets"):
            Sweeper(settings(), shards([two, days[0]], storage), backend, storage)


def test_files_that_settings_name_go_with_the_tasks(days: list[Recording], tmp_path: Path) -> None:
    """A user's strategy and a history of latencies are inputs; their names are nothing."""
    history = tmp_path / "latency.csv"
    history.write_text("")
    storage = Storage(tmp_path / "store")
    with InProcess(storage) as backend:
        put = shards(days, storage)
        (task, *_) = (one for one, _, _ in Sweeper(settings(), put, backend, storage).tasks(grid().sets))
        assert task.params["strategy"] == "" and set(task.inputs) == {"strategy", "rows0"}
        chosen = settings(latency=f"history:{history}")
        (other, *_) = (one for one, _, _ in Sweeper(chosen, put, backend, storage).tasks(grid().sets))
    assert other.params["settings"]["latency"] == "history:" and set(other.inputs) == {"strategy", "rows0", "latency"}
    assert str(tmp_path) not in str(other.params)


def test_a_task_that_fails_for_good_says_why(days: list[Recording], tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with InProcess(storage) as backend:
        sweeper = Sweeper(settings(), shards(days[:1], storage), backend, storage)
        blob = sweeper.shards[0].rows[0].blob
        (tmp_path / "blobs" / blob[:2] / blob).unlink()
        with pytest.raises(TasksFailed, match="there is no blob"):
            sweeper.run(grid().sets, retries_max=0)


def test_packed_figures_come_back() -> None:
    figures, profit = np.zeros((2, 3), FIGURE_DTYPE), np.arange(24).reshape(2, 3, 4)
    figures["fills"] = [[1, 2, 3], [4, 5, 6]]
    back = unpacked(packed(figures, profit))
    assert back[0].tobytes() == figures.tobytes() and np.array_equal(back[1], profit)


def test_several_recordings_have_one_name(days: list[Recording]) -> None:
    told = [day.outline() for day in days]
    assert joined(told[:1]) is told[0]
    one = joined(told)
    assert one.name == "day0+day2" and one.events == sum(day.events for day in days) and one.fingerprint != "00" * 16
