"""Whatever is killed, whenever: no order is left that nobody answers for, no nonce is used twice, and positions agree.

Twenty kills at moments drawn from a printed seed: of the engine, of the exchange, of the watchdog.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.endtoend.house import EXPIRY_S, NONCE_USED, House, eventually

KILLS = int(os.environ.get("HLHFT_KILLS", "20"))
SEED = int(os.environ.get("HLHFT_KILLS_SEED", "1"))
SILENCE_S = 2.0  # of the watchdog's settings
SWEEP_S = 5.0  # for its listing and cancels


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which everything runs, without limits: an engine that often begins again asks more than is allowed."""
    with House(tmp_path_factory.mktemp("kills"), exchange=("--no-limits",)) as there:
        there.start_watchdog()
        there.start_engine()
        there.quotes_within(60)
        yield there


def agrees(house: House) -> bool:
    """Whether the engine is quoting under the eyes of a watchdog, and its positions are the venue's."""
    told = house.status()
    if told is None or told.stage != "quoting" or not told.covers[0].is_covered:
        return False
    held = house.positions()
    return all(Decimal(market.position) == Decimal(held.get(market.name, "0")) for market in told.markets)


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_kill_leaves_nothing_unowned(house: House, kill: int) -> None:
    draw = random.Random(f"{SEED} {kill}")
    victim = draw.choice(("engine", "engine", "exchange", "watchdog"))
    pause_s = draw.uniform(0.0, 3.0)
    print(f"seed {SEED}, kill {kill}: {victim} after {pause_s:.2f} s")
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > pause_s, within_s=10)
    assert house.engine is not None and house.watchdog is not None
    if victim == "engine":
        house.engine.kill()
        seconds = house.empty_within(SILENCE_S + SWEEP_S + EXPIRY_S)
        print(f"verified empty {seconds:.2f} s after the kill")
        house.start_engine()
    elif victim == "exchange":
        house.exchange.kill()
        house.restart_exchange()
    else:
        house.watchdog.kill()
        house.start_watchdog()
    eventually(lambda: agrees(house), within_s=60)
    house.quotes_within(60)
    told = house.status()
    assert told is not None
    assert not told.halt, told.halt
    assert NONCE_USED not in told.counters
