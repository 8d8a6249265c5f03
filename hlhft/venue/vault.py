"""The insurance vault: what it does with the positions that it took over.

Source: venue reference section 10 for the take-over and for deleveraging. How the venue's liquidator closes is not
documented; here it takes what the book offers at the mark or better, one level in a block, and never waits in it. When
it is worth less than nothing its positions end by auto-deleveraging at the previous mark; what is missing then stays
its debt.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.adl import deleverage, equity_micro
from hlhft.venue.placing import place
from hlhft.venue.trade_ledger import book_trades

VAULT = 0  # its account

_CROSS = -1
_IOC = 2  # hlhft.venue.blocks.TimeInForce


@compiled
def previous_mark(chain, market):
    """The mark before the present one, the present one when there was none."""
    before = chain.prices[market]["previous_mark_ticks"]
    return before if before > 0 else chain.exchange.marks[market]


@compiled
def close_positions(venue, ts_ns):
    """Closes what the best level of each book takes at the mark or better."""
    for market in range(len(venue.markets)):
        position = venue.holdings[VAULT, market]["position_lots"]
        bid, ask = venue.ladders[market]["best_bid_ticks"], venue.ladders[market]["best_ask_ticks"]
        if position > 0 and bid != BID_NONE and bid >= venue.marks[market]:
            place(venue, VAULT, market, 0, -1, bid, position, _IOC, 1, ts_ns)
        elif position < 0 and ask != ASK_NONE and ask <= venue.marks[market]:
            place(venue, VAULT, market, 0, 1, ask, -position, _IOC, 1, ts_ns)


@compiled
def rescue_vault(chain, ts_ns):
    """Ends the vault's positions when it is worth less than nothing; returns whether it did."""
    venue = chain.exchange
    if equity_micro(venue, VAULT, _CROSS) >= 0:
        return False
    done = False
    for market in range(len(venue.markets)):
        if venue.holdings[VAULT, market]["position_lots"] != 0:
            book_trades(chain, ts_ns)
            deleverage(chain, VAULT, market, previous_mark(chain, market), ts_ns)
            done = True
    return done
