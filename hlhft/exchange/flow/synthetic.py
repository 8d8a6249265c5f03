"""The synthetic order flow: once a block, what everybody does next.

`flow_legs` looks at the exchange and appends legs for the next block; whoever runs the exchange executes them with what
its own clients sent. The agents are ordinary accounts: their orders are checked, matched and charged like any other.
They are four rebate-tier makers with ladders, deep orders behind them, joiners at the touch, and noise, informed and
momentum takers (hlhft.exchange.flow.makers, joiners, takers), around a fair price (hlhft.exchange.flow.fair) that also
becomes the oracle price and the mid of the markets outside.

The same seed and the same exchange give the same legs; the fair price depends on the seed alone.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.exchange.flow.fair import advance_fair
from hlhft.exchange.flow.joiners import joiner_legs
from hlhft.exchange.flow.legs import add_deposit, add_leverage, add_price
from hlhft.exchange.flow.makers import deep_legs, maker_legs
from hlhft.exchange.flow.state import ORACLE_NS
from hlhft.exchange.flow.takers import informed_legs, momentum_legs, noise_legs

# As in hlhft.venue.blocks and hlhft.exchange.flow.state; the compiled subset wants plain constants.
_ORACLE_PRICE, _EXTERNAL_MARK = 15, 16
_ONE = 65_536
_DEPOSIT_MICRO = 1_000_000_000_000_000  # a billion USDC an account


@compiled
def _oracle_legs(flow, legs, row, market, ts_ns):
    state = flow.states[market]
    if state["next_oracle_ns"] > ts_ns:
        return row
    state["next_oracle_ns"] = ts_ns + ORACLE_NS
    ticks = (state["fair_subticks"] + _ONE // 2) // _ONE
    row = add_price(flow, legs, row, _ORACLE_PRICE, market, ticks, ts_ns)
    return add_price(flow, legs, row, _EXTERNAL_MARK, market, ticks, ts_ns)


@compiled
def _opening_legs(venue, flow, legs, row, ts_ns):
    """Everybody's money, and the leverage that the markets offer."""
    for account in flow.accounts:
        row = add_deposit(flow, legs, row, account, _DEPOSIT_MICRO, ts_ns)
        for market in range(len(flow.numbers)):
            leverage = venue.markets[market]["maximum_leverage"]
            row = add_leverage(flow, legs, row, account, market, leverage, ts_ns)
    return row


@compiled
def flow_legs(venue, flow, legs, first, ts_ns):
    """Appends to legs[first:] what the flow does in the block at `ts_ns`, and returns how many legs are there then.

    The first call deposits for the flow's accounts and sets their leverage.

    `venue` is a hlhft.venue.state.Exchange as the block before left it, `flow` a hlhft.exchange.flow.state.Flow,
    `legs` ACTION_DTYPE with room for `first` + `legs_max(M)` of that module. `ts_ns` > 0 never decreases.
    Numbers of actions go on from that of legs[first - 1].
    """
    row = first
    if flow.states[0]["fair_ns"] == 0:
        row = _opening_legs(venue, flow, legs, row, ts_ns)
    for market in range(len(flow.numbers)):
        advance_fair(flow, market, ts_ns)
        row = _oracle_legs(flow, legs, row, market, ts_ns)
        row = maker_legs(venue, flow, legs, row, market, ts_ns)
        row = deep_legs(venue, flow, legs, row, market, ts_ns)
        row = joiner_legs(venue, flow, legs, row, market, ts_ns)
        row = noise_legs(venue, flow, legs, row, market, ts_ns)
        row = informed_legs(venue, flow, legs, row, market, ts_ns)
        row = momentum_legs(venue, flow, legs, row, market, ts_ns)
    return row
