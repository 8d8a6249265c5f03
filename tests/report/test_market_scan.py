"""A recording from its rows to its ranking: several markets at once, and the recorded coins' known answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.layout import date_of
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.markets import known
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from hlhft.report.market_scan import MarketScan, ranking, scan_catalogue, scan_source
from hlhft.report.scan_results import MarketResult, ScanSettings, Verdict
from hlhft.report.scan_words import sentence
from tests.data.catalogue.making import put
from tests.report.tape import BUY, MARKET, SECOND, SELL, START_NS, Tape, cut_at, rows_of

SETTINGS = ScanSettings()


def two_markets() -> np.ndarray:
    first = Tape().bbo(0, 100, 102).trade(10, BUY, 103, 1).bbo(2_000, 101, 104)
    second = Tape(market=1).bbo(0, 500, 502).trade(20, SELL, 499, 1).trade(10, SELL, 499, 9).bbo(2_000, 500, 503)
    rows = rows_of([*first.found, *second.found])
    return rows[np.argsort(rows["ts_exch_ns"], kind="stable")]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 100), max_size=4))
def test_each_market_gets_its_own_rows_however_they_are_mixed(cuts: list[int]) -> None:
    scan = MarketScan([MARKET, MARKET], SETTINGS)
    for rows in cut_at(two_markets(), cuts):
        scan.take(rows)
    scan.finish()
    assert [watched.counts["trades"] for watched in scan.watched] == [1, 2]
    for market, watched in enumerate(scan.watched):
        alone = MarketScan([MARKET, MARKET], SETTINGS)
        alone.take(two_markets()[two_markets()["market"] == market])
        alone.finish()
        np.testing.assert_array_equal(watched.sums(), alone.watched[market].sums())


@pytest.fixture(scope="module")
def coins(recordings: Path) -> MarketScan:
    """The four recorded coins."""
    return scan_source(open_source(recordings / "hyperliquid" / "l2_trades_bbo_20250904"), SETTINGS)


def by_market(scan: MarketScan, rules: ScanSettings) -> dict[str, MarketResult]:
    return {one.market: one for one in ranking([scan], rules)}


def test_the_recorded_coins_have_the_spreads_and_trades_of_their_readme(coins: MarketScan) -> None:
    found = by_market(coins, SETTINGS)
    assert {name: one.spread_bp for name, one in found.items()} == pytest.approx(
        {"BTC": 0.117, "ETH": 0.282, "SOL": 0.547, "WLFI": 3.04}, rel=0.02
    )
    # Of the rows of the README, those that are neither repeated nor backfill.
    assert {name: one.trades for name, one in found.items()} == {"BTC": 6645, "ETH": 6837, "SOL": 4397, "WLFI": 2525}
    for name, per_minute in (("BTC", 1.74e6), ("ETH", 2.20e6), ("SOL", 1.05e6), ("WLFI", 84e3)):
        assert found[name].turnover_usdc_day == pytest.approx(per_minute * 1440, rel=0.02)


def test_on_the_recorded_coins_no_market_pays_a_new_account(coins: MarketScan) -> None:
    found = by_market(coins, SETTINGS)
    assert {name for name, one in found.items() if one.verdict is Verdict.LOSES} == {"BTC", "ETH", "SOL"}
    assert found["WLFI"].verdict is Verdict.CHANCE
    # A tenth of a basis point of spread cannot carry a fee of one and a half.
    assert found["BTC"].pro_rata.half_spread_bp == pytest.approx(0.125, abs=0.01)
    assert sentence(list(found.values()), SETTINGS).startswith("None of the 4 markets is seen to have paid")


def test_not_even_the_top_rebate_pays_on_bitcoin(recordings: Path) -> None:
    rules = ScanSettings(maker_rate_e9=-30_000)
    scan = scan_source(open_source(recordings / "hyperliquid" / "btc_bbo_trades_202509"), rules)
    results = ranking([scan], rules)
    assert sentence(results, rules) == "BTC would not have paid a two-sided quoter at a maker rebate of 0.3 bp."
    assert results[0].watched_s < 3_000 * 2, "time between the sessions does not count"


def catalogue(root: Path) -> Catalogue:
    """Two coins whose last hour is another file's; of a third there are contexts only."""
    for name, half in (("BTC", 400), ("ETH", 300)):
        market = known()[name]
        tape = Tape().bbo(0, 10_000, 10_000 + half)
        for number in range(1, 100):
            tape.trade(number * 40_000, BUY, 10_001 + half, 1, number).bbo(number * 40_000, 10_000, 10_000 + half)
        rows = tape.blocks()
        for kind, event in (("bbo", EventKind.BBO), ("trade", EventKind.TRADE)):
            mine = rows[rows["kind"] == int(event)]
            for part, piece in enumerate(np.split(mine, [len(mine) // 4 * 2])):
                put(root, kind, f"part-{part}", [piece], market=market, origin="one", date=date_of(START_NS))
    context = Tape().context(0, 1).blocks()
    put(root, "context", "part", [context], market=known()["SOL"], date=date_of(START_NS))
    return Catalogue(root)


def test_a_catalogue_is_scanned_coin_by_coin(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    scans = list(
        scan_catalogue(catalogue(tmp_path), (), SETTINGS, progress=lambda done, total: told.append((done, total)))
    )
    assert [[watched.market.name for watched in scan.watched] for scan in scans] == [["BTC"], ["ETH"]]
    assert [scan.watched[0].counts["trades"] for scan in scans] == [99, 99]
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    (best, second) = ranking(scans, SETTINGS)
    # 4 % of spread each way: both pay, the wider one more.
    assert (best.market, best.verdict, second.verdict) == ("BTC", Verdict.PAYS, Verdict.PAYS)


def test_a_stretch_and_some_coins_of_a_catalogue(tmp_path: Path) -> None:
    begin_ns, end_ns = START_NS + 400 * SECOND, START_NS + 1_200 * SECOND
    (scan,) = scan_catalogue(catalogue(tmp_path), ("ETH",), SETTINGS, begin_ns=begin_ns, end_ns=end_ns)
    assert scan.watched[0].counts["trades"] == 20
    assert begin_ns <= scan.watched[0].first_ns <= scan.watched[0].last_ns < end_ns
    with pytest.raises(DataError, match="there is nothing of coin SOLX"):
        list(scan_catalogue(catalogue(tmp_path), ("SOLX",), SETTINGS))
    assert list(scan_catalogue(catalogue(tmp_path), (), SETTINGS, begin_ns=end_ns * 2)) == []


def test_progress_is_told(recordings: Path) -> None:
    told: list[tuple[int, int]] = []
    source = open_source(recordings / "hyperliquid" / "ws_raw_20250126" / "btcusd_20250126.gz")
    scan_source(source, SETTINGS, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
