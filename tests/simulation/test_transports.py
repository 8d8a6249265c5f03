"""A socket that is not there takes nothing; a request is answered once, at the latest when time is up."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from hlhft.live.http import Answer
from hlhft.simulation.host import Host, Wall
from hlhft.simulation.network import Network
from hlhft.simulation.time import MS, SECOND, Time
from hlhft.simulation.transports import HTTP_TIMEOUT_NS, UNACKNOWLEDGED_NS, SimulatedHttp, SimulatedTransport
from tests.simulation.test_network import Far, Near


class Echo(Far):
    """Answers every request with its own body."""

    asks = 0

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        self.asks += 1
        answer(200, body)


class Ends:
    """A process and what it has."""

    def __init__(self) -> None:
        self.time, self.far, self.near = Time(), Echo(), Near()
        self.network = Network(self.time, Random(1), self.far)
        self.left: list[bytes] = []
        self.answers: list[Answer] = []
        host = Host(self.time, Wall(self.time))
        self.http = SimulatedHttp(self.network, host, "a", self.left.append)
        self.transport = SimulatedTransport(self.near, self.network, host, "a", self.left.append)

    def post(self) -> None:
        self.http.post("/info", b"body", self.answers.append)


def test_a_request_is_answered_once() -> None:
    ends = Ends()
    ends.network.weather.requests_twice = 1.0
    ends.post()
    assert not ends.answers and ends.http.under_way == 1
    ends.time.run(20 * SECOND)
    assert ends.answers == [Answer(b"body", "", 200)] and ends.http.under_way == 0
    assert ends.far.asks == 2 and ends.left == [b"body"]


@pytest.mark.parametrize("name", ["requests_lost", "answers_lost"])
def test_what_is_lost_is_told_when_time_is_up(name: str) -> None:
    ends = Ends()
    setattr(ends.network.weather, name, 1.0)
    ends.post()
    ends.time.run(HTTP_TIMEOUT_NS - 1)
    assert not ends.answers and ends.far.asks == (name == "answers_lost")
    ends.time.run(2)
    assert [answer.body for answer in ends.answers] == [None]


def test_a_late_answer_comes_late_and_one_that_is_too_late_counts_no_more() -> None:
    ends = Ends()
    ends.network.weather.answers_late_ns = 9 * SECOND
    ends.post()
    ends.time.run(8 * SECOND)
    assert not ends.answers
    ends.time.run(2 * SECOND)
    assert [answer.body for answer in ends.answers] == [b"body"]
    ends.network.weather.answers_late_ns = 11 * SECOND
    ends.post()
    ends.time.run(30 * SECOND)
    assert [answer.body for answer in ends.answers] == [b"body", None]


@pytest.mark.parametrize(("name", "asks"), [("refused_before", 0), ("refused_after", 1)])
def test_somebody_answers_in_place_of_the_exchange(name: str, asks: int) -> None:
    ends = Ends()
    setattr(ends.network.weather, name, 429)
    ends.post()
    ends.time.run(SECOND)
    assert ends.answers == [Answer(None, "HTTP 429", 429)] and ends.far.asks == asks


def test_what_a_partition_catches_on_a_connection_that_was_there_comes_after_it() -> None:
    ends = Ends()
    ends.post()
    ends.network.part()
    ends.network.weather.is_down = True
    for _ in range(40):
        ends.post()
    ends.time.run(2 * SECOND)
    assert ends.far.asks == 0 and not ends.answers
    ends.network.weather.is_down = False
    ends.network.join()
    ends.time.run(2 * SECOND)
    came = len(ends.answers)
    assert 10 < came < 32 and ends.far.asks == came and all(answer.body == b"body" for answer in ends.answers)
    ends.time.run(2 * SECOND)
    assert [answer.fault for answer in ends.answers[came:]] == ["/info: no connection"] * (41 - came)
    assert ends.far.asks == came and ends.http.under_way == 0


def test_what_nobody_acknowledges_is_given_up_and_never_comes() -> None:
    ends = Ends()
    ends.post()
    ends.network.part()
    ends.time.run(UNACKNOWLEDGED_NS + SECOND)
    assert [answer.fault for answer in ends.answers] == ["/info: nobody acknowledges it"]
    ends.network.join()
    ends.time.run(20 * SECOND)
    assert ends.far.asks == 0 and len(ends.answers) == 1


def test_an_answer_that_a_partition_catches_is_late() -> None:
    ends = Ends()
    ends.post()
    while ends.far.asks == 0:
        ends.time.run(MS)
    ends.network.part()
    ends.time.run(3 * SECOND)
    assert not ends.answers
    ends.network.join()
    ends.time.run(4 * SECOND)
    assert ends.answers == [Answer(b"body", "", 200)]


@pytest.mark.parametrize("label", ["a", None])
def test_what_is_lost_with_a_machine_never_comes(label: str | None) -> None:
    ends = Ends()
    ends.post()
    ends.network.lose("another")
    ends.network.lose(label)
    ends.time.run(HTTP_TIMEOUT_NS + 1)
    assert ends.far.asks == 0 and [answer.body for answer in ends.answers] == [None]


def test_nobody_is_asked_who_died_while_a_request_was_under_way() -> None:
    ends = Ends()
    ends.post()
    ends.network.weather.is_down = True
    ends.time.run(SECOND)
    assert ends.far.asks == 0


def test_a_socket_takes_what_is_for_it_while_it_stands() -> None:
    ends = Ends()
    assert not ends.transport.send(1, b"before") and ends.transport.waiting_bytes == 0
    ends.transport.open("ws://x/ws", 1)
    assert not ends.transport.send(1, b"too early")
    ends.time.run(SECOND)
    assert ends.transport.send(1, b"text") and not ends.transport.send(2, b"of another")
    ends.transport.open("ws://x/ws", 2)
    ends.time.run(SECOND)
    assert not ends.transport.send(1, b"of the one before") and ends.transport.send(2, memoryview(b"more"))
    ends.transport.close(1, 1000)
    assert ends.transport.connection is not None
    ends.time.run(SECOND)
    ends.transport.close(2, 1000)
    assert not ends.transport.send(2, b"after")
    ends.transport.stop()
    assert ends.far.heard_texts == [b"text", b"more"] == ends.left
