"""Fee tiers: what each account has traded in fourteen days, and the rates that follow from it.

Source: venue reference section 10. The tier follows from the account's volume with its sub-accounts, perpetuals plus
twice spot, over the last fourteen full UTC days; a maker whose share of all maker volume is large enough is paid a
rebate. Rates are computed at the end of a UTC day, or at once where a parameter says so: then today counts and the
oldest day does not. Below the first threshold, and in spot markets, whose table the reference does not give, a market's
own rates hold. Discounts for staking and referrals are not modelled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.units import MICRO
from hlhft.venue.arithmetic import multiply_divide
from hlhft.venue.fees import notional_micro
from hlhft.venue.outcomes import tell

DAY_NS = 86_400_000_000_000
DAYS = 15  # fourteen and today
SPOT_WEIGHT = 2

# An embedded exchange is a small part of the venue, whose rebates are for shares of the whole: about what it trades in
# fourteen days, of the order of 1e11 USDC (unverified).
MAKER_ELSEWHERE_MICRO = 100_000_000_000 * MICRO

_SCALE_E6 = 1_000_000
_PERPETUAL = 0  # hlhft.units.MarketKind
_FEE_CHANGE = 51  # hlhft.events.EventKind

FEE_TIER_DTYPE = np.dtype(
    [
        ("above_micro", np.int64),  # weighted volume that must be exceeded
        ("maker_rate_e9", np.int64),
        ("taker_rate_e9", np.int64),
    ]
)

REBATE_DTYPE = np.dtype(
    [
        ("share_e6", np.int64),  # of all maker volume, must be exceeded
        ("maker_rate_e9", np.int64),
    ]
)

# (volume in millions of USDC, maker, taker in 1e-9), venue reference section 10; tier 0 is a market's own.
_TIERS = (
    (5, 120_000, 400_000),
    (25, 80_000, 350_000),
    (100, 40_000, 300_000),
    (500, 0, 280_000),
    (2_000, 0, 260_000),
    (7_000, 0, 240_000),
)
_REBATES = ((5_000, -10_000), (15_000, -20_000), (30_000, -30_000))


class Fees(NamedTuple):
    """Volumes and what they earn. A accounts."""

    tiers: np.ndarray  # FEE_TIER_DTYPE[], ascending: those above tier 0
    rebates: np.ndarray  # REBATE_DTYPE[], ascending
    days: np.ndarray  # int64[A, DAYS, 2]: weighted volume and its maker part in micro-USDC, row day number % DAYS
    traded_micro: np.ndarray  # int64[A]: since inception, unweighted
    master: np.ndarray  # int64[A]: the account whose volume this one's adds to, itself or its master
    fixed: np.ndarray  # int64[A]: 1: the rates were set by hand and stay
    elsewhere_micro: np.ndarray  # int64[1]: maker volume of fourteen days that is not in here, but in a share of all
    sums: np.ndarray  # int64[A, 2], scratch


def new_fees(accounts: int) -> Fees:
    """The venue's tiers and rebates for `accounts` accounts that have traded nothing, each its own master."""
    return Fees(
        tiers=np.array([(above * 10**6 * MICRO, maker, taker) for above, maker, taker in _TIERS], FEE_TIER_DTYPE),
        rebates=np.array(list(_REBATES), REBATE_DTYPE),
        days=np.zeros((accounts, DAYS, 2), np.int64),
        traded_micro=np.zeros(accounts, np.int64),
        master=np.arange(accounts, dtype=np.int64),
        fixed=np.zeros(accounts, np.int64),
        elsewhere_micro=np.full(1, MAKER_ELSEWHERE_MICRO, np.int64),
        sums=np.zeros((accounts, 2), np.int64),
    )


def fix_rates(fees: Fees, holdings: np.ndarray, account: int, *, maker_rate_e9: int, taker_rate_e9: int) -> None:
    """Gives an account rates in 1e-9 that stay, in all markets; `holdings` is HOLDING_DTYPE[A, M]."""
    holdings["maker_rate_e9"][account] = maker_rate_e9
    holdings["taker_rate_e9"][account] = taker_rate_e9
    fees.fixed[account] = 1


@compiled
def count_volume(fees, market, account, ticks, lots, maker, ts_ns):
    """Counts one side of a trade; `market` is its MARKET_DTYPE record, `maker` 1 or 0."""
    notional = notional_micro(market, ticks, lots)
    fees.traded_micro[account] += notional
    weighted = notional if market["kind"] == _PERPETUAL else SPOT_WEIGHT * notional
    day = ts_ns // DAY_NS % DAYS
    fees.days[account, day, 0] += weighted
    if maker != 0:
        fees.days[account, day, 1] += weighted


@compiled
def begin_days(fees, last_ns, ts_ns):
    """Forgets the days that are over fourteen days old when new ones begin in (last_ns, ts_ns]; returns whether one
    does."""
    first, last = last_ns // DAY_NS, ts_ns // DAY_NS
    for day in range(max(first, last - DAYS) + 1, last + 1):
        fees.days[:, day % DAYS, :] = 0
    return last > first


@compiled
def sum_volumes(fees, ts_ns, today):
    """Writes to `sums` the volumes of each master with its sub-accounts; returns the maker volume of all,
    that elsewhere included.

    `today` 0: the fourteen days before; 1: today and the thirteen before.
    """
    day = ts_ns // DAY_NS
    left_out = (day + 1) % DAYS if today != 0 else day % DAYS
    fees.sums[:, :] = 0
    total = fees.elsewhere_micro[0]
    for account in range(len(fees.master)):
        sums = fees.sums[fees.master[account]]
        for row in range(DAYS):
            if row != left_out:
                sums[0] += fees.days[account, row, 0]
                sums[1] += fees.days[account, row, 1]
                total += fees.days[account, row, 1]
    return total


@compiled
def tier_of_volume(fees, weighted_micro):
    """The tier of a volume, 0 below the first threshold."""
    tier = 0
    while tier < len(fees.tiers) and weighted_micro > fees.tiers[tier]["above_micro"]:
        tier += 1
    return tier


@compiled
def rebate_of_share(fees, maker_micro, total_micro):
    """The maker rate in 1e-9 that a share of all maker volume earns; 0 when it earns none."""
    rate = 0
    if total_micro > 0:
        for row in range(len(fees.rebates)):
            if maker_micro > multiply_divide(total_micro, fees.rebates[row]["share_e6"], _SCALE_E6):
                rate = fees.rebates[row]["maker_rate_e9"]
    return rate


@compiled
def update_rates(fees, venue, ts_ns, today):
    """Gives every account the rates that its master's volume earns, and says where they changed."""
    total = sum_volumes(fees, ts_ns, today)
    for account in range(len(fees.master)):
        if fees.fixed[account] != 0:
            continue
        sums = fees.sums[fees.master[account]]
        tier = tier_of_volume(fees, sums[0])
        rebate = rebate_of_share(fees, sums[1], total)
        changed = False
        for market in range(len(venue.markets)):
            record = venue.markets[market]
            if record["kind"] != _PERPETUAL:
                continue
            maker, taker = record["maker_rate_e9"], record["taker_rate_e9"]
            if tier > 0:
                maker = min(maker, fees.tiers[tier - 1]["maker_rate_e9"])
                taker = min(taker, fees.tiers[tier - 1]["taker_rate_e9"])
            holding = venue.holdings[account, market]
            maker = min(maker, rebate) if rebate < 0 else maker
            if maker != holding["maker_rate_e9"] or taker != holding["taker_rate_e9"]:
                holding["maker_rate_e9"] = maker
                holding["taker_rate_e9"] = taker
                if not changed:
                    tell(venue, _FEE_CHANGE, account, market, 0, 0, maker, taker, ts_ns)
                changed = True
