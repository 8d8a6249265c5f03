"""A machine that everything is thrown at, and what must hold meanwhile.

No exception, an answer to every request, answers and frames that are JSON, ledgers that add up, no crossed book. Time
is the fuzz's own; nothing waits.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from hlhft.exchange.answers import Answer
from hlhft.exchange.machine import Machine
from hlhft.exchange.memory import RecordSettings
from hlhft.units import MICRO
from tests.exchange.clients import START_NS, small_settings
from tests.exchange.fuzz_grammar import COINS, PRICES, Grammar, Input
from tests.exchange.hall import LISTING

PEOPLE = 7  # the last one has no account
CONNECTIONS = 6
MS = 1_000_000
HOUR_NS = 3_600_000_000_000
CHECK_EVERY = 1_000
LONGEST_DELAY_MS = 4_000
HOUR_EVERY = 20_000
RESTART_EVERY = 2_500
LIMITED_EVERY = 10  # this part of the inputs meets an exchange with limits and delays
UNITS_PER_MICRO = 100
TOKEN_UNITS = 10**8
# Bounds so near that the memory for what they bound is taken soon.
SMALL = RecordSettings(
    statuses_max=100,
    orders_finished_max=100,
    fills_max=200,
    payments_max=50,
    ledger_updates_max=100,
    twap_statuses_max=50,
    trades_max=50,
    rates_max=50,
    candles_max=50,
)
# Refusals that come before what the action says is looked at.
AT_THE_DOOR = ("User or API Wallet", "Must deposit", "Unable to recover", "Action already", "Too many", "Nonce of")


@dataclass(slots=True)
class Tally:
    """What was sent and what became of it."""

    sent: Counter[str] = field(default_factory=Counter)
    handled: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    blocks: int = 0

    @property
    def inputs(self) -> int:
        """How many inputs there were."""
        return sum(self.sent.values())

    @property
    def share_handled(self) -> float:
        """Which part of them reached the code that does what was asked."""
        return sum(self.handled.values()) / max(1, self.inputs)


class Room:
    """One machine, the people in it, and their sockets."""

    def __init__(self, seed: int, tally: Tally, *, with_limits: bool) -> None:
        self.settings = small_settings(
            seed=seed,
            listing=LISTING,
            reference_ticks=tuple(listed.market.ticks(str(price)) for listed, price in zip(LISTING.markets, PRICES)),
            with_limits=with_limits,
            with_delays=with_limits,
            records=SMALL,
            accounts_max=24,
            order_slots=512,
            waiting_max=64,
            client_ids_max=500,
        )
        self.machine = Machine(self.settings)
        self.draw = random.Random(seed)
        self.tally = tally
        self.now_ns = START_NS + 1_000 * MS
        self.grammar = Grammar(self.draw, people=PEOPLE, now_ms=self.now_ns // MS)
        self.connections: dict[int, tuple[str, str]] = {}
        self.asked: dict[int, str] = {}  # ticket -> door
        self.machine.advance(self.now_ns)
        for person in self.grammar.people[: PEOPLE - 1]:
            assert isinstance(self.machine.deposit(person.signer.address, 200_000 * MICRO), int)
            assert isinstance(self.machine.deposit(person.signer.address, 50_000 * TOKEN_UNITS, token=1), int)
        self.advance(1)

    # Time.

    def advance(self, elapsed_ms: int) -> None:
        """Lets time pass; looks at all that comes out."""
        self.now_ns += elapsed_ms * MS
        self.grammar.now_ms = self.now_ns // MS
        while True:
            outcome = self.machine.advance(self.now_ns)
            self.tally.blocks += len(outcome.blocks)
            for ticket, answer in outcome.answers:
                self.look(self.asked.pop(ticket, "frame"), answer)
            for _, frame in outcome.frames:
                self.look_at_frame(frame)
            for close in outcome.closes:
                self.connections.pop(close.connection, None)
            if self.machine.next_deadline_ns() > self.now_ns:
                break
        assert self.settings.with_delays or not self.asked, "a request was not answered"

    def happen(self) -> None:
        """Now and then something happens that nobody sent."""
        draw = self.draw
        elapsed_ms = 1
        if draw.random() < 0.03:
            elapsed_ms = draw.choice((200, 200, 200, 200, 200, 4_000))
        if draw.random() < 0.0002:
            elapsed_ms = 61_000
        if draw.random() < 0.003:
            place = draw.randrange(len(COINS) - 1)  # there is no oracle of a spot pair
            moved = PRICES[place] * (100 + draw.randrange(-4, 5)) / 100
            assert self.machine.set_oracle(COINS[place], f"{moved:.4f}".rstrip("0").rstrip(".")) is None
        if draw.random() < 0.002:
            person = draw.choice(self.grammar.people[: PEOPLE - 1])
            self.machine.deposit(person.signer.address, draw.randrange(1, 50_000) * MICRO)
        if draw.random() < 0.002 and self.connections:
            connection = draw.choice(list(self.connections))
            del self.connections[connection]
            self.machine.sockets.disconnect(connection)
        self.advance(elapsed_ms)

    def restart(self) -> None:
        """The exchange goes down and comes back as it was saved; its clients are gone."""
        saved = msgspec.msgpack.encode(self.machine.state())
        again = Machine(self.settings)
        again.restore(msgspec.msgpack.decode(saved), self.machine.time_ns)
        assert msgspec.msgpack.encode(again.state()) == saved
        self.machine = again
        self.connections.clear()

    # Sending.

    def send(self, sent: Input) -> None:
        """One input, and time enough for its answer."""
        client = ("127.0.0.1", str(self.draw.randrange(4)))
        self.tally.sent[sent.door] += 1
        if sent.door == "info":
            self.look("info", self.machine.info(sent.body, client, self.now_ns))
        elif sent.door == "exchange":
            taken = self.machine.admit(sent.body, client, self.now_ns)
            if isinstance(taken, Answer):
                self.look("exchange", taken)
            else:
                self.asked[taken] = "exchange"
        else:
            self.send_frame(sent.body, client)
        self.happen()

    def send_frame(self, body: bytes, client: tuple[str, str]) -> None:
        while len(self.connections) < CONNECTIONS:
            opened = self.machine.sockets.open(client, self.now_ns)
            if isinstance(opened, str):
                self.tally.answers[f"no socket: {opened}"] += 1
                return
            self.connections[opened[0]] = client
        connection = self.draw.choice(list(self.connections))
        replies = self.machine.sockets.receive(connection, body, self.now_ns)
        is_handled = True  # an action's answer comes with its block
        for reply in replies:
            self.look_at_frame(reply)
            is_handled = is_handled and not reply.startswith(b'{"channel":"error","data":"Error parsing')
        self.tally.handled["frame"] += int(is_handled)

    # Looking.

    def look(self, door: str, answer: Answer) -> None:
        """An answer is the venue's: text for what is no request, else JSON."""
        self.tally.answers[f"{door} {answer.status}"] += 1
        assert answer.status in (200, 422, 429, 500), answer
        if not answer.is_json:
            assert answer.status == 422
            answer.body.decode()
            return
        body = json.loads(answer.body)
        if answer.status == 429:
            assert set(body) >= {"code", "msg"}
        elif door == "info":
            self.tally.handled["info"] += 1
        else:
            self.look_at_action(body, door)

    def look_at_action(self, body: dict[str, object], door: str) -> None:
        assert body["status"] in ("ok", "err"), body
        response = body["response"]
        if isinstance(response, str):
            is_refused_early = response.startswith(AT_THE_DOOR) or "nonce" in response.lower()
            self.tally.handled[door] += int(door == "exchange" and not is_refused_early)
            return
        assert isinstance(response, dict)
        self.tally.handled[door] += int(door == "exchange")
        self.learn(response)

    def learn(self, response: dict[str, object]) -> None:
        """Ids that exist, for later inputs."""
        grammar, data = self.grammar, response.get("data")
        if isinstance(data, str):
            grammar.sub_accounts.append(data)
            grammar.addresses.append(data)
        if not isinstance(data, dict):
            return
        for status in (*data.get("statuses", ()), data.get("status")):
            for told in status.values() if isinstance(status, dict) else ():
                if isinstance(told, dict) and "oid" in told:
                    grammar.oids.append(told["oid"])
                elif isinstance(told, dict):
                    grammar.twaps.append(told["twapId"])
        del grammar.oids[:-100], grammar.twaps[:-20]

    def look_at_frame(self, frame: bytes) -> None:
        """A frame is JSON, with a channel."""
        self.tally.answers[f"frame {json.loads(frame)['channel']}"] += 1

    def check(self) -> None:
        """The ledgers add up, and no book is crossed."""
        chain = self.machine.kernel.chain
        venue, state = chain.exchange, chain.state[0]
        assert state["broken"] == 0
        for market in range(len(COINS)):
            assert venue.holdings["position_lots"][:, market].sum() == 0
            assert venue.holdings["cash_quanta"][:, market].sum() == 0
        assert venue.tokens[:, 1].sum() == chain.outside[1]
        kept = state["fees_micro"] + state["trading_fees_micro"] + state["builder_fees_micro"]
        micro = venue.collateral.sum() + venue.margins["bucket_micro"].sum() + kept
        micro += venue.holdings["funding_micro"].sum() - venue.holdings["fee_micro"].sum()
        assert micro * UNITS_PER_MICRO + venue.tokens[:, 0].sum() == chain.outside[0]
        touch = self.machine.kernel.touch()
        two_sided = (touch > 0).all(axis=1)
        assert np.all(touch[two_sided, 0] < touch[two_sided, 1])
        assert len(self.machine.sockets) == len(self.connections)


def resident_bytes() -> int:
    """Memory that the process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(seed: int, inputs: int, *, report: bool = False) -> Iterator[tuple[Tally, int]]:
    """Sends `inputs` inputs; yields the tally and the memory held after each thousand of them."""
    tally = Tally()
    rooms = [Room(seed, tally, with_limits=False), Room(seed + 1, tally, with_limits=True)]
    for number in range(1, inputs + 1):
        room = rooms[number % LIMITED_EVERY == 0]
        sent = room.grammar.next()
        is_harmless = False
        try:
            room.send(sent)
            is_harmless = True
        finally:
            if not is_harmless:
                print(f"seed {seed}, input {number}: {sent.door} {sent.body[:2_000]!r}", file=sys.stderr)
        if number % HOUR_EVERY == 0:
            room.advance(HOUR_NS // MS)
        if number % RESTART_EVERY == 0:
            rooms[0].restart()
        if number % CHECK_EVERY == 0:
            for each in rooms:
                each.advance(LONGEST_DELAY_MS)
                assert not each.asked, "a request was not answered"
                each.check()
            yield tally, resident_bytes() if report else 0
