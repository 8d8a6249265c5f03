"""Many sets in one pass are what single backtests give, byte for byte; figures checked by hand; what stops a sweep."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.backtest import sweep
from hlhft.backtest.loop import RECORD_DTYPE
from hlhft.backtest.models import ModelError, parse_fees
from hlhft.backtest.parameter_sets import ParameterSets, choose_sets
from hlhft.backtest.recordings import Recording
from hlhft.backtest.replay import ReplayError, ReplayOutput, prepare, run
from hlhft.backtest.rows import LEVEL, LOCAL_BIT, ROW_DTYPE, TRADE
from hlhft.backtest.session import plan_of
from hlhft.backtest.sweep import (
    FIGURE_DTYPE,
    SweepResult,
    halted_by,
    run_sweep,
    sampled_profit,
    sampled_settings,
    sets_per_pass,
    span_of,
)
from hlhft.core.risk import Breaker
from tests.backtest.sweep_recording import MARKET, MS, START_NS, recording, row, settings, wandering

GRID = ["half=0,1,2,4", "skew=0,1", "order_lots=200,400", "cap_lots=400,800,1600,3200"]


def grid(*texts: str) -> ParameterSets:
    return choose_sets(settings().strategy, texts or ["half=0,2", "order_lots=300", "cap_lots=900"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recording(tmp_path_factory.mktemp("rows"), wandering(6))


@pytest.fixture(scope="module")
def swept(small: Recording) -> SweepResult:
    return run_sweep(settings(), small, grid(), jobs=2)


def everything(output: ReplayOutput) -> list[bytes]:
    """All that a lane's run leaves: fills, records, its state but for scratch, and what the venue says it holds."""
    state = [array for name, array in output.lanes._asdict().items() if name not in ("views", "quotes", "waiting")]
    return [array.tobytes() for array in (output.fills, output.records, output.holdings, *state)]


def test_64_sets_in_one_pass_are_64_single_runs(small: Recording) -> None:
    parameters = grid(*GRID)
    assert len(parameters.sets) == 64
    chosen = settings(record_interval_ns=0)  # a record at every decision
    scenarios = parse_fees("scenarios")[:1]
    together = run(prepare(plan_of(chosen, small.markets, small.streams(), scenarios, parameters.sets)))
    seen = set()
    for number, values in enumerate(parameters.sets):
        single = replace(chosen, params=values)
        alone = run(prepare(plan_of(single, small.markets, small.streams(), scenarios)))
        assert everything(together.lane(number)) == everything(alone), values
        seen.add(alone.fills.tobytes())
    assert len(seen) > 16  # the sets do differ


def test_figures_and_profit_are_those_of_single_runs(small: Recording, swept: SweepResult) -> None:
    for number, values in enumerate(swept.parameters.sets):
        single = replace(swept.settings, params=values)
        alone = run(prepare(plan_of(single, small.markets, small.streams(), swept.scenarios)))
        for scenario in range(len(swept.scenarios)):
            lane = alone.lane(scenario)
            position, figures = lane.lanes.positions[0, 0], swept.figures[number, scenario]
            assert figures["fills"] == position["fills"] == (lane.fills["kind"] == 18).sum() > 0
            assert figures["fee_micro"] == position["fee_micro"] == lane.fills["aux1"].sum()
            assert figures["quoted_ns"] == position["quoted_ns"] > 0
            quanta = int((lane.fills["price_ticks"] * lane.fills["size_lots"]).sum())
            assert figures["volume_micro"] == quanta * 100  # a tick of 0.1 times a lot of 0.001 is 100 micro-USDC
            assert 0 < figures["maker_volume_micro"] <= figures["volume_micro"]
            for name in ("placed", "cancelled", "refused"):
                assert figures[name] == lane.lanes.lane[0, 0][name]
            assert figures["profit_micro"] == swept.profit_micro[number, scenario, -1]
            assert figures["halt_code"] == 0


def test_the_number_of_jobs_and_the_size_of_passes_change_nothing(
    small: Recording, swept: SweepResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "LANES_PER_PASS", 1)
    alone = run_sweep(settings(), small, grid())
    assert alone.figures.tobytes() == swept.figures.tobytes()
    assert alone.profit_micro.tobytes() == swept.profit_micro.tobytes()
    assert alone.metadata() == swept.metadata()


def test_what_a_pass_keeps_does_not_grow_with_the_fills(small: Recording) -> None:
    plan = plan_of(settings(), small.markets, small.streams(), parse_fees("scenarios"), grid().sets)
    kept = run(prepare(plan))
    dropped = run(prepare(replace(plan, streams=small.streams())), keep_fills=False)
    assert len(kept.fills) > 0 and len(dropped.fills) == 0
    assert dropped.records.tobytes() == kept.records.tobytes()
    assert dropped.lanes.positions.tobytes() == kept.lanes.positions.tobytes()


def test_scenarios_can_be_chosen(small: Recording, swept: SweepResult) -> None:
    alone = run_sweep(settings(), small, grid(), scenarios=swept.scenarios[1:2])
    assert alone.figures.tobytes() == swept.figures[:, 1:2].tobytes()
    assert [item.name for item in alone.scenarios] == ["tier 4, maker 0 bp"]


def test_shape_and_identity_of_a_result(small: Recording, swept: SweepResult) -> None:
    assert list(swept.finished) == [0, 1] and not swept.interrupted
    assert swept.figures.shape == (2, 3) and swept.profit_micro.shape == (2, 3, 6)
    assert swept.start_ns == START_NS and swept.span_ns == 6_000 * MS
    assert swept.values(1) == {"half": 2.0, "order_lots": 300.0, "cap_lots": 900.0}
    said = swept.metadata()
    assert said["parameters"] == {"method": "grid", "varied": ["half"], "sets": 2, "repeated": 0}
    assert said["finished"] == 2 and said["complete"] is True
    assert "params" not in said["settings"]  # type: ignore[operator]
    other = replace(swept, settings=replace(swept.settings, seed=2))
    assert other.metadata() != said


def test_table_has_a_row_a_set_and_scenario(swept: SweepResult) -> None:
    rows = swept.table().to_pylist()
    assert [(one["set"], one["param.half"]) for one in rows] == [(0, 0.0)] * 3 + [(1, 2.0)] * 3
    assert [one["scenario"] for one in rows[:3]] == [item.name for item in swept.scenarios]
    assert rows[4]["profit_micro"] == swept.figures[1, 1]["profit_micro"]
    assert rows[0]["halted_by"] is None and "halt_code" not in rows[0]
    figures = swept.figures.copy()
    figures[0, 0]["halt_code"] = Breaker.DRAWDOWN
    assert replace(swept, figures=figures).table().to_pylist()[0]["halted_by"] == "drawdown"


def test_halted_by_names_the_breaker() -> None:
    assert halted_by(0) is None
    assert halted_by(12) == "strategy"


@pytest.mark.parametrize(
    ("sets", "scenarios", "jobs", "size"),
    [(64, 1, 1, 64), (64, 3, 1, 64), (65, 3, 1, 33), (64, 3, 2, 32), (3, 3, 2, 2), (1, 3, 2, 1), (1000, 1, 2, 167)],
)
def test_passes_are_even_and_bounded(sets: int, scenarios: int, jobs: int, size: int) -> None:
    assert sets_per_pass(sets, scenarios, jobs) == size


def record(at_ms: int, bid: int, ask: int, lots: int, cash: int, **more: int) -> np.ndarray:
    one = np.zeros(1, RECORD_DTYPE)
    fields = {"best_bid_ticks": bid, "best_ask_ticks": ask, "position_lots": lots, "cash_quanta": cash, **more}
    one["ts_ns"] = START_NS + at_ms * MS
    for name, value in fields.items():
        one[name] = value
    return one


def test_sampled_profit_by_hand() -> None:
    # Bought 10 lots at 100 ticks: cash -1000 quanta, 100 micro-USDC a quantum; the mid goes 101, unknown, 99.
    records = np.concatenate(
        [
            record(100, 100, 102, 0, 0),
            record(200, 100, 102, 10, -1000, fee_micro=7),
            record(200, 100, 102, 0, 0, lane=1, funding_micro=3),
            record(300, 0, 102, 10, -1000, fee_micro=7),
            record(400, 98, 100, 10, -1000, fee_micro=7, mark_ticks=105),
        ]
    )
    times = START_NS + np.array([50, 150, 200, 300, 350]) * MS
    profit = sampled_profit([MARKET], records, 3, times)
    # The last record comes after the last time and is the final state.
    assert list(profit[0]) == [0, 0, 1000 - 7, 1000 - 7, 5000 - 7]
    assert list(profit[1]) == [0, 0, 3, 3, 3]
    assert list(profit[2]) == [0] * 5


def test_losses_are_truncated_toward_zero_as_in_the_core() -> None:
    spot = replace(MARKET, price_decimals=2, size_decimals=5)  # 10 quanta a micro-USDC
    records = np.concatenate([record(100, 1, 2, 0, -19), record(200, 1, 2, 0, 19)])
    assert list(sampled_profit([spot], records, 1, START_NS + np.array([100, 200]) * MS)[0]) == [-1, 1]


def one_way(tmp_path: Path, *, ask_leaves: bool) -> Recording:
    """A bid that a seller hits at 300 ms, after which the price falls; at the end the asks may be gone."""
    rows = [row(0, LEVEL, 1, 600_000, 100), row(0, LEVEL, -1, 600_001, 100), row(0, LEVEL, 1, 599_000, 100)]
    rows += [row(300, TRADE, -1, 599_990, 5_000), row(400, LEVEL, 1, 600_000, 0), row(400, LEVEL, -1, 599_001, 100)]
    rows += [row(2_000, LEVEL, 1, 599_000, 200)]
    if ask_leaves:
        rows += [row(2_500, LEVEL, -1, 599_001, 0), row(2_500, LEVEL, -1, 600_001, 0)]
    return recording(tmp_path, np.array([*rows, row(2_900, LEVEL, 1, 599_000, 300)], ROW_DTYPE))


@pytest.mark.parametrize("ask_leaves", [False, True])
def test_money_of_one_fill_by_hand(tmp_path: Path, ask_leaves: bool) -> None:
    chosen = settings(fees="0,5", queue="risk-averse", drawdown_e6_max=1_000_000)
    parameters = grid("half=0", "order_lots=100", "cap_lots=100")
    result = run_sweep(chosen, one_way(tmp_path, ask_leaves=ask_leaves), parameters)
    figures = result.figures[0, 0]
    # 100 lots of 0.001 bought at 60,000.0; valued at a mid of 59,900.05: 0.1 x -99.95 USDC, and no fee.
    assert figures["fills"] == 1 and figures["volume_micro"] == figures["maker_volume_micro"] == 6_000 * 1_000_000
    assert figures["profit_micro"] == -9_995_000 and figures["drawdown_micro"] == 9_995_000
    assert figures["fee_micro"] == 0 and figures["halt_code"] == 0
    # Records fall at 0.1 s, 1.1 s, 2.1 s: at one second the newest is older than the fill.
    assert list(result.profit_micro[0, 0]) == [0, -9_995_000, -9_995_000]
    # At +1.5 bp on 6,000 USDC the fee is 0.9 USDC.
    assert result.figures[0, 1]["fee_micro"] == 900_000
    assert result.figures[0, 1]["profit_micro"] == -10_895_000


def test_the_end_is_valued_at_the_mark_where_there_is_one(tmp_path: Path) -> None:
    plain = one_way(tmp_path, ask_leaves=False)
    rows = np.fromfile(plain.files[0].path, ROW_DTYPE)
    marked = np.concatenate([rows, np.array([row(2_950, 7, 1, 599_500, 0)], ROW_DTYPE)])
    parameters = grid("half=0", "order_lots=100", "cap_lots=100")
    chosen = settings(fees="0,5", queue="risk-averse")
    result = run_sweep(chosen, recording(tmp_path, marked, name="marked"), parameters)
    assert result.figures[0, 0]["profit_micro"] == -100 * 500 * 100


def test_a_halted_lane_names_its_breaker(tmp_path: Path) -> None:
    chosen = settings(fees="0,5", queue="risk-averse", drawdown_e6_max=100)
    result = run_sweep(chosen, one_way(tmp_path, ask_leaves=False), grid("half=0", "order_lots=100", "cap_lots=100"))
    assert result.figures[0, 0]["halt_code"] == Breaker.DRAWDOWN


def test_two_markets_are_summed(tmp_path: Path) -> None:
    one = wandering(2)
    both = recording(tmp_path, one, one)
    single = recording(tmp_path, one, name="single")
    chosen = settings(fees="0,5")
    parameters = grid("half=0", "order_lots=300", "cap_lots=900")
    # The quoter trades the first market only, so a second adds nothing but must be looked at.
    pair, alone = run_sweep(chosen, both, parameters), run_sweep(chosen, single, parameters)
    assert pair.figures.tobytes() == alone.figures.tobytes()
    assert alone.figures[0, 0]["fills"] > 0


def test_an_empty_side_from_the_beginning_is_worth_nothing(tmp_path: Path) -> None:
    rows = np.array([row(0, LEVEL, 1, 600_000, 100), row(900, LEVEL, 1, 600_000, 50)], ROW_DTYPE)
    result = run_sweep(settings(), recording(tmp_path, rows), grid("half=0"))
    assert result.profit_micro.sum() == 0 and result.figures["fills"].sum() == 0


def test_span_and_sampling(small: Recording, tmp_path: Path) -> None:
    first, last = span_of(small.files)
    assert first == START_NS and last == START_NS + (6_000 - 50 + 5) * MS
    assert sampled_settings(settings(), small.files).record_interval_ns == 1_000 * MS
    rows = np.array([row(0, LEVEL, 1, 10, 1), row(5_000_000, LEVEL, 1, 10, 1)], ROW_DTYPE)
    long = recording(tmp_path, rows)
    assert sampled_settings(settings(), long.files).record_interval_ns == 6_000 * MS  # 5000.005 s in at most 1000
    rows[1]["word"] = LEVEL | LOCAL_BIT
    assert span_of(recording(tmp_path, rows, name="local").files)[1] == START_NS + 5_000_000 * MS


def test_progress_reaches_the_end_and_never_falls(small: Recording) -> None:
    seen: list[tuple[int, int]] = []
    threads = set()

    def note(done: int, total: int) -> None:
        seen.append((done, total))
        threads.add(threading.get_ident())

    run_sweep(settings(), small, grid("half=0,1,2"), jobs=3, progress=note)
    rows = small.files[0].rows_total
    assert seen[-1] == (3 * rows, 3 * rows) and seen == sorted(seen)
    assert threads == {threading.get_ident()}


def test_an_interrupt_keeps_what_was_finished(small: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "LANES_PER_PASS", 1)
    complete = run_sweep(settings(), small, grid("half=0,1,2"))
    rows = small.files[0].rows_total
    original, never = sweep.run_pass, threading.Event()

    def held(*arguments: Any) -> Any:
        """The first pass as it is; any other only reports, until it is told to stop."""
        sets, progress = arguments[-2:]
        while sets[0]["half"] != 0:
            progress(0, rows)
            never.wait(0.001)
        return original(*arguments)

    def stop(done: int, total: int) -> None:
        if done >= rows:
            raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run_pass", held)
    result = run_sweep(settings(), small, grid("half=0,1,2"), progress=stop)
    assert result.interrupted and result.metadata()["complete"] is False
    kept = list(result.finished)
    assert kept == [0]
    assert result.figures.tobytes() == complete.figures[kept].tobytes()
    assert result.profit_micro.tobytes() == complete.profit_micro[kept].tobytes()


def test_what_is_finished_counts_whatever_the_order_in_which_it_is_looked_at(
    small: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sweep.run_pass

    def last_is_interrupted(*arguments: Any) -> Any:
        if arguments[4][0]["half"] == 3.0:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(sweep, "LANES_PER_PASS", 1)
    monkeypatch.setattr(sweep, "run_pass", last_is_interrupted)
    result = run_sweep(settings(), small, grid("half=0,1,2,3"), jobs=1)
    assert result.interrupted and list(result.finished) == [0, 1, 2]


def test_an_interrupt_before_anything_leaves_an_empty_result(small: Recording) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    result = run_sweep(settings(), small, grid("half=0,1"), progress=stop)
    # A pass may have ended before the first call; what there is, is whole.
    assert result.figures.shape == (len(result.finished), 3)
    assert result.figures.dtype == FIGURE_DTYPE
    assert result.interrupted == (len(result.finished) < 2)


def test_a_pass_that_is_stopped_ends_at_its_next_window(small: Recording) -> None:
    """A pass asks through its progress; what it raises ends it."""

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    times = START_NS + np.arange(1, 7) * 1000 * MS
    with pytest.raises(Stop):
        sweep.run_pass(settings(), small, parse_fees("0,5"), times, [{"half": 1.0}], stop)


def test_errors_of_a_pass_reach_the_caller(tmp_path: Path, small: Recording) -> None:
    with pytest.raises(ModelError, match="fees"):
        run_sweep(settings(fees="x"), small, grid())
    rows = np.array([row(0, LEVEL, 1, 1, 1), row(1, LEVEL, 1, 2**30, 1)], ROW_DTYPE)
    with pytest.raises(ReplayError, match="span more than"):
        run_sweep(settings(), recording(tmp_path, rows), grid("half=0,1,2,3"), jobs=2)
