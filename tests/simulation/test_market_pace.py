"""A lean market has as many events as a run needs, at least, and is the recorded one at its own pace."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from hlhft.exchange.flow.parameters import shipped
from hlhft.exchange.machine import Machine
from hlhft.simulation.account import COINS
from hlhft.simulation.exchange_process import settings
from hlhft.simulation.market_pace import BUSY, LEAN, LEAST_EVENTS_PER_S, paced, paced_flow
from hlhft.simulation.time import SECOND, START_NS
from hlhft.simulation.world import World

SPAN_S = 120


def events_per_s(paces: tuple[float, ...], seed: int) -> list[float]:
    """What happens in each market of an exchange with nobody but its flow, after a minute in which it fills."""
    opened = settings(seed)
    machine = Machine(opened, flow=paced_flow(opened, paces))
    counted: Counter[int] = Counter()
    for second in range(1, 60 + SPAN_S + 1):
        outcome = machine.advance(START_NS + second * SECOND)
        if second > 60:
            for block in outcome.blocks:
                counted.update(block.events["market"].tolist())
    return [counted[row] / SPAN_S for row in range(len(COINS))]


@pytest.mark.parametrize("seed", [2, 3])
def test_a_lean_market_has_the_events_that_a_run_needs(seed: int) -> None:
    lean = events_per_s(LEAN, seed)
    assert min(lean) >= LEAST_EVENTS_PER_S
    assert sum(lean) < sum(events_per_s(BUSY, seed))


def test_prices_move_as_far_with_each_event() -> None:
    numbers = shipped()["BTC"]
    slow = paced(numbers, 0.25)
    assert paced(numbers, 1.0) == numbers
    assert slow.diffusion_bp * math.sqrt(4) == pytest.approx(numbers.diffusion_bp)
    assert slow.jump_bp == numbers.jump_bp and slow.jumps_per_minute * 4 == numbers.jumps_per_minute
    assert slow.maker_period_s == 4 * numbers.maker_period_s and slow.joiner_life_s == 4 * numbers.joiner_life_s


def test_an_exchange_that_comes_back_goes_on_at_its_pace(tmp_path: Path) -> None:
    world = World(2, tmp_path)
    numbers = world.exchange.flow.inner._flow.numbers.tobytes()
    assert (numbers == paced_flow(settings(2), LEAN)._flow.numbers.tobytes()) == (world.settings.paces == LEAN)
    world.kill_exchange()
    world.return_exchange()
    assert world.exchange.flow.inner._flow.numbers.tobytes() == numbers
