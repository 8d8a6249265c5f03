"""A venue that tells the past of one account, page by page, as the real one does; and that past as it is saved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ADDRESS = "0x" + "ab" * 20
START_MS = 1_760_000_400_000
META = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40},
        {"name": "GONE", "szDecimals": 1, "maxLeverage": 3, "isDelisted": True},
    ],
}
SPOT_META = {
    "tokens": [{"name": "USDC", "index": 0, "szDecimals": 8}, {"name": "HYPE", "index": 1, "szDecimals": 2},
               {"name": "USDH", "index": 2, "szDecimals": 2}],
    "universe": [{"name": "@1", "index": 1, "tokens": [1, 0]}, {"name": "@2", "index": 2, "tokens": [1, 2]}],
}  # fmt: skip


def fill(
    number: int, *, at_ms: int | None = None, lots: int = 10, start: str | None = None, **more: Any
) -> dict[str, Any]:
    """A buy of lots x 0.00001 BTC at 100,000, one each second by its number."""
    return {
        "coin": "BTC", "px": "100000.0", "sz": f"{lots / 10**5:.5f}", "side": "B",
        "time": START_MS + 1_000 * number if at_ms is None else at_ms,
        "startPosition": f"{lots * number / 10**5:.5f}" if start is None else start, "dir": "Open Long",
        "closedPnl": "0.0", "hash": f"0x{number + 1:064x}", "oid": number, "crossed": False, "fee": "0.0",
        "tid": number + 1, "feeToken": "USDC", "twapId": None, **more,
    }  # fmt: skip


def payment(number: int, at_ms: int) -> dict[str, Any]:
    """A payment of nothing."""
    delta = {"type": "funding", "coin": "BTC", "usdc": "0.0", "szi": "0.0", "fundingRate": "0.0", "nSamples": None}
    return {"time": at_ms, "hash": f"0x{number:064x}", "delta": delta}


def state(value: str, time_ms: int, size: str = "0.0", worth: str = "0.0", unrealised: str = "0.0") -> dict[str, Any]:
    """What the account holds of BTC and is worth."""
    position = {"coin": "BTC", "szi": size, "positionValue": worth, "unrealizedPnl": unrealised}
    held = [{"type": "oneWay", "position": position}] if float(size) else []
    return {"marginSummary": {"accountValue": value}, "assetPositions": held, "time": time_ms}


@dataclass
class Teller:
    """What it tells; `asked` are the bodies in order. `fails` gives a status to answer in place of it, or None."""

    fills: Sequence[dict[str, Any]] = ()
    fundings: Sequence[dict[str, Any]] = ()
    transfers: Sequence[dict[str, Any]] = ()
    state: dict[str, Any] = field(default_factory=lambda: state("0.0", START_MS + 10**9))
    candles: Sequence[dict[str, Any]] = ()
    abstraction: str = "default"
    pages: dict[str, int] = field(default_factory=lambda: {"userFillsByTime": 2_000})
    fails: Callable[[dict[str, Any]], int | None] = lambda body: None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> Any:
        """The answer to a question."""
        lists = {
            "userFillsByTime": self.fills, "userFunding": self.fundings, "userNonFundingLedgerUpdates": self.transfers,
        }  # fmt: skip
        kind = body["type"]
        if kind in lists:
            reached = lists[kind][-10_000:] if kind == "userFillsByTime" else lists[kind]
            found = [one for one in reached if body["startTime"] <= one["time"] <= body["endTime"]]
            return found[: self.pages.get(kind, 500)]
        return {
            "clearinghouseState": self.state, "spotClearinghouseState": {"balances": []}, "meta": META,
            "spotMeta": SPOT_META, "userAbstraction": self.abstraction, "candleSnapshot": list(self.candles),
        }[kind]  # fmt: skip

    async def handle(self, request: web.Request) -> web.Response:
        """POST /info."""
        body = json.loads(await request.text())
        self.asked.append(body)
        status = self.fails(body)
        if status is not None:
            return web.Response(status=status, text="busy")
        return web.json_response(self.answer(body))


@contextlib.asynccontextmanager
async def telling(teller: Teller) -> AsyncIterator[str]:
    """Serves it on a port of this machine; yields the base URL."""
    application = web.Application()
    application.router.add_post("/info", teller.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
