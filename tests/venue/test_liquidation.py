"""What the venue does with an account that no longer covers its maintenance margin."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.units import Market
from hlhft.venue.holding import HOLDING_DTYPE, apply_fill
from hlhft.venue.liquidation import (
    COOLDOWN_NS,
    ERROR,
    INTENT_DTYPE,
    LIQUIDATION_DTYPE,
    PARTIAL_ABOVE_MICRO,
    TRANSITIONS,
    Condition,
    IntentKind,
    LiquidationState,
    Measure,
    condition_of,
    liquidate,
    lots_to_send,
    take_over,
    take_over_cross,
    take_over_isolated,
    transition_table,
)
from hlhft.venue.margin import (
    MARGIN_DTYPE,
    cross_equity_micro,
    cross_maintenance_micro,
    isolated_equity_micro,
    tier_table,
)
from hlhft.venue.matching import cancel_all, place_market
from hlhft.venue.refusals import Refusal
from tests.venue.desk import ALO, FILLED, GTC, IOC, Desk, assert_consistent

USDC = 1_000_000
# At 100,000.0 USDC (1,000,000 ticks) a lot of 0.00001 BTC is worth 1 USDC.
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5).record()
AT = 1_000_000
START = 10**18
HEALTHY, COOLING, TAKEN_OVER = LiquidationState
COVERED, SHORT, BACKSTOP = Condition
CROSS = -1


class Case:
    """One account under liquidation: positions in lots worth 1 USDC each, one a market."""

    def __init__(self, *positions: int, isolated: tuple[int, ...] = ()) -> None:
        count = len(positions)
        self.account = np.zeros(1, LIQUIDATION_DTYPE)
        self.markets = np.repeat(BTC, count)
        self.holdings = np.zeros(count, HOLDING_DTYPE)
        self.holdings["position_lots"] = positions
        self.margins = np.zeros(count, MARGIN_DTYPE)
        self.margins["isolated"] = [int(market in isolated) for market in range(count)]
        self.marks = np.full(count, AT, np.int64)
        self.table = transition_table()

    def step(
        self, equity: int, maintenance: int, *, at_ns: int = 0, bucket: int = CROSS
    ) -> list[tuple[int, ...]] | None:
        """(kind, market, side, lots) of each intent; None on an error."""
        intents = np.full(len(self.markets) + 1, -7, dtype=np.int64).repeat(4).view(INTENT_DTYPE)
        count = liquidate(
            self.account[0],
            self.table,
            equity,
            maintenance,
            self.holdings,
            self.margins,
            bucket,
            self.markets,
            self.marks,
            START + at_ns,
            intents,
        )
        return None if count == ERROR else [tuple(int(value) for value in row) for row in intents[:count]]

    @property
    def state(self) -> LiquidationState:
        return LiquidationState(int(self.account[0]["state"]))


# The table.


def test_the_compiled_table_is_the_transitions_and_nothing_else():
    table = transition_table()
    assert table.shape == (9, 2)
    for state in LiquidationState:
        for condition in Condition:
            expected = TRANSITIONS.get((state, condition), (ERROR, ERROR))
            assert tuple(table[state * 3 + condition]) == expected


def test_every_state_knows_every_condition_that_can_happen():
    missing = {(s, c) for s in LiquidationState for c in Condition} - set(TRANSITIONS)
    assert missing == {(TAKEN_OVER, SHORT), (TAKEN_OVER, BACKSTOP)}


# Conditions and sizes.


@pytest.mark.parametrize(
    ("equity", "maintenance", "expected"),
    [
        (300, 300, COVERED),
        (299, 300, SHORT),
        (200, 300, SHORT),  # exactly two thirds
        (199, 300, BACKSTOP),
        (-1, 300, BACKSTOP),
        (0, 0, COVERED),
        (-1, 0, BACKSTOP),
        (2**61 - 1, 2**61 - 1, COVERED),
        (-(2**61), 2**61 - 1, BACKSTOP),
    ],
)
def test_conditions_at_their_borders(equity, maintenance, expected):
    assert condition_of(equity, maintenance) == expected


@pytest.mark.parametrize(
    ("position", "measure", "expected"),
    [
        (100_000, Measure.SEND_PARTS, 100_000),  # exactly 100,000 USDC goes whole
        (100_001, Measure.SEND_PARTS, 20_000),  # a fifth of what is above, in whole lots
        (-100_001, Measure.SEND_PARTS, 20_000),
        (500_000, Measure.SEND_PARTS, 100_000),
        (500_000, Measure.SEND_WHOLE, 500_000),
        (500_000, Measure.TAKE_OVER, 500_000),
    ],
)
def test_a_fifth_of_what_is_above_a_hundred_thousand(position, measure, expected):
    assert PARTIAL_ABOVE_MICRO == 100_000 * USDC
    assert lots_to_send(BTC[0], position, AT, measure) == expected


def test_a_fifth_is_at_least_one_lot():
    # Four lots at a price of 30,000 USDC each: a fifth of them is none.
    coarse = Market.perpetual("X", asset_id=0, size_decimals=0).record()
    assert lots_to_send(coarse[0], 4, 30_000 * USDC, Measure.SEND_PARTS) == 1


# The course of a liquidation.


def test_a_covered_account_is_left_alone():
    case = Case(50_000)
    assert case.step(1_000 * USDC, 1_000 * USDC) == []
    assert case.state is HEALTHY


def test_a_small_position_is_sent_whole_and_nothing_cools():
    case = Case(50_000, -60_000, 0)
    assert case.step(999 * USDC, 1_000 * USDC) == [
        (IntentKind.MARKET_ORDER, 0, -1, 50_000),
        (IntentKind.MARKET_ORDER, 1, 1, 60_000),
    ]
    assert case.state is HEALTHY


def test_a_large_position_goes_in_a_fifth_and_then_whole_within_thirty_seconds():
    case = Case(-200_000, 50_000)
    assert case.step(999 * USDC, 1_000 * USDC) == [
        (IntentKind.MARKET_ORDER, 0, 1, 40_000),
        (IntentKind.MARKET_ORDER, 1, -1, 50_000),
    ]
    assert case.state is COOLING
    case.holdings["position_lots"] = (-160_000, 0)
    assert case.step(800 * USDC, 800 * USDC, at_ns=COOLDOWN_NS // 2) == [], "covered again: nothing more"
    assert case.state is COOLING
    assert case.step(799 * USDC, 800 * USDC, at_ns=COOLDOWN_NS - 1) == [(IntentKind.MARKET_ORDER, 0, 1, 160_000)]


def test_after_thirty_seconds_it_is_a_fifth_again():
    case = Case(200_000)
    case.step(999, 1_000)
    case.holdings["position_lots"] = 160_000
    assert case.step(999, 1_000, at_ns=COOLDOWN_NS) == [(IntentKind.MARKET_ORDER, 0, -1, 32_000)]
    assert case.account[0]["cooling_until_ns"] == START + 2 * COOLDOWN_NS


def test_an_account_that_recovered_is_healthy_when_the_cooldown_is_over():
    case = Case(200_000)
    case.step(999, 1_000)
    assert case.step(2_000, 1_000, at_ns=COOLDOWN_NS) == []
    assert case.state is HEALTHY


def test_the_backstop_takes_everything_over_at_once():
    for cooling_first in (False, True):
        case = Case(200_000, -50_000)
        if cooling_first:
            case.step(999, 1_000)
        assert case.step(666, 1_000, at_ns=1) == [
            (IntentKind.TAKE_OVER, 0, -1, 200_000),
            (IntentKind.TAKE_OVER, 1, 1, 50_000),
            (IntentKind.TAKE_MARGIN, CROSS, 0, 0),
        ]
        assert case.state is TAKEN_OVER


def test_a_debt_without_a_position_is_the_backstops_too():
    case = Case(0)
    assert case.step(-1, 0) == [(IntentKind.TAKE_MARGIN, CROSS, 0, 0)]
    assert case.step(0, 0) == []
    assert case.state is HEALTHY
    isolated = Case(0, -7, isolated=(1,))
    assert isolated.step(-1, 10, bucket=1) == [(IntentKind.TAKE_OVER, 1, 1, 7), (IntentKind.TAKE_MARGIN, 1, 0, 0)]


def test_what_holds_nothing_any_more_begins_anew_and_cannot_be_short():
    case = Case(200_000)
    case.step(0, 1_000)
    assert case.step(-1, 0) is None, "its equity went with its positions: a debt is a broken invariant"
    assert case.state is TAKEN_OVER
    assert case.step(0, 0) == []
    assert case.state is HEALTHY


def test_cross_and_isolated_positions_are_liquidated_apart():
    case = Case(50_000, -60_000, 70_000, isolated=(1, 2))
    assert case.step(9, 10) == [(IntentKind.MARKET_ORDER, 0, -1, 50_000)]
    assert case.step(9, 10, bucket=2) == [(IntentKind.MARKET_ORDER, 2, -1, 70_000)]
    assert case.step(9, 10, bucket=1) == [(IntentKind.MARKET_ORDER, 1, 1, 60_000)]


# Taking over.


def test_a_cross_account_goes_over_with_its_margin():
    """Long one coin from 100,000 with 2,000 of collateral; at 98,800 equity is 800, below two thirds of 1,235."""
    holdings = np.zeros((2, 1), HOLDING_DTYPE)
    margins = np.zeros((2, 1), MARGIN_DTYPE)
    collateral = np.array([2_000 * USDC, 10_000 * USDC])
    apply_fill(holdings[0, 0], BTC[0], 1, AT, 100_000, 1)
    holdings[0, 0]["fee_micro"] = 5 * USDC
    marks = np.array([988_000])

    def equity(account: int) -> int:
        return cross_equity_micro(collateral[account], holdings[account], margins[account], BTC, marks)

    assert equity(0) == 795 * USDC
    assert condition_of(equity(0), 98_800 * USDC // 80) == BACKSTOP
    assert take_over(holdings[0, 0], holdings[1, 0], 988_000) == 100_000
    assert equity(0) == 795 * USDC, "moved at the mark, so worth the same"
    take_over_cross(collateral, 0, 1, equity(0))
    assert equity(0) == 0
    assert equity(1) == 10_795 * USDC
    assert holdings["position_lots"].ravel().tolist() == [0, 100_000]
    assert holdings["cash_quanta"].sum() == -100_000 * AT
    # What was bought at 100,000 is carried on from the mark.
    assert holdings[1, 0]["cash_quanta"] == -100_000 * 988_000


def test_the_backstop_bears_a_loss_beyond_the_margin():
    collateral = np.array([-300 * USDC, 1_000 * USDC])
    take_over_cross(collateral, 0, 1, -300 * USDC)
    assert collateral.tolist() == [0, 700 * USDC]


def test_an_isolated_position_goes_over_with_its_own_margin_only():
    holdings = np.zeros((2, 1), HOLDING_DTYPE)
    margin = np.zeros(1, MARGIN_DTYPE)
    margin[0] = (1, 2_000 * USDC)
    collateral = np.array([500 * USDC, 0])
    apply_fill(holdings[0, 0], BTC[0], -1, AT, 100_000, 1)
    mark = 1_012_000  # 1,200 lost
    take_over(holdings[0, 0], holdings[1, 0], mark)
    equity = isolated_equity_micro(holdings[0, 0], margin[0], BTC[0], mark)
    assert equity == 800 * USDC
    take_over_isolated(margin[0], collateral, 1, equity)
    assert isolated_equity_micro(holdings[0, 0], margin[0], BTC[0], mark) == 0
    assert collateral.tolist() == [500 * USDC, 800 * USDC]


@settings(max_examples=60)
@given(
    st.integers(-(10**9), 10**9),
    st.integers(1, 10**6),
    st.integers(-(10**6), 10**6),
    st.integers(-(10**12), 10**12),
)
def test_taking_over_conserves_positions_and_money(lots, mark, backstop_lots, cash):
    holdings = np.zeros(2, HOLDING_DTYPE)
    holdings["position_lots"] = (lots, backstop_lots)
    holdings["cash_quanta"] = (cash, 7)
    assert take_over(holdings[0], holdings[1], mark) == lots
    assert holdings["position_lots"].tolist() == [0, lots + backstop_lots]
    assert holdings["cash_quanta"].tolist() == [cash + lots * mark, 7 - lots * mark]


# Against a book.

BACKSTOP_ACCOUNT = 3
TIERS = tier_table([(0, 10)])[np.newaxis]


class LiquidatingVenue:
    """Three traders and the backstop at an order-level venue that liquidates after every block."""

    def __init__(self, collateral: int = 10_000) -> None:
        self.desk = Desk(margin=True, mark=100, collateral=collateral)
        self.exchange = self.desk.exchange
        self.exchange.holdings["taker_rate_e9"] = 0
        self.exchange.holdings["maker_rate_e9"] = 0
        self.exchange.collateral[BACKSTOP_ACCOUNT] = 10**9
        self.accounts = np.zeros(4, LIQUIDATION_DTYPE)
        self.table = transition_table()
        self.taken_over = 0
        self.sent = 0

    def equity(self, account: int) -> int:
        rows = self.exchange
        return int(
            cross_equity_micro(
                rows.collateral[account], rows.holdings[account], rows.margins[account], rows.markets, rows.marks
            )
        )

    def maintenance(self, account: int) -> int:
        rows = self.exchange
        return int(
            cross_maintenance_micro(rows.holdings[account], rows.margins[account], rows.markets, rows.marks, TIERS)
        )

    def liquidate(self, account: int) -> int:
        """Does to the account once what the machine says; returns how much of its position it is rid of."""
        rows, now_ns = self.exchange, self.desk.now_ns
        intents = np.zeros(2, INTENT_DTYPE)
        equity, before = self.equity(account), abs(self.desk.position(account))
        count = liquidate(
            self.accounts[account], self.table, equity, self.maintenance(account), rows.holdings[account],
            rows.margins[account], CROSS, rows.markets, rows.marks, now_ns, intents,
        )  # fmt: skip
        assert count != ERROR
        for intent in intents[:count]:
            cancel_all(rows, account, -1, Refusal.LIQUIDATED, now_ns)
            if intent["kind"] == IntentKind.MARKET_ORDER:
                place_market(
                    rows, account, int(intent["market"]), int(intent["side"]), int(intent["size_lots"]), now_ns
                )
                self.sent += 1
            elif intent["kind"] == IntentKind.TAKE_OVER:
                take_over(rows.holdings[account, 0], rows.holdings[BACKSTOP_ACCOUNT, 0], rows.marks[0])
                self.taken_over += 1
            else:
                take_over_cross(rows.collateral, account, BACKSTOP_ACCOUNT, equity)
        return before - abs(self.desk.position(account))

    def settle(self) -> None:
        """Liquidates until nothing more can be sold."""
        for account in range(3):
            for _ in range(20):
                if self.liquidate(account) == 0:
                    break
        self.desk.drain()


def test_a_liquidation_into_the_book_stops_when_maintenance_is_covered():
    """Long 900 from 100 with 10,000: at 94 equity is 4,600 and maintenance 900 x 94 / 20 = 4,230, at 93 they are 3,700
    and 4,185. All of it is sold at the bids, and what is left is the account's."""
    venue = LiquidatingVenue()
    desk = venue.desk
    desk.place(1, -1, 100, 900).place(0, 1, 100, 900).place(0, 1, 80, 10).run()
    desk.place(2, 1, 92, 500, ALO).place(2, 1, 91, 450, ALO).run()
    venue.exchange.marks[0] = 94
    assert venue.liquidate(0) == 0
    venue.exchange.marks[0] = 93
    assert (venue.equity(0), venue.maintenance(0)) == (3_700, 4_185)
    assert venue.liquidate(0) == 900
    events = [event.short for event in desk.drain()]
    assert events[0][1:] == (0, 10, Refusal.LIQUIDATED)
    assert [(e[3], e[4]) for e in events if e[0] == FILLED and e[1] == 0] == [(92, 500), (91, 400)]
    # 10,000 - 500 x 8 - 400 x 9.
    assert venue.equity(0) == 2_400
    assert venue.accounts[0]["state"] == HEALTHY


def test_an_account_that_the_book_cannot_close_in_time_goes_to_the_backstop():
    venue = LiquidatingVenue()
    venue.desk.place(1, -1, 100, 900).place(0, 1, 100, 900).run()
    venue.exchange.marks[0] = 93
    assert venue.liquidate(0) == 0, "nobody bids"
    venue.exchange.marks[0] = 92
    # Equity 2,800 is just above two thirds of 4,140.
    assert venue.liquidate(0) == 0
    venue.exchange.marks[0] = 91
    assert venue.liquidate(0) == 900
    assert (venue.equity(0), venue.desk.position(0)) == (0, 0)
    assert venue.desk.position(BACKSTOP_ACCOUNT) == 900
    # What was left, 1,900 at 91, is the backstop's.
    assert venue.equity(BACKSTOP_ACCOUNT) == 10**9 + 1_900


@pytest.mark.parametrize("seed", range(3))
def test_nobody_owes_the_venue_and_money_is_conserved(seed):
    """Under a wild mark and random orders, after every block: no trader below two thirds of maintenance margin, so none
    below zero; all equity together is what was paid in."""
    dice = random.Random(seed)
    venue = LiquidatingVenue(collateral=3_000)
    paid_in = sum(venue.equity(account) for account in range(4))
    for _ in range(800):
        mark = int(venue.exchange.marks[0])
        for _ in range(dice.randrange(8)):
            price = max(mark + dice.randrange(-3, 4), 1)
            tif = dice.choice([ALO, GTC, GTC, IOC])
            venue.desk.place(
                dice.randrange(3), dice.choice([1, -1]), price, dice.randrange(1, 250), tif,
                reduce_only=int(dice.random() < 0.2),
            )  # fmt: skip
        venue.desk.run()
        venue.settle()
        venue.exchange.marks[0] = min(max(mark + dice.choice([-9, -6, -1, 0, 1, 6, 9]), 50), 150)
        venue.settle()
        assert sum(venue.equity(account) for account in range(4)) == paid_in
        for account in range(3):
            assert 3 * venue.equity(account) >= 2 * venue.maintenance(account)
            assert venue.equity(account) >= 0
            if venue.equity(account) < 1_500:
                venue.exchange.collateral[account] += 3_000
                paid_in += 3_000
    assert venue.taken_over >= 2
    assert venue.sent >= 2
    assert_consistent(venue.exchange)
