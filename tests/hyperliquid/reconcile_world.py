"""The embedded exchange, one trader with fates and a reconciliation, and takers, in virtual time over a network that
delays everything and loses answers, drawn from a seed."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
import numpy as np

from hlhft.core.state import COMMAND_DTYPE
from hlhft.events import EventKind
from hlhft.exchange.answers import Answer as HttpAnswer
from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import InfoKind, InfoRequest
from hlhft.hyperliquid.answers import ActionAnswer, action_answer
from hlhft.hyperliquid.backoff import DRAWS
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import Doubt, Question, Sent
from hlhft.hyperliquid.messages import Fills, Fundings, NonUserCancels, OrderUpdates, Reader, Transfers
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.reconcile import Reconciliation
from hlhft.hyperliquid.reconcile_compare import Account, own_orders
from hlhft.hyperliquid.reconcile_events import (
    Adopt,
    Answer,
    Ask,
    AskOwn,
    BeginSession,
    CancelLeftovers,
    CorePositions,
    Effect,
    FillsRead,
    Input,
    SetTimer,
    Tell,
    TellFills,
    TellListing,
    Timer,
    TimerName,
    Told,
)
from hlhft.hyperliquid.reconcile_questions import Weights
from hlhft.hyperliquid.reconcile_settings import ReconcileSettings
from hlhft.hyperliquid.wire import cloid_text, ms_of
from tests.exchange.clients import ETH, Client, listing, order, orders, small_machine

S, MS = 1_000_000_000, 1_000_000
OWNER = 77
LIFE_MS = 3_000
PRICES = {1: ("3990", "3995", "3998"), -1: ("4002", "4005", "4010")}
STREAMS = ("orderUpdates", "userFills")


class Exchange:
    """The exchange and what happens on the way to it. `hidden_fills` and `hidden_orders` are told to nobody, by their
    trade and order ids; but positions and statuses have them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.machine = small_machine()
        self.own = Client(self.machine, 1)
        self.taker = Client(self.machine, 2)
        self.now_ns = self.machine.time_ns
        self.hidden_fills: set[int] = set()
        self.hidden_orders: set[int] = set()
        self._sequence = count()
        self._todo: list[tuple[int, int, Callable[[], None]]] = []
        self._answers: dict[int, Callable[[HttpAnswer], None]] = {}
        self._frames: dict[int, tuple[Callable[[bytes], None], list[int]]] = {}

    def draw(self, lowest: int, highest: int) -> int:
        return self.random.randrange(lowest, highest)

    def later(self, delay_ns: int, do: Callable[[], None], *, not_before: int = 0) -> int:
        at_ns = max(self.now_ns + delay_ns, not_before)
        heapq.heappush(self._todo, (at_ns, next(self._sequence), do))
        return at_ns

    def post(self, client: Client, body: bytes, answered: Callable[[HttpAnswer], None]) -> None:
        """An action that arrives in a while, and is answered in the block that follows."""

        def arrive() -> None:
            taken = self.machine.admit(body, client.label, self.now_ns)
            if isinstance(taken, HttpAnswer):
                answered(taken)
            else:
                self._answers[taken] = answered

        self.later(self.draw(5, 150) * MS, arrive)

    def ask(self, body: bytes, answered: Callable[[bytes, int], None]) -> None:
        """A question is read from the newest block when it arrives, and told when its answer has come back."""

        def arrive() -> None:
            answer = self.machine.info(body, ("reader", ""), self.now_ns, weighed=False)
            assert answer.status == 200, answer
            told, block_ms = self._censored(body, answer.body), ms_of(self.machine.time_ns)
            self.later(self.draw(5, 200) * MS, lambda: answered(told, block_ms))

        self.later(self.draw(5, 100) * MS, arrive)

    def _censored(self, body: bytes, answer: bytes) -> bytes:
        kind = json.loads(body)["type"]
        if kind == "openOrders":
            shown = [one for one in json.loads(answer) if one["oid"] not in self.hidden_orders]
        elif kind == "userFillsByTime":
            shown = [one for one in json.loads(answer) if one["tid"] not in self.hidden_fills]
        else:
            return answer
        return json.dumps(shown).encode()

    def listen(self, client: Client, arrive: Callable[[bytes], None]) -> None:
        """Opens a socket for the user's streams; a former one of the same client is cut."""
        for number in [one for one, (of, _) in self._frames.items() if of == arrive]:
            self.machine.sockets.disconnect(number)
            del self._frames[number]
        opened = self.machine.sockets.open(("127.0.0.1", ""), self.now_ns)
        assert not isinstance(opened, str)
        self._frames[opened[0]] = (arrive, [0])
        for kind in STREAMS:
            text = {"method": "subscribe", "subscription": {"type": kind, "user": client.address}}
            for frame in self.machine.sockets.receive(opened[0], json.dumps(text).encode(), self.now_ns):
                self._deliver(opened[0], frame)

    def _deliver(self, socket: int, frame: bytes) -> None:
        if socket in self._frames:
            arrive, newest = self._frames[socket]
            newest[0] = self.later(self.draw(1, 600) * MS, lambda: arrive(frame), not_before=newest[0])

    def run(self, for_ns: int, timer_ns: Callable[[], int], fire: Callable[[], None]) -> None:
        end_ns = self.now_ns + for_ns
        while self.now_ns < end_ns:
            todo_ns = self._todo[0][0] if self._todo else end_ns
            next_ns = min(self.machine.next_deadline_ns(), todo_ns, timer_ns(), end_ns)
            self.now_ns = max(self.now_ns, next_ns)
            outcome = self.machine.advance(self.now_ns)
            for ticket, answer in outcome.answers:
                self._answers.pop(ticket, lambda _: None)(answer)
            for socket, frame in outcome.frames:
                self._deliver(socket, frame)
            while self._todo and self._todo[0][0] <= self.now_ns:
                heapq.heappop(self._todo)[2]()
            if timer_ns() <= self.now_ns:
                fire()


class Unlimited(Weights):
    """Rounds follow each other without a pause here; weights are for the tests of the desk."""

    def wait_ns(self, weight: int, now_ns: int, *, kept: int = 0) -> int:
        return 0


class Trader:
    """One session of ours. What the core would book is in `positions`."""

    def __init__(self, exchange: Exchange, session: int, **settings: Any) -> None:
        self.exchange = exchange
        self.session = session
        self.markets = tuple(one.market for one in listing().markets)
        self.fates = Fates(self.markets, owner=OWNER, session=session, begun_ms=None)
        account = Account(self.markets, owner=OWNER, session=session, asset_ids={"BTC": 0, "ETH": 1})
        user = exchange.own.address
        self.reconcile = Reconciliation(
            ReconcileSettings(**{"round_ns": 2 * S, **settings}), account, user=user, weights=Unlimited(1)
        )
        self.positions = [0] * len(self.markets)
        self.history: list[tuple[int, Effect]] = []
        self.is_dead = False
        self.loss = 0.0  # share of answers to actions that never come
        self._reader = Reader(self.markets)
        self._account_reader = AccountReader(self.markets, user=user)
        self._timers: dict[TimerName, int] = {}
        self._order_sequence = count(1)
        self._nonces = count(exchange.now_ns // MS)
        self._asked_doubts: dict[tuple[int, int], int] = {}
        exchange.listen(exchange.own, self.arrive)

    # The reconciliation.

    def tell(self, event: Input) -> None:
        if not self.is_dead:
            self.perform(self.reconcile.on(event, self.exchange.now_ns))

    def perform(self, effects: list[Effect]) -> None:
        now_ns = self.exchange.now_ns
        for effect in effects:
            self.history.append((now_ns, effect))
            if isinstance(effect, Ask):
                self.ask(effect)
            elif isinstance(effect, SetTimer):
                self._timers[effect.name] = effect.at_ns
            elif isinstance(effect, TellListing):
                self.book(self.fates.listed(effect.orders, effect.block_ms, effect.come_ns, now_ns))
            elif isinstance(effect, TellFills):
                self.book(self.fates.filled(effect.fills, now_ns))
            elif isinstance(effect, FillsRead):
                self.book(self.fates.fills_read(effect.from_ms, effect.through_ms, effect.asked_ns, now_ns))
            elif isinstance(effect, Tell):
                self.book(effect.rows)
            elif isinstance(effect, BeginSession):
                self.book(self.fates.begun(effect.block_ms, now_ns))
            elif isinstance(effect, Adopt):
                for one in effect.orders:
                    self.book(self.fates.adopted(one, effect.block_ms, now_ns))
            elif isinstance(effect, CancelLeftovers):
                self.cancel([(one.asset_id, one.cloid) for one in effect.orders])
            elif isinstance(effect, AskOwn):
                orders = own_orders(self.fates.live_orders(), self.fates.doubts(now_ns))
                self.tell(CorePositions(effect.number, tuple(self.positions), (1, 1), orders))

    def ask(self, ask: Ask) -> None:
        self.exchange.ask(
            ask.body, lambda body, _: self.tell(Answer(ask.request_id, body, self.exchange.random.randrange(DRAWS)))
        )

    def timer_ns(self) -> int:
        return min(self._timers.values(), default=self.exchange.now_ns + S)

    def fire(self) -> None:
        for name in [one for one, at_ns in self._timers.items() if at_ns <= self.exchange.now_ns]:
            del self._timers[name]
            self.tell(Timer(name, self.exchange.random.randrange(DRAWS)))

    def run(self, for_ns: int, every: Callable[[], None] = lambda: None) -> None:
        """Runs, and does something every tenth of a second."""
        end_ns = self.exchange.now_ns + for_ns
        while self.exchange.now_ns < end_ns:
            every()
            self.ask_doubts()
            self.exchange.run(100 * MS, self.timer_ns, self.fire)

    # The core's side.

    def book(self, rows: list[Row]) -> None:
        for row in rows:
            if row[7] == EventKind.ORDER_FILLED:
                self.positions[row[9]] += row[10] * row[3]
            elif row[7] == EventKind.POSITION_STATE:
                self.positions[row[9]] = row[3]

    def arrive(self, frame: bytes) -> None:
        content = msgspec.json.decode(frame)
        if self.is_dead or content["channel"] not in STREAMS:
            return
        if content["channel"] == "userFills":
            hidden = self.exchange.hidden_fills
            content["data"]["fills"] = [one for one in content["data"]["fills"] if one["tid"] not in hidden]
        message = self._reader.read(content["channel"], msgspec.json.encode(content["data"]))
        if isinstance(message, OrderUpdates):
            self.book(self.fates.updated(message, self.exchange.now_ns))
        elif isinstance(message, Fills):
            self.book(self.fates.filled(message, self.exchange.now_ns))
        if isinstance(message, Fills | Fundings | Transfers):
            self.tell(Told(message))
        assert not isinstance(message, Fault | NonUserCancels)

    def place(self, side: int, price: str, size: str, tif: str = "Alo") -> None:
        number = next(self._order_sequence)
        order_id = number << 10 | number % 1_024
        market = self.markets[ETH]
        legs = np.zeros(1, COMMAND_DTYPE)
        legs["order_id"], legs["price_ticks"], legs["size_lots"] = order_id, market.ticks(price), market.lots(size)
        legs["market"], legs["side"], legs["kind"], legs["ts_ns"] = ETH, side, 1, self.exchange.now_ns
        legs["time_in_force"] = {"Alo": 0, "Gtc": 1, "Ioc": 2}[tif]
        cloid = cloid_text(Cloid(OWNER, self.session, order_id).number())
        action = orders(order(buy=side > 0, price=price, size=size, tif=tif, cloid=cloid))
        self.send(ActionKind.ORDER, action, legs, expires_ms=self.exchange.now_ns // MS + LIFE_MS)

    def cancel_one(self) -> None:
        """Cancels one of our live orders."""
        live = [one for one in self.fates.live_orders() if one.session == self.session]
        if live:
            chosen = live[self.exchange.draw(0, len(live))]
            legs = np.zeros(1, COMMAND_DTYPE)
            legs["order_id"], legs["market"], legs["kind"] = chosen.order_id, chosen.market, 2
            action = {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": cloid_text(chosen.cloid)}]}
            self.send(ActionKind.CANCEL_BY_CLOID, action, legs, expires_ms=None)

    def send(self, kind: ActionKind, action: dict[str, Any], legs: np.ndarray, *, expires_ms: int | None) -> None:
        nonce, exchange = next(self._nonces), self.exchange
        self.fates.sent(Sent(kind, nonce, expires_ms, 1, legs))
        if exchange.random.random() < self.loss / 2:
            exchange.later(S, lambda: self.book(self.fates.silent(nonce, exchange.now_ns)))
            return
        body = exchange.own.body(action, nonce=nonce, expires=expires_ms)

        def answered(answer: HttpAnswer) -> None:
            if exchange.random.random() < self.loss / 2:
                exchange.later(S, lambda: self.book(self.fates.silent(nonce, exchange.now_ns)))
                return
            told = action_answer(answer.body)
            assert isinstance(told, ActionAnswer)
            exchange.later(exchange.draw(5, 300) * MS, lambda: self.book(self._told(nonce, told)))

        exchange.post(exchange.own, body, answered)

    def _told(self, nonce: int, told: ActionAnswer) -> list[Row]:
        if self.is_dead:
            return []
        if not told.is_ok:
            return self.fates.refused(nonce, told.text, self.exchange.now_ns)
        return self.fates.answered(nonce, told, self.exchange.now_ns)

    def cancel(self, named: list[tuple[int, int]]) -> None:
        cancels = [{"asset": asset, "cloid": cloid_text(cloid)} for asset, cloid in named]
        body = self.exchange.own.body({"type": "cancelByCloid", "cancels": cancels}, nonce=next(self._nonces))
        self.exchange.post(self.exchange.own, body, lambda _: None)

    def ask_doubts(self) -> None:
        """What the gateway does: asks about each doubtful order twice a second."""
        for doubt in self.fates.doubts(self.exchange.now_ns):
            key = (doubt.order_id, doubt.revision)
            if self.exchange.now_ns - self._asked_doubts.get(key, 0) > S // 2:
                self._asked_doubts[key] = self.exchange.now_ns
                self._ask_doubt(doubt)

    def _ask_doubt(self, doubt: Doubt) -> None:
        user = self.exchange.own.address
        request: InfoRequest
        if doubt.question is Question.FILLS:
            request = requests.of_time(InfoKind.FILLS, user, doubt.since_ms)
        else:
            request = requests.order_status(user, cloid=doubt.cloid)

        asked_ns = self.exchange.now_ns

        def answered(body: bytes, block_ms: int) -> None:
            now_ns = self.exchange.now_ns
            if doubt.question is Question.FILLS:
                fills = self._account_reader.fills(body)
                assert not isinstance(fills, Fault)
                self.book(self.fates.filled(Fills(fills=fills), now_ns))
                self.book(self.fates.fills_read(doubt.since_ms, block_ms, asked_ns, now_ns))
                return
            status = self._account_reader.order_status(body)
            assert not isinstance(status, Fault)
            self.book(self.fates.status_read(doubt.order_id, status, block_ms, now_ns, revision=doubt.revision))

        self.exchange.ask(request.body, answered)

    def die(self) -> None:
        """The process is gone; what it sent may still arrive."""
        self.is_dead = True


def quote_at_random(trader: Trader) -> None:
    """Places, cancels, and is taken from."""
    exchange = trader.exchange
    side = exchange.random.choice((1, -1))
    chance = exchange.random.random()
    if chance < 0.35:
        trader.place(side, exchange.random.choice(PRICES[side]), f"0.{exchange.draw(1, 9)}")
    elif chance < 0.5:
        trader.cancel_one()
    elif chance < 0.75:
        take(exchange, side)


def take(exchange: Exchange, side: int, size: str = "") -> None:
    """Somebody else takes what rests at any of our prices."""
    price, size = ("4015" if side > 0 else "3985"), size or f"0.{exchange.draw(1, 9)}"
    body = exchange.taker.body(orders(order(buy=side > 0, price=price, size=size, tif="Ioc")))
    exchange.post(exchange.taker, body, lambda _: None)


def venue_lots(exchange: Exchange) -> list[int]:
    """What the exchange's books say we hold."""
    holdings = exchange.machine.kernel.chain.exchange.holdings[exchange.own.account]
    return [int(holdings[row]["position_lots"]) for row in range(len(listing().markets))]
