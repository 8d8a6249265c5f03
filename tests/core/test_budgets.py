"""The venue's allowances as ledgers: exact buckets, reserves for what reduces risk, never overdrawn."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core import budgets
from hlhft.core.budgets import ACTIONS_AT_ONCE, BudgetCode, Urgency
from hlhft.core.state import LANE_DTYPE, LIMITS_DTYPE

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_756_944_000 * SECOND


def ledgers(**limits: int) -> tuple[Any, Any]:
    """A lane and its limits, with a full bucket each."""
    lane = np.zeros(1, LANE_DTYPE)
    rules = np.zeros(1, LIMITS_DTYPE)
    values = {
        "address_enforced": 1, "address_reserve": 1000, "ip_weight_per_minute": 1200, "messages_per_minute": 2000,
        "posts_in_flight_max": 100, "legs_max": 200,
    }  # fmt: skip
    for name, value in {**values, **limits}.items():
        rules[name] = value
    lane["address_initial"] = lane["address_allowance"] = 10_000
    budgets.refresh(lane[0], rules[0], START)
    return lane[0], rules[0]


# Buckets.


def test_a_bucket_starts_full_and_never_holds_more_than_a_minute():
    lane, limits = ledgers()
    assert (lane["ip_weight_e3"], lane["messages_e3"]) == (1_200_000, 2_000_000)
    budgets.refresh(lane, limits, START + 10 * MINUTE)
    assert (lane["ip_weight_e3"], lane["messages_e3"]) == (1_200_000, 2_000_000)


def test_a_bucket_fills_by_the_clock():
    """1200 a minute are 20 a second, 2000 a minute 33.333."""
    lane, limits = ledgers()
    lane["ip_weight_e3"] = lane["messages_e3"] = 0
    budgets.refresh(lane, limits, START + SECOND)
    assert (lane["ip_weight_e3"], lane["messages_e3"]) == (20_000, 33_333)
    budgets.refresh(lane, limits, START + 3 * SECOND)
    assert (lane["ip_weight_e3"], lane["messages_e3"]) == (60_000, 100_000)
    budgets.refresh(lane, limits, START + 2 * MINUTE)
    assert (lane["ip_weight_e3"], lane["messages_e3"]) == (1_200_000, 2_000_000)
    budgets.spend(lane, limits, 1)
    budgets.refresh(lane, limits, START + 2 * MINUTE + SECOND // 1000)
    assert lane["ip_weight_e3"] == 1_199_020


def test_time_that_runs_back_fills_nothing():
    lane, limits = ledgers()
    lane["ip_weight_e3"] = 5
    for now in (START, START - SECOND):
        budgets.refresh(lane, limits, now)
        assert (lane["ip_weight_e3"], lane["ip_time_ns"]) == (5, START)


def test_without_an_allowance_a_bucket_is_empty():
    lane, limits = ledgers(ip_weight_per_minute=0)
    assert lane["ip_weight_e3"] == 0
    budgets.refresh(lane, limits, START + SECOND)
    assert (lane["ip_weight_e3"], lane["ip_time_ns"]) == (0, START + SECOND)


@settings(max_examples=40)
@given(st.integers(1, 5000), st.lists(st.integers(1, 40_000_000), min_size=1, max_size=30))
def test_small_steps_fill_what_one_large_step_fills(per_minute, steps):
    """A bucket that is asked often may be behind by a nanosecond's worth each time, and is never ahead."""
    lane, limits = ledgers(ip_weight_per_minute=per_minute)
    lane["ip_weight_e3"] = 0
    now = START
    for step in steps:
        now += step
        budgets.refresh(lane, limits, now)
        assert lane["ip_time_ns"] <= now
    exact = min(Fraction((now - START) * per_minute * 1000, MINUTE), per_minute * 1000)
    behind = Fraction(len(steps) * per_minute * 1000, MINUTE)
    assert exact - 1 - behind <= lane["ip_weight_e3"] <= exact


# What an action costs.


@pytest.mark.parametrize(("legs", "weight"), [(1, 1), (39, 1), (40, 2), (79, 2), (80, 3), (200, 6)])
def test_weight_of_an_action(legs, weight):
    """1 + floor(batch / 40), venue reference section 7."""
    assert budgets.weight_of(legs) == weight
    lane, limits = ledgers()
    budgets.spend(lane, limits, legs)
    assert lane["ip_weight_e3"] == 1_200_000 - weight * 1000
    assert lane["messages_e3"] == 2_000_000 - 1000
    assert (lane["address_actions"], lane["posts_in_flight"]) == (legs, 1)


def test_answers_bring_posts_back_but_not_below_none():
    lane, limits = ledgers()
    budgets.spend(lane, limits, 3)
    for _ in range(2):
        budgets.on_answer(lane, limits)
        assert lane["posts_in_flight"] == 0


def test_where_the_venue_has_no_budgets_nothing_is_counted():
    lane, limits = ledgers(address_enforced=0)
    lane["posts_in_flight"] = 5
    budgets.spend(lane, limits, 3)
    budgets.on_answer(lane, limits)
    assert (lane["address_actions"], lane["posts_in_flight"]) == (0, 5)
    lane["address_actions"] = lane["posts_in_flight"] = 10**9
    assert budgets.check(lane, limits, 1, Urgency.PLACEMENT) == BudgetCode.NONE
    assert not budgets.is_scarce(lane, limits)


def test_volume_buys_actions_and_fractions_wait():
    """One action for every whole USDC traded."""
    lane, _ = ledgers()
    for volume, allowance in ((999_999, 10_000), (1_000_000, 10_001), (87_457_460_000, 97_457)):
        budgets.on_volume(lane, volume)
        assert lane["address_allowance"] == allowance


def test_the_venues_own_count_is_the_truth_and_volume_adds_to_it():
    lane, _ = ledgers()
    budgets.on_volume(lane, 5_500_000)
    budgets.on_account(lane, 123, 50_000)
    assert (lane["address_actions"], lane["address_allowance"]) == (123, 50_000)
    budgets.on_volume(lane, 7_500_000)
    assert lane["address_allowance"] == 50_002


def test_what_others_of_us_send_counts_and_what_never_left_does_not():
    lane, limits = ledgers()
    budgets.spend(lane, limits, 3)
    budgets.on_actions(lane, 5)
    budgets.on_refused(lane, limits)
    assert lane["address_actions"] == 7
    limits["address_enforced"] = 0
    budgets.on_refused(lane, limits)
    assert lane["address_actions"] == 7, "nothing was counted that could be given back"


# Who may use the last of it.


@pytest.mark.parametrize(
    ("urgency", "room"),
    [(Urgency.PLACEMENT, 9000), (Urgency.REDUCTION, 10_000), (Urgency.CANCEL, 20_000)],
)
def test_how_far_each_urgency_reaches_into_the_address_budget(urgency, room):
    """10,000 allowed, 1000 kept back by placements; cancels: min(10,000 + 100,000, 2 x 10,000)."""
    lane, limits = ledgers()
    assert budgets.address_room(lane, limits, urgency) == room
    for legs in (1, 7):
        lane["address_actions"] = room - legs
        assert budgets.check(lane, limits, legs, urgency) == BudgetCode.NONE
        lane["address_actions"] += 1
        assert budgets.check(lane, limits, legs, urgency) == BudgetCode.ADDRESS


def test_cancels_reach_a_hundred_thousand_beyond_a_large_allowance():
    lane, limits = ledgers()
    lane["address_allowance"] = 500_000
    assert budgets.address_room(lane, limits, Urgency.CANCEL) == 600_000


@pytest.mark.parametrize(
    ("field", "rate", "code"),
    [("ip_weight_e3", 1200, BudgetCode.IP_WEIGHT), ("messages_e3", 2000, BudgetCode.MESSAGES)],
)
def test_placements_leave_a_tenth_of_a_bucket(field, rate, code):
    """One more command may become five actions, of weight one each."""
    lane, limits = ledgers()
    for urgency, least in ((Urgency.PLACEMENT, rate // 10 + 5), (Urgency.REDUCTION, 5), (Urgency.CANCEL, 5)):
        lane[field] = least * 1000
        assert budgets.check(lane, limits, 1, urgency) == BudgetCode.NONE
        lane[field] -= 1
        assert budgets.check(lane, limits, 1, urgency) == code


def test_legs_count_against_weight_and_actions():
    """450 legs at 200 each: 5 + 2 actions, and 11 more of weight for the legs."""
    lane, limits = ledgers()
    lane["ip_weight_e3"], lane["messages_e3"] = 18_000, 7_000
    assert budgets.check(lane, limits, 450, Urgency.CANCEL) == BudgetCode.NONE
    lane["ip_weight_e3"] -= 1
    assert budgets.check(lane, limits, 450, Urgency.CANCEL) == BudgetCode.IP_WEIGHT
    lane["ip_weight_e3"], lane["messages_e3"] = 18_000, 6_999
    assert budgets.check(lane, limits, 450, Urgency.CANCEL) == BudgetCode.MESSAGES


def test_posts_in_flight_are_bounded_and_some_kept_back():
    lane, limits = ledgers()
    for urgency, most in ((Urgency.PLACEMENT, 85), (Urgency.REDUCTION, 95), (Urgency.CANCEL, 95)):
        lane["posts_in_flight"] = most
        assert budgets.check(lane, limits, 1, urgency) == BudgetCode.NONE
        lane["posts_in_flight"] = most + 1
        assert budgets.check(lane, limits, 1, urgency) == BudgetCode.POSTS


@pytest.mark.parametrize(
    ("field", "enough"), [("ip_weight_e3", 300_000), ("messages_e3", 500_000), ("posts_in_flight", 50)]
)
def test_less_than_a_quarter_or_half_of_the_posts_is_scarce(field, enough):
    lane, limits = ledgers()
    lane[field] = enough
    assert not budgets.is_scarce(lane, limits)
    lane[field] += 1 if field == "posts_in_flight" else -1
    assert budgets.is_scarce(lane, limits)


COMMANDS = st.lists(
    st.tuples(
        st.integers(0, 2_000_000_000),  # time that passes
        st.lists(st.tuples(st.sampled_from(Urgency), st.integers(0, 1)), max_size=30),  # commands: urgency, class
        st.integers(0, 3),  # answers
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(COMMANDS, st.integers(1, 30), st.integers(20, 120), st.integers(6, 20))
def test_what_passed_never_overdraws_a_budget(decisions, legs_max, per_minute, posts_max):
    """However commands are split into actions: each class now, and again what waits of it later."""
    lane, limits = ledgers(
        legs_max=legs_max, ip_weight_per_minute=per_minute, messages_per_minute=per_minute,
        posts_in_flight_max=posts_max, address_reserve=3,
    )  # fmt: skip
    lane["address_allowance"] = 100
    now = START
    for elapsed, commands, answers in decisions:
        now += elapsed
        budgets.refresh(lane, limits, now)
        groups: dict[tuple[int, int], int] = {}
        legs = 0
        for urgency, later in commands:
            if budgets.check(lane, limits, legs + 1, urgency) == BudgetCode.NONE:
                legs += 1
                # Cancels never wait; others leave now or later.
                key = (0, 0) if urgency == Urgency.CANCEL else (int(urgency) + 1, later)
                groups[key] = groups.get(key, 0) + 1
        assert len(groups) <= ACTIONS_AT_ONCE
        for count in groups.values():
            for first in range(0, count, legs_max):
                budgets.spend(lane, limits, min(legs_max, count - first))
        assert lane["ip_weight_e3"] >= 0
        assert lane["messages_e3"] >= 0
        assert lane["posts_in_flight"] <= posts_max
        assert lane["address_actions"] <= 200
        for _ in range(answers):
            budgets.on_answer(lane, limits)


def test_codes_have_their_numbers():
    assert [int(code) for code in BudgetCode] == [0, 1, 2, 3, 4]
    assert [int(urgency) for urgency in Urgency] == [0, 1, 2]
