"""The loops of asyncio and uvloop, and the process of a simulation, are what the live parts ask for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from hlhft.live.clock import Clock
from hlhft.live.loop import Loop, Time
from hlhft.simulation.host import Host, Wall
from hlhft.simulation.time import SECOND
from hlhft.simulation.time import Time as VirtualTime

WORDS = ("call_soon", "call_later", "set_exception_handler")


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_calls_come_in_their_order_and_one_that_is_cancelled_does_not(make: Callable[[], Any]) -> None:
    real = make()
    loop: Loop = real
    came: list[int] = []
    loop.call_later(0.02, real.stop)
    loop.call_later(0.01, came.append, 2)
    loop.call_later(0.005, came.append, 3).cancel()
    loop.call_soon(came.append, 1)
    real.run_forever()
    real.close()
    assert came == [1, 2]


def test_a_simulated_process_has_the_same_words() -> None:
    time = VirtualTime()
    host = Host(time, Wall(time))
    loop: Loop = host
    clock: Time = host
    came: list[int] = []
    loop.call_later(0.01, came.append, 2)
    loop.call_soon(came.append, 1)
    time.run(SECOND)
    assert came == [1, 2]
    assert (clock.discipline(), clock.steps) == (0, 0)
    for word in WORDS:
        named = [list(inspect.signature(getattr(one, word)).parameters) for one in (Loop, Host)]
        assert named[0] == named[1], word


def test_the_clock_of_production_is_a_time() -> None:
    clock: Time = Clock()
    assert clock.now_ns() <= clock.now_ns()
    assert clock.steps == 0
