from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hlhft.exchange.machine import Machine
from hlhft.exchange.memory_state import CLASSES, records_state, restore_records
from hlhft.exchange.records import Records
from tests.exchange.clients import CHAIN, ETH, START_MS, START_NS, Client, order, orders, small_settings, stop

SECOND_NS = 1_000_000_000
HOUR_NS = START_NS // (3600 * SECOND_NS) * 3600 * SECOND_NS
QUESTIONS: list[dict[str, Any]] = [
    {"type": "openOrders"},
    {"type": "frontendOpenOrders"},
    {"type": "historicalOrders"},
    {"type": "userFills"},
    {"type": "userFillsByTime", "startTime": 0},
    {"type": "userFunding", "startTime": 0},
    {"type": "userNonFundingLedgerUpdates", "startTime": 0},
    {"type": "userFees"},
    {"type": "twapHistory"},
    {"type": "portfolio"},
    {"type": "clearinghouseState"},
    {"type": "orderStatus", "oid": 1},
    {"type": "recentTrades", "coin": "ETH"},
    {"type": "metaAndAssetCtxs"},
    {"type": "candleSnapshot", "req": {"coin": "ETH", "interval": "1m", "startTime": 0}},
    {"type": "fundingHistory", "coin": "ETH", "startTime": 0},
]


def eventful() -> tuple[Machine, list[Client]]:
    """An exchange where all that is remembered has happened: trades, waiting orders, a TWAP, an hour's funding."""
    machine = Machine(small_settings(start_ns=HOUR_NS - 10 * SECOND_NS))
    machine.advance(HOUR_NS - 9 * SECOND_NS)
    alice, bob = Client(machine, 1), Client(machine, 2)
    loss = order(buy=False, price="3700", trigger=stop("3800"), reduce=True)
    # Deep enough on both sides for a premium, and so for funding.
    alice.statuses(orders(order(buy=False, price="4000", size="9", tif="Alo", cloid="0x" + "a" * 32)))
    alice.statuses(orders(order(price="3995", size="9", tif="Alo")))
    bob.statuses(orders(order(price="4000", size="0.3", tif="Ioc"), order(price="3990", size="0.2")))
    bob.statuses(orders(order(price="3980"), loss, grouping="normalTpsl"))
    bob.send({"type": "twapOrder", "twap": {"a": ETH, "b": True, "s": "1", "r": False, "m": 60, "t": False}})
    bob.send({"type": "usdSend", "destination": alice.address, "amount": "5", "time": 0, **CHAIN})
    machine.advance(HOUR_NS + 30 * SECOND_NS)
    return machine, [alice, bob]


def answers(machine: Machine, records: Records | None, clients: list[Client]) -> list[Any]:
    if records is not None:
        machine.records.__dict__.update(
            {name: value for name, value in vars(records).items() if name not in ("_handlers", "_names", "_changes")}
        )
    return [
        machine.answers.answer(json.loads(json.dumps({**question, "user": client.address})), START_MS)
        for client in clients
        for question in QUESTIONS
    ]


def test_all_that_is_remembered_comes_back() -> None:
    machine, clients = eventful()
    before = answers(machine, None, clients)
    assert all(answer.status == 200 for answer in before)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(records_state(machine.records)))
    again = Records(machine.settings.listing, machine.register)
    restore_records(again, state)
    assert records_state(again) == records_state(machine.records)
    assert answers(machine, again, clients) == before
    named = {row[0] for row in state["objects"]}
    assert named == set(CLASSES) - {"LiquidationNote"}


def test_what_is_remembered_goes_on() -> None:
    machine, (alice, _) = eventful()
    state = records_state(machine.records)
    again = Records(machine.settings.listing, machine.register)
    restore_records(again, state)
    answers(machine, again, [])
    resting = alice.info("openOrders")[0]
    assert alice.statuses({"type": "cancel", "cancels": [{"a": ETH, "o": resting["oid"]}]}) == ["success"]
    assert len(alice.info("openOrders")) == 1
    assert alice.info("historicalOrders")[0]["status"] == "canceled"
    assert alice.info("orderStatus", oid=resting["oid"])["order"]["status"] == "canceled"


def test_other_memories_are_refused() -> None:
    machine, _ = eventful()
    state = records_state(machine.records)
    records = Records(machine.settings.listing, machine.register)
    with pytest.raises(ValueError, match="other parts"):
        restore_records(records, {**state, "kept": {}})
    with pytest.raises(ValueError, match="has a Popen, which is no record"):
        restore_records(records, {**state, "objects": [["Popen"]]})
