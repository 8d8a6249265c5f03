"""Messages of one socket stay in order and whole; what is cut never comes, and who is told of it hears so once."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from hlhft.live.transport import CLOSE_ABNORMAL
from hlhft.simulation.host import Host, Wall
from hlhft.simulation.network import CONNECT_TIMEOUT_NS, Connection, Network, channel_of
from hlhft.simulation.time import MS, SECOND, Time


class Far:
    """An exchange that notes what it hears."""

    def __init__(self) -> None:
        self.is_full = False
        self.heard_texts: list[bytes] = []
        self.gone_numbers: list[int] = []

    def connected(self, label: str, connection: Connection) -> bool:
        return not self.is_full

    def heard(self, connection: Connection, text: bytes) -> None:
        self.heard_texts.append(text)

    def gone(self, connection: Connection) -> None:
        self.gone_numbers.append(connection.number)

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        raise AssertionError("nobody asks here")


class Near:
    """A connection machine that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def up(self, socket: int) -> None:
        self.told.append("up")

    def upgraded(self, socket: int) -> None:
        self.told.append("upgraded")

    def frame(self, socket: int, frame: memoryview) -> None:
        self.told.append(bytes(frame))

    def closed(self, socket: int, code: int, reason: str) -> None:
        self.told.append(code)

    def pressed(self, socket: int, *, is_waiting: bool) -> None:
        raise AssertionError

    def broke(self, error: BaseException | None) -> None:
        raise AssertionError(error)


class Line:
    """One connection between the two."""

    def __init__(self, *, waits: bool = True) -> None:
        self.time, self.far, self.near = Time(), Far(), Near()
        self.network = Network(self.time, Random(1), self.far)
        self.host = Host(self.time, Wall(self.time))
        self.one = Connection(self.network, self.host, "a", 3, self.near)
        if waits:
            self.time.run(SECOND)
            self.near.told.clear()


def test_it_stands_at_both_ends_after_a_while() -> None:
    line = Line(waits=False)
    assert not line.one.stands
    line.time.run(SECOND)
    assert line.near.told == ["up", "upgraded"] and line.one.stands and line.one.up_ns
    assert line.network.of("a") == [line.one] and line.network.of("b") == []


@pytest.mark.parametrize("tears", [0.0, 1.0])
def test_messages_come_whole_and_in_order(tears: float) -> None:
    line = Line()
    line.network.weather.tears = tears
    texts = [b"%d" % number * 50 for number in range(100)]
    for text in texts:
        line.one.send(text)
        line.one.tell(text)
    line.time.run(10 * SECOND)
    assert line.far.heard_texts == texts and line.near.told == texts


def test_a_mute_channel_says_nothing_and_the_others_do() -> None:
    line = Line()
    line.network.weather.mutes = frozenset({b"bbo"})
    line.one.tell(b'{"channel":"bbo","data":1}')
    line.one.tell(b'{"channel":"trades","data":1}')
    line.time.run(SECOND)
    assert [channel_of(text) for text in line.near.told if isinstance(text, bytes)] == [b"trades"]
    assert channel_of(b"Websocket connection established.") == b""


@pytest.mark.parametrize("noticed", [0.0, 1.0])
def test_a_cut_loses_what_is_under_way_and_one_end_may_not_notice(noticed: float) -> None:
    line = Line()
    line.one.send(b"lost")
    line.one.tell(b"lost")
    line.network.cut([line.one], noticed=noticed)
    assert line.far.gone_numbers == [line.one.number] and not line.one.stands and not line.network.connections
    line.time.run(SECOND)
    assert line.near.told == ([CLOSE_ABNORMAL] if noticed else []) and not line.far.heard_texts
    line.one.send(b"is not acknowledged")
    line.time.run(60 * SECOND)
    assert line.near.told == [CLOSE_ABNORMAL], "at the latest when the kernel gives it up, and once"


@pytest.mark.parametrize("loses", [False, True])
def test_what_is_under_way_when_an_end_leaves_arrives_or_is_lost(loses: bool) -> None:
    line = Line()
    line.one.send(b"last")
    line.one.leave(loses=loses)
    line.time.run(SECOND)
    assert line.far.heard_texts == ([] if loses else [b"last"])
    assert line.far.gone_numbers == [line.one.number] and not line.near.told


def test_the_exchange_closes_it_after_what_it_said() -> None:
    line = Line()
    line.one.tell(b"last")
    line.one.end(1000, "Expired")
    line.time.run(SECOND)
    assert line.near.told == [b"last", 1000]


@pytest.mark.parametrize("is_down", [True, False])
def test_who_gets_no_connection_hears_so(is_down: bool) -> None:
    line = Line(waits=False)
    line.network.weather.is_down, line.far.is_full = is_down, not is_down
    line.time.run(CONNECT_TIMEOUT_NS + SECOND)
    assert line.near.told == [CLOSE_ABNORMAL] and not line.network.connections


def test_who_does_not_read_is_noticed_and_reads_later() -> None:
    line = Line()
    line.one.stand_still()
    line.one.tell(b"x" * (1 << 19))
    line.time.run(SECOND)
    assert line.one.unread_bytes > 0 and not line.near.told
    line.one.go_on()
    assert line.one.unread_bytes == 0 and line.near.told == [b"x" * (1 << 19)]


def test_what_is_sent_to_an_exchange_that_does_not_read_arrives_once_it_does() -> None:
    line = Line()
    assert line.one.stands
    line.network.weather.peer_reads = False
    line.one.send(b"x")
    line.time.run(SECOND)
    assert not line.one.stands and not line.far.heard_texts
    line.network.peer_reads_on()
    assert line.one.stands and line.one.up_ns == line.time.now_ns and line.far.heard_texts == [b"x"]


def test_what_a_partition_catches_comes_after_it() -> None:
    line = Line()
    line.one.send(b"under way")
    line.network.part()
    line.one.send(b"there")
    line.one.tell(b"back")
    line.time.run(2 * SECOND)
    assert not line.far.heard_texts and not line.near.told and not line.one.stands and line.one.is_open
    began_ns = line.time.now_ns
    through_ns = line.network.join()
    assert began_ns < through_ns <= began_ns + 2 * SECOND, "TCP tries at last after as long again"
    line.time.run(2 * SECOND)
    assert line.far.heard_texts == [b"under way", b"there"] and line.near.told == [b"back"]
    assert line.one.stands and began_ns < line.one.up_ns <= through_ns and not line.far.gone_numbers


def test_a_long_partition_leaves_a_socket_half_open() -> None:
    line = Line()
    line.network.part()
    line.one.send(b"given up")
    line.time.run(6 * SECOND)
    assert line.near.told == [CLOSE_ABNORMAL] and line.network.connections and not line.far.gone_numbers
    line.network.join()
    line.time.run(SECOND)
    assert line.far.gone_numbers == [line.one.number] and not line.far.heard_texts and not line.network.connections


def test_who_sends_nothing_into_a_partition_keeps_its_socket() -> None:
    line = Line()
    line.network.part()
    line.one.tell(b"back")
    line.time.run(6 * SECOND)
    line.network.join()
    line.time.run(7 * SECOND)
    assert line.near.told == [b"back"] and line.one.stands


def test_who_leaves_in_a_partition_is_gone_once_its_last_words_are_there() -> None:
    line = Line()
    line.network.part()
    line.one.send(b"last")
    line.one.leave(loses=False)
    line.time.run(SECOND)
    assert not line.far.gone_numbers
    line.network.join()
    line.time.run(2 * SECOND)
    assert line.far.heard_texts == [b"last"] and line.far.gone_numbers == [line.one.number]


def test_what_the_exchange_closes_in_a_partition_hears_so_after_it() -> None:
    line = Line()
    line.network.part()
    line.one.tell(b"last")
    line.one.end(1000, "Expired")
    line.time.run(SECOND)
    assert not line.near.told
    line.network.join()
    line.time.run(2 * SECOND)
    assert line.near.told == [b"last", 1000]


def test_who_is_being_connected_when_a_partition_begins_is_so_after_it() -> None:
    line = Line(waits=False)
    while not line.network.connections:
        line.time.run(MS)
    line.network.part()
    line.time.run(2 * SECOND)
    assert not line.near.told and not line.one.is_open
    line.network.join()
    line.time.run(2 * SECOND)
    assert line.near.told == ["up", "upgraded"] and line.one.stands


def test_nothing_is_drawn_for_what_does_not_exist() -> None:
    line = Line()
    before = line.network.random.getstate()
    assert not line.network.happens(0.0) and line.network.random.getstate() == before
    assert line.network.happens(1.0)
