"""The real venue's public streams as the order flow of an exchange: paper trading.

`LiveFlow` is what an exchange hosts, and `run` its shell: one WebSocket and a timer around `LiveFeed`, which decides.
The exchange must run at the speed of the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from hlhft.data.merge import Events
from hlhft.events import EventKind, Side
from hlhft.exchange.flow.feeding import FeedFlow, visible
from hlhft.exchange.flow.live_feed import Close, Connect, Effect, FeedSettings, LiveFeed, Send
from hlhft.units import Market

MAINNET_URL = "https://api.hyperliquid.xyz"
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
FRAME_BYTES_MAX = 1 << 20
FRAMES_WAITING_MAX = 256
SLEEP_S_MAX = 0.5
FIRST_PRICES_S = 20.0
_SECOND_NS = 1_000_000_000


class FeedError(OSError):
    """The venue did not say what an exchange needs to begin."""


def websocket_url(base_url: str) -> str:
    """Where a venue at this base URL has its WebSocket. Raises ValueError for one that is not http or https."""
    scheme, found, rest = base_url.rstrip("/").partition("://")
    if not found or scheme not in ("http", "https") or not rest:
        raise ValueError(f"{base_url!r} is no base URL of a venue, expected one like {MAINNET_URL}")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws"


class LiveFlow(FeedFlow):
    """The streams of the venue at `base_url` as everybody else who trades."""

    kind = "live"

    def __init__(
        self,
        markets: Sequence[Market],
        listed: Sequence[Market],
        *,
        first_account: int,
        seed: int,
        base_url: str = MAINNET_URL,
        settings: FeedSettings | None = None,
    ) -> None:
        """Follows `markets`, which the exchange has `listed` under the same names. Raises ValueError as `places_of` and
        `websocket_url`, and on a negative seed."""
        super().__init__(markets, listed, first_account=first_account)
        self.url = websocket_url(base_url)
        self.feed = LiveFeed(markets, seed=seed, settings=settings)
        self.happened = asyncio.Event()  # set whenever the feed was told anything: who waits for it clears it

    def _next_rows(self, ts_ns: int) -> Events | None:
        rows = self.feed.take_rows()
        if rows is None:
            return None
        rows = visible(rows)
        # What has arrived happens in this block: the clocks of the two venues are not compared.
        rows["ts_exch_ns"] = ts_ns
        return rows

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told, with empty books until the feed fills them. Raises ValueError as FeedFlow."""
        super().restore(state)
        self.feed.begin_anew()

    def status(self) -> str:
        """One line for people."""
        return f"live from {self.url}: {self.feed.status()}"

    async def run(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Keeps the feed connected until it is cancelled. `now_ns` never goes back."""
        feed = self.feed
        while True:
            if any(isinstance(effect, Connect) for effect in feed.tick(now_ns())):
                reason = await self._connection(now_ns)
                feed.closed(reason, now_ns())
            self.happened.set()
            await asyncio.sleep(_seconds_to(feed.next_deadline_ns(), now_ns()))

    async def _connection(self, now_ns: Callable[[], int]) -> str:
        """One connection from opening to its end; returns why it ended."""
        try:
            async with _connect(self.url) as socket:
                is_open = await _perform(socket, self.feed.opened(now_ns()))
                while is_open:
                    is_open = await _perform(socket, await self._listen(socket, now_ns))
                    self.happened.set()
        except TimeoutError:
            return "the venue did not answer in time"
        except (OSError, WebSocketException) as error:
            return str(error) or type(error).__name__
        return "no market data came"

    async def _listen(self, socket: ClientConnection, now_ns: Callable[[], int]) -> list[Effect]:
        """The next frame, or nothing until the next deadline."""
        try:
            async with asyncio.timeout(_seconds_to(self.feed.next_deadline_ns(), now_ns())):
                text = await socket.recv()
        except TimeoutError:
            return self.feed.tick(now_ns())
        return self.feed.received(text, now_ns())


def _connect(url: str) -> connect:
    return connect(
        url,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=FRAME_BYTES_MAX,
        max_queue=FRAMES_WAITING_MAX,
    )


async def _perform(socket: ClientConnection, effects: Sequence[Effect]) -> bool:
    """Performs the effects of an open connection; returns whether it stays open."""
    for effect in effects:
        if isinstance(effect, Send):
            await socket.send(effect.text)
        elif isinstance(effect, Close):
            return False
    return True


def _seconds_to(deadline_ns: int, now_ns: int) -> float:
    return min(max(deadline_ns - now_ns, 0) / _SECOND_NS, SLEEP_S_MAX)


async def first_prices(
    markets: Sequence[Market], *, base_url: str = MAINNET_URL, seed: int = 0, timeout_s: float = FIRST_PRICES_S
) -> tuple[int, ...]:
    """The middle of each market's book in ticks, for the band of an exchange that will follow it.

    Raises FeedError when the venue has not told all of them within `timeout_s`, and ValueError as LiveFlow.
    """
    flow = LiveFlow(markets, markets, first_account=0, seed=seed, base_url=base_url)
    best: dict[tuple[int, int], int] = {}
    runner = asyncio.create_task(flow.run())
    try:
        async with asyncio.timeout(timeout_s):
            while len(best) < 2 * len(markets):
                await flow.happened.wait()
                flow.happened.clear()
                rows = flow.feed.take_rows()
                for row in [] if rows is None else rows[rows["kind"] == int(EventKind.BBO)]:
                    if row["price_ticks"] > 0:
                        best[int(row["market"]), int(row["side"])] = int(row["price_ticks"])
    except TimeoutError:
        raise FeedError(f"the venue at {base_url} did not tell all prices ({flow.feed.status()}), try again") from None
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
    return tuple((best[place, Side.BUY] + best[place, Side.SELL]) // 2 for place in range(len(markets)))
