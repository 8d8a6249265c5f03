"""Markouts: what the mid did after our fills, from our side, with an honest band.

The markout of a fill at a horizon is side x (mid at the venue that much later - fill price) / fill price, in basis
points and before fees: at horizon 0 it is the spread captured, later it shows how much of it the market took back.
Means are weighted by the value of the fills.

The band holds the mean with 95 %. Fills that come together share their future, so its error is taken over blocks of
time (each at least BLOCK_NS and twice the horizon long) and not over fills, and because an error from few blocks is
itself uncertain, the band reaches as far as Student's distribution says; with fewer than BLOCKS_MIN blocks there is
none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hlhft.report.bootstrap import student_quantile

MS = 1_000_000
HORIZONS_NS = tuple(ms * MS for ms in (100, 300, 1_000, 3_000, 10_000, 30_000, 60_000, 120_000, 300_000))
BLOCK_NS = 10_000_000_000
BLOCKS_MIN = 5
_NORMAL = NormalDist().inv_cdf(0.975)
FILL_KIND = 18  # hlhft.events: ORDER_FILLED
# hlhft.venue.recorded.FillReason in words.
REASONS = {1: "queue reached", 2: "traded through", 3: "crossed", 4: "taker", 5: "liquidation"}
UNSAID = "rested"  # a maker's fill of a real venue, which does not say how the order was reached


@dataclass(frozen=True, kw_only=True)
class Markout:
    """One group of fills at one horizon. None where no fill has a known mid then, or too few blocks for a band."""

    group: str  # all, buys, sells, or a reason
    horizon_s: float
    fills: int  # that count: those whose horizon lies within the recording
    mean_bp: float | None
    error_bp: float | None  # standard error over blocks of time
    blocks: int  # of time, that any of them lies in
    band_bp: float | None  # how far the band reaches to either side


def horizons_of(log: np.ndarray) -> np.ndarray:
    """When the mids are needed: exchange times int64[F, H] for a log of F entries (REPLY_DTYPE)."""
    return np.asarray(log["ts_exch_ns"][:, np.newaxis] + np.array(HORIZONS_NS, np.int64))


def markouts(log: np.ndarray, mid_half_ticks: np.ndarray, value_usdc: np.ndarray) -> tuple[Markout, ...]:
    """Markouts of every group that has fills, by horizon, horizon 0 first.

    `log` REPLY_DTYPE[F]; `mid_half_ticks` int64[F, H]: twice the mid at `horizons_of(log)`, 0 where it is unknown;
    `value_usdc` float64[F]: what each fill weighs.
    """
    fills = log["kind"] == FILL_KIND
    log, later, value_usdc = log[fills], mid_half_ticks[fills], value_usdc[fills]
    mids = np.concatenate([log["mid_half_ticks"][:, np.newaxis], later], axis=1)
    groups = {"all": np.ones(len(log), np.bool_), "buys": log["side"] > 0, "sells": log["side"] < 0}
    groups |= {name: log["reason"] == reason for reason, name in REASONS.items()}
    found = []
    for name, members in groups.items():
        if members.any():
            for place, horizon_ns in enumerate((0, *HORIZONS_NS)):
                known = members & (mids[:, place] > 0)
                found.append(_markout(name, horizon_ns, log[known], mids[known, place], value_usdc[known]))
    return tuple(found)


def _markout(group: str, horizon_ns: int, log: np.ndarray, mid: np.ndarray, weights: np.ndarray) -> Markout:
    price = 2.0 * log["price_ticks"]
    moved_bp = log["side"] * (mid - price) / price * 1e4
    block_ns = block_ns_of(horizon_ns)
    mean, error = block_mean(moved_bp, weights, log["ts_exch_ns"], block_ns)
    blocks = len(np.unique(log["ts_exch_ns"] // block_ns))
    return Markout(
        group=group,
        horizon_s=horizon_ns / 1e9,
        fills=len(log),
        mean_bp=mean,
        error_bp=error,
        blocks=blocks,
        band_bp=None if error is None else error * student_quantile(_NORMAL, blocks - 1),
    )


def block_ns_of(horizon_ns: int) -> int:
    """How long the blocks are over which the error of a mean markout is taken."""
    return max(BLOCK_NS, 2 * horizon_ns)


def block_mean(
    values: np.ndarray, weights: np.ndarray, ts_ns: np.ndarray, block_ns: int
) -> tuple[float | None, float | None]:
    """The weighted mean and its standard error over blocks of `block_ns`; None for what cannot be said.

    The error is that of a ratio of block sums: sqrt(B / (B - 1) x sum over blocks of (sum of w (x - mean))^2) / sum of
    w.
    """
    total = float(weights.sum())
    if len(values) == 0 or total <= 0.0:
        return None, None
    mean = float((weights * values).sum()) / total
    _, block = np.unique(ts_ns // block_ns, return_inverse=True)
    deviations = np.bincount(block, weights * (values - mean))
    blocks = len(deviations)
    if blocks < BLOCKS_MIN:
        return mean, None
    return mean, float(np.sqrt(blocks / (blocks - 1) * (deviations**2).sum())) / total


def of_group(found: Sequence[Markout], group: str) -> list[Markout]:
    """One group's markouts, by horizon."""
    return [one for one in found if one.group == group]
