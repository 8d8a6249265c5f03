"""Margin: tiers, equity, what orders tie up, isolated collateral and liquidation prices."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.units import TICKS_MAX, Market
from hlhft.venue.holding import HOLDING_DTYPE, apply_fill
from hlhft.venue.margin import (
    AMOUNT_MAX_MICRO,
    APART,
    MARGIN_DTYPE,
    RESTING_DTYPE,
    TIERS_MAX,
    admits,
    available_micro,
    cross_equity_micro,
    cross_maintenance_micro,
    increasing_lots,
    initial_micro,
    isolated_equity_micro,
    isolated_transfer_micro,
    liquidation_price_ticks,
    maintenance_micro,
    position_equity_micro,
    tier_of,
    tier_table,
    withdrawable_micro,
)

USDC = 1_000_000
MILLION = 1_000_000 * USDC
# A tick is 0.1 USDC and a lot 0.00001 BTC: at 100,000.0 USDC (1,000,000 ticks) a lot is worth 1 USDC.
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5).record()
AT = 1_000_000
COIN = 100_000  # lots

# Venue reference section 10.
MAINNET = {
    "BTC": [(0, 40), (150 * MILLION, 20)],
    "ETH": [(0, 25), (100 * MILLION, 15)],
    "SOL": [(0, 20), (70 * MILLION, 10)],
    "XRP": [(0, 20), (40 * MILLION, 10)],
    "group 1": [(0, 10), (20 * MILLION, 5)],
    "group 2": [(0, 10), (3 * MILLION, 5)],
}
FLAT_40 = [(0, 40)]


class Account:
    """One account's rows over `markets` copies of BTC, all cross with leverage 10 until told otherwise."""

    def __init__(self, collateral: int = 0, markets: int = 1, leverage: int = 10) -> None:
        self.collateral = collateral
        self.markets = np.repeat(BTC, markets)
        self.holdings = np.zeros(markets, HOLDING_DTYPE)
        self.holdings["leverage"] = leverage
        self.margins = np.zeros(markets, MARGIN_DTYPE)
        self.resting = np.zeros(markets, RESTING_DTYPE)
        self.marks = np.full(markets, AT, np.int64)

    def bought(self, lots: int, ticks: int = AT, market: int = 0) -> Account:
        side = 1 if lots > 0 else -1
        apply_fill(self.holdings[market], self.markets[market], side, ticks, abs(lots), 1)
        return self

    def equity(self) -> int:
        return cross_equity_micro(self.collateral, self.holdings, self.margins, self.markets, self.marks)

    def available(self) -> int:
        return available_micro(self.collateral, self.holdings, self.margins, self.resting, self.markets, self.marks)

    def withdrawable(self) -> int:
        return withdrawable_micro(self.collateral, self.holdings, self.margins, self.resting, self.markets, self.marks)

    def admits(self, side: int, lots: int, market: int = 0) -> bool:
        return admits(
            self.collateral, self.holdings, self.margins, self.resting, self.markets, self.marks, market, side, lots
        )


# Tiers.


def test_maintenance_is_half_of_initial_at_the_most_leverage():
    tiers = tier_table(MAINNET["BTC"])
    assert maintenance_micro(tiers, 100_000 * USDC) == 1_250 * USDC  # 100,000 / 80
    assert maintenance_micro(tiers, 79) == 0  # cut to whole micro-USDC
    assert maintenance_micro(tiers, 0) == 0


def test_tiers_deduct_so_that_maintenance_has_no_step():
    tiers = tier_table(MAINNET["BTC"])
    # From 150M on 1/40 less a deduction of 150M x (1/40 - 1/80) = 1.875M.
    assert maintenance_micro(tiers, 150 * MILLION - 1) == 1_875_000 * USDC - 1
    assert maintenance_micro(tiers, 150 * MILLION) == 1_875_000 * USDC
    assert maintenance_micro(tiers, 200 * MILLION) == 3_125_000 * USDC  # 5M - 1.875M
    assert [tier_of(tiers, notional * MILLION) for notional in (0, 149, 150, 10_000)] == [0, 0, 1, 1]


def test_three_tiers_deduct_one_after_the_other():
    # Rates 1/80, 1/50 and 1/20; deductions 10k x (1/50 - 1/80) = 75 and 75 + 50k x (1/20 - 1/50) = 1575.
    tiers = tier_table([(0, 40), (10_000 * USDC, 25), (50_000 * USDC, 10)])
    assert maintenance_micro(tiers, 20_000 * USDC) == (400 - 75) * USDC
    assert maintenance_micro(tiers, 100_000 * USDC) == (5_000 - 1_575) * USDC


@pytest.mark.parametrize(
    "tiers",
    [
        [],
        [(0, 40)] * 2,
        [(1, 40)],
        [(0, 40), (10, 20), (5, 10)],
        [(0, 0)],
        [(0, 5), (1, 4), (2, 3), (3, 2), (4, 1)],
    ],
)
def test_impossible_tiers_are_refused(tiers):
    with pytest.raises(ValueError, match=f"expected 1 to {TIERS_MAX} pairs with ascending bounds from 0"):
        tier_table(tiers)


def test_leverages_without_a_small_common_denominator_are_refused():
    with pytest.raises(ValueError, match=r"leverages \[49, 47\] have the common denominator 4606, too large"):
        tier_table([(0, 49), (10, 47)])


def test_every_published_table_is_accepted(recordings: Path):
    meta = json.loads((recordings / "hyperliquid/api/recorded_messages_2026/meta_testnet.json").read_text())
    tables = [table["marginTiers"] for _, table in meta.get("response", meta)["marginTables"]]
    assert max(map(len, tables)) == 3
    for table in tables:
        tier_table([(int(Fraction(tier["lowerBound"]) * USDC), tier["maxLeverage"]) for tier in table])
    for leverage in range(1, 51):  # ids below 50 are flat tables of that leverage
        assert maintenance_micro(tier_table([(0, leverage)]), 2 * leverage * USDC) == USDC


@settings(max_examples=100)
@given(st.sampled_from([*MAINNET.values(), FLAT_40]), st.integers(0, AMOUNT_MAX_MICRO))
@example(MAINNET["ETH"], AMOUNT_MAX_MICRO)
@example([(0, 50), (1, 20), (2, 5), (3, 1)], AMOUNT_MAX_MICRO)
def test_maintenance_is_the_formula_of_the_reference(tiers, notional):
    expected, deduction, before = Fraction(0), Fraction(0), None
    for bound, leverage in tiers:
        rate = Fraction(1, 2 * leverage)
        deduction += bound * (rate - before) if before is not None else 0
        before = rate
        if notional >= bound:
            expected = notional * rate - deduction
    assert maintenance_micro(tier_table(tiers), notional) == int(expected)


# Equity.


def test_equity_is_collateral_results_funding_less_fees():
    account = Account(1_000 * USDC, markets=2)
    account.bought(COIN, AT)
    account.bought(-2 * COIN, AT, market=1)
    account.marks[:] = (AT + 1_000, AT + 500)  # up 100 and up 50
    account.holdings["fee_micro"] = (3 * USDC, -1 * USDC)
    account.holdings["funding_micro"] = (-2 * USDC, 5 * USDC)
    assert position_equity_micro(account.holdings[0], BTC[0], AT + 1_000) == (100 - 2) * USDC
    assert account.equity() == (1_000 + 100 - 2 - 2 * 50 + 5 - 3 + 1) * USDC


def test_an_isolated_position_stands_apart_but_its_fees_are_the_accounts():
    account = Account(1_000 * USDC, markets=2).bought(COIN).bought(COIN, market=1)
    account.margins[1] = (1, 700 * USDC)
    account.marks[:] = AT - 1_000
    account.holdings["fee_micro"] = USDC
    assert account.equity() == (1_000 - 100 - 2) * USDC
    assert isolated_equity_micro(account.holdings[1], account.margins[1], BTC[0], AT - 1_000) == (700 - 100) * USDC


def test_maintenance_of_the_account_is_that_of_its_cross_positions():
    account = Account(markets=3).bought(COIN).bought(-COIN, market=1).bought(COIN, market=2)
    account.margins[2]["isolated"] = 1
    tiers = np.stack([tier_table(FLAT_40)] * 3)
    found = cross_maintenance_micro(account.holdings, account.margins, account.markets, account.marks, tiers)
    assert found == 2 * 1_250 * USDC


def test_the_recorded_account_adds_up(recordings: Path):
    """Twelve cross positions of 2023 as published: each profit, each margin, the account's value and what is free."""
    cassettes = recordings / "hyperliquid/api/sdk_cassettes"
    state = json.loads((cassettes / "test_get_user_state.json").read_text())["response"]
    universe = json.loads((cassettes / "test_get_info.json").read_text())["response"]["universe"]
    decimals = {market["name"]: market["szDecimals"] for market in universe}
    positions = [entry["position"] for entry in state["assetPositions"]]
    account = Account(int(Fraction(state["crossMarginSummary"]["totalRawUsd"]) * USDC), markets=len(positions))
    cost = Fraction(0)
    for row, position in enumerate(positions):
        market = Market.perpetual(position["coin"], asset_id=row, size_decimals=decimals[position["coin"]])
        size, entry = Fraction(position["szi"]), Fraction(position["entryPx"])
        lots = size * 10**market.size_decimals
        mark = Fraction(position["positionValue"]) / abs(size) * 10**market.price_decimals
        assert lots.denominator == mark.denominator == 1
        account.markets[row] = market.record()[0]
        account.marks[row] = int(mark)
        account.holdings[row]["leverage"] = position["leverage"]["value"]
        account.holdings[row]["position_lots"] = int(lots)
        # The entry is an average and no whole tick: the cash of the fills is.
        account.holdings[row]["cash_quanta"] = -round(size * entry * USDC)
        cost += round(size * entry * USDC)
        profit = position_equity_micro(account.holdings[row], account.markets[row], account.marks[row])
        assert abs(profit - Fraction(position["unrealizedPnl"]) * USDC) <= 1
        assert initial_micro(int(mark * abs(lots)), position["leverage"]["value"]) == int(
            Fraction(position["marginUsed"]) * USDC
        )
    account.collateral += int(cost)
    assert account.equity() == Fraction(state["crossMarginSummary"]["accountValue"]) * USDC
    assert abs(account.available() - Fraction(state["withdrawable"]) * USDC) <= len(positions)


# What orders tie up.


@pytest.mark.parametrize(
    ("position", "buys", "sells", "expected"),
    [
        (0, 7, 0, 7),
        (0, 7, 5, 12),
        (10, 7, 0, 7),
        (10, 0, 10, 0),  # closes
        (10, 0, 12, 2),  # closes and opens two
        (-10, 12, 3, 5),
        (-10, 10, 0, 0),
    ],
)
def test_orders_that_close_tie_up_nothing(position, buys, sells, expected):
    assert increasing_lots(position, buys, sells) == expected


def test_free_collateral_carries_leverage_times_itself_and_no_lot_more():
    account = Account(1_000 * USDC)
    assert account.admits(1, 10_000)
    assert not account.admits(1, 10_001 + 9)  # 10,010 / 10 is the first margin that is whole above 1000 USDC
    assert account.admits(-1, 10_000)
    account.resting[0]["buy_lots"] = 6_000
    assert account.available() == 400 * USDC
    assert account.admits(1, 4_000)
    assert not account.admits(1, 4_010)
    assert account.admits(-1, 4_000), "the other side would open too"
    assert not account.admits(-1, 4_010)


def test_closing_needs_nothing_even_when_nothing_is_free():
    account = Account(100 * USDC).bought(5_000)  # 500 tied up
    assert account.available() == -400 * USDC
    assert account.admits(-1, 5_000)
    assert not account.admits(-1, 5_010)
    assert not account.admits(1, 10)


def test_unrealised_profit_carries_new_orders():
    account = Account(500 * USDC).bought(5_000)
    assert not account.admits(1, 10)
    account.marks[0] = AT + AT // 10
    # 500 of profit, the position now ties up 550: 450 are free for 4,500 USDC, which are 4090 lots at 1.10.
    assert account.available() == 450 * USDC
    assert account.admits(1, 4_090)
    assert not account.admits(1, 4_091)


def test_another_markets_position_and_orders_use_the_same_collateral():
    account = Account(1_000 * USDC, markets=2).bought(3_000, market=1)
    account.resting[1]["buy_lots"] = 2_000
    assert account.available() == 500 * USDC
    assert account.admits(1, 5_000)
    assert not account.admits(1, 5_010)


def test_an_isolated_position_is_paid_but_its_orders_are_not():
    account = Account(1_000 * USDC, markets=2).bought(3_000, market=1)
    account.margins[1] = (1, 300 * USDC)
    account.resting[1]["buy_lots"] = 2_000
    assert account.available() == 800 * USDC


def test_spot_is_no_part_of_any_margin():
    account = Account(1_000 * USDC, markets=2).bought(3_000, market=1)
    account.margins[1]["isolated"] = APART
    account.resting[1]["buy_lots"] = 2_000
    account.holdings[1]["fee_micro"] = 7 * USDC
    account.marks[1] = 2 * AT
    assert account.equity() == account.available() == account.withdrawable() == 1_000 * USDC


@pytest.mark.parametrize(
    ("leverage", "lots", "orders", "expected"),
    [
        (10, 0, 0, 1_000),
        (10, 3_000, 0, 700),
        (40, 3_000, 0, 700),  # a tenth of the notional stays, whatever the leverage
        (5, 3_000, 0, 400),
        (40, 3_000, 9_000, 700),  # an order is in the initial margin, 300, not in the tenth
        (40, 3_000, 13_000, 600),
        (5, 3_000, 9_000, 0),  # never below nothing
    ],
)
def test_what_is_withdrawable_is_above_initial_margin_and_a_tenth(leverage, lots, orders, expected):
    account = Account(1_000 * USDC, leverage=leverage)
    if lots:
        account.bought(lots)
        account.holdings["fee_micro"] = 0
    account.resting[0]["buy_lots"] = orders
    assert account.withdrawable() == expected * USDC


def test_an_isolated_position_leaves_nothing_behind_in_what_is_withdrawable():
    account = Account(1_000 * USDC, markets=2).bought(3_000, market=1)
    account.margins[1] = (1, 300 * USDC)
    account.holdings["fee_micro"] = 0
    assert account.withdrawable() == 1_000 * USDC


def test_a_leverage_below_one_counts_as_one():
    assert initial_micro(100, 0) == 100
    assert initial_micro(100, 3) == 33


# Isolated collateral.


def moved(account: Account, side: int, lots: int, ticks: int) -> int:
    """Fills and transfers as the matching does; returns what moved from the cross account."""
    holding, margin = account.holdings[0], account.margins[0]
    before = int(holding["position_lots"])
    apply_fill(holding, account.markets[0], side, ticks, lots, 1)
    amount = isolated_transfer_micro(holding, margin, account.markets[0], before, ticks)
    margin["bucket_micro"] += amount
    return int(amount)


def test_isolated_collateral_over_a_position_s_life():
    account = Account(leverage=5)
    account.margins[0]["isolated"] = 1
    assert moved(account, 1, 10, 1000) == 2_000  # 10 x 1000 / 5
    assert moved(account, 1, 5, 1200) == 1_200  # 5 x 1200 / 5: adding brings its own margin only
    # At 1300 the position of 15 is worth 3200 + 10 x 300 + 5 x 100 = 6700; closing 6 of 15 releases 2680.
    assert moved(account, -1, 6, 1300) == -2_680
    # What stays is 4020 at 1300. At 1400, 9 lots more: 4920, all released; 11 short open with 11 x 1400 / 5 = 3080.
    assert moved(account, -1, 20, 1400) == -4_920 + 3_080
    assert isolated_equity_micro(account.holdings[0], account.margins[0], account.markets[0], 1400) == 3_080
    # Closed at a loss of 11 x 100: the rest comes back.
    assert moved(account, 1, 11, 1500) == -(3_080 - 1_100)
    assert isolated_equity_micro(account.holdings[0], account.margins[0], account.markets[0], 777) == 0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 10**6), st.integers(1, 10**6)), max_size=12),
    st.integers(1, 50),
)
def test_what_the_cross_account_gave_is_what_the_position_has(fills, leverage):
    """At every moment bucket + result = what was moved in, and a flat position leaves nothing behind."""
    account = Account(leverage=leverage)
    account.margins[0]["isolated"] = 1
    total = 0
    for side, lots, ticks in fills:
        total += moved(account, side, lots, ticks)
        assert account.margins[0]["bucket_micro"] == total
        equity = isolated_equity_micro(account.holdings[0], account.margins[0], account.markets[0], ticks)
        assert equity == total + account.holdings[0]["cash_quanta"] + account.holdings[0]["position_lots"] * ticks
        if account.holdings[0]["position_lots"] == 0:
            assert equity == 0


# Liquidation prices.


def price_of(equity: int, lots: int, tiers: list[tuple[int, int]], mark: int = AT, other: int = 0) -> int:
    return liquidation_price_ticks(equity, other, BTC[0], lots, mark, tier_table(tiers))


@pytest.mark.parametrize(
    ("equity_usdc", "lots", "other_usdc", "expected"),
    [
        # Long one coin at 100,000 with 5000: 100,000 - (5000 - 1250) / (1 - 1/80) = 96,202.53…, up to the tick.
        (5_000, COIN, 0, 962_026),
        # Short: 100,000 + 3750 / (1 + 1/80) = 103,703.703…, down to the tick.
        (5_000, -COIN, 0, 1_037_037),
        # Another cross position's maintenance of 750 is not to be had: 100,000 - 3000 / (79/80) = 96,962.02…
        (5_000, COIN, 750, 969_621),
        # Equity beyond a loss of everything: a long has no price, a short always has.
        (100_000, COIN, 0, 0),
        (100_000, -COIN, 0, 1_975_308),  # 100,000 + 98,750 x 80/81 = 197,530.86…
        # Under water already: 100,000 + (1250 - 1000) / (79/80) = 100,253.16…, up to the tick at which it is covered.
        (1_000, COIN, 0, 1_002_532),
        (1_000, -COIN, 0, 997_530),  # 100,000 - 250 x 80/81 = 99,753.08…, down
        (5_000, 0, 0, 0),  # no position
    ],
)
def test_liquidation_prices_by_hand(equity_usdc, lots, other_usdc, expected):
    assert price_of(equity_usdc * USDC, lots, FLAT_40, other=other_usdc * USDC) == expected


def test_the_tier_is_that_of_the_price_found():
    # 2000 coins short at 100,000 are 200M: tier 2, maintenance 3.125M. With 50M of equity the price rises by
    # (50M - 3.125M) / 2000 / (1 + 1/40) = 22,865.85…
    assert price_of(50 * MILLION, -2_000 * COIN, MAINNET["BTC"]) == 1_228_658
    # Long with 62M: tier 2 would give 100,000 - 58.875M / 2000 x 40/39 = 69,807.69…, where the position is worth 139M,
    # tier 1: 100,000 - (62M - 2.5M) / 2000 x 80/79 = 69,873.41…
    assert price_of(62 * MILLION, 2_000 * COIN, MAINNET["BTC"]) == 698_735


def test_prices_that_cannot_be_held_are_none():
    assert price_of(AMOUNT_MAX_MICRO, -COIN, FLAT_40) == 0  # three billion below one coin: above every price


def test_a_market_finer_than_micro_usdc_has_none_for_a_position_worth_nothing():
    fine = Market.spot("S", asset_id=0, size_decimals=2).record()
    assert liquidation_price_ticks(USDC, 0, fine[0], 99, AT, tier_table(FLAT_40)) == 0  # a tick of it is 0.99 micro


def covered(equity: int, other: int, lots: int, mark: int, price: int, tiers: list[tuple[int, int]]) -> bool:
    """In fractions, with maintenance margin cut to whole micro-USDC."""
    notional, maintenance, previous = abs(lots) * price, Fraction(0), None
    for bound, leverage in tiers:
        rate = Fraction(1, 2 * leverage)
        if previous is None:
            maintenance = notional * rate
        elif notional > bound:
            maintenance += (notional - bound) * (rate - previous)
        previous = rate
    return equity + lots * (price - mark) - other >= int(maintenance)


@settings(max_examples=60)
@given(
    st.integers(-300, 900),
    st.integers(0, 50),
    st.integers(1, 30),
    st.sampled_from([1, -1]),
    st.integers(1, 120),
    st.sampled_from([[(0, 40)], [(0, 1)], [(0, 10), (400, 5)], [(0, 50), (100, 20), (400, 3), (900, 1)]]),
)
@example(1, 0, 1, 1, 10, [(0, 1)])
@example(60, 0, 1, 1, 120, [(0, 50), (3, 1)])  # two ticks that only whole micro-USDC cover
@example(0, 0, 1, -1, 1, [(0, 40)])  # maintenance of less than a micro-USDC is none
@example(400, 0, 7, -1, 57, [(0, 10), (400, 5)])
def test_one_tick_beyond_the_price_maintenance_is_not_covered(equity, other, lots, side, mark, tiers):
    """Against a search over all prices: the last one on the losing side that is covered, if there is one."""
    position = side * lots
    found = liquidation_price_ticks(equity, other, BTC[0], position, mark, tier_table(tiers))
    held = [price for price in range(1, 1100) if covered(equity, other, position, mark, price, tiers)]
    if side > 0:
        expected = min(held) if held and not (min(held) == 1 and equity - lots * mark - other >= 0) else 0
    else:
        expected = max(held, default=0)
    assert expected < 1099, "the search was wide enough"
    assert found == expected


@settings(max_examples=100)
@given(
    st.integers(-AMOUNT_MAX_MICRO, AMOUNT_MAX_MICRO),
    st.integers(0, AMOUNT_MAX_MICRO),
    st.integers(1, 10**9),
    st.sampled_from([1, -1]),
    st.sampled_from([[(0, 50), (MILLION, 20), (10 * MILLION, 5), (10**15, 1)], [(0, 40), (150 * MILLION, 20)]]),
)
@example(AMOUNT_MAX_MICRO, 0, 10**9, -1, [(0, 40)])
@example(-AMOUNT_MAX_MICRO, AMOUNT_MAX_MICRO, 3 * 10**9, 1, [(0, 40)])
def test_the_largest_amounts_do_not_overflow(equity, other, lots, side, tiers):
    found = liquidation_price_ticks(equity, other, BTC[0], side * lots, AT, tier_table(tiers))
    assert 0 <= found <= TICKS_MAX
    if found > 0:
        assert covered(equity, other, side * lots, AT, found, tiers)
        assert found == side or not covered(equity, other, side * lots, AT, found - side, tiers)
