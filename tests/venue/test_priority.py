"""Priority at a level and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.priority import NOT_ALLOWED, mark_mixed
from hlhft.venue.refusals import Refusal
from tests.venue.desk import (
    ALO,
    ANN,
    BOB,
    BUY,
    CAT,
    DAN,
    GTC,
    IOC,
    MARKET,
    REJECTED,
    SELL,
    Desk,
    asks,
    assert_consistent,
    level,
    position,
)

NS_PER_MS = 1_000_000


@pytest.fixture
def desk():
    return Desk()


def queue(desk: Desk) -> list[int]:
    return [account for account, _ in desk.resting(BUY, 90)]


def test_who_pays_more_goes_ahead_and_equals_stay_in_their_turn(desk):
    for account, rate in ((ANN, 0), (BOB, 500), (CAT, 900), (DAN, 500)):
        desk.place(account, BUY, 90, 1, ALO, priority_rate_e8=rate).run()
    assert queue(desk) == [CAT, BOB, DAN, ANN]
    desk.place(ANN, BUY, 90, 2, ALO).run()
    assert queue(desk) == [CAT, BOB, DAN, ANN, ANN]
    # The links are whole: leaving and filling work.
    desk.cancel(BOB, 2).run()
    assert queue(desk) == [CAT, DAN, ANN, ANN]
    desk.place(BOB, SELL, 90, 2, IOC).run()
    assert queue(desk) == [ANN, ANN]


def test_what_is_older_than_the_window_keeps_its_place(desk):
    """Blocks are 75 ms apart: five blocks later an order is 375 ms old, six blocks later it is out of the window."""
    desk.place(ANN, BUY, 90, 1, ALO).run()
    for _ in range(4):
        desk.run()
    desk.place(BOB, BUY, 90, 1, ALO, priority_rate_e8=1).run()
    assert queue(desk) == [BOB, ANN]
    desk.place(CAT, BUY, 90, 1, ALO, priority_rate_e8=5).run()  # ANN is 450 ms old
    assert queue(desk) == [BOB, ANN, CAT]
    desk.exchange.rules["priority_window_ns"] = 1000 * NS_PER_MS
    desk.place(DAN, BUY, 90, 1, ALO, priority_rate_e8=5).run()
    assert queue(desk) == [BOB, ANN, CAT, DAN]
    desk.place(DAN, BUY, 90, 1, ALO, priority_rate_e8=6).run()
    assert queue(desk) == [DAN, BOB, ANN, CAT, DAN]


def test_an_order_as_old_as_the_window_is_no_longer_young(desk):
    desk.exchange.rules["priority_window_ns"] = 75 * NS_PER_MS
    desk.place(ANN, BUY, 90, 1, ALO).run()
    desk.place(BOB, BUY, 90, 1, ALO, priority_rate_e8=1).run()
    assert queue(desk) == [ANN, BOB]


def test_a_resting_order_pays_on_what_rests_whether_it_fills_or_not(desk):
    desk.place(ANN, BUY, 90, 1_000_000, ALO, priority_rate_e8=80_000).run()
    # 90 ticks of a million lots are 90 USDC; eight basis points of it are 0.072.
    assert desk.exchange.engine[0]["burned_micro"] == 72_000
    desk.place(BOB, SELL, 90, 500_000, IOC).run()
    desk.cancel(ANN, 1).run()
    assert desk.exchange.engine[0]["burned_micro"] == 72_000
    assert desk.exchange.collateral.tolist() == [0, 0, 0, 0], "charged to nobody"
    assert_consistent(desk.exchange, desk.history)


@pytest.mark.parametrize("tif", [IOC, MARKET])
def test_an_immediate_order_pays_on_what_it_fills(desk, tif):
    asks(desk, (ANN, 90, 1_000_000), (BOB, 91, 500))
    desk.place(CAT, BUY, 90, 2_000_000, tif, priority_rate_e8=80_000).run()
    assert desk.exchange.engine[0]["burned_micro"] == 72_000
    desk.place(CAT, BUY, 80, 1, tif, priority_rate_e8=80_000).run()
    assert desk.exchange.engine[0]["burned_micro"] == 72_000


@pytest.mark.parametrize(
    "fields",
    [
        {"tif": GTC, "priority_rate_e8": 1},
        {"tif": ALO, "priority_rate_e8": 1, "reduce_only": 1},
        {"tif": ALO, "priority_rate_e8": -1},
        {"tif": IOC, "priority_rate_e8": 100_000_001},
    ],
)
def test_who_may_have_none(desk, fields):
    position(desk, ANN, -5)
    assert desk.place(ANN, BUY, 90, 1, **fields).short() == [(REJECTED, ANN, Refusal.PRIORITY_NOT_ALLOWED)]


def test_a_reduce_only_immediate_order_may_have_it(desk):
    position(desk, ANN, -5)
    asks(desk, (BOB, 100, 9))
    desk.place(ANN, BUY, 100, 9, IOC, reduce_only=1, priority_rate_e8=1).run()
    assert desk.position(ANN) == 0


def rates_after(*legs: dict[str, int]) -> list[int]:
    actions = np.zeros(len(legs) + 2, ACTION_DTYPE)
    for row, fields in zip(actions[1:-1], legs):
        for name, value in fields.items():
            row[name] = value
    mark_mixed(actions, 1, len(legs) + 1)
    assert actions["priority_rate_e8"][[0, -1]].tolist() == [0, 0], "the neighbours are left alone"
    return actions["priority_rate_e8"][1:-1].tolist()


def test_an_action_is_of_one_kind_or_none_of_it_has_priority():
    post_only, immediate = {"time_in_force": ALO}, {"time_in_force": IOC}
    rate = {"priority_rate_e8": 7}
    assert rates_after(post_only | rate, post_only | rate) == [7, 7]
    assert rates_after(immediate | rate, {"time_in_force": MARKET} | rate) == [7, 7]
    assert rates_after(post_only | rate, immediate | rate) == [NOT_ALLOWED] * 2
    assert rates_after(post_only | rate, post_only | rate | {"reduce_only": 1}) == [NOT_ALLOWED] * 2
    assert rates_after(post_only | rate, {"kind": ActionKind.CANCEL}) == [NOT_ALLOWED] * 2
    assert rates_after(immediate | rate | {"reduce_only": 1}) == [7]
    assert rates_after({"time_in_force": GTC} | rate) == [NOT_ALLOWED]
    assert rates_after(post_only, immediate) == [0, 0]  # nobody asked


def test_a_mixed_action_is_refused_leg_by_leg(desk):
    desk.place(ANN, BUY, 90, 1, ALO, priority_rate_e8=7, action=1)
    desk.place(ANN, BUY, 90, 1, IOC, priority_rate_e8=7, action=1)
    assert desk.short() == [(REJECTED, ANN, Refusal.PRIORITY_NOT_ALLOWED)] * 2


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 1, 5, 9]), st.integers(0, 300)), max_size=20))
def test_a_level_is_its_old_part_and_its_young_part_by_rate(placements):
    """After each order the youngest 400 ms at the end of the queue are sorted by rate, and by time among equals."""
    desk, model, placed = Desk(), [], {}
    for number, (rate, gap_ms) in enumerate(placements, start=1):
        desk.now_ns += gap_ms * NS_PER_MS
        desk.place(ANN, BUY, 90, 1, ALO, priority_rate_e8=rate).run()
        model.append(number)
        placed[number] = (rate, desk.now_ns)
        young = len(model)
        while young > 0 and desk.now_ns - placed[model[young - 1]][1] < 400 * NS_PER_MS:
            young -= 1
        model[young:] = sorted(model[young:], key=lambda order_id: (-placed[order_id][0], order_id))
        assert [int(order["order_id"]) for order in level(desk.exchange, 0, BUY, 90)] == model
    assert_consistent(desk.exchange, desk.history, by_ids=False)
