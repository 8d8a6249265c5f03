"""One reading beside our own side: what differs, what is left over, what is of somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.cloids import CloidError
from hlhft.hyperliquid.fates_records import Doubt, LiveOrder, Question, Reason
from hlhft.hyperliquid.fates_table import State as FateState
from hlhft.hyperliquid.messages import Fill
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.reconcile_compare import Account, Comparison, FillMemory, Policy, Seen, dex_of, own_orders
from hlhft.hyperliquid.reconcile_events import Code, CorePositions, Leftover, OwnOrder
from hlhft.hyperliquid.reconcile_reading import Reading
from tests.hyperliquid.reconciles import (
    ASSETS,
    BEGIN_MS,
    BTC,
    ETH,
    OWNER,
    PURR,
    SESSION,
    SILVER,
    USER,
    Venue,
    filled,
    held,
    listed,
    own_cloid,
)

MARKETS = (BTC, PURR, SILVER)
ACCOUNT = Account(MARKETS, owner=OWNER, session=SESSION, asset_ids=ASSETS, base_tokens=(-1, 1, -1))
READER = AccountReader(MARKETS, user=USER)


def reading(venue: Venue, *, with_spot: bool = True) -> Reading:
    put = Reading(READER)
    for dex in ACCOUNT.dexs:
        for kind in (InfoKind.STATE, InfoKind.OPEN_ORDERS):
            body = venue.answer(json.dumps({"type": str(kind), "user": USER, "dex": dex}).encode())
            assert body is not None and put.take(kind, dex, body) is Fault.NONE
    if with_spot:
        body = venue.answer(json.dumps({"type": "spotClearinghouseState", "user": USER}).encode())
        assert body is not None and put.take(InfoKind.SPOT_STATE, "", body) is Fault.NONE
    return put


def own(*lots: int, orders: tuple[OwnOrder, ...] = ()) -> CorePositions:
    return CorePositions(1, (*lots, 0, 0, 0)[:3], (1, 20_000_000, 1), orders)


def compare(
    venue: Venue, side: CorePositions, *, policy: Policy = Policy.CANCEL, memory: FillMemory | None = None
) -> Comparison:
    return ACCOUNT.compare(reading(venue), side, memory or FillMemory(MARKETS, 16), policy=policy)


def fills(*shapes: dict[str, Any]) -> tuple[Fill, ...]:
    told = READER.fills(json.dumps(shapes).encode())
    assert not isinstance(told, Fault)
    return told


def test_what_agrees_has_no_difference() -> None:
    venue = Venue()
    venue.positions = {"": [held("BTC", "-0.5")], "xyz": [held("xyz:SILVER", "2.5")]}
    venue.balances = [
        {"coin": "USDC", "token": 0, "hold": "0.0", "total": "5.0"},
        {"coin": "PURR", "token": 1, "hold": "0.0", "total": "7.9"},
    ]
    venue.orders[""] = [listed(1)]
    found = compare(venue, own(-50_000, 7, 250, orders=(OwnOrder(own_cloid(1), 0, 1_000, True),)))
    assert found == Comparison({}, {}, (), frozenset(), (), ())


def test_each_position_is_compared_in_its_own_place() -> None:
    venue = Venue()
    found = compare(venue, own(1, 2, 3))
    assert {subject: one.code for subject, one in found.differences.items()} == {
        "position BTC": Code.POSITION, "position PURR/USDC": Code.POSITION, "position xyz:SILVER": Code.POSITION,
    }  # fmt: skip
    venue.balances = [{"coin": "PURR", "token": 1, "hold": "0.0", "total": "x"}]
    found = compare(venue, own())
    assert [one.code for one in found.differences.values()] == [Code.UNREADABLE]
    unread = ACCOUNT.compare(reading(venue), own(1, 2, 3), None, policy=Policy.CANCEL)
    assert list(unread.differences) == ["position PURR/USDC"], "before a session only what cannot be read counts"


def test_fills_after_the_block_are_taken_off() -> None:
    memory = FillMemory(MARKETS, 16)
    memory.note(fills(filled("0.5", ms=BEGIN_MS, tid=1), filled("0.25", ms=BEGIN_MS + 1, tid=2, side="A")))
    venue = Venue()
    venue.positions[""] = [held("BTC", "0.5")]
    assert compare(venue, own(25_000), memory=memory).differences == {}
    assert "position BTC" in compare(venue, own(50_000), memory=memory).differences


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 900), st.booleans()), max_size=30), st.integers(-1, 30))
def test_the_venue_and_the_core_agree_at_any_block_unless_one_fill_is_hidden(
    history: list[tuple[int, int, bool]], hidden: int
) -> None:
    """The state of a block, and a core that has booked all fills up to now: all are known, or all but one."""
    shapes = [
        filled(f"{lots / 100_000:.5f}", ms=BEGIN_MS - 1 + after, tid=tid, side="B" if is_buy else "A")
        for tid, (after, lots, is_buy) in enumerate(history)
    ]
    signed = [lots if is_buy else -lots for _, lots, is_buy in history]
    at_block = sum(lots for lots, (after, _, _) in zip(signed, history, strict=True) if after <= 1)
    memory = FillMemory(MARKETS, 64)
    memory.note(fills(*[one for tid, one in enumerate(shapes) if tid != hidden]))
    booked = sum(lots for tid, lots in enumerate(signed) if tid != hidden)
    venue = Venue()
    venue.positions[""] = [held("BTC", f"{at_block / 100_000:.5f}")]
    is_hidden = 0 <= hidden < len(history) and history[hidden][0] <= 1
    assert ("position BTC" in compare(venue, own(booked), memory=memory).differences) == is_hidden


def test_orders_are_compared_by_their_ids() -> None:
    venue = Venue()
    venue.orders[""] = [listed(1), listed(2, oid=10, left="0.002"), listed(3, oid=11, limitPx="x")]
    orders = tuple(OwnOrder(own_cloid(one), 0, 1_000, True) for one in (1, 2, 3, 4))
    found = compare(venue, own(orders=orders))
    assert {subject: one.code for subject, one in found.differences.items()} == {
        f"order {own_cloid(2)}": Code.ORDERS, f"order {own_cloid(3)}": Code.UNREADABLE,
        f"order {own_cloid(4)}": Code.ORDERS,
    }  # fmt: skip
    assert not any(one.is_asked for one in found.differences.values())
    asked = compare(venue, own(orders=(orders[3]._replace(is_settled=False),)))
    assert asked.differences[f"order {own_cloid(4)}"].is_asked and len(asked.unsettled) == 1
    under_way = tuple(one._replace(is_resting=False, is_settled=False) for one in orders)
    found = compare(venue, own(orders=under_way))
    assert found.differences == {} and len(found.unsettled) == 4


def test_a_reduce_only_order_may_be_smaller_and_not_larger() -> None:
    venue = Venue()
    venue.orders[""] = [listed(1, left="0.002", reduceOnly=True)]
    assert compare(venue, own(orders=(OwnOrder(own_cloid(1), 0, 1_000, True),))).differences == {}
    assert compare(venue, own(orders=(OwnOrder(own_cloid(1), 0, 100, True),))).differences != {}


def test_leftovers_and_orders_of_others_are_told_apart() -> None:
    venue = Venue()
    venue.orders = {
        "": [listed(1), listed(2, session=4, oid=10, coin="GONE"), listed(cloid=None, oid=11), listed(cloid=5, oid=12)],
        "xyz": [listed(3, oid=13, coin="xyz:SILVER"), listed(4, oid=14, cloid=own_cloid(4, owner=3))],
    }
    venue.positions[""] = [held("DOGE", "5.0")]
    found = compare(venue, own())
    assert found.leftovers == {
        "leftover 9": (Leftover(0, own_cloid(1), 9, "BTC"), False),
        "leftover 10": (Leftover(-1, own_cloid(2, session=4), 10, "GONE"), True),
        "leftover 13": (Leftover(110_000, own_cloid(3), 13, "xyz:SILVER"), False),
    }
    assert set(found.differences) == set(found.leftovers)
    assert found.foreign_orders == {11, 12, 14} and found.foreign_positions == ("DOGE 5.0",)


def test_what_can_be_adopted_has_a_row_of_its_own() -> None:
    venue = Venue()
    slot = 1 << 10
    venue.orders[""] = [
        listed(1, session=4, oid=1),
        listed(1, session=4, oid=2, cloid=own_cloid(1, session=4, revision=1)),
        listed(1, session=3, oid=3),
        listed(2, session=4, oid=4),
        listed(2 + slot, session=4, oid=5),
        listed(3, oid=6),
        listed(4, session=4, oid=7, coin="DOGE"),
        listed(5, session=4, oid=8, isTrigger=True),
        listed(6, session=4, oid=9, sz="0.0"),
        listed(7, session=4, oid=10, limitPx="x"),
        listed(8, session=4, oid=11),
    ]
    found = compare(venue, own(), policy=Policy.ADOPT)
    assert {order.oid for order in found.adoptable} == {2, 5, 11}
    assert {leftover.oid for leftover, _ in found.leftovers.values()} == {1, 3, 4, 6, 7, 8, 9, 10}


def test_equity_is_all_there_is_or_what_is_missing() -> None:
    venue = Venue()
    venue.balances = [
        {"coin": "USDC", "token": 0, "hold": "0.0", "total": "5.5"},
        {"coin": "PURR", "token": 1, "hold": "0.0", "total": "10.0"},
        {"coin": "JUNK", "token": 9, "hold": "0.0", "total": "1000000.0"},
    ]
    marks = (1, 20_000_000, 1)
    assert ACCOUNT.equity_micro(reading(venue), marks) == 2 * 1_000_000_000 + 5_500_000 + 10 * 200_000
    assert ACCOUNT.equity_micro(reading(venue), (1, 0, 1)) == (
        "the mark of PURR/USDC, of which there is a balance, is not known yet"
    )
    venue.balances[0]["total"] = "-1"
    assert "the balance of USDC is '-1'" in str(ACCOUNT.equity_micro(reading(venue), marks))
    venue.balances = []
    assert ACCOUNT.equity_micro(reading(venue), (1, 0, 1)) == 2_000_000_000


def test_fees_in_the_bought_token_allow_for_as_much_and_no_more() -> None:
    memory = FillMemory(MARKETS, 16)
    bought = {"coin": "PURR/USDC", "px": "0.2", "feeToken": "PURR"}
    shapes = [filled("1000.0", ms=BEGIN_MS, tid=1, fee="0.7", **bought)]
    memory.note(fills(*shapes, *shapes, filled("5.0", ms=BEGIN_MS, tid=2, fee="-0.1", coin="BTC", feeToken="PURR")))
    assert [memory.paid_lots(row) for row in range(3)] == [0, 2, 0]
    venue = Venue()
    for total, agrees in (("1000.0", True), ("999.3", True), ("998.0", True), ("997.0", False), ("1001.0", False)):
        venue.balances = [{"coin": "PURR", "token": 1, "hold": "0.0", "total": total}]
        differences = compare(venue, own(0, 1_000), memory=memory).differences
        assert ("position PURR/USDC" not in differences) is agrees, total


def test_fills_of_other_coins_and_none_are_not_remembered() -> None:
    memory = FillMemory(MARKETS, 2)
    memory.note(fills(filled("1.0", ms=5, tid=1, coin="DOGE"), filled("0.000001", ms=5, tid=2)))
    assert memory.later_lots(0) == {}
    memory.note(fills(*(filled("1.0", ms=tid, tid=tid) for tid in range(3, 9))))
    assert memory.later_lots(0)[0] == 200_000, "the youngest two"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=60), st.integers(1, 8))
def test_nothing_counts_twice_and_memory_is_bounded(told: list[tuple[int, int]], maximum: int) -> None:
    seen, counted = Seen(maximum), []
    for key in told:
        if seen.take(key, key[1]):
            counted.append(key)
    assert len(counted) == len(set(counted))
    assert len(seen._times) <= maximum
    if len(set(told)) <= maximum:
        assert set(counted) == {key for key in told if key[1] > 0}


@pytest.mark.parametrize("revision", [None, 0, 1], ids=["none doubted", "doubted", "its modification doubted"])
@pytest.mark.parametrize("state", FateState)
def test_live_orders_become_our_own_side(state: FateState, revision: int | None) -> None:
    live = LiveOrder(
        order_id=5, revision=0, session=SESSION, cloid=9, oid=7, market=1, side=1, price_ticks=3, left_lots=4,
        reduce_only=False, state=state, sent_ns=0,
    )  # fmt: skip
    doubt = Doubt(
        order_id=5, revision=revision or 0, cloid=9, oid=7, market=1, reason=Reason.SILENT,
        question=Question.STATUS, since_ms=1, proof_ms=2,
    )  # fmt: skip
    (made,) = own_orders([live], [] if revision is None else [doubt])
    assert (made.cloid, made.market, made.left_lots) == (9, 1, 4)
    assert made.is_resting == (state is FateState.LIVE)
    assert made.is_settled == (state is not FateState.UNKNOWN and revision != 0)


def test_an_account_is_of_somebody() -> None:
    with pytest.raises(CloidError, match="owner"):
        Account((BTC, ETH), owner=0, session=1, asset_ids={})
    with pytest.raises(AssertionError, match="each market"):
        Account((BTC, ETH), owner=1, session=1, asset_ids={}, base_tokens=(1,))
    bare = Account((BTC, ETH), owner=1, session=1, asset_ids={})
    assert (bare.dexs, bare.has_spot, bare.base_tokens) == (("",), False, (-1, -1))
    assert (ACCOUNT.dexs, ACCOUNT.has_spot) == (("", "xyz"), True)
    assert (dex_of("BTC"), dex_of("xyz:SILVER")) == ("", "xyz")


def test_balances_are_needed_where_there_are_spot_markets() -> None:
    with pytest.raises(AssertionError, match="balances"):
        ACCOUNT.compare(reading(Venue(), with_spot=False), own(), None, policy=Policy.CANCEL)
    with pytest.raises(AssertionError, match="balances"):
        ACCOUNT.equity_micro(reading(Venue(), with_spot=False), (1, 1, 1))


def test_an_order_without_an_id_is_not_left_over() -> None:
    foreign = READER.open_orders(json.dumps([listed(cloid=None)]).encode())
    assert not isinstance(foreign, Fault)
    with pytest.raises(AssertionError, match="bears an id"):
        ACCOUNT.leftover(foreign[0])
