"""Volumes of fourteen days, tiers, rebates, and when rates change."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.venue.fee_tiers import (
    DAY_NS,
    DAYS,
    MAKER_ELSEWHERE_MICRO,
    begin_days,
    count_volume,
    fix_rates,
    new_fees,
    rebate_of_share,
    sum_volumes,
    tier_of_volume,
    update_rates,
)
from tests.venue.chain_desk import MARKETS, PERP, SPOT, USDC, ChainDesk

MILLION = 10**6 * USDC
BILLION = 1_000 * MILLION
DAY = 20_000  # days since the epoch
# On a perpetual at 10,000 ticks a lot is 0.01 USDC; on the spot pair a tick of a lot is 1e-8.
LOTS_PER_MILLION = 10**8


@pytest.mark.parametrize(
    ("volume", "tier"),
    [
        (0, 0), (5 * MILLION, 0), (5 * MILLION + 1, 1), (25 * MILLION + 1, 2), (100 * MILLION + 1, 3),
        (500 * MILLION + 1, 4), (2 * BILLION + 1, 5), (7 * BILLION, 5), (7 * BILLION + 1, 6),
    ],
)  # fmt: skip
def test_a_tier_begins_above_its_threshold(volume, tier):
    assert tier_of_volume(new_fees(1), volume) == tier


def test_the_tiers_are_the_venues():
    fees = new_fees(1)
    assert fees.tiers["maker_rate_e9"].tolist() == [120_000, 80_000, 40_000, 0, 0, 0]
    assert fees.tiers["taker_rate_e9"].tolist() == [400_000, 350_000, 300_000, 280_000, 260_000, 240_000]


@pytest.mark.parametrize(
    ("maker", "total", "rate"),
    [(0, 0, 0), (5, 1_000, 0), (6, 1_000, -10_000), (15, 1_000, -10_000), (16, 1_000, -20_000), (31, 1_000, -30_000)],
)
def test_a_rebate_is_for_a_share_of_all_maker_volume(maker, total, rate):
    assert rebate_of_share(new_fees(1), maker * MILLION, total * MILLION) == rate


def test_volume_counts_spot_twice_and_knows_the_maker():
    fees = new_fees(2)
    now = DAY * DAY_NS + 5
    count_volume(fees, MARKETS[PERP], 0, 10_000, 2_000, 1, now)
    count_volume(fees, MARKETS[PERP], 0, 10_000, 1_000, 0, now)
    count_volume(fees, MARKETS[SPOT], 1, 10_000, 300_000, 0, now)
    assert fees.traded_micro.tolist() == [30 * USDC, 30 * USDC]
    assert fees.days[0, DAY % DAYS].tolist() == [30 * USDC, 20 * USDC]
    assert fees.days[1, DAY % DAYS].tolist() == [60 * USDC, 0]
    assert sum_volumes(fees, now, 1) == MAKER_ELSEWHERE_MICRO + 20 * USDC
    assert fees.sums.tolist() == [[30 * USDC, 20 * USDC], [60 * USDC, 0]]
    assert sum_volumes(fees, now, 0) == MAKER_ELSEWHERE_MICRO, "today is not over"
    assert fees.sums.tolist() == [[0, 0], [0, 0]]


def test_sub_accounts_count_with_their_master():
    fees = new_fees(3)
    fees.master[2] = 1
    for account in (1, 2):
        count_volume(fees, MARKETS[PERP], account, 10_000, 1_000, 0, DAY * DAY_NS)
    sum_volumes(fees, DAY * DAY_NS, 1)
    assert fees.sums[:, 0].tolist() == [0, 20 * USDC, 0]


def test_a_day_counts_for_fourteen_days():
    fees = new_fees(1)
    first = DAY * DAY_NS
    count_volume(fees, MARKETS[PERP], 0, 10_000, 1_000, 0, first)
    seen = []
    for day in range(1, 17):
        assert begin_days(fees, first + (day - 1) * DAY_NS, first + day * DAY_NS)
        sum_volumes(fees, first + day * DAY_NS, 0)
        seen.append(int(fees.sums[0, 0]))
    assert seen == [10 * USDC] * 14 + [0, 0]


def test_where_today_counts_the_oldest_day_does_not():
    fees = new_fees(1)
    for day in range(14):
        begin_days(fees, (DAY + day - 1) * DAY_NS, (DAY + day) * DAY_NS)
        count_volume(fees, MARKETS[PERP], 0, 10_000, 1_000, 0, (DAY + day) * DAY_NS)
    now = (DAY + 14) * DAY_NS
    begin_days(fees, now - DAY_NS, now)
    count_volume(fees, MARKETS[PERP], 0, 10_000, 500, 0, now)
    sum_volumes(fees, now, 0)
    assert fees.sums[0, 0] == 140 * USDC
    sum_volumes(fees, now, 1)
    assert fees.sums[0, 0] == 135 * USDC


def test_a_gap_of_weeks_forgets_everything_and_the_same_day_nothing():
    fees = new_fees(1)
    count_volume(fees, MARKETS[PERP], 0, 10_000, 1_000, 0, DAY * DAY_NS)
    assert not begin_days(fees, DAY * DAY_NS, DAY * DAY_NS + DAY_NS - 1)
    assert fees.days.sum() == 10 * USDC
    assert begin_days(fees, DAY * DAY_NS, (DAY + 40) * DAY_NS)
    assert fees.days.sum() == 0


def test_rates_follow_the_tier_but_never_above_the_markets_own():
    desk = ChainDesk()
    venue, fees = desk.exchange, desk.chain.fees
    venue.markets[1]["maker_rate_e9"], venue.markets[1]["taker_rate_e9"] = 0, 100_000
    venue.holdings["maker_rate_e9"][:, 1], venue.holdings["taker_rate_e9"][:, 1] = 0, 100_000
    count_volume(fees, MARKETS[PERP], 2, 10_000, 30 * LOTS_PER_MILLION, 0, desk.now_ns)
    fees.master[3] = 2
    fees.fixed[4] = 1
    fees.master[4] = 2
    update_rates(fees, venue, desk.now_ns, 1)
    assert venue.holdings["maker_rate_e9"][:, PERP].tolist() == [150_000, 150_000, 80_000, 80_000, 150_000]
    assert venue.holdings["taker_rate_e9"][:, PERP].tolist() == [450_000, 450_000, 350_000, 350_000, 450_000]
    assert venue.holdings["maker_rate_e9"][:, 1].tolist() == [0] * 5
    assert venue.holdings["taker_rate_e9"][:, 1].tolist() == [100_000] * 5
    assert venue.holdings["taker_rate_e9"][:, SPOT].tolist() == [450_000] * 5
    told = venue.events[: venue.engine[0]["event_count"]]
    assert [(int(e["kind"]), int(e["account"]), int(e["aux0"]), int(e["aux1"])) for e in told] == [
        (EventKind.FEE_CHANGE, 2, 80_000, 350_000),
        (EventKind.FEE_CHANGE, 3, 80_000, 350_000),
    ]
    update_rates(fees, venue, desk.now_ns, 1)
    assert venue.engine[0]["event_count"] == 2, "nothing changed"


def test_rates_that_were_fixed_stay():
    desk = ChainDesk()
    fix_rates(desk.chain.fees, desk.exchange.holdings, 1, maker_rate_e9=-30_000, taker_rate_e9=240_000)
    count_volume(desk.chain.fees, MARKETS[PERP], 1, 10_000, 30 * LOTS_PER_MILLION, 0, desk.now_ns)
    update_rates(desk.chain.fees, desk.exchange, desk.now_ns, 1)
    assert desk.exchange.holdings["maker_rate_e9"][1].tolist() == [-30_000] * 3
    assert desk.exchange.holdings["taker_rate_e9"][:, SPOT].tolist() == [450_000, 240_000, 450_000, 450_000, 450_000]


def test_a_rebate_replaces_the_makers_rate_only():
    desk = ChainDesk()
    desk.chain.fees.elsewhere_micro[0] = 0
    count_volume(desk.chain.fees, MARKETS[PERP], 1, 10_000, 1_000, 1, desk.now_ns)
    update_rates(desk.chain.fees, desk.exchange, desk.now_ns, 1)
    assert desk.exchange.holdings["maker_rate_e9"][1].tolist() == [-30_000, -30_000, 150_000]
    assert desk.exchange.holdings["taker_rate_e9"][1].tolist() == [450_000] * 3


def test_the_chain_updates_rates_when_a_day_ends_or_at_once():
    for at_once in (0, 1):
        desk = ChainDesk()
        desk.chain.parameters[0]["fee_tiers_at_once"] = at_once
        count_volume(desk.chain.fees, MARKETS[PERP], 1, 10_000, 6 * LOTS_PER_MILLION, 0, desk.now_ns)
        desk.run()
        assert desk.exchange.holdings["taker_rate_e9"][1, PERP] == (400_000 if at_once else 450_000)
        desk.run(DAY_NS - desk.now_ns % DAY_NS)
        assert desk.exchange.holdings["taker_rate_e9"][1, PERP] == 400_000
        assert [int(e["account"]) for e in desk.only(EventKind.FEE_CHANGE)] == ([] if at_once else [1])
    assert np.all(desk.chain.fees.days[1, desk.now_ns // DAY_NS % DAYS] == 0)
