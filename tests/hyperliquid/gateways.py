"""A shell in virtual time for a gateway: it keeps the timers, tells that all is written, and remembers every effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
import numpy as np

from hlhft.hyperliquid.account import OpenOrder
from hlhft.hyperliquid.answers import ActionAnswer, ActionPosted, LegStatus, Outcome, PostRefused
from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS, Budget, message_budget
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.gateway import Gateway
from hlhft.hyperliquid.gateway_events import (
    Effect,
    Gate,
    Input,
    LaneUp,
    MarkWritten,
    NonceEvidence,
    Post,
    Posted,
    PostHttp,
    Report,
    ReportCode,
    SetTimer,
    Start,
    Tell,
    Timer,
    TimerName,
    Told,
    WriteMark,
    Written,
)
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.messages import Fill, Fills, OrderUpdate, OrderUpdates
from hlhft.hyperliquid.nonces import NonceAllocator, NonceRules
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from tests.hyperliquid.actions import MARKETS, OWNER, market_records, row

S, MS = SECOND_NS, MILLISECOND_NS
NOW_NS = 1_790_000_000 * S
SESSION = 7
KEY = bytes([9]) * 32
ACCOUNT = "0x" + "ab" * 20
ENCODER = Encoder(market_records(), Signer(KEY), owner=OWNER, session=SESSION, mainnet=False, legs_max=4)
PLACE, CANCEL, MODIFY = 1, 2, 3
SENT, SEND_FAILED, REFUSED, ADDRESS_ACTIONS, VENUE_MODE = 32, 33, 34, 56, 68  # kinds of events
E = TypeVar("E")


def place(order_id: int = 1025, *, batch_id: int = 1, **values: int) -> np.ndarray:
    """A post-only order."""
    return row(order_id=order_id, batch_id=batch_id, ts_ns=NOW_NS, command_class=1, **values)


def close(order_id: int = 1025, *, batch_id: int = 1) -> np.ndarray:
    """An immediate order that reduces the position."""
    return row(
        order_id=order_id, batch_id=batch_id, ts_ns=NOW_NS, command_class=2, time_in_force=2, reduce_only=1, side=-1
    )


def cancel(order_id: int = 1025, *, batch_id: int = 2, **values: int) -> np.ndarray:
    """The cancel of an order."""
    return row(order_id=order_id, batch_id=batch_id, ts_ns=NOW_NS, kind=CANCEL, command_class=0, **values)


def ok(*outcomes: LegStatus, kind: str = "order") -> ActionAnswer:
    return ActionAnswer(is_ok=True, kind=kind, statuses=outcomes)


def no(text: str) -> ActionAnswer:
    return ActionAnswer(is_ok=False, text=text)


RESTING = LegStatus(outcome=Outcome.RESTING, oid=5)
SUCCESS = LegStatus(outcome=Outcome.SUCCESS)
NEVER_PLACED = LegStatus(outcome=Outcome.ERROR, text="Order was never placed, already canceled, or filled. asset=0")
CANNOT_MODIFY = LegStatus(outcome=Outcome.ERROR, text="Cannot modify canceled or filled order")
DONE = ok(kind="default")  # the answer to a noop
USED = no("Invalid nonce: duplicate nonce 1")
EXPIRED = no("Action already expired")


class Shell:
    """Performs effects by remembering them; `draw` is what every wait is given. The clock runs on the venue's time."""

    def __init__(
        self,
        *,
        encoder: Encoder = ENCODER,
        rules: NonceRules | None = None,
        messages: Budget | None = None,
        requests: Budget | None = None,
        **changes: Any,
    ) -> None:
        self.fates = Fates(MARKETS, owner=OWNER, session=SESSION)
        self.nonces = NonceAllocator(0, rules or NonceRules())
        self.messages = message_budget() if messages is None else messages
        self.requests = Budget(100) if requests is None else requests
        self.gateway = Gateway(
            GatewaySettings(account=ACCOUNT, **changes),
            encoder=encoder,
            nonces=self.nonces,
            fates=self.fates,
            messages=self.messages,
            requests=self.requests,
        )
        self.now_ns = NOW_NS
        self.draw = 0
        self.has_disk = False  # marks are written at once
        self.timers: dict[TimerName, int] = {}
        self.history: list[Effect] = []
        self.bodies: dict[int, bytes] = {}  # of all requests that left

    def begin(self, *lanes: int) -> None:
        """Ready to place: nonces reserved and proven, the gate open, the first noop answered."""
        self.tell(Start())
        self.tell(MarkWritten(self.one(WriteMark).mark))
        self.tell(NonceEvidence(0))
        for lane in lanes or (0, 1):
            self.tell(LaneUp(lane, 10 + lane))
        self.tell(Gate(is_open=True))
        self.answer(self.one(Post), DONE)
        self.history.clear()
        self.has_disk = True

    def tell(self, event: Input) -> list[Effect]:
        """What follows, but for timers."""
        return self.keep(self.gateway.on(event, self.now_ns))

    def send(self, *commands: np.ndarray) -> list[Effect]:
        """The commands of one decision."""
        return self.keep(self.gateway.send(np.concatenate(commands), self.now_ns - 7, self.now_ns))

    def keep(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, SetTimer):
                assert effect.at_ns >= self.now_ns, "no timer in the past"
                self.timers[effect.name] = effect.at_ns
            elif isinstance(effect, Post):
                self.bodies[effect.request_id] = bytes(msgspec.json.decode(effect.payload, type=_Frame).request.payload)
            elif isinstance(effect, PostHttp):
                self.bodies[effect.request_id] = effect.body
        self.history += effects
        return [effect for effect in effects if not isinstance(effect, SetTimer)]

    def answer(self, post: Post, answer: ActionAnswer) -> list[Effect]:
        """The venue answers a post."""
        return self.tell(Posted(post.socket, ActionPosted(id=post.request_id, answer=answer)))

    def refuse(self, post: Post, text: str) -> list[Effect]:
        """The venue does not carry out a post."""
        return self.tell(Posted(post.socket, PostRefused(id=post.request_id, text=text)))

    def written(self, post: Post) -> list[Effect]:
        return self.tell(Written(post.request_id, self.now_ns + 1))

    def fire(self) -> list[Effect]:
        """Goes to the next timer and tells it."""
        name = min(self.timers, key=lambda name: self.timers[name])
        self.now_ns = max(self.now_ns, self.timers.pop(name))
        effects = self.tell(Timer(name, self.draw))
        for mark in every(effects, WriteMark) if self.has_disk else ():
            effects += self.tell(MarkWritten(mark.mark))
        return effects

    def run(self, for_ns: int) -> list[Effect]:
        """All that follows within this time."""
        end_ns, found = self.now_ns + for_ns, []
        while min(self.timers.values(), default=end_ns + 1) <= end_ns:
            found += self.fire()
        self.now_ns = end_ns
        return found

    def one(self, kind: type[E]) -> E:
        """The only effect of its kind so far."""
        return only(self.history, kind)

    def action(self, post: Post | PostHttp) -> dict[str, Any]:
        """What a request carried."""
        made: dict[str, Any] = msgspec.json.decode(self.bodies[post.request_id])
        return made


class _Request(msgspec.Struct):
    payload: msgspec.Raw


class _Frame(msgspec.Struct):
    request: _Request


def every(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def only(effects: Iterable[Effect], kind: type[E]) -> E:
    found = every(effects, kind)
    assert len(found) == 1, found
    return found[0]


def reports(effects: Iterable[Effect]) -> list[ReportCode]:
    return [report.code for report in every(effects, Report)]


def told(effects: Iterable[Effect]) -> list[Row]:
    """All rows for the core, but for those that only count."""
    return [found for tell in every(effects, Tell) for found in tell.rows if found[7] != ADDRESS_ACTIONS]


def counted(effects: Iterable[Effect]) -> int:
    """Actions of the address beside the core's own."""
    return sum(row[5] for tell in every(effects, Tell) for row in tell.rows if row[7] == ADDRESS_ACTIONS)


def kinds(effects: Iterable[Effect]) -> list[tuple[int, int]]:
    """(order, kind) of all rows."""
    return [(row[4], row[7]) for row in told(effects)]


def types(made: Shell, effects: list[Effect]) -> list[str]:
    """The actions that leave."""
    return [made.action(post)["action"]["type"] for post in every(effects, Post) + every(effects, PostHttp)]


def own_cloid(order_id: int) -> int:
    return Cloid(OWNER, SESSION, order_id).number()


def order(order_id: int = 1025, oid: int = 5, *, left: int = 150) -> OpenOrder:
    return OpenOrder(
        coin="BTC", market=0, side=1, price_ticks=1_040_000, left_lots=left, size_lots=150, oid=oid,
        cloid=own_cloid(order_id), is_reduce_only=False, is_trigger=False, placed_ns=NOW_NS, price_text="",
        left_text="", size_text="", fault=Fault.NONE,
    )  # fmt: skip


def update(status: str, order_id: int = 1025, *, left: int = 150) -> Told:
    return Told(
        OrderUpdates(
            updates=(
                OrderUpdate(
                    coin="BTC", market=0, side=1, price_ticks=1_040_000, left_lots=left, size_lots=150, oid=5,
                    cloid=own_cloid(order_id), reduce_only=False, status=status, placed_ns=NOW_NS, status_ns=NOW_NS + S,
                    price_text="", left_text="", size_text="", fault=Fault.NONE,
                ),
            )
        )
    )  # fmt: skip


def fill(lots: int, order_id: int = 1025, tid: int = 1) -> Told:
    made = Fill(
        coin="BTC", market=0, side=1, price_ticks=1_040_000, size_lots=lots, start_lots=0, fee_micro=3, closed_micro=0,
        fee_token="USDC", oid=5, tid=tid, cloid=own_cloid(order_id), is_taker=False, is_liquidation=False, direction="",
        hash="", ts_ns=NOW_NS + S, price_text="", size_text="", fault=Fault.NONE,
    )  # fmt: skip
    return Told(Fills(fills=(made,)))


def adopted_order(cloid: int) -> OpenOrder:
    """One of an earlier session that rests."""
    return OpenOrder(
        coin="ETH", market=1, side=1, price_ticks=40_000, left_lots=150, size_lots=150, oid=77, cloid=cloid,
        is_reduce_only=False, is_trigger=False, placed_ns=NOW_NS, price_text="", left_text="", size_text="",
        fault=Fault.NONE,
    )  # fmt: skip
