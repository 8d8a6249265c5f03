"""A scan in words and in columns: the answer in one sentence, what it rests on, a row for each market. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hlhft.report.numbers import DASH, counted, duration, listed, money, plain, signed
from hlhft.report.scan_fills import HORIZONS_NS, SECOND_NS
from hlhft.report.scan_results import PAYING, WITHOUT_DATA, AtHorizon, MarketResult, ScanSettings, Verdict
from hlhft.units import MICRO

NAMED_MAX = 5  # markets in the sentence; the table has all
DAY_S = 86_400.0


def fee_words(settings: ScanSettings) -> str:
    """ "a maker fee of 1.5 bp", "a maker rebate of 0.3 bp"."""
    fee = settings.fee_bp
    return f"a maker rebate of {-fee:g} bp" if fee < 0.0 else f"a maker fee of {fee:g} bp"


def sentence(results: Sequence[MarketResult], settings: ScanSettings) -> str:
    """Which markets would have paid, or that none would, or that nothing can be told."""
    who = f"a two-sided quoter at {fee_words(settings)}"
    paying = [one for one in results if one.verdict in PAYING]
    losing = [one for one in results if one.verdict is Verdict.LOSES]
    if not results:
        return "There is no market to look at."
    if paying and len(results) == 1:
        return f"{results[0].market} would have paid {who}: {_amount(results[0], settings)}."
    if paying:
        named = listed([_named(one, settings) for one in paying[:NAMED_MAX]])
        more = f" and {len(paying) - NAMED_MAX} more" if len(paying) > NAMED_MAX else ""
        return f"{len(paying)} of {_markets(len(results))} would have paid {who}: {named}{more}."
    if len(losing) == len(results):
        if len(results) == 1:
            return f"{results[0].market} would not have paid {who}."
        return f"None of the {_markets(len(results))} would have paid {who}."
    if not losing:
        which = results[0].market if len(results) == 1 else f"any of the {_markets(len(results))}"
        return f"Cannot tell whether {which} would have paid {who}: {_why(results)}."
    rest = [one.market for one in results if one.verdict is not Verdict.LOSES]
    named = listed(rest) if len(rest) <= NAMED_MAX else _markets(len(rest))
    return (
        f"None of the {_markets(len(results))} is seen to have paid {who}: {len(losing)} would have lost, and of "
        f"{named} these data cannot tell."
    )


def remarks(results: Sequence[MarketResult], settings: ScanSettings) -> list[str]:
    """What the sentence rests on, and how near the nearest market came."""
    said = []
    judged = [one for one in results if one.verdict not in WITHOUT_DATA]
    if judged and not any(one.verdict in PAYING for one in judged):
        best = max(judged, key=lambda one: _net(one, settings))
        before = _net(best, settings) + settings.fee_bp
        need = "a maker fee below" if before > 0.0 else "a maker rebate above"
        said.append(
            f"Nearest came {best.market}, whose fills made {signed(before)} bp before fees: it needs {need} "
            f"{plain(abs(before))} bp."
        )
    seconds = max((one.watched_s for one in results), default=0.0)
    if 0.0 < seconds < DAY_S:
        said.append(f"{duration(int(seconds * 1e9))} say little about other times.")
    unknown = [one.market for one in judged if one.funding_bp_hour is None]
    if unknown:
        which = "" if len(unknown) == len(judged) else f" of {_markets(len(unknown))}"
        said.append(f"Funding is not known{which} and counted as 0.")
    return said


def assumptions(settings: ScanSettings) -> str:
    """What is assumed of the quoter, for whoever reads the figures."""
    return (
        f"Assumed: an order of {plain(settings.quote_micro / MICRO, 0)} USDC on each side at the touch as it stood "
        "before each block, without latency, limits or effect on others; its share of what trades at its price, or as "
        "the last in the queue only what goes through it; each fill worth the mid "
        f"{settings.horizon_ns // SECOND_NS} s later, less {fee_words(settings)}. What stands behind ± holds with 95 % "
        "for all markets at once."
    )


def table(
    results: Sequence[MarketResult], settings: ScanSettings, *, is_wide: bool = True
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The heads and rows of the ranking as text, all figures but those a day in bp; not `is_wide`: for 80 columns."""
    chosen = [(head, text) for head, text, is_short in _COLUMNS if is_wide or is_short]
    chosen.append(("verdict", _verdict if is_wide else _verdict_short))
    heads = tuple(head for head, _ in chosen)
    return heads, [tuple(text(one, settings) for _, text in chosen) for one in results]


def _verdict(one: MarketResult, settings: ScanSettings) -> str:
    return str(one.verdict)


def _verdict_short(one: MarketResult, settings: ScanSettings) -> str:
    return str(one.verdict).partition(":")[0]


def _kept(one: MarketResult, settings: ScanSettings) -> str:
    return money(one.pro_rata.at(settings.horizon_ns).net_usdc_day)


def _after(number: int) -> tuple[str, Callable[[MarketResult, ScanSettings], str], bool]:
    head = f"after\n{HORIZONS_NS[number] // SECOND_NS} s"
    return head, lambda one, settings: signed(one.pro_rata.horizons[number].markout_bp), True


# Head, text, whether it stands in the short form.
_COLUMNS: tuple[tuple[str, Callable[[MarketResult, ScanSettings], str], bool], ...] = (
    ("market", lambda one, settings: one.market, True),
    ("spread", lambda one, settings: plain(one.spread_bp), True),
    ("half, as\nfilled", lambda one, settings: plain(one.pro_rata.half_spread_bp), False),
    *(_after(number) for number in range(len(HORIZONS_NS))),
    ("funding\nan hour", lambda one, settings: signed(one.funding_bp_hour, 3), False),
    ("net", lambda one, settings: _banded(one.pro_rata.at(settings.horizon_ns)), True),
    ("net, last\nin queue", lambda one, settings: _banded(one.last.at(settings.horizon_ns)), False),
    ("fills\na day", lambda one, settings: plain(one.pro_rata.fills_day, 0), False),
    ("USDC\na day", _kept, True),
)


def _banded(at: AtHorizon) -> str:
    if at.net_bp is None:
        return DASH
    reach = "" if at.band_bp is None else f" ± {plain(at.band_bp[1] - at.net_bp)}"
    return signed(at.net_bp) + reach


def flat(results: Sequence[MarketResult]) -> list[dict[str, Any]]:
    """A row for each market with every figure under a name of its own, for tables on disk."""
    rows = []
    for one in results:
        row: dict[str, Any] = {
            "market": one.market,
            "verdict": str(one.verdict),
            "watched_s": one.watched_s,
            "first_ns": one.first_ns,
            "last_ns": one.last_ns,
            "trades": one.trades,
            "turnover_usdc_day": one.turnover_usdc_day,
            "spread_bp": one.spread_bp,
            "funding_bp_hour": one.funding_bp_hour,
            "blocks": one.blocks,
        }
        for queue, found in (("pro_rata", one.pro_rata), ("last", one.last)):
            row |= {
                f"{queue}_fills": found.fills,
                f"{queue}_fills_day": found.fills_day,
                f"{queue}_volume_usdc_day": found.volume_usdc_day,
                f"{queue}_half_spread_bp": found.half_spread_bp,
            }
            for at in found.horizons:
                low, high = at.band_bp or (None, None)
                figures = (
                    ("markout_bp", at.markout_bp), ("funding_bp", at.funding_bp), ("net_bp", at.net_bp),
                    ("net_low_bp", low), ("net_high_bp", high), ("net_usdc_day", at.net_usdc_day),
                )  # fmt: skip
                row |= {f"{queue}_{at.horizon_s:g}s_{name}": figure for name, figure in figures}
        rows.append(row)
    return rows


def _net(one: MarketResult, settings: ScanSettings) -> float:
    net = one.pro_rata.at(settings.horizon_ns).net_bp
    return float("-inf") if net is None else net


def _markets(count: int) -> str:
    return counted(count, "market")


def _named(one: MarketResult, settings: ScanSettings) -> str:
    return f"{one.market} ({_amount(one, settings)})"


def _amount(one: MarketResult, settings: ScanSettings) -> str:
    kept = one.pro_rata.at(settings.horizon_ns).net_usdc_day
    condition = "" if one.verdict is Verdict.PAYS else ", but not the last in the queue"
    return f"{money(kept)} USDC a day{condition}"


def _why(results: Sequence[MarketResult]) -> str:
    """Why nothing can be told, by how many markets."""
    reasons = Counter(str(one.verdict).partition(": ")[2] for one in results)
    if len(reasons) == 1:
        return next(iter(reasons))
    return listed([f"{reason} in {count}" for reason, count in reasons.most_common()])
