"""What a recorder asks the venue over HTTP: its markets, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import aiohttp

from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid import markets as listing
from hlhft.hyperliquid.account import exchange_status
from hlhft.hyperliquid.account_requests import InfoRequest
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.units import Market

TIMEOUT_S = 10.0
TRIES = 3
BODY_BYTES_MAX = 1 << 24
READ_BYTES = 1 << 16
NS_PER_MS = 1_000_000
JSON_HEADERS = {"Content-Type": "application/json"}
_OK = 200
_T = TypeVar("_T")


class VenueError(OSError):
    """The venue does not say what a recorder needs."""


class Venue:
    """Questions to one venue. An asynchronous context manager."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    async def __aenter__(self) -> Venue:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._session.close()

    async def markets(self, names: Sequence[str]) -> list[Market]:
        """The markets of these names as the venue lists them now. Raises MarketError for names that are none, and
        VenueError when it does not say."""
        meta = await self._ask(requests.meta(), listing.read_meta)
        spot_meta = await self._ask(requests.spot_meta(), listing.read_spot_meta)
        return listing.markets_of(meta, spot_meta, names, await self._dexs(names))

    async def offset_ms(self, now_ns: Callable[[], int]) -> int:
        """How far the venue's newest block is ahead of the clock `now_ns`, half of the way there and back taken off; a
        block's age, up to half a second, makes it less. Raises VenueError."""
        before_ns = now_ns()
        status = await self._ask(requests.exchange_status(), exchange_status)
        return status.time_ms - (before_ns + now_ns()) // 2 // NS_PER_MS

    async def _dexs(self, names: Sequence[str]) -> tuple[listing.Dex, ...]:
        """The builders' exchanges that the names are of; one that is none is told of by `markets_of`."""
        wanted = sorted({name.partition(":")[0] for name in names if ":" in name})
        if not wanted:
            return ()
        places = await self._ask(requests.dexs(), listing.read_dexs)
        known = [name for name in wanted if name in places]
        return tuple(
            [
                listing.Dex(name, places.index(name), await self._ask(requests.meta(name), listing.read_meta))
                for name in known
            ]
        )

    async def _ask(self, request: InfoRequest, read: Callable[[bytes], _T | Fault]) -> _T:
        """The answer to a question, asked a few times. Raises VenueError."""
        fault = ""
        for _ in range(TRIES):
            try:
                told = read(await self._post(request.body))
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                fault = f"{type(error).__name__}: {error}".rstrip(": ")
                continue
            if not isinstance(told, Fault):
                return told
            fault = MEANING[told]
        raise VenueError(f"{self.base_url} does not answer {request.kind} ({fault}); see the base URL and the network")

    async def _post(self, body: bytes) -> bytes:
        url = f"{self.base_url}/info"
        async with self._session.post(url, data=body, headers=JSON_HEADERS, allow_redirects=False) as response:
            if response.status != _OK:
                raise VenueError(f"HTTP {response.status}")
            parts = bytearray()
            async for part in response.content.iter_chunked(READ_BYTES):
                parts += part
                if len(parts) > BODY_BYTES_MAX:
                    raise VenueError(f"an answer of more than {BODY_BYTES_MAX} bytes")
            return bytes(parts)
