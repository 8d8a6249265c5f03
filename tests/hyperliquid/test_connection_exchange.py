"""A connection and the embedded exchange in virtual time, over a network that cuts and loses, drawn from a seed."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from hlhft.exchange.sockets import ESTABLISHED
from hlhft.hyperliquid.backoff import DRAWS
from hlhft.hyperliquid.connection_events import (
    ALARMING,
    Acknowledged,
    Close,
    Closed,
    Data,
    Effect,
    ErrorFrame,
    Input,
    MarketFresh,
    Open,
    Pong,
    PullQuotes,
    Reconcile,
    Reconciled,
    Report,
    ReportCode,
    Send,
    Start,
    TransportUp,
    Upgraded,
)
from hlhft.hyperliquid.connection_table import State
from hlhft.hyperliquid.subscriptions import ALL_MARKETS, StreamKind
from tests.exchange.clients import START_NS, Client, small_machine
from tests.hyperliquid.connections import BBO, CONTEXT, ETH, FAST, TRADES, UPDATES, S, Shell

WANTED = (UPDATES, FAST, BBO, TRADES, CONTEXT, ETH)
ROWS = {"BTC": 0, "ETH": 1}
FAULTS_NS, CALM_NS = 25 * S, 15 * S


class Network:
    """Between a connection and an exchange. `loss` is the share of frames that never arrive, `cut` that of frames with
    which the socket breaks."""

    def __init__(self, seed: int, *, rotation_ns: int = 0) -> None:
        self.random = random.Random(seed)
        self.machine = small_machine(rotation_ns=rotation_ns)
        self.shell = Shell(*WANTED)
        self.loss = self.cut = 0.0
        self.mute = ""  # a channel that brings nothing
        self.at_venue = 0  # the exchange's number of the present socket

    def tell(self, event: Input) -> None:
        self.shell.draw = self.random.randrange(DRAWS)
        self.perform(self.shell.tell(event))

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            now_ns = START_NS + self.shell.now_ns
            if isinstance(effect, Open):
                opened = self.machine.sockets.open(("127.0.0.1", ""), now_ns)
                assert not isinstance(opened, str), f"the exchange refuses: {opened}"
                self.at_venue, greeting = opened
                assert greeting == [ESTABLISHED]
                self.tell(TransportUp(effect.socket))
                self.tell(Upgraded(effect.socket))
            elif isinstance(effect, Send) and effect.socket == self.shell.socket:
                for frame in self.machine.sockets.receive(self.at_venue, effect.payload, now_ns):
                    self.arrive(effect.socket, frame)
            elif isinstance(effect, Close):
                self.machine.sockets.disconnect(self.at_venue)
            elif isinstance(effect, Reconcile):
                self.tell(Reconciled(effect.number))

    def arrive(self, socket: int, frame: bytes) -> None:
        if socket != self.shell.socket or self.random.random() < self.loss:
            return
        if self.random.random() < self.cut:
            self.machine.sockets.disconnect(self.at_venue)
            self.tell(Closed(socket, self.random.randrange(DRAWS)))
            return
        content = msgspec.json.decode(frame)
        if content["channel"] == self.mute:
            return
        event = read(socket, content)
        if event is not None:
            self.tell(event)

    def run(self, for_ns: int) -> None:
        end_ns = self.shell.now_ns + for_ns
        while self.shell.now_ns < end_ns:
            due_ns = min(self.machine.next_deadline_ns() - START_NS, self.shell.next_ns() or end_ns, end_ns)
            self.shell.now_ns = max(self.shell.now_ns, due_ns)
            outcome = self.machine.advance(START_NS + self.shell.now_ns)
            socket, at_venue = self.shell.socket, self.at_venue
            for connection, frame in outcome.frames:
                if connection == at_venue:
                    self.arrive(socket, frame)
            for close in outcome.closes:
                if close.connection == self.at_venue:
                    self.tell(Closed(self.shell.socket, 0, close.code, close.reason))
            while (self.shell.next_ns() or end_ns + 1) <= self.shell.now_ns:
                self.perform(self.shell.fire())

    def reports(self) -> set[ReportCode]:
        return {effect.code for _, effect in self.shell.history if isinstance(effect, Report)}

    def is_well(self) -> bool:
        connection = self.shell.connection
        return connection.state is State.LIVE and all(connection.is_fresh(row) for row in (ALL_MARKETS, 0, 1))


def read(socket: int, frame: dict[str, Any]) -> Input | None:
    """What a frame of the exchange is to a connection."""
    channel, data = frame["channel"], frame.get("data")
    if channel == "pong":
        return Pong(socket)
    if channel == "subscriptionResponse":
        return Acknowledged(socket, data["method"], data["subscription"])
    if channel == "error":
        return ErrorFrame(socket, data)
    if channel == "trades":
        return Data(socket, StreamKind.TRADES, ROWS[data[0]["coin"]], data[-1]["time"])
    if channel == "activeAssetCtx":
        return Data(socket, StreamKind.CONTEXT, ROWS[data["coin"]])
    if channel == "bbo":
        return Data(socket, StreamKind.BBO, ROWS[data["coin"]], data["time"], *map(ticks, data["bbo"]))
    assert channel == "l2Book" and data["fast"]
    touch = [ticks(side[0] if side else None) for side in data["levels"]]
    return Data(socket, StreamKind.FAST_BOOK, ROWS[data["coin"]], data["time"], *touch)


def ticks(level: dict[str, Any] | None) -> int:
    return 0 if level is None else round(float(level["px"]) * 10)


def test_a_healthy_exchange_is_live_at_once_and_stays_so() -> None:
    network = Network(0)
    Client(network.machine, 1)
    network.tell(Start())
    network.run(12 * S)
    assert network.is_well()
    assert network.reports() == {ReportCode.LIVE}
    told = [now_ns for now_ns, effect in network.shell.history if isinstance(effect, MarketFresh)]
    assert len(told) == 3 and max(told) <= S


def test_rotation_is_routine() -> None:
    network = Network(0, rotation_ns=6 * S)
    network.tell(Start())
    network.run(8 * S)
    assert network.is_well()
    assert network.reports() == {ReportCode.LIVE, ReportCode.ROTATED}


def test_a_channel_that_falls_silent_pulls_its_markets_and_no_other() -> None:
    """The fast books stop, everything else flows: both markets are pulled after 2 s, the user's streams are not."""
    network = Network(0)
    network.tell(Start())
    network.run(5 * S)
    network.mute = "l2Book"
    before = len(network.shell.history)
    network.run(30 * S)
    told = [(now_ns, effect) for now_ns, effect in network.shell.history[before:]]
    pulled = [now_ns for now_ns, effect in told if isinstance(effect, PullQuotes) and effect.market >= 0]
    assert 6 * S < min(pulled) <= max(pulled) <= 7 * S
    assert not any(isinstance(effect, MarketFresh) and effect.market >= 0 for _, effect in told)
    network.mute = ""
    network.run(20 * S)
    assert network.is_well()


@pytest.mark.parametrize("seed", range(1, 9))
def test_it_comes_back_from_a_network_that_cuts_and_loses(seed: int) -> None:
    network = Network(seed)
    network.tell(Start())
    network.loss, network.cut = 0.35, 0.02
    network.run(FAULTS_NS)
    assert network.reports() & ALARMING, f"seed {seed} drew no faults"
    network.loss = network.cut = 0.0
    network.run(CALM_NS)
    assert network.is_well(), f"seed {seed}: {network.shell.connection.state}"
    opens = [now_ns for now_ns, effect in network.shell.history if isinstance(effect, Open)]
    assert len(opens) <= 30


def test_one_seed_is_one_history() -> None:
    histories = []
    for _ in range(2):
        network = Network(7)
        network.tell(Start())
        network.loss, network.cut = 0.3, 0.05
        network.run(5 * S)
        histories.append(network.shell.history)
    assert histories[0] == histories[1]
