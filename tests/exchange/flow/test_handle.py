"""A flow that is called by its addresses does what it does by its arrays."""

from __future__ import annotations

import numpy as np

from hlhft.exchange.flow.handle import FlowHandle
from hlhft.exchange.flow.parameters import shipped
from hlhft.exchange.flow.state import Flow, new_flow
from hlhft.exchange.flow.synthetic import flow_legs
from hlhft.exchange.kernel import Kernel
from hlhft.exchange.opening import named
from hlhft.simulation.exchange_process import settings
from hlhft.venue.blocks import ACTION_DTYPE

COINS, BLOCK_NS = ("BTC", "ETH"), 75_000_000


def flow() -> Flow:
    numbers = shipped()
    return new_flow(
        named(COINS), [numbers[coin] for coin in COINS], first_account=1, seed=5, blank=np.zeros(1, ACTION_DTYPE)
    )


def test_the_same_legs_and_the_same_memory() -> None:
    opened = settings(5)
    one, other = Kernel(opened), Kernel(opened)
    by_arrays, by_addresses = flow(), flow()
    handle, legs = FlowHandle(by_addresses), 0
    for block in range(1, 60):
        ts_ns = opened.start_ns + block * BLOCK_NS
        one.count = flow_legs(one.chain.exchange, by_arrays, one.legs, 0, ts_ns)
        other.count = handle.legs(other.handle, other.legs, 0, ts_ns)
        assert one.legs[: one.count].tobytes() == other.legs[: other.count].tobytes()
        legs += one.count
        one.run(ts_ns)
        other.run(ts_ns)
    assert legs > 200
    for name, array in by_arrays._asdict().items():
        assert array.tobytes() == getattr(by_addresses, name).tobytes(), name
