"""A gateway with its fates and the embedded exchange in virtual time, over a network that loses, delays, repeats and
cuts, drawn from a seed; somebody else trades against it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from hlhft.exchange.answers import Answer
from hlhft.hyperliquid import account_requests as questions
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.answers import ActionPosted, PostRefused
from hlhft.hyperliquid.backoff import DRAWS, Budget, message_budget
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.gateway import Gateway
from hlhft.hyperliquid.gateway_events import (
    AskFills,
    AskStatus,
    BlockTime,
    Effect,
    FillsRead,
    Found,
    Gate,
    HttpAnswered,
    Input,
    LaneDown,
    LaneUp,
    Listed,
    MarkWritten,
    NonceEvidence,
    NotWritten,
    Post,
    Posted,
    PostHttp,
    Report,
    SetTimer,
    Start,
    StatusRead,
    Tell,
    Timer,
    TimerName,
    Told,
    WriteMark,
    Written,
)
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.messages import Fills, NonUserCancels, OrderUpdates, Reader
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.packing import LEG_DTYPE
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.subscriptions import StreamKind, message, user_stream
from tests.exchange.clients import START_NS, Client, listing, order, orders, small_machine

MS, S = 1_000_000, 1_000_000_000
OWNER, SESSION = 5, 3
MARKETS = tuple(listed.market for listed in listing().markets)
PRICES = (1_100_000, 400_000)  # of the markets, in ticks
STEP = 10
ALO, GTC, IOC = 0, 1, 2
ACKNOWLEDGED, REJECTED, FILLED, CANCELLED, EXPIRED, UNKNOWN = range(16, 22)
SEND_FAILED, REFUSED = 33, 34
ENDS = frozenset({REJECTED, CANCELLED, EXPIRED, SEND_FAILED, REFUSED})
FROM_MS = START_NS // MS - 60_000
STREAMS = (StreamKind.ORDER_UPDATES, StreamKind.USER_FILLS, StreamKind.USER_EVENTS)


class World:
    """`loss` is the share of requests, answers and readings that never arrive, `late` that of answers which come up to
    six seconds later, `twice` that of answers which come twice, `cut` that of requests with which a connection ends."""

    def __init__(self, seed: int, *, with_delays: bool = True) -> None:
        self.random = random.Random(seed)
        self.machine = small_machine(with_delays=with_delays, order_slots=512, seed=seed + 1)
        self.us, self.them = Client(self.machine, 9), Client(self.machine, 1)
        self.loss = self.late = self.twice = self.cut = 0.0
        self.now_ns = self.machine.time_ns
        self.reader = AccountReader(MARKETS, user=self.us.address)
        self.streams = Reader(MARKETS)
        self.fates = Fates(MARKETS, owner=OWNER, session=SESSION)
        self.nonces = NonceAllocator(0)
        records = np.concatenate([market.record() for market in MARKETS])
        encoder = Encoder(records, self.us.signer, owner=OWNER, session=SESSION, mainnet=False, legs_max=8)
        self.gateway = Gateway(
            GatewaySettings(account=self.us.address),
            encoder=encoder,
            nonces=self.nonces,
            fates=self.fates,
            messages=message_budget(),
            requests=Budget(600),
        )
        self.later: list[tuple[int, int, Callable[[], None]]] = []
        self.timers: dict[TimerName, int] = {}
        self.lanes = [0, 0]  # the exchange's numbers of the sockets, 0 while they are down
        self.sockets = [0, 0]  # ours
        self.feed = 0
        self.tickets: dict[int, int] = {}  # of HTTP requests at the exchange
        self.bodies: dict[int, set[bytes]] = {}  # by nonce
        self.reports: list[Report] = []
        self.found: list[Found] = []
        self.open: dict[int, int] = {}  # what the core would think of as resting, and its market
        self.placed: dict[int, bool] = {}  # every order that was sent, and whether the core was told that it is over
        self.position = [0, 0]
        self.fee_micro = 0
        self.numbers = 0
        self.tell(Start())
        self.tell(NonceEvidence(0))
        for lane in (0, 1):
            self.connect(lane)
        self.subscribe()
        self.tell(Gate(is_open=True))

    # The shell.

    def tell(self, event: Input) -> None:
        self.perform(self.gateway.on(event, self.now_ns))

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Post):
                self.post(effect)
            elif isinstance(effect, PostHttp):
                self.note(effect.body)
                self.tell(Written(effect.request_id, self.now_ns))
                self.post_http(effect)
            elif isinstance(effect, Tell):
                self.learn(effect.rows)
            elif isinstance(effect, WriteMark):
                self.tell(MarkWritten(effect.mark))
            elif isinstance(effect, AskStatus):
                self.read_status(effect)
            elif isinstance(effect, AskFills):
                self.read_fills(effect.since_ms)
            elif isinstance(effect, SetTimer):
                self.timers[effect.name] = effect.at_ns
            elif isinstance(effect, Report):
                self.reports.append(effect)
            elif isinstance(effect, Found):
                self.found.append(effect)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def post(self, effect: Post) -> None:
        connection = self.lanes[effect.lane] if self.sockets[effect.lane] == effect.socket else 0
        if connection == 0:
            self.tell(NotWritten(effect.request_id))
            return
        self.note(bytes(msgspec.json.decode(effect.payload, type=_Frame).request.payload))
        self.tell(Written(effect.request_id, self.now_ns))
        if not self.chance(self.loss):
            for frame in self.machine.sockets.receive(connection, effect.payload, self.now_ns):
                self.arrive(connection, frame)
        if self.chance(self.cut):
            self.disconnect(effect.lane)

    def post_http(self, effect: PostHttp) -> None:
        if self.chance(self.loss):
            self.after(2 * S, lambda: self.tell(HttpAnswered(effect.request_id)))
            return
        taken = self.machine.admit(effect.body, self.us.label, self.now_ns)
        if isinstance(taken, Answer):
            self.tell(HttpAnswered(effect.request_id, taken.status, taken.body))
        else:
            self.tickets[taken] = effect.request_id

    def note(self, body: bytes) -> None:
        nonce = msgspec.json.decode(body)["nonce"]
        self.bodies.setdefault(nonce, set()).add(body)

    def after(self, wait_ns: int, act: Callable[[], None]) -> None:
        self.numbers += 1
        heapq.heappush(self.later, (self.now_ns + wait_ns, self.numbers, act))

    def connect(self, lane: int) -> None:
        if self.lanes[lane]:
            return
        opened = self.machine.sockets.open(self.us.label, self.now_ns)
        if isinstance(opened, str):
            self.after(S, lambda: self.connect(lane))
            return
        self.lanes[lane] = opened[0]
        self.sockets[lane] += 2
        self.tell(LaneUp(lane, self.sockets[lane] + lane))
        self.sockets[lane] += lane

    def disconnect(self, lane: int) -> None:
        self.machine.sockets.disconnect(self.lanes[lane])
        self.lanes[lane] = 0
        self.tell(LaneDown(lane))
        self.after(self.random.randrange(100, 3000) * MS, lambda: self.connect(lane))

    def subscribe(self) -> None:
        """The connection with our own news; what it missed is read."""
        opened = self.machine.sockets.open(self.us.label, self.now_ns)
        assert not isinstance(opened, str)
        self.feed = opened[0]
        for kind in STREAMS:
            for frame in self.machine.sockets.receive(
                self.feed, message("subscribe", user_stream(kind, self.us.address)), self.now_ns
            ):
                self.arrive(self.feed, frame)
        self.read_all()

    def unsubscribe(self) -> None:
        self.machine.sockets.disconnect(self.feed)
        self.feed = 0

    def arrive(self, connection: int, frame: bytes) -> None:
        envelope = msgspec.json.decode(frame, type=_Envelope)
        if envelope.channel not in Reader.channels:
            return
        told = self.streams.read(envelope.channel, envelope.data)
        assert not isinstance(told, Fault), frame
        if isinstance(told, OrderUpdates | Fills | NonUserCancels):
            self.tell(Told(told))
        elif isinstance(told, ActionPosted | PostRefused) and connection in self.lanes:
            self.answer(self.lanes.index(connection), told)

    def answer(self, lane: int, told: ActionPosted | PostRefused) -> None:
        event = Posted(self.sockets[lane], told)
        if self.chance(self.loss):
            return
        if self.chance(self.late):
            self.after(self.random.randrange(6000) * MS, lambda: self.tell(event))
        else:
            self.tell(event)
        if self.chance(self.twice):
            self.tell(event)

    # Readings.

    def info(self, body: bytes) -> bytes:
        answer = self.machine.info(body, self.us.label, self.now_ns, weighed=False)
        assert answer.status == 200, answer
        return answer.body

    @property
    def block_ms(self) -> int:
        return self.machine.time_ns // MS

    def read_status(self, effect: AskStatus) -> None:
        if not self.chance(self.loss):
            status = self.reader.order_status(self.info(effect.body))
            assert not isinstance(status, Fault)
            self.tell(StatusRead(effect.order_id, effect.revision, status))

    def read_fills(self, since_ms: int) -> None:
        if not self.chance(self.loss):
            block_ms = self.block_ms
            body = questions.of_time(questions.InfoKind.FILLS, self.us.address, since_ms).body
            fills = self.reader.fills(self.info(body))
            assert not isinstance(fills, Fault)
            self.tell(Told(Fills(fills=fills)))
            self.tell(FillsRead(since_ms, block_ms, self.now_ns))

    def read_all(self) -> None:
        """What a reconciliation reads."""
        body = questions.of_user(questions.InfoKind.FRONTEND_OPEN_ORDERS, self.us.address).body
        found = self.reader.open_orders(self.info(body))
        assert not isinstance(found, Fault)
        self.tell(Listed(found, self.block_ms, self.now_ns))
        self.read_fills(FROM_MS)

    # The core.

    def learn(self, rows: list[Row]) -> None:
        for _, _, ticks, lots, order_id, aux0, aux1, kind, _, market, side, _ in rows:
            if kind == ACKNOWLEDGED:
                self.open[order_id] = market
            elif kind == FILLED:
                assert ticks > 0 and lots > 0
                self.position[market] += side * lots
                self.fee_micro += aux1
                if aux0 == 0:
                    self.end(order_id)
            elif kind == UNKNOWN:
                self.open.pop(order_id, None)
            elif kind in ENDS and not (kind in (SEND_FAILED, REFUSED) and order_id in self.open):
                # A failure to cancel ends nothing.
                self.end(order_id)

    def end(self, order_id: int) -> None:
        self.open.pop(order_id, None)
        assert not self.placed[order_id], f"order {order_id} ends twice"
        self.placed[order_id] = True

    def command(self, count: int, **values: Any) -> np.ndarray:
        self.numbers += 1
        made = np.zeros(count, LEG_DTYPE)
        values = {"ts_ns": self.now_ns, "batch_id": self.numbers, **values}
        for name, value in values.items():
            made[name] = value
        return made

    def decide(self) -> None:
        """Some quotes, some cancels."""
        if self.open and self.chance(0.5):
            chosen = self.random.sample(sorted(self.open), min(len(self.open), self.random.randrange(1, 4)))
            legs = self.command(len(chosen), kind=2)
            legs["order_id"] = chosen
            legs["market"] = [self.open[order_id] for order_id in chosen]
            self.perform(self.gateway.send(legs, self.now_ns, self.now_ns))
        if len(self.open) < 12:
            tif = self.random.choice((ALO, ALO, GTC, IOC))
            count = self.random.randrange(1, 4)
            legs = self.command(count, kind=1, command_class=1 if tif == ALO else 2, time_in_force=tif)
            legs["expires_ns"] = self.now_ns + 3 * S
            for leg in legs:
                self.numbers += 1
                leg["order_id"] = self.numbers << 10 | self.numbers % 1024
                leg["market"] = market = self.random.randrange(2)
                leg["side"] = self.random.choice((-1, 1))
                leg["price_ticks"] = PRICES[market] + self.random.randrange(-12, 13) * STEP
                leg["size_lots"] = self.random.randrange(100, 300)
                self.placed[int(leg["order_id"])] = False
            self.reduce(legs)
            self.perform(self.gateway.send(legs, self.now_ns, self.now_ns))

    def reduce(self, legs: np.ndarray) -> None:
        """Immediate orders may only reduce what is held: they are posted again as they are."""
        if legs[0]["time_in_force"] == IOC and all(self.position) and self.chance(0.7):
            legs["reduce_only"] = 1
            for leg in legs:
                leg["side"] = -1 if self.position[leg["market"]] > 0 else 1
                leg["price_ticks"] = PRICES[leg["market"]] + leg["side"] * 20 * STEP

    def others(self) -> None:
        """Somebody else takes and gives."""
        market = self.random.randrange(2)
        ticks = PRICES[market] + self.random.randrange(-12, 13) * STEP
        price = f"{ticks // 10}" if market == 0 else f"{ticks // 100}.{ticks % 100 // 10}".removesuffix(".0")
        action = order(
            asset=market, buy=self.chance(0.5), price=price, size="0.002" if market == 0 else "0.02",
            tif=self.random.choice(("Gtc", "Ioc")),
        )  # fmt: skip
        self.machine.admit(self.them.body(orders(action)), self.them.label, self.now_ns)

    # Time.

    def run(self, for_ns: int, *, every_ns: int = 0) -> None:
        """Everything that happens within this time; `every_ns` apart somebody decides something."""
        end_ns = self.now_ns + for_ns
        deciding_ns = self.now_ns + every_ns if every_ns else end_ns + 1
        while self.now_ns < end_ns:
            later_ns = self.later[0][0] if self.later else end_ns
            due_ns = min(self.machine.next_deadline_ns(), *self.timers.values(), deciding_ns, end_ns, later_ns)
            self.now_ns = max(self.now_ns, due_ns)
            self.advance()
            while self.later and self.later[0][0] <= self.now_ns:
                heapq.heappop(self.later)[2]()
            for name in [name for name, at_ns in self.timers.items() if at_ns <= self.now_ns]:
                del self.timers[name]
                self.tell(Timer(name, self.random.randrange(DRAWS)))
            if deciding_ns <= self.now_ns:
                deciding_ns += every_ns
                self.decide()
                self.others()

    def advance(self) -> None:
        outcome = self.machine.advance(self.now_ns)
        self.tell(BlockTime(self.block_ms))
        for connection, frame in outcome.frames:
            self.arrive(connection, frame)
        for ticket, answer in outcome.answers:
            request_id = self.tickets.pop(ticket, 0)
            if request_id and self.chance(self.loss):
                self.tell(HttpAnswered(request_id))
            elif request_id:
                self.tell(HttpAnswered(request_id, answer.status, answer.body))


class _Request(msgspec.Struct):
    payload: msgspec.Raw


class _Frame(msgspec.Struct):
    request: _Request


class _Envelope(msgspec.Struct):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")
