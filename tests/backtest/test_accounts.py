"""Funding, margin and liquidation in a replay, computed by hand; amounts in micro-USDC unless said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hlhft.backtest.accounts import FUNDING_PAYMENT, LIQUIDATION, new_accounts
from hlhft.backtest.replay import ReplayError, ReplayOutput, run
from hlhft.core.state import Mode
from hlhft.events import EventKind
from hlhft.units import MICRO, Market
from hlhft.venue import rules as venue_rules
from hlhft.venue.liquidation import COOLDOWN_NS, LiquidationState
from hlhft.venue.margin import maintenance_micro
from hlhft.venue.recorded import FillReason
from tests.backtest.scenarios import (
    BOOK,
    BUY,
    GTC,
    HOUR_MS,
    MARKET,
    MS,
    OTHER,
    SELL,
    Fill,
    Order,
    Scenario,
    fills_of,
    ns,
)

RATE = 100_000_000  # 0.01 % an hour in 1e-12
SECOND_MS = 1000
SPOT = Market(name="SPOT", asset_id=10_000, price_decimals=3, size_decimals=3, kind=1, maximum_leverage=1)


def payments(output: ReplayOutput, lane: int = 0) -> list[tuple[float, float, int]]:
    """When each payment was booked and learned of, milliseconds after the hour before, and its amount."""
    log = output.fills[(output.fills["kind"] == EventKind.FUNDING_PAYMENT) & (output.fills["lane"] == lane)]
    return [
        ((int(row["ts_exch_ns"]) - ns(0)) / MS, (int(row["ts_local_ns"]) - ns(0)) / MS, int(row["aux0"])) for row in log
    ]


def worth(output: ReplayOutput, capital_micro: int, mark: str = "100", lane: int = 0) -> int:
    """The lane's equity at the end by its own books, in micro-USDC; all markets at the same mark."""
    rows = output.lanes.positions[lane]
    quanta = rows["cash_quanta"] + rows["position_lots"] * MARKET.ticks(mark)
    return capital_micro + int((quanta - rows["fee_micro"] + rows["funding_micro"]).sum())


def agree(output: ReplayOutput) -> bool:
    """Whether venue and lanes have the same books."""
    names = ("position_lots", "cash_quanta", "fee_micro", "funding_micro", "taker_quanta", "traded_lots", "fills")
    return all(output.holdings[name].tolist() == output.lanes.positions[name].tolist() for name in names)


def test_the_constants_are_those_of_the_enumerations():
    assert FUNDING_PAYMENT == EventKind.FUNDING_PAYMENT
    assert LIQUIDATION == FillReason.LIQUIDATION


# Funding.


def held_over_the_hour(side: int, size: str, *, context: str = f"100 100 {RATE}", at: float = HOUR_MS - 80) -> Scenario:
    """A position of `size` at 100 that a trade at `at` gives us, over the hour and half a second more."""
    aggressor = "sell" if side == BUY else "buy"
    lines = {
        HOUR_MS - 100: [f"context {context}"] if context else [],
        at: [f"trade {aggressor} 100 {size}"],
        HOUR_MS + 500: ["level buy 99.9 4"],
    }
    table = "\n".join(f"{when} {line}" for when, those in sorted(lines.items()) for line in those)
    book = BOOK.replace(" 0 ", f" {HOUR_MS - 100} ")
    script = [Order(HOUR_MS - 100, HOUR_MS + 400, side, "100", size)]
    return Scenario(tables=[book + table], scripts=[script], reply_ms=30, limits={"decide_on_fill": 0})


def test_a_long_pays_a_positive_rate_on_the_hour():
    """1.5 x 100 x 0.01 % = 0.015 USDC, booked at the hour and learned 30 ms later."""
    output = held_over_the_hour(BUY, "1.5").run()
    assert payments(output) == [(HOUR_MS, HOUR_MS + 30, -15_000)]
    row = output.fills[-1]
    assert (row["price_ticks"], row["size_lots"], row["aux1"], row["side"], row["order_id"]) == (
        100_000,
        1500,
        RATE,
        0,
        0,
    )
    assert (row["mid_half_ticks"], row["front"], row["placed_ns"]) == (200_000, 0.0, ns(HOUR_MS))
    assert output.lanes.positions[0, 0]["funding_micro"] == -15_000
    assert agree(output)
    assert output.records["funding_micro"].tolist()[-1] == -15_000


def test_a_short_receives_it_and_a_negative_rate_turns_it():
    assert payments(held_over_the_hour(SELL, "1.5").run()) == [(HOUR_MS, HOUR_MS + 30, 15_000)]
    negative = held_over_the_hour(SELL, "1.5", context=f"100 100 {-RATE}")
    assert payments(negative.run()) == [(HOUR_MS, HOUR_MS + 30, -15_000)]


def test_it_is_paid_on_the_oracle_and_not_on_the_mark():
    """1.5 x 98 x 0.01 % = 0.0147 USDC."""
    assert [amount for *_, amount in payments(held_over_the_hour(BUY, "1.5", context=f"100 98 {RATE}").run())] == [
        -14_700
    ]


def test_it_is_truncated_toward_zero_for_both_signs():
    """0.15 x 100 USDC x 123,456e-12 = 1.85184 micro-USDC."""
    for side, amount in ((BUY, -1), (SELL, 1)):
        output = held_over_the_hour(side, "0.15", context="100 100 123456").run()
        assert [paid for *_, paid in payments(output)] == [amount]


def test_what_counts_is_what_the_venue_holds_at_the_hour():
    """Filled 10 ms before the hour and known 20 ms after it: the venue charges, although we think we are flat."""
    output = held_over_the_hour(BUY, "1.5", at=HOUR_MS - 10).run()
    assert fills_of(output)[0].learned_ms == HOUR_MS + 20
    assert payments(output) == [(HOUR_MS, HOUR_MS + 30, -15_000)]
    late = held_over_the_hour(BUY, "1.5", at=HOUR_MS + 1).run()
    assert len(fills_of(late)) == 1
    assert payments(late) == []
    assert agree(output)
    assert agree(late)


def test_a_fill_at_the_very_hour_counts():
    assert len(payments(held_over_the_hour(BUY, "1.5", at=HOUR_MS).run())) == 1


def test_the_rate_of_the_recording_is_used_also_when_it_is_zero():
    """Without any in the recording the plan's own rate is used, on the mid of 100: 1.5 x 100 x 0.02 % = 0.03 USDC."""
    assert payments(held_over_the_hour(BUY, "1.5", context="100 100 0").run(funding_rate_e12=2 * RATE)) == []
    unnamed = held_over_the_hour(BUY, "1.5", context="").run(funding_rate_e12=2 * RATE)
    assert payments(unnamed) == [(HOUR_MS, HOUR_MS + 30, -30_000)]
    assert payments(held_over_the_hour(BUY, "1.5", context="").run()) == []


def test_each_hour_has_its_own_rate():
    """0.01 % at 100 and then 0.03 % at 102: 0.015 and 1.5 x 102 x 0.03 % = 0.0459 USDC."""
    scenario = held_over_the_hour(BUY, "1.5")
    later = f"{2 * HOUR_MS - 5} context 102 102 {3 * RATE}\n{2 * HOUR_MS + 500} level buy 99.9 5"
    output = replace(scenario, tables=[f"{scenario.tables[0]}\n{later}"]).run()
    assert payments(output) == [(HOUR_MS, HOUR_MS + 30, -15_000), (2 * HOUR_MS, 2 * HOUR_MS + 30, -45_900)]
    assert output.lanes.positions[0, 0]["funding_micro"] == -60_900
    assert agree(output)


def test_nothing_is_paid_by_nobody_on_spot_without_price_or_when_it_is_switched_off():
    scenario = held_over_the_hour(BUY, "1.5")
    assert payments(replace(scenario, scripts=[[]]).run()) == []
    assert payments(replace(scenario, markets=[SPOT]).run()) == []
    assert payments(scenario.run(pay_funding=False)) == []
    one_sided = f"{scenario.tables[0]}\n{HOUR_MS - 50} clear sell 0\n{HOUR_MS + 600} level buy 99.9 5".split("\n")
    ordered = sorted((line for line in one_sided if line.strip()), key=lambda line: float(line.split()[0]))
    without_oracle = [line for line in ordered if "context" not in line]
    assert payments(replace(scenario, tables=["\n".join(without_oracle)]).run(funding_rate_e12=RATE)) == []


# Liquidation.


def fallen(
    size: str, mark: str, after: str = "", *, end: float = 60 * SECOND_MS, more: tuple[Order, ...] = (), **plan: object
) -> Scenario:
    """A long of `size` at 100 whose mark falls to `mark` after a second, where bids are 5 and 3000 units deep."""
    table = f"""{BOOK}
        5 trade sell 100 {size}
        {SECOND_MS} level buy {float(mark) - 0.1:.1f} 5
        {SECOND_MS} level buy {float(mark) - 0.2:.1f} 3000
        {SECOND_MS} clear buy 99
        {SECOND_MS} context {mark} {mark} 0
        {after}
        {end} trade sell 85 1"""
    script = [Order(0, 4, BUY, "100", size), *more]
    return Scenario(tables=[table], scripts=[script], limits={"decide_on_fill": 0}, plan=plan)


def test_a_small_position_is_sold_whole_into_the_book():
    """9 at 100 with 100 USDC: at 93 the account is worth 100 - 0.135 - 63 = 36.865 and 837 / 20 = 41.85 are needed."""
    output = fallen("9", "93", capital_micro=100 * MICRO).run()
    forced = fills_of(output)[1:]
    # 92.9 x 5 x 4.5 bp = 0.209025 and 92.8 x 4 x 4.5 bp = 0.16704 USDC.
    assert forced == [
        Fill(SECOND_MS, SECOND_MS, SELL, "92.9", "5", 209_025, LIQUIDATION),
        Fill(SECOND_MS, SECOND_MS, SELL, "92.8", "4", 167_040, LIQUIDATION),
    ]
    # 100 - 900 + 464.5 + 371.2 - 0.135 - 0.376065 = 35.188935.
    assert worth(output, 100 * MICRO) == 35_188_935
    assert agree(output)
    assert output.liquidations == 1


def test_a_short_is_bought_back():
    """9 sold at 100 with 100 USDC: at 106 the account is worth 100 - 0.135 - 54 = 45.865 and 954 / 20 = 47.7 are
    needed."""
    table = f"""{BOOK}
        5 trade buy 100 9
        {SECOND_MS} level sell 106.1 20
        {SECOND_MS} clear sell 101
        {SECOND_MS} context 106 106 0
        {2 * SECOND_MS} trade buy 108 1"""
    scenario = Scenario(tables=[table], scripts=[[Order(0, 4, SELL, "100", "9")]], limits={"decide_on_fill": 0})
    output = scenario.run(capital_micro=100 * MICRO)
    # 106.1 x 9 x 4.5 bp = 0.429705 USDC.
    assert fills_of(output)[1:] == [Fill(SECOND_MS, SECOND_MS, BUY, "106.1", "9", 429_705, LIQUIDATION)]
    assert agree(output)


def test_enough_equity_is_left_alone():
    """At 93.6 the account is worth 100 - 0.135 - 57.6 = 42.265 and 842.4 / 20 = 42.12 are needed."""
    output = fallen("9", "93.6", capital_micro=100 * MICRO).run()
    assert len(fills_of(output)) == 1
    assert output.lanes.lane[0, 0]["mode"] == Mode.ACTIVE
    assert output.liquidations == 0


def test_a_large_position_is_sold_by_fifths_and_whole_within_the_cooldown():
    """1500 at 100 with 16,000 USDC. At 93 the account is worth 16,000 - 22.5 - 10,500 = 5,477.5 and 6,975, a twentieth
    of 139,500, are needed: a fifth goes, 300. The other 1200 need 5,580 and 5,434.96 are left, so ten seconds later all
    are sold."""
    quick = f"{11 * SECOND_MS} level buy 92.8 2999"
    output = fallen("1500", "93", quick, capital_micro=16_000 * MICRO).run()
    assert [(fill.at_ms, fill.size) for fill in fills_of(output)[1:]] == [
        (SECOND_MS, "5"),
        (SECOND_MS, "295"),
        (11 * SECOND_MS, "5"),
        (11 * SECOND_MS, "1195"),
    ]
    assert output.lanes.positions[0, 0]["position_lots"] == 0
    assert agree(output)


def test_after_the_cooldown_it_is_a_fifth_again():
    """As before, but the next look is 31 s later: of 1200 worth 111,600 USDC a fifth is sold, 240."""
    assert COOLDOWN_NS == 30_000 * MS
    late = f"{32 * SECOND_MS} level buy 92.8 2999"
    replay = fallen("1500", "93", late, capital_micro=16_000 * MICRO).prepared()
    output = run(replay)
    assert [(fill.at_ms, fill.size) for fill in fills_of(output)[3:]] == [
        (32 * SECOND_MS, "5"),
        (32 * SECOND_MS, "235"),
    ]
    assert output.lanes.positions[0, 0]["position_lots"] == 960_000
    assert replay.accounts.states[0]["state"] == LiquidationState.COOLING
    assert agree(output)


@pytest.mark.parametrize(("mark", "left"), [("91", 18_865_000), ("88", -8_135_000)])
def test_the_backstop_takes_everything_below_two_thirds(mark, left):
    """9 at 100 with 100 USDC: at 91 worth 100 - 0.135 - 81 = 18.865, less than two thirds of 40.95; at 88 it owes
    8.135. The position goes at the mark and what is left, or owed, with it."""
    replay = fallen("9", mark, capital_micro=100 * MICRO).prepared()
    output = run(replay)
    assert fills_of(output)[1:] == [Fill(SECOND_MS, SECOND_MS, SELL, mark, "9", left, LIQUIDATION)]
    assert worth(output, 100 * MICRO) == 0
    assert replay.accounts.backstop[0]["position_lots"] == 9_000
    assert replay.accounts.backstop[0]["cash_quanta"] == -9_000 * MARKET.ticks(mark)
    assert replay.accounts.states[0]["state"] == LiquidationState.HEALTHY
    assert agree(output)


def test_an_order_under_way_reaches_an_account_that_was_taken_over():
    """Sent before the fall and 500 ms on its way, it buys 0.5 at 91 with nothing behind it. At the next look that is
    taken over too: 0.5 was lost from 91 to 90, and the fee of 91 x 0.5 x 4.5 bp = 0.020475 USDC."""
    table = f"""{BOOK}
        600 trade sell 100 9
        900 level buy 99.9 4
        {SECOND_MS} context 90 90 0
        {SECOND_MS} level sell 91 20
        1450 level buy 80 1
        {2 * SECOND_MS} trade sell 90 1"""
    script = [Order(0, 590, BUY, "100", "9"), Order(890, 990, BUY, "95", "0.5", GTC)]
    scenario = Scenario(
        tables=[table], scripts=[script], entry_ms=500, reply_ms=600, limits={"decide_on_fill": 0}
    )  # fmt: skip
    output = scenario.run(capital_micro=100 * MICRO)
    assert [(fill.at_ms, fill.price, fill.size, fill.fee_micro) for fill in fills_of(output)[2:]] == [
        (1400, "91", "0.5", 20_475),
        (1450, "90", "0.5", -520_475),
    ]
    assert worth(output, 100 * MICRO) == 0
    assert agree(output)


def test_resting_orders_go_first_in_every_market():
    """An order in the other market rests when the first market's position is sold; it is cancelled and never fills."""
    scenario = fallen("9", "93", more=(Order(0, 1e6, BUY, "99", "1", market=1),), capital_micro=100 * MICRO)
    other = f"{BOOK}\n {2 * SECOND_MS} trade sell 98 5"
    output = replace(scenario, tables=[scenario.tables[0], other]).run()
    assert set(output.fills["market"].tolist()) == {0}
    assert output.lanes.positions["active_count"].tolist() == [[0, 0]]
    assert agree(output)


def test_a_take_over_of_two_positions_leaves_nothing():
    """4.5 in each of two markets: the second fill carries what is left, 18.865 as with one of 9."""
    scenario = fallen("4.5", "91", more=(Order(0, 4, BUY, "100", "4.5", market=1),), capital_micro=100 * MICRO)
    output = replace(scenario, tables=[scenario.tables[0]] * 2).run()
    assert [fill.fee_micro for fill in fills_of(output)] == [67_500, 67_500, 0, 18_865_000]
    assert worth(output, 100 * MICRO) == 0
    assert agree(output)


def test_spot_neither_carries_a_perpetual_nor_is_sold_for_it():
    """The perpetual is sold as without it; the spot position of 2 stays, although it lost as much."""
    scenario = fallen("9", "93", more=(Order(0, 4, BUY, "100", "2", market=1),), capital_micro=100 * MICRO)
    spot = fallen("2", "93").tables[0]
    output = replace(scenario, tables=[scenario.tables[0], spot], markets=[MARKET, SPOT]).run()
    assert output.lanes.positions["position_lots"].tolist() == [[0, 2000]]
    assert agree(output)


def test_without_a_mark_nobody_is_judged():
    """The asks are gone before we buy, and no mark is known: what the position is worth nobody knows."""
    table = f"""0 level buy 99.9 5
        5 trade sell 100 9
        10 level buy 50 5
        10 clear buy 99
        20 level buy 50 4
        {SECOND_MS} trade sell 50 1"""
    scenario = Scenario(tables=[table], scripts=[[Order(0, 4, BUY, "100", "9")]], limits={"decide_on_fill": 0})
    # Without an ask no quote is made either, so the lane must be given its position.
    replay = scenario.prepared(capital_micro=100 * MICRO)
    for rows in (replay.venue.holdings[0], replay.lanes.positions[0]):
        rows["position_lots"], rows["cash_quanta"], rows["fills"] = 9_000, -900 * MICRO, 1
    output = run(replay)
    assert output.liquidations == 0
    assert output.lanes.positions[0, 0]["position_lots"] == 9_000


def test_margin_is_off_where_the_plan_or_the_rules_say_so():
    plain = fallen("9", "93", capital_micro=100 * MICRO)
    assert plain.run(enforce_margin=False).liquidations == 0
    assert plain.run(rules=venue_rules.hftbacktest()).liquidations == 0


def test_a_leverage_that_no_table_holds_is_refused():
    with pytest.raises(ReplayError, match="common denominator 1002"):
        replace(fallen("9", "93"), markets=[replace(MARKET, maximum_leverage=501)]).run()


def test_the_tiers_are_each_markets_own():
    """A hundred USDC need 100 / (2 x 10) and 100 / (2 x 50): 5 and 1."""
    records = np.concatenate([MARKET.record(), replace(OTHER, maximum_leverage=50).record()])
    accounts = new_accounts(records, lanes=2, capital_micro=7)
    assert [int(maintenance_micro(accounts.tiers[index], 100 * MICRO)) for index in range(2)] == [5 * MICRO, MICRO]
    assert accounts.collateral.tolist() == [7, 7]


@pytest.mark.parametrize(("context", "needed"), [("", 25_000_000), (f"{SECOND_MS} context 80 80 0", 20_000_000)])
def test_the_core_is_shown_the_margin_of_what_it_knows_that_it_holds(context, needed):
    """5 in the perpetual at a mid of 100, or a mark of 80: a twentieth. 2 on spot need none. The venue's view would
    come 200 ms too early: the answers are on their way."""
    table = f"{BOOK}\n 5 trade sell 100 5\n 50 level buy 99.9 4\n {context}\n {2 * SECOND_MS} level buy 99.9 5"
    script = [Order(0, 4, BUY, "100", "5"), Order(0, 4, BUY, "100", "2", market=1)]
    scenario = Scenario(
        tables=[table] * 2,
        scripts=[script],
        markets=[MARKET, SPOT],
        reply_ms=200,
        limits={"decide_on_fill": 0, "margin_distance_e6_min": 1},
    )
    lane = scenario.run().lanes.lane[0, 0]
    # The rows end with the last frame, so the newest look was at the one before it.
    assert lane["maintenance_micro"] == (needed if context else 0)
    longer = replace(scenario, tables=[f"{table}\n {3 * SECOND_MS} level buy 99.9 6"] * 2)
    assert longer.run().lanes.lane[0, 0]["maintenance_micro"] == needed
    assert longer.run(enforce_margin=False).lanes.lane[0, 0]["maintenance_micro"] == 0
