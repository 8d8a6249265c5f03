"""What a scan found of each market: figures, a band, a verdict, and a place in the ranking. Pure.

Net of a fill at a horizon = side x (mid then - price) less the maker fee, plus funding, per value of the fills that are
known there. A band is as in `hlhft.report.bootstrap`: over blocks of five minutes, for all markets judged at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from hlhft.report.bootstrap import BLOCKS_MIN, Floats, band_factor, blocks_used, ratio_error
from hlhft.report.scan_fills import AT_HORIZONS, FILLS, HORIZONS_NS, LAST, PRO_RATA, SECOND_NS, SPREAD, VALUE, Watched
from hlhft.units import FUNDING_SCALE, MICRO, RATE_SCALE

BP = 10_000.0
DAY_S = 86_400.0
FILLS_MIN = 30
QUEUE_NAMES = {PRO_RATA: "pro rata", LAST: "last"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """What is assumed of the quoter."""

    quote_micro: int = 1_000 * MICRO  # value of its order on each side
    maker_rate_e9: int = 150_000
    horizon_ns: int = 10 * SECOND_NS  # the one that is judged by

    def __post_init__(self) -> None:
        if self.horizon_ns not in HORIZONS_NS:
            raise ValueError(f"the horizon is {self.horizon_ns} ns, and must be one of {HORIZONS_NS}")
        if self.quote_micro < 1:
            raise ValueError(f"the quote is {self.quote_micro} micro-USDC, and must be at least 1")

    @property
    def fee_bp(self) -> float:
        """What a maker's fill costs; negative for a rebate."""
        return self.maker_rate_e9 / (RATE_SCALE / BP)


class Verdict(StrEnum):
    """Whether a market would have paid."""

    PAYS = "pays"
    PAYS_AHEAD = "pays if ahead: not the last in the queue"
    LOSES = "loses"
    CHANCE = "cannot tell: within chance"
    FEW = "cannot tell: too few fills"
    SHORT = "cannot tell: too short"
    UNTRADED = "cannot tell: no trades"
    UNSEEN = "cannot tell: no best prices"


PAYING = (Verdict.PAYS, Verdict.PAYS_AHEAD)
WITHOUT_DATA = (Verdict.FEW, Verdict.SHORT, Verdict.UNTRADED, Verdict.UNSEEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHorizon:
    """What the fills of one queue place had become so much later, in bp of their value; None without any fill known."""

    horizon_s: float
    markout_bp: float | None  # before fees: the half-spread, and what of it the market took back
    funding_bp: float | None
    net_bp: float | None
    error_bp: float | None  # None for too few blocks
    band_bp: tuple[float, float] | None  # of the net
    net_usdc_day: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueResult:
    """What one place in the queue brings."""

    queue: str
    fills: int
    fills_day: float | None
    volume_usdc_day: float | None
    half_spread_bp: float | None  # captured, at the fill
    horizons: tuple[AtHorizon, ...]

    def at(self, horizon_ns: int) -> AtHorizon:
        """The figures of one of HORIZONS_NS."""
        return self.horizons[HORIZONS_NS.index(horizon_ns)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """One market."""

    market: str
    verdict: Verdict
    watched_s: float  # with a two-sided touch
    first_ns: int
    last_ns: int
    trades: int
    turnover_usdc_day: float | None  # of everybody
    spread_bp: float | None  # mean over time
    funding_bp_hour: float | None  # mean of the rates told; longs pay a positive one
    blocks: int  # of time, with fills
    pro_rata: QueueResult
    last: QueueResult
    left_out: Mapping[str, int]

    def plain(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return asdict(self)


def results_of(watched: Sequence[Watched], settings: ScanSettings) -> tuple[MarketResult, ...]:
    """The results, best first: what pays most a day, then what loses least, last those with too little data."""
    judged = sum(_lack(one) is None for one in watched)
    found = [_result(one, settings, max(judged, 1)) for one in watched]
    return tuple(sorted(found, key=lambda one: _place(one, settings)))


def _place(result: MarketResult, settings: ScanSettings) -> tuple[bool, float, str]:
    kept = result.pro_rata.at(settings.horizon_ns).net_usdc_day
    lacks = result.verdict in WITHOUT_DATA
    by = -(result.turnover_usdc_day or 0.0) if lacks or kept is None else -kept
    return lacks, by, result.market


def _lack(watched: Watched) -> Verdict | None:
    """Why nothing can be said of a market; None when something can."""
    if watched.watched_ns == 0:
        return Verdict.UNSEEN
    if watched.counts["trades"] == 0:
        return Verdict.UNTRADED
    sums = watched.sums()[:, PRO_RATA]
    # A fill counts as known when it is known at every horizon.
    known = sums[:, AT_HORIZONS + 3 * (len(HORIZONS_NS) - 1)]
    if sums[:, FILLS].sum() < FILLS_MIN:
        return Verdict.FEW
    return Verdict.SHORT if blocks_used(known) < BLOCKS_MIN else None


def _result(watched: Watched, settings: ScanSettings, claims: int) -> MarketResult:
    sums = watched.sums()
    days = watched.watched_ns / 1e9 / DAY_S
    pro_rata, last = (_queue(sums[:, queue], queue, days, settings, claims) for queue in (PRO_RATA, LAST))
    total_e12, rates = watched.funding_rates
    return MarketResult(
        market=watched.market.name,
        verdict=_lack(watched) or _verdict(pro_rata.at(settings.horizon_ns), last.at(settings.horizon_ns)),
        watched_s=watched.watched_ns / 1e9,
        first_ns=watched.first_ns,
        last_ns=watched.last_ns,
        trades=watched.counts["trades"],
        turnover_usdc_day=watched.turnover_usdc / days if days else None,
        spread_bp=watched.spread_ns / watched.watched_ns * BP if watched.watched_ns else None,
        funding_bp_hour=total_e12 / rates / FUNDING_SCALE * BP if rates else None,
        blocks=blocks_used(sums[:, PRO_RATA, VALUE]),
        pro_rata=pro_rata,
        last=last,
        left_out={name: count for name, count in watched.counts.items() if count and name != "trades"},
    )


def _verdict(ahead: AtHorizon, last: AtHorizon) -> Verdict:
    """From the bands of both places in the queue: a claim is only made where the whole band makes it."""
    if ahead.band_bp is None:
        return Verdict.SHORT
    last_pays = last.band_bp is not None and last.band_bp[0] > 0.0
    if ahead.band_bp[0] > 0.0:
        return Verdict.PAYS if last_pays else Verdict.PAYS_AHEAD
    return Verdict.LOSES if ahead.band_bp[1] < 0.0 and not last_pays else Verdict.CHANCE


def _queue(sums: Floats, queue: int, days: float, settings: ScanSettings, claims: int) -> QueueResult:
    total = sums.sum(axis=0).tolist()
    volume = total[VALUE] / days if days else None
    horizons = tuple(
        _at(sums[:, AT_HORIZONS + 3 * number :][:, :3], horizon_ns, volume, settings, claims)
        for number, horizon_ns in enumerate(HORIZONS_NS)
    )
    return QueueResult(
        queue=QUEUE_NAMES[queue],
        fills=round(total[FILLS]),
        fills_day=total[FILLS] / days if days else None,
        volume_usdc_day=volume,
        half_spread_bp=total[SPREAD] / total[VALUE] * BP if total[VALUE] else None,
        horizons=horizons,
    )


def _at(sums: Floats, horizon_ns: int, volume: float | None, settings: ScanSettings, claims: int) -> AtHorizon:
    """One horizon from its sums by block, float64[B, 3]: value, moved, funding."""
    value, moved, funding = sums.sum(axis=0).tolist()
    if not value:
        empty = dict.fromkeys(("markout_bp", "funding_bp", "net_bp", "error_bp", "band_bp", "net_usdc_day"))
        return AtHorizon(horizon_s=horizon_ns / 1e9, **empty)
    net = (moved + funding) / value * BP - settings.fee_bp
    error = ratio_error(sums[:, 1] + sums[:, 2], sums[:, 0])
    band = None
    if error is not None:
        error *= BP
        reach = band_factor(blocks_used(sums[:, 0]), claims) * error
        band = (net - reach, net + reach)
    return AtHorizon(
        horizon_s=horizon_ns / 1e9,
        markout_bp=moved / value * BP,
        funding_bp=funding / value * BP,
        net_bp=net,
        error_bp=error,
        band_bp=band,
        net_usdc_day=None if volume is None else net / BP * volume,
    )
