from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.answers import Answer
from hlhft.exchange.envelope import Request, read_request
from hlhft.exchange.machine import Machine
from tests.exchange.clients import CHAIN, Client, order, orders, small_machine

USD_SEND = {"type": "usdSend", "destination": "0x" + "1" * 40, "amount": "1", "time": 0, **CHAIN}


@pytest.fixture(scope="module")
def machine() -> Machine:
    return small_machine()


@pytest.fixture
def client(machine: Machine) -> Client:
    return Client(machine, 5, usdc=0)


def read(body: bytes) -> Request:
    request = read_request(body)
    assert isinstance(request, Request), request
    return request


def refusal(body: bytes) -> Any:
    answer = read_request(body)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    decoded = msgspec.json.decode(answer.body)
    assert decoded["status"] == "err"
    return decoded["response"]


def test_the_signer_is_recovered(client: Client) -> None:
    vault = "0x" + "Ab" * 20
    request = read(client.body(orders(order()), nonce=17, vault=vault, expires=99))
    assert request.signer == client.address
    assert (request.nonce, request.vault_address, request.expires_after_ms) == (17, vault.lower(), 99)
    assert not request.is_user_signed
    assert len(request.hash) == 66
    assert read(client.body(orders(order()), nonce=18)).hash != read(client.body(orders(order()), nonce=19)).hash
    user = read(client.body(USD_SEND, nonce=5))
    assert (user.signer, user.is_user_signed) == (client.address, True)


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        (orders(order(price="100.0")), None),
        ({"type": "cancel", "cancels": [], "f": False}, None),
        (orders(order(price="100")), orders(order(price="101"))),
        ({"type": "noop"}, {"type": "noop", "x": 1}),
    ],
)
def test_what_was_not_signed_recovers_to_nobody(client: Client, sent: dict[str, Any], signed: Any) -> None:
    assert read(client.body(sent, signed=signed or sent)).signer != client.address


def test_a_signature_for_mainnet_is_somebody_elses(client: Client) -> None:
    assert read(client.body({"type": "noop"}, mainnet=True)).signer != client.address


def test_user_signed_actions_have_rules_of_their_own(client: Client) -> None:
    assert refusal(client.body(USD_SEND, expires=5)) == "expiresAfter is not supported for this action."
    assert refusal(client.body({**USD_SEND, "hyperliquidChain": "Mainnet"})) == "Invalid hyperliquidChain"
    decoded = msgspec.json.decode(client.body(USD_SEND, nonce=5))
    decoded["nonce"] = 6
    assert refusal(msgspec.json.encode(decoded)) == "Nonce of the request differs from the action's."
    decoded["action"]["signatureChainId"], decoded["nonce"] = "0x", 5
    assert refusal(msgspec.json.encode(decoded)) == "Unable to recover signer."


@pytest.mark.parametrize(
    ("r", "v"), [("0x0", 27), ("0x" + "f" * 64, 27), ("0x1", 26), ("0x1", 29), ("0x1", 2**70), ("0x5", 27)]
)
def test_a_signature_that_no_key_makes(client: Client, r: str, v: int) -> None:
    decoded = msgspec.json.decode(client.body({"type": "noop"}))
    decoded["signature"] = {"r": r, "s": "0x" + "f" * 64, "v": v}
    assert refusal(json_body(decoded)) == "Unable to recover signer."


def json_body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'"' + b"x" * 100,
        b"[" * 50_000,
        b'{"action":{"type":"noop"},"nonce":1}',
        b'{"action":{"type":"noop"},"nonce":-1,"signature":{"r":"0x1","s":"0x1","v":27}}',
        b'{"action":{"type":"noop"},"nonce":1.5,"signature":{"r":"0x1","s":"0x1","v":27}}',
        b'{"action":{"type":"noop"},"nonce":1,"signature":{"r":"1","s":"0x1","v":27}}',
        b'{"action":{"type":"noop"},"nonce":1,"signature":{"r":"0x1","s":"0x1","v":"27"}}',
        b'{"action":"noop","nonce":1,"signature":{"r":"0x1","s":"0x1","v":27}}',
        b'{"action":{"type":"noop"},"nonce":1,"signature":{"r":"0x1","s":"0x1","v":27},"vaultAddress":"0x1"}',
    ],
)
def test_what_is_no_request_is_422(body: bytes) -> None:
    answer = read_request(body)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.is_json) == (422, False)
    assert answer.body.startswith(b"Failed to deserialize the JSON body into the target type")


@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(read_request(body), Answer)
