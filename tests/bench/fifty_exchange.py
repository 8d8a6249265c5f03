"""An exchange of fifty perpetuals with the synthetic order flow, each market like one of the fitted ones.

    python -m tests.bench.fifty_exchange PORT [COUNT]

No limit of the venue's holds here, because no client may send as much as the bench wants to: what is measured is the
engine. An address is told that it may send a billion actions, because an engine keeps to what it is told. The test
account of seed 1 is funded.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from dataclasses import replace

import uvloop

from hlhft.data.markets import known
from hlhft.exchange.channels import ChannelSettings
from hlhft.exchange.flow.parameters import like, shipped
from hlhft.exchange.known_account import test_signer
from hlhft.exchange.limits import LimitSettings
from hlhft.exchange.listing import Listed, Listing
from hlhft.exchange.machine import Machine
from hlhft.exchange.opening import FLOW_ACCOUNT
from hlhft.exchange.server import Clock, Server
from hlhft.exchange.settings import ExchangeSettings
from hlhft.exchange.synthetic_flow import SyntheticFlow
from hlhft.units import MICRO

COUNT = 50
WIDTH_TICKS = 1 << 17
FAST_BOOK_NS = 50_000_000  # with it a market sends about twenty messages a second
SEED = 1
FUNDS_MICRO = 100_000_000 * MICRO
ADDRESS_ACTIONS = 10**9


def opened(count: int, now_ns: int) -> Machine:
    """The exchange: M0 is like BTC, M1 like ETH, and so on in turn, each at a price of its own."""
    flows, markets = shipped(), known()
    like_whom = [list(flows)[place % len(flows)] for place in range(count)]
    listed, numbers, prices = [], [], []
    for place, name in enumerate(like_whom):
        market = replace(markets[name], name=f"M{place}", asset_id=place)
        price = flows[name].start_price * (1 + place / 500)
        listed.append(Listed(market=market))
        numbers.append(like(flows[name], start_price=price))
        prices.append(market.quantise(price * 10**market.price_decimals, side=1))
    settings = ExchangeSettings(
        listing=Listing(tuple(listed)), reference_ticks=tuple(prices), seed=SEED, start_ns=now_ns, with_limits=False,
        width_ticks=WIDTH_TICKS, blocks_per_advance_max=250, channels=ChannelSettings(fast_book_ns=FAST_BOOK_NS),
        limits=LimitSettings(requests_initial=ADDRESS_ACTIONS),
    )  # fmt: skip
    flow = SyntheticFlow([one.market for one in listed], numbers, first_account=FLOW_ACCOUNT, seed=SEED)
    machine = Machine(settings, flow=flow)
    machine.deposit(test_signer(SEED).address, FUNDS_MICRO)
    return machine


async def serve(port: int, count: int) -> None:
    """Serves until it is killed."""
    unseen = opened(count, time.time_ns())
    for _ in range(3):
        unseen.advance(unseen.next_deadline_ns())
    now_ns = time.time_ns()
    machine = opened(count, now_ns)
    for _ in range(3):
        machine.advance(machine.next_deadline_ns())
    clock = Clock(now_ns)
    clock.start_ns += machine.time_ns - now_ns
    server = Server(machine, clock)
    await server.start(port=port)
    gc.collect()
    gc.freeze()
    print(f"http://127.0.0.1:{server.port}", flush=True)
    await server.broken.wait()


def main() -> int:
    """Runs it."""
    port, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else COUNT
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(port, count))
    return 1


if __name__ == "__main__":
    sys.exit(main())
