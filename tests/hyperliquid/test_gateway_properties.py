"""What holds of every gateway, whatever the shell and the venue tell it, and in whatever order."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.answers import ActionAnswer, ActionPosted, LegStatus, Outcome, PostRefused
from hlhft.hyperliquid.backoff import DRAWS
from hlhft.hyperliquid.gateway_events import (
    BlockTime,
    CancelOwn,
    Deadman,
    Gate,
    HttpAnswered,
    LaneDown,
    LaneUp,
    NotWritten,
    Post,
    Posted,
    PostHttp,
    Pressure,
    Resume,
    Written,
)
from hlhft.hyperliquid.gateway_flights import FLIGHTS_MAX, REQUESTS_MAX
from hlhft.hyperliquid.gateway_table import State
from tests.hyperliquid.gateways import (
    DONE,
    EXPIRED,
    MODIFY,
    MS,
    USED,
    S,
    Shell,
    cancel,
    close,
    no,
    ok,
    place,
    told,
)

OPEN = {State.FLYING, State.SILENT, State.PROBING}
BODY = b'{"status":"ok","response":{"type":"default"}}'
ORDER_KINDS = range(16, 35)


class Chaos:
    """A shell and a venue that do anything, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.shell = Shell(posts_max=12, posts_kept=4)
        self.shell.begin()
        self.sockets = 20
        self.orders = 0
        self.batches = 0
        self.requests: dict[int, Post | PostHttp] = {}
        self.actions: dict[int, set[bytes]] = {}

    def step(self) -> None:
        kinds = (self.place, self.place, self.cancel, self.answer, self.answer, self.answer, self.wait, self.line)
        self.random.choice((*kinds, self.answer, self.wait, self.other))()
        self.collect()

    def collect(self) -> None:
        """What left, and what must hold after everything."""
        for effect in self.shell.history:
            if isinstance(effect, Post | PostHttp):
                self.requests[effect.request_id] = effect
                content = msgspec.json.decode(self.shell.bodies[effect.request_id])
                self.actions.setdefault(content["nonce"], set()).add(self.shell.bodies[effect.request_id])
        rows = told(self.shell.history)
        assert all(len(row) == 12 for row in rows)
        assert all(row[4] > 0 for row in rows if row[7] in ORDER_KINDS), "news of an order names it"
        self.shell.history.clear()
        flights = list(self.shell.gateway._flights)
        assert len(flights) <= FLIGHTS_MAX
        assert all(len(flight.requests) <= REQUESTS_MAX for flight in flights)
        assert self.shell.nonces.unanswered == tuple(flight.nonce for flight in flights if flight.state in OPEN)
        assert 0 <= self.shell.gateway.posts_in_flight <= len(flights) * REQUESTS_MAX
        assert self.shell.gateway.is_quiet is (self.shell.nonces.unanswered == ())

    def place(self) -> None:
        self.batches += 1
        legs = []
        for _ in range(self.random.randrange(1, 4)):
            self.orders += 1
            make = self.random.choice((place, place, close))
            legs.append(make(self.orders << 10, batch_id=self.batches))
            legs[-1]["ts_ns"] = self.shell.now_ns
            legs[-1]["expires_ns"] = self.shell.now_ns + 3 * S
        if self.random.random() < 0.2:
            legs = [place(self.random.randrange(1, self.orders + 1) << 10, batch_id=self.batches, kind=MODIFY)]
        self.shell.send(*legs)

    def cancel(self) -> None:
        self.batches += 1
        chosen = {self.random.randrange(1, self.orders + 2) << 10 for _ in range(2)}
        self.shell.send(*[cancel(order_id, batch_id=self.batches) for order_id in chosen])

    def answer(self) -> None:
        """Any answer to any request, the newest more often; it may come again."""
        if not self.requests:
            return
        recent = sorted(self.requests)[-8:]
        request = self.requests[self.random.choice(recent)]
        legs = 1
        found = self.shell.gateway._flights.find(request.request_id)
        if found is not None:
            legs = max(found[0].signed.legs, 1)
        answer = self.random.choice(
            (self.good(legs), self.good(legs), USED, EXPIRED, no("Insufficient margin"), no("does not exist"))
        )
        if found is not None and found[1].is_noop:
            answer = self.random.choice((DONE, USED, no("Too many cumulative requests sent (3 > 2)")))
        if isinstance(request, PostHttp):
            bodies = (BODY, None, b"<html>", b'{"status":"err","response":"Invalid nonce: duplicate nonce 3"}')
            status = self.random.choice((200, 429, 502))
            self.shell.tell(HttpAnswered(request.request_id, status, self.random.choice(bodies)))
        elif self.random.random() < 0.1:
            self.shell.tell(Posted(request.socket, PostRefused(id=request.request_id, text="503")))
        else:
            self.shell.tell(Posted(request.socket, ActionPosted(id=request.request_id, answer=answer)))

    def good(self, legs: int) -> ActionAnswer:
        self.orders += 1
        outcome = self.random.choice((Outcome.RESTING, Outcome.SUCCESS, Outcome.ERROR))
        return ok(*[LegStatus(outcome=outcome, oid=1000 * self.orders + leg, text="odd") for leg in range(legs)])

    def wait(self) -> None:
        self.shell.draw = self.random.randrange(DRAWS)
        self.shell.run(self.random.choice((MS, 300 * MS, 3 * S)))

    def line(self) -> None:
        lane = self.random.randrange(2)
        self.sockets += 1
        event = self.random.choice(
            (LaneUp(lane, self.sockets), LaneUp(lane, self.sockets), LaneDown(lane), Pressure(lane, True),
             Pressure(lane, False))
        )  # fmt: skip
        self.shell.tell(event)

    def other(self) -> None:
        number = self.random.choice(sorted(self.requests)) if self.requests else 1
        self.shell.tell(
            self.random.choice(
                (Gate(is_open=False), Gate(is_open=True), Gate(is_open=True), CancelOwn(), CancelOwn(0),
                 Deadman(self.shell.now_ns // MS + 60_000), BlockTime(self.shell.now_ns // MS - 100),
                 Written(number, self.shell.now_ns), NotWritten(number), Resume())
            )
        )  # fmt: skip


@given(st.integers(0, 10**9), st.integers(20, 120))
@settings(max_examples=20, deadline=None)
def test_nonces_are_settled_once_and_everything_ends_when_the_venue_answers(seed: int, steps: int) -> None:
    chaos = Chaos(seed)
    for _ in range(steps):
        chaos.step()
    for bodies in chaos.actions.values():
        kinds = [msgspec.json.decode(body)["action"]["type"] for body in bodies]
        assert len(kinds) - kinds.count("noop") <= 1 and len(kinds) <= 2, "one nonce, one action, and noops"
    shell = chaos.shell
    for lane in (0, 1):
        shell.tell(LaneUp(lane, 1000 + lane))
    for _ in range(60):
        new, shell.history = shell.history, []
        for effect in new:
            if isinstance(effect, Post):
                shell.answer(effect, USED)
        shell.run(2 * S)
    assert shell.gateway.is_quiet
    assert shell.nonces.unanswered == ()
    assert shell.gateway.posts_in_flight == 0
