"""What of an account's past cannot be, or does not fit the rest of it: each gap with its place and its size.

Every fill says the position before it, every close what it realised, every payment what it was paid on, and the venue
what the account held and was worth at the end. So nearly every record that is missing, doubled or wrong contradicts
another one. Nothing is mended: the split keeps the residual, and this says where it comes from.

The venue writes positions from binary floating point (recorded: 3130537.6000000001), so those are compared to a part
in 2^50; it cuts fees at six decimals and entry prices at the market's, and what follows from them is as exact.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from hlhft.report.attribution import HOUR_NS
from hlhft.report.venue_records import (
    DECIMALS,
    GRAINS_PER_UNIT,
    UNIT,
    USDC,
    Flow,
    Held,
    History,
    PastFill,
    PastFunding,
    is_spot,
)
from hlhft.report.venue_split import Split
from hlhft.units import decimal_text

FINDINGS_MAX = 1_000  # kept of each kind; the rest is counted
MICRO_UNITS = UNIT // 10**6
# A payment comes this soon after its hour (venue reference: median 59 ms, 99 of 100 within 435 ms).
PAID_WITHIN_NS = 60_000_000_000
# The oracle, at which funding is reckoned, and the mid are this close, or something is wrong.
ORACLE_SHARE = Fraction(1, 20)
_RATE_FILLS_MIN = 4  # of one market, day and side of the book, before one of them is unlike the others


class Kind(StrEnum):
    """What is found; `MEANING` says it in words."""

    CUT = "cut"
    POSITION = "position"
    END = "end"
    DOUBLED = "doubled"
    DIRECTION = "direction"
    TIME = "time"
    CLOSED = "closed"
    UNREALISED = "unrealised"
    FEE_SIGN = "fee sign"
    FEE = "fee"
    FOREIGN_FEE = "foreign fee"
    FUNDING_SIGN = "funding sign"
    FUNDING_POSITION = "funding position"
    FUNDING_AMOUNT = "funding amount"
    FUNDING_MISSING = "funding missing"
    TRANSFER = "transfer"
    PRICE = "price"
    EQUITY = "equity"


MEANING: dict[Kind, str] = {
    Kind.CUT: "a part of the past that the venue no longer has, or that was not asked for",
    Kind.POSITION: "a fill begins with another position than the one before it left: fills are missing or wrong",
    Kind.END: "the fills lead to another position than the venue says the account has",
    Kind.DOUBLED: "a record is there more than once",
    Kind.DIRECTION: "a fill's side is not what its direction says",
    Kind.TIME: "fills of one transaction are of several times",
    Kind.CLOSED: "the venue says that a close realised something else than its price and the entry say",
    Kind.UNREALISED: "the venue values the position at the end by another entry price than that of its fills",
    Kind.FEE_SIGN: "a taker was paid",
    Kind.FEE: "a fee of another rate than others of its market, day and side of the book",
    Kind.FOREIGN_FEE: "a fee in a token that was not traded: it is not counted",
    Kind.FUNDING_SIGN: "a payment has the wrong sign for its position and rate",
    Kind.FUNDING_POSITION: "a payment was made on another position than the fills say",
    Kind.FUNDING_AMOUNT: "a payment is not position x price x rate at any price near the mid",
    Kind.FUNDING_MISSING: "an hour ended with a position and nothing was paid",
    Kind.TRANSFER: "a transfer of which the venue does not say the worth: it is not counted",
    Kind.PRICE: "a token without a price: it is worth nothing here",
    Kind.EQUITY: "the account's worth changed by something that no record tells",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not fit. `size` is in units of the coin (1e-12) and `grains` in money, None where neither
    can be said; `tid` is the trade's, 0 for none; `ts_ns` is where, 0 for the whole."""

    kind: Kind
    sentence: str
    coin: str = ""
    ts_ns: int = 0
    tid: int = 0
    size: int | None = None
    grains: int | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found, in order of kind and time, and how many of a kind were left out beyond FINDINGS_MAX."""

    kept: tuple[Finding, ...]
    left_out: dict[Kind, int]

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """Those of one kind."""
        return tuple(one for one in self.kept if one.kind is kind)


def check(history: History, split: Split) -> Findings:
    """Everything that is wrong with a history, or that does not fit its split."""
    kept: list[Finding] = []
    counts: Counter[Kind] = Counter()
    for finding in _all(history, split):
        counts[finding.kind] += 1
        if counts[finding.kind] <= FINDINGS_MAX:
            kept.append(finding)
    order = list(Kind)
    kept.sort(key=lambda one: (order.index(one.kind), one.ts_ns))
    left_out = {kind: count - FINDINGS_MAX for kind, count in counts.items() if count > FINDINGS_MAX}
    return Findings(kept=tuple(kept), left_out=left_out)


def _all(history: History, split: Split) -> Iterator[Finding]:
    for sentence in history.cuts:
        yield Finding(kind=Kind.CUT, sentence=sentence)
    for coin, fills in split.fills.items():
        since_ns = 0 if history.opening is None else history.opening.ts_ns
        moves = [one for one in history.flows if one.coin == coin and one.ts_ns > since_ns]
        yield from _positions(coin, fills, split.starts[coin], moves)
        yield from _directions(fills)
        if coin in history.markets and not is_spot(coin):
            yield from _Entries(coin, history, split).check(fills)
        yield from _fees(fills)
    yield from _ends(history, split)
    yield from _doubled(history)
    yield from _times(history.fills)
    yield from _fundings(history, split)
    yield from _transfers(history)
    yield from _equity(history, split)


def text(units: int) -> str:
    """Whole 1e-12 as a decimal text."""
    return decimal_text(units, DECIMALS)


def differ(one: int, other: int) -> bool:
    """Whether two positions are more than the venue's floating point apart."""
    return abs(one - other) > max(abs(one), abs(other)) >> 50


def _positions(coin: str, fills: Sequence[PastFill], start: int, moves: Sequence[Flow]) -> Iterator[Finding]:
    """Each fill begins where the one before it ended, and what was moved in between took it."""
    position, before, since_ns = start, "the start", 0
    for fill in fills:
        position += sum(one.size for one in moves if since_ns < one.ts_ns <= fill.ts_ns)
        if differ(fill.start, position):
            gap = fill.start - position
            yield Finding(
                kind=Kind.POSITION, coin=coin, ts_ns=fill.ts_ns, tid=fill.tid, size=gap,
                sentence=f"{coin}: trade {fill.tid} begins with {text(fill.start)}, and {before} left "
                f"{text(position)}: {text(gap)} between them",
            )  # fmt: skip
        position, before, since_ns = fill.start + fill.change, f"trade {fill.tid}", fill.ts_ns


def _directions(fills: Sequence[PastFill]) -> Iterator[Finding]:
    for fill in fills:
        wanted = _WORDS.get(fill.direction)
        if wanted is not None and wanted != fill.side:
            yield Finding(
                kind=Kind.DIRECTION, coin=fill.coin, ts_ns=fill.ts_ns, tid=fill.tid, size=2 * fill.side * fill.size,
                sentence=f"{fill.coin}: trade {fill.tid} says {fill.direction}, and is a "
                f"{'buy' if fill.side > 0 else 'sell'} of {text(fill.size)}",
            )  # fmt: skip


# The venue's words for what a fill did (venue reference section 3.2), and the side that they mean.
_WORDS = {
    "Open Long": 1, "Close Short": 1, "Short > Long": 1, "Buy": 1,
    "Open Short": -1, "Close Long": -1, "Long > Short": -1, "Sell": -1, "Spot Dust Conversion": -1,
}  # fmt: skip


class _Cost(NamedTuple):
    """What a position cost in 1e-12 USDC, positive, and by how much that may be off."""

    amount: Fraction
    slack: Fraction


class _Entries:
    """Follows what a perpetual's position cost, by the venue's rule of average entry prices.

    The venue cuts the entry price to the market's decimals before it reckons with it, and keeps it whole (recorded: all
    closes of October 2025 agree): so what it says a close realised may be off by a step of the price for each lot. The
    cost of what was carried in is learned from the first close, with as much left open.

    Where a close does not fit, either it is wrong or something before it: both costs are kept until one fits.
    """

    def __init__(self, coin: str, history: History, split: Split) -> None:
        self.coin = coin
        self._step = Fraction(1, 10 ** history.markets[coin].price_decimals)
        self._last = history.readings[-1].held.get(coin) if history.readings else None
        self._costs: tuple[_Cost, ...] = ()  # none while unknown, at most two
        start = split.starts[coin]
        if start and history.opening is not None:
            held = history.opening.held[coin]
            if held.unrealised is not None and held.mark_double:
                amount = Fraction(held.mark_double * abs(start), 2 * UNIT) - _sign(start) * held.unrealised
                self._costs = (_Cost(amount, MICRO_UNITS + self._step * abs(start)),)

    def check(self, fills: Sequence[PastFill]) -> Iterator[Finding]:
        """Each close, and the position at the end."""
        for fill in fills:
            if not fill.start:
                self._costs = (_Cost(Fraction(0), Fraction(0)),)
            if fill.start * fill.side >= 0:
                worth = Fraction(fill.price * fill.size, UNIT)
                self._costs = tuple(_Cost(one.amount + worth, one.slack) for one in self._costs)
                if fill.closed:
                    yield self._finding(fill, fill.closed, "says it closed something, and it opened")
            else:
                yield from self._close(fill)
        if fills:
            yield from self._end(fills[-1])

    def _close(self, fill: PastFill) -> Iterator[Finding]:
        held, closed, direction = abs(fill.start), min(fill.size, abs(fill.start)), _sign(fill.start)
        worth, share = Fraction(fill.price * closed, UNIT), Fraction(closed, held)
        gaps = [fill.closed - direction * (worth - one.amount * share) for one in self._costs]
        allowed = self._step * closed + MICRO_UNITS
        fitting = [
            one for one, gap in zip(self._costs, gaps, strict=True) if abs(gap) <= one.slack * share + allowed
        ]  # fmt: skip
        if not fitting:
            if gaps:
                yield self._finding(fill, int(gaps[0]), f"says {text(fill.closed)}, its records say otherwise")
            implied = _Cost((worth - direction * fill.closed) / share, MICRO_UNITS / share + self._step * held)
            fitting = [*self._costs[:1], implied]
        if fill.size > closed:
            fitting = [_Cost(Fraction(fill.price * (fill.size - closed), UNIT), Fraction(0))]
            share = Fraction(0)
        self._costs = tuple(_Cost(one.amount * (1 - share), one.slack * (1 - share)) for one in fitting)

    def _finding(self, fill: PastFill, gap: int, words: str) -> Finding:
        return Finding(
            kind=Kind.CLOSED, coin=self.coin, ts_ns=fill.ts_ns, tid=fill.tid, grains=gap * GRAINS_PER_UNIT,
            sentence=f"{self.coin}: of what trade {fill.tid} realised, the venue {words}: {text(gap)} USDC between",
        )  # fmt: skip

    def _end(self, fill: PastFill) -> Iterator[Finding]:
        held, position = self._last, fill.start + fill.change
        if held is None or held.unrealised is None or differ(held.size, position):
            return
        worth, allowed = Fraction(held.mark_double * held.size, 2 * UNIT), self._step * abs(held.size) + MICRO_UNITS
        gaps = [held.unrealised - (worth - _sign(held.size) * one.amount) for one in self._costs]
        if gaps and all(abs(gap) > one.slack + allowed for gap, one in zip(gaps, self._costs, strict=True)):
            yield Finding(
                kind=Kind.UNREALISED, coin=self.coin, grains=int(gaps[0]) * GRAINS_PER_UNIT,
                sentence=f"{self.coin}: the venue says {text(held.unrealised)} USDC are unrealised, and the fills say "
                f"otherwise: {text(int(gaps[0]))} between",
            )  # fmt: skip


def _sign(number: int) -> int:
    return 1 if number > 0 else -1


def _ends(history: History, split: Split) -> Iterator[Finding]:
    if not history.readings:
        return
    last = history.readings[-1]
    for coin, position in split.ends.items():
        held = last.held.get(coin, Held(size=0))
        if differ(held.size, position):
            yield Finding(
                kind=Kind.END, coin=coin, ts_ns=last.ts_ns, size=held.size - position,
                sentence=f"{coin}: the venue says {text(held.size)} are held, and the fills lead to {text(position)}",
            )  # fmt: skip
        if held.size and is_spot(coin) and not held.mark_double:
            yield Finding(kind=Kind.PRICE, coin=coin, size=held.size, sentence=f"{coin}: no price is known of it")


def _doubled(history: History) -> Iterator[Finding]:
    """Equal records. Both sides of a trade with oneself share its number, and are of two sides; what was no trade has
    none, and is equal where all of it is."""
    fills: dict[object, list[PastFill]] = defaultdict(list)
    for fill in history.fills:
        fills[(fill.coin, fill.ts_ns, fill.tid, fill.oid, fill.side) if fill.tid else fill].append(fill)
    for one, *more in fills.values():
        if more:
            yield Finding(
                kind=Kind.DOUBLED, coin=one.coin, ts_ns=one.ts_ns, tid=one.tid, size=sum(two.change for two in more),
                sentence=f"{one.coin}: trade {one.tid} is there {1 + len(more)} times",
            )  # fmt: skip
    fundings: dict[tuple[str, int], list[PastFunding]] = defaultdict(list)
    for paid in history.fundings:
        fundings[paid.coin, paid.ts_ns].append(paid)
    for first, *again in fundings.values():
        if again:
            yield Finding(
                kind=Kind.DOUBLED, coin=first.coin, ts_ns=first.ts_ns,
                grains=sum(two.amount for two in again) * GRAINS_PER_UNIT,
                sentence=f"{first.coin}: a payment of funding is there {1 + len(again)} times",
            )  # fmt: skip
    for flow, count in Counter(history.flows).items():
        if count > 1:
            yield Finding(
                kind=Kind.DOUBLED, coin=flow.coin, ts_ns=flow.ts_ns,
                grains=(count - 1) * (flow.amount or 0) * GRAINS_PER_UNIT,
                sentence=f"a transfer is there {count} times ({flow.hash[:18]})",
            )  # fmt: skip


def _times(fills: Sequence[PastFill]) -> Iterator[Finding]:
    """All fills of one transaction are of one block. The slices of a TWAP have no transaction."""
    by_hash: dict[str, list[PastFill]] = defaultdict(list)
    for fill in fills:
        if fill.hash.strip("0x"):
            by_hash[fill.hash].append(fill)
    for hash_text, group in by_hash.items():
        times = Counter(one.ts_ns for one in group)
        if len(times) > 1:
            odd = min(group, key=lambda one: times[one.ts_ns])
            yield Finding(
                kind=Kind.TIME, coin=odd.coin, ts_ns=odd.ts_ns, tid=odd.tid,
                sentence=f"{odd.coin}: trade {odd.tid} is of another time than others of transaction {hash_text[:18]}",
            )  # fmt: skip


def _fees(fills: Sequence[PastFill]) -> Iterator[Finding]:
    """Fees of one market, day and side of the book are cut from one rate."""
    groups: dict[tuple[int, bool], list[PastFill]] = defaultdict(list)
    for fill in fills:
        fee = fill.fee - fill.builder_fee
        if fill.fee_token != USDC and not fill.is_fee_in_coin:
            yield Finding(
                kind=Kind.FOREIGN_FEE, coin=fill.coin, ts_ns=fill.ts_ns, tid=fill.tid,
                sentence=f"{fill.coin}: trade {fill.tid} cost {text(fill.fee)} {fill.fee_token}",
            )  # fmt: skip
        elif fill.is_taker and fee < 0:
            yield Finding(
                kind=Kind.FEE_SIGN, coin=fill.coin, ts_ns=fill.ts_ns, tid=fill.tid, grains=fee * GRAINS_PER_UNIT,
                sentence=f"{fill.coin}: trade {fill.tid} took, and was paid {text(-fee)}",
            )  # fmt: skip
        elif not fill.is_fee_in_coin:
            groups[fill.ts_ns // (24 * HOUR_NS), fill.is_taker].append(fill)
    for group in groups.values():
        yield from _unlike(group)


def _unlike(group: Sequence[PastFill]) -> Iterator[Finding]:
    """Fees that are not cut from the rate that most of the largest fills agree on."""
    if len(group) < _RATE_FILLS_MIN:
        return
    largest = sorted(group, key=lambda one: -one.price * one.size)[:8]
    rates = [_rate(one) for one in largest]
    low, high = max(rates, key=lambda rate: sum(_meet(rate, other) for other in rates))
    if 2 * sum(_meet((low, high), rate) for rate in rates) <= len(rates):
        return  # no rate that most share: tiers changed within the day
    for fill in group:
        if not _meet((low, high), _rate(fill)):
            worth = fill.price * fill.size
            due = int((low + high) / 2 * worth / UNIT) if low >= 0 else -int(-(low + high) / 2 * worth / UNIT)
            gap = fill.fee - fill.builder_fee - due
            yield Finding(
                kind=Kind.FEE, coin=fill.coin, ts_ns=fill.ts_ns, tid=fill.tid, grains=gap * GRAINS_PER_UNIT,
                sentence=f"{fill.coin}: trade {fill.tid} cost {text(fill.fee)}, {text(gap)} more than its day's rate",
            )  # fmt: skip


def _rate(fill: PastFill) -> tuple[Fraction, Fraction]:
    """Between which rates its fee, cut toward zero at six decimals, lies; a rebate's below 0."""
    fee, worth = fill.fee - fill.builder_fee, Fraction(max(fill.price * fill.size, 1), UNIT)
    ends = (abs(fee) / worth, (abs(fee) + MICRO_UNITS) / worth)
    if not fee:
        return -ends[1], ends[1]
    return ends if fee > 0 else (-ends[1], -ends[0])


def _meet(one: tuple[Fraction, Fraction], other: tuple[Fraction, Fraction]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _fundings(history: History, split: Split) -> Iterator[Finding]:
    by_coin: dict[str, list[PastFunding]] = defaultdict(list)
    for paid in history.fundings:
        by_coin[paid.coin].append(paid)
    ends = [one.ts_ns for one in history.fills] + [one.ts_ns for one in history.readings]
    end_ns = max([*ends, *(one.ts_ns for one in history.fundings)], default=0)
    for coin, fundings in by_coin.items():
        fundings.sort(key=lambda one: one.ts_ns)
        positions = _Positions(split.fills.get(coin, ()), split.starts.get(coin, 0))
        for paid in fundings:
            yield from _paid(paid, positions.at(paid.ts_ns), history)
        yield from _unpaid(coin, fundings, positions, end_ns)


class _Positions:
    """A market's position at any time, by the chain of its fills."""

    def __init__(self, fills: Sequence[PastFill], start: int) -> None:
        self._times = [fill.ts_ns for fill in fills]
        self._ends = [start, *(fill.start + fill.change for fill in fills)]

    def at(self, ts_ns: int) -> list[int]:
        """Those of one instant: before its fills, and after each of them."""
        return self._ends[bisect_left(self._times, ts_ns) : bisect_right(self._times, ts_ns) + 1]


def _paid(paid: PastFunding, held: Sequence[int], history: History) -> Iterator[Finding]:
    place = {"coin": paid.coin, "ts_ns": paid.ts_ns}
    if all(differ(paid.position, one) for one in held):
        nearest = min(held, key=lambda one: abs(one - paid.position))
        yield Finding(
            kind=Kind.FUNDING_POSITION, size=paid.position - nearest, **place,  # type: ignore[arg-type]
            sentence=f"{paid.coin}: funding was paid on {text(paid.position)}, and the fills say {text(nearest)}",
        )  # fmt: skip
    if paid.amount * paid.position * paid.rate > 0:
        yield Finding(
            kind=Kind.FUNDING_SIGN, grains=2 * paid.amount * GRAINS_PER_UNIT, **place,  # type: ignore[arg-type]
            sentence=f"{paid.coin}: {text(paid.amount)} was booked on {text(paid.position)} at {text(paid.rate)}",
        )  # fmt: skip
        return
    mids = history.mids.get(paid.coin)
    if mids is None or not mids.ts_ns or not paid.rate:
        return
    due = Fraction(-paid.position * mids.at(paid.ts_ns) * paid.rate, 2 * UNIT * UNIT)
    gap = paid.amount - due
    if abs(gap) > abs(due) * ORACLE_SHARE + MICRO_UNITS:
        yield Finding(
            kind=Kind.FUNDING_AMOUNT, grains=int(gap) * GRAINS_PER_UNIT, **place,  # type: ignore[arg-type]
            sentence=f"{paid.coin}: {text(paid.amount)} was booked, and at the mid it would be {text(int(due))}",
        )  # fmt: skip


def _unpaid(coin: str, fundings: Sequence[PastFunding], positions: _Positions, end_ns: int) -> Iterator[Finding]:
    """Hours between the first payment and the end that a position stood over and that nothing was paid for."""
    paid = {one.ts_ns // HOUR_NS for one in fundings}
    for hour in range(min(paid), (end_ns - PAID_WITHIN_NS) // HOUR_NS + 1):
        held = positions.at(hour * HOUR_NS)[0]
        if held and hour not in paid:
            yield Finding(
                kind=Kind.FUNDING_MISSING, coin=coin, ts_ns=hour * HOUR_NS, size=held,
                sentence=f"{coin}: {text(held)} was held when an hour ended, and no payment is there",
            )  # fmt: skip


def _transfers(history: History) -> Iterator[Finding]:
    for one in history.flows:
        if one.amount is None:
            yield Finding(
                kind=Kind.TRANSFER, ts_ns=one.ts_ns, sentence=f"a transfer of unknown worth: {one.text[:160]}"
            )


def _equity(history: History, split: Split) -> Iterator[Finding]:
    """What no part explains, by stretch between two readings."""
    if history.opening is None:
        return
    since = history.opening.ts_ns
    residuals = [0, *(one.residual for one in split.checked)]
    for (before, residual), one in zip(pairwise(residuals), split.checked, strict=True):
        if residual != before:
            yield Finding(
                kind=Kind.EQUITY, ts_ns=one.ts_ns, grains=residual - before,
                sentence=f"between {since // 10**6} and {one.ts_ns // 10**6} (ms) the account's worth changed by "
                f"{decimal_text(5 * (residual - before), 25)} USDC that no record tells",
            )  # fmt: skip
        since = one.ts_ns


def gaps(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that are about money or positions, not about what could not be looked at."""
    return tuple(one for one in findings if one.kind not in (Kind.CUT, Kind.TRANSFER, Kind.PRICE, Kind.FOREIGN_FEE))
