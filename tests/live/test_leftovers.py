"""Cancels of an earlier session's orders: signed once, sent until they are answered, bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hlhft.hyperliquid.backoff import BackoffSettings, Budget
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reconcile_events import CancelLeftovers, Leftover
from hlhft.live import leftovers as module
from hlhft.live.clock import Clock
from hlhft.live.http import Answer, Http
from hlhft.live.hub import Hub
from hlhft.live.journal.records import HTTP_LANE, Action
from hlhft.live.keeper import Keeper
from hlhft.live.leftovers import WAITING_MAX, Leftovers
from hlhft.live.timers import Timers
from tests.live.engines import ETH, OWNER, Exchange, Owner, Trader, until
from tests.live.watched import signer_of

RECORDED: list[Action] = []  # of all tests
SENT: list[int] = []
ANSWERED: list[int] = []


class Lost(Http):
    """The first answers are lost on the way back."""

    lost = 0

    def post(self, path: str, body: bytes, told: Any) -> None:
        def tell(answer: Answer) -> None:
            if self.lost:
                self.lost -= 1
                answer = Answer(None, "lost")
            told(answer)

        super().post(path, body, tell)


def made(http: Http, *, mark: int = 2**62) -> tuple[Leftovers, Hub, NonceAllocator]:
    loop = asyncio.get_running_loop()
    clock = Clock()
    nonces = NonceAllocator(0)
    now_ms = clock.now_ns() // 1_000_000
    if mark:
        reserved = nonces.reserve(now_ms, now_ms)
        assert reserved is not None
        nonces.reserved(reserved)
    hub = Hub(
        clock=clock, timers=Timers(loop, clock), http=http, keeper=Keeper(loop), connects=Budget(9), messages=Budget(9)
    )
    there = Leftovers(
        hub, signer_of(254), nonces, mainnet=False, vault_address=None, record=RECORDED.append,
        sent=SENT.append, answered=ANSWERED.append
    )  # fmt: skip
    return there, hub, nonces


def orders_of(owner: Owner) -> CancelLeftovers:
    listed = [order for order in owner.ask("openOrders") if order.get("cloid")]
    return CancelLeftovers(
        tuple(Leftover(ETH, int(order["cloid"], 16), int(order["oid"]), order["coin"]) for order in listed)
    )


def test_they_are_cancelled_even_when_the_first_answer_is_lost(
    exchange: Exchange, market: Trader, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "WAITS", BackoffSettings(first_ns=1_000_000))
    owner = Owner(exchange.url, 1)
    ids = {owner.place() for _ in range(3)}
    SENT.clear()
    ANSWERED.clear()

    async def work() -> None:
        http = Lost(exchange.url)
        http.lost = 2
        there, hub, nonces = made(http)
        there.cancel(orders_of(owner))
        await until(lambda: not ids & owner.open_ids())
        await until(lambda: not nonces.unanswered)
        assert not there._waiting
        assert SENT == ANSWERED == [3], "once, however often it was sent"
        hub.timers.close()
        hub.keeper.close()
        await http.close()

    asyncio.run(work())


def test_a_venue_that_does_not_answer_is_asked_after_waits_that_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    before = len(RECORDED)
    SENT.clear()
    ANSWERED.clear()

    async def work() -> None:
        http = Http("http://127.0.0.1:1")
        there, hub, _ = made(http)
        waits: list[int] = []

        def post(path: str, body: bytes, told: Any) -> None:
            asked.append(body)
            assert len(RECORDED) == before + len(asked), "recorded before it is sent"
            told(Answer(None, "HTTP 502", 502))

        def wait(owner: str, name: str, at_ns: int) -> None:
            waits.append(at_ns - hub.clock.now_ns())

        monkeypatch.setattr(http, "post", post)
        monkeypatch.setattr(hub.timers, "set", wait)
        there.cancel(CancelLeftovers((Leftover(ETH, Cloid(OWNER, 1, 5).number(), 5, "ETH"),)))
        (nonce,) = there._waiting
        for _ in range(9):
            there._fired(str(nonce), 0)
        assert len(set(asked)) == 1 and len(asked) == 10, "the same bytes"
        assert set(RECORDED[before:]) == {Action(nonce, 0, 0, 0, int(ActionKind.CANCEL_BY_CLOID), HTTP_LANE, (5,))}
        assert waits[0] < 250_000_000 and waits[-1] > 10_000_000_000
        assert (SENT, ANSWERED) == ([1], []), "counted at once, as it may have been executed"
        hub.keeper.close()
        await http.close()

    asyncio.run(work())


def test_without_a_nonce_and_beyond_the_bound_they_wait_for_the_next_listing(exchange: Exchange) -> None:
    order = CancelLeftovers((Leftover(ETH, Cloid(OWNER, 1, 5).number(), 5, "ETH"),))

    async def work() -> None:
        http = Http("http://127.0.0.1:1")
        poor, hub, _ = made(http, mark=0)
        poor.cancel(order)
        assert "UNRESERVED" in hub.happenings[-1].text
        hub.keeper.close()
        there, hub, nonces = made(http)
        for _ in range(WAITING_MAX + 2):
            there.cancel(order)
        assert len(nonces.unanswered) == WAITING_MAX
        assert hub.counters["cancels of leftovers that wait for the next listing"] == 2
        hub.keeper.close()
        await http.close()
        hub.timers.close()

    asyncio.run(work())
