"""The page has every metric with its unit, every alert and every code."""

from __future__ import annotations

import pytest

from hlhft.monitor.alerts import alerts
from hlhft.monitor.metrics import BY_NAME, METRICS, Kind, Source
from tests.codes import FAMILIES, anchor
from tests.metrics_page import HEADINGS, codes_table, metrics_table, page, unit_of

TEXT = page()


def test_every_metric_stands_in_the_table_of_its_process() -> None:
    assert HEADINGS.keys() == set(Source)
    for metric in METRICS:
        table = metrics_table(metric.source)
        assert table.count(f"\n| `{metric.name}` | {metric.kind.value} |") == 1
    assert sum(metrics_table(source).count("\n") - 1 for source in Source) == len(METRICS)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("hlhft_quoting_seconds_total", "s"),
        ("hlhft_equity_usdc", "USDC"),
        ("hlhft_filled_usdc_total", "USDC"),
        ("hlhft_drawdown_ratio", "1 for the whole"),
        ("hlhft_inventory_skew_percent", "%"),
        ("hlhft_signal_bp", "bp"),
        ("hlhft_best_price", "USDC"),
        ("hlhft_position_size", "coins"),
        ("hlhft_journal_bytes_total", "bytes"),
        ("hlhft_fills_total", ""),
        ("hlhft_halted", ""),
    ],
)
def test_a_unit_is_the_end_of_the_name(name: str, unit: str) -> None:
    assert unit_of(BY_NAME[name]) == unit


def test_every_histogram_is_of_times() -> None:
    assert {unit_of(metric) for metric in METRICS if metric.kind is Kind.HISTOGRAM} == {"s"}


def test_every_alert_leads_to_the_runbook() -> None:
    for alert in alerts():
        assert TEXT.count(f"\n| [{alert.name}](runbook.md#{alert.anchor}) | {alert.severity.value} |") == 1


def test_codes_are_explained_in_one_place() -> None:
    for family in FAMILIES:
        assert f"| {family.title} |" in TEXT
        has_section = f"\n### {family.title}\n" in TEXT
        assert has_section == (not family.section)
        if has_section:
            assert f"](#{anchor(family.title)})" in TEXT


def test_codes_without_a_number_have_none() -> None:
    by_name = {family.name: codes_table(family) for family in FAMILIES}
    assert "| 1 | UNPROVEN | the venue's evidence has not been heard |" in by_name["hyperliquid.nonces.NonceRefusal"]
    assert "| FORGED | it is not authenticated with our secret |" in by_name["hyperliquid.watchdog_beats.BeatFault"]
    assert "NONE" not in by_name["data.node.book.Fault"]


def test_no_table_is_torn() -> None:
    for block in TEXT.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            widths = {line.replace("\\|", "").count("|") for line in lines}
            assert len(widths) == 1, lines[0]
