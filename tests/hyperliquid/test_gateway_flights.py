"""Actions that are not settled, and their requests."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.encode import Signed
from hlhft.hyperliquid.gateway_flights import FLIGHTS_MAX, HTTP, NEVER_NS, REQUESTS_MAX, Flight, Flights
from hlhft.hyperliquid.gateway_table import State
from hlhft.hyperliquid.packing import ActionKind


def flight(nonce: int, *, due_ns: int = 10, reduce_only: tuple[int, ...] = (0,)) -> Flight:
    rows = [(0, 1, 2, 3, 0, 1, 0, 1, 1, 1, 0, each) for each in reduce_only]
    return Flight(Signed(b"body", ActionKind.ORDER, nonce, 5, len(rows)), rows, 1, 0, due_ns)


def test_an_action_is_found_by_its_nonce_and_by_each_of_its_requests() -> None:
    flights, one = Flights(), flight(7)
    assert flights.add(one) is None
    first, second = flights.request(one, 0), flights.request(one, HTTP, is_noop=True)
    assert (first, second) == (1, 2)
    assert flights.get(7) is one and flights.get(8) is None
    found = flights.find(second)
    assert found is not None
    assert found[0] is one and found[1].is_noop and found[1].lane == HTTP
    assert one.lane == HTTP and one.requests == [1, 2]
    flights.remove(one)
    assert flights.find(first) is None and flights.get(7) is None and len(flights) == 0


def test_posts_in_flight_are_those_of_sockets_without_an_answer() -> None:
    flights, one, other = Flights(), flight(1), flight(2)
    flights.add(one)
    flights.add(other)
    first = flights.request(one, 0)
    flights.request(one, HTTP)
    flights.request(other, 1)
    assert flights.posts == 2
    flights.close(first)
    flights.close(first)
    assert flights.posts == 1
    flights.remove(other)
    assert flights.posts == 0


def test_a_connection_that_ends_leaves_those_that_waited_for_it() -> None:
    flights = Flights()
    here, there, over = flight(1), flight(2), flight(3)
    for one, lane in ((here, 0), (there, 1), (over, 0)):
        flights.add(one)
        flights.request(one, lane)
    over.state = State.LANDED
    assert flights.cut(0) == [here]
    assert flights.posts == 1


def test_what_was_not_over_at_a_time_may_be_missing_in_what_was_told_of_it() -> None:
    flights, over, open_one = Flights(), flight(1), flight(2, reduce_only=(0, 0))
    for one in (over, open_one):
        flights.add(one)
    open_one.surcharge = 3
    flights.settle(over, 100)
    flights.settled(7, 200)
    assert [flights.actions_since(since_ns) for since_ns in (99, 100, 199, 200)] == [13, 12, 12, 5]
    assert flights.get(1) is None


def test_a_noop_counts_for_one_action() -> None:
    assert Flight(Signed(b"body", ActionKind.NOOP, 1, None, 0), [], 0, 0, 10).actions == 1


def test_of_many_requests_the_oldest_is_no_more_listened_to() -> None:
    flights, one = Flights(), flight(1)
    flights.add(one)
    for _ in range(REQUESTS_MAX + 1):
        flights.request(one, 0)
    assert flights.find(1) is None and flights.find(2) is not None
    assert flights.posts == len(one.requests) == REQUESTS_MAX


def test_of_many_actions_the_oldest_is_pushed_out() -> None:
    flights = Flights()
    for nonce in range(1, FLIGHTS_MAX + 1):
        assert flights.add(flight(nonce)) is None
    pushed = flights.add(flight(FLIGHTS_MAX + 1))
    assert pushed is not None and pushed.nonce == 1
    assert len(flights) == FLIGHTS_MAX


def test_a_nonce_is_given_out_once() -> None:
    flights = Flights()
    flights.add(flight(1))
    with pytest.raises(AssertionError, match="a nonce is given out once"):
        flights.add(flight(1))


def test_the_next_deadline_is_the_earliest_of_all() -> None:
    flights = Flights()
    assert flights.next_ns == NEVER_NS
    flights.add(flight(1, due_ns=30))
    cancel = flight(2, due_ns=40)
    cancel.repeat_ns = 20
    flights.add(cancel)
    assert flights.next_ns == 20


def test_an_action_reduces_when_all_of_its_orders_do() -> None:
    assert flight(1, reduce_only=(1, 1)).reduces
    assert not flight(1, reduce_only=(1, 0)).reduces
    assert not Flight(Signed(b"", ActionKind.NOOP, 1, None, 0), [], 0, 0, 0).reduces
