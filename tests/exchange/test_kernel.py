from __future__ import annotations

import msgspec
import numpy as np
import pytest

from hlhft.data.markets import known
from hlhft.exchange.kernel import Kernel
from hlhft.exchange.listing import Listed, Listing, MarginMode, Token
from hlhft.units import MICRO, Market
from hlhft.venue.blocks import ActionKind
from tests.exchange.clients import START_NS, small_settings


def funded() -> Kernel:
    kernel = Kernel(small_settings())
    for row, ticks in enumerate(kernel_prices()):
        leg = {"kind": ActionKind.ORACLE_PRICE, "market": row, "price_ticks": ticks}
        kernel.add(leg, action=kernel.begin_action(), account=0, arrival_ns=START_NS)
    leg = {"kind": ActionKind.DEPOSIT, "amount": 1000 * MICRO}
    kernel.add(leg, action=kernel.begin_action(), account=1, arrival_ns=START_NS)
    kernel.run(START_NS)
    return kernel


def kernel_prices() -> tuple[int, ...]:
    return small_settings().reference_ticks


def place(kernel: Kernel, ticks: int, side: int) -> None:
    leg = {
        "kind": ActionKind.PLACE, "market": 1, "side": side, "price_ticks": ticks, "size_lots": 100,
        "time_in_force": 1,
    }  # fmt: skip
    kernel.add(leg, action=kernel.begin_action(), account=1, arrival_ns=START_NS)


def test_a_block_takes_its_legs_and_begins_anew() -> None:
    kernel = funded()
    room = kernel.room
    place(kernel, 399_900, 1)
    place(kernel, 400_100, -1)
    assert kernel.room == room - 2
    legs, events = kernel.run(START_NS + 1)
    assert (len(legs), kernel.room) == (2, room)
    assert legs["action"].tolist() == [4, 5]
    assert [int(leg) for leg in events["leg"]] == [0, 1]
    assert kernel.touch().tolist() == [[0, 0], [399_900, 400_100]]
    # What comes back is a copy.
    place(kernel, 399_800, 1)
    kernel.run(START_NS + 2)
    assert legs["price_ticks"].tolist() == [399_900, 400_100]


def test_a_leg_may_name_its_own_account() -> None:
    kernel = funded()
    leg = {"kind": ActionKind.TRANSFER_COLLATERAL, "account": 1, "counterparty": 2, "amount": MICRO}
    kernel.add(leg, action=1, account=9, arrival_ns=0)
    kernel.run(START_NS + 1)
    assert kernel.chain.exchange.collateral[:3].tolist() == [0, 999 * MICRO, MICRO]


def test_the_state_goes_on() -> None:
    kernel = funded()
    place(kernel, 399_900, 1)
    kernel.run(START_NS + 1)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(kernel.state()))
    again = Kernel(small_settings())
    again.restore(state)
    for one in (kernel, again):
        place(one, 399_900, -1)
    first, second = kernel.run(START_NS + 2), again.run(START_NS + 2)
    assert first[1].tobytes() == second[1].tobytes()
    with pytest.raises(ValueError, match="other parts"):
        again.restore({**state, "arrays": {}})


def test_a_state_is_whole_only_between_blocks() -> None:
    kernel = funded()
    place(kernel, 399_900, 1)
    with pytest.raises(AssertionError):
        kernel.state()


def test_markets_have_the_terms_of_their_listing() -> None:
    markets = known()
    pair = Market.spot("@0", asset_id=10_000, size_decimals=2)
    tiers = ((0, 40), (150_000_000 * MICRO, 20))
    listing = Listing(
        (
            Listed(market=markets["BTC"], tiers=tiers),
            Listed(market=markets["ETH"], margin_mode=MarginMode.STRICT_ISOLATED),
            Listed(market=pair, base_token=1),
        ),
        tokens=(Token(name="USDC", index=0), Token(name="GOLD", index=1)),
    )
    settings = small_settings(listing=listing, reference_ticks=(1_100_000, 400_000, 1_000_000))
    kernel = Kernel(settings)
    exchange = kernel.chain.exchange
    assert np.count_nonzero(exchange.tiers["lower_bound_micro"][0]) == 1
    assert exchange.terms["isolated_only"].tolist() == [0, 1, 0]
    assert exchange.terms["strict_isolated"].tolist() == [0, 1, 0]
    assert exchange.terms["base_token"].tolist() == [0, 0, 1]
