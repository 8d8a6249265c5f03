"""Ladders: where they stand, how they move, that they never cross what rests."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.exchange.flow.draws import ONE
from hlhft.exchange.flow.legs import add_cancel, add_post, level_client_id
from hlhft.exchange.flow.makers import deep_legs, maker_legs, step_at
from hlhft.exchange.flow.rehearsal import START_NS
from hlhft.exchange.flow.state import DEEP, DEEP_DISTANCE_E6, DEEP_LEVELS, LEVELS, MAKERS
from hlhft.venue.blocks import ActionKind
from tests.exchange.flow.stage import BLOCK_NS, STEP, STILL, Legs, changed, execute, resting, set_fair, stage

ACCOUNTS = range(1, 1 + MAKERS)


class Ladders:
    """The makers of a still market, all of which act every block."""

    def __init__(self, **values: float) -> None:
        self.rehearsal = stage(changed(STILL, **values))
        self.rehearsal.venue.marks[:] = 1_000_000
        self.legs = Legs()
        self.now_ns = START_NS
        self.events = np.zeros(0)

    def act(self, price: float | None = None) -> list[ActionKind]:
        """One block in which every maker acts."""
        if price is not None:
            set_fair(self.rehearsal, price)
        self.now_ns += BLOCK_NS
        flow = self.rehearsal.flow
        flow.makers["next_ns"] = 0
        legs = self.legs.take(maker_legs(self.rehearsal.venue, flow, self.legs.rows, 0, 0, self.now_ns))
        self.events = execute(self.rehearsal, legs, self.now_ns)
        return self.legs.kinds()

    def prices(self, account: int, side: int) -> list[int]:
        """In steps, from the touch outward."""
        found = [ticks // STEP for own, ticks in resting(self.rehearsal, account) if own == side]
        return sorted(found, reverse=side > 0)


def expect(ladders: Ladders, bid: int, ask: int) -> None:
    for account in ACCOUNTS:
        assert ladders.prices(account, 1) == [bid - level for level in range(LEVELS)]
        assert ladders.prices(account, -1) == [ask + level for level in range(LEVELS)]


def test_ladders_begin_around_the_fair_price():
    ladders = Ladders()
    assert ladders.act(100_000.4) == [ActionKind.PLACE] * (2 * LEVELS * MAKERS)
    expect(ladders, 100_000, 100_001)


def test_a_ladder_moves_by_modifies_from_the_far_end():
    ladders = Ladders()
    ladders.act(100_000.5)
    ladders.act(100_002.5)
    # The first maker's bids wait for the others' asks to go.
    ladders.act()
    ladders.act()
    expect(ladders, 100_002, 100_003)
    kinds = ladders.act(99_997.5)
    assert set(kinds) == {ActionKind.MODIFY}
    ladders.act()
    ladders.act()
    expect(ladders, 99_997, 99_998)


def test_kept_prices_keep_their_orders():
    ladders = Ladders()
    ladders.act(100_000.5)
    kept = {
        int(order["price_ticks"]): int(order["order_id"])
        for order in ladders.rehearsal.venue.orders
        if order["order_id"] != 0 and order["account"] == 1 and order["side"] < 0 and order["price_ticks"] >= 1_000_040
    }
    for _ in range(3):
        ladders.act(100_002.5)
    for ticks, order_id in kept.items():
        found = [
            int(order["order_id"])
            for order in ladders.rehearsal.venue.orders
            if order["order_id"] != 0 and order["account"] == 1 and order["price_ticks"] == ticks
        ]
        assert found == [order_id]


def test_a_ladder_that_jumps_farther_than_it_is_long_arrives():
    ladders = Ladders()
    ladders.act(100_000.5)
    for _ in range(5):
        ladders.act(100_057.5)
    expect(ladders, 100_057, 100_058)


def test_a_price_is_kept_until_the_view_is_that_far_beyond():
    ladders = Ladders(half_spread_steps=-0.3)
    ladders.act(100_000.5)
    assert ActionKind.PLACE not in ladders.act(100_001.2)
    expect(ladders, 100_000, 100_001)
    for _ in range(3):
        ladders.act(100_001.4)
    expect(ladders, 100_001, 100_002)
    for _ in range(3):
        ladders.act(100_000.8)
    expect(ladders, 100_001, 100_002)


def test_a_wide_half_spread_stands_back():
    ladders = Ladders(half_spread_steps=2.5)
    ladders.act(100_000.6)
    expect(ladders, 99_998, 100_004)


def test_what_others_have_resting_is_never_crossed():
    ladders = Ladders()
    flow, venue = ladders.rehearsal.flow, ladders.rehearsal.venue
    legs = Legs()
    row = add_post(flow, legs.rows, 0, 9, 0, 1, -1, 999_950, 12, START_NS)
    execute(ladders.rehearsal, legs.take(row), START_NS)
    ladders.act(100_000.5)
    assert EventKind.ORDER_REJECTED not in set(ladders.events["kind"])
    assert ladders.prices(1, 1)[0] == 99_994
    assert ladders.prices(1, -1)[0] == 100_001
    assert venue.ladders[0]["best_ask_ticks"] == 999_950


def test_a_filled_order_comes_back():
    ladders = Ladders()
    ladders.act(100_000.5)
    own = level_client_id(1, 0, 1, 1_000_000)
    legs = Legs()
    execute(ladders.rehearsal, legs.take(add_cancel(ladders.rehearsal.flow, legs.rows, 0, 1, 0, own, 5)), 5)
    assert ladders.prices(1, 1)[0] == 99_999
    ladders.act()
    assert ladders.prices(1, 1)[0] == 100_000


def test_a_long_maker_leans_down():
    ladders = Ladders(skew_steps=0.5)
    for account in ACCOUNTS:
        lots = int(ladders.rehearsal.flow.numbers[0]["skew_lots"])
        ladders.rehearsal.venue.holdings[account, 0]["position_lots"] = 2 * lots
    ladders.act(100_000.5)
    expect(ladders, 99_999, 100_000)
    ladders.rehearsal.venue.holdings["position_lots"][1:5, 0] *= 1_000
    for _ in range(4):
        ladders.act(100_000.5)
    expect(ladders, 99_998, 99_999)


def test_a_thin_ladder_leaves_prices_out():
    ladders = Ladders(density=0.5)
    ladders.act(100_000.5)
    counts = [len(ladders.prices(account, side)) for account in ACCOUNTS for side in (1, -1)]
    assert 50 < sum(counts) < 110
    before = {account: ladders.prices(account, 1) for account in ACCOUNTS}
    for _ in range(4):
        ladders.act(100_005.5)
    for account in ACCOUNTS:
        kept = [price for price in before[account] if price > 100_005 - LEVELS]
        assert [price for price in ladders.prices(account, 1) if price <= 100_000] == kept


def test_sizes_follow_the_profile():
    ladders = Ladders(level_usdc=400_000.0, touch_share=0.25, ramp_levels=4.0)
    ladders.act(100_000.5)
    lots = np.array([[resting(ladders.rehearsal, a)[1, (100_000 - k) * STEP] for k in range(LEVELS)] for a in ACCOUNTS])
    # A quarter of the market's 400,000 USDC a maker is one bitcoin; mean and spread are of a log-normal draw.
    assert 0.5 < lots[:, 4:].mean() / 100_000 < 1.6
    assert 0.05 < lots[:, 0].mean() / 100_000 < 1.0
    assert lots.min() >= 12


def test_now_and_then_an_order_changes_its_size():
    ladders = Ladders()
    ladders.act(100_000.5)
    kinds = [kind for _ in range(40) for kind in ladders.act()]
    assert set(kinds) == {ActionKind.MODIFY}
    assert 20 < len(kinds) < 65
    ladders.rehearsal.flow.numbers[0]["density"] = 0
    assert ActionKind.PLACE not in [kind for _ in range(20) for kind in ladders.act()]


def test_a_view_has_its_noise():
    ladders = Ladders(view_noise_steps=0.7)
    ladders.act(100_000.5)
    found = []
    for _ in range(150):
        ladders.act()
        found.append(ladders.rehearsal.flow.makers[0]["noise"].copy())
    assert 0.4 < np.std(np.array(found) / ONE) < 1.1


def test_makers_act_in_their_own_time():
    rehearsal = stage(changed(STILL, maker_period_s=0.2))
    acted = []
    for block in range(40):
        ts_ns = START_NS + block * 50_000_000
        before = rehearsal.flow.makers[0]["next_ns"].copy()
        maker_legs(rehearsal.venue, rehearsal.flow, np.zeros(2_000, rehearsal.legs.dtype), 0, 0, ts_ns)
        acted.append(rehearsal.flow.makers[0]["next_ns"] != before)
    counts = np.array(acted).sum(axis=0)
    assert (counts >= 6).all()
    assert (counts <= 20).all()
    assert len({tuple(row) for row in acted}) > 3


def test_a_coarser_grid_is_met_by_beginning_anew():
    ladders = Ladders()
    flow = ladders.rehearsal.flow
    ladders.act(100_000.5)
    flow.makers[0]["step_ticks"] = 5  # as if the grid had been finer
    flow.makers[0]["bid_top"] *= 2
    flow.makers[0]["ask_top"] *= 2
    kinds = ladders.act()
    assert set(kinds) == {ActionKind.CANCEL}
    assert (flow.makers[0]["step_ticks"] == 0).all()
    # Every second of the prices was one of the old ladder's; the rest stays until it is filled.
    assert ActionKind.PLACE in ladders.act()
    assert (flow.makers[0]["step_ticks"] == STEP).all()


@pytest.mark.parametrize(("ticks", "step"), [(1_000_000, 10), (99_999, 10), (98_000, 1), (50_000, 1)])
def test_the_step_is_the_coarser_of_those_nearby(ticks, step):
    assert step_at(stage(STILL).venue, 0, ticks) == step


def test_deep_orders_stand_behind_and_follow_seldom():
    rehearsal, legs = stage(STILL), Legs()
    rehearsal.venue.marks[:] = 1_000_000

    def act() -> list[ActionKind]:
        execute(rehearsal, legs.take(deep_legs(rehearsal.venue, rehearsal.flow, legs.rows, 0, 0, START_NS)), START_NS)
        return legs.kinds()

    account = int(rehearsal.flow.accounts[DEEP])
    assert act() == [ActionKind.PLACE] * (2 * DEEP_LEVELS)
    found = sorted(resting(rehearsal, account))
    for level, share_e6 in enumerate(DEEP_DISTANCE_E6):
        distance = share_e6 + (LEVELS + level) * STEP  # of 1,000,000 ticks
        assert (1, 1_000_000 - distance) in found
        assert (-1, 1_000_000 + distance) in found
    assert act() == []
    set_fair(rehearsal, 100_010.0)
    assert act() == [], "a fifth of the distance is near enough"
    set_fair(rehearsal, 100_020.0)
    assert act() == [ActionKind.MODIFY] * 2, "the nearest level is two fifths of its distance off"
    assert len(resting(rehearsal, account)) == 2 * DEEP_LEVELS
