"""What the venue refuses before it looks at the book."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.units import LOTS_MAX, TICKS_MAX, GridRule, Market, MarketKind
from hlhft.venue import rules as rule_sets
from hlhft.venue.refusals import Refusal
from hlhft.venue.validation import check_order

# A tick is 0.1 USDC, a lot 0.00001 BTC; at 100,000 USDC five figures leave whole USDC: every tenth tick.
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)
AT = 1_000_000  # 100,000.0 USDC
DOLLAR = 1_000_000


def refusal(
    market: Market = BTC,
    *,
    side: int = 1,
    price: int = AT,
    lots: int = 100_000,
    reduce_only: int = 0,
    position: int = 0,
    reference: int = AT,
    open_orders: int = 0,
    **changes: float,
) -> Refusal:
    rules = rule_sets.hyperliquid()
    for name, value in changes.items():
        rules[name] = value
    record = market.record()[0]
    code = check_order(record, side, price, lots, reduce_only, position, reference, open_orders, rules[0])
    return Refusal(code)


def test_a_plain_order_passes():
    assert refusal() is Refusal.NONE


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (AT + 10, Refusal.NONE),  # 100,001: a whole number is always valid
        (AT + 1, Refusal.TICK),  # 100,000.1: seven figures
        (AT + 5, Refusal.TICK),
        (999_990, Refusal.NONE),  # 99,999: five figures
        (999_991, Refusal.TICK),  # 99,999.1
        (99_999, Refusal.NONE),  # 9,999.9
        (12_345, Refusal.NONE),  # 1,234.5
    ],
)
def test_the_grid_of_five_figures(price, expected):
    assert refusal(price=price, reference=0) is expected


@pytest.mark.parametrize(("price", "expected"), [(15, Refusal.NONE), (16, Refusal.TICK), (4, Refusal.TICK)])
def test_a_fixed_grid(price, expected):
    market = Market(
        name="F", asset_id=0, price_decimals=1, size_decimals=5, grid_rule=GridRule.FIXED, grid_step_ticks=5
    )
    assert refusal(market, price=price, lots=10**9, reference=0) is expected


@pytest.mark.parametrize(
    ("price", "lots", "expected"),
    [
        (AT, 0, Refusal.ZERO_SIZE),
        (AT, -1, Refusal.ZERO_SIZE),
        (0, 100_000, Refusal.INVALID_PRICE),
        (-10, 100_000, Refusal.INVALID_PRICE),
        (TICKS_MAX + 1, 100_000, Refusal.INVALID_PRICE),
        (2**62, 100_000, Refusal.INVALID_PRICE),
    ],
)
def test_sizes_and_prices_that_are_none(price, lots, expected):
    assert refusal(price=price, lots=lots) is expected


@pytest.mark.parametrize(
    ("price", "reference", "expected"),
    [
        (1_950_000, AT, Refusal.NONE),  # 95 % above
        (1_950_010, AT, Refusal.PRICE_BAND),
        (50_000, AT, Refusal.NONE),  # 95 % below
        (49_999, AT, Refusal.PRICE_BAND),
        (49_999, 0, Refusal.NONE),  # no reference, no band
    ],
)
def test_the_band(price, reference, expected):
    assert refusal(price=price, reference=reference) is expected


def test_a_rule_set_without_a_band():
    assert refusal(price=49_999, band_e6=0) is Refusal.NONE


@pytest.mark.parametrize(
    ("lots", "position", "reduce_only", "expected"),
    [
        (10, 0, 0, Refusal.NONE),  # 0.0001 BTC at 100,000: exactly 10 USDC
        (9, 0, 0, Refusal.MINIMUM_NOTIONAL),  # 9
        (9, 50, 0, Refusal.MINIMUM_NOTIONAL),  # a buy that adds to a long
        (9, -8, 0, Refusal.MINIMUM_NOTIONAL),  # closes a short of 8 and opens one lot
        (9, -9, 0, Refusal.NONE),  # only closes
        (1, -9, 0, Refusal.NONE),
        (1, 0, 1, Refusal.NONE),  # whether a reduce-only order reduces is for the matching to say
    ],
)
def test_the_least_value_and_who_is_exempt(lots, position, reduce_only, expected):
    assert refusal(lots=lots, position=position, reduce_only=reduce_only) is expected


def test_a_market_may_ask_for_more_than_the_venue():
    dearer = Market(name="D", asset_id=0, price_decimals=1, size_decimals=5, minimum_notional_micro=20 * DOLLAR)
    assert refusal(dearer, lots=19) is Refusal.MINIMUM_NOTIONAL
    assert refusal(dearer, lots=20) is Refusal.NONE


@pytest.mark.parametrize(
    ("leverage", "most_usdc"),
    [
        (50, 300_000_000),
        (25, 300_000_000),
        (24, 50_000_000),
        (20, 50_000_000),
        (19, 20_000_000),
        (10, 20_000_000),
        (9, 5_000_000),
        (1, 5_000_000),
    ],
)
def test_the_largest_limit_order_by_the_leverage_on_offer(leverage, most_usdc):
    """Ten times the market orders of $30M, $5M, $2M and $500k."""
    market = Market.perpetual("X", asset_id=0, size_decimals=5, maximum_leverage=leverage)
    lots = most_usdc * DOLLAR // AT  # one lot is worth 1 USDC at 100,000.0
    assert refusal(market, lots=lots) is Refusal.NONE
    assert refusal(market, lots=lots + 1) is Refusal.ORDER_TOO_LARGE


def test_a_spot_order_is_valued_in_its_finer_unit():
    # Price 0.5 and size 20: 50,000,000 ticks x 20 lots at a hundred to the micro-USDC are exactly 10 USDC.
    spot = Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0)
    assert refusal(spot, price=50_000_000, lots=20, reference=0) is Refusal.NONE
    assert refusal(spot, price=50_000_000, lots=19, reference=0) is Refusal.MINIMUM_NOTIONAL


@pytest.mark.parametrize(
    ("open_orders", "reduce_only", "expected"),
    [
        (999, 0, Refusal.NONE),
        (1000, 0, Refusal.NONE),  # this account has traded enough for 1500
        (1499, 0, Refusal.NONE),
        (1500, 0, Refusal.TOO_MANY_OPEN_ORDERS),
        (999, 1, Refusal.NONE),
        (1000, 1, Refusal.TOO_MANY_OPEN_ORDERS),  # reduce-only orders end at a thousand all the same
    ],
)
def test_the_number_of_open_orders(open_orders, reduce_only, expected):
    assert refusal(open_orders=open_orders, reduce_only=reduce_only, open_orders_max=1500) is expected


def test_what_is_wrong_with_the_order_comes_before_what_is_wrong_around_it():
    assert refusal(price=AT + 1, lots=1, open_orders=5000) is Refusal.TICK
    assert refusal(price=0, lots=0) is Refusal.ZERO_SIZE
    assert refusal(price=10, lots=1, open_orders=5000) is Refusal.PRICE_BAND
    assert refusal(lots=1, open_orders=5000) is Refusal.MINIMUM_NOTIONAL


def test_a_rule_set_that_takes_everything():
    assert refusal(price=-3, lots=-1, open_orders=5000, enforce_validation=0) is Refusal.NONE


@settings(max_examples=150)
@given(
    st.integers(-5, 2**62),
    st.integers(-5, 2**62),
    st.sampled_from([1, -1]),
    st.integers(-LOTS_MAX, LOTS_MAX),
    st.integers(0, TICKS_MAX),
    st.sampled_from([BTC, Market.spot("S", asset_id=10_000, size_decimals=2)]),
)
@example(TICKS_MAX, 2**62, 1, 0, TICKS_MAX, BTC)
@example(TICKS_MAX, LOTS_MAX, -1, LOTS_MAX, TICKS_MAX, BTC)
def test_what_passes_is_on_the_grid_in_the_band_and_worth_something_that_fits(
    price, lots, side, position, reference, market
):
    """No extreme overflows on the way, and an accepted order satisfies every rule in plain arithmetic."""
    code = refusal(market, side=side, price=price, lots=lots, position=position, reference=reference)
    if code is Refusal.NONE:
        assert market.is_valid_price(price)
        assert lots > 0
        assert reference == 0 or abs(price - reference) * 100 <= 95 * reference
        assert market.micro(price, lots) <= 300_000_000 * DOLLAR
        assert market.micro(price, lots) >= 10 * DOLLAR or side * position + lots <= 0
    elif code is Refusal.TICK:
        assert not market.is_valid_price(price)


def test_every_recorded_trade_price_is_on_the_grid(recordings: Path):
    """A price that the venue executed at is a price that this accepts."""
    meta = json.loads((recordings / "hyperliquid/api/recorded_messages_2026/meta_testnet.json").read_text())
    decimals = {market["name"]: market["szDecimals"] for market in meta.get("response", meta)["universe"]}
    (path,) = (recordings / "hyperliquid/node_fills_by_block_20251027").glob("*.jsonl.gz")
    with gzip.open(path, "rt") as lines:
        fills = [fill for line in lines for _, fill in json.loads(line)["events"]]
    checked = 0
    for coin in {fill["coin"] for fill in fills} & set(decimals):
        market = Market.perpetual(coin, asset_id=0, size_decimals=decimals[coin])
        assert market.kind is MarketKind.PERPETUAL
        for text in {fill["px"] for fill in fills if fill["coin"] == coin}:
            price = market.ticks(text)
            assert refusal(market, price=price, lots=2**40, reference=price) in (Refusal.NONE, Refusal.ORDER_TOO_LARGE)
            checked += 1
    assert checked > 500
