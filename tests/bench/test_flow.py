"""What the bench of the order flow calls near, explained or wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from hlhft.data.sources import open_source
from hlhft.exchange.flow.recordings import market_data
from hlhft.exchange.flow.statistics import BLOCK_NS, NAMES, SILENCE_NS
from tests.bench import flow
from tests.bench.flow import Naive, Row, figures_of, naive_table, table, write
from tests.bench.flow_reasons import EXPLAINED, HALVES_DIFFER, MARGIN_BP
from tests.bench.naive import AWAY_BP

NEAR = Row(
    coin="BTC",
    name="spread_bp",
    flow=1.25,
    between_seeds=0.1,
    recorded=1.0,
    fitted_to=1.2,
    recorded_error=0.5,
    reason="",
)
QUOTER = Naive(
    coin="BTC",
    away_bp=0.0,
    flow_bp=-1.0,
    between_seeds=0.1,
    flow_usdc=1e6,
    recorded_bp=-1.0,
    recorded_usdc=1e5,
)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({}, "near"),
        ({"flow": 0.75}, "near"),
        ({"flow": -1.0, "recorded": -1.2}, "near"),
        ({"reason": "because"}, "near, take it off the list"),
        ({"flow": 1.26}, "MISSED"),
        ({"flow": 1.26, "recorded_error": 9.0}, "MISSED"),
        ({"flow": 1.26, "fitted_to": 9.0}, "MISSED"),
        ({"flow": 1.26, "reason": "because"}, "explained"),
        ({"flow": 1.26, "reason": HALVES_DIFFER}, "UNTRUE REASON"),
        ({"flow": 1.26, "reason": HALVES_DIFFER, "fitted_to": 1.3}, "explained"),
        ({"flow": 1.26, "reason": HALVES_DIFFER, "fitted_to": None}, "UNTRUE REASON"),
    ],
)
def test_nothing_but_a_reason_that_holds_excuses_a_miss(values: dict[str, float | str | None], verdict: str):
    assert dataclasses.replace(NEAR, **values).verdict == verdict


def test_reasons_are_for_figures_that_there_are():
    for (coin, name), reason in EXPLAINED.items():
        assert coin in (*flow.COINS, flow.OTHER_DAYS)
        assert name in NAMES
        assert len(reason) > 20
    assert tuple(MARGIN_BP) == AWAY_BP


def test_only_minutes_without_a_silence_count(recordings: Path):
    data = market_data(open_source(recordings / flow.OTHER_RECORDING / "trades_BTC.csv.gz"))
    blocks = flow.covered(data)
    assert 40 < len(blocks) < 80, "an hour of a week"
    ts_ns = data.touches["ts_ns"]
    for block in blocks:
        start = ts_ns[0] + block * BLOCK_NS
        inside = ts_ns[(ts_ns >= start) & (ts_ns <= start + 2 * BLOCK_NS)]
        assert np.diff(inside).max() <= SILENCE_NS


def test_a_quoter_may_get_as_much_as_on_the_recording_and_the_margin():
    assert QUOTER.is_met
    assert dataclasses.replace(QUOTER, flow_bp=-1.0 + MARGIN_BP[0.0]).is_met
    assert not dataclasses.replace(QUOTER, flow_bp=-0.99 + MARGIN_BP[0.0]).is_met
    assert not dataclasses.replace(QUOTER, flow_bp=0.01, recorded_bp=5.0).is_met, "nobody wins at the touch"
    assert dataclasses.replace(QUOTER, flow_bp=0.01, recorded_bp=5.0, away_bp=1.5).is_met
    assert "no more" in naive_table([QUOTER])[-1]
    assert "WINS HERE" in naive_table([dataclasses.replace(QUOTER, flow_bp=9.0)])[-1]


def test_the_promises_count_and_the_page_says_where_and_when(tmp_path: Path):
    missed = dataclasses.replace(NEAR, flow=2.0)
    explained = dataclasses.replace(missed, name="move_bp", reason="because it is so")
    rows = [NEAR, missed, explained, dataclasses.replace(NEAR, reason="not needed")]
    winner = dataclasses.replace(QUOTER, flow_bp=9.0)
    figures = figures_of(rows, [QUOTER, winner], 1_000.0, 0.0)
    assert [figure.value for figure in figures] == [2, 1, 1, 1, 1_000.0, 0.0]
    assert [figure.is_met for figure in figures] == [True, False, True, False, True, True]
    page = table(rows)
    assert page[-1] == "- move_bp: because it is so"
    write(figures, rows, [QUOTER, winner], page, tmp_path)
    content = json.loads((tmp_path / "benchmarks-flow.json").read_text())
    assert content["machine"]["date"]
    assert [row["verdict"] for row in content["rows"]] == ["near", "MISSED", "explained", "near, take it off the list"]
    text = (tmp_path / "benchmarks-flow.md").read_text()
    assert content["machine"]["date"] in text
    assert "| spread_bp | 2 | 0.1 | 1 | 1.2 | 0.5 | 2.00 | MISSED |" in text
