"""Single questions to a venue over HTTP, one after the other: for `hlhft doctor` and `hlhft demo`, not for trading."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import aiohttp

ANSWER_BYTES_MAX = 1 << 24
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A body, or why there is none in words; and when it was asked and answered, in ns of this machine's clock."""

    body: bytes | None
    fault: str
    asked_ns: int
    answered_ns: int


@dataclass(frozen=True, slots=True)
class Venue:
    """The venue at a base URL."""

    base_url: str
    timeout_s: float = TIMEOUT_S

    def info(self, body: bytes) -> Answer:
        """The answer to POST /info."""
        return asyncio.run(self._post("/info", body))

    def exchange(self, body: bytes) -> Answer:
        """The answer to POST /exchange."""
        return asyncio.run(self._post("/exchange", body))

    async def _post(self, path: str, body: bytes) -> Answer:
        asked_ns = time.time_ns()
        try:
            found, fault = await self._answer(path, body)
        except TimeoutError:
            found, fault = None, f"no answer within {self.timeout_s:g} s"
        except aiohttp.ClientError as error:
            found, fault = None, " ".join(str(error).split()) or type(error).__name__
        return Answer(found, fault, asked_ns, time.time_ns())

    async def _answer(self, path: str, body: bytes) -> tuple[bytes | None, str]:
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self.base_url + path, data=body, headers=headers, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return None, f"HTTP {response.status}"
            if response.content_type != "application/json":
                return None, f"an answer of type {response.content_type}, which is no venue's"
            # At once what is there, until it is over or too much; a venue's answers are far shorter.
            read = bytearray()
            async for piece in response.content.iter_any():
                read += piece
                if len(read) > ANSWER_BYTES_MAX:
                    return None, f"an answer of more than {ANSWER_BYTES_MAX} bytes"
            return bytes(read), ""
