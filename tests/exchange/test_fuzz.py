"""The fuzz of the exchange, short: `make fuzz` runs it long."""

from __future__ import annotations

import random

import pytest

from tests.exchange.fuzz_grammar import Grammar
from tests.exchange.fuzz_room import run

INPUTS = 3_000


@pytest.mark.parametrize("seed", [1])
def test_nothing_that_is_sent_harms_the_exchange(seed: int) -> None:
    for tally, _ in run(seed, INPUTS):
        last = tally
    assert last.inputs == INPUTS
    assert last.share_handled >= 0.5, last.handled
    assert min(last.handled[door] / last.sent[door] for door in ("info", "exchange", "frame")) > 0.4


def test_a_seed_tells_all_that_is_sent() -> None:
    def drawn(seed: int) -> list[bytes]:
        grammar = Grammar(random.Random(seed), people=3, now_ms=1_790_000_000_000)
        return [grammar.next().body for _ in range(200)]

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)
