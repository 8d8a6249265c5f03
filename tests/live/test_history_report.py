"""A past becomes the same results as a backtest's: figures, page and files, with what it rests on beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hlhft.backtest.runs import RunError
from hlhft.live.history_files import FOLDER_NAMES, load
from hlhft.live.history_report import venue_results, write_past
from hlhft.report.attribution import FUNDING_KIND, HOUR_NS
from hlhft.report.markouts import HORIZONS_NS
from hlhft.report.page import render
from hlhft.report.verdict import verdict
from tests.live.test_history_files import saved
from tests.report.pasts import OWNERS, Account


def traded() -> Account:
    made = Account()
    made.look()
    made.fill(0, 1, 100_000, -30, owner=7)
    made.wait(HOUR_NS)
    made.quote(0, 100_020)
    made.fill(0, -1, 40_000, 10, taker=True)
    made.fill(2, 1, 500)
    made.look()
    return made


def test_figures_are_those_of_the_split() -> None:
    results = venue_results(traded().history(), OWNERS)
    (one,) = results.scenarios
    assert results.is_live
    assert results.markets == ["BTC", "@1"]
    assert one.split.residual == 0
    assert set(one.by_strategy) == {"glft", "others"}
    trading = one.metrics.trading
    assert (trading.fills, trading.buys, trading.sells) == (3, 2, 1)
    assert trading.volume_usdc == pytest.approx(1.0 * 9_997 + 0.4 * 10_003 + 5 * 25)
    assert one.maker_bp == pytest.approx(-0.3, abs=0.02)
    assert one.taker_rate_e9 == pytest.approx(450_000, rel=1e-3)
    assert [row["final_lots"] for row in results.plain()["scenarios"][0]["inventory"]] == [60_000, 499]
    assert one.lane.capital_micro == 10_000 * 10**6
    assert (one.lane.log["kind"] == FUNDING_KIND).sum() == 1
    assert one.part_usdc["spread"] == pytest.approx(3.0 + 0.4)


def test_the_page_and_the_verdict_can_be_made_of_it() -> None:
    results = venue_results(traded().history(), OWNERS)
    assert verdict(results).sentence.startswith("It made money")
    assert "history of 0xabababab" in render(results)


def test_an_account_without_anything_has_a_report() -> None:
    made = Account()
    made.look()
    made.look()
    results = venue_results(made.history())
    assert results.scenarios[0].metrics.trading.fills == 0
    assert "did not trade" in verdict(results).sentence
    assert render(results)


def test_what_does_not_fit_is_beside_the_figures() -> None:
    made = traded()
    lost = made.fills.pop(1)
    past = venue_results(made.history(), OWNERS).plain()["past"]
    kinds = {one["kind"] for one in past["findings"]}
    assert {"end", "equity"} <= kinds
    (gap,) = [one for one in past["findings"] if one["kind"] == "end"]
    assert (gap["market"], gap["size"]) == ("BTC", "-0.4")
    assert past["is_checked"]
    assert past["checked"][-1]["residual"] != "0"
    assert lost.coin == "BTC"
    assert json.dumps(past)


def test_markouts_are_said_only_where_mids_are_as_fine() -> None:
    history = traded().history()
    fine = venue_results(history).scenarios[0]
    coarse = venue_results(replace(history, mids_every_ns=60 * 10**9)).scenarios[0]
    assert (fine.mid_half_ticks[0] > 0).all()
    assert (coarse.mid_half_ticks[0] > 0).tolist() == [horizon_ns >= 60 * 10**9 for horizon_ns in HORIZONS_NS]


def test_the_folder_holds_the_report_and_what_it_rests_on(tmp_path: Path) -> None:
    folder = tmp_path / "past"
    results = write_past(saved(), folder)
    assert {path.name for path in folder.iterdir()} == set(FOLDER_NAMES)
    told = json.loads((folder / "results.json").read_text())
    assert told["past"]["is_checked"]
    assert told["past"]["checked"][-1]["residual"] == "0", told["past"]
    assert told["scenarios"][0]["profit"]["usdc"] == results.scenarios[0].profit_usdc == pytest.approx(0.02)
    again = write_past(load(folder), folder)
    assert again.plain() == results.plain()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("keep")
    with pytest.raises(RunError, match=r"mine\.txt"):
        write_past(saved(), other)


def test_what_was_interrupted_says_so() -> None:
    assert "interrupted" in verdict(venue_results(traded().history(), is_whole=False)).text


def test_a_market_of_unknown_ticks_is_in_the_split_alone() -> None:
    results = venue_results(replace(traded().history(), markets={}), OWNERS)
    assert results.markets == []
    assert results.scenarios[0].part_usdc["spread"] == pytest.approx(3.4)
    assert render(results)
