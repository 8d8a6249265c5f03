"""The card says what is true: a gain only where the interval says so, and never of days that nobody saw."""

from __future__ import annotations

import pytest

from hlhft.alpha.policy_card import (
    Figures,
    Mean,
    PolicyCard,
    SeedResult,
    from_json,
    judged,
    to_json,
    to_page,
)

GAIN = Mean(0.05, 0.02, 0.08)
ONE = Mean(1.0, 0.5, 1.5)


def figures(tail: float) -> Figures:
    return Figures(utility=ONE, profit=ONE, drawdown=ONE, tail=tail, inventory=ONE)


def card(verdict: str = "No gain.", **changes: object) -> PolicyCard:
    fields: dict[str, object] = {
        "verdict": verdict, "weight": 0.0, "paths": "simulated", "simulated": True, "test_paths": 8, "test_days": 0.1,
        "policy": figures(-1.0), "closed_form": figures(-2.0), "gain": GAIN, "gain_over_seeds": Mean(0.1, None, None),
        "drawdown_ratio": 1.1,
        "seeds": (
            SeedResult(
                seed=1, steps=(0, 100), held_gain=(0.0, 0.1), chosen_steps=100, test_gain=GAIN, drawdown_ratio=1.1
            ),
            SeedResult(
                seed=2, steps=(0, 100), held_gain=(0.0, -0.1), chosen_steps=0, test_gain=Mean(0.0, 0.0, 0.0),
                drawdown_ratio=1.0,
            ),
        ),
        "tuned": {"gamma": 0.5}, "candidates": 3, "tuning_steps": 100, "training_steps": 100, "eta": 0.01,
        "settings": {"strategy": "glft"},
    }  # fmt: skip
    return PolicyCard(**{**fields, **changes})  # type: ignore[arg-type]


CASES = [
    (GAIN, 1.0, (-1.0, -1.0), 0.1, True, 1.0, "Gain in this simulated world, which says nothing about a market"),
    (GAIN, 1.0, (-1.0, -1.0), 25.0, False, 1.0, "Gain on paths of later days"),
    (GAIN, 1.0, (-1.0, -1.0), 3.0, False, 0.0, r"Cannot tell: 3\.00 days of test paths are too few"),
    (Mean(0.05, -0.01, 0.11), 1.0, (0.0, 0.0), 1.0, True, 0.0, "No gain: "),
    (Mean(0.05, None, None), 1.0, (0.0, 0.0), 1.0, True, 0.0, "No gain: "),
    (GAIN, 1.3, (0.0, 0.0), 1.0, True, 0.0, "No gain worth its risk"),
    (GAIN, 1.0, (-5.0, -1.0), 1.0, True, 0.0, "No gain worth its risk"),
]


@pytest.mark.parametrize(("gain", "ratio", "tails", "days", "is_simulated", "weight", "words"), CASES)
def test_a_verdict_and_its_weight(
    gain: Mean, ratio: float, tails: tuple[float, float], days: float, is_simulated: bool, weight: float, words: str
) -> None:
    import re

    text, found = judged(gain, ratio, tails, days=days, is_simulated=is_simulated)
    assert found == weight and re.match(words, text) and text.endswith(f"Its weight is {weight:.0f}.")


def test_a_card_comes_back_from_its_json() -> None:
    assert from_json(to_json(card())) == card()


def test_a_page_holds_the_verdict_and_loads_nothing() -> None:
    page = to_page(card("No <gain>."))
    assert "No &lt;gain&gt;." in page and "<script" not in page and "src=" not in page
    assert "closed form" in page and "+0.0500 (+0.0200 to +0.0800)" in page
