"""Which of our resting orders filled, by where they joined: the distance from the touch, and the queue ahead of them.

An order counts once, from when it came to rest, and as filled when any of it filled as a maker. The share has the band
of Wilson (1927) with two standard errors, which is honest for few orders and for shares near none and all; orders
that rest together share their future, so the truth may be wider. Distance and queue go together: who stands far away
finds short queues. An order that still rested at the end counts as one that did not fill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hlhft.report.markouts import FILL_KIND, HORIZONS_NS, block_mean, block_ns_of
from hlhft.units import Market

ORDERS_MAX = 1 << 19  # of a replay or a session; what comes to rest after them is not looked at, and that is said
STANDARD_ERRORS = 2.0
HORIZON_NS = 10_000_000_000  # of the markout

PLACED_DTYPE = np.dtype(
    [
        ("ts_exch_ns", np.int64),  # when it came to rest at the venue, 0 where that was not told
        ("ts_local_ns", np.int64),  # when we learned of it
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("touch_ticks", np.int64),  # the best price of its own side then, 0 unknown or none
        ("size_lots", np.int64),
        ("ahead_lots", np.float64),  # shown at its price when it joined, below 0 unknown
        ("lane", np.int32),
        ("market", np.int32),
        ("side", np.int64),  # 1 buy, -1 sell
    ]
)

# Bands by their upper end, in bp of the price behind the touch, and in USDC that were shown at the price.
DISTANCES_BP = (0.5, 1.0, 2.0, 5.0, 10.0)
QUEUES_USDC = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
DISTANCE_LABELS = (
    "better than the touch",
    "at the touch",
    f"up to {DISTANCES_BP[0]:g} bp behind",
    *(f"{low:g} to {high:g} bp behind" for low, high in pairwise(DISTANCES_BP)),
    f"more than {DISTANCES_BP[-1]:g} bp behind",
)
QUEUE_LABELS = (
    "nothing",
    f"up to {QUEUES_USDC[0]:,.0f}",
    *(f"{low:,.0f} to {high:,.0f}" for low, high in pairwise(QUEUES_USDC)),
    f"more than {QUEUES_USDC[-1]:,.0f}",
)


@dataclass(frozen=True, kw_only=True)
class FillBand:
    """The orders that joined within one band."""

    label: str
    orders: int
    filled: int  # at least in part
    share: float
    low: float  # Wilson's band around the share
    high: float
    wait_ns_median: (
        int | None
    )  # from coming to rest to the first fill; without the venue's time, from and to hearing of it
    markout_bp: float | None  # of their fills after HORIZON_NS, before fees
    markout_error_bp: float | None


@dataclass(frozen=True, kw_only=True)
class FillRates:
    """Fill rates of one lane; a band without an order is left out, and so is a division of which nothing is known."""

    orders: int
    filled: int
    is_cut: bool  # more than ORDERS_MAX came to rest, and these are the first
    by_distance: tuple[FillBand, ...]
    by_queue: tuple[FillBand, ...]

    def plain(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return asdict(self)


def fill_rates(
    markets: Sequence[Market], placed: np.ndarray, log: np.ndarray, mid_half_ticks: np.ndarray, value_usdc: np.ndarray
) -> FillRates | None:
    """The fill rates of the orders that came to rest, PLACED_DTYPE[N] in order of time; None without any.

    `log` REPLY_DTYPE[F], `mid_half_ticks` int64[F, H] and `value_usdc` float64[F] are as in
    `hlhft.report.markouts.markouts`; an order's fills are those of its market and id. An order told twice counts once.
    """
    if not len(placed):
        return None
    fills = (log["kind"] == FILL_KIND) & (log["maker"] == 1)
    log, mid = log[fills], mid_half_ticks[fills, HORIZONS_NS.index(HORIZON_NS)]
    placed, order_of = _matched(placed, log)
    joined = _Joined(placed, order_of, log, mid, value_usdc[fills])
    unit = np.array([market.record()["tick_size"][0] * market.record()["lot_size"][0] for market in markets])
    behind_bp = placed["side"] * (placed["touch_ticks"] - placed["price_ticks"]) / placed["price_ticks"] * 1e4
    ahead_usdc = placed["ahead_lots"] * placed["price_ticks"] * unit[placed["market"]]
    distance = np.where(behind_bp > 0.0, 2 + np.searchsorted(DISTANCES_BP, behind_bp), behind_bp == 0.0)
    queue = np.where(ahead_usdc > 0.0, 1 + np.searchsorted(QUEUES_USDC, ahead_usdc), 0)
    return FillRates(
        orders=len(placed),
        filled=int(joined.is_filled.sum()),
        is_cut=len(placed) >= ORDERS_MAX,
        by_distance=joined.bands(distance, placed["touch_ticks"] > 0, DISTANCE_LABELS),
        by_queue=joined.bands(queue, placed["ahead_lots"] >= 0.0, QUEUE_LABELS),
    )


def _matched(placed: np.ndarray, log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct orders, in order of time, and of each fill the place of its order there, -1 where it has none."""
    keys = np.concatenate([np.stack([one["market"], one["order_id"]], axis=1) for one in (placed, log)])
    _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first[first < len(placed)])
    place = np.full(len(first), -1)
    place[number.ravel()[kept]] = np.arange(len(kept))
    return placed[kept], place[number.ravel()[len(placed) :]]


class _Joined:
    """Orders with what became of each."""

    def __init__(
        self, placed: np.ndarray, order_of: np.ndarray, log: np.ndarray, mid: np.ndarray, value: np.ndarray
    ) -> None:
        self._order_of, self._ts_ns, self._value = order_of, log["ts_exch_ns"], value
        first = np.full(len(placed), len(log))
        np.minimum.at(first, order_of[order_of >= 0], np.flatnonzero(order_of >= 0))
        self.is_filled = first < len(log)
        self._wait_ns = np.zeros(len(placed), np.int64)
        filled = log[first[self.is_filled]]
        exch, local = (filled[name] - placed[name][self.is_filled] for name in ("ts_exch_ns", "ts_local_ns"))
        self._wait_ns[self.is_filled] = np.where(placed["ts_exch_ns"][self.is_filled] > 0, exch, local)
        price = 2.0 * log["price_ticks"]
        self._moved_bp = log["side"] * (mid - price) / price * 1e4
        self._is_known = mid > 0

    def bands(self, number: np.ndarray, known: np.ndarray, labels: Sequence[str]) -> tuple[FillBand, ...]:
        """The orders of which the number is `known`, by that number int64[N] of a label."""
        return tuple(
            self._band(label, known & (number == place))
            for place, label in enumerate(labels)
            if (known & (number == place)).any()
        )

    def _band(self, label: str, members: np.ndarray) -> FillBand:
        orders, filled = int(members.sum()), int((members & self.is_filled).sum())
        low, high = wilson(filled, orders)
        waits = self._wait_ns[members & self.is_filled]
        mine = (self._order_of >= 0) & members[self._order_of] & self._is_known
        mean, error = block_mean(self._moved_bp[mine], self._value[mine], self._ts_ns[mine], block_ns_of(HORIZON_NS))
        return FillBand(
            label=label,
            orders=orders,
            filled=filled,
            share=filled / orders,
            low=low,
            high=high,
            wait_ns_median=int(np.median(waits)) if len(waits) else None,
            markout_bp=mean,
            markout_error_bp=error,
        )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The band of a share of STANDARD_ERRORS standard errors: Wilson (1927), JASA 22, 209-212. `trials` is above 0."""
    assert 0 <= successes <= trials and trials > 0
    share, z = successes / trials, STANDARD_ERRORS
    shrunk = 1.0 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrunk
    half = z / shrunk * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    # At none and at all it ends at the share itself, but for a rounding.
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)
