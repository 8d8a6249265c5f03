"""Which fills of one world another world has as well: pairs of the same market and side, near in price and in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hlhft.units import Market, grid_step

WINDOW_NS = 1_000_000_000  # two pictures of a book lie half a second apart; a fill between them may be at either


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What two worlds share. Shares are of the first world's (`of_live`) and the second's (`of_simulated`) fills and of
    their volume; None where that world has none."""

    pairs: int
    of_live: float | None
    of_simulated: float | None
    volume_of_live: float | None
    volume_of_simulated: float | None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a queue model fills of the very orders that the session placed, each at rest from when to when it was: no
    decision differs, so what differs is the model's."""

    queue: str
    fills: int
    volume_usdc: float
    orders_filled: int  # at least in part
    orders_live: int  # that filled at the market
    orders_both: int
    matched: Matched


def matched(
    live: np.ndarray, simulated: np.ndarray, markets: Sequence[Market], *, window_ns: int = WINDOW_NS
) -> Matched:
    """Pairs fills one to one; each of the first world takes the nearest in time that is still free.

    `live`, `simulated`: REPLY_DTYPE[n] of fills, any order. Two are the same where market and side are, prices differ
    by one step of the market's grid at most and times at the venue by `window_ns` at most. The volume of a pair is the
    smaller of its two.
    """
    specs = [market.record()[0] for market in markets]
    tick_lots_usdc = np.array([spec["tick_size"] * spec["lot_size"] for spec in specs], np.float64)
    shared_usdc, pairs = 0.0, 0
    for market in np.unique(live["market"]):
        for side in (1, -1):
            ours, theirs = (
                np.sort(one[(one["market"] == market) & (one["side"] == side)], order="ts_exch_ns", kind="stable")
                for one in (live, simulated)
            )
            for place, other in pairs_of(ours, theirs, markets[market], window_ns):
                pairs += 1
                lots = min(int(ours["size_lots"][place]), int(theirs["size_lots"][other]))
                shared_usdc += lots * int(ours["price_ticks"][place]) * float(tick_lots_usdc[market])
    volumes = [
        float((one["size_lots"] * one["price_ticks"].astype(np.float64) * tick_lots_usdc[one["market"]]).sum())
        for one in (live, simulated)
    ]
    return Matched(
        pairs=pairs,
        of_live=pairs / len(live) if len(live) else None,
        of_simulated=pairs / len(simulated) if len(simulated) else None,
        volume_of_live=min(shared_usdc / volumes[0], 1.0) if volumes[0] > 0.0 else None,
        volume_of_simulated=min(shared_usdc / volumes[1], 1.0) if volumes[1] > 0.0 else None,
    )


def pairs_of(
    ours: np.ndarray, theirs: np.ndarray, market: Market, window_ns: int, clock: str = "ts_exch_ns"
) -> list[tuple[int, int]]:
    """Places in two arrays of one market and side, each in order of its field `clock`, that are the same but for a step
    of the price grid and `window_ns` of time; at most one pair an entry, the nearest in time that is free.

    Looking is bounded by the entries that lie within the window of each.
    """
    spec = market.record()[0]
    grid = int(spec["grid_rule"]), int(spec["grid_step_ticks"]), int(spec["whole_unit_ticks"])
    times, prices = theirs[clock], theirs["price_ticks"]
    is_free = np.ones(len(theirs), np.bool_)
    found = []
    first = np.searchsorted(times, ours[clock] - window_ns, side="left")
    last = np.searchsorted(times, ours[clock] + window_ns, side="right")
    for place, one in enumerate(ours):
        near = slice(int(first[place]), int(last[place]))
        step_ticks = grid_step(max(int(one["price_ticks"]), 1), *grid)
        fits = is_free[near] & (np.abs(prices[near] - one["price_ticks"]) <= step_ticks)
        if fits.any():
            distance = np.where(fits, np.abs(times[near] - one[clock]), window_ns + 1)
            other = near.start + int(np.argmin(distance))
            is_free[other] = False
            found.append((place, other))
    return found


def shared_orders(
    live: np.ndarray, simulated: np.ndarray, markets: Sequence[Market], *, window_ns: int = WINDOW_NS
) -> float | None:
    """The share of the orders that one world placed which the other placed too, as far as price and time go; None where
    there are none. Arrays with the fields `ts_ns`, `market`, `side` and `price_ticks`, in order of time."""
    pairs = 0
    for market in np.unique(live["market"]):
        for side in (1, -1):
            ours, theirs = (one[(one["market"] == market) & (one["side"] == side)] for one in (live, simulated))
            pairs += len(pairs_of(ours, theirs, markets[market], window_ns, "ts_ns"))
    return pairs / len(live) if len(live) else None
