"""A reconciliation, a venue that is a few lists, and our own side, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hlhft.events import EventKind
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.reconcile import Reconciliation
from hlhft.hyperliquid.reconcile_compare import Account
from hlhft.hyperliquid.reconcile_events import (
    Agreed,
    Answer,
    Ask,
    AskOwn,
    Begin,
    CancelLeftovers,
    CorePositions,
    Disagreed,
    Effect,
    Empty,
    Input,
    NotEmpty,
    OwnOrder,
    Reason,
    Report,
    ReportCode,
    Row,
    SetTimer,
    Tell,
    Timer,
    TimerName,
)
from hlhft.hyperliquid.reconcile_settings import ReconcileSettings
from hlhft.hyperliquid.wire import cloid_text
from hlhft.units import Market

S, MS = 1_000_000_000, 1_000_000
BEGIN_MS = 1_790_000_000_000
OWNER, SESSION = 77, 5
USER = "0x" + "ab" * 20
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
ETH = Market.perpetual("ETH", asset_id=1, size_decimals=4)
SILVER = Market.perpetual("xyz:SILVER", asset_id=110_000, size_decimals=2)
PURR = Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0)
ASSETS = {"BTC": 0, "ETH": 1, "DOGE": 2, "PURR/USDC": 10_000, "xyz:SILVER": 110_000}
LATENCY_NS = 100 * MS


def own_cloid(order_id: int, *, session: int = SESSION, revision: int = 0, owner: int = OWNER) -> int:
    return Cloid(owner, session, order_id, revision).number()


def listed(order_id: int = 1, *, oid: int = 9, coin: str = "BTC", left: str = "0.01", **more: Any) -> dict[str, Any]:
    """An order of ours as the venue lists it; `cloid` replaces its id."""
    cloid = more.pop("cloid", own_cloid(order_id, session=more.pop("session", SESSION)))
    shape = {
        "coin": coin, "side": "B", "limitPx": "80000.0", "sz": left, "oid": oid, "timestamp": BEGIN_MS,
        "origSz": "0.01", **more,
    }  # fmt: skip
    return shape if cloid is None else {**shape, "cloid": cloid_text(cloid)}


def held(coin: str, size: str, *, value: str = "1000.0", leverage: int = 20) -> dict[str, Any]:
    """A position as the venue shows it."""
    shape = {
        "coin": coin, "szi": size, "leverage": {"type": "cross", "value": leverage}, "entryPx": "1.0",
        "positionValue": value, "unrealizedPnl": "0.0", "liquidationPx": None, "marginUsed": "1.0",
    }  # fmt: skip
    return {"type": "oneWay", "position": shape}


def filled(size: str, *, ms: int, tid: int, side: str = "B", coin: str = "BTC", **more: Any) -> dict[str, Any]:
    """A fill of ours."""
    return {
        "coin": coin, "px": "80000.0", "sz": size, "side": side, "time": ms, "startPosition": "0.0", "dir": "Buy",
        "closedPnl": "0.0", "hash": "0x1", "oid": 9, "crossed": False, "fee": "0.01", "tid": tid, "feeToken": "USDC",
        **more,
    }  # fmt: skip


def moved(ms: int, usdc: str, kind: str = "") -> dict[str, Any]:
    """Money that came, or left when it is below 0."""
    kind = kind or ("withdraw" if usdc.startswith("-") else "deposit")
    return {"time": ms, "hash": "0x1", "delta": {"type": kind, "usdc": usdc.removeprefix("-")}}


class Venue:
    """What the venue says. `broken` maps a kind of question to what it answers instead, None for nothing at all."""

    def __init__(self) -> None:
        self.now_ms = BEGIN_MS
        self.positions: dict[str, list[dict[str, Any]]] = {}
        self.orders: dict[str, list[dict[str, Any]]] = {}
        self.fills: list[dict[str, Any]] = []
        self.transfers: list[dict[str, Any]] = []
        self.fundings: list[dict[str, Any]] = []
        self.balances: list[dict[str, Any]] = []
        self.mode = "default"
        self.maker_rate = "0.00015"
        self.leverage = 20
        self.broken: dict[str, bytes | None] = {}
        self.asked: list[dict[str, Any]] = []

    def answer(self, body: bytes) -> bytes | None:
        request = json.loads(body)
        self.asked.append(request)
        if request["type"] in self.broken:
            return self.broken[request["type"]]
        return json.dumps(self._said(request)).encode()

    def _said(self, request: dict[str, Any]) -> Any:
        kind, dex, start = request["type"], request.get("dex", ""), request.get("startTime", 0)
        lists: dict[str, Callable[[], Any]] = {
            "clearinghouseState": lambda: self._state(dex),
            "spotClearinghouseState": lambda: {"balances": self.balances},
            "openOrders": lambda: self.orders.get(dex, []),
            "userFillsByTime": lambda: [one for one in self.fills if one["time"] >= start][:2000],
            "userNonFundingLedgerUpdates": lambda: [one for one in self.transfers if one["time"] >= start][:500],
            "userFunding": lambda: [one for one in self.fundings if one["time"] >= start][:500],
            "userAbstraction": lambda: self.mode,
            "userRateLimit": lambda: {"cumVlm": "5.0", "nRequestsUsed": 3, "nRequestsCap": 10_005},
            "userFees": lambda: {
                "userCrossRate": "0.00045", "userAddRate": self.maker_rate, "userSpotCrossRate": "0.0007",
                "userSpotAddRate": "0.0004",
            },
            "activeAssetData": lambda: {
                "user": request["user"], "coin": request["coin"], "markPx": "1.0",
                "leverage": {"type": "isolated", "value": self.leverage},
            },
        }  # fmt: skip
        return lists[kind]()

    def _state(self, dex: str) -> dict[str, Any]:
        margin = {"accountValue": "1000.0", "totalNtlPos": "1.0", "totalRawUsd": "1.0", "totalMarginUsed": "5.0"}
        return {
            "marginSummary": margin, "crossMarginSummary": margin, "crossMaintenanceMarginUsed": "2.0",
            "withdrawable": "900.0", "assetPositions": self.positions.get(dex, []), "time": self.now_ms,
        }  # fmt: skip


class Desk:
    """Performs what a reconciliation demands. Answers come after LATENCY_NS, our own side at once, cancels never."""

    def __init__(self, *markets: Market, session: int = SESSION, **settings: Any) -> None:
        self.markets = markets or (BTC, ETH)
        tokens = [1 if market is PURR else -1 for market in self.markets]
        account = Account(self.markets, owner=OWNER, session=session, asset_ids=ASSETS, base_tokens=tokens)
        self.machine = Reconciliation(ReconcileSettings(**settings), account, user=USER)
        self.venue = Venue()
        self.now_ns = 0
        self.positions = [0] * len(self.markets)
        self.marks = [1_000] * len(self.markets)
        self.orders: tuple[OwnOrder, ...] = ()
        self.history: list[tuple[int, Effect]] = []
        self.on_cancel: Callable[[CancelLeftovers], None] = lambda effect: None
        self.on_own: Callable[[], None] = lambda: None
        self.is_answering = True
        self.pending: list[tuple[int, Ask]] = []
        self._timers: dict[TimerName, int] = {}

    def tell(self, event: Input) -> list[Effect]:
        effects = self.machine.on(event, self.now_ns)
        self._perform(effects)
        return effects

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.history.append((self.now_ns, effect))
            if isinstance(effect, Ask):
                self.pending.append((self.now_ns + LATENCY_NS, effect))
            elif isinstance(effect, SetTimer):
                self._timers[effect.name] = effect.at_ns
            elif isinstance(effect, AskOwn):
                self.on_own()
                self.tell(self.own(effect.number))
            elif isinstance(effect, Tell):
                for row in effect.rows:
                    if row[7] == EventKind.POSITION_STATE:
                        self.positions[row[9]] = row[3]
            elif isinstance(effect, CancelLeftovers):
                self.on_cancel(effect)

    def own(self, number: int) -> CorePositions:
        return CorePositions(number, tuple(self.positions), tuple(self.marks), self.orders)

    def next_ns(self) -> int | None:
        answers = [at_ns for at_ns, _ in self.pending] if self.is_answering else []
        return min((*answers, *self._timers.values()), default=None)

    def step(self) -> None:
        """The next answer or timer."""
        next_ns = self.next_ns()
        assert next_ns is not None, "nothing is to come"
        self.now_ns = max(self.now_ns, next_ns)
        self.venue.now_ms = max(self.venue.now_ms, BEGIN_MS + self.now_ns // MS)
        if self.is_answering and self.pending and self.pending[0][0] <= self.now_ns:
            _, ask = self.pending.pop(0)
            self.tell(Answer(ask.request_id, self.venue.answer(ask.body), 1))
            return
        name = min(self._timers, key=lambda one: self._timers[one])
        del self._timers[name]
        self.tell(Timer(name, 1))

    def run(self, for_ns: int) -> None:
        end_ns = self.now_ns + for_ns
        while (self.next_ns() or end_ns) < end_ns:
            self.step()
        self.now_ns = end_ns

    def until(self, *kinds: type[Effect]) -> Any:
        """Runs until an effect of these kinds comes, and returns it."""
        seen = len(self.history)
        for _ in range(2_000):
            for _, effect in self.history[seen:]:
                if isinstance(effect, kinds):
                    return effect
            seen = len(self.history)
            self.step()
        raise AssertionError(f"no {kinds} came within {self.now_ns / S} s")

    def answer(self) -> Agreed | Disagreed:
        return self.until(Agreed, Disagreed)

    def proof(self) -> Empty | NotEmpty:
        return self.until(Empty, NotEmpty)

    def all(self, kind: type[Any]) -> list[Any]:
        return [effect for _, effect in self.history if isinstance(effect, kind)]

    def rows(self, kind: EventKind) -> list[Row]:
        return [row for effect in self.all(Tell) for row in effect.rows if row[7] == kind]

    def reports(self) -> set[ReportCode]:
        return {effect.code for effect in self.all(Report)}

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.venue.asked if one["type"] == kind]


START = Begin(1, Reason.START)


def begun(*markets: Any, **settings: Any) -> Desk:
    """A desk whose session has begun, and whose history is forgotten."""
    desk = Desk(*markets, **settings)
    desk.tell(START)
    assert isinstance(desk.answer(), Agreed)
    desk.history.clear()
    desk.venue.asked.clear()
    return desk


def again(desk: Desk, number: int = 2) -> Agreed | Disagreed:
    desk.tell(Begin(number, Reason.CONNECTED))
    return desk.answer()


def resting(order_id: int = 1, left_lots: int = 1_000, market: int = 0, **more: Any) -> OwnOrder:
    return OwnOrder(own_cloid(order_id), market, left_lots, **{"is_resting": True, **more})


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()
