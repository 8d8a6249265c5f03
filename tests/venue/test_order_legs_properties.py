"""Random streams of everything that an order can be: every invariant holds after each block, every leg has an outcome,
and a plain list of each level says who was next."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.events import EventFlag
from hlhft.units import MICRO
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, Grouping, TriggerKind
from hlhft.venue.refusals import Refusal
from hlhft.venue.scheduled_cancel import fire_schedules, new_schedules, set_schedule
from hlhft.venue.twap import cancel_twap, new_twaps, place_twap, run_twaps
from tests.venue.desk import (
    ACKNOWLEDGED,
    ALO,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    DONE,
    EXPIRED,
    FILLED,
    GTC,
    IOC,
    MARKET,
    REFUSED,
    REJECTED,
    SELL,
    TRIGGERED,
    TWAP_STATE,
    WAITING,
    Desk,
    assert_consistent,
)

ACCOUNTS, MARKETS, WIDTH, SLOTS = 3, 2, 8, 14
SECOND = 10**9
OUTCOMES = {ACKNOWLEDGED, REJECTED, FILLED, CANCELLED, EXPIRED, CANCEL_REJECTED, WAITING, DONE, REFUSED}
TOLD = ("kind", "account", "market", "order_id", "venue_order_id", "side", "price_ticks", "size_lots", "aux0", "aux1")
TOLD += ("trade_id", "start_position_lots", "leg", "builder_fee_micro", "twap_id")
ORDER_LEGS = (ActionKind.PLACE, ActionKind.CANCEL, ActionKind.MODIFY, ActionKind.PLACE_TRIGGER, ActionKind.NOOP)


class World(Desk):
    """The order side of a whole venue: a block, then what waits for a price or a time."""

    def __init__(self) -> None:
        super().__init__(accounts=ACCOUNTS, markets=MARKETS, width=WIDTH, slots=SLOTS, waiting=7, mark=4)
        self.exchange.rules["schedule_volume_micro_min"] = 0
        self.exchange.holdings["maker_rate_e9"] = -123_456_789
        self.exchange.holdings["taker_rate_e9"] = 345_678_901
        self.twaps, self.schedules = new_twaps(3), new_schedules(ACCOUNTS)
        self.levels: dict[tuple[int, int, int], list[int]] = defaultdict(list)  # ids by turn
        self.digest = hashlib.blake2b(digest_size=16)

    def block(self, legs: list[dict[str, int]], others: list[dict[str, int]], seconds: int) -> None:
        """Executes a block of orders' legs and then others, lets time act, and checks what was told."""
        self.now_ns += seconds * SECOND
        for fields in legs:
            self.leg(**fields)
        self.execute()
        engine, rows = self.exchange.engine[0], np.zeros(len(others), ACTION_DTYPE)
        for number, fields in enumerate(others):
            for name, value in fields.items():
                rows[number][name] = value
            engine["leg"] = len(legs) + number
            if fields["kind"] == ActionKind.PLACE_TWAP:
                place_twap(self.exchange, self.twaps, rows[number], self.now_ns)
            elif fields["kind"] == ActionKind.CANCEL_TWAP:
                cancel_twap(self.exchange, self.twaps, rows[number], self.now_ns)
            else:
                at_ns = self.now_ns + fields["amount"] * SECOND if fields["amount"] else 0
                rows[number]["amount"] = at_ns
                set_schedule(self.exchange, self.schedules, rows[number], 10**6 * MICRO, self.now_ns)
        run_twaps(self.exchange, self.twaps, self.now_ns)
        fire_schedules(self.exchange, self.schedules, self.now_ns)
        told = self.exchange.events[: engine["event_count"]].copy()
        for event in told:
            self.digest.update(repr([int(event[name]) for name in TOLD]).encode())
        answered = set(told["leg"].tolist())
        assert answered >= set(range(len(legs) + len(others))), "every leg has an outcome"
        self.follow(told)
        self.drain()

    def follow(self, told: np.ndarray) -> None:
        """Keeps a plain list of each level; a maker that is filled is the first of its own."""
        for event in told:
            order_id, where = int(event["venue_order_id"]), self.where(event)
            if event["kind"] == ACKNOWLEDGED and order_id not in self.levels[where]:
                self.levels[where].append(order_id)
            elif event["kind"] == FILLED and event["flags"] & EventFlag.MAKER:
                assert self.levels[where][0] == order_id, "first come, first served"
                if event["aux0"] == 0:
                    self.levels[where].pop(0)
            elif event["kind"] == CANCELLED and order_id in self.levels[where]:
                self.levels[where].remove(order_id)

    @staticmethod
    def where(event: np.void) -> tuple[int, int, int]:
        return int(event["market"]), int(event["side"]), int(event["price_ticks"])


owner = {"account": st.integers(0, ACCOUNTS - 1), "market": st.integers(0, MARKETS - 1)}
order = {
    **owner,
    "client_id": st.integers(0, 3),
    "side": st.sampled_from([BUY, SELL]),
    "price_ticks": st.integers(0, WIDTH + 1),
    "size_lots": st.integers(1, 5),
    "time_in_force": st.sampled_from([ALO, GTC, GTC, IOC, MARKET]),
    "reduce_only": st.sampled_from([0, 0, 1]),
    "builder": st.integers(0, ACCOUNTS),
    "builder_rate_e9": st.just(456_789_123),
}
target = {"target_id": st.integers(0, 16), "target_is_client_id": st.integers(0, 1)}
trigger = {
    "trigger_kind": st.sampled_from([TriggerKind.TAKE_PROFIT, TriggerKind.STOP_LOSS]),
    "trigger_ticks": st.integers(1, WIDTH),
    "trigger_is_market": st.integers(0, 1),
    "grouping": st.sampled_from([Grouping.NONE, Grouping.NORMAL_TPSL, Grouping.POSITION_TPSL]),
}
placed = st.fixed_dictionaries({"kind": st.just(ActionKind.PLACE), **order})
parent = st.fixed_dictionaries({"kind": st.just(ActionKind.PLACE), "grouping": st.just(Grouping.NORMAL_TPSL), **order})
waits = st.fixed_dictionaries({"kind": st.just(ActionKind.PLACE_TRIGGER), **order, **trigger})
leg = st.one_of(
    placed,
    placed,
    waits,
    st.fixed_dictionaries({"kind": st.just(ActionKind.CANCEL), "fast": st.integers(0, 1), **owner, **target}),
    st.fixed_dictionaries(
        {"kind": st.just(ActionKind.MODIFY), "always_place": st.integers(0, 1), **order, **target, **trigger}
        | {"trigger_kind": st.sampled_from([TriggerKind.NONE, TriggerKind.STOP_LOSS])}
    ),
    st.fixed_dictionaries({"kind": st.just(ActionKind.NOOP), **owner}),
)


@st.composite
def actions(draw) -> list[dict[str, int]]:
    """One action: single legs, or a parent and what belongs to it."""
    if draw(st.booleans()):
        return [draw(leg)]
    first = draw(parent)
    children = draw(st.lists(waits, min_size=1, max_size=3))
    for child in children:
        child.update(account=first["account"], market=first["market"], side=-first["side"], reduce_only=1)
        child["grouping"] = Grouping.NORMAL_TPSL
    return [first, *children]


other = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just(ActionKind.PLACE_TWAP), **owner, "side": st.sampled_from([BUY, SELL])}
        | {"size_lots": st.integers(0, 40), "duration_ns": st.sampled_from([299, 300, 600]).map(lambda s: s * SECOND)}
        | {"reduce_only": st.integers(0, 1), "randomize": st.integers(0, 1)}
    ),
    st.fixed_dictionaries({"kind": st.just(ActionKind.CANCEL_TWAP), **owner, "target_id": st.integers(0, 3)}),
    st.fixed_dictionaries(
        {"kind": st.just(ActionKind.SCHEDULE_CANCEL), **owner, "amount": st.sampled_from([0, 4, 30])}
    ),
)
block = st.tuples(
    st.lists(actions(), max_size=5), st.lists(other, max_size=2), st.integers(0, 40), st.integers(0, WIDTH + 1)
)


def numbered(batches: list[list[dict[str, int]]], first: int) -> list[dict[str, int]]:
    return [{**fields, "action": first + number} for number, batch in enumerate(batches) for fields in batch]


@settings(max_examples=60)
@given(st.lists(block, max_size=12))
def test_random_streams_keep_every_invariant(blocks):
    world, number = World(), 0
    for batches, others, seconds, mark in blocks:
        world.mark(mark, market=seconds % MARKETS)
        world.block(numbered(batches, number), others, seconds)
        number += len(batches)
        assert_consistent(world.exchange, by_ids=False)
    assert_consistent(world.exchange, world.history, by_ids=False)


def random_leg(dice: random.Random, world: World) -> dict[str, int]:
    """A leg whose target is alive more often than not."""
    engine, slabs = world.exchange.engine[0], (world.exchange.orders, world.exchange.waiting)
    alive = [order for slab in slabs for order in slab if order["order_id"] != 0]
    fields = {
        "kind": dice.choice([ActionKind.PLACE] * 6 + [ActionKind.PLACE_TRIGGER] * 3 + list(ORDER_LEGS)),
        "account": dice.randrange(ACCOUNTS),
        "market": dice.randrange(MARKETS),
        "client_id": dice.randrange(6),
        "side": dice.choice([BUY, SELL]),
        "price_ticks": dice.randrange(1, WIDTH + 1),
        "size_lots": dice.randrange(1, 12),
        "time_in_force": dice.choice([ALO, ALO, GTC, IOC, MARKET]),
        "reduce_only": int(dice.random() < 0.4),
        "builder": dice.choice([0, 0, 1]),
        "builder_rate_e9": 98_765_432,
        "target_id": dice.randrange(int(engine["next_order_id"]) + 1),
        "target_is_client_id": 0,
        "always_place": int(dice.random() < 0.5),
        "fast": int(dice.random() < 0.3),
        "trigger_kind": dice.choice([TriggerKind.TAKE_PROFIT, TriggerKind.STOP_LOSS]),
        "trigger_ticks": dice.randrange(1, WIDTH + 1),
        "trigger_is_market": dice.randrange(2),
        "grouping": dice.choice(list(Grouping)),
    }
    if alive and fields["kind"] in (ActionKind.CANCEL, ActionKind.MODIFY) and dice.random() < 0.8:
        meant, own = dice.choice(alive), dice.random() < 0.4
        fields |= {"account": int(meant["account"]), "market": int(meant["market"]), "target_is_client_id": int(own)}
        fields["target_id"] = int(meant["client_id" if own else "order_id"])
    return fields


def random_action(dice: random.Random, world: World) -> list[dict[str, int]]:
    first = random_leg(dice, world)
    if first["kind"] == ActionKind.MODIFY and dice.random() < 0.7:
        first["trigger_kind"] = TriggerKind.NONE
    if first["kind"] != ActionKind.PLACE or first["grouping"] != Grouping.NORMAL_TPSL:
        return [first]
    children = [random_leg(dice, world) for _ in range(dice.choice([1, 2, 2, 2, 3]))]
    for number, child in enumerate(children):
        child.update(kind=ActionKind.PLACE_TRIGGER, grouping=Grouping.NORMAL_TPSL, reduce_only=1)
        child.update({name: first[name] for name in ("account", "market")}, side=-first["side"])
        child["trigger_kind"] = 1 + number % 2
        # A profit is taken above the price of what was bought, a loss below.
        child["trigger_ticks"] = min(max(first["price_ticks"] + (1 - 2 * (number % 2)) * first["side"], 1), WIDTH)
    return [first, *children]


def random_other(dice: random.Random) -> dict[str, int]:
    kind = dice.choice([ActionKind.PLACE_TWAP] * 4 + [ActionKind.CANCEL_TWAP] * 2 + [ActionKind.SCHEDULE_CANCEL])
    fields = {"kind": kind, "account": dice.randrange(ACCOUNTS), "market": dice.randrange(MARKETS)}
    if kind == ActionKind.PLACE_TWAP:
        fields |= {"side": dice.choice([BUY, SELL]), "size_lots": dice.randrange(40), "duration_ns": 300 * SECOND}
        fields |= {"randomize": dice.randrange(2), "reduce_only": int(dice.random() < 0.2)}
    elif kind == ActionKind.CANCEL_TWAP:
        fields["target_id"] = dice.randrange(12)
    else:
        fields["amount"] = dice.choice([0, 4, 30])
    return fields


# Of the events of each seed's stream: the same with and without compilation, and in every process. A change of what
# the venue tells changes them.
DIGESTS = {
    0: "c887c1dd1a077324c9a64134ecdaed5b",
    1: "2cd9622d71b6b9793e909326a1939049",
    2: "ab5708313f3f506908fa36621814621a",
}


@pytest.mark.parametrize("seed", DIGESTS)
def test_long_streams_keep_every_invariant_and_tell_the_same_in_every_process(seed):
    dice, world, number = random.Random(seed), World(), 0
    for turn in range(800):
        batches = [random_action(dice, world) for _ in range(dice.randrange(1, 6))]
        others = [random_other(dice)] if dice.random() < 0.2 else []
        market = dice.randrange(MARKETS)
        world.mark(min(max(int(world.exchange.marks[market]) + dice.choice([-1, 0, 1]), 1), WIDTH), market)
        world.block(numbered(batches, number), others, dice.randrange(20))
        number += len(batches)
        if turn % 100 == 0:
            assert_consistent(world.exchange, world.history, by_ids=False)
    assert_consistent(world.exchange, world.history, by_ids=False)
    # The stream was worth its time: each outcome happened many times.
    told = [(event.kind, event.aux0) for event in world.history]
    kinds = [kind for kind, _ in told]
    assert min(kinds.count(kind) for kind in OUTCOMES | {TRIGGERED, TWAP_STATE}) >= 5
    causes = {cause for kind, cause in told if kind == CANCELLED}
    assert causes >= {Refusal.REQUESTED, Refusal.SELF_TRADE, Refusal.REDUCE_ONLY_CANCELLED, Refusal.SIBLING_FILLED}
    assert causes >= {Refusal.PARENT_CANCELLED, Refusal.SCHEDULED_CANCEL}
    assert world.digest.hexdigest() == DIGESTS[seed]
