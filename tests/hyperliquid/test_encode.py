"""Signed requests: equal to the SDK's to the byte, understood by the embedded exchange, and silent about secrets."""

from __future__ import annotations

import json
import random
import traceback
from typing import Any

import numpy as np
import pytest

from hlhft.exchange.envelope import Request, read_request
from hlhft.hyperliquid import encode as module
from hlhft.hyperliquid.cloids import Cloid, CloidError, parse
from hlhft.hyperliquid.encode import LEGS_MAX, EncodeError, Encoder, Signed
from hlhft.hyperliquid.packing import ActionKind, EncodeFault
from hlhft.hyperliquid.signing import Signer, SigningError
from hlhft.hyperliquid.wire import cloid_text, read_cloid
from tests.exchange.clients import ETH, Client, listing, small_machine
from tests.hyperliquid import official
from tests.hyperliquid.actions import MARKETS, NOW_MS, OWNER, market_records, random_case, row, rows

KEY = bytes.fromhex("0123456789012345678901234567890123456789012345678901234567890123")
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
SESSION = 77
SIGNER = Signer(KEY)


def encoder(**changes: Any) -> Encoder:
    values: dict[str, Any] = {"owner": OWNER, "session": SESSION, "mainnet": False, **changes}
    return Encoder(market_records(), SIGNER, **values)


def understood(signed: Signed) -> Request:
    """The request as the embedded exchange reads it, signature and all."""
    request = read_request(signed.body)
    assert isinstance(request, Request), request
    assert request.signer == SIGNER.address
    assert (request.nonce, request.expires_after_ms) == (signed.nonce, signed.expires_after_ms)
    return request


def action_of(signed: Signed) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(signed.body)["action"]
    return made


def test_a_request_is_the_one_that_the_sdk_would_send() -> None:
    seed = 20260802
    draw = random.Random(seed)
    for number in range(48):
        vault, mainnet = draw.choice((None, VAULT)), bool(draw.randrange(2))
        made, nonce = encoder(mainnet=mainnet, vault_address=vault, legs_max=17), draw.getrandbits(41)
        case = random_case(draw)
        sent = send(made, case.kind, case, nonce)
        body = {
            "action": case.action,
            "nonce": nonce,
            "signature": official.sign_l1(
                KEY,
                case.action,
                nonce=nonce,
                vault_address=vault,
                expires_after_ms=sent.expires_after_ms,
                mainnet=mainnet,
            ),
            "vaultAddress": vault,
            "expiresAfter": sent.expires_after_ms,
        }
        assert sent.body == json.dumps(body, separators=(",", ":")).encode(), f"seed {seed}, action {number}"


def send(made: Encoder, kind: ActionKind, case: Any, nonce: int) -> Signed:
    """The method for this case. Commands of one class; a leverage or time of 0 is replaced."""
    made.session = case.session or SESSION
    if kind is ActionKind.NOOP:
        return made.noop(nonce=nonce)
    if kind is ActionKind.SCHEDULE_CANCEL:
        return made.schedule_cancel(case.value or None, nonce=nonce)
    if kind is ActionKind.UPDATE_LEVERAGE:
        case.action["leverage"] = case.value or 1
        return made.update_leverage(case.market, case.value or 1, is_cross=bool(case.flag), nonce=nonce)
    revisions, ids, flag = case.marks[:, 0], case.marks[:, 1], bool(case.flag)
    if kind is ActionKind.CANCEL:
        return made.cancels_by_id(case.legs, ids, nonce=nonce, fast=flag)
    if kind is ActionKind.CANCEL_BY_CLOID:
        return made.cancels(case.legs, nonce=nonce, revisions=revisions, fast=flag)
    one_class(case)
    if kind is ActionKind.MODIFY:
        mark = case.marks[0]
        return made.modify(case.legs, nonce=nonce, revision=int(mark[0]), venue_id=int(mark[1]), always_place=flag)
    if kind is ActionKind.BATCH_MODIFY:
        return made.modifies(case.legs, nonce=nonce, revisions=revisions, venue_ids=ids, always_place=flag)
    for order, leg in zip(case.action["orders"], case.legs, strict=True):
        order["c"] = cloid_text(Cloid(OWNER, made.session, int(leg["order_id"])).number())  # of revision 0
    return made.orders(case.legs, nonce=nonce)


def one_class(case: Any) -> None:
    """Makes all orders of the case post-only."""
    case.legs["time_in_force"] = 0
    wires = case.action.get("orders") or [each["order"] for each in case.action.get("modifies", [case.action])]
    for wire in wires:
        wire["t"]["limit"]["tif"] = "Alo"


class TestPlacements:
    def test_every_order_says_whose_it_is_and_expires(self) -> None:
        signed = encoder().orders(rows(3, expires_ns=0), nonce=NOW_MS)
        assert (signed.kind, signed.legs) == (ActionKind.ORDER, 3)
        assert signed.expires_after_ms == NOW_MS + 3000, "three seconds, where the command names no time"
        understood(signed)
        read = [parse(read_cloid(order["c"])) for order in action_of(signed)["orders"]]
        assert read == [Cloid(OWNER, SESSION, (index + 1) << 10) for index in range(3)]

    def test_the_commands_expiry_comes_first(self) -> None:
        signed = encoder(expires_after_ms=500).orders(row(), nonce=NOW_MS)
        assert signed.expires_after_ms == NOW_MS + 3000
        signed = encoder(expires_after_ms=500).orders(row(expires_ns=0), nonce=NOW_MS)
        assert signed.expires_after_ms == NOW_MS + 500

    def test_a_modification_is_an_order_of_another_name(self) -> None:
        made = encoder()
        commands = rows(2, kind=3)
        signed = made.modifies(commands, nonce=1, revisions=np.array([0, 4]), venue_ids=np.array([0, 91]))
        first, second = action_of(signed)["modifies"]
        assert parse(read_cloid(first["oid"])) == Cloid(OWNER, SESSION, 1024)
        assert parse(read_cloid(first["order"]["c"])) == Cloid(OWNER, SESSION, 1024, 1)
        assert second["oid"] == 91 and parse(read_cloid(second["order"]["c"])) == Cloid(OWNER, SESSION, 2048, 5)
        assert understood(signed).expires_after_ms == NOW_MS + 3000
        assert "a" not in action_of(signed)

    def test_what_was_marked_for_one_action_does_not_mark_the_next(self) -> None:
        made = encoder()
        made.modifies(rows(2, kind=3), nonce=1, revisions=np.array([8, 9]), venue_ids=np.array([5, 6]))
        only_ids = action_of(made.modifies(rows(1, kind=3), nonce=1, venue_ids=np.array([7])))["modifies"][0]
        assert only_ids["oid"] == 7 and parse(read_cloid(only_ids["order"]["c"])) == Cloid(OWNER, SESSION, 1024, 1)
        neither = action_of(made.modifies(rows(1, kind=3), nonce=1))["modifies"][0]
        assert parse(read_cloid(neither["oid"])) == Cloid(OWNER, SESSION, 1024)

    def test_one_order_can_be_modified_alone(self) -> None:
        signed = encoder().modify(row(kind=3), nonce=1, venue_id=91, always_place=True)
        assert action_of(signed)["oid"] == 91 and action_of(signed)["a"] is True
        understood(signed)
        with pytest.raises(EncodeError, match="one leg, not 2") as caught:
            encoder().modify(rows(2, kind=3), nonce=1)
        assert caught.value.fault is EncodeFault.COUNT


class TestWhatTakesRiskAway:
    def test_cancels_are_fast_and_do_not_expire(self) -> None:
        signed = encoder().cancels(rows(2, kind=2), nonce=1)
        assert action_of(signed)["f"] is True and signed.expires_after_ms is None
        understood(signed)

    def test_orders_of_an_earlier_session_can_be_cancelled(self) -> None:
        signed = encoder().cancels(row(kind=2), nonce=1, session=5, revisions=np.array([3]), fast=False)
        (cancel,) = action_of(signed)["cancels"]
        assert parse(read_cloid(cancel["cloid"])) == Cloid(OWNER, 5, 1025, 3) and "f" not in action_of(signed)
        for session in (0, 2**32):
            with pytest.raises(EncodeError, match="no session"):
                encoder().cancels(row(kind=2), nonce=1, session=session)

    def test_leftovers_are_cancelled_by_the_venues_id(self) -> None:
        signed = encoder().cancels_by_id(row(kind=2, market=5, order_id=0), np.array([505880037215]), nonce=1)
        assert action_of(signed) == {"type": "cancel", "cancels": [{"a": 110000, "o": 505880037215}], "f": True}
        understood(signed)

    def test_the_small_ones(self) -> None:
        made = encoder()
        for signed, action in (
            (made.noop(nonce=5), {"type": "noop"}),
            (made.schedule_cancel(NOW_MS, nonce=5), {"type": "scheduleCancel", "time": NOW_MS}),
            (made.schedule_cancel(None, nonce=5), {"type": "scheduleCancel"}),
            (
                made.update_leverage(3, 20, is_cross=True, nonce=5),
                {"type": "updateLeverage", "asset": 180, "isCross": True, "leverage": 20},
            ),
        ):
            understood(signed)
            assert action_of(signed) == action and signed.legs == 0 and signed.expires_after_ms is None

    @pytest.mark.parametrize("time_ms", [0, -1, 2**63])
    def test_a_time_is_a_time(self, time_ms: int) -> None:
        with pytest.raises(EncodeError, match="no time"):
            encoder().schedule_cancel(time_ms, nonce=1)

    @pytest.mark.parametrize(("market", "leverage"), [(-1, 5), (len(MARKETS), 5), (0, 0), (0, 2**63)])
    def test_a_leverage_has_a_market_and_a_size(self, market: int, leverage: int) -> None:
        with pytest.raises(EncodeError, match=r"no market|no leverage"):
            encoder().update_leverage(market, leverage, is_cross=False, nonce=1)


class TestWire:
    def test_the_same_bytes_go_over_socket_and_http(self) -> None:
        signed = encoder(vault_address=VAULT).orders(row(), nonce=NOW_MS)
        frame = json.loads(signed.frame(42))
        assert frame == {
            "method": "post",
            "id": 42,
            "request": {"type": "action", "payload": json.loads(signed.body)},
        }
        assert signed.body in signed.frame(43) and frame["request"]["payload"]["vaultAddress"] == VAULT

    def test_what_was_made_stays(self) -> None:
        made = encoder()
        first = made.orders(row(), nonce=1)
        before = first.body
        made.orders(rows(5), nonce=2)
        assert first.body == before and understood(first).nonce == 1

    def test_two_hundred_legs_are_an_action_and_no_more(self) -> None:
        made = encoder()
        understood(made.orders(rows(LEGS_MAX), nonce=1))
        for count in (0, LEGS_MAX + 1):
            with pytest.raises(EncodeError, match="1 to 200 legs") as caught:
                made.orders(rows(count) if count else row()[:0], nonce=1)
            assert caught.value.fault is EncodeFault.COUNT


class TestRefusals:
    def test_a_command_at_fault_is_named(self) -> None:
        with pytest.raises(EncodeError, match="leg 1: SIDE") as caught:
            encoder().orders(np.concatenate([row(), row(side=0)]), nonce=1)
        assert (caught.value.fault, caught.value.leg) == (EncodeFault.SIDE, 1)

    @pytest.mark.parametrize("nonce", [-1, 2**63])
    def test_a_nonce_is_a_nonce(self, nonce: int) -> None:
        with pytest.raises(EncodeError, match="no nonce"):
            encoder().noop(nonce=nonce)

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"owner": 0}, CloidError),
            ({"session": 2**32}, CloidError),
            ({"legs_max": 0}, ValueError),
            ({"legs_max": LEGS_MAX + 1}, ValueError),
            ({"expires_after_ms": 0}, ValueError),
            ({"vault_address": "0x12"}, SigningError),
        ],
    )
    def test_settings_that_cannot_be(self, changes: dict[str, Any], error: type[ValueError]) -> None:
        with pytest.raises(error):
            encoder(**changes)

    def test_a_hash_that_differs_from_the_librarys_stops_everything(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "l1_digest", lambda *_, **__: bytes(32))
        with pytest.raises(RuntimeError, match="differs from the library's"):
            encoder()


def test_an_exchange_does_what_is_asked() -> None:
    """The life of an order at the embedded exchange: placed, modified by its name, cancelled by its next name."""
    machine = small_machine()
    client = Client(machine, 9)
    made = Encoder(listing().records(), client.signer, owner=OWNER, session=SESSION, mainnet=False)
    now_ns, nonces = machine.time_ns, iter(range(client.nonce + 1, client.nonce + 9))
    order = {"market": ETH, "price_ticks": 399900, "size_lots": 1000, "ts_ns": now_ns, "expires_ns": 0}

    def answer(signed: Signed) -> Any:
        decoded = json.loads(client.post(signed.body).body)
        assert decoded["status"] == "ok", decoded
        return decoded["response"].get("data", {}).get("statuses")

    (placed,) = answer(made.orders(row(**order), nonce=next(nonces)))
    assert parse(read_cloid(placed["resting"]["cloid"])) == Cloid(OWNER, SESSION, 1025)
    (modified,) = answer(made.modifies(row(**{**order, "kind": 3, "price_ticks": 399800}), nonce=next(nonces)))
    assert parse(read_cloid(modified["resting"]["cloid"])) == Cloid(OWNER, SESSION, 1025, 1)
    gone, alive = row(kind=2, market=ETH), np.array([1])
    assert "error" in answer(made.cancels(gone, nonce=next(nonces)))[0], "the first name is used up"
    assert answer(made.cancels(gone, nonce=next(nonces), revisions=alive)) == ["success"]
    assert answer(made.noop(nonce=next(nonces))) is None
    stale = made.orders(row(**{**order, "ts_ns": now_ns - 5_000_000_000}), nonce=next(nonces))
    assert "expired" in client.post(stale.body).body.decode()


def test_nothing_secret_is_shown() -> None:
    made = encoder()
    signed = made.orders(row(), nonce=NOW_MS)
    signature = json.loads(signed.body)["signature"]
    texts = [repr(made), str(made), repr(signed), str(signed), f"{signed}"]
    try:
        made.orders(row(price_ticks=0), nonce=NOW_MS)
    except EncodeError:
        texts.append(traceback.format_exc())
    assert len(texts) == 6
    for text in texts:
        for secret in (KEY.hex(), str(int(KEY.hex(), 16)), repr(KEY), signature["r"], signature["s"]):
            assert secret not in text
    assert texts[0] == f"Encoder({SIGNER.address}, session=77)"
    assert texts[2] == f"Signed(ORDER, legs=1, nonce={NOW_MS}, expires={NOW_MS + 3000})"
