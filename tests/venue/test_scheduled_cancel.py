"""The dead man's switch: who may set it, when it fires, and what it ends."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.units import MICRO
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TriggerKind
from hlhft.venue.refusals import Refusal
from hlhft.venue.scheduled_cancel import fire_schedules, new_schedules, set_schedule
from tests.venue.desk import ANN, BOB, CANCELLED, DONE, REFUSED, SELL, Desk, Event, assert_consistent, bids

SECOND = 10**9
DAY = 86_400 * SECOND
ENOUGH = 1_000_000 * MICRO


class SwitchDesk(Desk):
    """A desk with the switch of each account, at the begin of a UTC day."""

    def __init__(self) -> None:
        super().__init__(markets=2, mark=100)
        self.now_ns = 20_000 * DAY
        self.schedules = new_schedules(4)

    def set(self, account: int, at_ns: int, traded_micro: int = ENOUGH) -> list[Event]:
        row = np.zeros(1, ACTION_DTYPE)[0]
        row["kind"], row["account"], row["amount"] = ActionKind.SCHEDULE_CANCEL, account, at_ns
        taken = set_schedule(self.exchange, self.schedules, row, traded_micro, self.now_ns)
        told = self.drain()
        assert taken == (told[0].kind == DONE)
        return told

    def at(self, now_ns: int) -> list[Event]:
        self.now_ns = now_ns
        fire_schedules(self.exchange, self.schedules, now_ns)
        return self.drain()


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = SwitchDesk()
    yield made
    assert_consistent(made.exchange, made.history)


def test_it_ends_all_orders_once(desk):
    bids(desk, (ANN, 90, 1), (BOB, 90, 1))
    desk.trigger(ANN, SELL, TriggerKind.STOP_LOSS, 80, 1).run()
    desk.place(ANN, SELL, 120, 1, market=1).run()
    due = desk.now_ns + 5 * SECOND
    (told,) = desk.set(ANN, due)
    assert (told.kind, told.aux0) == (EventKind.ACTION_DONE, ActionKind.SCHEDULE_CANCEL)
    assert desk.at(due - 1) == []
    told = desk.at(due)
    assert [event.short for event in told] == [(CANCELLED, ANN, 1, Refusal.SCHEDULED_CANCEL)] * 3
    assert [event.order_id for event in told] == [1, 3, 4]
    bids(desk, (ANN, 91, 1))
    assert desk.at(due + DAY) == []
    assert desk.resting(1, 90) == [(BOB, 1)]


def test_it_is_the_venues_own_doing(desk):
    bids(desk, (ANN, 90, 1))
    desk.exchange.engine["leg"] = 5
    desk.set(ANN, desk.now_ns + 5 * SECOND)
    fire_schedules(desk.exchange, desk.schedules, desk.now_ns + 5 * SECOND)
    assert desk.exchange.events[0]["leg"] == -1
    desk.now_ns += 5 * SECOND
    desk.drain()


def test_it_can_be_moved_and_taken_back(desk):
    bids(desk, (ANN, 90, 1))
    start = desk.now_ns
    desk.set(ANN, start + 5 * SECOND)
    desk.set(ANN, start + 50 * SECOND)
    assert desk.at(start + 5 * SECOND) == []
    assert desk.set(ANN, 0, traded_micro=0)[0].kind == DONE
    assert desk.at(start + 50 * SECOND) == []


def test_what_is_refused_leaves_what_was_set(desk):
    bids(desk, (ANN, 90, 1))
    start = desk.now_ns
    desk.set(ANN, start + 6 * SECOND)
    for at_ns, traded, code in (
        (start + 9 * SECOND, ENOUGH - 1, Refusal.SCHEDULE_VOLUME),
        (start + 5 * SECOND - 1, ENOUGH, Refusal.SCHEDULE_TOO_SOON),
        (1, ENOUGH, Refusal.SCHEDULE_TOO_SOON),
    ):
        (told,) = desk.set(ANN, at_ns, traded)
        assert (told.kind, told.aux0, told.fee) == (REFUSED, code, ActionKind.SCHEDULE_CANCEL)
    assert len(desk.at(start + 6 * SECOND)) == 1


def test_ten_firings_a_day(desk):
    start = desk.now_ns
    for number in range(1, 11):
        assert desk.set(ANN, start + 10 * number * SECOND)[0].kind == DONE
        desk.at(start + 10 * number * SECOND)
    refused = (REFUSED, ANN, Refusal.SCHEDULE_TOO_MANY)
    assert [event.short for event in desk.set(ANN, desk.now_ns + 10 * SECOND)] == [refused]
    assert desk.set(BOB, desk.now_ns + 10 * SECOND)[0].kind == DONE  # each account has its own
    desk.now_ns = start + DAY - 1
    assert [event.short for event in desk.set(ANN, desk.now_ns + 10 * SECOND)] == [refused]
    desk.now_ns = start + DAY
    assert desk.set(ANN, desk.now_ns + 10 * SECOND)[0].kind == DONE
    desk.at(desk.now_ns + 10 * SECOND)
    assert desk.schedules[ANN]["firings"] == 1


def test_somebody_has_to_be_there():
    with pytest.raises(ValueError, match="at least 1 account, not 0"):
        new_schedules(0)
