"""The verdict in plain words: whether it would have made money, under which fees, why, and how much that is worth.

A result is a loss when it is below zero, whatever its size; no sentence says more than the recording carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hlhft.report.assumptions import without_trades_words
from hlhft.report.numbers import count, counted, duration, listed, money, percent
from hlhft.report.results import Results, ScenarioResult

PART_WORDS = {
    "spread": "spread captured",
    "inventory": "inventory",
    "basis": "mid to mark",
    "fees": "fees",
    "rebates": "rebates",
    "funding": "funding",
}
_NUMBERS = {2: "both", 3: "all three", 4: "all four"}
UPTIME_LOW = 0.5


@dataclass(frozen=True)
class Verdict:
    """One sentence, and remarks without which it would mislead."""

    sentence: str
    remarks: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it as one paragraph."""
        return " ".join((self.sentence, *self.remarks))


def verdict(results: Results) -> Verdict:
    """The verdict of a finished backtest."""
    sentence = _live_sentence(results.scenarios[0]) if results.is_live else _sentence(results.scenarios)
    remarks = [f"{met[0].upper()}{met[1:]}: what was learned there says nothing here." for met in results.in_sample]
    stamp = f"{results.stamp}: " if results.stamp else ""
    return Verdict(stamp + sentence, (*remarks, *_remarks(results)))


def scenario_title(one: ScenarioResult) -> tuple[str, str]:
    """A scenario as a column's head in two lines: whose fees they are, and what they are."""
    who, _, what = one.name.replace(" -", " \N{MINUS SIGN}").partition(", ")
    return who, what


def scenario_words(one: ScenarioResult) -> str:
    """A scenario in a sentence: "the top rebate (-0.3 bp)"."""
    short = one.name.partition(", maker ")[0]
    known = {"new account": "a new account", "top rebate": "the top rebate"}
    article = "your fees" if short.startswith("maker ") else known.get(short, short)
    fee = f"{one.maker_bp:+g}".replace("-", "\N{MINUS SIGN}") if one.maker_bp else "0"
    return f"{article} ({fee} bp)"


def _sentence(scenarios: tuple[ScenarioResult, ...]) -> str:
    if not any(one.metrics.trading.fills for one in scenarios):
        return "It did not trade at all, so it neither made nor lost anything."
    won = [one for one in scenarios if one.profit_usdc > 0.0]
    lost = [one for one in scenarios if one.profit_usdc < 0.0]
    if len(lost) == len(scenarios):
        return f"It would have lost money under {_all(scenarios)}: {_figures(scenarios)}."
    if len(won) == len(scenarios):
        return f"It would have made money under {_all(scenarios)}: {_figures(scenarios)}."
    if not won:
        return f"It would not have made money under any of its fee scenarios: {_figures(scenarios)}."
    rest = [one for one in scenarios if one not in won]
    return f"It would have made money only with {_pairs(won)}, and not with {_pairs(rest)}."


def _live_sentence(one: ScenarioResult) -> str:
    if not one.metrics.trading.fills:
        return "It did not trade at all, so it neither made nor lost anything."
    what = "made money" if one.profit_usdc > 0.0 else "lost money" if one.profit_usdc < 0.0 else "made nothing"
    return f"It {what}: {money(one.profit_usdc)} USDC in {duration(one.lane.span_ns)}, after fees and funding."


def _pairs(scenarios: Sequence[ScenarioResult]) -> str:
    return listed([f"{scenario_words(one)[:-1]}, {money(one.profit_usdc)} USDC)" for one in scenarios])


def _all(scenarios: tuple[ScenarioResult, ...]) -> str:
    return f"{_NUMBERS[len(scenarios)]} fee scenarios" if len(scenarios) in _NUMBERS else "its fees"


def _names(scenarios: Sequence[ScenarioResult]) -> str:
    return listed([scenario_words(one) for one in scenarios])


def _figures(scenarios: Sequence[ScenarioResult]) -> str:
    return listed([f"{money(one.profit_usdc)} USDC with {scenario_words(one)}" for one in scenarios])


def _remarks(results: Results) -> list[str]:
    first = results.scenarios[0]
    remarks = list(results.missing)
    if results.interrupted:
        remarks.append(f"It was interrupted: these are the first {duration(results.span_ns)} only.")
    if results.without_trades:
        words = without_trades_words(results.without_trades)
        remarks.append(f"{words[0].upper()}{words[1:]}.")
    halted = [one for one in results.scenarios if one.is_halted]
    if halted:
        where = (
            f"under {_all(results.scenarios)}" if len(halted) == len(results.scenarios) else f"with {_names(halted)}"
        )
        remarks.append(f"It ended halted {where} ({halted[0].halt_words}).")
    if first.metrics.trading.fills:
        remarks += _cost_remarks(results)
        if results.past is not None and "mids_from" in results.past:
            remarks.append(f"What tells spread from inventory is {results.past['mids_from']}.")
    if not halted:
        remarks += _quoting_remarks(first)
    fills = first.metrics.trading.fills or max(one.metrics.trading.fills for one in results.scenarios)
    if fills and not all(
        one.metrics.sharpe is not None and one.metrics.sharpe.carries_a_claim for one in results.scenarios
    ):
        remarks.append(f"{duration(results.span_ns)} and {counted(fills, 'fill')} cannot tell skill from chance.")
    sorted_rows = results.counts.get("rows_out_of_order", 0)
    if sorted_rows:
        remarks.append(f"{count(sorted_rows)} rows of the recording stood out of order and were sorted.")
    if first.split.residual_largest:
        remarks.append(
            "The parts do not sum to the change in equity (largest gap "
            f"{first.split.usdc_text(first.split.residual_largest)} USDC): do not trust these figures."
        )
    return remarks


def _cost_remarks(results: Results) -> list[str]:
    """Which part cost most, and in which market most of that was lost, where there are several; nothing without any.

    Of an account's past, spread and inventory are one: its mids are too coarse to blame either.
    """
    first = results.scenarios[0]
    groups = {words: (name,) for name, words in PART_WORDS.items()}
    if results.past is not None:
        together = ("spread", "inventory")
        groups = {"trading": together, **{words: names for words, names in groups.items() if names[0] not in together}}
    costs = [(sum(first.part_usdc[name] for name in names), words) for words, names in groups.items()]
    worst, words = min(costs, key=lambda cost: cost[0])  # of equals the first
    if worst >= 0.0:
        return []
    who = "" if results.is_live else f" with {scenario_words(first)}"
    lost = [
        (first.split.usdc(sum(getattr(one.parts, name) for name in groups[words])), one.market)
        for one in first.split.markets
    ]
    least, market = min(lost, default=(0.0, ""))
    where = f" ({market} alone {money(least)})" if len(lost) > 1 and least <= worst / 2 else ""
    return [f"What cost most{who} was {words}, {money(worst)} USDC{where}."]


def _quoting_remarks(first: ScenarioResult) -> list[str]:
    address, uptime = first.metrics.address, first.metrics.quoting.uptime
    if address.refused:
        used = f"{count(address.used)} of {count(address.allowance)} used, the rest is kept for cancels"
        quoted = f"both sides were quoted {percent(uptime, 0)} of the time"
        return [f"The address ran out of actions for new orders ({used}): {quoted}."]
    if uptime is not None and uptime < UPTIME_LOW:
        return [f"Both sides were quoted only {percent(uptime, 0)} of the time."]
    return []
