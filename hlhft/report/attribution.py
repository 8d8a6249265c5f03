"""Where the money came from: the parts of a run's profit, each from its own records, and the check that they sum.

- spread: what each fill gained against the mid at the venue at that moment;
- inventory: the position carried from one known mid to the next;
- basis: the position's value at the mark rather than at the mid;
- fees paid, rebates received, funding: as the venue booked them.

The change in equity comes from elsewhere: cash, position, fees and funding as the core kept them, at the last mark.
None of the parts is a remainder, so a lost, doubled, turned or altered record leaves a residual of just its own worth.
The check is made at every sampled record, so a record shifted in time shows too.

Everything is a whole number of grains. A grain is the micro-USDC divided by twice the finest market's denominator, in
which half ticks are whole; so nothing is rounded before a number is displayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hlhft.units import Market, decimal_text

FILL_KIND = 18  # hlhft.events: ORDER_FILLED
FUNDING_KIND = 50  # a payment in a replay's log of fills
HOUR_NS = 3_600_000_000_000
SAFE_MAX = 2.0**61  # below it, sums of two terms fit 64 bits
PART_NAMES = ("spread", "inventory", "basis", "fees", "rebates", "funding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Contributions to profit in grains: `fees` is at most 0, `rebates` at least 0, the others have either sign."""

    spread: int = 0
    inventory: int = 0
    basis: int = 0
    fees: int = 0
    rebates: int = 0
    funding: int = 0

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(self.values())

    def values(self) -> tuple[int, ...]:
        """The parts in the order of PART_NAMES."""
        return tuple(getattr(self, name) for name in PART_NAMES)

    def __add__(self, other: Parts) -> Parts:
        return _parts([a + b for a, b in zip(self.values(), other.values(), strict=True)])


@dataclass(frozen=True, kw_only=True)
class Path:
    """The parts as they accumulated, at each sampled record of one market, R in all."""

    ts_ns: np.ndarray  # int64[R]
    mid_half_ticks: np.ndarray  # int64[R]: best bid + best ask, the last known one
    parts: np.ndarray  # whole[6, R]: cumulative, in the order of PART_NAMES
    equity: np.ndarray  # whole[R]: change in equity since the start, from the records alone
    residual: np.ndarray  # whole[R]: equity less the sum of the parts


@dataclass(frozen=True, kw_only=True)
class MarketAttribution:
    """One market's split."""

    market: str
    parts: Parts
    equity_change: int
    residual: int
    by_side: dict[str, Parts]  # buy and sell; funding belongs to neither
    by_hour: dict[int, Parts]  # by the hour's first ns
    path: Path


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """A run's split over all markets. `residual` and `residual_largest` are 0 when every record is there and right."""

    grains_per_micro: int
    markets: tuple[MarketAttribution, ...]
    parts: Parts
    equity_change: int
    residual: int
    residual_largest: int  # of any market at any sampled record
    by_side: dict[str, Parts]
    by_hour: dict[int, Parts]

    def usdc(self, grains: int) -> float:
        """Grains as USDC, for display."""
        return grains / (self.grains_per_micro * 1_000_000)

    def usdc_text(self, grains: int) -> str:
        """Grains as USDC in exact decimals."""
        # grains / (2 x 10^k x 10^6) = 5 grains / 10^(k + 7)
        decimals = len(str(self.grains_per_micro // 2)) - 1 + 7
        return decimal_text(int(grains) * 5, decimals)


def attribute(markets: Sequence[Market], log: np.ndarray, records: np.ndarray) -> Attribution:
    """Splits one lane's change in equity into its parts.

    `log` holds fills and funding payments (REPLY_DTYPE) in order of our learning of them, `records` the sampled state
    (RECORD_DTYPE) in order of time; the last record of each market is its final state. A mid of 0 is unknown: the last
    known one stands for it. Where no mark is known, the mid values the position.
    """
    denominator = max((int(market.record()["micro_denominator"][0]) for market in markets), default=1)
    grains_per_micro = 2 * denominator
    split = tuple(
        _attribute_market(market, log[log["market"] == index], records[records["market"] == index], denominator)
        for index, market in enumerate(markets)
    )
    hours = sorted({hour for one in split for hour in one.by_hour})
    return Attribution(
        grains_per_micro=grains_per_micro,
        markets=split,
        parts=sum((one.parts for one in split), Parts()),
        equity_change=sum(one.equity_change for one in split),
        residual=sum(one.residual for one in split),
        residual_largest=max((int(abs(one.path.residual).max(initial=0)) for one in split), default=0),
        by_side={side: sum((one.by_side[side] for one in split), Parts()) for side in ("buy", "sell")},
        by_hour={hour: sum((one.by_hour.get(hour, Parts()) for one in split), Parts()) for hour in hours},
    )


@dataclass(frozen=True)
class _Points:
    """Fills, funding payments and records of one market in one order, K in all."""

    ts_ns: np.ndarray
    change_lots: np.ndarray  # signed, 0 but for fills
    price_half_ticks: np.ndarray  # twice the price, 0 but for fills
    mid_half_ticks: np.ndarray
    value_half_ticks: np.ndarray  # twice the mark, or the mid
    fee_micro: np.ndarray
    funding_micro: np.ndarray
    record_places: np.ndarray  # where the records stand


def _points(log: np.ndarray, records: np.ndarray) -> _Points:
    """Puts log and records in one order: what we had learned by the time of a record comes before it."""
    learned_ns = np.maximum.accumulate(log["ts_local_ns"])
    learned = _learned(log, records, learned_ns)
    at_log = np.arange(len(log)) + np.searchsorted(learned, np.arange(len(log)), side="right")
    at_record = np.arange(len(records)) + learned
    columns = np.zeros((7, len(log) + len(records)), np.int64)
    ts_ns, change, price, mid, mark, fee, funding = columns
    fills = log["kind"] == FILL_KIND
    payments = log["kind"] == FUNDING_KIND
    ts_ns[at_log], ts_ns[at_record] = learned_ns, records["ts_ns"]
    change[at_log] = np.where(fills, log["side"] * log["size_lots"], 0)
    price[at_log] = np.where(fills, 2 * log["price_ticks"], 0)
    mid[at_log] = np.where(fills, log["mid_half_ticks"], 0)
    both = (records["best_bid_ticks"] > 0) & (records["best_ask_ticks"] > 0)
    mid[at_record] = np.where(both, records["best_bid_ticks"] + records["best_ask_ticks"], 0)
    mark[at_record] = 2 * records["mark_ticks"]
    fee[at_log] = np.where(fills, log["aux1"], 0)
    funding[at_log] = np.where(payments, log["aux0"], 0)
    mid = _carried(mid if mid.any() else price, backwards=True)
    mark = _carried(mark, backwards=False)
    return _Points(ts_ns, change, price, mid, np.where(mark > 0, mark, mid), fee, funding, at_record)


def _learned(log: np.ndarray, records: np.ndarray, learned_ns: np.ndarray) -> np.ndarray:
    """How many entries of the log come before each record.

    By time; among entries at a record's own instant the record's count of fills decides, because without latency an
    order is placed and filled in the instant after the record is taken.
    """
    fills = np.concatenate([[0], np.cumsum(log["kind"] == FILL_KIND)])
    counted = np.searchsorted(fills, records["fills"], side="right") - 1
    earliest = np.searchsorted(learned_ns, records["ts_ns"], side="left")
    return np.clip(counted, earliest, np.searchsorted(learned_ns, records["ts_ns"], side="right"))


def _carried(values: np.ndarray, *, backwards: bool) -> np.ndarray:
    """Each value above 0 carried on to the unknown ones after it; `backwards`: the first also to those before it."""
    known = values > 0
    if not known.any():
        return values
    index = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    first = int(np.argmax(known)) if backwards else 0
    return values[np.where(index < 0, first, index)]


def _attribute_market(market: Market, log: np.ndarray, records: np.ndarray, denominator: int) -> MarketAttribution:
    spec = market.record()[0]
    scale = int(spec["micro_numerator"]) * (denominator // int(spec["micro_denominator"]))
    points = _points(log, records)
    whole = _whole_type(points, records, scale, denominator)
    parts = _part_columns(points, scale, 2 * denominator, whole)
    cumulative = np.cumsum(parts, axis=1, dtype=whole)
    at = points.record_places
    held = records["position_lots"].astype(whole) * points.value_half_ticks[at].astype(whole)
    booked = (records["funding_micro"] - records["fee_micro"]).astype(whole)
    equity = (2 * records["cash_quanta"].astype(whole) + held) * scale + booked * (2 * denominator)
    equity_change = int(equity[-1]) if len(equity) else 0
    total = _parts(cumulative[:, -1]) if parts.shape[1] else Parts()
    sides = {"buy": points.change_lots > 0, "sell": points.change_lots < 0}
    return MarketAttribution(
        market=market.name,
        parts=total,
        equity_change=equity_change,
        residual=equity_change - total.total,
        by_side={name: _side_parts(points, mask, scale, denominator, whole) for name, mask in sides.items()},
        by_hour=_by_hour(points.ts_ns, parts),
        path=Path(
            ts_ns=records["ts_ns"].copy(),
            mid_half_ticks=points.mid_half_ticks[at],
            parts=cumulative[:, at],
            equity=equity,
            residual=equity - cumulative[:, at].sum(axis=0),
        ),
    )


def _whole_type(points: _Points, records: np.ndarray, scale: int, denominator: int) -> np.dtype:
    """64-bit whole numbers where the largest possible sum fits them, else Python's own, which never overflow."""
    lots = float(np.abs(points.change_lots.astype(np.float64)).sum())
    lots = max(lots, float(np.abs(records["position_lots"].astype(np.float64)).max(initial=0.0)))
    price = float(
        max(
            column.max(initial=1)
            for column in (points.price_half_ticks, points.mid_half_ticks, points.value_half_ticks)
        )
    )
    cash = 2.0 * float(np.abs(records["cash_quanta"].astype(np.float64)).max(initial=0.0))
    booked = sum(float(np.abs(column.astype(np.float64)).sum()) for column in (points.fee_micro, points.funding_micro))
    booked += sum(
        float(np.abs(records[name].astype(np.float64)).max(initial=0.0)) for name in ("fee_micro", "funding_micro")
    )
    largest = (2.0 * lots * price + cash) * scale + 2.0 * denominator * booked
    return np.dtype(np.int64) if largest < SAFE_MAX else np.dtype(object)


def _part_columns(points: _Points, scale: int, grains_per_micro: int, whole: np.dtype) -> np.ndarray:
    """What each point added to each part, whole[6, K] grains, in the order of PART_NAMES."""
    change = points.change_lots.astype(whole)
    mid = points.mid_half_ticks.astype(whole)
    value = points.value_half_ticks.astype(whole)
    held_after = np.cumsum(change, dtype=whole)
    carried = (held_after - change)[1:] * (mid[1:] - mid[:-1])
    over_mid = held_after * (value - mid)
    parts = np.zeros((len(PART_NAMES), len(change)), whole)
    parts[0] = change * (mid - points.price_half_ticks) * scale
    parts[1, 1:] = carried * scale
    parts[2] = over_mid * scale
    parts[2, 1:] -= over_mid[:-1] * scale
    fee = points.fee_micro.astype(whole) * grains_per_micro
    parts[3] = -np.maximum(fee, 0)
    parts[4] = np.maximum(-fee, 0)
    parts[5] = points.funding_micro.astype(whole) * grains_per_micro
    return parts


def _side_parts(points: _Points, mask: np.ndarray, scale: int, denominator: int, whole: np.dtype) -> Parts:
    """The parts that the fills of one side made: each part but funding is linear in the fills."""
    zero = np.zeros_like(points.fee_micro)
    side = _Points(
        points.ts_ns,
        np.where(mask, points.change_lots, zero),
        points.price_half_ticks,
        points.mid_half_ticks,
        points.value_half_ticks,
        np.where(mask, points.fee_micro, zero),
        zero,
        points.record_places,
    )
    return _parts(_part_columns(side, scale, 2 * denominator, whole).sum(axis=1))


def _by_hour(ts_ns: np.ndarray, parts: np.ndarray) -> dict[int, Parts]:
    if not len(ts_ns):
        return {}
    hours, starts = np.unique(ts_ns // HOUR_NS, return_index=True)
    sums = np.add.reduceat(parts, starts, axis=1)
    return {int(hour) * HOUR_NS: _parts(sums[:, index]) for index, hour in enumerate(hours)}


def _parts(values: Sequence[int] | np.ndarray) -> Parts:
    return Parts(**{name: int(value) for name, value in zip(PART_NAMES, values, strict=True)})
