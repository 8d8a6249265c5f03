"""The watchdog's readers: what the venue says becomes typed values, and whatever else comes a fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid import watchdog_reading
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.watchdog_reading import (
    Asset,
    Position,
    Post,
    account_state,
    dex_places,
    open_orders,
    perpetuals,
    posted,
    spot_pairs,
)
from hlhft.hyperliquid.wire import cloid_text

OWN = Cloid(7, 3, 99, 2)
NOW_MS = 1_790_000_000_000

READERS: list[Callable[[bytes], object]] = [
    open_orders, account_state, lambda body: perpetuals(body, 0), spot_pairs, dex_places,
]  # fmt: skip


def order(oid: int, **more: object) -> dict[str, object]:
    """As the venue lists it (venue reference section 3.2)."""
    return {
        "coin": "ETH", "side": "B", "limitPx": "4000.0", "sz": "0.1", "oid": oid, "timestamp": NOW_MS, "origSz": "0.1",
        **more,
    }  # fmt: skip


def position(coin: str, size: str, value: str) -> dict[str, object]:
    leverage = {"type": "cross", "value": 20}
    held = {"coin": coin, "szi": size, "leverage": leverage, "entryPx": "1.0", "positionValue": value}
    return {"type": "oneWay", "position": held}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_orders_tell_whose_they_are() -> None:
    listed = open_orders(
        encoded(
            [order(1, cloid=cloid_text(OWN.number())), order(2), order(3, cloid="0x" + 32 * "0"), order(4, cloid=None)]
        )
    )
    assert isinstance(listed, tuple)
    assert [each.cloid for each in listed] == [OWN, None, None, None]
    assert listed[0].cloid_number == OWN.number() and listed[0].coin == "ETH" and listed[0].oid == 1


def test_more_orders_than_any_account_has_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog_reading, "ORDERS_MAX", 1)
    monkeypatch.setattr(watchdog_reading, "MARKETS_MAX", 0)
    assert open_orders(encoded([order(1), order(2)])) is Fault.TOO_MANY
    assert perpetuals(encoded({"universe": [{"name": "A", "szDecimals": 1}]}), 0) is Fault.TOO_MANY
    assert spot_pairs(encoded({"universe": [{"name": "A", "index": 1}]})) is Fault.TOO_MANY


def test_positions_have_their_mark() -> None:
    entries = [position("ETH", "-0.5", "2000.5"), position("BTC", "0.0", "0.0"), position("PURR", "3", "1.5")]
    state = account_state(encoded({"assetPositions": entries, "time": NOW_MS}))
    assert not isinstance(state, Fault)
    assert state.block_ms == NOW_MS
    assert state.positions == (
        Position(coin="ETH", is_long=False, size="0.5", mark=Decimal("4001")),
        Position(coin="PURR", is_long=True, size="3", mark=Decimal("0.5")),
    )


@pytest.mark.parametrize(("size", "value"), [("x", "1"), ("1", ""), ("NaN", "1"), ("1", "Infinity")])
def test_numbers_that_are_none_are_a_fault(size: str, value: str) -> None:
    state = account_state(encoded({"assetPositions": [position("ETH", size, value)], "time": NOW_MS}))
    assert state is Fault.NO_NUMBER


def test_markets_have_the_venues_numbers() -> None:
    universe = encoded({"universe": [{"name": "BTC", "szDecimals": 5}, {"name": "ETH", "szDecimals": 4}]})
    assert perpetuals(universe, 0) == {
        "BTC": Asset(asset_id=0, size_decimals=5),
        "ETH": Asset(asset_id=1, size_decimals=4),
    }
    builders = perpetuals(encoded({"universe": [{"name": "xyz:GOLD", "szDecimals": 2}]}), 1)
    assert builders == {"xyz:GOLD": Asset(asset_id=110_000, size_decimals=2)}
    pairs = spot_pairs(encoded({"universe": [{"name": "PURR/USDC", "index": 0}, {"name": "@107", "index": 107}]}))
    assert not isinstance(pairs, Fault)
    assert {name: asset.asset_id for name, asset in pairs.items()} == {"PURR/USDC": 10_000, "@107": 10_107}
    assert perpetuals(encoded({"universe": [{"name": "A", "szDecimals": 7}]}), 0) is Fault.OUT_OF_RANGE
    assert dex_places(encoded([None, {"name": "xyz"}])) == {"": 0, "xyz": 1}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"null", b"[1]", b"\xff", b"[" * 10_000, b'{"universe":1}'])
def test_what_is_no_answer_is_a_fault(reader: Callable[[bytes], object], body: bytes) -> None:
    assert reader(body) is Fault.WRONG_SHAPE


@given(body=st.binary(max_size=64))
def test_no_bytes_raise(body: bytes) -> None:
    for reader in READERS:
        reader(body)
    posted(body)


def test_posts_are_as_over_http() -> None:
    info = '{"channel":"post","data":{"id":7,"response":{"type":"info","payload":{"type":"openOrders","data":[1]}}}}'
    assert posted(info) == Post(id=7, body=b"[1]", text="")
    action = (
        b'{"channel":"post","data":{"id":8,"response":{"type":"action","payload":{"status":"err","response":"x"}}}}'
    )
    assert posted(action) == Post(id=8, body=b'{"status":"err","response":"x"}', text="")
    error = '{"channel":"post","data":{"id":9,"response":{"type":"error","payload":"429 Too Many"}}}'
    assert posted(error) == Post(id=9, body=None, text='"429 Too Many"')


def test_other_frames_are_nothing_and_broken_ones_a_fault() -> None:
    assert posted('{"channel":"pong"}') is None
    assert posted('{"channel":"post","data":{}}') is Fault.WRONG_SHAPE
    assert posted('{"channel":"post","data":{"id":7,"response":{"type":"info","payload":[]}}}') is Fault.WRONG_SHAPE
    assert posted("Websocket connection established.") is None
    assert posted("Websocket connection lost.") is Fault.WRONG_SHAPE
