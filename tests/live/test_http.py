"""HTTP requests against a real server that answers well, badly, late or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from hlhft.live.http import REFUSALS_MAX, SHOWN_CHARACTERS_MAX, Answer, Http, HttpSettings

HTML = "<html><body>" + "Bad Gateway " * 100 + "</body></html>"


async def info(request: web.Request) -> web.StreamResponse:
    kind = (await request.json())["type"]
    if kind == "html":
        return web.Response(text=HTML, content_type="text/html")
    if kind == "busy":
        return web.Response(text=HTML, content_type="text/html", status=502)
    if kind == "empty":
        return web.Response()
    if kind == "moved":
        raise web.HTTPFound("/elsewhere")
    if kind == "long":
        return web.json_response("x" * 5000)
    if kind == "late":
        await asyncio.Event().wait()
    if kind == "cut":
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.abort()
        return response
    return web.json_response({"you": kind, "path": request.path, "type": request.content_type})


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/info", info)
    application.router.add_post("/exchange", info)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"  # type: ignore[attr-defined]
    finally:
        await runner.cleanup()


def asked(kind: str, settings: HttpSettings | None = None) -> tuple[Answer, Http]:
    async def work() -> tuple[Answer, Http]:
        async with served() as url:
            http = Http(url, settings)
            try:
                return await http.ask("/info", b'{"type":"%b"}' % kind.encode()), http
            finally:
                await http.close()

    return asyncio.run(work())


def test_json_is_told_as_it_is():
    answer, http = asked("meta")
    assert answer == Answer(b'{"you": "meta", "path": "/info", "type": "application/json"}', "", 200)
    assert http.counters == {"requests": 1}


@pytest.mark.parametrize(
    ("kind", "status", "parts"),
    [
        ("html", 200, ("the answer is no JSON but text/html", "Bad Gateway")),
        ("busy", 502, ("HTTP 502 (text/html)", "Bad Gateway")),
        ("empty", 200, ("no JSON", "nothing")),
        ("moved", 302, ("HTTP 302",)),
        ("long", 200, ("an answer of more than 2000 bytes",)),
        ("late", 0, ("no answer within 0.2 s",)),
        ("cut", 0, ("/info: Client",)),
    ],
)
def test_what_is_no_answer_is_said_in_a_sentence(kind: str, status: int, parts: tuple[str, ...]):
    answer, http = asked(kind, HttpSettings(timeout_s=0.2 if kind == "late" else 10.0, body_bytes_max=2000))
    assert answer.body is None
    assert answer.status == status
    assert all(part in answer.fault for part in parts), answer.fault
    assert len(answer.fault) < SHOWN_CHARACTERS_MAX + 60
    assert http.counters["answers that are none"] == 1


def test_nobody_there_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    async def work() -> Answer:
        http = Http(f"http://127.0.0.1:{port}")
        try:
            return await http.ask("/info", b"{}")
        finally:
            await http.close()

    assert "/info: ClientConnectorError" in asyncio.run(work()).fault


def test_posts_are_told_later_and_once_and_more_than_the_most_are_refused():
    async def work() -> None:
        async with served() as url:
            http = Http(url, HttpSettings(requests_max=2, actions_kept=1))
            told: list[tuple[int, Answer]] = []
            done = asyncio.Event()

            def note(number: int) -> Callable[[Answer], None]:
                def tell(answer: Answer) -> None:
                    told.append((number, answer))
                    if len(told) == 3:
                        done.set()

                return tell

            for number in range(3):
                http.post("/exchange", b'{"type":"order"}', note(number))
            assert not told
            assert http.under_way == 3
            await asyncio.wait_for(done.wait(), 10)
            assert {number: answer.body is not None for number, answer in told} == {0: True, 1: True, 2: False}
            assert http.counters["requests refused"] == 1
            for number in range(2 + REFUSALS_MAX):
                http.post("/exchange", b'{"type":"late"}', note(number))
            with pytest.raises(AssertionError, match="bounded by those who make them"):
                http.post("/exchange", b"{}", note(9))
            await http.close()
            assert http.under_way == 0
            assert len([number for number, _ in told if number < 2]) == 2

    run(work)


def test_questions_leave_room_for_actions():
    async def work() -> None:
        async with served() as url:
            http = Http(url, HttpSettings(requests_max=3, actions_kept=1))
            told: dict[str, Answer] = {}
            done = asyncio.Event()

            def note(name: str) -> Callable[[Answer], None]:
                def tell(answer: Answer) -> None:
                    told[name] = answer
                    if name == "action":
                        done.set()

                return tell

            for number in range(3):
                http.post("/info", b'{"type":"late"}', note(f"question {number}"))
            http.post("/exchange", b'{"type":"order"}', note("action"))
            await asyncio.wait_for(done.wait(), 10)
            assert told["question 2"].fault == "2 requests are under way already"
            assert told["action"].body is not None
            await http.close()

    run(work)


def test_what_is_not_acknowledged_is_given_up_in_time() -> None:
    async def work() -> None:
        async with served() as url:
            http = Http(url, HttpSettings(user_timeout_ms=1234))
            try:
                assert (await http.ask("/info", b'{"type":"meta"}')).body is not None
                patience = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for one in connected_to(url)]
            finally:
                await http.close()
            assert patience == [1234]

    run(work)


def connected_to(url: str) -> list[socket.socket]:
    """The near ends here of connections to the port of a server."""
    port = int(url.rstrip("/").rpartition(":")[2])
    # Of others not even the class is asked: some of torch warn when they are.
    alive = [one for one in gc.get_objects() if type(one) is socket.socket and one.fileno() >= 0]
    return [one for one in alive if one.family == socket.AF_INET and _peer(one)[1:] == (port,)]


def _peer(one: socket.socket) -> tuple[object, ...]:
    try:
        return tuple(one.getpeername())
    except OSError:
        return ()


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_bounds_are_bounds():
    with pytest.raises(ValueError, match="requests_max of HTTP requests is 0, and must be more than 0"):
        HttpSettings(requests_max=0)
    with pytest.raises(ValueError, match="actions_kept of HTTP requests is 16, and must be less than requests_max, 16"):
        HttpSettings(actions_kept=16)
