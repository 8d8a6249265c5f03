"""Features by their definitions, as sums over all that was seen: slow, and written without looking at the fast ones.

A segment that nothing interrupts, of snapshot frames of both sides and of trades by themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

Levels = list[tuple[int, int]]


@dataclass
class Seen:
    """A frame that made a row."""

    now_s: float
    bids: Levels
    asks: Levels

    @property
    def mid(self) -> float:
        return (self.bids[0][0] + self.asks[0][0]) / 2

    @property
    def mean_size(self) -> float:
        sizes = [lots for _, lots in (*self.bids, *self.asks)]
        return sum(sizes) / len(sizes)


@dataclass
class SlowFeatures:
    """`half_lives_s` fast, middle, slow; `levels` a side."""

    levels: int
    half_lives_s: tuple[float, float, float]
    seen: list[Seen] = field(default_factory=list)
    trades: list[tuple[float, int, int]] = field(default_factory=list)  # time, side, lots

    def book(self, now_s: float, bids: Levels, asks: Levels) -> dict[str, float] | None:
        now = Seen(now_s, bids[: self.levels], asks[: self.levels])
        if self.seen and (now.bids, now.asks) == (self.seen[-1].bids, self.seen[-1].asks):
            return None
        self.seen.append(now)
        return self.row()

    def trade(self, now_s: float, side: int, lots: int) -> dict[str, float] | None:
        if not self.seen:
            return None
        self.trades.append((now_s, side, lots))
        self.seen.append(Seen(now_s, self.seen[-1].bids, self.seen[-1].asks))
        return self.row()

    def row(self) -> dict[str, float]:
        """All features but those of channels and contexts, by name."""
        found = self.of_the_book()
        for scale, half_s in zip(("fast", "middle", "slow"), self.half_lives_s, strict=True):
            found |= {f"{name}_{scale}": value for name, value in self.averages(half_s).items()}
        for scale, half_s in zip(("fast", "middle"), self.half_lives_s, strict=False):
            found |= self.flows(scale, half_s)
        found["trade_surprise"] = signed_log(self.surprise())
        now, before = self.seen[-1], self.seen[-2] if len(self.seen) > 1 else self.seen[-1]
        found["move_bp"] = (now.mid - before.mid) / now.mid * 1e4
        found["since_row"] = math.log1p((now.now_s - before.now_s) * 1e3)
        age_s = now.now_s - self.trades[-1][0] if self.trades else 60.0
        found["since_trade"] = math.log1p(age_s * 1e3)
        return found

    def size(self) -> float:
        """The decayed mean size of a level."""
        half_s, first, last = self.half_lives_s[2], self.seen[0], self.seen[-1]
        total = first.mean_size * left(last.now_s - first.now_s, half_s)
        for before, now in zip(self.seen, self.seen[1:], strict=False):
            weight = 1 - left(now.now_s - before.now_s, half_s)
            total += now.mean_size * weight * left(last.now_s - now.now_s, half_s)
        return total

    def of_the_book(self) -> dict[str, float]:
        now, found, size = self.seen[-1], {}, self.size()
        for side, levels in (("bid", now.bids), ("ask", now.asks)):
            for place in range(self.levels):
                ticks, lots = levels[place] if place < len(levels) else (levels[-1][0], 0)
                found[f"{side}_bp_{place + 1}"] = (ticks - now.mid) / now.mid * 1e4
                found[f"{side}_size_{place + 1}"] = math.log1p(lots / size)
        pairs = list(zip(now.bids, now.asks, strict=False))[:5]
        for depth in range(1, min(self.levels, 5) + 1):
            bids, asks = (sum(pair[row][1] for pair in pairs[:depth]) for row in (0, 1))
            found[f"imbalance_{depth}"] = (bids - asks) / (bids + asks)
        total = sum(bid[1] + ask[1] for bid, ask in pairs)
        vamp = sum(bid[0] * ask[1] + ask[0] * bid[1] for bid, ask in pairs) / total
        (bid, bid_lots), (ask, ask_lots) = pairs[0]
        micro = (bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots)
        found["micro_bp"], found["vamp_bp"] = ((price - now.mid) / now.mid * 1e4 for price in (micro, vamp))
        found["spread_bp"], found["spread_steps"] = (ask - bid) / now.mid * 1e4, math.log1p(ask - bid)
        return found

    def averages(self, half_s: float) -> dict[str, float]:
        last = self.seen[-1]
        trend = self.seen[0].mid * left(last.now_s - self.seen[0].now_s, half_s)
        for before, now in zip(self.seen, self.seen[1:], strict=False):
            trend += before.mid * (1 - left(now.now_s - before.now_s, half_s)) * left(last.now_s - now.now_s, half_s)
        volume = sum(side * lots * left(last.now_s - at_s, half_s) for at_s, side, lots in self.trades)
        count = sum(side * left(last.now_s - at_s, half_s) for at_s, side, _ in self.trades)
        return {
            "trend": (last.mid - trend) / last.mid * 1e4,
            "trade_volume": signed_log(volume / self.size()),
            "trade_count": signed_log(count),
            "sigma": math.log1p(self.sigma(half_s) / last.mid * 1e4),
        }

    def sigma(self, half_s: float) -> float:
        """Ticks per root of a second: of what moved between different times, the first frame of each."""
        last_s, moved, total = self.seen[-1].now_s, self.seen[0], 0.0
        for now in self.seen[1:]:
            elapsed_s = now.now_s - moved.now_s
            if elapsed_s == 0:
                continue
            rate = (now.mid - moved.mid) ** 2 / elapsed_s
            total += rate * (1 - left(elapsed_s, half_s)) * left(last_s - now.now_s, half_s)
            moved = now
        weight = 1 - left(last_s - self.seen[0].now_s, half_s)
        return math.sqrt(total / weight) if weight > 0 else 0.0

    def flows(self, scale: str, half_s: float) -> dict[str, float]:
        """Cont, Kukanov and Stoikov, level by level."""
        last, size = self.seen[-1], self.size()
        totals = [0.0] * self.levels
        for before, now in zip(self.seen, self.seen[1:], strict=False):
            depth = min(map(len, (before.bids, before.asks, now.bids, now.asks)))
            for place in range(depth):
                flow = gained(now.bids[place], before.bids[place], 1) - gained(now.asks[place], before.asks[place], -1)
                totals[place] += flow * left(last.now_s - now.now_s, half_s)
        found = {f"ofi_{scale}_{place + 1}": signed_log(total / size) for place, total in enumerate(totals)}
        return found | {f"ofi_{scale}": signed_log(sum(totals) / self.levels / size)}

    def surprise(self) -> float:
        expected = total = 0.0
        for at_s, side, _ in self.trades:
            total += (side - expected) * left(self.seen[-1].now_s - at_s, self.half_lives_s[0])
            expected += (side - expected) / 10
        return total


def left(elapsed_s: float, half_s: float) -> float:
    return 0.5 ** (elapsed_s / half_s)


def gained(now: tuple[int, int], before: tuple[int, int], sign: int) -> int:
    return (now[1] if sign * now[0] >= sign * before[0] else 0) - (
        before[1] if sign * now[0] <= sign * before[0] else 0
    )


def signed_log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)
