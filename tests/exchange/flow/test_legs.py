"""The rows that the order flow writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.flow.legs import (
    CLIENT_ID_BASE,
    add_cancel,
    add_deposit,
    add_leverage,
    add_modify,
    add_post,
    add_price,
    add_take,
    has_order,
    level_client_id,
)
from hlhft.exchange.flow.rehearsal import START_NS
from hlhft.venue.blocks import ActionKind, TimeInForce
from tests.exchange.flow.stage import STILL, Legs, execute, stage


def fields(row) -> dict[str, int]:
    """What is not zero."""
    return {name: int(row[name]) for name in row.dtype.names if row[name] != 0}


def test_every_kind_of_leg_says_what_it_should_and_nothing_else():
    flow, legs = stage(STILL).flow, Legs()
    legs.rows["amount"] = 77  # what stood there before does not show
    row = add_price(flow, legs.rows, 0, int(ActionKind.ORACLE_PRICE), 0, 1_000_000, 5)
    row = add_post(flow, legs.rows, row, 3, 0, 41, -1, 1_000_010, 8, 5)
    row = add_take(flow, legs.rows, row, 4, 0, 1, 1_000_020, 9, 5)
    row = add_cancel(flow, legs.rows, row, 3, 0, 41, 5)
    row = add_modify(flow, legs.rows, row, 3, 0, 41, 42, 1, 999_990, 7, 5)
    row = add_deposit(flow, legs.rows, row, 3, 2_500_000, 5)
    row = add_leverage(flow, legs.rows, row, 3, 0, 40, 5)
    assert [fields(leg) for leg in legs.take(row)] == [
        {"action": 1, "arrival_ns": 5, "kind": ActionKind.ORACLE_PRICE, "price_ticks": 1_000_000},
        {
            "action": 2,
            "arrival_ns": 5,
            "account": 3,
            "client_id": 41,
            "side": -1,
            "price_ticks": 1_000_010,
            "size_lots": 8,
        },
        {
            "action": 3,
            "arrival_ns": 5,
            "account": 4,
            "side": 1,
            "price_ticks": 1_000_020,
            "size_lots": 9,
            "time_in_force": TimeInForce.IOC,
        },
        {
            "action": 4,
            "arrival_ns": 5,
            "account": 3,
            "kind": ActionKind.CANCEL,
            "target_id": 41,
            "target_is_client_id": 1,
        },
        {
            "action": 5,
            "arrival_ns": 5,
            "account": 3,
            "kind": ActionKind.MODIFY,
            "target_id": 41,
            "target_is_client_id": 1,
            "client_id": 42,
            "side": 1,
            "price_ticks": 999_990,
            "size_lots": 7,
        },
        {"action": 6, "arrival_ns": 5, "account": 3, "kind": ActionKind.DEPOSIT, "amount": 2_500_000},
        {"action": 7, "arrival_ns": 5, "account": 3, "kind": ActionKind.UPDATE_LEVERAGE, "amount": 40, "side": 1},
    ]


def test_numbers_of_actions_go_on_from_those_before():
    flow, legs = stage(STILL).flow, Legs()
    legs.rows[2]["action"] = 900
    assert add_take(flow, legs.rows, 3, 4, 0, 1, 1_000_020, 9, 5) == 4
    assert legs.rows[3]["action"] == 901


def test_an_order_is_found_by_account_side_and_price():
    rehearsal, legs = stage(STILL), Legs()
    own = level_client_id(2, 0, 1, 999_990)
    execute(rehearsal, legs.take(add_post(rehearsal.flow, legs.rows, 0, 2, 0, own, 1, 999_990, 50, START_NS)), START_NS)
    assert has_order(rehearsal.venue, 2, 0, 1, 999_990)
    assert not has_order(rehearsal.venue, 2, 0, 1, 999_980)
    assert not has_order(rehearsal.venue, 3, 0, 1, 999_990)


LEVELS = st.tuples(
    st.integers(0, 2**16 - 1), st.integers(0, 2**12 - 1), st.sampled_from([1, -1]), st.integers(0, 2**31 - 1)
)


@given(LEVELS, LEVELS)
def test_ids_of_levels_are_their_own(first, second):
    assert (level_client_id(*first) == level_client_id(*second)) == (first == second)
    assert CLIENT_ID_BASE <= level_client_id(*first) < CLIENT_ID_BASE + 2**60
