"""Questions about an account: bodies as the venue wants them, weights as it counts them."""

from __future__ import annotations

import json

import pytest

from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid.account_requests import InfoKind, InfoRequest, answer_weight, weight_of
from hlhft.hyperliquid.wire import WireError

USER = "0x" + "aB" * 20
LOWER = USER.lower()
CLOID = "0x00030050c6301a2b00000100000000d2"


@pytest.mark.parametrize(
    ("request_made", "body", "weight"),
    [
        (requests.of_user(InfoKind.OPEN_ORDERS, USER), {"type": "openOrders", "user": LOWER}, 20),
        (
            requests.of_user(InfoKind.STATE, USER, dex="xyz"),
            {"type": "clearinghouseState", "user": LOWER, "dex": "xyz"},
            2,
        ),
        (requests.of_user(InfoKind.ROLE, USER), {"type": "userRole", "user": LOWER}, 60),
        (
            requests.of_time(InfoKind.FILLS, USER, 5),
            {"type": "userFillsByTime", "user": LOWER, "startTime": 5},
            20,
        ),
        (
            requests.of_time(InfoKind.FUNDINGS, USER, 5, 9),
            {"type": "userFunding", "user": LOWER, "startTime": 5, "endTime": 9},
            20,
        ),
        (requests.order_status(USER, oid=0), {"type": "orderStatus", "user": LOWER, "oid": 0}, 2),
        (
            requests.order_status(USER, cloid=int(CLOID, 16)),
            {"type": "orderStatus", "user": LOWER, "oid": CLOID},
            2,
        ),
        (requests.asset_data(USER, "BTC"), {"type": "activeAssetData", "user": LOWER, "coin": "BTC"}, 20),
        (requests.meta(), {"type": "meta", "dex": ""}, 20),
        (requests.dexs(), {"type": "perpDexs"}, 20),
        (requests.spot_meta(), {"type": "spotMeta"}, 20),
        (requests.exchange_status(), {"type": "exchangeStatus"}, 2),
    ],
)
def test_bodies_and_weights(request_made: InfoRequest, body: dict[str, object], weight: int) -> None:
    assert json.loads(request_made.body) == body
    assert (request_made.kind, request_made.weight) == (body["type"], weight)


def test_lists_cost_by_what_they_hold() -> None:
    assert [answer_weight(InfoKind.FILLS, items) for items in (0, 19, 20, 2_000)] == [0, 0, 1, 100]
    assert answer_weight(InfoKind.OPEN_ORDERS, 1_000) == 0


def test_every_kind_has_a_weight() -> None:
    assert {weight_of(kind) for kind in InfoKind} == {2, 20, 60}
    cheap = {kind for kind in InfoKind if weight_of(kind) == 2}
    assert cheap == {InfoKind.ORDER_STATUS, InfoKind.STATE, InfoKind.SPOT_STATE, InfoKind.STATUS}


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(WireError, match="40 hex digits"):
        requests.of_user(InfoKind.STATE, "0x12")


@pytest.mark.parametrize("ids", [{}, {"oid": 1, "cloid": 1}])
def test_an_order_is_named_by_one_id(ids: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match="one id"):
        requests.order_status(USER, **ids)
