"""Requests to the venue over HTTP: `/info`, and `/exchange` where no socket is up.

An answer is its body when it is JSON with status 200, and else nothing but a sentence that says what came instead: the
venue's gateway answers HTML when it is overloaded (venue reference section 7), which no machine should try to read.
Requests under way, the size of an answer and its time are bounded; redirects are not followed, proxies of the
environment not used, cookies not kept. What the venue's kernel does not acknowledge is given up by the one here
(TCP_USER_TIMEOUT): by default that would go on to send it for minutes, also after the request was told as unanswered,
and an action would arrive long after others that were sent later.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from msgspec import Struct

JSON_HEADERS = {"Content-Type": "application/json"}
SHOWN_CHARACTERS_MAX = 120  # of a body that is no JSON, in the sentence about it
_JSON_FIRST = b'{["0123456789-tfn'
_OK = 200
INFO = "/info"
_READ_BYTES = 1 << 16
# Untold at one time: each action in flight, and each order in doubt, may ask again in the same turn of the loop.
REFUSALS_MAX = 16_384


class Answer(Struct, frozen=True):
    """What came back. `body` is JSON, or None and `fault` says why; `status` is 0 when there was no answer."""

    body: bytes | None
    fault: str = ""
    status: int = 0


Told = Callable[[Answer], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The bounds of the requests of this process."""

    timeout_s: float = 10.0  # for one answer, all of it
    connect_s: float = 5.0
    user_timeout_ms: int = 5_000  # how long what was sent may stay unacknowledged by the venue's kernel
    body_bytes_max: int = 1 << 24  # 2,000 fills are one million bytes; the list of all markets less
    requests_max: int = 16  # under way at one time; more are refused
    actions_kept: int = 4  # of these for /exchange: questions never take the room of a cancel

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of HTTP requests is {getattr(self, name)}, and must be more than 0")
        if self.actions_kept >= self.requests_max:
            raise ValueError(
                f"actions_kept of HTTP requests is {self.actions_kept}, and must be less than requests_max, "
                f"{self.requests_max}"
            )


class Http:
    """The requests of one process to one venue, with connections that are kept. Opened on a running event loop."""

    def __init__(self, base_url: str, settings: HttpSettings | None = None) -> None:
        self.settings = settings or HttpSettings()
        self.counters: Counter[str] = Counter()
        self.base_url = base_url.rstrip("/")
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals: set[asyncio.Handle] = set()  # that nobody was told yet
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout_s, sock_connect=self.settings.connect_s),
            connector=aiohttp.TCPConnector(limit=self.settings.requests_max, socket_factory=self._socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    @property
    def under_way(self) -> int:
        """Requests whose answer or refusal was not told yet."""
        return len(self._tasks) + len(self._refusals)

    def post(self, path: str, body: bytes, told: Told) -> None:
        """Posts a body, and tells what comes back: once, and never within this call."""
        self._spawn(path, body, told)

    async def ask(self, path: str, body: bytes) -> Answer:
        """The same for those who can wait."""
        return await self._post(path, body)

    async def close(self) -> None:
        """Gives up what is under way, untold, and closes the connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for refusal in self._refusals:
            refusal.cancel()
        self._refusals.clear()
        if tasks:
            await asyncio.wait(tasks)
        await self._session.close()

    # Parts.

    def _socket(self, place: tuple[Any, ...]) -> socket.socket:
        """One for a connection to `place`, as getaddrinfo names it."""
        made = socket.socket(*place[:3])
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.settings.user_timeout_ms)
        return made

    def _spawn(self, path: str, body: bytes, told: Told) -> None:
        settings = self.settings
        room = settings.requests_max - (settings.actions_kept if path == INFO else 0)
        if len(self._tasks) >= room:
            self._refuse(room, told)
            return

        async def run() -> None:
            told(await self._post(path, body))

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, room: int, told: Told) -> None:
        """Tells that there is no room, in the next turn of the loop."""
        # A venue that is late has all that waits for it ask again at one time; beyond that, somebody asks in a loop.
        assert len(self._refusals) < REFUSALS_MAX, "requests are bounded by those who make them"
        self.counters["requests refused"] += 1

        def tell() -> None:
            self._refusals.discard(handle)
            told(Answer(None, f"{room} requests are under way already"))

        handle = asyncio.get_running_loop().call_soon(tell)
        self._refusals.add(handle)

    async def _post(self, path: str, body: bytes) -> Answer:
        url = self.base_url + path
        self.counters["requests"] += 1
        try:
            async with self._session.post(url, data=body, headers=JSON_HEADERS, allow_redirects=False) as response:
                answer = await self._read(response)
        except TimeoutError:
            answer = Answer(None, f"{path}: no answer within {self.settings.timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            answer = Answer(None, f"{path}: {type(error).__name__}: {error}")
        if answer.body is None:
            self.counters["answers that are none"] += 1
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        parts = bytearray()
        async for part in response.content.iter_chunked(_READ_BYTES):
            parts += part
            if len(parts) > self.settings.body_bytes_max:
                return Answer(None, f"an answer of more than {self.settings.body_bytes_max} bytes", response.status)
        body = bytes(parts)
        kind = response.headers.get("Content-Type", "no type").partition(";")[0]
        if response.status != _OK:
            return Answer(None, f"HTTP {response.status} ({kind}): {_shown(body)}", response.status)
        if body.lstrip()[:1] not in {bytes((letter,)) for letter in _JSON_FIRST}:
            self.counters["answers that are no JSON"] += 1
            return Answer(None, f"the answer is no JSON but {kind}: {_shown(body)}", response.status)
        return Answer(body, "", response.status)


def _shown(body: bytes) -> str:
    """The beginning of a body in one line."""
    text = " ".join(body[: 4 * SHOWN_CHARACTERS_MAX].decode(errors="replace").split())
    return text[:SHOWN_CHARACTERS_MAX] if text else "nothing"
