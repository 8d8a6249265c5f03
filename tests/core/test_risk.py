"""The breakers: each with its hand-computed border, and a test that misses it when it is not wired into a decision.

The gate's borders are in test_gate.py; here stands one case of each refusal.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hlhft.core import risk
from hlhft.core.risk import BREAKERS, REFUSAL_MEANING, Breaker, RiskRefusal, breakers_table, refusals_table
from hlhft.core.state import REFUSALS, MarketState, Mode
from hlhft.events import EventKind as Kind
from hlhft.strategies import failures
from hlhft.units import Market, MarketKind
from hlhft.venue.refusals import Refusal
from tests.core.worlds import (
    BUY,
    GTC,
    IOC,
    MS,
    SECOND,
    SELL,
    USDC,
    Command,
    Quote,
    World,
    approve,
)

MINUTE = 60 * SECOND

# Breakers, through decisions. A bid rests; what trips must cancel it.


def resting(**limits: int) -> World:
    world = World(**limits)
    world.quotes(Quote(BUY, 999))
    world.decide()
    world.acknowledge()
    return world


CANCELLED = [Command("CANCEL", BUY, 999, 1000)]


def check_pause(world: World, breaker: Breaker) -> None:
    """What does not latch cancels, quotes nothing for a second, and goes on by itself."""
    assert world.row["halt_code"] == breaker
    assert (world.row["mode"], world.row["latches"]) == (Mode.ACTIVE, 0)
    world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
    assert world.decide(after_ns=900 * MS) == []
    assert world.row["halt_code"] == breaker
    assert world.decide(after_ns=101 * MS) == [Command("PLACE", BUY, 999, 1000)]
    assert world.row["halt_code"] == 0


def check_latch(world: World, breaker: Breaker) -> None:
    """What latches stays until an operator resumes."""
    assert (world.row["halt_code"], world.row["mode"]) == (breaker, Mode.HALTED)
    assert world.row["latches"] == 1 << breaker
    for order in world.active():
        world.say(Kind.ORDER_CANCELLED, order_id=order["order_id"])
    assert world.decide(after_ns=MINUTE) == []
    assert world.row["halt_code"] == breaker


@pytest.mark.parametrize(("elapsed", "trips"), [(150 * MS, False), (150 * MS + 1, True)])
def test_tick_to_trade(elapsed, trips):
    """From receipt of the frame to the last byte written; the stop does not wait for the next frame."""
    world = resting()
    commands = world.say(Kind.COMMAND_SENT, aux0=world.now - elapsed, aux1=world.now)
    assert world.row["tick_to_trade_ns"] == elapsed
    assert commands == (CANCELLED if trips else [])
    if trips:
        check_pause(world, Breaker.TICK_TO_TRADE)
    else:
        assert world.decide() == []
        assert world.row["halt_code"] == 0


@pytest.mark.parametrize(("lost", "trips"), [(30, False), (31, True)])
def test_drawdown_cancels_all_and_closes_at_market(lost, trips):
    """1000 USDC, 3 %: 1000 lots of 1000 ticks lose a USDC for each 1000 ticks that they fall: here `lost` in all."""
    world = resting(drawdown_e6_max=30_000)
    world.quotes()
    world.hold(1_000_000, ticks=1000)
    world.touch(999 - lost, 1001 - lost)
    commands = world.decide()
    assert world.row["equity_micro"] == (1000 - lost) * USDC
    # 5 % below the bid, on the grid and rounded toward the touch.
    price = -(-(999 - lost) * 95 // 100)
    assert commands == CANCELLED + ([Command("PLACE", SELL, price, 1_000_000)] if trips else [])
    if trips:
        close = world.raw[1]
        assert (close["time_in_force"], close["reduce_only"]) == (IOC, 1)
        assert (world.row["halt_code"], world.row["mode"]) == (Breaker.DRAWDOWN, Mode.HALTED)


def test_a_withdrawal_is_no_loss_and_a_deposit_hides_none():
    world = resting(drawdown_e6_max=30_000)
    world.hold(1_000_000)
    world.feed_silently(Kind.LEDGER_TRANSFER, aux0=-900 * USDC)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=100 * USDC, aux1=10_000)
    assert world.decide() == []
    world.feed_silently(Kind.LEDGER_TRANSFER, aux0=5000 * USDC)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=5100 * USDC, aux1=10_000)
    assert world.row["transfers_micro"] == 4100 * USDC
    world.touch(968, 970)
    assert world.decide()[0] == CANCELLED[0]
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_fees_and_funding_are_part_of_the_equity():
    world = World()
    world.quotes(Quote(BUY, 999, 1000))
    world.decide()
    world.fill(world.active()[0], 1000, fee_micro=150)
    world.feed_silently(Kind.FUNDING_PAYMENT, aux0=-40)
    world.decide()
    # 1000 lots bought at 999, worth 1000 each: 1000 micro-USDC gained, less 150 and 40.
    assert world.row["equity_micro"] == 1000 * USDC + 1000 - 150 - 40


def test_a_side_that_runs_empty_halves_nothing():
    world = World(drawdown_e6_max=30_000)
    world.hold(1_000_000)
    world.decide()
    world.data.books[0]["last_trade_ticks"] = 990
    world.touch(999, 0)
    world.decide()
    assert (world.row["equity_micro"], world.row["latches"]) == (990 * USDC, 0)


def test_without_any_price_the_equity_stays_what_it_was():
    world = World(drawdown_e6_max=30_000)
    world.hold(1_000_000)
    world.touch(1009, 1011)
    world.decide()
    world.touch(0, 0)
    world.decide()
    assert (world.row["equity_micro"], world.row["latches"]) == (1010 * USDC, 0)


def test_the_mark_is_the_price_where_the_venue_names_one():
    world = World()
    world.hold(1_000_000)
    world.data.books[0]["mark_ticks"] = 1005
    world.decide()
    assert world.row["equity_micro"] == 1005 * USDC


@pytest.mark.parametrize(("cash", "micro"), [(-1001, -10), (1001, 10), (-1099, -10), (100, 1), (-99, 0)])
def test_money_finer_than_micro_is_cut_toward_zero(cash, micro):
    """A spot market's ticks x lots are hundredths of a micro-USDC."""
    world = World(of=Market.spot("X", asset_id=10_000, size_decimals=2))
    world.position()["cash_quanta"] = cash
    value = risk.position_value_micro(world.position(), world.data.books[0], world.data.markets[0])
    assert value == micro


@pytest.mark.parametrize(("age", "stale"), [(SECOND, False), (SECOND + 1, True)])
def test_stale_data_pulls_the_markets_quotes(age, stale):
    world = World(markets=2, feed_age_ns_max=SECOND)
    world.quotes(Quote(BUY, 999), Quote(BUY, 999, market=1))
    world.decide()
    world.acknowledge(0)
    world.acknowledge(1)
    world.now += age
    world.touch(999, 1001, market=1)
    assert world.decide() == (CANCELLED if stale else [])
    assert world.row["halt_code"] == (Breaker.STALE_DATA if stale else 0)
    if stale:
        assert (world.row["latches"], world.row["mode"]) == (0, Mode.ACTIVE)
        world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
        refusals = int(world.row["refusals"][RiskRefusal.NO_BOOK])
        assert world.decide() == []
        assert world.row["refusals"][RiskRefusal.NO_BOOK] == refusals + 1
        world.touch(999, 1001)
        assert world.decide() == [Command("PLACE", BUY, 999, 1000)]
        assert world.row["halt_code"] == 0


@pytest.mark.parametrize(("bid", "ask"), [(0, 0), (0, 1001), (999, 0)])
def test_without_two_sides_there_are_no_quotes(bid, ask):
    world = resting()
    world.touch(bid, ask)
    assert world.decide() == CANCELLED


@pytest.mark.parametrize(("elapsed", "trips"), [(400 * MS, False), (400 * MS + 1, True)])
def test_a_late_answer(elapsed, trips):
    world = World(acknowledgement_ns_max=400 * MS)
    world.quotes(Quote(BUY, 999))
    world.decide()
    world.acknowledge(after_ns=elapsed)
    assert world.row["acknowledgement_ns"] == elapsed
    assert world.decide() == (CANCELLED if trips else [])
    if trips:
        check_pause(world, Breaker.ACKNOWLEDGEMENT)


def test_an_answer_that_never_comes_is_late_too():
    world = World(acknowledgement_ns_max=400 * MS)
    world.quotes(Quote(BUY, 999))
    world.decide()
    assert world.decide(after_ns=400 * MS) == []
    assert world.row["halt_code"] == 0
    world.decide(after_ns=1)
    assert world.row["halt_code"] == Breaker.ACKNOWLEDGEMENT
    world.acknowledge()
    assert world.decide() == CANCELLED


@pytest.mark.parametrize(("lots", "trips"), [(100, False), (101, True), (-101, True)])
def test_a_position_beyond_its_cap_in_lots(lots, trips):
    world = resting(position_lots_max=100)
    world.hold(lots)
    assert world.decide() == ([Command("CANCEL", BUY, 999, 100)] if trips else [])
    if trips:
        check_latch(world, Breaker.EXPOSURE)


@pytest.mark.parametrize(("lots", "trips"), [(1100, False), (1101, True)])
def test_a_position_beyond_its_cap_in_money_by_more_than_a_tenth(lots, trips):
    """Cap 1 USDC: up to 1.1 USDC may be the price's doing."""
    world = resting(position_notional_micro_max=USDC)
    world.hold(lots)
    assert world.decide() == (CANCELLED if trips else [])
    assert world.row["halt_code"] == (Breaker.EXPOSURE if trips else 0)


def test_a_position_that_was_there_before_any_fill_counts():
    world = resting(position_lots_max=100)
    world.position()["position_lots"], world.position()["cash_quanta"] = 101, -101_000
    assert world.decide() == [Command("CANCEL", BUY, 999, 100)]
    assert world.row["halt_code"] == Breaker.EXPOSURE


@pytest.mark.parametrize(("value", "trips"), [(120 * USDC, False), (120 * USDC - 1, True)])
def test_margin_distance_closes(value, trips):
    """A maintenance margin of 100 USDC, at least 20 % above it."""
    world = resting(margin_distance_e6_min=200_000)
    world.hold(1000)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=value, order_id=100 * USDC, size_lots=100 * USDC, aux1=10_000)
    close = [Command("PLACE", SELL, 950, 1000)]
    assert world.decide() == (CANCELLED + close if trips else [])
    assert world.row["halt_code"] == (Breaker.MARGIN_DISTANCE if trips else 0)
    assert world.row["margin_used_micro"] == 100 * USDC


def test_margin_is_no_matter_without_a_position_to_maintain():
    world = resting(margin_distance_e6_min=200_000)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=0, order_id=0, aux1=10_000)
    assert world.decide() == []


def reject(world: World, code: Refusal, after_ns: int = 0) -> None:
    world.now += after_ns
    world.feed_silently(Kind.ORDER_REJECTED, order_id=1, aux0=int(code))


def test_a_rejection_storm():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(3):
        reject(world, Refusal.MARGIN)
    assert world.decide() == []
    reject(world, Refusal.TICK, after_ns=10 * SECOND)
    assert world.decide() == CANCELLED
    check_latch(world, Breaker.REJECTION_STORM)


def test_rejections_far_apart_are_no_storm():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(12):
        reject(world, Refusal.MARGIN, after_ns=4 * SECOND)
        assert world.decide() == []


def test_post_only_rejections_are_normal_business():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(50):
        reject(world, Refusal.BAD_ALO_PRICE)
    assert world.decide() == []
    assert world.row["rejections"] == 0


def test_without_a_bound_no_number_of_rejections_is_a_storm():
    world = resting()
    for _ in range(5):
        reject(world, Refusal.MARGIN)
    assert world.decide() == []


def test_a_used_up_budget_leaves_cancels_and_reductions():
    """4 actions allowed, 2 of them kept back: after 2 placements only what reduces passes."""
    world = World(address_enforced=1, address_reserve=2)
    world.row["address_initial"] = world.row["address_allowance"] = 4
    world.quotes(Quote(BUY, 999), Quote(BUY, 998))
    assert len(world.decide()) == 2
    world.acknowledge()
    assert world.row["mode"] == Mode.ACTIVE
    world.quotes(Quote(BUY, 999), Quote(BUY, 997))
    assert world.decide() == [Command("CANCEL", BUY, 998, 1000)]
    assert (world.row["halt_code"], world.row["mode"], world.script[0]["seen_mode"]) == (
        Breaker.BUDGET,
        Mode.REDUCING,
        1,
    )
    assert world.row["refusals"][RiskRefusal.REDUCING] == 1
    world.hold(400)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001, 600))
    assert world.decide() == [Command("PLACE", SELL, 1001, 400)]
    assert world.row["address_actions"] == 4
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(SELL, 1002))
    world.hold(400)
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.BUDGET] == 1
    # 6 USDC traded buy 6 actions; it stays REDUCING for a second, then goes on.
    world.hold(5300)
    assert world.decide(after_ns=SECOND - 1) == [Command("PLACE", SELL, 1002, 1000)]
    assert world.row["address_allowance"] == 10
    world.quotes(Quote(BUY, 999), Quote(BUY, 997))
    world.decide(after_ns=1)
    assert (world.row["halt_code"], world.row["mode"]) == (0, Mode.ACTIVE)
    assert world.raw["side"].tolist() == [BUY]


@pytest.mark.parametrize(("step", "trips"), [(SECOND, False), (SECOND + 1, True), (-1, True), (0, False)])
def test_a_clock_that_jumps_or_runs_back(step, trips):
    world = resting(clock_step_ns_max=SECOND)
    assert world.decide(after_ns=step) == (CANCELLED if trips else [])
    if trips:
        world.limits["clock_step_ns_max"] = 0
        check_latch(world, Breaker.CLOCK_STEP)


def test_where_the_clock_is_not_watched_it_may_jump():
    assert resting().decide(after_ns=24 * 60 * MINUTE) == []


def test_an_order_whose_fate_is_unknown_for_too_long():
    """It counts from when the fate became unknown, however long the order had rested."""
    world = resting(unknown_age_ns_max=5 * SECOND)
    world.say(Kind.ORDER_UNKNOWN, order_id=world.active()[0]["order_id"], after_ns=60 * MINUTE)
    assert world.row["halt_code"] == 0
    world.decide(after_ns=5 * SECOND)
    assert world.row["halt_code"] == 0
    assert world.decide(after_ns=1) == []
    check_latch(world, Breaker.UNKNOWN_ORDER)


def test_an_order_that_is_found_again_trips_nothing():
    world = resting(unknown_age_ns_max=5 * SECOND)
    order = world.active()[0]
    world.say(Kind.ORDER_UNKNOWN, order_id=order["order_id"])
    world.say(
        Kind.ORDER_ACKNOWLEDGED, after_ns=SECOND, order_id=order["order_id"], side=BUY, price_ticks=999, size_lots=1000
    )
    assert world.decide(after_ns=60 * SECOND) == []
    assert world.row["halt_code"] == 0


def test_an_illegal_transition():
    world = resting()
    world.feed_silently(Kind.ORDER_REJECTED, order_id=world.active()[0]["order_id"], aux0=int(Refusal.MARGIN))
    assert world.decide() == CANCELLED
    check_latch(world, Breaker.ILLEGAL_TRANSITION)


def test_a_strategy_that_fails():
    world = resting()
    world.script[0]["fails"] = 1
    with failures() as texts:
        assert world.decide() == CANCELLED
    assert texts == ["ValueError: as told"]
    assert (world.row["strategy_failures"], world.row["quote_fault"]) == (1, 1)
    world.script[0]["fails"] = 0
    check_latch(world, Breaker.STRATEGY)


@pytest.mark.parametrize("count", [-2, 65])
def test_a_strategy_that_answers_nonsense(count):
    world = resting()
    world.script[0]["count"] = count
    assert world.decide() == CANCELLED
    assert world.row["quote_fault"] == 2
    check_latch(world, Breaker.STRATEGY)


def test_an_operator_halts_and_resumes():
    world = resting()
    assert world.say(Kind.OPERATOR_COMMAND, aux0=0) == CANCELLED
    check_latch(world, Breaker.OPERATOR)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=1) == [Command("PLACE", BUY, 999, 1000)]
    assert (world.row["halt_code"], world.row["latches"], world.row["mode"]) == (0, 0, Mode.ACTIVE)


def test_without_a_connection_there_are_no_quotes():
    world = resting()
    assert world.say(Kind.CONNECTION_DOWN) == CANCELLED
    assert (world.row["halt_code"], world.row["mode"]) == (Breaker.DISCONNECTED, Mode.ACTIVE)
    world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
    assert world.say(Kind.CONNECTION_UP) == [Command("PLACE", BUY, 999, 1000)]
    assert world.row["halt_code"] == 0


def test_while_the_venue_is_down_there_are_no_quotes():
    world = resting()
    assert world.say(Kind.VENUE_MODE, aux0=2) == CANCELLED
    assert world.row["halt_code"] == Breaker.DISCONNECTED


def test_a_post_only_window_lets_what_rests_pass():
    world = resting()
    world.quotes(Quote(BUY, 999), Quote(BUY, 998), Quote(SELL, 1001, time_in_force=IOC))
    assert world.say(Kind.VENUE_MODE, aux0=1) == [Command("PLACE", BUY, 998, 1000)]
    assert world.row["refusals"][RiskRefusal.POST_ONLY] == 1
    assert len(world.say(Kind.VENUE_MODE, aux0=0)) == 1


# Markets, a stop.


@pytest.mark.parametrize(("state", "code"), [(MarketState.STALE, Breaker.STALE_DATA), (MarketState.CLOSED, 0)])
def test_a_market_that_is_not_fresh_loses_its_quotes_at_once(state, code):
    world = World(markets=2)
    world.quotes(Quote(BUY, 999), Quote(BUY, 999, market=1))
    world.decide()
    world.acknowledge(0)
    world.acknowledge(1)
    assert world.say(Kind.MARKET_STATE, market=1, aux0=int(state)) == [Command("CANCEL", BUY, 999, 1000, 1)]
    assert (world.row["halt_code"], world.row["latches"]) == (code, 0)
    assert [int(view["tradable"]) for view in world.lane.views] == [1, 0]
    world.say(Kind.ORDER_CANCELLED, market=1, order_id=world.active(1)[0]["order_id"])
    world.touch(998, 1002, market=1)
    assert world.decide() == []
    assert world.say(Kind.MARKET_STATE, market=1) == [Command("PLACE", BUY, 999, 1000, 1)]
    assert world.row["halt_code"] == 0


def test_a_closed_market_is_not_late():
    world = World(markets=2, feed_age_ns_max=SECOND)
    world.say(Kind.MARKET_STATE, market=1, aux0=int(MarketState.CLOSED))
    world.now += 2 * SECOND
    world.touch(999, 1001)
    world.decide()
    assert world.row["halt_code"] == 0


def test_a_stop_cancels_and_nothing_is_quoted_any_more():
    """Positions are kept, nothing is latched, and neither a resume nor a close begins again."""
    world = resting()
    world.hold(500)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=4) == CANCELLED
    assert (world.row["halt_code"], world.row["latches"], world.row["mode"]) == (Breaker.OPERATOR, 0, Mode.ACTIVE)
    world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
    for command in (1, 2):
        assert world.say(Kind.OPERATOR_COMMAND, aux0=command) == []
        assert world.decide(after_ns=MINUTE) == []
    assert approve(world) == (0, RiskRefusal.HALTED)
    assert world.position()["position_lots"] == 500


# Causes.


def test_the_first_cause_is_kept():
    world = World()
    for breaker in (Breaker.DRAWDOWN, Breaker.STRATEGY):
        risk.trip(world.row, breaker, True)
        assert world.row["halt_code"] == Breaker.DRAWDOWN
    assert world.row["latches"] == 1 << Breaker.DRAWDOWN | 1 << Breaker.STRATEGY


def test_the_first_that_latches_stands_before_what_does_not():
    world = World()
    risk.trip(world.row, Breaker.STALE_DATA, False)
    risk.trip(world.row, Breaker.TICK_TO_TRADE, False)
    assert world.row["halt_code"] == Breaker.STALE_DATA
    risk.trip(world.row, Breaker.DRAWDOWN, True)
    risk.trip(world.row, Breaker.TICK_TO_TRADE, False)
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_resuming_clears_what_stopped_and_what_was_counted():
    row = World().row
    names = ["latches", "halt_code", "mode", "close_at_market", "must_be_flat", "reducing_until_ns", "quote_fault"]
    names += ["rejections", "illegal_transitions", "restored_peak_micro"]
    for name in [*names, "pause_until_ns", "stopping"]:
        row[name] = 9
    risk.resume(row, 5)
    assert [int(row[name]) for name in names] == [0] * len(names)
    # A process that stops does not begin again.
    assert (row["pause_until_ns"], row["stopping"]) == (5, 9)


# Documentation.


def test_the_tables_hold_every_code():
    breakers = breakers_table().splitlines()
    assert len(breakers) == 2 + len(Breaker) - 1 == 2 + len(BREAKERS)
    assert breakers[2] == (
        "| 1 | TICK_TO_TRADE | we reacted too late: cancel all, pause | itself | `hlhft_tick_to_trade_seconds` |"
    )
    for breaker, rule in BREAKERS.items():
        assert rule.metric.startswith("hlhft_")
        assert any(line.startswith(f"| {int(breaker)} | {breaker.name} |") for line in breakers)
    assert len({rule.metric for rule in BREAKERS.values()}) == len(BREAKERS)
    refusals = refusals_table().splitlines()
    assert len(refusals) == 2 + len(RiskRefusal) - 1
    assert set(REFUSAL_MEANING) == set(RiskRefusal)
    assert refusals[-1] == "| 14 | POST_ONLY | the venue accepts only post-only orders for now |"
    assert max(RiskRefusal) < REFUSALS


def test_which_breakers_latch():
    """The mission's: only these go on by themselves."""
    passing = {breaker for breaker, rule in BREAKERS.items() if not rule.latched}
    assert passing == {
        Breaker.TICK_TO_TRADE, Breaker.STALE_DATA, Breaker.ACKNOWLEDGEMENT, Breaker.BUDGET, Breaker.DISCONNECTED,
    }  # fmt: skip


# One case of each refusal: limits, what is set in the lane (and in market 0), the quote.


def halted(world: World) -> None:
    risk.trip(world.row, Breaker.OPERATOR, True)


def post_only(world: World) -> None:
    world.row["venue_mode"] = 1


def ten_dollars(world: World) -> None:
    world.data.markets["minimum_notional_micro"] = 10 * USDC


def one_open(world: World) -> None:
    world.row["orders_open"] = 1


def grid_of_five(world: World) -> None:
    world.data.markets["grid_step_ticks"] = 5


def spot(world: World) -> None:
    world.data.markets["kind"] = int(MarketKind.SPOT)


def nothing(world: World) -> None:
    """Leaves the world as it is."""


@pytest.mark.parametrize(
    ("code", "limits", "prepare", "quote"),
    [
        (RiskRefusal.NONE, {}, nothing, Quote(BUY, 1000)),
        (RiskRefusal.HALTED, {}, halted, Quote(BUY, 1000)),
        (RiskRefusal.POST_ONLY, {}, post_only, Quote(BUY, 1000, time_in_force=GTC)),
        (RiskRefusal.REDUCING, {}, nothing, Quote(SELL, 1000, reduce_only=1)),
        (RiskRefusal.INVALID_PRICE, {}, grid_of_five, Quote(BUY, 999)),
        (RiskRefusal.ZERO_SIZE, {}, nothing, Quote(BUY, 1000, 0)),
        (RiskRefusal.PRICE_BAND, {"price_band_e6": 9_999}, nothing, Quote(BUY, 990)),
        (RiskRefusal.POSITION_LIMIT, {"position_notional_micro_max": 999}, nothing, Quote(BUY, 1000)),
        (RiskRefusal.POSITION_LIMIT, {"order_notional_micro_max": 999}, nothing, Quote(BUY, 1000)),
        (RiskRefusal.POSITION_LIMIT, {"spot_held_only": 1}, spot, Quote(SELL, 1000)),
        (RiskRefusal.NONE, {"spot_held_only": 1}, spot, Quote(BUY, 1000)),
        (RiskRefusal.EXPOSURE_LIMIT, {"exposure_micro_max": USDC}, nothing, Quote(BUY, 1000)),
        (RiskRefusal.MINIMUM_NOTIONAL, {}, ten_dollars, Quote(BUY, 1000)),
        (RiskRefusal.OPEN_ORDERS, {"open_orders_max": 1}, one_open, Quote(BUY, 1000)),
    ],
)
def test_each_refusal(
    code: RiskRefusal, limits: dict[str, int], prepare: Callable[[World], None], quote: Quote
) -> None:
    world = World(**limits)
    prepare(world)
    lots, said = approve(
        world, quote.side, quote.ticks, quote.lots, time_in_force=quote.time_in_force, reduce_only=quote.reduce_only
    )
    assert (lots, said) == (1000 if code == 0 else 0, code)


def test_the_exposure_of_all_markets_is_their_sum():
    world = World(markets=2)
    world.position(0)["position_lots"], world.position(1)["open_sell_lots"] = 5, 7
    assert risk.exposure_micro(world.lane.positions, world.data.books, world.data.markets) == 12 * 1001
