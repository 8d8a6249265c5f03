"""The table of rules, each by findings that just make it speak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hlhft.alpha.evaluation.result import Code, Comparison, DieboldMariano, Measured, ModelFigures, Trials
from hlhft.alpha.evaluation.verdict import RULES, Findings, verdict

GOOD = Measured(value=0.2, low=0.1, high=0.3)
UNSURE = Measured(value=0.2, low=-0.1, high=0.3)
SHORT = Measured(value=0.2, why="too few blocks")


def comparison(rival: str, *, statistic: float = -3.0, **gains: Measured) -> Comparison:
    test = DieboldMariano(statistic=statistic, p_value=0.01, cells=100, lags=8)
    return Comparison(
        rival=rival, gains={"nll": GOOD, "gain_bp": GOOD, "mcc_balanced": GOOD, **gains}, diebold_mariano=test
    )


def trials(deflated: float | None = 0.99, overfit: float | None = 0.1) -> Trials:
    return Trials(
        logged=7,
        effective=5,
        deflated=Measured(value=deflated),
        overfitting=Measured(value=overfit),
        samples_needed=Measured(value=100.0),
    )


HOLDING = Findings(
    rows=1000,
    days=25,
    classes=3,
    in_sample=False,
    subject=ModelFigures(name="lit", title="LiT", figures={"gain_bp": GOOD, "ece": Measured(value=0.01)}),
    comparisons={name: comparison(name) for name in ("majority", "imbalance", "lightgbm")},
    trials=trials(),
    cost_bp=1.5,
)


def changed(**rivals: Comparison) -> dict[str, Any]:
    return {"comparisons": {**HOLDING.comparisons, **rivals}}


def subject(gain: Measured) -> dict[str, Any]:
    return {"subject": ModelFigures(name="lit", title="LiT", figures={"gain_bp": gain, "ece": Measured(value=0.01)})}


CASES: list[tuple[dict[str, Any], Code, str]] = [
    ({"in_sample": True}, Code.CANNOT_TELL, "fitted on"),
    ({"rows": 0}, Code.CANNOT_TELL, "no row"),
    ({"classes": 1}, Code.CANNOT_TELL, "one class"),
    ({"days": 19}, Code.CANNOT_TELL, "20 test days at least, and here are 19 test days"),
    (changed(majority=comparison("majority", nll=UNSURE)), Code.NO_GAIN, "shares of the classes"),
    (changed(majority=comparison("majority", nll=SHORT)), Code.NO_GAIN, "shares of the classes"),
    (subject(UNSURE), Code.NO_GAIN, "does not pay for a deal that costs 1.50 bp"),
    (changed(imbalance=comparison("imbalance", gain_bp=UNSURE)), Code.NO_GAIN, "imbalance rule"),
    (changed(lightgbm=comparison("lightgbm", statistic=3.0)), Code.SIMPLER, "LightGBM"),
    ({"trials": None}, Code.LUCK, "no log of trials"),
    ({"trials": trials(deflated=0.9)}, Code.LUCK, "7 trials with 90.0 %"),
    ({"trials": trials(deflated=None)}, Code.LUCK, "7 trials"),
    ({"trials": trials(overfit=0.6)}, Code.LUCK, "60 % of the ways"),
    ({}, Code.HOLDS, "beats"),
]


@pytest.mark.parametrize(("change", "code", "words"), CASES)
def test_each_rule(change: dict[str, Any], code: Code, words: str) -> None:
    found = verdict(replace(HOLDING, **change))
    assert found.code is code and words in found.sentence
    assert found.weight == (1 if code is Code.HOLDS else 0)
    assert found.sentence.endswith(".") and "nan" not in found.text.lower()


def test_every_rule_is_reached() -> None:
    reached = {next(i for i, rule in enumerate(RULES) if rule.applies(replace(HOLDING, **case[0]))) for case in CASES}
    assert reached == set(range(len(RULES)))


def test_days_come_before_gain_and_loss() -> None:
    found = verdict(replace(HOLDING, days=3, **subject(UNSURE)))
    assert found.code is Code.CANNOT_TELL


def test_remarks_say_what_was_seen_with_its_interval() -> None:
    found = verdict(replace(HOLDING, days=1))
    assert "+0.2000 (+0.1000 to +0.3000) nats of NLL against the shares of the classes" in found.text
    without = verdict(replace(HOLDING, days=1, comparisons={}))
    assert "against" not in without.text


def test_a_rival_that_could_not_be_fitted_is_not_beaten_but_left_out() -> None:
    rest = {name: one for name, one in HOLDING.comparisons.items() if name == "majority"}
    assert verdict(replace(HOLDING, comparisons=rest)).code is Code.HOLDS


def test_without_a_calibration_error_nothing_is_said_of_it() -> None:
    known = ModelFigures(
        name="lit", title="LiT", figures={"gain_bp": GOOD, "ece": Measured(value=None, why="one class")}
    )
    found = verdict(replace(HOLDING, subject=known))
    assert "surest class" not in found.text and "surest class" in verdict(HOLDING).text
