"""A watchdog, the account that it watches, and time: requests are answered from what rests there, after a while."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest, recover_address
from hlhft.hyperliquid.watchdog import Watchdog
from hlhft.hyperliquid.watchdog_beats import Beat, EngineState
from hlhft.hyperliquid.watchdog_events import (
    Answered,
    Ask,
    Effect,
    Ended,
    Heard,
    Input,
    Lane,
    Report,
    ReportCode,
    RequestKind,
    SetTimer,
    Timer,
    TimerName,
    WatchdogSettings,
)
from hlhft.hyperliquid.wire import cloid_text

START_NS = 1_790_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000
OWNER, OTHER = 7, 8
ACCOUNT = "0x" + "ab" * 20
KEY = bytes([9]) * 32
UNIVERSE = (("BTC", 5), ("ETH", 4))


def settings(**changes: Any) -> WatchdogSettings:
    return WatchdogSettings(**{"account": ACCOUNT, "owner": OWNER, "mainnet": False, "switch": False, **changes})


@dataclass
class Venue:
    """One account: what rests, what it holds, and how the venue behaves. Times are Unix milliseconds."""

    signer: str = Signer(KEY).address
    orders: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    late: list[tuple[int, int]] = field(default_factory=list)  # (executed at block time, oid)
    is_dead: bool = False  # no answer at all
    is_html: bool = False
    refusal: str = ""  # of every action
    stubborn: set[int] = field(default_factory=set)  # oids that a fast cancel does not reach
    lag_ms: int = 0
    actions: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def place(self, oid: int, *, owner: int | None = OWNER, coin: str = "ETH") -> None:
        cloid = None if owner is None else cloid_text(Cloid(owner, 3, oid).number())
        self.orders[oid] = (coin, cloid)

    def answer(self, ask: Ask, now_ms: int) -> bytes | None:
        for at_ms, oid in [each for each in self.late if each[0] <= now_ms]:
            self.late.remove((at_ms, oid))
            self.place(oid)
        if self.is_dead:
            return None
        if self.is_html:
            return b"<html>busy</html>"
        body = msgspec.json.decode(ask.body)
        return msgspec.json.encode(
            self._info(body, now_ms) if ask.kind is RequestKind.INFO else self._act(body, ask.body)
        )

    def _info(self, body: dict[str, Any], now_ms: int) -> Any:
        self.asked.append(body["type"])
        if body["type"] == "meta":
            return {"universe": [{"name": name, "szDecimals": decimals} for name, decimals in UNIVERSE]}
        if body["type"] == "spotMeta":
            return {"universe": [{"name": "PURR/USDC", "index": 0}], "tokens": []}
        assert body["user"] == ACCOUNT
        if body["type"] == "openOrders":
            listed = [{"coin": coin, "oid": oid, "cloid": cloid} for oid, (coin, cloid) in self.orders.items()]
            return [{name: value for name, value in order.items() if value is not None} for order in listed]
        held = [
            {"position": {"coin": coin, "szi": size, "positionValue": str(abs(float(size)) * 4000)}}
            for coin, size in self.positions.items()
        ]
        return {"assetPositions": held, "time": now_ms - self.lag_ms}

    def _act(self, body: dict[str, Any], raw: bytes) -> Any:
        action = body["action"]
        self.bodies.append(raw)
        connection_id = action_hash(
            action, nonce=body["nonce"], vault_address=body["vaultAddress"], expires_after_ms=body["expiresAfter"]
        )
        signature = {name: body["signature"][name] for name in "rsv"}
        digest = l1_digest(connection_id, mainnet=False)
        r, s = int(signature["r"], 16), int(signature["s"], 16)
        assert recover_address(digest, r=r, s=s, v=signature["v"]) == self.signer
        self.actions.append(action)
        if self.refusal:
            return {"status": "err", "response": self.refusal}
        if action["type"] == "cancelByCloid":
            known = {cloid: oid for oid, (_, cloid) in self.orders.items()}
            return _cancelled([self._end(known.get(leg["cloid"], 0), is_fast=True) for leg in action["cancels"]])
        if action["type"] == "cancel":
            return _cancelled([self._end(leg["o"], is_fast=False) for leg in action["cancels"]])
        if action["type"] == "order":
            for leg in action["orders"]:
                self.positions.pop(UNIVERSE[leg["a"]][0])
            filled = {"filled": {"totalSz": "1", "avgPx": "1", "oid": 1}}
            return {"status": "ok", "response": {"type": "order", "data": {"statuses": [filled]}}}
        return {"status": "ok", "response": {"type": "default"}}

    def _end(self, oid: int, *, is_fast: bool) -> Any:
        if oid not in self.orders or (is_fast and oid in self.stubborn):
            return {"error": "Order was never placed, already canceled, or filled."}
        del self.orders[oid]
        return "success"


def _cancelled(statuses: list[Any]) -> Any:
    return {"status": "ok", "response": {"type": "cancel", "data": {"statuses": statuses}}}


class Bench:
    """Runs a watchdog in virtual time; an answer takes `latency_ms`."""

    def __init__(self, *, latency_ms: int = 20, **changes: Any) -> None:
        self.settings = settings(**changes)
        self.machine = Watchdog(self.settings, Signer(KEY))
        self.venue = Venue()
        self.now_ns = START_NS
        self.latency_ns = latency_ms * MS
        self.reports: list[Report] = []
        self.asks: list[Ask] = []
        self.timers: dict[TimerName, int] = {}
        self.ended: bool | None = None
        self.session = 5
        self.sequence = 0
        self.lost_lanes: set[Lane] = set()  # requests over these are never answered
        self._coming: list[tuple[int, int, Ask]] = []

    @property
    def now_ms(self) -> int:
        return self.now_ns // MS

    @property
    def codes(self) -> list[ReportCode]:
        return [report.code for report in self.reports]

    def feed(self, event: Input) -> list[Effect]:
        effects = self.machine.on(event, self.now_ns)
        for effect in effects:
            if isinstance(effect, Ask):
                self.asks.append(effect)
                if effect.lane not in self.lost_lanes and not self.venue.is_dead:
                    heapq.heappush(self._coming, (self.now_ns + self.latency_ns, effect.request_id, effect))
            elif isinstance(effect, SetTimer):
                self.timers[effect.name] = effect.at_ns
            elif isinstance(effect, Report):
                self.reports.append(effect)
            else:
                assert isinstance(effect, Ended)
                self.ended = effect.is_clean
        return effects

    def beat(self, state: EngineState = EngineState.TRADING, **fields: Any) -> None:
        self.sequence += 1
        made = {"session": self.session, "sequence": self.sequence, "time_ms": self.now_ms, "orders": 2, **fields}
        self.feed(Heard(Beat(state=state, **made)))

    def run(self, wait_ns: int) -> None:
        """Lets time pass, and everything happen that is due in it."""
        until_ns = self.now_ns + wait_ns
        while True:
            due = [(at_ns, 0, name) for name, at_ns in self.timers.items()]
            due += [(at_ns, 1, "") for at_ns, _, _ in self._coming[:1]]
            at_ns, is_answer, name = min(due, default=(until_ns + 1, 0, ""))
            if at_ns > until_ns:
                break
            self.now_ns = max(at_ns, self.now_ns)
            if is_answer:
                _, _, ask = heapq.heappop(self._coming)
                body = self.venue.answer(ask, self.now_ms)
                self.feed(Answered(ask.request_id, body, 0, "" if body is not None else "gone"))
            else:
                del self.timers[TimerName(name)]
                self.feed(Timer(TimerName(name), 0))
        self.now_ns = until_ns

    def live(self, wait_ns: int, state: EngineState = EngineState.TRADING, **fields: Any) -> None:
        """The same, with a beat every 200 ms."""
        for _ in range(wait_ns // (200 * MS)):
            self.beat(state, **fields)
            self.run(200 * MS)
