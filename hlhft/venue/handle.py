"""The venue as compiled code finds it by one array of addresses.

A call from Python pays for each array that it passes, and a chain has forty-three of them: as much as a whole block
takes that nobody is in. Whoever calls the venue for every block writes their addresses and lengths down once and passes
that. The arrays stay where they were allocated, and whoever holds a handle keeps them alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hlhft.compiled import JIT_DISABLED, array_at, compiled, compiled_views
from hlhft.ladder import LADDER_DTYPE
from hlhft.units import MARKET_DTYPE
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import CHAIN_DTYPE, PARAMETERS_DTYPE, PRICE_DTYPE, Chain
from hlhft.venue.depth import read_levels, read_touches
from hlhft.venue.fee_tiers import FEE_TIER_DTYPE, REBATE_DTYPE, Fees
from hlhft.venue.funding import FUNDING_DTYPE
from hlhft.venue.holding import HOLDING_DTYPE
from hlhft.venue.liquidation import INTENT_DTYPE, LIQUIDATION_DTYPE
from hlhft.venue.margin import MARGIN_DTYPE, RESTING_DTYPE, TIER_DTYPE
from hlhft.venue.rules import RULES_DTYPE
from hlhft.venue.scheduled_cancel import SCHEDULE_DTYPE
from hlhft.venue.state import ENGINE_DTYPE, ORDER_DTYPE, OWNED_DTYPE, VENUE_EVENT_DTYPE, WAITING_DTYPE, Exchange
from hlhft.venue.terms import TERMS_DTYPE
from hlhft.venue.twap import TWAP_DTYPE

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
DIMENSIONS_MAX = 3


def handle_of(arrays: Any) -> np.ndarray:
    """Address and lengths of each array of a tuple of arrays and such tuples, in order: int64[K, 1 + DIMENSIONS_MAX].

    It is right for as long as the arrays live.
    """
    found = list(_flat(arrays))
    handle = np.zeros((len(found), 1 + DIMENSIONS_MAX), np.int64)
    for row, array in zip(handle, found, strict=True):
        assert array.flags.c_contiguous and array.flags.writeable and array.ndim <= DIMENSIONS_MAX
        row[0] = array.ctypes.data
        row[1 : 1 + array.ndim] = array.shape
    return handle


def _flat(arrays: Any) -> Iterator[np.ndarray]:
    for part in arrays:
        if isinstance(part, np.ndarray):
            yield part
        else:
            yield from _flat(part)


@compiled_views
def exchange_at(handle):  # pragma: no cover - only compiled code follows addresses
    """The exchange behind a handle that begins with its arrays, as that of a chain does."""
    return Exchange(
        array_at(handle[0, 0], (handle[0, 1],), RULES_DTYPE),  # rules
        array_at(handle[1, 0], (handle[1, 1],), ENGINE_DTYPE),  # engine
        array_at(handle[2, 0], (handle[2, 1],), MARKET_DTYPE),  # markets
        array_at(handle[3, 0], (handle[3, 1], handle[3, 2]), TIER_DTYPE),  # tiers
        array_at(handle[4, 0], (handle[4, 1],), TERMS_DTYPE),  # terms
        array_at(handle[5, 0], (handle[5, 1],), _INT64),  # marks
        array_at(handle[6, 0], (handle[6, 1],), LADDER_DTYPE),  # ladders
        array_at(handle[7, 0], (handle[7, 1], handle[7, 2], handle[7, 3]), _INT64),  # cells
        array_at(handle[8, 0], (handle[8, 1], handle[8, 2], handle[8, 3]), _INT32),  # heads
        array_at(handle[9, 0], (handle[9, 1], handle[9, 2], handle[9, 3]), _INT32),  # tails
        array_at(handle[10, 0], (handle[10, 1],), ORDER_DTYPE),  # orders
        array_at(handle[11, 0], (handle[11, 1],), WAITING_DTYPE),  # waiting
        array_at(handle[12, 0], (handle[12, 1],), ORDER_DTYPE),  # taker
        array_at(handle[13, 0], (handle[13, 1],), OWNED_DTYPE),  # owned
        array_at(handle[14, 0], (handle[14, 1], handle[14, 2]), _INT32),  # buckets
        array_at(handle[15, 0], (handle[15, 1],), _INT64),  # collateral
        array_at(handle[16, 0], (handle[16, 1], handle[16, 2]), HOLDING_DTYPE),  # holdings
        array_at(handle[17, 0], (handle[17, 1], handle[17, 2]), MARGIN_DTYPE),  # margins
        array_at(handle[18, 0], (handle[18, 1], handle[18, 2]), RESTING_DTYPE),  # resting
        array_at(handle[19, 0], (handle[19, 1], handle[19, 2]), _INT64),  # tokens
        array_at(handle[20, 0], (handle[20, 1],), _INT64),  # open_orders
        array_at(handle[21, 0], (handle[21, 1],), _INT64),  # builder_fees
        array_at(handle[22, 0], (handle[22, 1],), VENUE_EVENT_DTYPE),  # events
    )


@compiled_views
def chain_at(handle):  # pragma: no cover - as above
    """The chain behind its handle."""
    return Chain(
        exchange_at(handle),
        array_at(handle[23, 0], (handle[23, 1],), PARAMETERS_DTYPE),  # parameters
        array_at(handle[24, 0], (handle[24, 1],), CHAIN_DTYPE),  # state
        array_at(handle[25, 0], (handle[25, 1],), TWAP_DTYPE),  # twaps
        array_at(handle[26, 0], (handle[26, 1],), SCHEDULE_DTYPE),  # schedules
        array_at(handle[27, 0], (handle[27, 1],), PRICE_DTYPE),  # prices
        array_at(handle[28, 0], (handle[28, 1],), FUNDING_DTYPE),  # funding
        array_at(handle[29, 0], (handle[29, 1], handle[29, 2]), LIQUIDATION_DTYPE),  # liquidations
        array_at(handle[30, 0], (handle[30, 1], handle[30, 2]), _INT64),  # transitions
        array_at(handle[31, 0], (handle[31, 1],), INTENT_DTYPE),  # intents
        array_at(handle[32, 0], (handle[32, 1], handle[32, 2]), _INT64),  # entries
        Fees(
            array_at(handle[33, 0], (handle[33, 1],), FEE_TIER_DTYPE),  # tiers
            array_at(handle[34, 0], (handle[34, 1],), REBATE_DTYPE),  # rebates
            array_at(handle[35, 0], (handle[35, 1], handle[35, 2], handle[35, 3]), _INT64),  # days
            array_at(handle[36, 0], (handle[36, 1],), _INT64),  # traded_micro
            array_at(handle[37, 0], (handle[37, 1],), _INT64),  # master
            array_at(handle[38, 0], (handle[38, 1],), _INT64),  # fixed
            array_at(handle[39, 0], (handle[39, 1],), _INT64),  # elsewhere_micro
            array_at(handle[40, 0], (handle[40, 1], handle[40, 2]), _INT64),  # sums
        ),
        array_at(handle[41, 0], (handle[41, 1],), _INT64),  # outside
        array_at(handle[42, 0], (handle[42, 1],), _INT64),  # order
    )


@compiled
def run_block_at(handle, legs, count, ts_ns):  # pragma: no cover - as above
    """`hlhft.venue.chain.run_block` on the chain behind `handle`."""
    run_block(chain_at(handle), legs, count, ts_ns)


@compiled
def read_touches_at(handle, touches):  # pragma: no cover - as above
    """`hlhft.venue.depth.read_touches` of the exchange behind `handle`."""
    read_touches(exchange_at(handle), touches)


@compiled
def read_levels_at(handle, market, row, figures, mantissa, levels):  # pragma: no cover - as above
    """`hlhft.venue.depth.read_levels` of the exchange behind `handle`."""
    return read_levels(exchange_at(handle), market, row, figures, mantissa, levels)


class ChainHandle:
    """A chain to be called again and again; it keeps the chain alive."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.addresses = handle_of(chain)

    def run_block(self, legs: np.ndarray, count: int, ts_ns: int) -> None:
        """As of hlhft.venue.chain."""
        if JIT_DISABLED:
            run_block(self.chain, legs, count, ts_ns)
        else:  # pragma: no cover - as above
            run_block_at(self.addresses, legs, count, ts_ns)

    def read_touches(self, touches: np.ndarray) -> None:
        """As of hlhft.venue.depth."""
        if JIT_DISABLED:
            read_touches(self.chain.exchange, touches)
        else:  # pragma: no cover - as above
            read_touches_at(self.addresses, touches)

    def read_levels(self, market: int, row: int, figures: int, mantissa: int, levels: np.ndarray) -> int:
        """As of hlhft.venue.depth."""
        if JIT_DISABLED:
            return int(read_levels(self.chain.exchange, market, row, figures, mantissa, levels))
        return int(  # pragma: no cover - as above
            read_levels_at(self.addresses, market, row, figures, mantissa, levels)
        )
