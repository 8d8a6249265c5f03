"""A sweep on disk: a folder with what was run, every set's figures, the selection, and a report.

    run.json         the sweep's identity: settings, data, code key, seed, versions, and whether it is complete
    results.parquet  a row a set and fee scenario
    selection.json   the selection of every scenario
    chosen.toml      the best set of the first scenario as settings, and the time that it was chosen on
    report.html      the same for people

As with a run (`hlhft.backtest.runs`), no file holds a clock, and a folder appears when it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.backtest.runs import json_text, library_versions, replace_folder
from hlhft.backtest.selection import EMBARGO_SHARE, Selection, select
from hlhft.backtest.sweep import SweepResult, halted_by
from hlhft.config.settings import Fitted
from hlhft.config.show import comment, toml_key, toml_value
from hlhft.report.numbers import DASH, count, counted, duration, moment, money, percent, period, plain, recording_title
from hlhft.report.sweep_page import SHOWN, Judgement, SweepView, render, set_words
from hlhft.units import MICRO

FILES = ("run.json", "results.parquet", "selection.json", "chosen.toml", "report.html")
FOLD_HEADING = ("from", "until", "chosen", "made before", "then made", "median set", "place then")


def select_all(
    result: SweepResult, *, earlier_trials: int = 0, folds: int, embargo_ns: int | None = None
) -> list[Selection]:
    """The selection of every fee scenario, as `hlhft.backtest.selection.select`. At least one set must be finished."""
    return [
        select(
            result.profit_micro[:, scenario],
            start_ns=result.start_ns,
            interval_ns=result.settings.record_interval_ns,
            times_ns=result.times_ns,
            capital_micro=result.settings.capital_micro,
            earlier_trials=earlier_trials,
            folds=folds,
            embargo_ns=embargo_ns,
            complete=not result.interrupted,
        )
        for scenario in range(len(result.scenarios))
    ]


def identity(result: SweepResult) -> dict[str, Any]:
    """The sweep's record."""
    return {**result.metadata(), "libraries": library_versions()}


def view_of(result: SweepResult, selections: Sequence[Selection], note: str = "") -> SweepView:
    """The sweep as it is shown; `note` says why there are no `selections`."""
    varied = result.parameters.varied
    rows = range(len(result.finished))
    values = np.array([[result.values(row)[name] for name in varied] for row in rows], np.float64)
    settings = result.settings
    facts = [
        period(result.start_ns, int(result.times_ns[-1])),
        duration(result.span_ns),
        f"strategy {settings.strategy.name}",
        f"{count(len(rows))} of {counted(len(result.parameters.sets), 'set')}"
        if result.interrupted
        else counted(len(rows), "set"),
        f"latency {settings.latency}",
        f"queue {settings.queue}",
        f"feed {result.recording.profile}",
    ]
    view = SweepView(
        title=recording_title(result.recording.name),
        facts=tuple(facts),
        scenarios=tuple(item.name for item in result.scenarios),
        parameters=varied,
        numbers=result.finished,
        values=values.reshape(len(rows), len(varied)),
        figures=result.figures,
        halted=tuple(tuple(halted_by(int(one["halt_code"])) for one in row) for row in result.figures),
        span_ns=result.span_ns,
        markets=len(result.recording.markets),
        times_ns=result.times_ns,
        profit_micro=result.profit_micro,
        judgements=(),
        note=note,
        identity=identity(result),
    )
    return replace(view, judgements=tuple(judgement(view, one) for one in selections))


def judgement(view: SweepView, found: Selection) -> Judgement:
    """A selection in words, sets named as in the view."""
    return Judgement(
        sentence=found.sentence,
        remarks=found.remarks,
        facts=tuple(_facts(view, found)),
        fold_heading=FOLD_HEADING,
        folds=tuple(
            (
                moment(fold.from_ns),
                moment(fold.until_ns),
                set_words(view, fold.row),
                money(fold.earlier_profit_micro / MICRO),
                money(fold.profit_micro / MICRO),
                money(fold.median_profit_micro / MICRO),
                f"{count(fold.rank)} of {count(found.sets)}",
            )
            for fold in found.folds
        ),
    )


def _facts(view: SweepView, found: Selection) -> list[tuple[str, str]]:
    facts = [
        ("verdict", str(found.verdict)),
        ("highest profit", f"{set_words(view, found.best)}, {money(found.best_profit_micro / MICRO)} USDC"),
        ("sets tried", f"{count(found.trials)}, those of earlier sweeps included where they were said"),
        ("left out before each point", duration(found.embargo_ns)),
        ("probability of overfitting", DASH if found.overfitting is None else percent(found.overfitting, 0)),
    ]
    if found.deflated is not None:
        one = found.deflated
        each = f"a sample of {duration(found.interval_ns)}"
        facts += [
            ("deflated Sharpe ratio", f"{percent(one.probability, 1)} probability of skill"),
            (
                "Sharpe ratio",
                f"{plain(one.sharpe, 4)} {each}; skewness {plain(one.skew)}, kurtosis {plain(one.kurtosis)}",
            ),
            ("luck's best", f"{plain(one.luck, 4)} {each}"),
        ]
    return facts


def selection_record(view: SweepView, selections: Sequence[Selection]) -> dict[str, Any]:
    """The selections as JSON-ready values, by scenario; sets by their number, as in results.parquet."""
    found = {}
    for name, one in zip(view.scenarios, selections):
        record = one.plain()
        record["best_set"] = int(view.numbers[record.pop("best")])
        for fold in record["folds"]:
            fold["set"] = int(view.numbers[fold.pop("row")])
        found[name] = record
    return {"note": view.note, "scenarios": found}


def summary_record(view: SweepView, selections: Sequence[Selection]) -> dict[str, Any]:
    """What the command prints as JSON: identity, selections, and by scenario the best and the worst sets; money in
    USDC."""
    ranked = {}
    for scenario, name in enumerate(view.scenarios):
        order = view.order(scenario)
        best, worst = order[:SHOWN], order[SHOWN:][-SHOWN:]
        ranked[name] = {
            "best": [_set_record(view, int(row), scenario) for row in best],
            "worst": [_set_record(view, int(row), scenario) for row in worst],
        }
    return {"identity": dict(view.identity), "selection": selection_record(view, selections), "ranking": ranked}


def _set_record(view: SweepView, row: int, scenario: int) -> dict[str, Any]:
    one = view.figures[row, scenario]
    money_names = [name for name in one.dtype.names if name.endswith("_micro")]
    return {
        "set": int(view.numbers[row]),
        "params": dict(zip(view.parameters, view.values[row].tolist())),
        **{f"{name.removesuffix('_micro')}_usdc": int(one[name]) / MICRO for name in money_names},
        **{name: int(one[name]) for name in ("fills", "placed", "cancelled", "refused", "quoted_ns")},
        "halted_by": view.halted[row][scenario],
    }


def chosen_text(result: SweepResult, view: SweepView, selections: Sequence[Selection]) -> str:
    """The set with the highest profit in the first scenario as settings in TOML.

    `hlhft backtest --params-file` and every command's --config read it; a backtest refuses to test it on the time that
    it was chosen on.
    """
    row = int(view.order(0)[0])
    strategy = result.settings.strategy
    first_ns, last_ns = result.recording.span_ns()
    defaults = {name: parameter.default for name, parameter in strategy.parameters.items()}
    fitted = Fitted(
        by=f"a sweep of {counted(len(result.parameters.sets), 'set')}",
        coins=tuple(market.name for market in result.recording.markets),
        from_ns=first_ns,
        until_ns=last_ns,
        embargo_ns=selections[0].embargo_ns if selections else result.span_ns // EMBARGO_SHARE,
    )
    said = selections[0].sentence if selections else view.note
    best = f"{set_words(view, row)}, the most profitable under {view.scenarios[0]}, {period(first_ns, last_ns)}."
    lines = [
        *comment(f"{best} {said}"),
        "[strategy]",
        f"name = {toml_value(strategy.source if strategy.is_user_file else strategy.name)}",
        "[strategy.params]",
        *(
            f"{toml_key(name)} = {toml_value(float(value))}"
            for name, value in {**defaults, **result.values(row)}.items()
        ),
        "[strategy.fitted]",
        *(f"{name} = {toml_value(getattr(fitted, name))}" for name in Fitted.__struct_fields__),
    ]
    return "\n".join(lines) + "\n"


def write_sweep(folder: Path, result: SweepResult, view: SweepView, selections: Sequence[Selection]) -> None:
    """Writes the sweep to `folder`; an earlier one there stays until this one is complete.

    Raises RunError when the folder holds anything else, and OSError when it cannot be written.
    """
    replace_folder(folder, FILES, lambda fresh: _write_files(fresh, result, view, selections))


def _write_files(folder: Path, result: SweepResult, view: SweepView, selections: Sequence[Selection]) -> None:
    from pyarrow import parquet

    (folder / "run.json").write_bytes(json_text(dict(view.identity)))
    parquet.write_table(result.table(), folder / "results.parquet", compression="zstd")
    (folder / "selection.json").write_bytes(json_text(selection_record(view, selections)))
    (folder / "chosen.toml").write_text(chosen_text(result, view, selections), encoding="utf-8")
    (folder / "report.html").write_text(render(view), encoding="utf-8")
