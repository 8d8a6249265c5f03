"""The verdict: a table of rules, asked in their order; the first that applies speaks.

The strict ones come first. A gain has to survive its costs, and the interval of every difference that counts has to lie
above zero: what merely looks better on one test block does not count as better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hlhft.alpha.evaluation.result import Code, Comparison, Measured, ModelFigures, Trials, Verdict
from hlhft.alpha.evaluation.rows import DAYS_MIN
from hlhft.report.numbers import counted, percent, plain, signed

P_VALUE_MAX = 0.05
DEFLATED_MIN = 0.95
OVERFITTING_MAX = 0.5
PRIOR, RULE, BOOSTED = "majority", "imbalance", "lightgbm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a verdict is made of."""

    rows: int
    days: int
    classes: int  # that occur among the test rows
    in_sample: bool
    subject: ModelFigures
    comparisons: Mapping[str, Comparison]  # by rival
    trials: Trials | None
    cost_bp: float

    def gain(self, rival: str, metric: str) -> Measured:
        """How much better than the rival; without a value when the rival was not fitted."""
        found = self.comparisons.get(rival)
        return Measured(value=None, why="absent") if found is None else found.gains[metric]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when it applies, it gives this code and these words."""

    code: Code
    applies: Callable[[Findings], bool]
    words: Callable[[Findings], str]


def is_above_zero(found: Measured) -> bool:
    """Whether all of the interval is; without one it is not."""
    return found.low is not None and found.low > 0.0


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _words_of_luck(found: Findings) -> str:
    assert found.trials is not None
    if not _is_deflated(found):
        share = percent(found.trials.deflated.value)
        return f"its Sharpe ratio exceeds the luck of {counted(found.trials.logged, 'trial')} with {share} probability"
    share = percent(found.trials.overfitting.value, 0)
    return f"in {share} of the ways to halve the time, what was best in one half was below the median in the other"


def _is_deflated(found: Findings) -> bool:
    assert found.trials is not None
    return found.trials.deflated.value is not None and found.trials.deflated.value >= DEFLATED_MIN


def _is_overfit(found: Findings) -> bool:
    assert found.trials is not None
    return found.trials.overfitting.value is not None and found.trials.overfitting.value > OVERFITTING_MAX


def _beats_boosted(found: Findings) -> bool:
    comparison = found.comparisons.get(BOOSTED)
    if comparison is None:
        return True
    test = comparison.diebold_mariano
    return test is not None and test.statistic < 0.0 and test.p_value <= P_VALUE_MAX


RULES: tuple[Rule, ...] = (
    Rule(
        Code.CANNOT_TELL,
        lambda found: found.in_sample,
        lambda found: "these rows meet those that it was fitted on, so they are no evidence",
    ),
    Rule(Code.CANNOT_TELL, lambda found: found.rows == 0, lambda found: "there is no row to test it on"),
    Rule(
        Code.CANNOT_TELL,
        lambda found: found.classes < 2,
        lambda found: "all test rows are of one class, so nothing can be told apart",
    ),
    Rule(
        Code.CANNOT_TELL,
        lambda found: found.days < DAYS_MIN,
        lambda found: (
            f"a claim takes {DAYS_MIN} test days at least, and here {_is(found.days)} {counted(found.days, 'test day')}"
        ),
    ),
    Rule(
        Code.NO_GAIN,
        lambda found: not is_above_zero(found.gain(PRIOR, "nll")),
        lambda found: "its probabilities are no better than the mere shares of the classes",
    ),
    Rule(
        Code.NO_GAIN,
        lambda found: not is_above_zero(found.subject.figures["gain_bp"]),
        lambda found: (
            f"what it forecasts does not pay for a deal that costs {plain(found.cost_bp)} bp and the half spread"
        ),
    ),
    Rule(
        Code.NO_GAIN,
        lambda found: RULE in found.comparisons and not is_above_zero(found.gain(RULE, "gain_bp")),
        lambda found: "after costs it makes no more than the imbalance rule, which has nothing to learn",
    ),
    Rule(
        Code.SIMPLER,
        lambda found: not _beats_boosted(found),
        lambda found: "LightGBM's probabilities are as good, so take that, or neither",
    ),
    Rule(
        Code.LUCK,
        lambda found: found.trials is None,
        lambda found: "no log of trials says how many were tried before this one",
    ),
    Rule(Code.LUCK, lambda found: not _is_deflated(found) or _is_overfit(found), _words_of_luck),
    Rule(
        Code.HOLDS,
        lambda found: True,
        lambda found: "after costs it beats the imbalance rule and LightGBM, and luck hardly explains it",
    ),
)
_HEADS = {
    Code.CANNOT_TELL: "Cannot tell",
    Code.NO_GAIN: "No gain, weight 0",
    Code.SIMPLER: "A simpler model does as well, weight 0",
    Code.LUCK: "Luck explains it, weight 0",
    Code.HOLDS: "It holds so far",
}


def verdict(found: Findings) -> Verdict:
    """What the findings come to, with remarks that say what was seen all the same."""
    rule = next(rule for rule in RULES if rule.applies(found))
    return Verdict(
        code=rule.code,
        sentence=f"{_HEADS[rule.code]}: {rule.words(found)}.",
        remarks=tuple(_remarks(found)) if found.rows else (),
        weight=1 if rule.code is Code.HOLDS else 0,
    )


_SEEN = (
    (PRIOR, "nll", "nats of NLL against the shares of the classes", 4),
    (RULE, "mcc_balanced", "of MCC against the imbalance rule", 3),
    (RULE, "gain_bp", "bp a row after costs against the imbalance rule", 4),
    (BOOSTED, "nll", "nats of NLL against LightGBM", 4),
)


def _remarks(found: Findings) -> list[str]:
    """What was seen, in one sentence: differences above zero are the subject's advantage."""
    said = []
    for rival, metric, what, decimals in _SEEN:
        gain = found.gain(rival, metric)
        if gain.value is not None:
            said.append(f"{signed(gain.value, decimals)}{_interval(gain, decimals)} {what}")
    remarks = [f"Seen here: {'; '.join(said)}."] if said else []
    ece = found.subject.figures["ece"].value
    if ece is not None:
        remarks.append(f"Its surest class came {percent(ece)} more or less often than it said, in the mean.")
    return remarks


def _interval(gain: Measured, decimals: int) -> str:
    if gain.low is None or gain.high is None:
        return ""
    return f" ({signed(gain.low, decimals)} to {signed(gain.high, decimals)})"
