"""The store's thread: in order, told in the loop, bounded, and what breaks is not swallowed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hlhft.live import keeper as keepers
from hlhft.live.keeper import Keeper
from hlhft.live.store import StoreError


def test_work_is_done_in_order_and_told_in_the_loop():
    async def work() -> None:
        loop = asyncio.get_running_loop()
        keeper = Keeper(loop)
        done: list[Any] = []
        over = loop.create_future()

        def told(fault: str) -> None:
            done.append(("told", fault, threading.current_thread() is threading.main_thread()))
            over.set_result(None)

        keeper.later(lambda: done.append("first"))
        keeper.later(lambda: done.append("second"), told)
        assert keeper.now(lambda: done.append("third")) == ""
        assert done[:3] == ["first", "second", "third"]
        await asyncio.wait_for(over, 10)
        assert done[3:] == [("told", "", True)]
        keeper.close()

    asyncio.run(work())


def test_a_store_that_fails_is_a_sentence():
    def fail() -> None:
        raise StoreError("the disk is full")

    async def work() -> None:
        loop = asyncio.get_running_loop()
        keeper = Keeper(loop)
        told = loop.create_future()
        keeper.later(fail, told.set_result)
        assert await asyncio.wait_for(told, 10) == "the disk is full"
        assert keeper.now(fail) == "the disk is full"
        assert keeper.failures == 2
        keeper.close()

    asyncio.run(work())


def test_what_is_no_failure_of_the_store_breaks_the_loop():
    def fail() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        loop = asyncio.get_running_loop()
        heard = loop.create_future()
        loop.set_exception_handler(lambda loop, context: heard.set_result(context["exception"]))
        keeper = Keeper(loop)
        keeper.later(fail)
        assert isinstance(await asyncio.wait_for(heard, 10), ZeroDivisionError)
        keeper.close()

    asyncio.run(work())


def test_a_disk_that_does_not_keep_up_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keepers, "WAITING_MAX", 1)
    monkeypatch.setattr(keepers, "WAIT_S", 0.01)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        keeper = Keeper(loop)
        go_on = threading.Event()
        keeper.later(go_on.wait)
        refused = loop.create_future()
        keeper.later(lambda: None, refused.set_result)
        keeper.later(lambda: None)
        assert not refused.done()
        assert await asyncio.wait_for(refused, 10) == "the disk does not keep up"
        assert "not written within 0.01 s" in keeper.now(lambda: None)
        go_on.set()
        keeper.close()

    asyncio.run(work())
