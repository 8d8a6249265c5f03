"""The dashboard shows every metric, asks only for what is in the list, and fits the screen that it is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.monitor.board import BOARDS, HLHFT, ONLY_FOR_QUESTIONS, VARIABLES, expressions, filled, panels
from hlhft.monitor.metrics import BY_NAME, METRICS
from hlhft.monitor.panels import HEADER_HEIGHT, View, below, placed
from hlhft.monitor.selectors import faults_of, metric_of, selectors
from tests.monitor.programs import run

ASKED = expressions(account="0x1", market="BTC|ETH")
WRITTEN = sorted({query.expression for board in BOARDS for panel in panels(board) for query in panel.queries})


@pytest.mark.parametrize("expression", [*WRITTEN, *(each.expression for each in HLHFT.annotations)])
def test_an_expression_selects_what_is_in_the_list_by_labels_that_are_there(expression: str) -> None:
    assert selectors(expression)
    assert not faults_of(expression)


def test_every_metric_is_shown_or_says_why_not() -> None:
    shown = {metric_of(selector.name) for expression in WRITTEN for selector in selectors(expression)}
    missing = {metric.name for metric in METRICS if metric not in shown}
    assert missing == set(ONLY_FOR_QUESTIONS)
    assert ONLY_FOR_QUESTIONS.keys() <= BY_NAME.keys()


def test_the_variables_are_filled_from_the_list() -> None:
    assert [variable.name for variable in VARIABLES] == ["account", "market"]
    for variable in VARIABLES:
        (selector,) = selectors(variable.selector)
        metric = metric_of(selector.name)
        assert metric is not None
        assert not faults_of(f"sum by ({variable.label}) ({variable.selector})")


def test_expressions_are_asked_with_the_values_of_all_variables() -> None:
    assert not any("$" in expression for expression in ASKED)
    assert len(ASKED) == len(set(ASKED)) == len({*WRITTEN, *(each.expression for each in HLHFT.annotations)})
    assert 'hlhft_profit_usdc{account="0x1", market=~"BTC|ETH"}' in ASKED
    assert 'rate(hlhft_frames_total{account="0x1"}[20s])' in ASKED
    one_hour = expressions(account="", window="7s", range_="3h")
    assert any("[3h]" in each for each in one_hour)
    assert any("[7s]" in each for each in one_hour)


def test_the_overview_is_first_and_fits_one_screen() -> None:
    overview = HLHFT.rows[0]
    assert overview.is_open
    assert below(placed(overview.panels, HEADER_HEIGHT), 0) <= 20


def test_titles_are_there_once_within_a_row_and_every_panel_says_what_it_shows() -> None:
    titles = [row.title for row in HLHFT.rows]
    assert len(set(titles)) == len(titles)
    for row in HLHFT.rows:
        assert len({panel.title for panel in row.panels}) == len(row.panels), row.title
        for panel in row.panels:
            assert panel.description.endswith("."), panel.title
            assert panel.description[0].isupper() or panel.description[0].isdigit() or panel.title.startswith("State")


def test_what_has_states_has_a_word_for_each() -> None:
    for panel in panels(HLHFT):
        if panel.view is View.STATES:
            assert {word.value for word in panel.words} == {0, 1}, panel.title


def test_steps_climb() -> None:
    for panel in panels(HLHFT):
        values = [step.value for step in panel.steps]
        assert not values or (
            values[0] is None and values[1:] == sorted(value for value in values if value is not None)
        )


# Series a minute for an hour, what a panel's first query makes of them at its end, by the labels that are left.
OWN = 'account="0x1", instance="here"'
RECKONED: dict[str, tuple[dict[str, str], dict[str, float]]] = {
    "Processes missing": (
        {
            'hlhft_process_expected{process="engine", instance="here"}': "1x60",
            'hlhft_process_expected{process="watchdog", instance="here"}': "1x60",
            'hlhft_process_expected{process="recorder", instance="here"}': "0x60",
            'hlhft_process_up{process="engine", instance="here"}': "1x60",
            'hlhft_process_up{process="watchdog", instance="here"}': "0x60",
            'hlhft_process_up{process="recorder", instance="here"}': "0x60",
        },
        {"{}": 1},
    ),
    "Processes": (
        {
            'hlhft_process_expected{process="engine", instance="here"}': "1x60",
            'hlhft_process_expected{process="alpha", instance="here"}': "0x60",
            'hlhft_process_expected{process="recorder", instance="here"}': "0x60",
            'hlhft_process_up{process="engine", instance="here"}': "0x60",
            'hlhft_process_up{process="alpha", instance="here"}': "0x60",
            'hlhft_process_up{process="recorder", instance="here"}': "1x60",
            'hlhft_process_up{process="exporter", instance="here"}': "1x60",
        },
        {
            'hlhft_process_up{process="engine", instance="here"}': 0,
            'hlhft_process_up{process="exporter", instance="here"}': 1,
            'hlhft_process_up{process="recorder", instance="here"}': 1,
        },
    ),
    "Quoting uptime": (
        {
            f'hlhft_quoting_seconds_total{{market="BTC", {OWN}}}': "0+60x60",
            f'hlhft_quoting_seconds_total{{market="ETH", {OWN}}}': "0+30x60",
            'hlhft_quoting_seconds_total{market="BTC", account="0x2", instance="here"}': "0+1x60",
            f"hlhft_trading_seconds_total{{{OWN}}}": "0+60x60",
        },
        {"{}": 0.75},
    ),
    "All of these should be 0": (
        {f"hlhft_unknown_orders{{{OWN}}}": "2x60"},
        {"{}": 2},
    ),
    "Hit rate": (
        {
            f'hlhft_signals_judged_total{{market="BTC", outcome="hit", {OWN}}}': "0+3x60",
            f'hlhft_signals_judged_total{{market="ETH", outcome="miss", {OWN}}}': "0+1x60",
            f'hlhft_signals_judged_total{{market="ETH", outcome="flat", {OWN}}}': "0+9x60",
        },
        {"{}": 0.75},
    ),
    "Calibration": (
        {
            f'hlhft_signal_surprise_total{{market="BTC", {OWN}}}': "0+8x60",
            f'hlhft_signals_judged_total{{market="BTC", outcome="hit", {OWN}}}': "0+3x60",
            f'hlhft_signals_judged_total{{market="BTC", outcome="flat", {OWN}}}': "0+1x60",
        },
        {"{}": 2},
    ),
    "Time quoted": (
        {
            f'hlhft_quoting_seconds_total{{market="BTC", {OWN}}}': "0+15x60",
            f"hlhft_trading_seconds_total{{{OWN}}}": "0+60x60",
        },
        {f'{{market="BTC", {OWN}}}': 0.25},
    ),
    "Isolated processors": (
        {
            'hlhft_host_cpu_seconds_total{cpu="2", mode="user", instance="here"}': "0+30x60",
            'hlhft_host_cpu_seconds_total{cpu="2", mode="irq", instance="here"}': "0+15x60",
            'hlhft_host_cpu_seconds_total{cpu="2", mode="idle", instance="here"}': "0+15x60",
            'hlhft_host_cpu_seconds_total{cpu="0", mode="user", instance="here"}': "0+60x60",
            'hlhft_host_cpu_isolated{cpu="2", instance="here"}': "1x60",
            'hlhft_host_cpu_isolated{cpu="0", instance="here"}': "0x60",
        },
        {'{cpu="2", instance="here"}': 0.75},
    ),
    "Disks used": (
        {
            'hlhft_disk_bytes{folder="state", instance="here"}': "1000x60",
            'hlhft_disk_free_bytes{folder="state", instance="here"}': "100x60",
        },
        {'{folder="state", instance="here"}': 0.9},
    ),
}


def test_prometheus_reckons_what_the_panels_say(tmp_path: Path) -> None:
    first = {panel.title: panel.queries[0].expression for panel in panels(HLHFT)}
    cases = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": filled(first[title], account="0x1", window="5m"),
                    "eval_time": "1h",
                    "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
                }
            ],
        }
        for title, (series, expected) in RECKONED.items()
    ]
    path = tmp_path / "reckoned.json"
    path.write_text(json.dumps({"tests": cases}))
    result = run("promtool", "test", "rules", path)
    assert result.returncode == 0, result.stdout


def test_annotations_stand_where_something_happened(tmp_path: Path) -> None:
    halted, deployed, gap = (filled(each.expression, account="0x1") for each in HLHFT.annotations)
    build = 'hlhft_build_info{process="engine", instance="here", revision="abc"}'
    series = {
        f"hlhft_halted{{{OWN}}}": "0x4 1 0x10",
        build: "1x40",
        'hlhft_process_start_time_seconds{process="engine", instance="here"}': "290x40",
        'hlhft_recorder_gaps_total{instance="here"}': "0x9 1x10",
    }
    asked = [
        (halted, "2m", [f"{{{OWN}}}"]),
        (halted, "3m", []),
        (deployed, "4m50s", [build]),
        (deployed, "5m40s", [build]),
        (deployed, "6m", []),
        (f"({gap}) > bool 0", "2m", []),
        (f"({gap}) > bool 0", "2m45s", ['{instance="here"}']),
        (f"({gap}) > bool 0", "4m", []),
    ]
    tests = [
        {"expr": expression, "eval_time": at, "exp_samples": [{"labels": labels, "value": 1} for labels in found]}
        for expression, at, found in asked
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"tests": [{"interval": "15s", "input_series": inputs, "promql_expr_test": tests}]}))
    result = run("promtool", "test", "rules", path)
    assert result.returncode == 0, result.stdout
