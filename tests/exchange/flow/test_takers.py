"""Takers: bursts of noise, the informed, the followers."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.exchange.flow.draws import ONE
from hlhft.exchange.flow.legs import add_post
from hlhft.exchange.flow.rehearsal import START_NS
from hlhft.exchange.flow.state import INFORMED, MOMENTUM, NOISE, MarketFlow
from hlhft.exchange.flow.takers import informed_legs, momentum_legs, noise_legs
from hlhft.venue.blocks import ActionKind, TimeInForce
from tests.exchange.flow.stage import BLOCK_NS, MS, STILL, Legs, changed, execute, set_fair, stage


class Market:
    """A book of ten steps a side, one bitcoin each."""

    def __init__(self, numbers: MarketFlow, *, empty: bool = False) -> None:
        self.rehearsal = stage(numbers)
        self.flow, self.venue = self.rehearsal.flow, self.rehearsal.venue
        self.venue.marks[:] = 1_000_000
        self.now_ns = START_NS
        self.legs = Legs(4_000)
        if not empty:
            rows, row = Legs(), 0
            for level in range(10):
                row = add_post(self.flow, rows.rows, row, 9, 0, 2 * level + 1, 1, 1_000_000 - 10 * level, 100_000, 1)
                row = add_post(self.flow, rows.rows, row, 9, 0, 2 * level + 2, -1, 1_000_010 + 10 * level, 100_000, 1)
            execute(self.rehearsal, rows.take(row), START_NS)

    def ask(self, agents, blocks: int = 1, every_ns: int = BLOCK_NS) -> np.ndarray:
        """The legs of so many blocks, which are not executed."""
        found = []
        for _ in range(blocks):
            self.now_ns += every_ns
            found.append(self.legs.take(agents(self.venue, self.flow, self.legs.rows, 0, 0, self.now_ns)).copy())
        return np.concatenate(found)


def all_take(legs: np.ndarray, account: int) -> bool:
    return (
        set(legs["kind"]) == {int(ActionKind.PLACE)}
        and set(legs["time_in_force"]) == {int(TimeInForce.IOC)}
        and set(legs["account"]) == {account}
        and (legs["price_ticks"] % 10 == 0).all()
    )


def test_bursts_come_as_often_and_as_large_as_they_should():
    market = Market(changed(STILL, bursts_per_minute=120.0, burst_orders=2.0, order_usdc=1_000.0, order_deviation=1.0))
    legs = market.ask(noise_legs, 1_600)  # two minutes
    bursts = len(np.unique(legs["arrival_ns"]))
    assert all_take(legs, market.flow.accounts[NOISE])
    assert 200 < bursts < 270
    assert 1.7 < len(legs) / 240 < 2.3
    assert 0.8 < np.median(legs["size_lots"]) / 1_000 < 1.2, "1000 USDC are 1000 lots"
    assert {1, -1} == set(legs["side"])
    assert set(legs["price_ticks"][legs["side"] > 0]) == {1_002_010}, "a five-hundredth from the touch"
    assert set(legs["price_ticks"][legs["side"] < 0]) == {998_000}


def test_a_burst_goes_one_way_and_the_fair_price_follows():
    market = Market(changed(STILL, bursts_per_minute=60.0, burst_orders=4.0, impact_bp=0.5, impact_power=0.5))
    legs = market.ask(noise_legs, 1, every_ns=BLOCK_NS)
    while len(legs) == 0:
        before = int(market.flow.states[0]["pending_subticks"])
        legs = market.ask(noise_legs)
    sides = set(legs["side"])
    assert len(sides) == 1
    moved = int(market.flow.states[0]["pending_subticks"]) - before
    assert len(legs) > 1
    # One lot is one USDC here; the table is read between its places, so the root is met within a hundredth.
    expected = sum(50 * ONE * (int(lots) / 10_000) ** 0.5 for lots in legs["size_lots"])
    assert moved == pytest.approx(sides.pop() * expected, rel=0.01)


def test_after_a_silence_at_most_four_bursts_come_at_once():
    market = Market(changed(STILL, bursts_per_minute=600.0, burst_orders=1.0))
    market.ask(noise_legs)
    legs = market.ask(noise_legs, 1, every_ns=60_000 * MS)
    assert len(legs) == 4
    assert market.flow.states[0]["next_burst_ns"] >= market.now_ns


def test_a_burst_has_a_largest_size():
    market = Market(changed(STILL, bursts_per_minute=600.0, burst_orders=1e9))
    legs = np.zeros(0)
    while len(legs) == 0:
        legs = market.ask(noise_legs, 1, every_ns=10 * MS)
    assert len(legs) == 16


def test_takers_that_bought_much_sell():
    for sign in (1, -1):
        market = Market(changed(STILL, bursts_per_minute=120.0, order_usdc_max=1e5))
        market.flow.states[0]["taken_lots"] = sign * 50 * 100_000
        legs = market.ask(noise_legs, 400)
        assert set(legs["side"]) == {-sign}


def test_takers_that_hold_too_much_send_only_what_leads_home():
    market = Market(changed(STILL, bursts_per_minute=120.0, order_usdc_max=1e5))
    holding = market.venue.holdings[market.flow.accounts[NOISE], 0]
    for position, sides in ((15 * 100_000, {-1}), (14 * 100_000, {-1, 1}), (-15 * 100_000, {1})):
        holding["position_lots"] = position
        assert set(market.ask(noise_legs, 400)["side"]) == sides


def test_noise_draws_the_same_whatever_the_book_does():
    there, empty = (Market(changed(STILL, bursts_per_minute=120.0), empty=e) for e in (False, True))
    assert len(there.ask(noise_legs, 200)) > 0
    assert len(empty.ask(noise_legs, 200)) == 0
    assert there.flow.price_draws.tobytes() == empty.flow.price_draws.tobytes()
    assert there.flow.states.tobytes() == empty.flow.states.tobytes()


INFORMED_OFTEN = changed(STILL, informed_per_s=1_000.0, informed_edge_steps=0.5)


def test_the_informed_take_what_the_fair_price_has_passed():
    market = Market(INFORMED_OFTEN)
    for price, side, limit in ((100_003.7, 1, 1_000_030), (99_997.4, -1, 999_980), (100_001.5, 1, 1_000_010)):
        set_fair(market.rehearsal, price)
        (leg,) = market.ask(informed_legs)
        assert (leg["side"], leg["price_ticks"], leg["account"]) == (side, limit, market.flow.accounts[INFORMED])
        assert leg["time_in_force"] == TimeInForce.IOC
        assert leg["size_lots"] >= 12


def test_the_informed_ask_for_less_on_the_way_home_and_for_more_away_from_it():
    market = Market(changed(STILL, informed_per_s=1_000.0, informed_edge_steps=4.0))
    home = int(market.flow.numbers[0]["home_lots"])
    holding = market.venue.holdings[market.flow.accounts[INFORMED], 0]
    # A sale may go down to its edge above the fair price; the touches are 100,000 and 100,001.
    for position, sold_below in ((0, 99_996.0), (home // 2, 99_998.0), (home, 100_000.0), (9 * home, 100_000.0)):
        holding["position_lots"] = position
        set_fair(market.rehearsal, sold_below + 0.1)
        assert len(market.ask(informed_legs)) == 0
        set_fair(market.rehearsal, sold_below - 0.1)
        (leg,) = market.ask(informed_legs)
        assert (leg["side"], leg["price_ticks"]) == (-1, 1_000_000)
    set_fair(market.rehearsal, 100_008.9)
    assert len(market.ask(informed_legs)) == 0, "eight steps for what leads farther away"
    set_fair(market.rehearsal, 100_009.1)
    (leg,) = market.ask(informed_legs)
    assert leg["side"] == 1


def test_followers_with_a_position_only_go_home():
    market = Market(changed(STILL, momentum_per_s=1_000.0, momentum_edge_bp=1.0, order_usdc_max=1e5))
    holding = market.venue.holdings[market.flow.accounts[MOMENTUM], 0]
    found = {}
    for position in (20 * 100_000, -20 * 100_000):
        holding["position_lots"] = position
        market.flow.states[0]["slow_mid_subticks"] = (1_000_005 - 200) * ONE
        found[position] = len(market.ask(momentum_legs, 16))
    assert found == {20 * 100_000: 0, -20 * 100_000: 16}


def test_the_informed_know_what_is_still_to_come():
    market = Market(INFORMED_OFTEN)
    set_fair(market.rehearsal, 100_000.5)
    assert len(market.ask(informed_legs)) == 0
    market.flow.states[0]["pending_subticks"] = -3 * 10 * ONE
    (leg,) = market.ask(informed_legs)
    assert (leg["side"], leg["price_ticks"]) == (-1, 999_980)


def test_the_informed_wait_between_two_orders_and_for_a_book():
    market = Market(changed(STILL, informed_per_s=4.0))
    set_fair(market.rehearsal, 100_004.0)
    assert 20 <= len(market.ask(informed_legs, 133)) <= 60, "about 40 in ten seconds"
    empty = Market(INFORMED_OFTEN, empty=True)
    set_fair(empty.rehearsal, 100_004.0)
    assert len(empty.ask(informed_legs, 5)) == 0


def test_followers_take_in_the_direction_of_a_move():
    market = Market(changed(STILL, momentum_per_s=1_000.0, momentum_edge_bp=1.0))
    assert len(market.ask(momentum_legs, 20)) == 0
    for sign in (1, -1):
        # The mid was twenty steps, two basis points, elsewhere.
        market.flow.states[0]["slow_mid_subticks"] = (1_000_005 - sign * 200) * ONE
        legs = market.ask(momentum_legs, 16)
        assert all_take(legs, market.flow.accounts[MOMENTUM])
        assert set(legs["side"]) == {sign}
        assert set(legs["price_ticks"]) == {1_000_010 if sign > 0 else 1_000_000}, "the touch and no farther"
        assert 3 <= len(legs) <= 14
    assert len(market.ask(momentum_legs, 200)[100:]) == 0, "the slow mid has come"
    assert len(Market(STILL, empty=True).ask(momentum_legs, 3)) == 0
