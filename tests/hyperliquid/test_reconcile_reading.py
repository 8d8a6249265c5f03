"""The answers of one reading, put together; what is none changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hlhft.hyperliquid.account import Abstraction, AccountReader
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.reconcile_reading import PAGES_MAX, Reading
from tests.hyperliquid.reconciles import BEGIN_MS, BTC, ETH, USER, Venue, filled, listed

ASKED = {
    InfoKind.STATE: "clearinghouseState", InfoKind.OPEN_ORDERS: "openOrders", InfoKind.FEES: "userFees",
    InfoKind.SPOT_STATE: "spotClearinghouseState", InfoKind.RATE_LIMIT: "userRateLimit",
    InfoKind.ABSTRACTION: "userAbstraction", InfoKind.ASSET: "activeAssetData", InfoKind.FILLS: "userFillsByTime",
    InfoKind.FUNDINGS: "userFunding", InfoKind.TRANSFERS: "userNonFundingLedgerUpdates",
}  # fmt: skip


def reading() -> Reading:
    return Reading(AccountReader((BTC, ETH), user=USER))


def answer(venue: Venue, kind: InfoKind) -> bytes:
    body = venue.answer(json.dumps({"type": ASKED[kind], "user": USER, "coin": "ETH"}).encode())
    assert body is not None
    return body


def test_every_answer_has_its_place() -> None:
    venue, put = Venue(), reading()
    venue.fills = [filled("0.1", ms=5, tid=1)]
    venue.transfers = [{"time": 5, "hash": "0x1", "delta": {"type": "deposit", "usdc": "7.0"}}]
    paid = {"coin": "BTC", "usdc": "-0.5", "szi": "0.1", "fundingRate": "0.0000125"}
    venue.fundings = [{"time": 5, "hash": "0x1", "delta": paid}]
    venue.orders[""] = [listed()]
    for kind in ASKED:
        assert put.take(kind, "", answer(venue, kind)) is Fault.NONE
    assert (put.block_ms, put.mode, put.spot is None) == (BEGIN_MS, Abstraction.DEFAULT, False)
    assert put.fees is not None and put.rate_limit is not None
    assert [one.oid for one in put.listing()] == [9]
    assert (len(put.fills), len(put.fundings), len(put.transfers)) == (1, 1, 1)
    assert [one.market for one in put.assets] == [1]
    assert (put.items(InfoKind.FILLS), put.items(InfoKind.STATE)) == (1, 0)


def test_states_and_listings_stand_by_dex() -> None:
    venue, put = Venue(), reading()
    venue.orders = {"": [listed()]}
    for dex, at_ms in (("", BEGIN_MS + 5), ("xyz", BEGIN_MS)):
        venue.now_ms = at_ms
        put.take(InfoKind.STATE, dex, answer(venue, InfoKind.STATE))
        put.take(InfoKind.OPEN_ORDERS, dex, answer(venue, InfoKind.OPEN_ORDERS))
    assert put.block_ms == BEGIN_MS, "the older block is the one that all is no older than"
    assert len(put.listing()) == 2


@pytest.mark.parametrize("kind", ASKED)
def test_what_is_no_answer_changes_nothing(kind: InfoKind) -> None:
    put = reading()
    assert put.take(kind, "", b"<html>") is Fault.UNREADABLE
    held = (put.states, put.orders, put.spot, put.fees, put.rate_limit, put.mode, put.assets, put.fills)
    assert held == ({}, {}, None, None, None, None, [], [])


def page(put: Reading, fills: list[dict[str, Any]]) -> None:
    assert put.take(InfoKind.FILLS, "", json.dumps(fills).encode()) is Fault.NONE


def test_a_full_page_is_followed_by_the_next_from_its_last_time_on() -> None:
    put = reading()
    assert not put.was_read(InfoKind.FILLS)
    page(put, [filled("0.1", ms=5 + tid // 1_000, tid=tid) for tid in range(2_000)])
    assert put.next_page_ms(InfoKind.FILLS, "5") == 6
    page(put, [filled("0.1", ms=6, tid=tid) for tid in range(2_000)])
    assert put.next_page_ms(InfoKind.FILLS, "6") == 7, "one that is full of a single time is stepped over"
    page(put, [filled("0.1", ms=7, tid=1)])
    assert put.next_page_ms(InfoKind.FILLS, "7") is None and put.beyond == []
    assert put.next_page_ms(InfoKind.STATE, "") is None and put.was_read(InfoKind.FILLS)


def test_pages_are_bounded() -> None:
    put = reading()
    for number in range(PAGES_MAX):
        page(put, [filled("0.1", ms=5 + number, tid=tid) for tid in range(2_000)])
        following = put.next_page_ms(InfoKind.FILLS, "5")
        assert (following is None) == (number == PAGES_MAX - 1)
    assert put.beyond == [InfoKind.FILLS]
    entries = [{"time": 5, "hash": "0x1", "delta": {"type": "deposit", "usdc": "7.0"}}] * 500
    assert put.take(InfoKind.TRANSFERS, "", json.dumps(entries).encode()) is Fault.NONE
    assert put.next_page_ms(InfoKind.TRANSFERS, "5") == 6
