from __future__ import annotations

import msgspec
import pytest

from hlhft.exchange.machine import Machine
from hlhft.exchange.opening import open_machine, open_settings
from hlhft.exchange.synthetic_flow import FUNDS_MICRO, REBATE_E9, SyntheticFlow
from tests.exchange.clients import START_NS, Client, order, orders

SECOND_NS = 1_000_000_000


def opened(seed: int = 1) -> Machine:
    return open_machine(open_settings(["ETH"], seed=seed, start_ns=START_NS, with_delays=False), synthetic=True)


def test_a_market_comes_into_being() -> None:
    machine = opened()
    machine.advance(START_NS + 4 * SECOND_NS)
    bid, ask = machine.kernel.touch()[0].tolist()
    assert 0 < bid < ask
    chain = machine.kernel.chain
    assert (chain.exchange.collateral[1:3] > FUNDS_MICRO // 2).all()
    assert chain.exchange.holdings["maker_rate_e9"][1, 0] == REBATE_E9
    alice = Client(machine, 7)
    price = str((ask // 10 + 100) / 10)
    (status,) = alice.statuses(orders(order(asset=0, price=price.removesuffix(".0"), size="0.1", tif="Ioc")))
    assert status["filled"]["totalSz"] == "0.1"
    assert chain.state["broken"][0] == 0


def test_the_flow_follows_its_seed_and_goes_on_after_a_restart() -> None:
    first, second, other = opened(), opened(), opened(2)
    for machine in (first, second, other):
        machine.advance(START_NS + SECOND_NS)
    assert first.digest == second.digest != other.digest
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(first.state()))
    second.advance(START_NS + 2 * SECOND_NS)
    second.restore(state, first.time_ns)
    end_ns = first.time_ns + SECOND_NS
    for machine in (first, second):
        machine.advance(end_ns)
    assert second.digest == first.digest
    with pytest.raises(ValueError, match="has shape"):
        second.flow.restore(
            {**state["flow"], "arrays": {**state["flow"]["arrays"], "accounts": [[1], "'<i8'", b"", b""]}}
        )


def test_a_price_leaps_and_turns_round_at_its_bounds() -> None:
    machine = opened()
    machine.advance(START_NS + 2 * SECOND_NS)
    flow = machine.flow
    assert isinstance(flow, SyntheticFlow)
    now_ns, start = START_NS + 2 * SECOND_NS, int(machine.kernel.touch()[0, 0])
    for turn, share in enumerate((1.1, 1.21, 1.089)):
        flow.leap(0, 100_000, least=start // 2, most=start * 5 // 4)
        now_ns += 10 * SECOND_NS
        machine.advance(now_ns)
        assert machine.kernel.touch()[0, 0] / start == pytest.approx(share, rel=0.005), turn
