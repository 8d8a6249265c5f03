"""The queue models, against numbers worked out by hand and against what must hold for all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.venue.queue import (
    QueueModel,
    after_order_change,
    front_after_change,
    lots_reached,
    probability_behind,
)

PROBABILITY = [m for m in QueueModel if m not in (QueueModel.RISK_AVERSE, QueueModel.ORDER_LEVEL)]


def after(model, front, before, now, *, traded=0.0, power=2.0, lot_size=1.0):
    return front_after_change(int(model), power, lot_size, float(front), float(traded), before, now)


# Four lots at the level, three of them ahead and one behind; the level falls to two.
# behind: 1/(1+9), 1/16, 1 - 9/16, ln 2/(ln 2 + ln 4) = 1/3, ln 2/ln 5. front = 3 - (1 - behind) x 2.
@pytest.mark.parametrize(
    ("model", "front"),
    [
        (QueueModel.RISK_AVERSE, 2.0),
        (QueueModel.POWER, 1.2),
        (QueueModel.POWER_TOTAL, 1.125),
        (QueueModel.POWER_COMPLEMENT, 1.875),
        (QueueModel.LOG, 3 - 4 / 3),
        (QueueModel.LOG_TOTAL, 1 + 2 * math.log(2) / math.log(5)),
        (QueueModel.ORDER_LEVEL, 2.0),
    ],
)
def test_a_decrease_moves_the_front_by_the_model(model, front):
    assert after(model, 3, 4, 2) == pytest.approx(front, abs=1e-12)


def test_another_power_gives_another_front():
    # 1/(1+27) behind: 3 - 27/28 x 2. A power that is no whole number: 1/(1 + 3^1.5).
    assert after(QueueModel.POWER, 3, 4, 2, power=3.0) == pytest.approx(3 - 27 / 14, abs=1e-12)
    assert after(QueueModel.POWER, 3, 4, 2, power=1.5) == pytest.approx(1 + 2 / (1 + 3**1.5), abs=1e-12)


def test_the_logarithms_work_on_base_units():
    # With 0.5 units a lot: ln 1.5/(ln 1.5 + ln 2.5) behind.
    behind = math.log(1.5) / (math.log(1.5) + math.log(2.5))
    assert after(QueueModel.LOG, 3, 4, 2, lot_size=0.5) == pytest.approx(1 + 2 * behind, abs=1e-12)


def test_what_trades_explain_is_not_counted_twice():
    # The trade moved the front from 4 to 3 already, so one lot of the decrease is left to explain.
    assert after(QueueModel.POWER, 3, 5, 3, traded=1) == pytest.approx(3 - 9 / 13, abs=1e-12)
    # All of it explained: nothing moves.
    assert after(QueueModel.POWER, 3, 5, 4, traded=1) == 3.0


@pytest.mark.parametrize("model", list(QueueModel))
def test_an_increase_stands_behind_us(model):
    assert after(model, 3, 4, 9) == 3.0
    assert after(model, 3, 4, 4, traded=2) == 3.0


@pytest.mark.parametrize("model", list(QueueModel))
def test_no_more_is_ahead_than_is_there(model):
    assert after(model, 8, 4, 9, traded=0) == 8.0
    assert after(model, 8, 4, 5, traded=0) == 5.0


def test_what_cannot_have_stood_behind_stood_ahead():
    # One ahead, three behind, all four leave: 0.9 x 4 behind is 0.6 more than there was.
    assert after(QueueModel.POWER, 1, 4, 0) == 0.0


def test_an_estimate_can_fall_below_zero_as_in_the_library_it_agrees_with():
    # 10 ahead, 1 behind, all leave: 10 - 100/101 x 11, and the 11/101 behind were there.
    assert after(QueueModel.POWER, 10, 11, 0) == pytest.approx(-90 / 101, abs=1e-12)


@pytest.mark.parametrize("model", PROBABILITY)
def test_an_empty_level_gives_no_nan(model):
    """The trap: 0/0 is NaN, which Rust's minimum drops and Python's keeps, and such an order never filled."""
    assert after(model, 0, 0, 0) == 0.0
    assert after(model, 0, 0, 0, lot_size=0.001, power=1.5) == 0.0


@pytest.mark.parametrize(
    ("model", "power"),
    [
        (QueueModel.POWER, 1.5),  # a negative number to a broken power
        (QueueModel.POWER_TOTAL, 1.5),
        (QueueModel.LOG, 2.0),  # the logarithm below -1
        (QueueModel.LOG_TOTAL, 2.0),
    ],
)
def test_more_ahead_than_the_level_held_counts_as_the_new_total(model, power):
    assert after(model, 5, 3, 2, power=power) == 2.0


def test_a_certainty_beyond_all_numbers_counts_as_certain():
    # back^2 / (back + front)^2 with back = -front: everything that left stood behind.
    assert math.isinf(probability_behind(2, 2.0, 1.0, 2.0, -2.0))
    assert after(QueueModel.POWER_TOTAL, 2, 0, 0) == 0.0
    # 0 to a negative power is beyond all numbers as well.
    assert math.isnan(probability_behind(1, -1.0, 1.0, 3.0, 0.0))


def test_the_logarithm_at_its_pole():
    # ln 0 is minus infinity, and infinity over infinity no number: the new total decides.
    assert math.isnan(probability_behind(4, 2.0, 1.0, 4.0, -1.0))
    assert after(QueueModel.LOG, 4, 3, 1) == 1.0


@settings(max_examples=60)
@given(
    model=st.sampled_from(PROBABILITY),
    power=st.sampled_from([1.0, 1.5, 2.0, 3.0]),
    front=st.integers(0, 1000),
    back=st.integers(0, 1000),
    share=st.floats(0, 1),
)
@example(model=QueueModel.LOG, power=2.0, front=0, back=0, share=0.0)
def test_a_cancellation_moves_us_forward_and_never_beyond_what_left(model, power, front, back, share):
    before = front + back
    now = int(before * share)
    moved = after(model, front, before, now, power=power, lot_size=0.001)
    assert moved <= min(front, now) + 1e-6
    assert moved >= front - (before - now) - 1e-6


@settings(max_examples=60)
@given(
    front=st.integers(0, 50),
    traded=st.integers(0, 50),
    before=st.integers(0, 50),
    now=st.integers(0, 50),
    is_ahead=st.booleans(),
)
def test_one_order_takes_what_trades_left_unexplained(front, traded, before, now, is_ahead):
    moved, left = after_order_change(float(front), float(traded), before, now, is_ahead)
    gone = max(before - now, 0)
    assert left == traded - min(traded, gone)
    if now > before:
        assert moved == (front + now - before if is_ahead else front)
    else:
        assert moved == (max(front - (gone - min(traded, gone)), 0) if is_ahead else front)


@pytest.mark.parametrize(
    ("front", "lots"), [(3.0, 0), (0.0, 0), (-0.4, 0), (-0.5, 1), (-1.4, 1), (-1.5, 2), (-7.0, 7), (math.nan, 0)]
)
def test_lots_past_the_front_are_rounded_half_up(front, lots):
    assert lots_reached(front) == lots
