"""A sweep's folder: complete or not there, the same bytes each time, and the same figures in every file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from hlhft.backtest import sweep_files
from hlhft.backtest.parameter_sets import choose_sets
from hlhft.backtest.rows import LEVEL, ROW_DTYPE
from hlhft.backtest.runs import RunError, results_of
from hlhft.backtest.selection import FOLDS, Selection
from hlhft.backtest.session import in_sample, origins_of, run_backtest
from hlhft.backtest.sweep import SweepResult, run_sweep
from hlhft.backtest.sweep_files import FILES, judgement, select_all, summary_record, view_of, write_sweep
from hlhft.config.load import load
from hlhft.report.numbers import DASH
from tests.backtest.sweep_recording import START_NS, recording, row, settings, wandering

SETS = ["half=0,1", "order_lots=300,600", "cap_lots=900"]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    # The last two seconds are quiet, so that no figure depends on when the last sample was taken.
    quiet = np.array([row(45_000 + step, LEVEL, 1, 599_000, step) for step in range(100, 2000, 100)], ROW_DTYPE)
    made = recording(tmp_path_factory.mktemp("rows"), np.concatenate([wandering(45, step_ms=250), quiet]))
    chosen = settings(interval_ns=500_000_000)
    return run_sweep(chosen, made, choose_sets(chosen.strategy, SETS))


@pytest.fixture(scope="module")
def selections(result: SweepResult) -> list[Selection]:
    return select_all(result, folds=FOLDS)


def test_profit_is_that_of_a_backtest(result: SweepResult) -> None:
    for number in range(len(result.finished)):
        alone = results_of(run_backtest(replace(result.settings, params=result.values(number)), result.recording))
        for scenario, one in enumerate(alone.scenarios):
            assert result.figures[number, scenario]["profit_micro"] == round(one.profit_usdc * 1e6)
            assert result.figures[number, scenario]["fills"] == one.metrics.trading.fills


def test_a_folder_holds_the_sweep_and_the_same_bytes_each_time(
    tmp_path: Path, result: SweepResult, selections: list[Selection]
) -> None:
    view = view_of(result, selections)
    for name in ("first", "second"):
        write_sweep(tmp_path / name, result, view, selections)
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    run = json.loads((tmp_path / "first" / "run.json").read_text())
    assert run["complete"] is True and run["parameters"]["varied"] == ["half", "order_lots"] and run["libraries"]
    table = parquet.read_table(tmp_path / "first" / "results.parquet")
    assert table.num_rows == 4 * 3 and table.column_names[:2] == ["set", "scenario"]
    selected = json.loads((tmp_path / "first" / "selection.json").read_text())
    first = selected["scenarios"][result.scenarios[0].name]
    assert first["verdict"] == "cannot tell" and len(first["folds"]) == FOLDS
    profits = {
        row["set"]: row["profit_micro"] for row in table.to_pylist() if row["scenario"] == result.scenarios[0].name
    }
    assert profits[first["best_set"]] == first["best_profit_micro"] == max(profits.values())
    assert "47 s of data are far too little" in (tmp_path / "first" / "report.html").read_text()


def test_an_earlier_sweep_stays_until_the_new_one_is_complete(
    tmp_path: Path, result: SweepResult, selections: list[Selection], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_of(result, selections)
    folder = tmp_path / "sweep"
    write_sweep(folder, result, view, selections)
    before = {name: (folder / name).read_bytes() for name in FILES}

    def fail(view: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(sweep_files, "render", fail)
    with pytest.raises(OSError, match="disk full"):
        write_sweep(folder, result, replace(view, title="new"), selections)
    assert {name: (folder / name).read_bytes() for name in FILES} == before
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]


def test_a_folder_with_anything_else_is_refused(
    tmp_path: Path, result: SweepResult, selections: list[Selection]
) -> None:
    (tmp_path / "results.json").write_text("a backtest's")
    with pytest.raises(RunError, match=r"results\.json"):
        write_sweep(tmp_path, result, view_of(result, selections), selections)


def test_sets_are_numbered_alike_in_a_partial_result(result: SweepResult) -> None:
    """Rows of what is left are places in it; people read the sets' numbers."""
    part = replace(
        result,
        finished=result.finished[2:],
        figures=result.figures[2:],
        profit_micro=result.profit_micro[2:],
        interrupted=True,
    )
    selections = select_all(part, folds=2, embargo_ns=0, earlier_trials=100)
    view = view_of(part, selections)
    assert "2 of 4 sets" in view.facts
    assert list(view.numbers) == [2, 3] and view.values[:, 0].tolist() == [1.0, 1.0]
    found = summary_record(view, selections)
    name = view.scenarios[0]
    selected = found["selection"]["scenarios"][name]
    assert selected["best_set"] in (2, 3) and selected["trials"] == 102 and selected["complete"] is False
    assert {fold["set"] for fold in selected["folds"]} <= {2, 3}
    assert found["identity"]["complete"] is False
    (best, worse) = found["ranking"][name]["best"]
    assert best["set"] == selected["best_set"] and best["profit_usdc"] >= worse["profit_usdc"]
    assert best["params"] == {"half": 1.0, "order_lots": 300.0 if best["set"] == 2 else 600.0}
    assert found["ranking"][name]["worst"] == [] and best["halted_by"] is None


def test_a_judgement_says_every_figure(result: SweepResult, selections: list[Selection]) -> None:
    view = view_of(result, selections)
    said = view.judgements[1]
    assert said.sentence == selections[1].sentence and said.remarks == selections[1].remarks
    facts = dict(said.facts)
    assert facts["verdict"] == "cannot tell" and facts["sets tried"].startswith("4,")
    assert facts["left out before each point"] == "940 ms" and facts["probability of overfitting"] == DASH
    assert "probability of skill" in facts["deflated Sharpe ratio"] and "a sample of 1 s" in facts["Sharpe ratio"]
    assert len(said.folds) == FOLDS and said.folds[0][2].startswith("set ") and said.folds[0][6].endswith("of 4")
    without = judgement(view, replace(selections[1], deflated=None, overfitting=0.25))
    assert dict(without.facts)["probability of overfitting"] == "25 %"
    assert "deflated Sharpe ratio" not in dict(without.facts)


def test_a_view_without_a_selection_says_why(result: SweepResult) -> None:
    view = view_of(result, [], "Ranked only.")
    assert view.judgements == () and view.note == "Ranked only."
    assert view.span_ns == 47_000_000_000 and view.times_ns[-1] == START_NS + view.span_ns
    assert summary_record(view, [])["selection"] == {"note": "Ranked only.", "scenarios": {}}


def test_the_chosen_set_is_settings_that_say_what_they_were_chosen_on(
    tmp_path: Path, result: SweepResult, selections: list[Selection]
) -> None:
    view = view_of(result, selections)
    write_sweep(tmp_path / "sweep", result, view, selections)
    config = load(tmp_path / "sweep" / "chosen.toml", {}).config
    row = int(view.order(0)[0])
    assert {name: config.strategy.params[name] for name in result.values(row)} == result.values(row)
    assert set(config.strategy.params) == set(result.settings.strategy.parameters)
    fitted = config.strategy.fitted
    assert (fitted.from_ns, fitted.until_ns) == result.recording.span_ns()
    assert fitted.from_ns == START_NS and fitted.until_ns > fitted.from_ns
    assert fitted.embargo_ns == selections[0].embargo_ns > 0
    assert fitted.coins == tuple(market.name for market in result.recording.markets)
    (origin,) = origins_of(config)
    assert f"{len(result.parameters.sets)} sets" in origin.what
    assert in_sample(replace(result.settings, origins=(origin,)), result.recording)
    assert selections[0].sentence.split()[0] in (tmp_path / "sweep" / "chosen.toml").read_text()
