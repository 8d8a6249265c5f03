"""What is called by its addresses does what it does by its arrays."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.venue import rules
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import Chain, arrays_of, new_chain
from hlhft.venue.depth import new_levels, read_levels, read_touches
from hlhft.venue.handle import DIMENSIONS_MAX, ChainHandle, handle_of
from tests.exchange.hall import LISTING

PRICE_TICKS, FUNDS_MICRO = 100_000, 10**12


def chain() -> Chain:
    base = [PRICE_TICKS - 1_000] * len(LISTING.records())
    return new_chain(
        LISTING.records(), rules.hyperliquid(), accounts=4, base_ticks=base, width=4_096, slots=64, start_ns=0,
        legs_max=64,
    )  # fmt: skip


def legs(block: int) -> np.ndarray:
    """Money and prices first, then orders of both sides in each market, some of which meet."""
    made = np.zeros(8, ACTION_DTYPE)
    made["action"] = np.arange(8) + 8 * block
    for row, leg in enumerate(made):
        leg["market"], leg["account"] = row % 2, 1 + row % 3
        if block == 0:
            leg["kind"] = ActionKind.DEPOSIT if row < 6 else ActionKind.ORACLE_PRICE
            leg["amount"], leg["price_ticks"] = FUNDS_MICRO, PRICE_TICKS
        else:
            leg["kind"], leg["side"], leg["time_in_force"] = ActionKind.PLACE, 1 - row // 4 * 2, TimeInForce.GTC
            leg["price_ticks"], leg["size_lots"] = PRICE_TICKS + 100 * (row % 4 - block % 3), 1_000 + row
            leg["client_id"] = 100 * block + row + 1
    return made


def test_a_handle_has_every_array_in_order() -> None:
    made = chain()
    handle, arrays = handle_of(made), list(arrays_of(made).values())
    assert handle.shape == (len(arrays), 1 + DIMENSIONS_MAX)
    for row, array in zip(handle, arrays, strict=True):
        assert row[0] == array.ctypes.data and tuple(row[1 : 1 + array.ndim]) == array.shape


def test_what_cannot_be_followed_is_no_handle() -> None:
    with pytest.raises(AssertionError):
        handle_of((np.zeros((4, 4))[:, 1],))


def test_blocks_and_books_are_the_same_either_way() -> None:
    by_arrays, by_addresses = chain(), chain()
    handle = ChainHandle(by_addresses)
    events = 0
    for block in range(12):
        for one, run in ((by_arrays, None), (by_addresses, handle)):
            made = legs(block)
            if run is None:
                run_block(one, made, len(made), (block + 1) * 75_000_000)
            else:
                run.run_block(made, len(made), (block + 1) * 75_000_000)
        events = int(by_arrays.exchange.engine["event_count"][0])
        for name, array in arrays_of(by_arrays).items():
            assert array.tobytes() == arrays_of(by_addresses)[name].tobytes(), f"block {block}, {name}"
    assert events > 100 and by_addresses.exchange.holdings["position_lots"].any()
    count = len(LISTING.records())
    touches, same = new_levels(2 * count).reshape(count, 2), new_levels(2 * count).reshape(count, 2)
    read_touches(by_arrays.exchange, touches)
    handle.read_touches(same)
    assert touches.tobytes() == same.tobytes() and touches["price_ticks"].any()
    for row in range(2):
        levels, others = new_levels(5), new_levels(5)
        found = read_levels(by_arrays.exchange, 0, row, 0, 1, levels)
        assert handle.read_levels(0, row, 0, 1, others) == found
        assert levels.tobytes() == others.tobytes()
