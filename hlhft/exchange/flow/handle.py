"""The synthetic order flow as compiled code finds it by addresses, as hlhft.venue.handle has the venue."""

from __future__ import annotations

import numpy as np

from hlhft.compiled import JIT_DISABLED, array_at, compiled, compiled_views
from hlhft.exchange.flow.draws import GENERATOR_DTYPE
from hlhft.exchange.flow.state import FLOW_DTYPE, JOINER_DTYPE, MAKER_DTYPE, MARKET_STATE_DTYPE, Flow
from hlhft.exchange.flow.synthetic import flow_legs
from hlhft.venue.blocks import ACTION_DTYPE
from hlhft.venue.handle import ChainHandle, exchange_at, handle_of

_INT64 = np.dtype(np.int64)


@compiled_views
def flow_at(handle):  # pragma: no cover - only compiled code follows addresses
    """The flow behind its handle."""
    return Flow(
        array_at(handle[0, 0], (handle[0, 1],), _INT64),  # accounts
        array_at(handle[1, 0], (handle[1, 1],), FLOW_DTYPE),  # numbers
        array_at(handle[2, 0], (handle[2, 1],), MARKET_STATE_DTYPE),  # states
        array_at(handle[3, 0], (handle[3, 1],), GENERATOR_DTYPE),  # price_draws
        array_at(handle[4, 0], (handle[4, 1],), GENERATOR_DTYPE),  # book_draws
        array_at(handle[5, 0], (handle[5, 1], handle[5, 2]), _INT64),  # history
        array_at(handle[6, 0], (handle[6, 1], handle[6, 2]), MAKER_DTYPE),  # makers
        array_at(handle[7, 0], (handle[7, 1], handle[7, 2], handle[7, 3]), _INT64),  # deep_ticks
        array_at(handle[8, 0], (handle[8, 1], handle[8, 2]), _INT64),  # deep_lots
        array_at(handle[9, 0], (handle[9, 1],), _INT64),  # deep_e6
        array_at(handle[10, 0], (handle[10, 1], handle[10, 2]), JOINER_DTYPE),  # joiners
        array_at(handle[11, 0], (handle[11, 1], handle[11, 2]), _INT64),  # level_lots
        array_at(handle[12, 0], (handle[12, 1], handle[12, 2]), _INT64),  # lean
        array_at(handle[13, 0], (handle[13, 1], handle[13, 2]), _INT64),  # order_lots
        array_at(handle[14, 0], (handle[14, 1], handle[14, 2]), _INT64),  # order_impact
        array_at(handle[15, 0], (handle[15, 1],), _INT64),  # weights
        array_at(handle[16, 0], (handle[16, 1],), _INT64),  # normal
        array_at(handle[17, 0], (handle[17, 1],), _INT64),  # exponential
        array_at(handle[18, 0], (handle[18, 1],), ACTION_DTYPE),  # blank
    )


@compiled
def flow_legs_at(venue, flow, legs, first, ts_ns):  # pragma: no cover - as above
    """`hlhft.exchange.flow.synthetic.flow_legs` of what is behind the two handles."""
    return flow_legs(exchange_at(venue), flow_at(flow), legs, first, ts_ns)


class FlowHandle:
    """A flow to be called again and again; it keeps the flow alive."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.addresses = handle_of(flow)

    def legs(self, venue: ChainHandle, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """As `flow_legs`."""
        if JIT_DISABLED:
            return int(flow_legs(venue.chain.exchange, self.flow, legs, first, ts_ns))
        return int(flow_legs_at(venue.addresses, self.addresses, legs, first, ts_ns))  # pragma: no cover - as above
