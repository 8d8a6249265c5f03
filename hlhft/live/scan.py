"""A live scan's shell: one question for the listing, one WebSocket, a timer. What to do is decided elsewhere
(`hlhft.live.scan_feed`, `hlhft.report.market_scan`)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from hlhft.config.settings import Config
from hlhft.hyperliquid.account import Fees, fees
from hlhft.hyperliquid.account_requests import InfoKind, of_user
from hlhft.hyperliquid.backoff import CONNECTS_PER_MINUTE_MAX, DRAWS, SECOND_NS, Budget
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.subscriptions import SUBSCRIPTIONS_MAX
from hlhft.live.http import Answer, Http
from hlhft.live.preflight import VenueError
from hlhft.live.scan_feed import CHANNELS, Close, Connect, Effect, ScanFeed, Send
from hlhft.live.scan_listing import REQUEST, Listed, chosen, read_listing
from hlhft.report.market_scan import MarketScan
from hlhft.report.scan_results import ScanSettings

TRIES = 3
OPEN_TIMEOUT_S, CLOSE_TIMEOUT_S = 10.0, 2.0
FRAME_BYTES_MAX = 1 << 20
FRAMES_WAITING_MAX = 256
STEP_S = 0.5  # the longest wait: how late an end of time or a key is noticed
CONTEXTS_NS = 60 * SECOND_NS
Progress = Callable[[int, int], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of the venue's limits per IP address a scan may use: the tools' share, rounded down, and at least one."""

    messages: int
    connects: int
    markets: int

    @classmethod
    def of(cls, config: Config) -> Share:
        """The share that these settings leave to tools."""
        percent = config.limits.share.tools_percent
        messages = max(config.limits.messages_per_minute * percent // 100, 1)
        subscriptions = max(SUBSCRIPTIONS_MAX * percent // 100, len(CHANNELS))
        return cls(
            messages=messages,
            connects=max(CONNECTS_PER_MINUTE_MAX * percent // 100, 1),
            markets=subscriptions // len(CHANNELS),
        )


class LiveScan:
    """Watches the venue at `base_url` (http or https), main dex, for `duration_ns` or until `stop`."""

    def __init__(self, base_url: str, share: Share, settings: ScanSettings, *, duration_ns: int) -> None:
        self.base_url = base_url.rstrip("/")
        self.settings = settings
        self.listed_count = 0
        self.feed: ScanFeed | None = None
        self._share = share
        self._duration_ns = duration_ns
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Ends it soon: what was seen is kept."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to."""
        return self._stopped.is_set()

    async def run(self, coins: tuple[str, ...], markets_max: int, progress: Progress | None) -> MarketScan:
        """Watches the named coins, or the `markets_max` busiest. Raises VenueError, MarketError and DataError."""
        http = Http(self.base_url)
        try:
            listed = await _listing(http)
            self.listed_count = len(listed)
            watched = chosen(listed, coins, min(markets_max, self._share.markets))
            scan = MarketScan([one.market for one in watched], self.settings)
            self.feed = ScanFeed(
                [one.market for one in watched],
                connects=Budget(self._share.connects),
                messages=Budget(self._share.messages),
            )
            _tell_contexts(self.feed, watched)
            await self._watch(http, self.feed, scan, progress)
        finally:
            await http.close()
        scan.take(self.feed.take_blocks(everything=True))
        scan.finish()
        return scan

    async def _watch(self, http: Http, feed: ScanFeed, scan: MarketScan, progress: Progress | None) -> None:
        socket = asyncio.create_task(self._keep_connected(feed))
        asking: asyncio.Task[tuple[Listed, ...]] | None = None
        began_ns = asked_ns = time.monotonic_ns()
        try:
            while not self._stopped.is_set():
                await _first_of(self._stopped, socket)
                now_ns = time.monotonic_ns()
                if socket.done():
                    socket.result()
                scan.take(feed.take_blocks())
                if asking is not None and asking.done():
                    if asking.exception() is None:
                        _tell_contexts(feed, asking.result())
                    else:
                        feed.tally["contexts_missed"] += 1  # the next question may be answered
                    asking = None
                if asking is None and now_ns - asked_ns >= CONTEXTS_NS:
                    asked_ns, asking = now_ns, asyncio.create_task(_listing(http))
                done_ns = min(now_ns - began_ns, self._duration_ns)
                if progress is not None:
                    progress(done_ns // SECOND_NS, self._duration_ns // SECOND_NS)
                if done_ns == self._duration_ns:
                    return
        finally:
            left = [task for task in (socket, asking) if task is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _keep_connected(self, feed: ScanFeed) -> None:
        url = f"ws{self.base_url.removeprefix('http')}/ws"
        while True:
            if any(isinstance(effect, Connect) for effect in feed.tick(time.monotonic_ns())):
                reason = await _connection(url, feed)
                feed.closed(reason, time.monotonic_ns(), secrets.randbelow(DRAWS))
            await asyncio.sleep(_seconds_to(feed.next_deadline_ns()))


async def maker_fees(base_url: str, account: str) -> Fees:
    """What the account pays now, as the venue says. Raises VenueError, and WireError when it is no address."""
    request = of_user(InfoKind.FEES, account)
    http = Http(base_url)
    try:
        return _read(await _asked(http, request.body), fees, http, "userFees")
    finally:
        await http.close()


async def _listing(http: Http) -> tuple[Listed, ...]:
    return _read(await _asked(http, REQUEST), read_listing, http, "metaAndAssetCtxs")


async def _asked(http: Http, body: bytes) -> Answer:
    answer = Answer(None, "it was not asked")
    for _ in range(TRIES):
        answer = await http.ask("/info", body)
        if answer.body is not None:
            break
    return answer


def _read(answer: Answer, read: Callable[[bytes], _T | Fault], http: Http, what: str) -> _T:
    fault = answer.fault
    if answer.body is not None:
        told = read(answer.body)
        if not isinstance(told, Fault):
            return told
        fault = MEANING[told]
    raise VenueError(f"{http.base_url} does not answer {what}: {fault}; see --base-url and the network")


def _tell_contexts(feed: ScanFeed, listed: tuple[Listed, ...]) -> None:
    names = {market.name for market in feed.markets}
    for one in listed:
        if one.market.name in names:
            feed.context(one.market.name, one.context, time.monotonic_ns(), time.time_ns())


async def _connection(url: str, feed: ScanFeed) -> str:
    """One connection from opening to its end; returns why it ended."""
    try:
        async with connect(
            url,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=FRAME_BYTES_MAX,
            max_queue=FRAMES_WAITING_MAX,
            ping_interval=None,  # the venue has a ping of its own
            proxy=None,
        ) as socket:
            is_open = await _perform(socket, feed.opened(time.monotonic_ns()))
            while is_open:
                is_open = await _perform(socket, await _listen(socket, feed))
    except TimeoutError:
        return "the venue did not answer in time"
    except (OSError, WebSocketException) as error:
        return str(error) or type(error).__name__
    return "no market data came"


async def _listen(socket: ClientConnection, feed: ScanFeed) -> list[Effect]:
    """The next frame, or nothing until the next deadline."""
    try:
        async with asyncio.timeout(_seconds_to(feed.next_deadline_ns())):
            text = await socket.recv()
    except TimeoutError:
        return feed.tick(time.monotonic_ns())
    return feed.received(text, time.monotonic_ns(), time.time_ns())


async def _perform(socket: ClientConnection, effects: list[Effect]) -> bool:
    """Performs the effects of an open connection; returns whether it stays open."""
    for effect in effects:
        if isinstance(effect, Send):
            await socket.send(effect.text)
        elif isinstance(effect, Close):
            return False
    return True


def _seconds_to(deadline_ns: int) -> float:
    return min(max(deadline_ns - time.monotonic_ns(), 0) / SECOND_NS, STEP_S)


async def _first_of(stopped: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Waits until it is stopped or the task ends, at most STEP_S."""
    waiter = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait((waiter, task), timeout=STEP_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
