"""A trader with the core's order table, its fates and the embedded exchange; the wire loses, doubles and reorders.

Everything is drawn from a seed. What the world checks after each news: the core never counts less than the truth, and
nothing is done before its fills are booked.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hlhft.core import orders as core
from hlhft.core.orders import TABLE, OrderEvent
from hlhft.core.state import SLOT_BITS, OrderState, new_lane
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.exchange.answers import Answer
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import InfoKind, InfoRequest, of_time, of_user, order_status
from hlhft.hyperliquid.answers import action_answer
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import HALTING, FateReport, Question, Sent
from hlhft.hyperliquid.messages import Fills, NonUserCancels, OrderUpdates, Reader
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.wire import cloid_text
from hlhft.units import decimal_text
from tests.exchange.clients import ETH, MILLISECOND_NS, Client, order, orders, small_machine
from tests.hyperliquid.fate_news import ALO, GTC, IOC, OWNER, SESSION, cloid, command, commands

TIFS = {ALO: "Alo", GTC: "Gtc", IOC: "Ioc"}
MID = 400_000
EXPIRY_MS = 400
SILENCE_MS = 300
_KIND = EVENT_DTYPE.names.index("kind")
_ORDER_KINDS = frozenset(range(16, 23)) | {int(EventKind.COMMAND_SEND_FAILED)}


@dataclass
class Post:
    """An action on its way to the exchange, or waiting for its answer to come back."""

    nonce: int
    body: bytes
    expires_ms: int
    kind: ActionKind
    order_ids: tuple[int, ...]
    arrives_ms: int  # when it reaches the exchange; 0: it never does
    sent_ms: int
    is_silent: bool = False


@dataclass
class Faults:
    """Shares of what is lost, doubled and held back."""

    lost_posts: float = 0.1
    lost_answers: float = 0.15
    lost_frames: float = 0.15
    doubled: float = 0.15
    voids: float = 0.3


@dataclass
class World:
    """One trader, one counterparty and the wire between them."""

    seed: int
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.machine = small_machine(with_limits=False, order_slots=256, client_ids_max=1 << 12)
        self.trader = Client(self.machine, 1, usdc=1_000_000)
        self.other = Client(self.machine, 2, usdc=1_000_000)
        listed = self.machine.settings.listing.markets
        self.markets = tuple(one.market for one in listed)
        self.fates = Fates(self.markets, owner=OWNER, session=SESSION)
        self.reader = Reader(self.markets)
        self.account = AccountReader(self.markets, user=self.trader.address)
        _, self.lane = new_lane(2)
        self.position: Any = self.lane.positions[ETH]
        self.posts: list[Post] = []
        self.tickets: dict[int, Post] = {}
        self.unanswered: dict[int, Post] = {}
        self.voided: set[int] = set()
        self.pending: list[Any] = []  # news on its way to us
        self.reports: list[FateReport] = []
        self.done: set[int] = set()
        self.order_ids: list[int] = []
        self.log: list[Any] = []  # what was sent, and what was heard
        self._subscribe()

    # Time and the wire.

    @property
    def now_ns(self) -> int:
        return self.machine.time_ns

    @property
    def now_ms(self) -> int:
        return self.machine.time_ns // MILLISECOND_NS

    def _subscribe(self) -> None:
        opened = self.machine.sockets.open(("127.0.0.1", "trader"), self.now_ns)
        assert not isinstance(opened, str)
        self.socket = opened[0]
        for kind in ("orderUpdates", "userFills", "userEvents"):
            text = {"method": "subscribe", "subscription": {"type": kind, "user": self.trader.address}}
            for frame in self.machine.sockets.receive(self.socket, json.dumps(text).encode(), self.now_ns):
                self._arrive(frame)

    def reconnect(self) -> None:
        """The socket breaks; the next one brings the snapshot of fills again."""
        self.machine.sockets.disconnect(self.socket)
        self._subscribe()

    def advance(self, milliseconds: int) -> None:
        """Time passes; what is due reaches the exchange, and what it says goes on its way."""
        now_ns = self.now_ns + milliseconds * MILLISECOND_NS
        for post in [post for post in self.posts if post.arrives_ms and post.arrives_ms <= now_ns // MILLISECOND_NS]:
            self.posts.remove(post)
            ticket = self.machine.admit(post.body, self.trader.label, now_ns)
            assert isinstance(ticket, int), ticket
            self.tickets[ticket] = post
        self._take(self.machine.advance(now_ns))

    def _take(self, outcome: Any) -> None:
        for ticket, answer in outcome.answers:
            post = self.tickets.pop(ticket, None)
            if post is not None and self.random.random() >= self.faults.lost_answers:
                self._carry((post, answer))
        for connection, frame in outcome.frames:
            if connection == self.socket and self.random.random() >= self.faults.lost_frames:
                self._arrive(frame)

    def _arrive(self, frame: bytes) -> None:
        envelope = msgspec.json.decode(frame, type=dict[str, msgspec.Raw])
        channel = msgspec.json.decode(envelope["channel"])
        if channel not in Reader.channels:
            return
        message = self.reader.read(channel, envelope["data"])
        assert not isinstance(message, Fault), frame
        if isinstance(message, OrderUpdates | Fills | NonUserCancels):
            self._carry(message)

    def _carry(self, news: Any) -> None:
        self.pending.append(news)
        if self.random.random() < self.faults.doubled:
            self.pending.append(news)

    def deliver(self) -> None:
        """One piece of news, any of those under way."""
        if self.pending:
            self.hear(self.pending.pop(self.random.randrange(len(self.pending))))

    def hear(self, news: Any) -> None:
        now_ns = self.now_ns
        self.log.append(news)
        if isinstance(news, OrderUpdates):
            self.tell(self.fates.updated(news, now_ns))
        elif isinstance(news, Fills):
            self.tell(self.fates.filled(news, now_ns))
        elif isinstance(news, NonUserCancels):
            self.tell(self.fates.ended(news, now_ns))
        else:
            post, answer = news
            self.unanswered.pop(post.nonce, None)
            told = action_answer(answer.body)
            assert not isinstance(told, Fault)
            self.tell(self.fates.answered(post.nonce, told, now_ns))

    def info(self, request: InfoRequest) -> bytes:
        answer: Answer = self.machine.info(request.body, self.trader.label, self.now_ns)
        assert answer.status == 200, answer
        return answer.body

    # What the trader does.

    def place(self) -> None:
        legs, wire = [], []
        for _ in range(self.random.randint(1, 3)):
            side = self.random.choice((1, -1))
            tif = self.random.choice((ALO, ALO, ALO, GTC, IOC))
            away = self.random.randint(-1, 4) if tif == ALO else self.random.randint(-4, 2)
            ticks, lots = MID - side * 100 * away, self.random.randint(50, 300)
            reduce_only = self.random.random() < 0.1
            order_id = int(
                core.create(
                    self.lane.lane[0], self.position, self.lane.orders[ETH], self.lane.active[ETH], side, ticks, lots,
                    tif, int(reduce_only), self.now_ns, 0,
                )
            )  # fmt: skip
            if not order_id:
                break
            self.order_ids.append(order_id)
            core.mark_sent(self.lane.orders[ETH], order_id, 1, self.now_ns)
            legs.append(
                command(
                    order_id, ts_ns=self.now_ns, market=ETH, side=side, price_ticks=ticks, size_lots=lots,
                    time_in_force=tif, reduce_only=int(reduce_only),
                )
            )  # fmt: skip
            wire.append(self._wire(legs[-1], 0))
        if legs:
            self._send(ActionKind.ORDER, legs, orders(*wire))

    def _wire(self, leg: dict[str, int], revision: int) -> dict[str, Any]:
        market = self.markets[ETH]
        return order(
            asset=ETH, buy=leg["side"] > 0, price=decimal_text(leg["price_ticks"], market.price_decimals),
            size=decimal_text(leg["size_lots"], market.size_decimals), tif=TIFS[leg["time_in_force"]],
            reduce=bool(leg["reduce_only"]), cloid=cloid_text(cloid(leg["order_id"], revision)),
        )  # fmt: skip

    def _open(self) -> Any:
        """An order that the core takes for one that rests."""
        slots = [
            slot
            for slot in self.lane.active[ETH, : self.position["active_count"]]
            if core.may_cancel(self.lane.orders[ETH], slot)
        ]
        return self.lane.orders[ETH, self.random.choice(slots)] if slots else None

    def cancel(self) -> None:
        one = self._open()
        if one is None:
            return
        order_id = int(one["order_id"])
        identity = self.fates.identity(order_id)
        one["state"] = TABLE[one["state"], OrderEvent.CANCEL_SEND]
        named = cloid_text(cloid(order_id, identity.revision if identity else 0))
        action = {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": named}], "f": True}
        self._send(ActionKind.CANCEL_BY_CLOID, [command(order_id, kind=2, market=ETH)], action)

    def modify(self) -> None:
        one = self._open()
        if one is None:
            return
        order_id, side = int(one["order_id"]), int(one["side"])
        identity = self.fates.identity(order_id)
        if identity is None or identity.oid == 0:
            return
        ticks, lots = MID - side * 100 * self.random.randint(-1, 4), self.random.randint(50, 300)
        leg = command(
            order_id, kind=3, market=ETH, ts_ns=self.now_ns, side=side, price_ticks=ticks, size_lots=lots,
            reduce_only=int(one["reduce_only"]),
        )  # fmt: skip
        one["state"] = TABLE[one["state"], OrderEvent.MODIFY_SEND]
        # The core counts both until the answer.
        one["remaining_lots"] += lots
        self.position["open_buy_lots" if side > 0 else "open_sell_lots"] += lots
        wire = {"oid": identity.oid, "order": self._wire(leg, identity.revision_last + 1)}
        if self.random.random() < 0.5:
            self._send(ActionKind.BATCH_MODIFY, [leg], {"type": "batchModify", "modifies": [wire]})
        else:
            self._send(ActionKind.MODIFY, [leg], {"type": "modify", **wire})

    def _send(self, kind: ActionKind, legs: list[dict[str, int]], action: dict[str, Any]) -> None:
        is_cancel = kind is ActionKind.CANCEL_BY_CLOID
        expires_ms = self.now_ms + EXPIRY_MS
        body = self.trader.body(action, expires=None if is_cancel else expires_ms)
        nonce = json.loads(body)["nonce"]
        sent = Sent(kind, nonce, None if is_cancel else expires_ms, 1, commands(*legs))
        self.log.append(sent)
        self.tell(self.fates.sent(sent))
        lost = self.random.random() < self.faults.lost_posts
        late_ms = self.random.choice((1, 1, 20, 100, 600))
        post = Post(
            nonce, body, expires_ms, kind, tuple(leg["order_id"] for leg in legs),
            0 if lost else self.now_ms + late_ms, self.now_ms,
        )  # fmt: skip
        self.posts.append(post)
        self.unanswered[nonce] = post

    def trade(self) -> None:
        """The counterparty takes, or rests."""
        side = self.random.choice((True, False))
        tif = self.random.choice(("Ioc", "Alo"))
        away = self.random.randint(-5, 5)
        price = decimal_text(MID + (100 if side else -100) * away, self.markets[ETH].price_decimals)
        size = decimal_text(self.random.randint(50, 400), self.markets[ETH].size_decimals)
        body = self.other.body(orders(order(asset=ETH, buy=side, price=price, size=size, tif=tif)))
        assert isinstance(self.machine.admit(body, self.other.label, self.now_ns + MILLISECOND_NS), int)
        self.advance(1)

    def give_up(self, *, after_ms: int = SILENCE_MS) -> None:
        """Answers that did not come are not waited for; sometimes a noop is sent under their nonce."""
        for post in list(self.unanswered.values()):
            if post.is_silent or self.now_ms - post.sent_ms < after_ms:
                continue
            post.is_silent = True
            self.tell(self.fates.silent(post.nonce, self.now_ns))
            if post.arrives_ms > self.now_ms and self.random.random() < self.faults.voids:
                self._void(post)

    def _void(self, post: Post) -> None:
        body = self.trader.body({"type": "noop"}, nonce=post.nonce)
        ticket = self.machine.admit(body, self.trader.label, self.now_ns + MILLISECOND_NS)
        outcome = self.machine.advance(self.now_ns + MILLISECOND_NS)
        answer = next(answer for one, answer in outcome.answers if one == ticket)
        self._take(outcome)
        if json.loads(answer.body)["status"] == "ok":
            self.voided.add(post.nonce)
            self.tell(self.fates.voided(post.nonce, self.now_ns))

    def ask(self) -> None:
        """Every doubt is asked about, once."""
        for doubt in self.fates.doubts(self.now_ns):
            if doubt.question is Question.FILLS:
                self.read_fills(doubt.since_ms)
                continue
            named = {"oid": doubt.oid} if doubt.oid else {"cloid": doubt.cloid}
            told = self.account.order_status(self.info(order_status(self.trader.address, **named)))
            assert not isinstance(told, Fault)
            rows = self.fates.status_read(doubt.order_id, told, self.now_ms, self.now_ns, revision=doubt.revision)
            self.tell(rows)

    def read_fills(self, since_ms: int) -> None:
        told = self.account.fills(self.info(of_time(InfoKind.FILLS, self.trader.address, since_ms)))
        assert not isinstance(told, Fault)
        self.tell(self.fates.filled(Fills(fills=told), self.now_ns))
        self.tell(self.fates.fills_read(since_ms, self.now_ms, self.now_ns, self.now_ns))

    def list_orders(self) -> None:
        told = self.account.open_orders(self.info(of_user(InfoKind.OPEN_ORDERS, self.trader.address)))
        assert not isinstance(told, Fault)
        self.tell(self.fates.listed(told, self.now_ms, self.now_ns, self.now_ns))

    # What the core makes of it.

    def tell(self, rows: list[Row]) -> None:
        for row in rows:
            _, ts_local, ticks, lots, order_id, aux0, aux1, kind, flags, market, side, _ = row
            assert kind in _ORDER_KINDS
            assert market == ETH
            core.apply(
                self.lane.lane[0], self.position, self.lane.orders[ETH], self.lane.active[ETH], kind, order_id, side,
                ticks, lots, int(aux0), aux1, int(bool(flags & 8)), ts_local,
            )  # fmt: skip
            assert self.lane.lane[0]["illegal_transitions"] == 0, (row, self.state_of(order_id))
        self.reports += self.fates.take_reports()
        assert not [report for report in self.reports if report.code in HALTING]
        self.check()

    def state_of(self, order_id: int) -> str:
        one = self.lane.orders[ETH, order_id & ((1 << SLOT_BITS) - 1)]
        return f"{OrderState(int(one['state'])).name} of {one['order_id']}"

    # What is true.

    def true_position(self) -> int:
        state = self.trader.info("clearinghouseState")
        found = [one["position"]["szi"] for one in state["assetPositions"] if one["position"]["coin"] == "ETH"]
        scale = 10 ** self.markets[ETH].size_decimals
        return round(float(found[0]) * scale) if found else 0

    def true_orders(self) -> dict[str, int]:
        """Lots that rest, by client order id."""
        scale = 10 ** self.markets[ETH].size_decimals
        return {one["cloid"]: round(float(one["sz"]) * scale) for one in self.trader.info("openOrders")}

    def true_open(self, side: str) -> int:
        scale = 10 ** self.markets[ETH].size_decimals
        return sum(round(float(one["sz"]) * scale) for one in self.trader.info("openOrders") if one["side"] == side)

    def check(self) -> None:
        """The core's worst case holds the truth, and what is done is over at the exchange."""
        held, truth = int(self.position["position_lots"]), self.true_position()
        assert held + self.position["open_buy_lots"] >= truth + self.true_open("B")
        assert held - self.position["open_sell_lots"] <= truth - self.true_open("A")
        resting = self.true_orders()
        for order_id in self.order_ids:
            if order_id in self.done or not self.fates.is_done(order_id):
                continue
            self.done.add(order_id)
            assert not [one for one in resting if int(one, 16) & (2**64 - 1) == order_id], "it rests"
            for post in [*self.posts, *self.tickets.values()]:
                if order_id in post.order_ids and post.kind is not ActionKind.CANCEL_BY_CLOID and post.arrives_ms:
                    is_past = post.expires_ms < self.now_ms
                    assert is_past or post.nonce in self.voided, "it may still arrive"
