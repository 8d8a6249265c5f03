"""Markets in whole numbers: every rule against decimals, on the venue's own universes and on invented markets."""

from __future__ import annotations

import gzip
import json
import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hlhft.units import (
    LOTS_MAX,
    SIGNIFICANT_FIGURES,
    TICKS_MAX,
    GridRule,
    Market,
    MarketKind,
    UnitsError,
    decimal_text,
)

PERPETUALS = [Market.perpetual(f"P{decimals}", asset_id=decimals, size_decimals=decimals) for decimals in range(6)]
SPOTS = [Market.spot(f"S{decimals}", asset_id=decimals, size_decimals=decimals) for decimals in range(6)]
FIXED = [
    Market(
        name=f"F{step}",
        asset_id=step,
        price_decimals=2,
        size_decimals=3,
        grid_rule=GridRule.FIXED,
        grid_step_ticks=step,
    )
    for step in (1, 5, 25)
]
MARKETS = [*PERPETUALS, *SPOTS, *FIXED]
markets = st.sampled_from(MARKETS)
sides = st.sampled_from([1, -1])
# Prices that matter have few digits or many, so the exponent is drawn by itself.
prices = st.builds(lambda digits, power: digits * 10.0**power, st.floats(1.0, 10.0), st.floats(-3.0, 8.0))


def is_accepted(market: Market, price: Decimal) -> bool:
    """The venue's rule in its own words (venue reference section 2): five significant figures at most, or a whole
    number, and no more decimals than the market has; a fixed grid its step."""
    if price <= 0 or price != price.quantize(Decimal(1).scaleb(-market.price_decimals)):
        return False
    if market.grid_rule is GridRule.FIXED:
        return price % (Decimal(market.grid_step_ticks).scaleb(-market.price_decimals)) == 0
    digits = price.normalize().as_tuple().digits
    return len(digits) <= SIGNIFICANT_FIGURES or price == price.to_integral_value()


def price_of(market: Market, ticks: int) -> Decimal:
    return Decimal(ticks).scaleb(-market.price_decimals)


def nearest_accepted(market: Market, price: Decimal, side: int) -> Decimal:
    """The accepted price nearest to `price` that is not above it (side +1) or not below it (side -1)."""
    rounding = ROUND_FLOOR if side > 0 else ROUND_CEILING
    if market.grid_rule is GridRule.FIXED:
        step = Decimal(market.grid_step_ticks).scaleb(-market.price_decimals)
    else:
        step = Decimal(1).scaleb(max(min(price.adjusted() - SIGNIFICANT_FIGURES + 1, 0), -market.price_decimals))
    return (price / step).to_integral_value(rounding) * step


@given(markets, prices, sides)
@settings(max_examples=100)
def test_quantising_gives_the_nearest_accepted_price_away_from_the_touch(
    market: Market, price: float, side: int
) -> None:
    ticks = price * 10.0**market.price_decimals
    assume(2.0 * market.grid_step_ticks < ticks < TICKS_MAX / 2)
    found = price_of(market, market.quantise(ticks, side=side))
    assert is_accepted(market, found)
    assert found == nearest_accepted(market, Decimal(ticks).scaleb(-market.price_decimals), side)


@given(markets, st.integers(1, TICKS_MAX // 2), sides)
@settings(max_examples=60)
def test_a_whole_tick_is_kept_when_it_is_accepted_and_only_then(market: Market, ticks: int, side: int) -> None:
    accepted = is_accepted(market, price_of(market, ticks))
    assert market.is_valid_price(ticks) is accepted
    assert (market.quantise(float(ticks), side=side) == ticks) is accepted


@given(markets, st.integers(1, TICKS_MAX // 4), st.floats(0.0, 0.1), sides)
@settings(max_examples=60)
def test_a_quote_never_crosses_the_touch(market: Market, touch: int, away: float, side: int) -> None:
    """A buy at or below the best bid stays there, a sell at or above the best ask likewise."""
    assume(market.is_valid_price(touch) and touch > 4 * market.grid_step(touch))
    quoted = market.quantise(touch * (1.0 - side * away), side=side)
    assert (touch - quoted) * side >= 0


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_the_lowest_price_is_one_step_for_either_side(market: Market) -> None:
    step = market.grid_step(1)
    assert market.quantise(0.25, side=1) == market.quantise(-3.0, side=1) == step
    assert market.quantise(0.25, side=-1) == step
    assert market.quantise(step + 0.5, side=-1) in (step + market.grid_step(step), 2 * step)


def test_both_grids_by_hand() -> None:
    """BTC has 5 size decimals, so one price decimal: 100,000.1 has seven figures, but a whole number always passes."""
    btc = PERPETUALS[5]
    assert btc.quantise(1_000_001.0, side=1) == 1_000_000
    assert btc.quantise(1_000_001.0, side=-1) == 1_000_010
    assert btc.quantise(99_999.5, side=-1) == 100_000
    assert btc.is_valid_price(1_234_560) and not btc.is_valid_price(1_234_561)
    doge = PERPETUALS[0]
    assert doge.quantise(123_456.0, side=1) == 123_450  # 0.12345
    assert doge.quantise(123_456.0, side=-1) == 123_460
    quarter = FIXED[2]
    assert quarter.quantise(1_030.0, side=1) == 1_025 and quarter.quantise(1_030.0, side=-1) == 1_050


@given(markets, st.integers(0, TICKS_MAX), st.integers(0, LOTS_MAX))
@settings(max_examples=60)
def test_texts_round_trip_in_the_wire_s_form(market: Market, ticks: int, lots: int) -> None:
    for text, decimals in (
        (market.price_text(ticks), market.price_decimals),
        (market.size_text(lots), market.size_decimals),
    ):
        assert "e" not in text.lower() and not text.startswith(".")
        whole, _, fraction = text.partition(".")
        assert str(int(whole)) == whole and len(fraction) <= decimals and not fraction.endswith("0")
        assert "." not in text or fraction
    assert market.ticks(market.price_text(ticks)) == ticks
    assert market.lots(market.size_text(lots)) == lots
    assert market.ticks(Decimal(ticks).scaleb(-market.price_decimals)) == ticks


@given(markets, st.integers(1, TICKS_MAX), st.integers(-(10**9), 10**9))
@settings(max_examples=60)
def test_money_is_exact_on_perpetuals_and_cut_toward_zero_where_it_is_finer(
    market: Market, ticks: int, lots: int
) -> None:
    exact = price_of(market, ticks) * Decimal(lots).scaleb(-market.size_decimals) * 1_000_000
    found = market.micro(ticks, lots)
    assert found == math.trunc(exact)
    if market.kind is MarketKind.PERPETUAL and market.grid_rule is GridRule.SIGNIFICANT_FIGURES:
        assert found == exact
    row = market.record()[0]
    product = abs(ticks * lots) * int(row["micro_numerator"]) // int(row["micro_denominator"])
    assert found == (product if lots >= 0 else -product)


@given(st.integers(-(10**18), 10**18), st.integers(0, 12))
def test_decimal_text_reads_back(units: int, decimals: int) -> None:
    assert Decimal(decimal_text(units, decimals)).scaleb(decimals) == units


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("abc", "is not a number"),
        ("NaN", "is not finite"),
        ("Infinity", "is not finite"),
        ("1.23", "more than 1 decimals"),
        ("-1", "outside 0"),
        ("1e12", "outside 0"),
    ],
)
def test_a_price_that_is_none_is_refused_by_name(text: str, sentence: str) -> None:
    with pytest.raises(UnitsError, match=sentence) as caught:
        PERPETUALS[5].ticks(text)
    assert "P5 price" in str(caught.value)


@pytest.mark.parametrize("text", ["1e999999999999", "1e400000000", "-1e400000000"])
def test_a_number_too_large_to_write_out_is_refused_at_once(text: str) -> None:
    """Written out in full it would take more memory than there is."""
    with pytest.raises(UnitsError, match="outside 0"):
        PERPETUALS[5].ticks(text)


@pytest.mark.parametrize("text", ["1.0000000000000000000000000000000001", "1e-400000000", "0." + "0" * 5000 + "1"])
def test_no_digit_is_rounded_away(text: str) -> None:
    """Decimal's own arithmetic rounds to 28 figures."""
    with pytest.raises(UnitsError, match="more than 1 decimals"):
        PERPETUALS[5].ticks(text)


def test_zeros_beyond_the_decimals_are_no_digits() -> None:
    assert PERPETUALS[5].ticks("1.5" + "0" * 60) == 15


def test_a_size_finer_than_the_lot_is_refused() -> None:
    with pytest.raises(UnitsError, match="more than 2 decimals"):
        PERPETUALS[2].lots("0.001")


@pytest.mark.parametrize("decimals", [(-1, 0), (13, 0), (0, -1), (0, 13)])
def test_impossible_decimals_are_refused(decimals: tuple[int, int]) -> None:
    with pytest.raises(UnitsError, match="decimals must lie in 0"):
        Market(name="X", asset_id=0, price_decimals=decimals[0], size_decimals=decimals[1])


def test_a_grid_without_a_step_is_refused() -> None:
    with pytest.raises(UnitsError, match="grid_step_ticks"):
        Market(name="X", asset_id=0, price_decimals=1, size_decimals=1, grid_step_ticks=0)


# The venue's own universes.


def perpetuals_of(meta: dict[str, Any]) -> list[Market]:
    return [
        Market.perpetual(entry["name"], asset_id=index, size_decimals=entry["szDecimals"])
        for index, entry in enumerate(meta["universe"])
    ]


def spots_of(meta: dict[str, Any]) -> list[Market]:
    decimals = {token["index"]: token["szDecimals"] for token in meta["tokens"]}
    return [
        Market.spot(entry["name"], asset_id=10_000 + entry["index"], size_decimals=decimals[entry["tokens"][0]])
        for entry in meta["universe"]
    ]


def recorded_markets(recordings: Path) -> list[Market]:
    api = recordings / "hyperliquid" / "api"
    mainnet = json.loads((api / "sdk_cassettes" / "test_get_info.json").read_text())["response"]
    testnet = json.loads((api / "recorded_messages_2026" / "meta_testnet.json").read_text())
    with gzip.open(api / "recorded_messages_2026" / "spotMeta_testnet.json.gz") as stream:
        spot = json.load(stream)
    return [*perpetuals_of(mainnet), *perpetuals_of(testnet), *spots_of(spot)]


def test_every_recorded_market_quotes_what_the_venue_accepts(recordings: Path) -> None:
    found = recorded_markets(recordings)
    assert len(found) > 1000
    for market in found:
        for price in (0.000123456789, 0.98765432, 12.3456789, 4321.98765, 65432.123, 123456.78):
            ticks = price * 10.0**market.price_decimals
            if not market.grid_step_ticks < ticks < TICKS_MAX / 2:
                continue
            for side in (1, -1):
                quoted = price_of(market, market.quantise(ticks, side=side))
                assert is_accepted(market, quoted), (market, price, side)
                assert (Decimal(ticks) - quoted.scaleb(market.price_decimals)) * side >= 0
                assert market.ticks(market.price_text(market.ticks(quoted))) == market.ticks(quoted)


def test_recorded_prices_of_the_venue_are_whole_ticks_on_its_grid(recordings: Path) -> None:
    """What the venue itself sent as order prices is accepted by our rule."""
    api = recordings / "hyperliquid" / "api"
    decimals = {market.name: market for market in recorded_markets(recordings)}
    checked = 0
    for order in json.loads((api / "sdk_cassettes" / "test_get_open_orders.json").read_text())["response"]:
        market = decimals.get(order["coin"])
        if market is not None and not order["coin"].startswith("@"):
            assert market.is_valid_price(market.ticks(order["limitPx"])), order
            checked += 1
    assert checked > 50
