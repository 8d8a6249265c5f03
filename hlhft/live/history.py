"""Asks the venue for an account's past: fills, funding, transfers, what it holds now, and candles for its markets.

Everything over HTTP, page by page, within the weight that the settings leave to tools, with bounded retries. The venue
answers at most 2,000 fills or 500 other records at once and reaches back 10,000 fills (venue reference section 3.2);
what it no longer has is said, never left out silently. Stopped early, what was told by then is kept and marked.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from hlhft.hyperliquid.account import Abstraction, abstraction
from hlhft.hyperliquid.account_requests import (
    FILLS_PER_PAGE,
    ITEMS_PER_PAGE,
    InfoKind,
    InfoRequest,
    answer_weight,
    dexs,
    meta,
    of_time,
    of_user,
    spot_meta,
)
from hlhft.hyperliquid.backoff import DRAWS, SECOND_NS, WINDOW_NS, BackoffSettings, wait_ns
from hlhft.hyperliquid.markets import read_dexs
from hlhft.hyperliquid.reading import MEANING, UNDECODABLE, Fault
from hlhft.hyperliquid.wire import read_address
from hlhft.live.history_files import FILLS_REACH, Manifest, Saved, Told, ToldCandles, ToldListing, time_of
from hlhft.live.http import INFO, Answer, Http
from hlhft.live.preflight import VenueError
from hlhft.report.venue_records import HistoryError, is_spot, read_fill

TRIES = 6  # a page; the waits between them double from half a second
WAITS = BackoffSettings(first_ns=SECOND_NS // 2, longest_ns=15 * SECOND_NS)
PAGES_MAX = 2_000  # of one list: a million payments
CANDLES_PER_PAGE = 5_000  # and no more exist
CANDLE_ITEMS_PER_WEIGHT = 60  # venue reference section 7
INTERVALS_MS = {
    "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "2h": 7_200_000,
    "4h": 14_400_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000,
}  # fmt: skip
COINS_MAX = 200  # with candles: the busiest; others have no mid
UNIFIED = "the account is unified: what is read as its worth is not all of it"
_CANDLES_WEIGHT = 20
_LISTS = {"fills": InfoKind.FILLS, "fundings": InfoKind.FUNDINGS, "transfers": InfoKind.TRANSFERS}
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_T = TypeVar("_T")
Progress = Callable[[str, int], None]


class Stopped(Exception):
    """Asking was ended before all was told; carries nothing, what was told is kept by who asked."""


class Weights:
    """Weight used within any minute, at most `limit`: a record for each question, so at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a weight of {limit} a minute asks nothing, and must be at least 1")
        self.limit = limit
        self._used: deque[tuple[int, int]] = deque()
        self._sum = 0

    def wait_ns(self, weight: int, now_ns: int) -> int:
        """After how long so much fits, 0 for now; what is more than the limit fits once nothing else counts."""
        while self._used and self._used[0][0] <= now_ns - WINDOW_NS:
            self._sum -= self._used.popleft()[1]
        excess, until_ns = self._sum + weight - self.limit, now_ns
        for at_ns, used in self._used:
            if excess <= 0:
                break
            excess, until_ns = excess - used, at_ns + WINDOW_NS
        return until_ns - now_ns

    def use(self, weight: int, now_ns: int) -> None:
        """Counts so much from now on."""
        if weight:
            self._used.append((now_ns, weight))
            self._sum += weight


@dataclass
class Asked:
    """What was told so far; `saved` makes a history of it at any time."""

    address: str
    base_url: str
    from_ms: int
    until_ms: int = 0
    lines: dict[str, list[bytes]] = field(default_factory=dict)
    cuts: list[str] = field(default_factory=list)
    is_whole: bool = False

    def saved(self) -> Saved:
        """All of it as a history."""
        begins = self.from_ms == 0 and self.is_whole and len(self.lines.get("fills", ())) < FILLS_REACH
        manifest = Manifest(
            address=self.address,
            base_url=self.base_url,
            from_ms=self.from_ms,
            until_ms=self.until_ms,
            is_whole=self.is_whole,
            is_from_the_beginning=begins,
            cuts=tuple(self.cuts),
        )
        return Saved(manifest=manifest, lines=self.lines)


class HistoryAsker:
    """Asks one venue for the past of one account; `stop` ends it soon."""

    def __init__(self, base_url: str, *, weight_per_minute: int, progress: Progress | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._weights = Weights(weight_per_minute)
        self._progress = progress
        self._stopped = asyncio.Event()
        self._http: Http | None = None

    def stop(self) -> None:
        """Ends it soon: what was told is kept."""
        self._stopped.set()

    async def run(self, address: str, *, from_ms: int = 0, to_ms: int | None = None) -> Saved:
        """The account's past from `from_ms` to `to_ms`, now without one; only then what it holds is asked. Raises
        VenueError when the venue does not answer, WireError when `address` is none, HistoryError for nonsense."""
        asked = Asked(read_address(address), self.base_url, from_ms)
        self._http = Http(self.base_url)
        try:
            await self._all(asked, to_ms)
            asked.is_whole = True
        except Stopped:
            asked.cuts.append("it was interrupted: what came after the last record of each list was not asked")
        finally:
            await self._http.close()
        return asked.saved()

    async def _all(self, asked: Asked, to_ms: int | None) -> None:
        user = asked.address
        state = None
        if to_ms is None:
            state = await self._body(of_user(InfoKind.STATE, user))
            asked.until_ms = time_of(state)
            mode = abstraction(await self._body(of_user(InfoKind.ABSTRACTION, user)))
            if mode not in (Abstraction.DEFAULT, Abstraction.DISABLED):
                asked.cuts.append(UNIFIED)
        else:
            asked.until_ms = to_ms
        for name, kind in _LISTS.items():
            await self._list(asked, name, kind)
        self._say_reach(asked)
        coins = _coins(asked)
        dexes = sorted({coin.partition(":")[0] for coin in coins if ":" in coin})
        await self._listings(asked, dexes)
        if state is not None:
            states = [state, *[await self._body(of_user(InfoKind.STATE, user, dex=dex)) for dex in dexes]]
            spot = await self._body(of_user(InfoKind.SPOT_STATE, user))
            told = Told(states=[msgspec.Raw(one) for one in states], spot=msgspec.Raw(spot))
            asked.lines["readings"] = [msgspec.json.encode(told)]
        await self._candles(asked, coins)

    def _say_reach(self, asked: Asked) -> None:
        fills = asked.lines["fills"]
        if len(fills) >= FILLS_REACH:
            asked.cuts.append(
                f"the venue tells the last {FILLS_REACH} fills only: what was before {time_of(fills[0])} (ms) it no "
                f"longer has"
            )
        if not any(asked.lines[name] for name in _LISTS):
            asked.cuts.append(
                f"the venue knows nothing of {asked.address} in this time: ask for an account, not its API wallet"
            )

    async def _list(self, asked: Asked, name: str, kind: InfoKind) -> None:
        """All pages of a list. A page begins at the last time of the one before, whose records are then told again."""
        lines = asked.lines.setdefault(name, [])
        page_max = FILLS_PER_PAGE if kind is InfoKind.FILLS else ITEMS_PER_PAGE
        start_ms = asked.from_ms
        for _ in range(PAGES_MAX):
            page = await self._page(kind, of_time(kind, asked.address, start_ms, asked.until_ms))
            page.sort(key=time_of)
            while lines and time_of(lines[-1]) >= start_ms:
                lines.pop()
            lines += page
            if self._progress is not None:
                self._progress(name, len(lines))
            last_ms = time_of(page[-1]) if page else start_ms
            if len(page) < ITEMS_PER_PAGE or (last_ms == start_ms and len(page) < page_max):
                return  # no page that is not the last was ever shorter
            if last_ms == start_ms:
                asked.cuts.append(f"of {start_ms} (ms) there are more {name} than the {page_max} that the venue tells")
                last_ms += 1
            start_ms = last_ms
        asked.cuts.append(f"more than {PAGES_MAX} pages of {name}: what was after {start_ms} (ms) was not asked")

    async def _page(self, kind: InfoKind, request: InfoRequest) -> list[bytes]:
        body = await self._body(request)
        try:
            items = [bytes(item) for item in _ITEMS.decode(body)]
        except UNDECODABLE as error:
            raise HistoryError(f"{self.base_url}: the answer to {kind} is no list ({error}), ask again") from None
        self._weights.use(answer_weight(kind, len(items)), time.monotonic_ns())
        return items

    async def _listings(self, asked: Asked, dexes: Sequence[str]) -> None:
        listings = [ToldListing(meta=msgspec.Raw(await self._body(meta())))]
        listings.append(ToldListing(spot=msgspec.Raw(await self._body(spot_meta()))))
        if dexes:
            names = _read(read_dexs, await self._body(dexs()), self.base_url, "perpDexs")
            for dex in dexes:
                if dex in names:
                    body = await self._body(meta(dex))
                    listings.append(ToldListing(dex=dex, place=names.index(dex), meta=msgspec.Raw(body)))
        asked.lines["listing"] = [msgspec.json.encode(one) for one in listings]

    async def _candles(self, asked: Asked, coins: Sequence[str]) -> None:
        times = [time_of(lines[0]) for name in _LISTS if (lines := asked.lines[name])]
        if not times or not coins:
            return
        first_ms = min(times)
        span_ms = asked.until_ms - first_ms
        interval = next((name for name, ms in INTERVALS_MS.items() if span_ms <= ms * (CANDLES_PER_PAGE - 2)), "1d")
        every_ms = INTERVALS_MS[interval]
        if len(coins) > COINS_MAX:
            asked.cuts.append(f"mids were asked for {COINS_MAX} of {len(coins)} markets, those with the most fills")
        lines = asked.lines.setdefault("candles", [])
        for coin in coins[:COINS_MAX]:
            wanted = {"coin": coin, "interval": interval, "startTime": first_ms - every_ms, "endTime": asked.until_ms}
            body = msgspec.json.encode({"type": "candleSnapshot", "req": wanted})
            answer = await self._answer(body, _CANDLES_WEIGHT)
            if answer.body is None:
                asked.cuts.append(f"the venue tells no candles of {coin}: {answer.fault}")
                continue
            weight = answer.body.count(b'"T"') // CANDLE_ITEMS_PER_WEIGHT
            self._weights.use(weight, time.monotonic_ns())
            told = ToldCandles(coin=coin, every_ms=every_ms, candles=msgspec.Raw(answer.body))
            lines.append(msgspec.json.encode(told))
            if self._progress is not None:
                self._progress("candles", len(lines))

    async def _body(self, request: InfoRequest) -> bytes:
        answer = await self._answer(request.body, request.weight)
        if answer.body is None:
            raise VenueError(
                f"{self.base_url} does not answer {request.kind}: {answer.fault}; see --base-url and the network"
            )
        return answer.body

    async def _answer(self, body: bytes, weight: int) -> Answer:
        """The answer to a question, tried again while the venue is busy. Raises Stopped."""
        assert self._http is not None, "it is asked while running"
        answer = Answer(None, "it was not asked")
        for failures in range(TRIES):
            if failures:
                await self._wait(wait_ns(failures - 1, secrets.randbelow(DRAWS), WAITS))
            while delay_ns := self._weights.wait_ns(weight, time.monotonic_ns()):
                await self._wait(delay_ns)
            if self._stopped.is_set():
                raise Stopped
            self._weights.use(weight, time.monotonic_ns())
            answer = await self._http.ask(INFO, body)
            if answer.body is not None or not _is_worth_a_try(answer):
                break
        return answer

    async def _wait(self, ns: int) -> None:
        """Waits, or less when it is stopped: then raises Stopped."""
        try:
            await asyncio.wait_for(self._stopped.wait(), ns / SECOND_NS)
        except TimeoutError:
            return
        raise Stopped


def _is_worth_a_try(answer: Answer) -> bool:
    """Whether the venue may answer the same question later: none came, it was too many, or it failed."""
    return answer.status in (0, 429) or answer.status >= 502


def _coins(asked: Asked) -> list[str]:
    """The markets of the records, those with most fills first."""
    counts: dict[str, int] = {}
    for row, line in enumerate(asked.lines["fills"], 1):
        fill = read_fill(line, f"fill {row}")
        counts[fill.coin] = counts.get(fill.coin, 0) + 1
    return sorted(counts, key=lambda coin: (-counts[coin], is_spot(coin), coin))


def _read(read: Callable[[bytes], _T | Fault], body: bytes, base_url: str, what: str) -> _T:
    told = read(body)
    if isinstance(told, Fault):
        raise VenueError(f"{base_url} does not answer {what}: {MEANING[told]}; see --base-url and the network")
    return told
