"""What a client signs, the exchange takes."""

from __future__ import annotations

import msgspec

from hlhft.simulation.client import CHAIN, Client, order, orders
from tests.exchange.clients import START_MS, small_machine


def test_the_exchange_knows_the_signer_of_both_kinds_of_action() -> None:
    machine = small_machine()
    client = Client(21, nonce=START_MS)
    machine.deposit(client.address, 10**12)
    machine.advance(machine.time_ns + 10**9)
    agent = {"type": "approveAgent", **CHAIN, "agentAddress": Client(22, nonce=0).address, "agentName": "one"}
    for action in (agent, orders(order(asset=1, buys=True, price="3999", size="0.1", tif="Gtc"))):
        taken = machine.admit(client.body(action), client.label, machine.time_ns)
        assert isinstance(taken, int)
        answer = dict(machine.advance(machine.time_ns + 10**9).answers)[taken]
        assert msgspec.json.decode(answer.body)["status"] == "ok"


def test_nonces_rise_and_a_client_order_id_is_sent() -> None:
    client = Client(21, nonce=5)
    first, second = (msgspec.json.decode(client.body({"type": "noop"})) for _ in range(2))
    assert (first["nonce"], second["nonce"]) == (6, 7)
    assert order(asset=0, buys=False, price="1", size="2", tif="Alo", cloid="0x1")["c"] == "0x1"
