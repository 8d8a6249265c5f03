"""A question has a body or a reason in words; whatever the other side does, it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp import web

from hlhft.live import asking
from hlhft.live.asking import Venue


async def told(request: web.Request) -> web.StreamResponse:
    return web.Response(body=request.path.encode() + await request.read(), content_type="application/json")


async def page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>busy</html>", content_type="text/html")


async def refused(_: web.Request) -> web.StreamResponse:
    return web.Response(status=429)


async def elsewhere(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/info"})


async def never(_: web.Request) -> web.StreamResponse:
    await OVER.wait()
    raise AssertionError


async def long(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"a" * 100, content_type="application/json")


OVER = asyncio.Event()  # the end of these tests
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROUTES: dict[str, Handler] = {
    "told": told, "page": page, "refused": refused, "elsewhere": elsewhere, "never": never, "long": long,
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = web.Application()
    for name, handler in ROUTES.items():
        app.router.add_post(f"/{name}/info", handler)
        app.router.add_post(f"/{name}/exchange", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.0)

    async def begin() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    port = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(OVER.set)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_body_comes_back_with_its_times(server: str) -> None:
    before = time.time_ns()
    answer = Venue(f"{server}/told").info(b"{}")
    assert (answer.body, answer.fault) == (b"/told/info{}", "")
    assert before <= answer.asked_ns <= answer.answered_ns <= time.time_ns()
    assert Venue(f"{server}/told").exchange(b"1").body == b"/told/exchange1"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("page", "an answer of type text/html, which is no venue's"),
        ("refused", "HTTP 429"),
        ("elsewhere", "HTTP 302"),
        ("absent", "HTTP 404"),
    ],
)
def test_what_is_no_answer_is_said_in_words(server: str, name: str, fault: str) -> None:
    answer = Venue(f"{server}/{name}").info(b"{}")
    assert (answer.body, answer.fault) == (None, fault)


def test_an_answer_without_end_and_one_that_never_comes(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_BYTES_MAX", 99)
    assert Venue(f"{server}/long").info(b"{}").fault == "an answer of more than 99 bytes"
    assert Venue(f"{server}/never", timeout_s=0.05).info(b"{}").fault == "no answer within 0.05 s"


def test_nobody_there() -> None:
    answer = Venue("http://127.0.0.1:9").info(b"{}")
    assert answer.body is None and "127.0.0.1:9" in answer.fault
