"""Replays that wait for actions: what a slot does is what a backtest does, to the byte, whatever the others do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from hlhft.alpha import action, observation
from hlhft.alpha.fleet import Fleet, Task, evaluate
from hlhft.alpha.lanes import OUTCOME_DTYPE
from hlhft.alpha.paths import Path, PathError, recorded, write_path
from hlhft.backtest.loop import Status
from hlhft.backtest.models import parse_fees
from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.replay import ReplayOutput, prepare, run
from hlhft.backtest.session import Settings, plan_of
from hlhft.core.state import Mode
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.events import EVENT_DTYPE, EventKind
from tests.alpha import worlds

# Its compilation is of the environment alone, which only these tests need.
pytestmark = pytest.mark.alpha

FIGURES = ("position_lots", "cash_quanta", "fee_micro", "funding_micro", "fills", "traded_lots", "maker_quanta")
BY_FILL = ("ts_exch_ns", "ts_local_ns", "order_id", "price_ticks", "size_lots", "aux0", "aux1", "side", "reason")


def played(task: Task, path: Path, seed: int, *, slots: int = 1, scale: float = 1.0) -> Fleet:
    """A fleet whose slot 0 played the path to its end with random actions of that seed, as all its other slots did
    with theirs."""
    fleet = Fleet(task, slots)
    for number in range(slots):
        fleet.assign(number, path)
    fleet.begin(np.ones(slots, bool))
    randoms = [np.random.default_rng(seed + number) for number in range(slots)]
    for _ in range(task.decisions(path)):
        draws = [random.uniform(-1.0, 1.0, action.SIZE) for random in randoms]
        fleet.step((scale * np.array(draws)).astype(np.float32))
    fleet.finish(0)
    return fleet


def backtested(settings: Settings, source: object, profile: str, signals: np.ndarray) -> ReplayOutput:
    """The output of the backtest's own code on the source with these signals."""
    recording = compile_recording(source, profile=profile)
    plan = plan_of(settings, recording.markets, recording.streams(), parse_fees(settings.fees)[:1])
    return run(prepare(replace(plan, signals=signals)))


def assert_same(fleet: Fleet, output: ReplayOutput) -> None:
    """Fills, fees and equity of slot 0 are those of the backtest."""
    slot = fleet.slots[0]
    assert slot is not None and fleet.episodes["status"][0] == Status.DONE
    fills = slot.fills[: int(slot.loop["fill_count"][0])]
    assert len(fills) == len(output.fills) > 0
    for name in BY_FILL:
        np.testing.assert_array_equal(fills[name], output.fills[name])
    for name in FIGURES:
        assert slot.lanes.positions[name][0, 0] == output.lanes.positions[name][0, 0]
    for name in ("equity_micro", "placed", "cancelled", "refused", "decisions", "mode"):
        assert slot.lanes.lane[name][0, 0] == output.lanes.lane[name][0, 0]


@pytest.mark.parametrize(("strategy", "latency"), [("glft", "blocks"), ("avellaneda_stoikov", "10,20")])
def test_a_lane_is_what_the_backtest_finds_on_its_path(tmp_path: FilePath, strategy: str, latency: str) -> None:
    """Through a file: the path as a recording, what the lane was told as its signals."""
    settings = worlds.real(strategy, latency=latency)
    task = Task(settings=settings, decision_s=2.0, delay_ms=3.0)
    path = worlds.path(7, sigma_high_bp=2.0, drift_bp=0.3, feed_ms=20.0, adverse_bp=0.2, intensity_a=3.0)
    fleet = played(task, path, 3)
    told = fleet.told(0)
    assert {int(kind) for kind in told["kind"]} == {EventKind.SIGNAL, EventKind.POLICY}
    write_path(tmp_path / "path.npz", path)
    output = backtested(settings, open_source(tmp_path / "path.npz"), "recorded", told)
    assert_same(fleet, output)


def test_a_lane_on_a_recording_is_what_the_backtest_finds_on_it() -> None:
    source = open_source(bundled())
    (path,) = recorded(source, profile="2026")
    settings = worlds.real()
    task = Task(settings=settings, decision_s=5.0)
    fleet = played(task, path, 5)
    assert_same(fleet, backtested(settings, open_source(bundled()), "2026", fleet.told(0)))


def test_what_a_lane_does_depends_on_no_other() -> None:
    task, path = Task(settings=worlds.real()), worlds.path(3)
    alone, among = played(task, path, 1), played(task, path, 1, slots=4)
    assert alone.outcomes[0] == among.outcomes[0]
    assert alone.told(0).tobytes() == among.told(0).tobytes()
    assert alone.slots[0].lanes.positions.tobytes() == among.slots[0].lanes.positions.tobytes()


def test_threads_change_nothing() -> None:
    task, paths = Task(settings=worlds.real()), [worlds.path(seed) for seed in range(3)]
    one, two = evaluate(task, paths), evaluate(task, paths, threads=2)
    np.testing.assert_array_equal(one.reward, two.reward)


def test_actions_of_zero_are_the_closed_form() -> None:
    """Bit for bit: as if nobody had ever told it a policy."""
    settings, path = worlds.real(), worlds.path(9)
    fleet = played(Task(settings=settings), path, 1, scale=0.0)
    assert np.all(fleet.told(0)["price_ticks"] == 1_000_000)
    silent = Fleet(Task(settings=settings), 1)
    silent.assign(0, path)
    silent.begin(np.ones(1, bool))
    silent.finish(0)
    assert len(silent.told(0)) == 0
    for name in FIGURES:
        assert silent.slots[0].lanes.positions[name][0, 0] == fleet.slots[0].lanes.positions[name][0, 0]


def test_an_action_changes_what_is_quoted() -> None:
    task, paths = worlds.task(), [worlds.path(seed) for seed in range(4)]
    wide = evaluate(task, paths, lambda seen, fleet: np.tile(np.float32([0, 0, 1, 0]), (4, 1)))
    assert wide.utility.mean() < evaluate(task, paths).utility.mean()


def test_a_step_adds_up() -> None:
    """Profit is the change in equity, the penalty eta q^2 sigma^2; drawdowns add up to the deepest; closing costs."""
    task = worlds.task(eta=0.1, close_bp=7.0, drawdown_weight=0.5)
    path = worlds.path(4, sigma_bp=2.0)
    fleet = Fleet(task, 1)
    fleet.assign(0, path)
    fleet.begin(np.ones(1, bool))
    outcomes, earned = [], [int(fleet.episodes["earned_micro"][0])]
    held = [float(fleet.episodes["inventory"][0])]
    for _ in range(task.decisions(path)):
        fleet.step(np.zeros((1, action.SIZE), np.float32))
        outcomes.append(fleet.outcomes[0].copy())
        earned.append(int(fleet.episodes["earned_micro"][0]))
        held.append(float(fleet.episodes["inventory"][0]))
    found = np.array(outcomes, OUTCOME_DTYPE)
    unit = 500.0 * 100.0
    np.testing.assert_allclose(found["profit"], np.diff(earned) / unit)
    squares = np.square(held)
    np.testing.assert_allclose(found["risk"], 0.1 * 0.5 * (squares[1:] + squares[:-1]) * 4.0, rtol=1e-9)
    line = np.array(earned)
    assert found["drawdown"].sum() == pytest.approx((np.maximum.accumulate(line) - line).max() / unit)
    assert list(found["done"]) == [0] * (len(found) - 1) + [1]
    assert found["closing"][-1] == pytest.approx(7.0 * abs(held[-1])) and not found["closing"][:-1].any()
    np.testing.assert_allclose(
        found["reward"], found["profit"] - found["risk"] - 0.5 * found["drawdown"] - found["closing"]
    )


def test_what_was_earned_before_the_first_decision_counts_for_nobody() -> None:
    task = worlds.task(warm_s=50.0)
    fleet = Fleet(task, 1)
    fleet.assign(0, worlds.path(4))
    fleet.begin(np.ones(1, bool))
    before = int(fleet.episodes["earned_micro"][0])
    assert before != 0
    fleet.step(np.zeros((1, action.SIZE), np.float32))
    after = int(fleet.episodes["earned_micro"][0])
    assert fleet.outcomes["profit"][0] == pytest.approx((after - before) / 50_000.0)


def test_a_recorded_path_is_charged_by_the_volatility_that_was_measured() -> None:
    (path,) = recorded(open_source(bundled()), profile="2026")
    assert path.variance is None
    score = evaluate(worlds.task(worlds.real(), decision_s=5.0, eta=1.0), [path])
    assert np.isfinite(score.utility).all()
    assert score.utility[0] < evaluate(worlds.task(worlds.real(), decision_s=5.0, eta=0.0), [path]).utility[0]


def test_what_cannot_be_played_is_refused() -> None:
    fleet = Fleet(worlds.task(warm_s=59.5), 1)
    with pytest.raises(PathError, match=r"simulated-1 is too short: a path needs 60\.5 s, this one has 60\.0 s"):
        fleet.assign(0, worlds.path())
    with pytest.raises(PathError, match="a fleet has 1 to 4096 slots, not 0"):
        Fleet(worlds.task(), 0)
    with pytest.raises(PathError, match=r"a task's decision_s must lie in 0\.1\.\.60, not 0\.01"):
        worlds.task(decision_s=0.01)
    with pytest.raises(PathError, match="strategy funding has no parameter order_notional_usdc"):
        Task(settings=worlds.real("funding"))


def test_a_lane_that_halts_ends_no_other() -> None:
    """A breaker stops one lane's orders; its path goes on, and so do the rest."""
    settings = replace(worlds.real(), capital_micro=20_000_000, drawdown_e6_max=1)
    path = worlds.path(2, sigma_bp=5.0)
    fleet = played(Task(settings=settings), path, 1, slots=2)
    assert fleet.slots[0].lanes.lane["mode"][0, 0] == Mode.HALTED
    assert np.isfinite(fleet.observations).all() and np.abs(fleet.observations).max() <= observation.LIMIT
    assert fleet.told(1).dtype == EVENT_DTYPE
