"""Orders in parts, in hand-computed scenarios: when each part leaves, how large it is, and how it all ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.refusals import Refusal
from hlhft.venue.twap import cancel_twap, new_twaps, place_twap, run_twaps
from tests.venue.desk import (
    ANN,
    BOB,
    BUY,
    CAT,
    EXPIRED,
    FILLED,
    REFUSED,
    REJECTED,
    SELL,
    TWAP_STATE,
    Desk,
    Event,
    asks,
    assert_consistent,
    bids,
    position,
)

SECOND = 10**9
RUNNING, FINISHED, BY_OWNER, BY_VENUE = range(4)


class TwapDesk(Desk):
    """A desk with TWAPs, and a clock to turn."""

    def __init__(self, *, room: int = 4, **settings: int) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.twaps = new_twaps(room)

    def twap(self, account: int, side: int, lots: int, minutes: float = 5, **more: int) -> list[Event]:
        fields = {"side": side, "size_lots": lots, "duration_ns": int(minutes * 60 * SECOND), **more}
        place_twap(self.exchange, self.twaps, self._row(ActionKind.PLACE_TWAP, account, fields), self.now_ns)
        return self.drain()

    def end(self, account: int, twap_id: int, **more: int) -> list[Event]:
        row = self._row(ActionKind.CANCEL_TWAP, account, {"target_id": twap_id, **more})
        assert cancel_twap(self.exchange, self.twaps, row, self.now_ns) == (
            self.exchange.events[0]["kind"] == TWAP_STATE
        )
        return self.drain()

    def later(self, seconds: float) -> list[Event]:
        """What the TWAPs do in a block that much later."""
        self.now_ns += int(seconds * SECOND)
        run_twaps(self.exchange, self.twaps, self.now_ns)
        return self.drain()

    @staticmethod
    def _row(kind: ActionKind, account: int, fields: dict[str, int]) -> np.void:
        row: np.void = np.zeros(1, ACTION_DTYPE)[0]
        for name, value in {"kind": kind, "account": account, **fields}.items():
            row[name] = value
        return row


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = TwapDesk()
    yield made
    assert_consistent(made.exchange, made.history)


def parts(events: list[Event]) -> list[tuple[int, int]]:
    """(price, lots) of what ANN took."""
    return [(event.price, event.lots) for event in events if event.kind == FILLED and event.account == ANN]


def states(events: list[Event]) -> list[tuple[int, int, int, int]]:
    """(id, state, lots executed, notional executed)."""
    return [(e.client_id, e.aux0, e.lots, e.fee) for e in events if e.kind == TWAP_STATE]


def test_eleven_parts_in_five_minutes(desk):
    """One at once and one each half minute: 25 lots are 2, 2, 2, 3, 2, 2, 2, 3, 2, 2, 3 by whole shares of 25/11."""
    asks(desk, (BOB, 100, 100))
    assert states(desk.twap(ANN, BUY, 25)) == [(1, RUNNING, 0, 0)]
    sent = [desk.later(0)] + [desk.later(30) for _ in range(10)]
    assert [lots for events in sent for _, lots in parts(events)] == [2, 2, 2, 3, 2, 2, 2, 3, 2, 2, 3]
    assert states(sent[0]) == [(1, RUNNING, 2, 200)]
    assert states(sent[-1]) == [(1, FINISHED, 25, 2500)]
    assert desk.later(30) == []
    assert desk.position(ANN) == 25


def test_parts_are_of_the_twap_and_the_venues_own_doing(desk):
    asks(desk, (BOB, 100, 100))
    desk.twap(ANN, BUY, 25)
    run_twaps(desk.exchange, desk.twaps, desk.now_ns)
    told = desk.exchange.events[: desk.exchange.engine[0]["event_count"]]
    assert told["leg"].tolist() == [-1] * 3
    assert told["twap_id"].tolist() == [1, 0, 1]  # the part's fill, the maker's, and the state
    assert told["venue_order_id"].tolist() == [2, 1, 0]
    desk.drain()


def test_nothing_between_the_parts(desk):
    asks(desk, (BOB, 100, 100))
    desk.twap(ANN, BUY, 22)
    desk.later(0)
    assert desk.later(29.999) == []
    assert parts(desk.later(0.001)) == [(100, 2)]


def test_it_takes_within_three_hundredths_of_the_middle(desk):
    asks(desk, (BOB, 103, 1), (BOB, 106, 50))
    bids(desk, (CAT, 101, 1))
    desk.twap(ANN, BUY, 22)
    # The middle is 102; three hundredths of it, cut to 3, make 105.
    told = desk.later(0)
    assert [event.short for event in told[2:3]] == [(EXPIRED, ANN, 1)]
    assert parts(told) == [(103, 1)]
    # Now one side has the middle of 103 and a half, cut to 103: 106.
    told = desk.later(30)
    assert parts(told) == [(106, 3)]


def test_what_found_nobody_is_made_up_for_at_most_threefold(desk):
    told = desk.twap(ANN, BUY, 110)
    for seconds in [0] + [30] * 4:
        told = desk.later(seconds)
        assert [event.short for event in told[:-1]] == [(REJECTED, ANN, Refusal.IOC_NO_MATCH)]
    asks(desk, (BOB, 100, 200))
    # Six parts of ten are due, thirty is the most; then forty are missing, thirty again, then twenty, and on time.
    assert [parts(desk.later(30))[0][1] for _ in range(4)] == [30, 30, 20, 10]


def test_blocks_that_come_late_are_made_up_for_as_well(desk):
    asks(desk, (BOB, 100, 200))
    desk.twap(ANN, BUY, 110)
    assert parts(desk.later(0)) == [(100, 10)]
    assert parts(desk.later(70)) == [(100, 20)]
    assert parts(desk.later(20)) == [(100, 10)]  # the parts stay where they were, half a minute apart
    told = desk.later(10_000)
    assert parts(told) == [(100, 30)]
    assert states(told) == [(1, FINISHED, 70, 7000)]  # the time is up, whatever is missing


def test_a_small_one_sends_nothing_until_a_lot_is_due_and_ends_with_its_size(desk):
    asks(desk, (BOB, 100, 200))
    desk.twap(ANN, BUY, 1)
    told = [desk.later(seconds) for seconds in [0] + [30] * 10]
    assert told[:10] == [[]] * 10
    assert states(told[10]) == [(1, FINISHED, 1, 100)]
    desk.twap(ANN, BUY, 3, randomize=1)
    ends = [states(desk.later(seconds)) for seconds in [0] + [30] * 10]
    assert [lots for told in ends for _, _, lots, _ in told][-1] == 3


def test_random_parts_differ_by_a_fifth_at_most_and_are_the_twaps_own():
    sizes = []
    for account in (ANN, ANN, CAT):
        desk = TwapDesk()
        asks(desk, (BOB, 100, 20_000))
        desk.exchange.engine["next_twap_id"] = 1 + account
        desk.twap(account, BUY, 11_000, randomize=1)
        told = [desk.later(seconds) for seconds in [0] + [30] * 10]
        taken = [e.lots for events in told for e in events if e.kind == FILLED and e.account == account]
        due = 0
        for number, lots in enumerate(taken[:-1], start=1):
            missing = 1000 * number - due
            assert missing * 4 // 5 <= lots <= missing * 6 // 5
            due += lots
        assert sum(taken) == 11_000
        assert len(set(taken)) > 5
        sizes.append(taken)
    assert sizes[0] == sizes[1] != sizes[2]


def test_a_reducing_one_ends_when_there_is_nothing_left(desk):
    position(desk, ANN, 5)
    bids(desk, (BOB, 100, 100))
    desk.twap(ANN, SELL, 33, reduce_only=1)
    assert parts(desk.later(0)) == [(100, 3)]
    assert parts(desk.later(30)) == [(100, 2)]
    assert states(desk.later(30)) == [(1, BY_VENUE, 5, 500)]
    assert desk.later(30) == []


def test_a_part_respects_margin():
    desk = TwapDesk(margin=True, mark=100, leverage=1, collateral=250)
    desk.exchange.holdings["taker_rate_e9"] = 0
    asks(desk, (BOB, 100, 2))
    desk.twap(ANN, BUY, 22)
    assert parts(desk.later(0)) == [(100, 2)]
    assert desk.later(30)[0].short == (REJECTED, ANN, Refusal.MARGIN)


def test_its_owner_ends_it(desk):
    asks(desk, (BOB, 100, 100))
    desk.twap(ANN, BUY, 22)
    desk.later(0)
    refused = [(REFUSED, ANN, Refusal.TWAP_UNKNOWN)]
    for wrong in ({"account": BOB}, {"account": ANN, "market": 1}):
        (told,) = desk.end(twap_id=1, **wrong)
        assert (told.kind, told.aux0, told.fee) == (REFUSED, Refusal.TWAP_UNKNOWN, ActionKind.CANCEL_TWAP)
    assert [event.short for event in desk.end(ANN, 2)] == refused
    assert [event.short for event in desk.end(ANN, 0)] == refused
    assert states(desk.end(ANN, 1)) == [(1, BY_OWNER, 2, 200)]
    assert desk.later(30) == []
    assert [event.short for event in desk.end(ANN, 1)] == refused


def test_the_oldest_is_first_whatever_slot_it_has(desk):
    asks(desk, (BOB, 100, 2), (BOB, 101, 2), (BOB, 102, 2))
    desk.twap(CAT, BUY, 22)
    desk.twap(ANN, BUY, 22)
    desk.end(CAT, 1)
    desk.twap(CAT, BUY, 22)  # in the slot of the first
    assert [e.account for e in desk.later(0) if e.kind == TWAP_STATE] == [ANN, CAT]


def test_room_is_limited():
    desk = TwapDesk(room=1)
    desk.twap(ANN, BUY, 22)
    assert [event.short for event in desk.twap(BOB, BUY, 22)] == [(REFUSED, BOB, Refusal.TOO_MANY_TRIGGERS)]
    desk.end(ANN, 1)
    assert states(desk.twap(BOB, BUY, 22)) == [(2, RUNNING, 0, 0)]
    with pytest.raises(ValueError, match="at least 1, not 0"):
        new_twaps(0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"lots": 22, "minutes": 4.99}, Refusal.TWAP_DURATION),
        ({"lots": 22, "minutes": 1440.01}, Refusal.TWAP_DURATION),
        ({"lots": 0}, Refusal.ZERO_SIZE),
        ({"lots": 22, "reduce_only": 1}, Refusal.REDUCE_ONLY),
        ({"lots": 1_000_000, "minutes": 1440}, Refusal.MINIMUM_NOTIONAL),  # 347 lots a part are 3.47 USDC
        ({"lots": 10**12, "minutes": 5}, Refusal.ORDER_TOO_LARGE),
    ],
)
def test_what_is_refused(fields, code):
    desk = TwapDesk(validate=True, mark=10_000)
    (told,) = desk.twap(ANN, BUY, **fields)
    assert (told.kind, told.aux0, told.fee) == (REFUSED, code, ActionKind.PLACE_TWAP)
    assert desk.later(0) == []


def test_what_is_just_enough_is_taken():
    desk = TwapDesk(validate=True, mark=10_000)
    assert states(desk.twap(ANN, BUY, 2881 * 1000, minutes=1440)) == [(1, RUNNING, 0, 0)]  # ten USDC a part
    desk.mark(0)  # nothing to judge by
    assert [event.short for event in desk.twap(ANN, BUY, 2881 * 1000)] == [(REFUSED, ANN, Refusal.MARGIN)]


@settings(max_examples=40)
@given(
    st.integers(1, 500),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 70), st.integers(0, 60)), min_size=1, max_size=25),
)
def test_it_never_runs_ahead_and_tells_what_it_executed(size, randomize, turns):
    """Time passes and liquidity comes as it likes."""
    desk = TwapDesk(slots=100)
    desk.twap(ANN, BUY, size, randomize=int(randomize))
    start, usual = desk.now_ns, -(-size // 11)
    for seconds, fresh in turns:
        if fresh:
            asks(desk, (BOB, 100, fresh))
        told = desk.later(seconds)
        share = min((desk.now_ns - start) // (30 * SECOND) + 1, 11)
        taken = sum(lots for _, lots in parts(told))
        assert taken <= 3 * usual
        allowed = size * share // 11 * (6 if randomize and share < 11 else 5) // 5
        assert desk.position(ANN) <= min(size, allowed)
        for _, state, lots, notional in states(told):
            assert (lots, notional) == (desk.position(ANN), 100 * desk.position(ANN))
            assert (state == FINISHED) == (lots == size or share == 11)
    assert_consistent(desk.exchange, desk.history)
