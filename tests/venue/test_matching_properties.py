"""Random streams through the matching engine: a plain engine tells the same, and every invariant holds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.venue.blocks import ActionKind
from hlhft.venue.refusals import Refusal
from tests.venue.desk import (
    ACKNOWLEDGED,
    ALO,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    EXPIRED,
    FILLED,
    GTC,
    IOC,
    REJECTED,
    SELL,
    Desk,
    assert_consistent,
)
from tests.venue.oracle import Oracle

PLACE, CANCEL, MODIFY = ActionKind.PLACE, ActionKind.CANCEL, ActionKind.MODIFY

# A small space, so that orders of the same price, account and id meet.

WIDTH, SLOTS = 6, 12

leg = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([PLACE, PLACE, PLACE, CANCEL, MODIFY]),
        "account": st.integers(0, 2),
        "client_id": st.integers(0, 4),
        "side": st.sampled_from([BUY, SELL]),
        "price_ticks": st.integers(0, WIDTH + 1),
        "size_lots": st.integers(1, 5),
        "time_in_force": st.sampled_from([ALO, GTC, GTC, IOC]),
        "reduce_only": st.sampled_from([0, 0, 1]),
        "target_id": st.integers(0, 12),
        "target_is_client_id": st.integers(0, 1),
        "always_place": st.integers(0, 1),
        "late": st.sampled_from([0, 0, 0, 0, 1]),
        "together": st.booleans(),  # with the leg before, in one action
    }
)


def at_rates(desk: Desk, oracle: Oracle, *, maker: int, taker: int) -> None:
    """Rates so high that even the small amounts of a small space have fees to truncate."""
    desk.exchange.holdings["maker_rate_e9"] = oracle.maker_rate_e9 = maker
    desk.exchange.holdings["taker_rate_e9"] = oracle.taker_rate_e9 = taker


def compare(desk: Desk, oracle: Oracle, legs: list[dict[str, int]]) -> None:
    """Sends one block to both and compares what they tell."""
    sent = []
    for number, fields in enumerate(legs):
        fields = dict(fields)
        late, together = fields.pop("late"), fields.pop("together")
        if fields["kind"] == CANCEL:
            names = ("kind", "account", "market", "target_id", "target_is_client_id")
            fields = {name: fields[name] for name in names if name in fields}
        fields["expires_ns"] = desk.now_ns if late else desk.now_ns + 75_000_000
        fields["action"] = sent[-1]["action"] if together and sent else number
        sent.append(fields)
        desk.leg(**fields)
    told = desk.run()
    expected = oracle.block(sent, desk.now_ns)
    assert told == expected
    assert {owner: lots for owner, lots in oracle.positions.items() if lots} == {
        owner: holding["position_lots"]
        for owner, holding in np.ndenumerate(desk.exchange.holdings)
        if holding["position_lots"]
    }


@settings(max_examples=60)
@given(st.lists(st.lists(leg, max_size=8), max_size=12))
def test_random_streams_tell_what_a_plain_engine_tells(blocks):
    desk, oracle = Desk(accounts=3, width=WIDTH, slots=SLOTS), Oracle(WIDTH, SLOTS)
    at_rates(desk, oracle, maker=234_567_891, taker=-98_765_432)
    for block in blocks:
        compare(desk, oracle, block)
        assert_consistent(desk.exchange)
    assert_consistent(desk.exchange, desk.history)


def random_leg(dice: random.Random, next_order_id: int) -> dict[str, int]:
    """As `leg`, but aimed: ids that are alive more often than not, and many accounts and markets."""
    return {
        "kind": dice.choice([PLACE] * 6 + [CANCEL, MODIFY]),
        "account": dice.randrange(4),
        "client_id": dice.randrange(8),
        "side": dice.choice([BUY, SELL]),
        "price_ticks": dice.randrange(0, 17),
        "size_lots": dice.randrange(1, 30),
        "time_in_force": dice.choice([ALO, ALO, GTC, IOC, IOC]),
        "reduce_only": int(dice.random() < 0.3),
        "target_id": dice.randrange(max(next_order_id - 40, 0), next_order_id + 1),
        "target_is_client_id": 0 if dice.random() < 0.7 else 1,
        "always_place": int(dice.random() < 0.5),
        "late": int(dice.random() < 0.05),
        "together": dice.random() < 0.3,
    }


@pytest.mark.parametrize("seed", range(3))
def test_long_streams_tell_what_a_plain_engine_tells(seed):
    dice = random.Random(seed)
    desk, oracle = Desk(width=15, slots=40), Oracle(15, 40)
    at_rates(desk, oracle, maker=-123_456_789, taker=345_678_901)
    for number in range(600):
        compare(desk, oracle, [random_leg(dice, oracle.next_order_id) for _ in range(dice.randrange(1, 8))])
        if number % 60 == 0:
            assert_consistent(desk.exchange, desk.history)
    assert_consistent(desk.exchange, desk.history)
    # The stream was worth its time: each outcome happened many times.
    outcomes = {event.kind: 0 for event in desk.history}
    for event in desk.history:
        outcomes[event.kind] += 1
    assert min(outcomes[kind] for kind in (ACKNOWLEDGED, REJECTED, FILLED, CANCELLED, CANCEL_REJECTED, EXPIRED)) >= 10
    causes = {event.aux0 for event in desk.history if event.kind == CANCELLED}
    assert causes == {Refusal.REQUESTED, Refusal.SELF_TRADE, Refusal.REDUCE_ONLY_CANCELLED}


@pytest.mark.parametrize("seed", range(3))
def test_streams_under_margin_tell_what_a_plain_engine_tells(seed):
    """Two markets share the collateral; marks and collateral move between the blocks."""
    dice = random.Random(seed)
    desk = Desk(markets=2, width=15, slots=40, margin=True, mark=8, leverage=3, collateral=200)
    oracle = Oracle(15, 40, marks={0: 8, 1: 8}, leverage=3)
    at_rates(desk, oracle, maker=12_345_678, taker=34_567_890)
    for account in range(4):
        oracle.money[account] = 200
    for number in range(400):
        legs = [random_leg(dice, oracle.next_order_id) for _ in range(dice.randrange(1, 8))]
        for fields in legs:
            fields["market"] = dice.randrange(2)
        compare(desk, oracle, legs)
        market, account = dice.randrange(2), dice.randrange(4)
        oracle.marks[market] = desk.exchange.marks[market] = dice.randrange(5, 12)
        gift = max(60 - oracle.free(account), 0) if dice.random() < 0.5 else 0
        oracle.money[account] += gift
        desk.exchange.collateral[account] += gift
        if number % 80 == 0:
            assert_consistent(desk.exchange, desk.history)
    assert_consistent(desk.exchange, desk.history)
    told = [(event.kind, event.aux0) for event in desk.history]
    assert told.count((REJECTED, Refusal.MARGIN)) >= 10
    assert told.count((CANCELLED, Refusal.MARGIN_CANCELLED)) >= 10
    assert sum(kind == FILLED for kind, _ in told) >= 100
