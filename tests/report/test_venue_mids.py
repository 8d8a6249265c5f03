"""Mids of a catalogue at the moments of a past: the last fresh quote at each, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.layout import date_of
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.sources import Source, open_source
from hlhft.report.attribution import HOUR_NS
from hlhft.report.markouts import HORIZONS_NS
from hlhft.report.venue_mids import QUOTE_AGE_NS, mids_of, moments, recorded_mids, with_mids
from hlhft.report.venue_records import History, Mids, PastFill, PastFunding, Reading
from hlhft.report.venue_split import split
from tests.data.catalogue.making import put
from tests.report.pasts import ADDRESS, BTC, price_unit
from tests.report.tape import SECOND, START_NS, Tape

UNIT = price_unit(BTC)


def bought(at_ns: int, coin: str = "BTC", price: int = 1_000) -> PastFill:
    return PastFill(
        coin=coin, ts_ns=at_ns, side=1, price=price * UNIT, size=10**12, start=0, closed=0, fee=0, tid=1
    )  # fmt: skip


def recorded(root: Path, tape: Tape) -> Catalogue:
    put(root, "bbo", "part", [tape.blocks()], market=BTC, date=date_of(START_NS), snapshots=True)
    return Catalogue(root)


def test_a_fill_meets_the_mid_of_its_moment(tmp_path: Path) -> None:
    tape = Tape().bbo(0, 1_000, 1_004).bbo(2_000, 1_002, 1_006).bbo(30_000, 1_010, 1_014)
    past = History(
        address=ADDRESS, fills=[bought(START_NS + 5 * SECOND), bought(START_NS + 5 * SECOND, coin="NONE")],
        fundings=[PastFunding(coin="BTC", ts_ns=START_NS + SECOND, amount=0, position=0, rate=0)],
        mids={"BTC": Mids((START_NS,), (7,)), "NONE": Mids((1,), (8,))}, mids_from="candles", mids_every_ns=60 * SECOND,
        markets={"BTC": BTC},
    )  # fmt: skip
    found = recorded_mids(recorded(tmp_path, tape), past)
    mids = found.mids["BTC"]
    assert set(found.mids) == {"BTC"}
    at = [mids.at(START_NS + ms * 10**6) // UNIT for ms in (1_000, 5_000, 6_000, 15_000, 65_000)]
    assert at == [2_004, 2_008, 2_008, 2_008, 2_024]
    # 120 and 300 s after the fill the last quote is older than it may be.
    assert (found.wanted - found.known) == 2 + len(moments(past)["NONE"])
    both = with_mids(past, found)
    assert both.mids["BTC"].at(START_NS + 5 * SECOND) == 2_008 * UNIT
    assert both.mids["BTC"].at(START_NS) == 7
    assert both.mids["NONE"] == past.mids["NONE"]
    assert both.mids_every_ns == 60 * SECOND
    assert both.mids_from == f"recorded best prices at {found.known} of {found.wanted} moments, else candles"
    spread = next(one.parts.spread for one in split(both).attribution.markets if one.market == "BTC")
    assert spread == (2_008 - 2_000) * UNIT * 10**12


def test_where_all_is_recorded_candles_are_not_spoken_of(tmp_path: Path) -> None:
    tape = Tape().still(0, 400_000, 1_000, 1_002)
    past = replace(
        History(address=ADDRESS, fills=[bought(START_NS + 5 * SECOND)], markets={"BTC": BTC}),
        mids_from="candles",
        mids_every_ns=9,
    )
    found = recorded_mids(recorded(tmp_path, tape), past)
    assert found.known == found.wanted == 1 + len(HORIZONS_NS)
    both = with_mids(past, found)
    assert (both.mids_from, both.mids_every_ns) == (found.words, 0)


def test_hours_and_readings_are_moments_too() -> None:
    first = START_NS + 5 * SECOND
    past = History(
        address=ADDRESS, fills=[bought(first)], readings=[Reading(ts_ns=first + 2 * HOUR_NS, cash=0)],
        fundings=[PastFunding(coin="ETH", ts_ns=first, amount=0, position=0, rate=0)],
    )  # fmt: skip
    (times,) = moments(past).values()
    assert {first, first + 2 * HOUR_NS, START_NS + HOUR_NS, START_NS + 2 * HOUR_NS} <= set(times.tolist())
    assert len(times) == 4 + len(HORIZONS_NS)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.integers(900, 1_000), st.integers(1_001, 1_100)), min_size=1, max_size=8
    ),
    st.lists(st.integers(0, 300_000), min_size=1, max_size=10),
)
def test_each_moment_has_the_last_quote_before_it(quotes: list[tuple[int, int, int]], at: list[int]) -> None:
    quotes = sorted({one[0]: one for one in quotes}.values())
    tape = Tape()
    for time, bid, ask in quotes:
        tape.bbo(time, bid, ask)
    times = np.array(sorted({START_NS + ms * 10**6 for ms in at}), np.int64)
    wanted = {}
    for time in times.tolist():
        before = [one for one in quotes if START_NS + one[0] * 10**6 <= time]
        if before and time - START_NS - before[-1][0] * 10**6 <= QUOTE_AGE_NS:
            wanted[time] = (before[-1][1] + before[-1][2]) * UNIT
    mids = mids_of(cast(Source, Rows(tape)), times)
    assert dict(zip(mids.ts_ns, mids.double, strict=True)) == wanted


class Rows:
    """A recording of one market that is its rows."""

    markets = (BTC,)
    snapshot_markets = (True,)
    ordered = True
    name = "rows"

    def __init__(self, tape: Tape) -> None:
        self._rows = tape.blocks()

    def chunks(self, *, progress: object = None) -> Iterator[np.ndarray]:
        return iter([self._rows[: len(self._rows) // 4 * 2], self._rows[len(self._rows) // 4 * 2 :]])


def test_a_recorded_market(recordings: Path) -> None:
    source = open_source(recordings / "hyperliquid" / "l2_trades_bbo_20250904" / "prices_BTC.csv.gz")
    begin_ns = 1_757_015_300 * SECOND
    times = np.arange(begin_ns, begin_ns + 600 * SECOND, SECOND)
    mids = mids_of(source, times)
    assert len(mids.ts_ns) > 550
    prices = np.array(mids.double) / 2 / 10**12
    assert prices.min() > 100_000
    assert prices.max() < 120_000


def test_a_catalogue_without_the_market_gives_nothing(tmp_path: Path) -> None:
    past = History(address=ADDRESS, fills=[bought(START_NS, coin="ETH")])
    found = recorded_mids(recorded(tmp_path, Tape().bbo(0, 1, 2)), past)
    assert (found.mids, found.known) == ({}, 0)
    assert with_mids(past, found).mids == {}
    assert recorded_mids(Catalogue(tmp_path / "nowhere"), past).mids == {}
