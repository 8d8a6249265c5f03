"""The signed actions whose fate is not settled, and the requests that carried them: each action one nonce, one record.

Bounded: at most FLIGHTS_MAX actions, twice what the venue keeps of nonces, of which the oldest is pushed out by one
more; at most REQUESTS_MAX requests of an action, of which the oldest is no more listened to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.encode import Signed
from hlhft.hyperliquid.gateway_table import State
from hlhft.hyperliquid.nonces import VENUE_KEEPS

FLIGHTS_MAX = 2 * VENUE_KEEPS
REQUESTS_MAX = 4
SETTLED_MAX = 2048  # that are remembered for counting: 20 a second for as long as a reading of the account may take
HTTP = -1  # the lane of what goes over HTTP
NEVER_NS = 2**63 - 1
ORDER_ID, BATCH, MARKET, KIND, REDUCE_ONLY = 1, 5, 6, 7, 11  # places in a command


class Flight(Struct):
    """One signed action. `rows` are the commands it was made of as tuples, none for a noop or a scheduled cancel."""

    signed: Signed
    rows: list[Row]
    batch_id: int  # 0 for one of the gateway's own
    received_ns: int
    due_ns: int
    repeat_ns: int = NEVER_NS  # when a cancel is sent once more under a new nonce
    repeats: int = 0  # how often that was done before
    lane: int = HTTP  # of the newest request
    state: State = State.FLYING
    copies: int = 1  # how often the action itself was posted
    surcharge: int = 0  # actions of the address that it may have cost beside its legs
    failures: int = 0
    requests: list[int] = []

    @property
    def nonce(self) -> int:
        """The nonce that names it."""
        return self.signed.nonce

    @property
    def legs(self) -> int:
        """Its orders or cancels, at least one: what the venue counts it for (venue reference section 7)."""
        return max(self.signed.legs, 1)

    @property
    def actions(self) -> int:
        """What it may have cost of the address, at most."""
        return self.legs + self.surcharge

    @property
    def next_ns(self) -> int:
        """When something is to be done about it."""
        return min(self.due_ns, self.repeat_ns)

    @property
    def reduces(self) -> bool:
        """Whether it can only take risk away, so that it is worth executing late."""
        return bool(self.rows) and all(row[REDUCE_ONLY] for row in self.rows)


class Request(Struct, gc=False):
    """One post or HTTP request of an action: its own bytes, or a noop under its nonce."""

    nonce: int
    lane: int
    is_noop: bool
    is_open: bool = True  # counts as a post in flight


class Flights:
    """All actions that are not settled, oldest first."""

    def __init__(self) -> None:
        self.elsewhere = 0  # actions of the address that left by another way, and were not answered
        self.posts = 0  # on sockets, without an answer: the venue allows an IP address a hundred
        self._flights: dict[int, Flight] = {}
        self._requests: dict[int, Request] = {}
        self._number = 0
        self._settled: deque[tuple[int, int]] = deque(maxlen=SETTLED_MAX)  # when, and for how many actions it counted

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[Flight]:
        return iter(tuple(self._flights.values()))

    def get(self, nonce: int) -> Flight | None:
        """The action of a nonce that is not settled."""
        return self._flights.get(nonce)

    def add(self, flight: Flight) -> Flight | None:
        """Remembers an action; returns the one that is pushed out for it."""
        nonce = flight.signed.nonce
        assert nonce not in self._flights, "a nonce is given out once"
        pushed = None
        if len(self._flights) >= FLIGHTS_MAX:
            pushed = next(iter(self._flights.values()))
            self.remove(pushed)
        self._flights[nonce] = flight
        return pushed

    def settle(self, flight: Flight, now_ns: int) -> None:
        """Forgets an action whose fate is known, but for when that was."""
        self.remove(flight)
        self.settled(flight.actions, now_ns)

    def settled(self, actions: int, now_ns: int) -> None:
        """So many actions of the address are known to be over."""
        self._settled.append((now_ns, actions))

    def actions_since(self, since_ns: int) -> int:
        """Actions whose fate was not known then, or that left since: what the venue told of that time may lack them."""
        actions = self.elsewhere + sum(flight.actions for flight in self._flights.values())
        for settled_ns, more in reversed(self._settled):
            if settled_ns <= since_ns:
                break
            actions += more
        return actions

    def remove(self, flight: Flight) -> None:
        """Forgets an action and its requests."""
        del self._flights[flight.nonce]
        for request_id in flight.requests:
            self.close(request_id)
            del self._requests[request_id]

    def request(self, flight: Flight, lane: int, *, is_noop: bool = False) -> int:
        """The number of a new request that carries the action over a lane, or HTTP."""
        number = self._number = self._number + 1
        self._requests[number] = Request(flight.signed.nonce, lane, is_noop)
        flight.lane = lane
        requests = flight.requests
        requests.append(number)
        if lane != HTTP:
            self.posts += 1
        if len(requests) > REQUESTS_MAX:
            self.forget(flight, requests[0])
        return number

    def forget(self, flight: Flight, request_id: int) -> None:
        """A request of the action is no more listened to."""
        flight.requests.remove(request_id)
        self.close(request_id)
        del self._requests[request_id]

    def find(self, request_id: int) -> tuple[Flight, Request] | None:
        """The action that a request carried, and the request; None when it is settled or none of ours."""
        request = self._requests.get(request_id)
        return None if request is None else (self._flights[request.nonce], request)

    def close(self, request_id: int) -> None:
        """The request is answered, or its connection is gone: it is no post in flight any more."""
        request = self._requests[request_id]
        if request.is_open:
            request.is_open = False
            if request.lane != HTTP:
                self.posts -= 1

    def cut(self, lane: int) -> list[Flight]:
        """A connection is gone: closes what it carried, and returns the actions that waited for an answer over it."""
        for request_id, request in self._requests.items():
            if request.lane == lane:
                self.close(request_id)
        awaiting = (State.FLYING, State.PROBING)
        return [flight for flight in self if flight.lane == lane and flight.state in awaiting]

    @property
    def next_ns(self) -> int:
        """When something is to be done about one of them, NEVER_NS without any."""
        return min((flight.next_ns for flight in self._flights.values()), default=NEVER_NS)
