"""Funding: premium every five seconds, its average over the hour, the hourly rate and what a position pays.

Source: venue reference section 10. Rates and premiums are whole 1e-12, impact prices whole 1e-6 of a tick, money is
micro-USDC. Every division truncates toward zero; the venue's own rounding is not known, and one unit of these is far
below what it publishes.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below
from hlhft.units import FUNDING_SCALE, MICRO
from hlhft.venue.arithmetic import multiply_divide
from hlhft.venue.fees import notional_micro

SAMPLE_NS = 5_000_000_000
HOUR_NS = 3_600_000_000_000
RATE_NONE = -(2**62)  # no premium or rate: the book was too thin, or the hour had no sample

IMPACT_NOTIONAL_MAJOR_MICRO = 20_000 * MICRO  # BTC and ETH
IMPACT_NOTIONAL_MICRO = 6_000 * MICRO  # every other market

INTEREST_E12 = 100_000_000  # 0.0001 in eight hours
CLAMP_E12 = 500_000_000  # 0.0005
HOURLY_MAX_E12 = 40_000_000_000  # 4 % in an hour
PAYMENTS_PER_RATE = 8  # the rate is for eight hours, paid hourly

_E6 = 1_000_000

FUNDING_DTYPE = np.dtype(
    [
        ("premium_sum_e12", np.int64),
        ("samples", np.int64),
        ("last_sample_ns", np.int64),  # when the latest premium was sampled
    ]
)


def new_funding(markets: int) -> np.ndarray:
    """Funding state of `markets` markets before their first sample, dtype FUNDING_DTYPE."""
    return np.zeros(markets, dtype=FUNDING_DTYPE)


@compiled
def impact_price_e6(header, cells, row, quanta):
    """The average price, in 1e-6 ticks, of executing `quanta` (ticks x lots) against row 0 bids or row 1 asks.

    0 when the book holds less than that. `header` and `cells` are a ladder; `quanta` lies between the price in ticks
    and 2^62 / 1e6. The lots of the last level are cut to whole 1e-6.
    """
    left = quanta
    lots_e6 = 0
    ticks = header["best_bid_ticks"] if row == 0 else header["best_ask_ticks"]
    while ticks != BID_NONE and ticks != ASK_NONE:
        lots = cells[row, ticks - header["base_ticks"]]
        if lots >= left // ticks + 1:
            lots_e6 += left * _E6 // ticks
            return multiply_divide(quanta, _E6 * _E6, lots_e6)
        left -= ticks * lots
        lots_e6 += lots * _E6
        if left == 0:
            return multiply_divide(quanta, _E6 * _E6, lots_e6)
        ticks = bid_below(header, cells, ticks) if row == 0 else ask_above(header, cells, ticks)
    return 0


@compiled
def premium_e12(impact_bid_e6, impact_ask_e6, oracle_ticks):
    """How far the book's impact prices (1e-6 ticks) are from the oracle, as a share of it in 1e-12; RATE_NONE without
    one of the three."""
    if impact_bid_e6 <= 0 or impact_ask_e6 <= 0 or oracle_ticks <= 0:
        return RATE_NONE
    oracle_e6 = oracle_ticks * _E6
    difference = max(impact_bid_e6 - oracle_e6, 0) - max(oracle_e6 - impact_ask_e6, 0)
    return multiply_divide(difference, _E6, oracle_ticks)


@compiled
def observe_premium(state, premium, now_ns):
    """Takes a sample when a new five-second boundary has passed and the premium is known; returns whether it did."""
    if premium == RATE_NONE or now_ns // SAMPLE_NS <= state["last_sample_ns"] // SAMPLE_NS:
        return False
    state["premium_sum_e12"] += premium
    state["samples"] += 1
    state["last_sample_ns"] = now_ns
    return True


@compiled
def hourly_rate_e12(average_premium_e12):
    """The rate of one hour from the hour's average premium: an eighth of premium plus clamped interest, capped."""
    interest = max(-CLAMP_E12, min(INTEREST_E12 - average_premium_e12, CLAMP_E12))
    rate = multiply_divide(average_premium_e12 + interest, 1, PAYMENTS_PER_RATE)
    return max(-HOURLY_MAX_E12, min(rate, HOURLY_MAX_E12))


@compiled
def settle_hour(state):
    """The hour's rate in 1e-12, after which sampling starts anew; RATE_NONE when the hour had no sample."""
    samples = state["samples"]
    if samples == 0:
        return RATE_NONE
    average = multiply_divide(state["premium_sum_e12"], 1, samples)
    state["premium_sum_e12"] = 0
    state["samples"] = 0
    return hourly_rate_e12(average)


@compiled
def hours_between(before_ns, after_ns):
    """How many full hours fall into (before_ns, after_ns]: so many payments are due."""
    return after_ns // HOUR_NS - before_ns // HOUR_NS


@compiled
def payment_micro(market, position_lots, oracle_ticks, rate_e12):
    """What the signed position receives in micro-USDC, negative when it pays: a positive rate costs longs."""
    return -multiply_divide(notional_micro(market, oracle_ticks, position_lots), rate_e12, FUNDING_SCALE)


@compiled
def apply_funding(holding, market, oracle_ticks, rate_e12):
    """Books one payment on what the HOLDING_DTYPE record holds now and returns it in micro-USDC."""
    amount = payment_micro(market, holding["position_lots"], oracle_ticks, rate_e12)
    holding["funding_micro"] += amount
    return amount
