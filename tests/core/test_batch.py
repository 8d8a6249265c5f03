"""Commands become actions: classes never mixed, the first at once, the next after a bounded wait, none after a stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.core import batch
from hlhft.core.batch import NEVER
from hlhft.core.risk import Breaker
from hlhft.core.state import COMMAND_DTYPE, CommandClass, Lane, OrderState, new_lane
from hlhft.events import EventKind as Kind
from hlhft.strategies import failures
from tests.core.worlds import BUY, GTC, IOC, MS, SECOND, SELL, START, Quote, World, limits_of

CANCEL, ALO, OTHER = CommandClass.CANCEL, CommandClass.ALO, CommandClass.OTHER
WINDOW = 2 * MS


def batched(**values: int) -> Any:
    """Limits with a window of 2 ms."""
    return limits_of(**{"batch_window_ns": WINDOW, **values})[0]


def lane_of(*, acknowledgement_ns: int = 0) -> Lane:
    _, lane = new_lane(1)
    lane.lane["acknowledgement_ns"] = acknowledgement_ns
    return lane


def commands(*classes: CommandClass, reduce_only: int = 0) -> np.ndarray:
    """One command of each class; its price is its number."""
    made = np.zeros(max(len(classes), 1), COMMAND_DTYPE)[: len(classes)]
    made["command_class"] = classes
    made["reduce_only"] = reduce_only
    made["price_ticks"] = np.arange(1, len(classes) + 1)
    return made


def collect(lane: Lane, limits: Any, made: np.ndarray, now: int) -> list[tuple[int, int]]:
    """Price and action of each command that leaves."""
    count = batch.collect(lane, limits, made, len(made), now)
    assert (made["ts_ns"][:count] == now).all()
    return [(int(command["price_ticks"]), int(command["batch_id"])) for command in made[:count]]


def release(lane: Lane, limits: Any, now: int, room: int = 8) -> list[tuple[int, int]]:
    out = np.zeros(room, COMMAND_DTYPE)
    count = batch.release_due(lane, limits, out, now)
    return [(int(command["price_ticks"]), int(command["batch_id"])) for command in out[:count]]


def held(lane: Lane) -> list[int]:
    return lane.waiting["price_ticks"][: lane.lane[0]["waiting_count"]].tolist()


# Actions.


def test_an_action_holds_one_class():
    lane, limits = lane_of(), batched()
    made = commands(ALO, CANCEL, OTHER, ALO, CANCEL)
    assert collect(lane, limits, made, START) == [(1, 2), (2, 1), (3, 3), (4, 2), (5, 1)]
    assert lane.lane[0]["batch_sequence"] == 3


def test_an_action_has_at_most_so_many_legs():
    lane, limits = lane_of(), batched(legs_max=2, address_enforced=1)
    assert [action for _, action in collect(lane, limits, commands(*[ALO] * 5), START)] == [1, 1, 2, 2, 3]
    row = lane.lane[0]
    assert (row["posts_in_flight"], row["address_actions"]) == (3, 5)
    assert [action for _, action in collect(lane, limits, commands(*[CANCEL] * 4), START)] == [4, 4, 5, 5]
    assert (row["posts_in_flight"], row["address_actions"]) == (5, 9)


def test_nothing_becomes_no_action():
    lane, limits = lane_of(), batched()
    assert collect(lane, limits, commands(), START) == []
    assert lane.lane[0]["batch_sequence"] == 0


# Leading edge and window.


def test_the_first_leaves_at_once_and_the_next_waits():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched()
    assert collect(lane, limits, commands(ALO), START) == [(1, 1)]
    assert lane.lane[0]["batch_busy_until_ns"][ALO] == START + 200 * MS
    now = START + MS
    assert collect(lane, limits, commands(ALO, ALO), now) == []
    assert held(lane) == [1, 2]
    assert batch.next_deadline_ns(lane.lane[0], limits) == now + WINDOW
    # Another class has nothing in flight.
    assert collect(lane, limits, commands(OTHER), now) == [(1, 2)]
    assert release(lane, limits, now + WINDOW - 1) == []
    assert release(lane, limits, now + WINDOW) == [(1, 3), (2, 3)]
    assert held(lane) == []
    assert batch.next_deadline_ns(lane.lane[0], limits) == NEVER


def test_without_a_measured_answer_nothing_waits():
    lane, limits = lane_of(), batched()
    for action in (1, 2):
        assert collect(lane, limits, commands(ALO), START) == [(1, action)]


def test_without_a_window_nothing_waits():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched(batch_window_ns=0)
    for action in (1, 2):
        assert collect(lane, limits, commands(ALO), START) == [(1, action)]


def test_a_due_answer_cuts_the_wait():
    """Answers take 1.5 ms: what comes 1 ms after the first waits 0.5 ms, not 2."""
    lane, limits = lane_of(acknowledgement_ns=3 * MS // 2), batched()
    collect(lane, limits, commands(ALO), START)
    collect(lane, limits, commands(ALO), START + MS)
    assert batch.deadline_ns(lane.lane[0], limits, ALO) == START + 3 * MS // 2


def test_a_scarce_budget_stretches_the_wait_to_the_due_answer():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched(address_enforced=1, ip_weight_per_minute=1200)
    row = lane.lane[0]
    row["ip_weight_e3"], row["messages_e3"] = 1_200_000, 10**9
    collect(lane, limits, commands(ALO), START)
    collect(lane, limits, commands(ALO), START + MS)
    assert batch.next_deadline_ns(row, limits) == START + MS + WINDOW
    row["ip_weight_e3"] = 299_999
    assert batch.next_deadline_ns(row, limits) == START + 200 * MS
    assert release(lane, limits, START + MS + WINDOW) == []
    assert release(lane, limits, START + 200 * MS) == [(1, 2)]


def test_a_venue_that_answers_very_late_holds_nothing_back_longer_than_the_bound():
    lane, limits = lane_of(acknowledgement_ns=60 * SECOND), batched(batch_busy_ns_max=SECOND)
    collect(lane, limits, commands(ALO), START)
    assert lane.lane[0]["batch_busy_until_ns"][ALO] == START + SECOND
    assert collect(lane, limits, commands(ALO), START + SECOND) == [(1, 2)]


def test_cancels_and_reductions_never_wait():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched()
    collect(lane, limits, commands(CANCEL, ALO, OTHER), START)
    made = np.concatenate([commands(ALO), commands(CANCEL), commands(ALO, OTHER, reduce_only=1), commands(OTHER)])
    made["price_ticks"] = range(1, 6)
    assert collect(lane, limits, made, START + MS) == [(2, 4), (3, 5), (4, 6)]
    assert held(lane) == [1, 5]


def test_what_comes_while_its_class_waits_goes_behind_it():
    """Even when nothing of the class is in flight any more: the older does not become the younger."""
    lane, limits = lane_of(acknowledgement_ns=3 * MS // 2), batched()
    collect(lane, limits, commands(ALO), START)
    collect(lane, limits, commands(ALO), START + MS)
    made = commands(ALO)
    made["price_ticks"] = 2
    assert collect(lane, limits, made, START + 3 * MS // 2) == []
    assert release(lane, limits, START + 3 * MS // 2) == [(1, 2), (2, 2)]


def test_a_full_queue_lets_the_rest_leave_at_once():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched()
    collect(lane, limits, commands(ALO), START)
    room = len(lane.waiting)
    assert collect(lane, limits, commands(*[ALO] * (room - 1)), START + 1) == []
    assert [price for price, _ in collect(lane, limits, commands(ALO, ALO, ALO), START + 2)] == [2, 3]
    assert len(held(lane)) == room


def test_classes_are_due_by_themselves():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched()
    collect(lane, limits, commands(ALO, OTHER), START)
    collect(lane, limits, commands(ALO), START + 1)
    made = commands(OTHER)
    made["price_ticks"] = 9
    collect(lane, limits, made, START + MS)
    assert release(lane, limits, START + 1 + WINDOW) == [(1, 3)]
    assert held(lane) == [9]
    assert batch.next_deadline_ns(lane.lane[0], limits) == START + MS + WINDOW
    assert release(lane, limits, START + MS + WINDOW) == [(9, 4)]


def test_what_finds_no_room_keeps_waiting_and_stays_due():
    lane, limits = lane_of(acknowledgement_ns=200 * MS), batched()
    collect(lane, limits, commands(ALO), START)
    collect(lane, limits, commands(ALO, ALO, ALO), START + 1)
    due = START + 1 + WINDOW
    assert release(lane, limits, due, room=2) == [(1, 2), (2, 2)]
    assert held(lane) == [3]
    assert batch.next_deadline_ns(lane.lane[0], limits) <= due
    assert release(lane, limits, due) == [(3, 3)]


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3 * MS),
        st.lists(st.tuples(st.sampled_from([CANCEL, ALO, OTHER]), st.integers(0, 1)), max_size=6),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=40)
@given(STEPS, st.integers(0, 10 * MS), st.integers(1, 4))
@example([(0, [(ALO, 0)]), (0, [(ALO, 0)]), (1, []), (1, [])], 3, 1)
def test_everything_leaves_once_in_time_and_unmixed(steps, acknowledgement, legs_max):
    lane, limits = lane_of(acknowledgement_ns=acknowledgement), batched(legs_max=legs_max)
    now, number = START, 0
    born: dict[int, int] = {}
    left: dict[int, tuple[int, int, int]] = {}

    def leave(sent: np.ndarray) -> None:
        for command in sent:
            price = int(command["price_ticks"])
            assert price not in left
            left[price] = (now, int(command["batch_id"]), int(command["command_class"]))

    for elapsed, kinds in [*steps, (WINDOW, [])]:
        now += elapsed
        out = np.zeros(64, COMMAND_DTYPE)
        leave(out[: batch.release_due(lane, limits, out, now)])
        made = commands(*[kind for kind, _ in kinds])
        made["reduce_only"] = [reduces for _, reduces in kinds]
        made["price_ticks"] += number
        born.update({number + 1 + index: now for index in range(len(kinds))})
        urgent = [number + 1 + i for i, (kind, reduces) in enumerate(kinds) if kind == CANCEL or reduces]
        number += len(kinds)
        leave(made[: batch.collect(lane, limits, made, len(made), now)])
        assert all(left[price][0] == now for price in urgent)
        # Time comes in steps: what waits leaves at the first of them at which its window is over, or before.
        assert all(now < born[price] + WINDOW for price in held(lane))
        assert batch.next_deadline_ns(lane.lane[0], limits) <= now + WINDOW or not held(lane)
    assert set(left) == set(born)
    actions: dict[int, list[tuple[int, int]]] = {}
    for when, action, kind in left.values():
        actions.setdefault(action, []).append((when, kind))
    assert all(len(set(legs)) == 1 and len(legs) <= legs_max for legs in actions.values())
    assert sorted(actions) == list(range(1, len(actions) + 1))


# What waits is taken back. The first quote leaves and is answered late, so that the second waits.


def waiting_world(*, markets: int = 1, **limits: int) -> World:
    """A bid at 999 rests in market 0; an offer in each market waits."""
    world = World(markets=markets, batch_window_ns=WINDOW, **limits)
    world.row["acknowledgement_ns"] = 100 * MS
    world.quotes(Quote(BUY, 999))
    assert [command.kind for command in world.decide()] == ["PLACE"]
    world.acknowledge(after_ns=100 * MS)
    world.row["batch_busy_until_ns"][ALO] = world.now + 50 * MS
    for market in range(markets):
        world.touch(999, 1001, market=market)
    world.quotes(Quote(BUY, 999), *[Quote(SELL, 1001, market=market) for market in range(markets)])
    assert world.decide() == []
    assert held(world.lane) == [1001] * markets
    assert world.row["placed"] == 1 + markets
    return world


def test_what_waits_is_new_and_counts_as_exposure_until_it_leaves():
    world = waiting_world()
    waiting = world.active()[1]
    assert (waiting["state"], waiting["batch_id"]) == (OrderState.NEW, 0)
    assert world.position()["open_sell_lots"] == 1000
    commands = world.decide(after_ns=WINDOW)
    assert [(command.kind, command.ticks) for command in commands] == [("PLACE", 1001)]
    sent = world.active()[1]
    assert (sent["state"], sent["sent_ns"]) == (OrderState.SENT, world.now)
    assert sent["batch_id"] == world.raw[0]["batch_id"] == world.row["batch_sequence"]


def stop(world: World, how: str) -> None:
    if how == "operator":
        world.feed_silently(Kind.OPERATOR_COMMAND, aux0=0)
    elif how == "tick to trade":
        world.feed_silently(Kind.COMMAND_SENT, aux0=world.now - 151 * MS, aux1=world.now)
    elif how == "disconnected":
        world.feed_silently(Kind.CONNECTION_DOWN)
    elif how == "strategy":
        world.script[0]["fails"] = 1


@pytest.mark.parametrize("how", ["operator", "tick to trade", "disconnected", "strategy"])
def test_after_a_stop_nothing_that_waited_leaves(how):
    """A placement that is due at the very decision that stops is taken back, not sent."""
    world = waiting_world()
    stop(world, how)
    with failures():
        commands = world.decide(after_ns=WINDOW)
    assert [(command.kind, command.ticks) for command in commands] == [("CANCEL", 999)]
    assert held(world.lane) == []
    assert world.position()["open_sell_lots"] == 0
    assert world.row["placed"] == 1
    assert world.row["illegal_transitions"] == 0
    assert batch.next_deadline_ns(world.row, world.limits[0]) == NEVER
    assert world.decide(after_ns=WINDOW) == []


def test_a_market_that_grows_old_takes_its_own_placements_back():
    world = waiting_world(markets=2, feed_age_ns_max=SECOND)
    world.data.books[1]["time_local_ns"] -= SECOND
    commands = world.decide(after_ns=WINDOW)
    assert [(command.kind, command.market) for command in commands] == [("PLACE", 0)]
    assert world.position(1)["open_sell_lots"] == 0
    assert world.row["halt_code"] == Breaker.STALE_DATA


def test_a_placement_that_no_quote_wants_any_more_never_leaves():
    world = waiting_world(markets=2)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001, market=1))
    assert world.decide() == []
    assert held(world.lane) == [1001]
    assert [position["open_sell_lots"] for position in world.lane.positions] == [0, 1000]
    # The other still leaves when it is due, and the price can be quoted again.
    assert [command.market for command in world.decide(after_ns=WINDOW)] == [1]
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(SELL, 1001, market=1))
    world.row["batch_busy_until_ns"][ALO] = 0
    assert [command.market for command in world.decide()] == [0]


def test_another_time_in_force_is_another_wish():
    world = waiting_world()
    world.row["batch_busy_until_ns"][OTHER] = world.now + 50 * MS
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(BUY, 1000, time_in_force=GTC))
    assert world.decide() == []
    assert world.lane.waiting["command_class"][:2].tolist() == [ALO, OTHER]
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001, time_in_force=IOC), Quote(BUY, 1000))
    world.decide()
    assert world.lane.waiting[["price_ticks", "time_in_force"]][:2].tolist() == [(1000, GTC), (1001, IOC)]
    assert world.active()["state"].tolist() == [OrderState.OPEN, OrderState.NEW, OrderState.NEW]


def test_a_command_whose_order_is_gone_is_dropped():
    world = waiting_world()
    waiting = world.active()[1]
    world.feed_silently(Kind.COMMAND_SEND_FAILED, order_id=waiting["order_id"])
    world.quotes(Quote(BUY, 999))
    assert world.decide(after_ns=WINDOW) == []
    assert held(world.lane) == []
    # It was not taken back: it had ended before.
    assert world.row["placed"] == 2


# Modifications.


def test_modifications_are_an_action_of_their_own():
    lane, limits = lane_of(), batched()
    lane.lane["amended"] = 2
    made = commands(ALO, ALO, ALO)
    made["kind"] = (3, 1, 3)
    assert collect(lane, limits, made, START) == [(1, 2), (2, 1), (3, 2)]
    assert lane.lane[0]["batch_sequence"] == 2


def test_a_modification_that_waits_and_must_not_leave_any_more_never_does():
    """Its order rests as it did; after a stop it is cancelled."""
    for stop in (True, False):
        world = World(amend=1, batch_window_ns=WINDOW)
        world.quotes(Quote(BUY, 990), Quote(BUY, 980))
        world.decide()
        world.acknowledge(after_ns=MS)
        world.row["batch_busy_until_ns"][:] = world.now + SECOND
        world.quotes(Quote(BUY, 991), Quote(BUY, 980))
        assert world.decide() == []
        assert world.active()["state"].tolist() == [OrderState.REPLACING, OrderState.OPEN]
        assert (world.row["amended"], world.position()["open_buy_lots"]) == (1, 3000)
        if stop:
            cancels = world.say(Kind.OPERATOR_COMMAND, aux0=0)
            assert sorted(command.ticks for command in cancels) == [980, 990]
        else:
            world.quotes(Quote(BUY, 990), Quote(BUY, 980))
            assert world.decide() == []
            assert world.active()["state"].tolist() == [OrderState.OPEN] * 2
        assert (world.row["amended"], world.position()["open_buy_lots"]) == (0, 2000)


def test_a_modification_that_waits_leaves_when_it_is_due():
    world = World(amend=1, batch_window_ns=WINDOW)
    world.quotes(Quote(BUY, 990))
    world.decide()
    world.acknowledge(after_ns=MS)
    world.row["batch_busy_until_ns"][:] = world.now + SECOND
    world.quotes(Quote(BUY, 991))
    assert world.decide() == []
    world.limits["amend"] = 0
    (command,) = world.decide(after_ns=WINDOW)
    assert (command.kind, command.ticks) == ("MODIFY", 991)
    assert world.raw[0]["batch_id"] == world.active()[0]["batch_id"] > 1
