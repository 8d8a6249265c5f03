"""Requests of the gateway as the journal keeps them: what names an action, and nothing that could repeat it."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.encode import Signed
from hlhft.hyperliquid.gateway_flights import HTTP, ORDER_ID, Flight, Request
from hlhft.hyperliquid.packing import ActionKind
from hlhft.live.journal.actions import action_of
from hlhft.live.journal.records import HTTP_LANE, ORDER_IDS_MAX, Action, pack_action, read_action

BODY = b'{"action":{},"nonce":5,"signature":{"r":"0x1234"}}'


def flight(*order_ids: int, expires_after_ms: int | None = 99) -> Flight:
    signed = Signed(body=BODY, kind=ActionKind.ORDER, nonce=5, expires_after_ms=expires_after_ms, legs=len(order_ids))
    rows = [tuple(order_id if place == ORDER_ID else 0 for place in range(12)) for order_id in order_ids]
    return Flight(signed=signed, rows=rows, batch_id=3, received_ns=0, due_ns=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lane", "written"), [(0, 0), (1, 1), (HTTP, HTTP_LANE)])
def test_an_action_is_named_and_its_signature_is_not_there(lane: int, written: int) -> None:
    action = action_of(7, flight(1025, 2050), Request(5, lane, is_noop=False))
    assert action == Action(5, 7, 3, 99, ActionKind.ORDER, written, (1025, 2050))
    packed = pack_action(action)
    assert read_action(packed) == action
    assert b"0x1234" not in packed


def test_a_noop_bears_the_nonce_of_the_action_that_it_voids() -> None:
    action = action_of(8, flight(1025, expires_after_ms=None), Request(5, 0, is_noop=True))
    assert (action.kind, action.nonce, action.expires_after_ms) == (ActionKind.NOOP, 5, 0)


def test_more_orders_than_a_record_takes_are_cut() -> None:
    action = action_of(8, flight(*range(1, ORDER_IDS_MAX + 5)), Request(5, 0, is_noop=False))
    assert action.order_ids == tuple(range(1, ORDER_IDS_MAX + 1)) and pack_action(action)
