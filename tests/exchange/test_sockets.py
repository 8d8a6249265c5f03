"""What a WebSocket client sees, without a socket."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hlhft.exchange.answers import json_answer
from hlhft.exchange.limits import LimitSettings
from hlhft.exchange.machine import Machine
from hlhft.exchange.sockets import ESTABLISHED, Sockets, request_type
from tests.exchange.clients import ETH, MILLISECOND_NS, START_NS, Client, order, orders, small_machine

SECOND_NS = 1000 * MILLISECOND_NS
LABEL = ("127.0.0.1", "")


@pytest.fixture
def machine() -> Machine:
    return small_machine()


def opened(machine: Machine, now_ns: int = START_NS) -> int:
    made = machine.sockets.open(LABEL, now_ns)
    assert not isinstance(made, str), made
    assert made[1] == [ESTABLISHED]
    return made[0]


def say(machine: Machine, connection: int, message: Any, now_ns: int = START_NS) -> list[Any]:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return [msgspec.json.decode(frame) for frame in machine.sockets.receive(connection, text, now_ns)]


def subscription(kind: str, **more: Any) -> dict[str, Any]:
    return {"method": "subscribe", "subscription": {"type": kind, **more}}


def test_the_greeting_is_no_json() -> None:
    assert ESTABLISHED == b"Websocket connection established."


def test_ping(machine: Machine) -> None:
    assert say(machine, opened(machine), {"method": "ping"}) == [{"channel": "pong"}]


def test_subscriptions_are_acknowledged(machine: Machine) -> None:
    connection = opened(machine)
    ack, first = say(machine, connection, subscription("l2Book", coin="ETH"))
    assert ack["channel"] == "subscriptionResponse"
    assert ack["data"]["method"] == "subscribe"
    assert first["channel"] == "l2Book"
    (error,) = say(machine, connection, subscription("l2Book", coin="ETH"))
    assert error["data"].startswith("Already subscribed: ")
    (ack,) = say(machine, connection, {**subscription("l2Book", coin="ETH"), "method": "unsubscribe"})
    assert ack["data"]["method"] == "unsubscribe"


@pytest.mark.parametrize(
    "message",
    [b"", b"{", b"\xff", b"[" * 9999, b"null", b'{"method":"dance"}', b'{"method":"subscribe"}', b'{"method":5}',
     b'{"method":"post","id":"1","request":{"type":"info","payload":{}}}',
     b'{"method":"post","id":-1,"request":{"type":"info","payload":{}}}',
     b'{"method":"post","id":1,"request":{"type":"explorer","payload":{}}}'],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_frame(machine: Machine, message: bytes) -> None:
    (frame,) = say(machine, opened(machine), message)
    assert frame["channel"] == "error"
    assert frame["data"].startswith("Error parsing JSON into valid websocket request: ")
    assert len(frame["data"]) < 400


def post(number: int, kind: str, payload: Any) -> dict[str, Any]:
    return {"method": "post", "id": number, "request": {"type": kind, "payload": payload}}


def test_info_over_a_socket(machine: Machine) -> None:
    connection = opened(machine)
    (frame,) = say(machine, connection, post(5, "info", {"type": "allMids"}))
    assert frame == {
        "channel": "post",
        "data": {
            "id": 5,
            "response": {
                "type": "info",
                "payload": {"type": "allMids", "data": {"BTC": "110000.0", "ETH": "4000.0"}},
            },
        },
    }
    (frame,) = say(machine, connection, post(6, "info", {"type": "unheardOf"}))
    response = frame["data"]["response"]
    assert response["type"] == "error"
    assert response["payload"].startswith("422: Failed to deserialize")


def test_an_action_over_a_socket_that_is_none(machine: Machine) -> None:
    (frame,) = say(machine, opened(machine), post(5, "action", {"type": "order"}))
    assert frame["data"]["response"]["type"] == "error"


def test_an_action_whose_socket_is_gone(machine: Machine) -> None:
    alice = Client(machine, 1)
    connection = opened(machine)
    now_ns = machine.time_ns + MILLISECOND_NS
    body = json.loads(alice.body(orders(order())))
    assert say(machine, connection, post(5, "action", body), now_ns) == []
    machine.sockets.disconnect(connection)
    assert machine.advance(now_ns).frames == []
    assert machine.kernel.touch()[ETH].tolist() == [399900, 0]
    assert machine.sockets.answered(99, json_answer({})) is None


def limited(**changes: int) -> Machine:
    return small_machine(limits=LimitSettings(**changes))  # type: ignore[arg-type]


def test_a_client_has_so_many_connections() -> None:
    machine = limited(connections=1)
    connection = opened(machine)
    assert machine.sockets.open(LABEL, START_NS) == "Too many websocket connections."
    assert not isinstance(machine.sockets.open(("127.0.0.1", "other"), START_NS), str)
    machine.sockets.disconnect(connection)
    machine.sockets.disconnect(connection)
    assert not isinstance(machine.sockets.open(LABEL, START_NS), str)
    assert len(machine.sockets) == 2


def test_the_exchange_has_so_many_connections() -> None:
    machine = small_machine(connections_max=1)
    opened(machine)
    assert machine.sockets.open(("10.0.0.1", ""), START_NS) == "Too many websocket connections."


def test_who_says_too_much_is_disconnected() -> None:
    machine = limited(messages_per_minute=2)
    connection = opened(machine)
    for _ in range(2):
        assert say(machine, connection, {"method": "ping"}) == [{"channel": "pong"}]
    assert say(machine, connection, {"method": "ping"}) == []
    assert say(machine, connection, {"method": "ping"}) == []
    assert machine.next_deadline_ns() <= START_NS
    (close,) = machine.advance(machine.time_ns).closes
    assert (close.connection, close.code, close.reason) == (connection, 1008, "Too many websocket messages.")
    assert len(machine.sockets) == 0
    assert say(machine, connection, {"method": "ping"}) == []


def test_posts_in_flight_are_counted() -> None:
    machine = limited(posts_in_flight=1)
    alice = Client(machine, 1)
    connection = opened(machine)
    now_ns = machine.time_ns + MILLISECOND_NS
    say(machine, connection, post(1, "action", json.loads(alice.body({"type": "noop"}))), now_ns)
    (frame,) = say(machine, connection, post(2, "info", {"type": "allMids"}), now_ns)
    assert frame["data"]["response"] == {"type": "error", "payload": "429: Too many inflight posts."}
    machine.advance(now_ns)
    (frame,) = say(machine, connection, post(3, "info", {"type": "allMids"}), now_ns)
    assert frame["data"]["response"]["type"] == "info"


def test_silence_of_the_exchange_ends_a_connection(machine: Machine) -> None:
    connection = opened(machine, machine.time_ns)
    began_ns = machine.time_ns
    assert machine.sockets.next_deadline_ns() == began_ns + 60 * SECOND_NS
    machine.sockets.receive(connection, b'{"method":"ping"}', began_ns + 50 * SECOND_NS)
    assert machine.sockets.due(began_ns + 60 * SECOND_NS) == []
    (close,) = machine.sockets.due(began_ns + 110 * SECOND_NS)
    assert (close.code, close.reason) == (1000, "Inactive")


def test_data_keep_a_connection_alive(machine: Machine) -> None:
    connection = opened(machine, machine.time_ns)
    began_ns = machine.time_ns
    say(machine, connection, subscription("allMids"), began_ns)
    assert machine.advance(began_ns + 59 * SECOND_NS).frames
    assert machine.sockets.due(began_ns + 61 * SECOND_NS) == []
    assert not isinstance(machine.sockets, type(None))


def test_connections_are_rotated() -> None:
    machine = small_machine(rotation_ns=30 * SECOND_NS)
    opened(machine, machine.time_ns)
    began_ns = machine.time_ns
    assert machine.sockets.next_deadline_ns() == began_ns + 30 * SECOND_NS
    (close,) = machine.sockets.due(began_ns + 30 * SECOND_NS)
    assert (close.code, close.reason) == (1000, "Expired")


def test_the_type_of_a_body() -> None:
    assert request_type(b'{"type":"meta","dex":""}') == "meta"
    assert [request_type(body) for body in (b"", b"[]", b'{"type":1}', b"\xff")] == [""] * 4


def test_sockets_belong_to_one_machine(machine: Machine) -> None:
    assert isinstance(machine.sockets, Sockets)
    assert machine.sockets.next_deadline_ns() > 2**61
    machine.sockets.sent(99, START_NS)
