"""The exchange of a simulation: the pure machine with its order flow at the far end of the network, and its mischief.

It has the venue's limits and delays. What it does to its clients beyond the rules is in `Mischief`, and nothing by
default. It tells a `Watch` what reaches it and what it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import numpy as np

from hlhft.exchange import opening
from hlhft.exchange.answers import Answer, json_answer
from hlhft.exchange.limits import Client as ClientLabel
from hlhft.exchange.listing import Listing
from hlhft.exchange.machine import Machine
from hlhft.exchange.memory import AccountRecords
from hlhft.exchange.settings import Delays, ExchangeSettings
from hlhft.exchange.statuses import refused
from hlhft.hyperliquid import markets
from hlhft.hyperliquid.cloids import parse
from hlhft.hyperliquid.reading import Fault
from hlhft.live.preflight import Found
from hlhft.simulation.account import ACCOUNT, COINS, ENGINE, OWNER, TRADED, WATCHDOG
from hlhft.simulation.client import Client
from hlhft.simulation.market_pace import paced_flow
from hlhft.simulation.network import CHANNEL_HEAD, Connection, channel_of
from hlhft.simulation.settings import DEFAULT, RunSettings
from hlhft.simulation.shocks import ShockedFlow, Shocks, approval
from hlhft.simulation.time import MS, SECOND, START_NS, Time
from hlhft.units import MICRO, Market

OPENING_NS = 2 * SECOND  # and the longest delay, until the account has its money and its wallets
SLOW_MS = (1_000, 200, 100)  # before their expiry some orders are executed
BATCH_ERROR = "Internal error"  # what the venue says of a whole batch is unverified
WIDTH_TICKS = 1 << 20  # a price that leaps by a third stays inside a book
_POST_HEAD = CHANNEL_HEAD + b'post"'
_OWN_STREAMS = frozenset({b"orderUpdates", b"userFills"})
_CANCELS = ("cancel", "cancelByCloid")


class Watch(Protocol):
    """Who judges what happens at the exchange."""

    def posted(self, label: str, request: dict[str, Any]) -> None:
        """A signed request reached the exchange."""

    def answered(self, label: str, body: bytes) -> None:
        """The exchange answered one."""

    def owner_acts(self, action: dict[str, Any]) -> None:
        """The owner of the account signed something himself."""

    def block(self) -> None:
        """Blocks were executed."""


@dataclass(slots=True, kw_only=True)
class Mischief:
    """What the exchange does beyond its rules now; everything at its default is nothing."""

    answers_twice: bool = False  # what it says to a post over a socket
    batch_error: bool = False  # actions with orders are refused as a whole, and not executed
    unknown_status: bool = False  # what became of an order is told in a word that nobody knows
    answers_none: bool = False  # actions are executed and not answered
    tells_none: bool = False  # nor is what became of them told by a stream
    cancels_late_ns: int = 0  # that a cancel is under way longer, so that fills come before it


def settings(seed: int, told: RunSettings = DEFAULT) -> ExchangeSettings:
    """Two markets, with the venue's limits and delays, and room for a few accounts."""
    made = opening.open_settings(COINS, seed=seed, start_ns=START_NS)
    # At every other exchange many orders are executed just before they expire.
    slow = Delays(maker_ms=(30, 35, 45, 55, 70, 500, *(told.expires_after_ms - ms for ms in SLOW_MS)))
    delays = slow if seed % 2 else Delays()
    limits = replace(made.limits, requests_initial=told.address_actions)
    return replace(
        made, delays=delays, limits=limits, order_slots=1024, waiting_max=16, width_ticks=WIDTH_TICKS, accounts_max=64
    )


class ExchangeProcess:
    """The exchange at the far end of the network; it can be killed, and goes on from its last block."""

    def __init__(self, time: Time, seed: int, watch: Watch, told: RunSettings) -> None:
        self.time = time
        self.mischief = Mischief()
        self.is_dead = False
        self.venue_events = 0  # that happened in its markets
        self.connections: dict[int, Connection] = {}
        self._settings, self._paces = settings(seed, told), told.paces
        if told.may_switch:
            self._settings = replace(self._settings, schedule_volume_micro=0)
        self._watch = watch
        self._answers: dict[int, tuple[str, Callable[[int, bytes], None] | None]] = {}  # by ticket
        self._once_up: list[Callable[[], None]] = []  # each fault that ends asks for one thing
        self._owner = Client(TRADED, nonce=START_NS // MS + 1000 * TRADED)
        self.flow = ShockedFlow(paced_flow(self._settings, self._paces))
        self.machine = opening.open_machine(self._settings, flow=self.flow)
        self.shocks = Shocks(self)
        self._open_account(told.account_usdc)
        time.at(time.now_ns, self._advance)

    def _open_account(self, usdc: int) -> None:
        """Money for the traded account, and its two wallets."""
        machine, traded = self.machine, self._owner
        machine.deposit(traded.address, usdc * MICRO)
        machine.advance(START_NS + SECOND)
        for number in (ENGINE, WATCHDOG):
            taken = machine.admit(traded.body(approval(number)), traded.label, START_NS + SECOND)
            assert isinstance(taken, int), taken

    # The far end of the network.

    def connected(self, label: str, connection: Connection) -> bool:
        """A socket stands, unless there are too many."""
        opened = self.machine.sockets.open((label, ""), self.time.now_ns)
        if isinstance(opened, str):
            return False
        connection.at_exchange, greeting = opened
        self.connections[connection.at_exchange] = connection
        for frame in greeting:
            connection.tell(frame)
        return True

    def heard(self, connection: Connection, text: bytes) -> None:
        """A message came."""
        request = _posted_action(text)
        if request is not None:
            self._watch.posted(connection.label, request)
            if self.mischief.batch_error and request["action"]["type"] in ("order", "batchModify"):
                self._refuse_batch(connection, text)
                return
            if self.mischief.cancels_late_ns and request["action"]["type"] in _CANCELS:
                self.time.at(self.time.now_ns + self.mischief.cancels_late_ns, self._receive, connection, text)
                return
        self._receive(connection, text)

    def _receive(self, connection: Connection, text: bytes) -> None:
        if connection.at_exchange not in self.connections:
            return
        for frame in self.machine.sockets.receive(connection.at_exchange, text, self.time.now_ns):
            connection.tell(frame)

    def gone(self, connection: Connection) -> None:
        """A socket is gone."""
        if not self.is_dead:
            self.machine.sockets.disconnect(connection.at_exchange)
        self.connections.pop(connection.at_exchange, None)

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        """A request came; an action is answered by the block that executes it."""
        client: ClientLabel = label, ""
        if path == "/info":
            told = self.machine.info(body, client, self.time.now_ns)
            answer(told.status, told.body)
            return
        request = msgspec.json.decode(body)
        self._watch.posted(label, request)
        if self.mischief.cancels_late_ns and request["action"]["type"] in _CANCELS:
            self.time.at(self.time.now_ns + self.mischief.cancels_late_ns, self._admit, label, body, answer)
        else:
            self._admit(label, body, answer)

    def _admit(self, label: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        if self.is_dead:
            return
        client: ClientLabel = label, ""
        taken = self.machine.admit(body, client, self.time.now_ns)
        if isinstance(taken, Answer):
            answer(taken.status, taken.body)
        else:
            self._answers[taken] = label, answer

    def close(self, connection: Connection, code: int, reason: str) -> None:
        """Closes a connection from here."""
        self.gone(connection)
        connection.end(code, reason)

    def _refuse_batch(self, connection: Connection, text: bytes) -> None:
        number = msgspec.json.decode(text)["id"]
        payload = msgspec.json.decode(json_answer(refused(BATCH_ERROR)).body)
        data = {"id": number, "response": {"type": "action", "payload": payload}}
        connection.tell(msgspec.json.encode({"channel": "post", "data": data}))

    # Its life.

    def kill(self) -> None:
        """What was under way to a block is lost; what blocks did is on its disk. Whoever kills it cuts its sockets."""
        assert not self.is_dead
        self.is_dead = True
        self._kept = self.machine.state()
        self._answers.clear()

    def come_back(self) -> None:
        """It goes on from its last block."""
        assert self.is_dead
        self.is_dead = False
        self.flow.inner = paced_flow(self._settings, self._paces)
        self.machine = Machine(self._settings, flow=self.flow)
        self.machine.restore(self._kept, self.time.now_ns)
        waiting, self._once_up = self._once_up, []
        for work in waiting:
            work()
        self._advance()

    def once_up(self, work: Callable[[], None]) -> None:
        """Done at once, or when it is back."""
        if self.is_dead:
            self._once_up.append(work)
        else:
            work()

    def upgrade(self, window_ns: int) -> None:
        """It was upgraded while it was down: for so long it takes only post-only orders."""
        assert self.is_dead
        self._settings = replace(self._settings, post_only_until_ns=self.time.now_ns + window_ns)

    def delist(self, row: int) -> None:
        """A market ended while it was down, unless it is the last one."""
        assert self.is_dead
        if row in self.flow.ended or len(self.flow.ended) + 1 == len(COINS):
            return
        markets = self._settings.listing.markets
        told = tuple(replace(one, is_delisted=one.is_delisted or at == row) for at, one in enumerate(markets))
        self._settings = replace(self._settings, listing=Listing(told))
        self.flow.ended |= {row}
        self.shocks.settle(row)

    def _advance(self) -> None:
        if self.is_dead:
            return
        outcome = self.machine.advance(self.time.now_ns)
        if outcome.blocks:
            self.venue_events += sum(len(block.events) for block in outcome.blocks)
            self.shocks.look()
            self._watch.block()
        for ticket, answer in outcome.answers:
            label, tell = self._answers.pop(ticket, ("", None))
            if tell is not None:
                self._watch.answered(label, answer.body)
                if not self.mischief.answers_none:
                    tell(answer.status, answer.body)
        for number, frame in outcome.frames:
            connection = self.connections.get(number)
            if connection is not None:
                self._tell(connection, frame)
        for close in outcome.closes:
            closed = self.connections.pop(close.connection, None)
            if closed is not None:
                closed.end(close.code, close.reason)
        self.time.at(self.machine.next_deadline_ns(), self._advance)

    def _tell(self, connection: Connection, frame: bytes) -> None:
        mischief = self.mischief
        if mischief.tells_none and channel_of(frame) in _OWN_STREAMS:
            return
        if frame.startswith(_POST_HEAD):
            self._watch.answered(connection.label, frame)
            if mischief.answers_none:
                return
            if mischief.unknown_status:
                frame = frame.replace(b'{"resting":', b'{"slumbering":')
            if mischief.answers_twice:
                connection.tell(frame)
        connection.tell(frame)

    # What is so.

    def ask(self, kind: str, **fields: Any) -> bytes:
        """The answer to a question, as of the latest block; it weighs nothing."""
        body = msgspec.json.encode({"type": kind, **fields})
        told = self.machine.info(body, ("judge", ""), self.time.now_ns, weighed=False)
        assert told.status == 200, told
        return told.body

    def records(self) -> AccountRecords:
        """What the exchange remembers of the traded account."""
        return self.machine.records.account(self.number())

    def positions(self) -> list[int]:
        """Of the traded account, in lots by market."""
        held = self.machine.kernel.chain.exchange.holdings["position_lots"][self.number(), : len(COINS)]
        lots: list[int] = held.tolist()
        return lots

    def number(self) -> int:
        """Of the traded account."""
        number = self.machine.addresses.number(ACCOUNT)
        assert number is not None, "it was opened at the start"
        return number

    def account_state(self) -> dict[str, Any]:
        """Of the traded account, as `clearinghouseState` shows it."""
        state: dict[str, Any] = msgspec.json.decode(self.ask("clearinghouseState", user=ACCOUNT))
        return state

    def own_numbers(self) -> set[int]:
        """The exchange's numbers of the open orders that bear the engine's mark."""
        marks = {
            number: None if one.cloid is None else parse(int(one.cloid, 16))
            for number, one in self.records().open.items()
        }
        return {number for number, mark in marks.items() if mark is not None and mark.owner == OWNER}

    def owner_acts(self, action: dict[str, Any]) -> None:
        """The owner of the traded account signs something himself."""
        self._watch.owner_acts(action)
        taken = self.machine.admit(self._owner.body(action), self._owner.label, self.time.now_ns)
        assert isinstance(taken, int), taken

    @property
    def coins(self) -> tuple[str, ...]:
        """What is still traded."""
        return tuple(coin for row, coin in enumerate(COINS) if row not in self.flow.ended)

    @property
    def markets(self) -> tuple[Market, ...]:
        """All of them, by row."""
        return tuple(one.market for one in self._settings.listing.markets)

    @property
    def reference_ticks(self) -> tuple[int, ...]:
        """The prices at the start."""
        return self._settings.reference_ticks

    def marks(self) -> np.ndarray:
        """In ticks by market."""
        return self.machine.kernel.chain.exchange.marks[: len(COINS)]

    def found(self) -> Found:
        """What an engine finds out before it starts."""
        meta, spot_meta = markets.read_meta(self.ask("meta")), markets.read_spot_meta(self.ask("spotMeta"))
        assert not isinstance(meta, Fault) and not isinstance(spot_meta, Fault)
        traded = markets.markets_of(meta, spot_meta, self.coins)
        return Found(
            address=ACCOUNT, markets=traded, asset_ids=markets.asset_ids(meta, spot_meta),
            base_tokens=markets.base_tokens(spot_meta, traded), offset_ms=0,
        )  # fmt: skip


def _posted_action(text: bytes) -> dict[str, Any] | None:
    """The signed request in a message, None where there is none."""
    if b'"action"' not in text:
        return None
    request = msgspec.json.decode(text)["request"]
    payload: dict[str, Any] = request["payload"]
    return payload if request["type"] == "action" else None
