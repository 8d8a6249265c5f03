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
from hlhft.exchange.machine import Machine
from hlhft.exchange.memory import AccountRecords
from hlhft.exchange.settings import Delays, ExchangeSettings
from hlhft.exchange.statuses import refused
from hlhft.hyperliquid import markets
from hlhft.hyperliquid.reading import Fault
from hlhft.live.preflight import Found
from hlhft.simulation.account import ACCOUNT, ACCOUNT_USDC, COINS, ENGINE, TRADED, WATCHDOG, signer_of
from hlhft.simulation.client import CHAIN, Client
from hlhft.simulation.network import Connection, channel_of
from hlhft.simulation.time import MS, SECOND, START_NS, Time
from hlhft.units import MICRO

OPENING_NS = 5 * SECOND  # until the account has its money and its wallets
SLOW = Delays(maker_ms=(30, 35, 45, 55, 70, 500, 2_000, 2_800, 2_900))  # executed just before the expiry
BATCH_ERROR = "Internal error"  # what the venue says of a whole batch is unverified
_POST = b"post"
_OWN_STREAMS = frozenset({b"orderUpdates", b"userFills"})


class Watch(Protocol):
    """Who judges what happens at the exchange."""

    def posted(self, label: str, request: dict[str, Any]) -> None:
        """A signed request reached the exchange."""

    def answered(self, label: str, body: bytes) -> None:
        """The exchange answered one."""

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


def settings(seed: int) -> ExchangeSettings:
    """Two markets, with the venue's limits and delays, and room for a few accounts."""
    made = opening.open_settings(COINS, seed=seed, start_ns=START_NS)
    # At every other exchange many orders are executed just before they expire.
    delays = SLOW if seed % 2 else Delays()
    return replace(made, delays=delays, order_slots=1024, waiting_max=16, width_ticks=1 << 17, accounts_max=64)


class ExchangeProcess:
    """The exchange at the far end of the network; it can be killed, and goes on from its last block."""

    def __init__(self, time: Time, seed: int, watch: Watch) -> None:
        self.time = time
        self.mischief = Mischief()
        self.is_dead = False
        self.connections: dict[int, Connection] = {}
        self._settings = settings(seed)
        self._watch = watch
        self._answers: dict[int, tuple[str, Callable[[int, bytes], None] | None]] = {}  # by ticket
        self.machine = opening.open_machine(self._settings, synthetic=True)
        self._open_account()
        time.at(time.now_ns, self._advance)

    def _open_account(self) -> None:
        """Money for the traded account, and its two wallets."""
        machine = self.machine
        traded = Client(TRADED, nonce=START_NS // MS + 1000 * TRADED)
        machine.deposit(traded.address, ACCOUNT_USDC * MICRO)
        machine.advance(START_NS + SECOND)
        for number in (ENGINE, WATCHDOG):
            agent = {"type": "approveAgent", **CHAIN, "agentAddress": signer_of(number).address}
            taken = machine.admit(
                traded.body({**agent, "agentName": f"agent {number}"}), traded.label, START_NS + SECOND
            )
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
        self._watch.posted(label, msgspec.json.decode(body))
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
        self.machine = Machine(self._settings, flow=opening.synthetic_flow(self._settings))
        self.machine.restore(self._kept, self.time.now_ns)
        self._advance()

    def _advance(self) -> None:
        if self.is_dead:
            return
        outcome = self.machine.advance(self.time.now_ns)
        if outcome.blocks:
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
        mischief, channel = self.mischief, channel_of(frame)
        if mischief.tells_none and channel in _OWN_STREAMS:
            return
        if channel == _POST:
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
        number = self.machine.addresses.number(ACCOUNT)
        assert number is not None, "it was opened at the start"
        return self.machine.records.account(number)

    def positions(self) -> list[int]:
        """Of the traded account, in lots by market."""
        number = self.machine.addresses.number(ACCOUNT)
        return [
            int(lots) for lots in self.machine.kernel.chain.exchange.holdings["position_lots"][number, : len(COINS)]
        ]

    def marks(self) -> np.ndarray:
        """In ticks by market."""
        return self.machine.kernel.chain.exchange.marks[: len(COINS)]

    def found(self) -> Found:
        """What an engine finds out before it starts."""
        meta, spot_meta = markets.read_meta(self.ask("meta")), markets.read_spot_meta(self.ask("spotMeta"))
        assert not isinstance(meta, Fault) and not isinstance(spot_meta, Fault)
        traded = markets.markets_of(meta, spot_meta, COINS)
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
