"""Premium, hourly rate and payments, by hand, against fractions, and against what the venue published."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.ladder import new_cells, new_header, set_ask, set_bid
from hlhft.units import TICKS_MAX, Market
from hlhft.venue.funding import (
    HOUR_NS,
    HOURLY_MAX_E12,
    IMPACT_NOTIONAL_MAJOR_MICRO,
    IMPACT_NOTIONAL_MICRO,
    RATE_NONE,
    SAMPLE_NS,
    apply_funding,
    hourly_rate_e12,
    hours_between,
    impact_price_e6,
    new_funding,
    observe_premium,
    payment_micro,
    premium_e12,
    settle_hour,
)
from hlhft.venue.holding import HOLDING_DTYPE

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
RECORD = BTC.record()[0]
E6, E12 = 10**6, 10**12
BIDS, ASKS = 0, 1


def exactly(value: Fraction) -> int:
    return int(value)  # Python truncates toward zero


# Impact prices.


def ladder(bids: dict[int, int], asks: dict[int, int], base: int = 1, width: int = 200):
    header, cells = new_header(base, width), new_cells(width)
    for ticks, lots in bids.items():
        set_bid(header[0], cells, ticks, lots)
    for ticks, lots in asks.items():
        set_ask(header[0], cells, ticks, lots)
    return header[0], cells


def impact(book, row: int, quanta: int) -> int:
    return impact_price_e6(*book, row, quanta)


def test_the_impact_price_of_one_level_is_its_price():
    book = ladder({99: 1000}, {101: 1000})
    assert impact(book, BIDS, 9_900) == 99 * E6
    assert impact(book, ASKS, 10_100) == 101 * E6
    assert impact(book, ASKS, 101 * 1000) == 101 * E6, "the whole level, exactly"


def test_the_impact_price_over_several_levels_is_notional_over_lots():
    book = ladder({}, {100: 10, 110: 10, 120: 10})
    # 1000 at 100 buys 10, 1100 at 110 buys 10, the last 300 at 120 buy 2.5: 2400 / 22.5 = 106.666…
    assert impact(book, ASKS, 2400) == 106_666_666
    # Exactly two levels: 2100 / 20.
    assert impact(book, ASKS, 2100) == 105 * E6
    book = ladder({100: 10, 90: 10}, {})
    # 1000 sells 10 at 100, 450 sells 5 at 90: 1450 / 15 = 96.666…
    assert impact(book, BIDS, 1450) == 96_666_666


def test_a_book_too_thin_has_no_impact_price():
    book = ladder({100: 10}, {110: 10})
    assert impact(book, ASKS, 1100) == 110 * E6
    assert impact(book, ASKS, 1101) == 0
    assert impact(book, BIDS, 1001) == 0
    assert impact(ladder({}, {}), BIDS, 1000) == 0


@settings(max_examples=60)
@given(st.dictionaries(st.integers(100, 150), st.integers(2, 10**9), min_size=1, max_size=8), st.data())
def test_the_impact_price_is_the_average_of_an_execution(levels, data):
    """Against an execution in fractions; the lots of the last level are cut to 1e-6, which moves the price by less than
    that share of it and one unit of the result."""
    quanta = data.draw(st.integers(150, sum(ticks * lots for ticks, lots in levels.items())))
    left, lots = Fraction(quanta), Fraction(0)
    for ticks in sorted(levels):
        taken = min(left, Fraction(ticks * levels[ticks]))
        left -= taken
        lots += taken / ticks
    found = impact(ladder({}, levels), ASKS, quanta)
    assert min(levels) * E6 <= found <= 150 * E6
    assert abs(found - quanta / lots * E6) <= 1 + quanta / lots / lots


def test_the_impact_price_of_the_largest_amount_in_the_finest_lots():
    # The statement's border: quanta just below 2^62 / 1e6, at a price of one tick.
    quanta = 2**62 // E6 - 1
    assert impact(ladder({}, {1: quanta + 1}), ASKS, quanta) == E6
    # And at the highest price.
    book = ladder({}, {TICKS_MAX: 10**6}, base=TICKS_MAX - 5, width=6)
    assert impact(book, ASKS, TICKS_MAX) == TICKS_MAX * E6


def test_impact_notionals():
    assert (IMPACT_NOTIONAL_MAJOR_MICRO, IMPACT_NOTIONAL_MICRO) == (20_000 * E6, 6_000 * E6)


# The premium.


@pytest.mark.parametrize(
    ("bid", "ask", "oracle", "expected"),
    [
        (1_000_500_000_000, 1_000_700_000_000, 1_000_000, Fraction(500, 10**6)),  # both above: bid - oracle
        (999_300_000_000, 999_500_000_000, 1_000_000, Fraction(-500, 10**6)),  # both below: ask - oracle
        (999_900_000_000, 1_000_100_000_000, 1_000_000, Fraction(0)),  # the oracle lies between
        (1_000_000_000_000, 1_000_000_000_000, 1_000_000, Fraction(0)),
    ],
)
def test_premium_by_hand(bid, ask, oracle, expected):
    assert premium_e12(bid, ask, oracle) == expected * E12


@pytest.mark.parametrize(("bid", "ask", "oracle"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, 1, 1)])
def test_without_a_price_there_is_no_premium(bid, ask, oracle):
    assert premium_e12(bid, ask, oracle) == RATE_NONE


@settings(max_examples=100)
@given(st.integers(1, TICKS_MAX * E6), st.integers(0, 10**12), st.integers(1, TICKS_MAX))
@example(TICKS_MAX * E6, 0, 1)
@example(1, 0, TICKS_MAX)
def test_the_premium_is_the_truncated_fraction(bid, spread, oracle):
    difference = max(bid - oracle * E6, 0) - max(oracle * E6 - bid - spread, 0)
    if abs(difference) * E6 // oracle < 2**62:  # a premium of four million times the oracle is no market
        assert premium_e12(bid, bid + spread, oracle) == exactly(Fraction(difference * E6, oracle))


def test_published_premiums_are_recomputed_from_published_impact_prices(recordings: Path):
    """Every coin of the main dex in one recorded frame: to the venue's ten decimals, truncated or rounded."""
    frame = json.loads((recordings / "hyperliquid/api/nautilus_fixtures/ws_all_dexs_asset_ctxs.json").read_text())
    contexts = [c for c in dict(frame["data"]["ctxs"])[""] if c["premium"] is not None and c["impactPxs"]]
    assert len(contexts) >= 150
    for context in contexts:
        decimals = max(-int(Decimal(context["oraclePx"]).as_tuple().exponent), 0)
        oracle = int(Decimal(context["oraclePx"]).scaleb(decimals))
        bid, ask = (int(Decimal(price).scaleb(decimals + 6)) for price in context["impactPxs"])
        assert abs(premium_e12(bid, ask, oracle) - Fraction(context["premium"]) * E12) <= 100


# Sampling.


def test_samples_are_taken_once_in_five_seconds():
    state = new_funding(2)[0]
    hour = 1000 * HOUR_NS
    assert observe_premium(state, 7, hour)
    assert not observe_premium(state, 7, hour + SAMPLE_NS - 1)
    assert observe_premium(state, 11, hour + SAMPLE_NS)
    assert not observe_premium(state, RATE_NONE, hour + 2 * SAMPLE_NS), "an unknown premium is no sample"
    assert observe_premium(state, -3, hour + 2 * SAMPLE_NS + 1), "and does not use up the five seconds"
    assert not observe_premium(state, 5, hour + SAMPLE_NS), "time does not go back"
    assert (state["premium_sum_e12"], state["samples"]) == (15, 3)


def test_markets_are_sampled_apart():
    states = new_funding(2)
    observe_premium(states[0], 7, HOUR_NS)
    assert (states["samples"] == [1, 0]).all()


def test_an_hour_is_settled_with_the_average_and_sampling_starts_anew():
    state = new_funding(1)[0]
    for number, premium in enumerate([800_000_000, 1_000_000_000, 1_200_000_001]):
        observe_premium(state, premium, HOUR_NS + number * SAMPLE_NS)
    # The average is 0.001 (a third of a unit is cut), beyond the clamp: (0.001 - 0.0005) / 8 = 0.0000625.
    assert settle_hour(state) == 62_500_000
    assert settle_hour(state) == RATE_NONE, "an hour without a sample has no rate, not the interest"
    assert observe_premium(state, 0, HOUR_NS + 3 * SAMPLE_NS)
    assert settle_hour(state) == 12_500_000


# The rate.


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        ("0", "0.0000125"),  # 0.0001 / 8
        ("0.0006", "0.0000125"),  # interest clamped at -0.0005 just now
        ("-0.0004", "0.0000125"),
        ("0.0007", "0.000025"),  # (0.0007 - 0.0005) / 8
        ("-0.0007", "-0.000025"),  # (-0.0007 + 0.0005) / 8
        ("0.0005999999", "0.0000125"),
        ("0.3205", "0.04"),  # the cap of 4 % an hour, reached
        ("0.33", "0.04"),
        ("-0.3205", "-0.04"),
        ("-5", "-0.04"),
    ],
)
def test_the_hourly_rate_by_hand(premium, rate):
    assert hourly_rate_e12(exactly(Fraction(premium) * E12)) == Fraction(rate) * E12


@settings(max_examples=150)
@given(st.integers(-(2**61), 2**61))
@example(2**61)
@example(-(2**61))
@example(500_000_000 + 100_000_001)
def test_the_hourly_rate_is_the_formula(premium):
    fraction = Fraction(premium, E12)
    interest = max(Fraction(-5, 10_000), min(Fraction(1, 10_000) - fraction, Fraction(5, 10_000)))
    rate = max(Fraction(-4, 100), min((fraction + interest) / 8, Fraction(4, 100)))
    assert hourly_rate_e12(premium) == exactly(rate * E12)


def test_published_rates_where_the_interest_was_not_clamped(recordings: Path):
    """The recorded hours of June 2023 had a narrower clamp, 0.0003: where neither holds the rates are the same."""
    name = "hyperliquid/api/sdk_cassettes/test_get_funding_history_None.1.json"
    rows = json.loads((recordings / name).read_text())["response"]
    hourly_since_ms = 1_686_186_000_000
    checked = 0
    for row in rows:
        premium = Fraction(row["premium"])
        if row["time"] >= hourly_since_ms and abs(Fraction(1, 10_000) - premium) <= Fraction(3, 10_000):
            assert hourly_rate_e12(exactly(premium * E12)) == 12_500_000
            checked += row["fundingRate"] == "0.0000125"
    assert checked >= 100


# Payments.


@pytest.mark.parametrize(
    ("lots", "rate_e12", "expected"),
    [
        # 2 BTC (200,000 lots) at an oracle of 100,000.0 are 200,000 USDC; at 0.00125 % 2.50 USDC, which longs pay.
        (200_000, 12_500_000, -2_500_000),
        (-200_000, 12_500_000, 2_500_000),
        (200_000, -12_500_000, 2_500_000),  # and receive when the rate is negative
        (-200_000, -12_500_000, -2_500_000),
        (200_000, HOURLY_MAX_E12, -8_000_000_000),  # 4 % of 200,000
        (0, 12_500_000, 0),
        (1, 999_999, 0),  # 1 USDC at 1e-6, less a little: cut to nothing
        (1, 1_000_000, -1),
        (-1, 1_999_999, 1),
    ],
)
def test_payments_by_hand(lots, rate_e12, expected):
    assert payment_micro(RECORD, lots, 1_000_000, rate_e12) == expected
    holding = np.zeros(1, HOLDING_DTYPE)[0]
    holding["position_lots"], holding["funding_micro"] = lots, 11
    assert apply_funding(holding, RECORD, 1_000_000, rate_e12) == expected
    assert holding["funding_micro"] == 11 + expected
    assert (holding["position_lots"], holding["cash_quanta"], holding["fee_micro"]) == (lots, 0, 0)


@settings(max_examples=100)
@given(st.integers(-(2**31), 2**31), st.integers(1, TICKS_MAX - 1), st.integers(-HOURLY_MAX_E12, HOURLY_MAX_E12))
@example(2**31, TICKS_MAX - 1, HOURLY_MAX_E12)
@example(-(2**31), TICKS_MAX - 1, HOURLY_MAX_E12)
def test_a_payment_is_exact_and_what_longs_pay_shorts_receive(lots, oracle, rate):
    paid = payment_micro(RECORD, lots, oracle, rate)
    assert paid == -exactly(Fraction(lots * oracle * rate, E12))
    assert payment_micro(RECORD, -lots, oracle, rate) == -paid


def test_recorded_payments_go_the_same_way(recordings: Path):
    """The venue publishes no oracle price with a payment, so at one made up: who pays and who receives agrees."""
    name = "hyperliquid/api/sdk_cassettes/test_user_funding_history_without_end_time.json"
    rows = [row["delta"] for row in json.loads((recordings / name).read_text())["response"]]
    directions = set()
    for row in rows:
        size, rate, received = (Fraction(row[key]) for key in ("szi", "fundingRate", "usdc"))
        paid = payment_micro(RECORD, exactly(size * 10**8), 1_000_000, exactly(rate * E12))
        assert (paid > 0) == (received > 0)
        directions.add((size > 0, rate > 0))
    assert len(directions) == 4, "longs and shorts, under rates of both signs"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0, HOUR_NS - 1, 0),
        (0, HOUR_NS, 1),  # on the hour
        (HOUR_NS, HOUR_NS + 59_000_000, 0),  # it was paid on the hour, not again 59 ms later
        (HOUR_NS - 1, HOUR_NS, 1),
        (HOUR_NS - 1, 3 * HOUR_NS, 3),  # a gap owes every hour
        (5, 5, 0),
    ],
)
def test_payments_are_due_on_the_hour(before, after, expected):
    assert hours_between(before, after) == expected
