"""Where an account's money came from, by the venue's own records: per market, side, hour and strategy.

The parts are those of `hlhft.report.attribution`, each from its own records: a fill's price against the mid for spread,
the mid's way under the position for inventory, the mark that the venue values a position at for basis, fees, rebates
and funding as booked. The change in equity comes from elsewhere: what the venue says the account was worth at two
times, less what was moved in and out between them. Whatever the parts do not explain of it is the residual.

The position that inventory is carried on is that of the fills alone. So a record that is missing, doubled or wrong is
not smoothed over by the next one: it leaves just its own worth, and `hlhft.report.venue_checks` says where.

Without any mid of a market, its own fills stand for it: spread is then 0, and inventory is all that trading made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from hlhft.hyperliquid.cloids import parse
from hlhft.report.attribution import HOUR_NS, PART_NAMES, Attribution, MarketAttribution, Parts, Path
from hlhft.report.venue_records import (
    GRAINS_PER_MICRO,
    GRAINS_PER_UNIT,
    Flow,
    Held,
    History,
    Mids,
    PastFill,
    PastFunding,
)

OTHERS = "others"  # orders that are none of ours
CARRIED = "carried in"  # what was held at the start, and tokens that were moved in or out
# Of client ids that nobody named the owner of, those are taken for ours whose numbers are as small as ours grow: a
# random id has such a session once in 4,096 times, and such an order once in 65,536.
_SESSION_BELOW, _ORDER_BELOW = 2**20, 2**48
_SPREAD, _INVENTORY, _BASIS, _FEES, _REBATES, _FUNDING = range(len(PART_NAMES))
_PAID, _MOVED, _TRADED, _READ, _SHOWN = range(5)  # what comes first at one time
_SIDE_NAMES = {1: "buy", -1: "sell"}

_G = TypeVar("_G", str, int)
PATH_POINTS = 500  # at which the way to the result is shown, and the readings
Key = tuple[str, int, int]  # strategy, side or 0 for funding, hour
Amounts = dict[Key, list[int]]


class Point(NamedTuple):
    """Where a market stands: twice the mid and the mark, the position, the parts so far in grains."""

    ts_ns: int
    mid_double: int
    mark_double: int
    position: int
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the venue says the account gained by a reading since the opening, what the parts say, and the rest."""

    ts_ns: int
    equity_change: int  # grains, transfers taken out
    parts: int
    residual: int


@dataclass(frozen=True, kw_only=True)
class Split:
    """The split of a history; all money in grains. `checked` is empty where the worth at the start is not known: then
    the change in equity is the sum of the parts, and nothing is proven by it. `trading_only` are markets without a
    mid."""

    attribution: Attribution
    by_strategy: Mapping[str, Parts]
    checked: tuple[Checked, ...]
    flows: int  # moved in and out until the last reading
    trading_only: tuple[str, ...]
    starts: Mapping[str, int]  # the position at the start, 1e-12
    ends: Mapping[str, int]  # and at the end by the fills alone
    fills: Mapping[str, tuple[PastFill, ...]]  # by market, in the order in which they happened
    paths: Mapping[str, tuple[Point, ...]]  # by market, all at the same times


def strategy_of(cloid: int | None, owners: Mapping[int, str]) -> str:
    """Whose order it is: by `owners`, names by the owner's number in the client id; without any, by the look of it."""
    read = None if cloid is None else parse(cloid)
    if read is None:
        return OTHERS
    if owners:
        return owners.get(read.owner, OTHERS)
    is_ours = read.session < _SESSION_BELOW and read.order_id < _ORDER_BELOW
    return f"owner {read.owner}" if is_ours else OTHERS


def split(history: History, owners: Mapping[int, str] | None = None, *, points: int = PATH_POINTS) -> Split:
    """Splits what an account made from its opening, or its first record without one, to its last reading; its
    paths have about so many `points`, at least 1."""
    named = owners or {}
    since_ns = history.opening.ts_ns if history.opening is not None else 0
    opening = {} if history.opening is None else dict(history.opening.held)
    fills = {
        coin: in_chain_order([one for one in history.fills if one.coin == coin and one.ts_ns > since_ns])
        for coin in dict.fromkeys(one.coin for one in history.fills)
    }
    fundings = [one for one in history.fundings if one.ts_ns > since_ns]
    flows = [one for one in history.flows if one.ts_ns > since_ns]
    coins = _coins(history, fills, fundings, flows)
    walks: dict[str, _Walk] = {}
    grid = _grid(history, since_ns, points)
    for coin in coins:
        own, paid = fills.get(coin, ()), [one for one in fundings if one.coin == coin]
        start = opening.get(coin, Held(size=0)) if history.opening is not None else Held(size=_start(own, paid))
        mids = history.mids.get(coin, Mids())
        first = 2 * own[0].price if own else 0
        walks[coin] = _Walk(start, since_ns, mids, lambda fill: strategy_of(fill.cloid, named), first_double=first)
        moved = [one for one in flows if one.coin == coin]
        walks[coin].run(own, paid, moved, [(one.ts_ns, one.held.get(coin)) for one in history.readings], grid)
    checked = _checked(history, flows, list(walks.values()))
    return Split(
        attribution=_attribution(history, walks, checked),
        by_strategy=_grouped([item for one in walks.values() for item in one.amounts.items()], lambda key: key[0]),
        checked=checked,
        flows=_flowed(flows, list(walks.values()), len(history.readings) - 1),
        trading_only=tuple(coin for coin in coins if not history.mids.get(coin, Mids()).ts_ns and fills.get(coin)),
        starts={coin: walk.start.size for coin, walk in walks.items()},
        ends={coin: walk.position for coin, walk in walks.items()},
        fills={coin: tuple(own) for coin, own in fills.items()},
        paths={coin: tuple(walk.path) for coin, walk in walks.items()},
    )


def _grid(history: History, since_ns: int, points: int) -> tuple[int, ...]:
    """Times spread over the history, its readings, and its last record."""
    readings = [one.ts_ns for one in history.readings]
    records = [one.ts_ns for one in history.fills] + [one.ts_ns for one in history.fundings]
    times = [ts_ns for ts_ns in records if ts_ns > since_ns] + readings
    if not times:
        return ()
    first, last = since_ns or min(times), max(times)
    return tuple(sorted({*range(first, last, (last - first) // points + 1), *readings, last}))


def in_chain_order(fills: Sequence[PastFill]) -> tuple[PastFill, ...]:
    """One market's fills in order of time; those of one block in the order in which each begins where the one before
    it ended, as far as there is one: the venue does not say how they followed each other."""
    by_time: dict[int, list[PastFill]] = defaultdict(list)
    for fill in fills:
        by_time[fill.ts_ns].append(fill)
    ordered: list[PastFill] = []
    for time in sorted(by_time):
        ordered += _chained(by_time[time], ordered[-1].start + ordered[-1].change if ordered else None)
    return tuple(ordered)


def _chained(block: list[PastFill], position: int | None) -> list[PastFill]:
    """A block's fills linked by their positions from `position` on; as they came where they do not link."""
    if len(block) == 1:
        return block
    if position is None:
        ends = {one.start + one.change for one in block}
        position = next((one.start for one in block if one.start not in ends), block[0].start)
    waiting: dict[int, list[PastFill]] = defaultdict(list)
    for fill in reversed(block):
        waiting[fill.start].append(fill)
    linked: list[PastFill] = []
    while waiting.get(position):
        linked.append(waiting[position].pop())
        position = linked[-1].start + linked[-1].change
    return linked if len(linked) == len(block) else block


def _coins(
    history: History, fills: Mapping[str, Sequence[PastFill]], fundings: Sequence[PastFunding], flows: Sequence[Flow]
) -> list[str]:
    readings = [*history.readings, *([history.opening] if history.opening is not None else [])]
    held = [coin for one in readings for coin in one.held]
    moved = [one.coin for one in flows if one.coin]
    return list(dict.fromkeys([*fills, *(one.coin for one in fundings), *moved, *held]))


def _start(fills: Sequence[PastFill], fundings: Sequence[PastFunding]) -> int:
    """The position at the start as the first record tells it; 0 where none does."""
    first = min(fundings, key=lambda one: one.ts_ns, default=None)
    if fills and (first is None or fills[0].ts_ns <= first.ts_ns):
        return fills[0].start
    return 0 if first is None else first.position


class _Walk:
    """One market from the start to the end: the position of every strategy and side, and what it added to each part."""

    def __init__(
        self, start: Held, since_ns: int, mids: Mids, strategy: Callable[[PastFill], str], *, first_double: int
    ) -> None:
        """`start` is what was held at `since_ns`; 0 without an opening: then the walk begins at its first record.
        `first_double` is twice the first own price, which stands for the mid where there is none."""
        self.start = start
        self.amounts: Amounts = defaultdict(lambda: [0] * len(PART_NAMES))
        self.at_readings: list[tuple[int, int]] = []  # sum of all parts, and worth of tokens moved, by reading
        self.path: list[Point] = []  # at each time of the grid
        self._mids, self._strategy = mids, strategy
        self._held: dict[tuple[str, int], int] = defaultdict(int)
        self._over: dict[tuple[str, int], int] = defaultdict(int)  # worth at the mark over that at the mid
        self._totals = [0] * len(PART_NAMES)
        self._moved = 0
        self._now_ns, self._mid = since_ns, mids.at(since_ns) or first_double
        if start.size:
            key = CARRIED, _sign(start.size)
            self._held[key] = start.size
            self._over[key] = start.size * (start.mark_double - self._mid) if start.mark_double else 0

    @property
    def position(self) -> int:
        """The signed position by the fills, 1e-12."""
        return sum(self._held.values())

    def run(
        self,
        fills: Sequence[PastFill],
        fundings: Sequence[PastFunding],
        flows: Sequence[Flow],
        readings: Sequence[tuple[int, Held | None]],
        grid: Sequence[int],
    ) -> None:
        """Goes through all records of the market, and shows where it stands at each time of the grid."""
        steps: list[tuple[int, int, Callable[[], None]]] = []
        steps += [(one.ts_ns, _TRADED, partial(self._fill, one)) for one in fills]
        steps += [(one.ts_ns, _PAID, partial(self._pay, one)) for one in fundings]
        steps += [(one.ts_ns, _MOVED, partial(self._move, one)) for one in flows]
        steps += [(time, _READ, partial(self._read, held)) for time, held in readings]
        steps += [(time, _SHOWN, self._show) for time in grid]
        steps.sort(key=lambda step: step[:2])
        for time, _, step in steps:
            for hour_ns in self._hours_until(time):
                self._carry(hour_ns, hour_ns // HOUR_NS - 1)
            if not self._now_ns:
                self._mid = self._mids.at(time) or self._mid
            self._carry(time, time // HOUR_NS)
            step()

    def _hours_until(self, ts_ns: int) -> Iterator[int]:
        """The hours that end before `ts_ns` while something is held."""
        if not self._now_ns or not any(self._held.values()):
            return
        for hour in range(self._now_ns // HOUR_NS + 1, ts_ns // HOUR_NS + 1):
            yield hour * HOUR_NS

    def _carry(self, ts_ns: int, hour: int) -> None:
        """The mid moves to where it is then, under what is held."""
        self._move_mid(self._mids.at(ts_ns) or self._mid, hour)
        self._now_ns = ts_ns

    def _move_mid(self, mid: int, hour: int) -> None:
        moved = mid - self._mid
        if moved:
            for (strategy, side), held in self._held.items():
                if held:
                    self._add(strategy, side, hour, _INVENTORY, held * moved)
        self._mid = mid

    def _add(self, strategy: str, side: int, hour: int, part: int, amount: int) -> None:
        self.amounts[strategy, side, hour][part] += amount
        self._totals[part] += amount

    def _fill(self, fill: PastFill) -> None:
        strategy, hour = self._strategy(fill), fill.ts_ns // HOUR_NS
        if not self._mids.ts_ns:
            self._move_mid(2 * fill.price, hour)
        gained = fill.side * fill.size * (self._mid - 2 * fill.price)
        self._add(strategy, fill.side, hour, _SPREAD, gained)
        fee = fill.fee * self._mid if fill.is_fee_in_coin else fill.fee * GRAINS_PER_UNIT
        self._add(strategy, fill.side, hour, _FEES if fee > 0 else _REBATES, -fee)
        self._held[strategy, fill.side] += fill.change

    def _pay(self, paid: PastFunding) -> None:
        """A payment is that of the position; each strategy has the share of it that it holds. The last takes what
        division leaves, less than a grain a strategy."""
        by_strategy: dict[str, int] = defaultdict(int)
        for (strategy, _), held in self._held.items():
            by_strategy[strategy] += held
        position, left = sum(by_strategy.values()), paid.amount * GRAINS_PER_UNIT
        holders = [name for name, held in by_strategy.items() if held]
        if not position:
            self._add(OTHERS, 0, paid.ts_ns // HOUR_NS, _FUNDING, left)
            return
        for strategy in holders[:-1]:
            share = paid.amount * GRAINS_PER_UNIT * by_strategy[strategy] // position
            self._add(strategy, 0, paid.ts_ns // HOUR_NS, _FUNDING, share)
            left -= share
        self._add(holders[-1], 0, paid.ts_ns // HOUR_NS, _FUNDING, left)

    def _move(self, flow: Flow) -> None:
        """Tokens that came or left, at the mid."""
        self._held[CARRIED, _sign(flow.size)] += flow.size
        self._moved += flow.size * self._mid

    def _read(self, held: Held | None) -> None:
        """The venue's mark values what is held."""
        mark = held.mark_double if held is not None and held.mark_double else self._mid
        for key, size in self._held.items():
            over = size * (mark - self._mid)
            if over != self._over[key]:
                self._add(*key, self._now_ns // HOUR_NS, _BASIS, over - self._over[key])
                self._over[key] = over
        self.at_readings.append((sum(self._totals), self._moved))

    def _show(self) -> None:
        position = self.position
        mark = self._mid if not position else self._mid + sum(self._over.values()) // position
        self.path.append(Point(self._now_ns, self._mid, mark, position, tuple(self._totals)))


def _sign(number: int) -> int:
    return 1 if number > 0 else -1


def _checked(history: History, flows: Sequence[Flow], walks: Sequence[_Walk]) -> tuple[Checked, ...]:
    opening = history.opening
    if opening is None:
        return ()
    found = []
    for place, reading in enumerate(history.readings):
        moved = _flowed(flows, walks, place, reading.ts_ns)
        change = reading.equity_grains - opening.equity_grains - moved
        parts = sum(walk.at_readings[place][0] for walk in walks)
        found.append(Checked(reading.ts_ns, change, parts, change - parts))
    return tuple(found)


def _flowed(flows: Sequence[Flow], walks: Sequence[_Walk], place: int, until_ns: int | None = None) -> int:
    """What was moved in and out until a reading, tokens at their mid; what the venue does not say counts nothing."""
    money = sum(one.amount or 0 for one in flows if until_ns is None or one.ts_ns <= until_ns) * GRAINS_PER_UNIT
    return money + (sum(walk.at_readings[place][1] for walk in walks) if place >= 0 else 0)


def _attribution(history: History, walks: Mapping[str, _Walk], checked: Sequence[Checked]) -> Attribution:
    amounts = {coin: dict(walk.amounts) for coin, walk in walks.items()}
    markets = tuple(_market(coin, walk) for coin, walk in walks.items())
    parts = sum((one.parts for one in markets), Parts())
    change = checked[-1].equity_change if checked else parts.total
    every = [item for one in amounts.values() for item in one.items()]
    return Attribution(
        grains_per_micro=GRAINS_PER_MICRO,
        markets=markets,
        parts=parts,
        equity_change=change,
        residual=checked[-1].residual if checked else 0,
        residual_largest=max((abs(one.residual) for one in checked), default=0),
        by_side=_by_side(every),
        by_hour=_grouped(every, lambda key: key[2] * HOUR_NS),
    )


def _market(coin: str, walk: _Walk) -> MarketAttribution:
    """One market's split. The venue says what the account is worth, not what a market made: there is no residual."""
    every = list(walk.amounts.items())
    parts = _sum(amounts for _, amounts in every)
    columns = np.array([one.parts for one in walk.path], dtype=object).reshape(len(walk.path), len(PART_NAMES)).T
    total = columns.sum(axis=0) if len(walk.path) else np.zeros(0, dtype=object)
    return MarketAttribution(
        market=coin,
        parts=parts,
        equity_change=parts.total,
        residual=0,
        by_side=_by_side(every),
        by_hour=_grouped(every, lambda key: key[2] * HOUR_NS),
        path=Path(
            ts_ns=np.array([one.ts_ns for one in walk.path], dtype=np.int64),
            mid_half_ticks=np.array([one.mid_double for one in walk.path], dtype=object),  # in 1e-12 here
            parts=columns,
            equity=total,
            residual=total - total,
        ),
    )


def _sum(amounts: Iterable[Sequence[int]]) -> Parts:
    sums = [0] * len(PART_NAMES)
    for one in amounts:
        sums = [before + more for before, more in zip(sums, one, strict=True)]
    return Parts(**dict(zip(PART_NAMES, sums, strict=True)))


def _by_side(items: Sequence[tuple[Key, list[int]]]) -> dict[str, Parts]:
    """Buys and sells; funding belongs to neither."""
    return {name: _sum(own for key, own in items if key[1] == side) for side, name in _SIDE_NAMES.items()}


def _grouped(items: Sequence[tuple[Key, list[int]]], group: Callable[[Key], _G]) -> dict[_G, Parts]:
    by_group: dict[_G, list[list[int]]] = defaultdict(list)
    for key, own in items:
        by_group[group(key)].append(own)
    return {name: _sum(by_group[name]) for name in sorted(by_group)}
