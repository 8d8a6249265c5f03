"""In-sample: every table and every plot of a report bears the stamp, wherever it is shown, and none otherwise."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

from hlhft.backtest.runs import write_run
from hlhft.cli.summary import summary
from hlhft.report import page
from hlhft.report.origins import STAMP
from hlhft.report.plots import figures
from hlhft.report.results import Heard, Results
from hlhft.report.verdict import verdict
from tests.report import sample_run
from tests.report.histories import results, scenario, traded

MET = "model 5 was fitted on BTC, then, and this backtest is of now"
RECORD = {
    "name": "one.npz", "digest": "d" * 32, "events": 1234, "model_ids": ["5", "6"], "schema_hash": "s" * 32,
    "compute_ns": 400_000, "transport_ns": 150_000, "latency": "measured",
}  # fmt: skip
HEARD = Heard(record=RECORD, signal_shares=(0.625,), policy_shares=(0.25,), counters={"policies_clamped": 3})


@pytest.fixture
def clean() -> Results:
    return results(scenario(traded(6)), scenario(traded(-6), "top rebate, maker -0.3 bp", -30_000))


@pytest.fixture
def stamped(clean: Results) -> Results:
    return replace(clean, in_sample=(MET,), heard=HEARD)


def test_without_a_meeting_nothing_is_stamped(clean: Results) -> None:
    assert STAMP not in page.render(clean)
    assert STAMP not in json.dumps(clean.plain()) and clean.plain()["in_sample"] == []
    assert STAMP not in shown(clean)
    assert page.render(replace(clean, heard=HEARD)).count(STAMP) == 0


def test_every_table_and_place_of_a_chart_on_the_page_is_stamped(stamped: Results) -> None:
    text = page.render(stamped)
    tables = re.findall(r"<table[^>]*>(.{0,60})", text, re.DOTALL)
    assert len(tables) >= 4
    assert all(start.startswith(f'<caption class="stamp">{STAMP}</caption>') for start in tables)
    charts = re.findall(r'<section class="panel chart">(.{0,60})', text, re.DOTALL)
    assert len(charts) == 4
    cards = re.findall(r'<div class="card">(.{0,60})', text, re.DOTALL)
    assert len(cards) == 2
    assert all(start.startswith(f'<span class="stamp">{STAMP}</span>') for start in charts + cards)
    assert re.search(rf"<title>{STAMP} ", text)
    assert re.search(rf"<h1>{STAMP}: ", text)
    assert f"{MET[0].upper()}{MET[1:]}" in text


@pytest.mark.parametrize("of", ["one market", "the sample"])
def test_every_plot_bears_the_stamp_itself(stamped: Results, of: str) -> None:
    scenarios = stamped.scenarios if of == "one market" else sample_run.results().scenarios
    for drawn in figures(scenarios, STAMP):
        plots = [figure for figure in drawn.values() if isinstance(figure, dict)] + drawn["prices"]
        assert len(plots) >= 4
        for plot in plots:
            assert [note["text"] for note in plot["layout"]["annotations"]] == [STAMP]
    for drawn in figures(scenarios):
        plots = [figure for figure in drawn.values() if isinstance(figure, dict)] + drawn["prices"]
        assert all("annotations" not in plot["layout"] for plot in plots)


def test_the_page_draws_the_stamp_of_a_plot() -> None:
    """The script makes a layout of its own: what it does not take over is not shown."""
    assert "annotations: figure.layout.annotations" in page.render(sample_run.results())


def test_the_verdict_begins_with_the_stamp_and_says_why(stamped: Results) -> None:
    spoken = verdict(stamped)
    assert spoken.sentence.startswith(f"{STAMP}: It would have")
    assert spoken.remarks[0] == f"{MET[0].upper()}{MET[1:]}: what was learned there says nothing here."


def shown(found: Results) -> str:
    text = io.StringIO()
    console = Console(file=text, width=100)
    for part in summary(found):
        console.print(part, highlight=False)
    return text.getvalue()


def test_the_terminals_tables_are_stamped(stamped: Results) -> None:
    lines = shown(stamped).splitlines()
    assert lines[1].startswith(STAMP)
    head = next(place for place, line in enumerate(lines) if "new account" in line)
    assert lines[head - 1].strip() == STAMP
    tables = [part.renderable for part in summary(stamped) if isinstance(getattr(part, "renderable", None), Table)]
    assert [str(table.title) for table in tables] == [STAMP]


def test_the_json_is_stamped_as_a_whole_and_by_scenario(stamped: Results) -> None:
    plain = stamped.plain()
    assert plain["in_sample"] == [MET]
    assert [one["stamp"] for one in plain["scenarios"]] == [STAMP, STAMP]
    assert plain["verdict"]["sentence"].startswith(STAMP)


def test_the_files_of_a_run_are_stamped(stamped: Results, tmp_path: Path) -> None:
    write_run(tmp_path / "run", replace(sample_run.results(), in_sample=(MET,)))
    for name in ("blotter", "records"):
        assert parquet.read_schema(tmp_path / "run" / f"{name}.parquet").metadata[b"stamp"] == STAMP.encode()
    assert json.loads((tmp_path / "run" / "results.json").read_text())["in_sample"] == [MET]
    assert (tmp_path / "run" / "report.html").read_text().count(STAMP) > 10
    write_run(tmp_path / "clean", sample_run.results())
    assert not (parquet.read_schema(tmp_path / "clean" / "blotter.parquet").metadata or {}).get(b"stamp")


def test_what_models_said_is_told_on_the_page_in_the_terminal_and_in_the_json(clean: Results) -> None:
    found = replace(clean, heard=HEARD)
    text = page.render(found)
    name = found.markets[0]
    for fact in (
        f"<dt>a signal stood in {name}</dt><dd>62.5 %</dd>",
        f"<dt>a policy stood in {name}</dt><dd>25.0 %</dd>",
    ):
        assert fact in text
    assert "0.400 ms to compute and 0.150 ms on the way" in text and "policies clamped" in text
    assert f"a signal stood in {name}: 62.5 %" in " ".join(shown(found).split())
    told = found.plain()["signals"]
    assert told["signal_stood"] == {name: 0.625} and told["policy_stood"] == {name: 0.25}
    assert told["digest"] == "d" * 32 and told["policies_clamped"] == 3
    assert "What the models said" not in page.render(clean) and clean.plain()["signals"] is None
