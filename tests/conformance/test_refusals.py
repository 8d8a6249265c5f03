"""What the exchange refuses, in the venue's words, and that nothing came of it (venue reference sections 1 and 4.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.signing import get_timestamp_ms, sign_l1_action

from tests.conformance.desk import ALO, GTC, Desk, Trader, eventually, only, refusal

DAY_MS = 86_400_000


def order_action(price: str = "1000", size: str = "1", asset: int = 1) -> dict[str, Any]:
    order = {"a": asset, "b": True, "p": price, "s": size, "r": False, "t": ALO}
    return {"type": "order", "orders": [order], "grouping": "na"}


@pytest.mark.parametrize(
    ("price", "size", "starts"),
    [
        ("1000.123", "1", "Price must be divisible by tick size."),
        ("1000.01", "1", "Price must be divisible by tick size."),
        ("1000", "0.00001", "Order has invalid size."),
        ("1000", "0", "Order has zero size."),
        ("1000", "0.009", "Order must have minimum value of $10."),
        ("0", "1", "Order has invalid price."),
    ],
)
def test_numbers_that_are_no_order(desk: Desk, maker: Trader, price: str, size: str, starts: str) -> None:
    answer = maker.post(order_action(price, size))
    told = refusal(answer) if answer["status"] == "err" else only(answer)["error"]
    assert told.startswith(starts)
    assert maker.open_orders() == []


def test_errors_of_orders_name_the_asset(maker: Trader) -> None:
    assert only(maker.post(order_action("1000", "0.009")))["error"].endswith(" asset=1")


def test_a_price_far_from_the_reference(desk: Desk, maker: Trader) -> None:
    answer = maker.exchange.order("ETH", False, 1, desk.price("ETH", 3.0), GTC)
    told = refusal(answer) if answer["status"] == "err" else only(answer)["error"]
    assert told.startswith("Order price cannot be more than 95% away from the reference price")
    assert maker.open_orders() == []


def test_an_order_that_is_too_large(desk: Desk) -> None:
    whale = desk.trader(10_000_000)
    price = desk.price("SOL")
    size = round(60_000_000 / price)  # ten times the 5 million that a market of 20x allows a market order
    answer = whale.exchange.order("SOL", True, size, price, GTC)
    told = refusal(answer) if answer["status"] == "err" else only(answer)["error"]
    assert told.startswith("Order value too large.")
    assert whale.open_orders() == []


def test_a_wrong_signature_is_somebody_elses(desk: Desk, maker: Trader) -> None:
    action = order_action()
    nonce = get_timestamp_ms()
    signature = sign_l1_action(maker.exchange.wallet, action, None, nonce, None, True)  # signed for mainnet
    told = refusal(maker.post(action, nonce=nonce, instead={"signature": signature}))
    assert told.startswith("User or API Wallet 0x")
    assert told.endswith(" does not exist.")
    assert maker.address not in told
    assert maker.open_orders() == []


def test_a_signature_that_is_none(maker: Trader) -> None:
    signature = {"r": "0x0", "s": "0x0", "v": 27}
    assert refusal(maker.post(order_action(), instead={"signature": signature})) == "Unable to recover signer."


def test_an_action_that_was_changed_after_signing(maker: Trader) -> None:
    told = refusal(maker.post(order_action(), instead={"action": order_action(size="2")}))
    assert told.startswith("User or API Wallet 0x")
    assert maker.open_orders() == []


def test_a_nonce_is_used_once(desk: Desk, maker: Trader) -> None:
    nonce = get_timestamp_ms()
    only(maker.post(order_action(), nonce=nonce))["resting"]
    assert "nonce" in refusal(maker.post(order_action("1001"), nonce=nonce)).lower()
    assert len(maker.open_orders()) == 1


def test_nonces_need_not_ascend(maker: Trader) -> None:
    now_ms = get_timestamp_ms()
    for offset in (5, 3, 4, -10_000):
        assert "resting" in only(maker.post(order_action(), nonce=now_ms + offset))
    assert len(maker.open_orders()) == 4


@pytest.mark.parametrize("offset_ms", [-2 * DAY_MS - 60_000, DAY_MS + 60_000])
def test_a_nonce_lies_near_the_present(desk: Desk, maker: Trader, offset_ms: int) -> None:
    told = refusal(maker.post(order_action(), nonce=desk.now_ms() + offset_ms))
    assert "nonce" in told.lower()
    assert maker.open_orders() == []


def test_an_unknown_asset(maker: Trader) -> None:
    answer = maker.post(order_action(asset=4_321))
    assert answer["status"] == "err" or "error" in only(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"type":"nothing"}',
        b'{"type":"l2Book"}',
        b'{"type":"l2Book","coin":7}',
        b'{"type":"clearinghouseState","user":"0x12"}',
        b"[" * 50_000,
    ],
)
def test_info_requests_that_are_none(desk: Desk, body: bytes) -> None:
    response = desk.http.post(f"{desk.url}/info", data=body, headers={"Content-Type": "application/json"}, timeout=10)
    assert response.status_code == 422
    assert "json" not in response.headers["Content-Type"]
    assert response.text
    assert desk.price("ETH") > 0


@pytest.mark.parametrize(
    "change",
    [
        {"action": {"type": "nothing"}},
        {"action": {"type": "order", "orders": "all", "grouping": "na"}},
        {"action": None},
        {"nonce": "now"},
        {"signature": "0x12"},
        {"vaultAddress": 5},
    ],
)
def test_actions_that_are_none_raise_the_sdks_own_error(maker: Trader, change: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as raised:
        maker.post(order_action(), instead=change)
    assert raised.value.status_code == 422
    assert raised.value.error_code is None
    assert maker.open_orders() == []


def test_an_unknown_coin_is_told_so_the_sdk_lives(desk: Desk) -> None:
    response = desk.http.post(f"{desk.url}/info", json={"type": "l2Book", "coin": "NOSUCH"}, timeout=10)
    assert response.status_code in (200, 500)
    assert desk.price("ETH") > 0


def test_a_body_beyond_a_mebibyte(desk: Desk, maker: Trader) -> None:
    body = json.dumps({"type": "meta", "dex": "x" * (1 << 20)}).encode()
    response = desk.http.post(f"{desk.url}/info", data=body, timeout=10)
    assert response.status_code == 413
    assert set(response.json()) >= {"code", "msg"}
    assert eventually(lambda: maker.rest("ETH", True, 1, desk.price("ETH", 0.9), ALO))


def test_requests_to_nowhere(desk: Desk) -> None:
    assert desk.http.get(f"{desk.url}/info", timeout=10).status_code == 405
    assert desk.http.post(f"{desk.url}/nothing", timeout=10).status_code == 404


@pytest.mark.parametrize(
    "action",
    [order_action(price="1000.0"), {"type": "cancel", "cancels": [{"a": 1, "o": 1}], "f": False}],
    ids=["trailing zeros", "a flag that is false"],
)
def test_what_the_venue_would_write_otherwise_breaks_the_signature(maker: Trader, action: dict[str, Any]) -> None:
    """The exchange hashes what it understood, not what was sent (venue reference sections 2 and 4.2)."""
    told = refusal(maker.post(action))
    assert told.startswith("User or API Wallet 0x")
    assert maker.open_orders() == []


def test_an_action_without_orders(maker: Trader) -> None:
    assert refusal(maker.post({"type": "order", "orders": [], "grouping": "na"}))
    assert refusal(maker.post({"type": "cancel", "cancels": []}))


@pytest.mark.parametrize("grouping", ["normalTpsl", "positionTpsl", {"p": 10}])
def test_an_order_that_fits_no_group(maker: Trader, grouping: Any) -> None:
    order = {"a": 1, "b": True, "p": "4000", "s": "1", "r": False, "t": GTC}
    answer = maker.post({"type": "order", "orders": [order], "grouping": grouping})
    assert answer["status"] == "err" or "error" in only(answer)
    assert maker.open_orders() == []
