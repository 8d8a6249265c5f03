"""A policy's card: the verdict first, then what it came to against the closed form. As JSON and as one page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hlhft.report.markup import asset, terms, text_of
from hlhft.report.numbers import count, counted, plain, signed

VERSION = 1
TEST_DAYS_MIN = 20  # of fewer, recorded data say nothing about other days
DRAWDOWN_RATIO_MAX = 1.25
DAY_S = 86_400.0


class Mean(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mean and where it lies with 95 %; bounds that are not known are None."""

    mean: float
    low: float | None
    high: float | None


class SeedResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One seed: utility on held-out paths by checkpoint, less the closed form's, and what the best came to."""

    seed: int
    steps: tuple[int, ...]
    held_gain: tuple[float, ...]
    chosen_steps: int  # 0: nothing was better than the closed form
    test_gain: Mean
    drawdown_ratio: float


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one policy came to on the test paths, in basis points of an order."""

    utility: Mean  # a second
    profit: Mean  # a path
    drawdown: Mean  # a path
    tail: float  # mean profit of the worst 5 % of the paths (CVaR)
    inventory: Mean  # in orders


class PolicyCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`card.json`."""

    version: int = VERSION
    verdict: str
    weight: float
    paths: str
    simulated: bool
    test_paths: int
    test_days: float
    policy: Figures
    closed_form: Figures
    gain: Mean  # of the chosen seed, path by path
    gain_over_seeds: Mean  # mean over the seeds' mean gains
    drawdown_ratio: float
    seeds: tuple[SeedResult, ...]
    tuned: dict[str, float]
    candidates: int
    tuning_steps: int
    training_steps: int  # a seed
    eta: float
    settings: dict[str, str | float]


def judged(
    gain: Mean, drawdown_ratio: float, tails: tuple[float, float], *, days: float, is_simulated: bool
) -> tuple[str, float]:
    """The verdict in words and the weight that the policy gets, 0 or 1; `tails` are the policy's and the closed
    form's."""
    found = f"{signed(gain.mean, 4)} bp of an order a second against the closed form"
    if gain.low is not None and gain.high is not None:
        found += f" (95 %: {signed(gain.low, 4)} to {signed(gain.high, 4)})"
    if not is_simulated and days < TEST_DAYS_MIN:
        few = f"{plain(days, 2)} days of test paths are too few to judge by, {TEST_DAYS_MIN} are needed"
        return f"Cannot tell: {few}. What was seen: {found}. Its weight is 0.", 0.0
    if gain.low is None or gain.low <= 0.0:
        return f"No gain: {found}. Its weight is 0.", 0.0
    if drawdown_ratio > DRAWDOWN_RATIO_MAX or tails[0] < min(tails[1], 0.0) * DRAWDOWN_RATIO_MAX:
        worst = f"{signed(tails[0])} against {signed(tails[1])} bp on the worst paths"
        risk = f"drawdowns {plain(drawdown_ratio)} times as deep and {worst}"
        return f"No gain worth its risk: {found}, with {risk}. Its weight is 0.", 0.0
    where = "in this simulated world, which says nothing about a market" if is_simulated else "on paths of later days"
    return f"Gain {where}: {found}, drawdowns {plain(drawdown_ratio)} times as deep. Its weight is 1.", 1.0


def to_json(card: PolicyCard) -> bytes:
    """The card as `card.json` has it."""
    return msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n"


def from_json(content: bytes) -> PolicyCard:
    """The card of `to_json`. Raises msgspec.DecodeError when it is none."""
    return msgspec.json.decode(content, type=PolicyCard)


def _interval(value: Mean, decimals: int) -> str:
    if value.low is None or value.high is None:
        return signed(value.mean, decimals)
    return f"{signed(value.mean, decimals)} ({signed(value.low, decimals)} to {signed(value.high, decimals)})"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{text_of(name)}</th>' for name in heading)
    body = "".join("<tr>" + "".join(f"<td>{text_of(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure_rows(card: PolicyCard) -> list[tuple[str, str, str]]:
    one, base = card.policy, card.closed_form
    return [
        ("Utility, bp of an order a second", _interval(one.utility, 4), _interval(base.utility, 4)),
        ("Profit of a path, bp of an order", _interval(one.profit, 1), _interval(base.profit, 1)),
        ("Deepest drawdown of a path, bp", _interval(one.drawdown, 1), _interval(base.drawdown, 1)),
        ("Profit of the worst 5 % of the paths, bp", signed(one.tail, 1), signed(base.tail, 1)),
        ("Mean inventory, orders", _interval(one.inventory, 2), _interval(base.inventory, 2)),
    ]


def _curves(card: PolicyCard) -> str:
    """Utility on held-out paths while it learned, one line a seed, as a drawing that needs no script."""
    width, height, edge = 640.0, 220.0, 30.0
    steps = max((max(one.steps) for one in card.seeds), default=1) or 1
    values = [value for one in card.seeds for value in one.held_gain]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    span = high - low or 1.0

    def at(step: int, value: float) -> str:
        x = edge + (width - 2 * edge) * step / steps
        return f"{x:.1f},{height - edge - (height - 2 * edge) * (value - low) / span:.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="#6a6fc1" points="'
        f'{" ".join(at(step, value) for step, value in zip(one.steps, one.held_gain, strict=True))}">'
        f"<title>seed {one.seed}</title></polyline>"
        for one in card.seeds
    )
    zero = f'<polyline fill="none" stroke="#7d8597" stroke-dasharray="4" points="{at(0, 0.0)} {at(steps, 0.0)}"/>'
    words = (
        f"Gain on held-out paths by environment steps, to {count(steps)}; {signed(low, 4)} to {signed(high, 4)} bp/s"
    )
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{text_of(words)}">{zero}{lines}</svg>'
        f"<p>{text_of(words)}; the dashed line is the closed form.</p>"
    )


def to_page(card: PolicyCard) -> str:
    """The card as one HTML page that loads nothing."""
    seeds = [
        (
            str(one.seed),
            count(one.chosen_steps) if one.chosen_steps else "closed form",
            _interval(one.test_gain, 4),
            plain(one.drawdown_ratio),
        )
        for one in card.seeds
    ]
    made = {
        "paths": card.paths,
        "test": f"{counted(card.test_paths, 'path')}, {plain(card.test_days, 3)} days",
        "price of risk (eta, per bp)": card.eta,
        "closed form, as tuned": card.tuned,
        "candidates of the closed form": card.candidates,
        "environment steps of its tuning": card.tuning_steps,
        "environment steps of each seed": card.training_steps,
        **card.settings,
    }
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hlhft">
<link rel="icon" href="data:,">
<title>Policy card</title>
<style>
{asset("page.css")}</style>
</head>
<body>
<main>
<h1>Policy card</h1>
<p><strong>{text_of(card.verdict)}</strong></p>
<h2>Against the closed form, on paths that nothing was chosen on</h2>
{_table(("", "Policy", "Closed form"), _figure_rows(card))}
<p>Gain in utility, path by path: {text_of(_interval(card.gain, 4))}; mean over seeds:
{text_of(_interval(card.gain_over_seeds, 4))} bp of an order a second. In brackets: 95 %.</p>
<h2>Seeds</h2>
{_table(("Seed", "Chosen after steps", "Gain on test paths", "Drawdown, times"), seeds)}
{_curves(card)}
<h2>What it was made of</h2>
{terms(made)}
</main>
</body>
</html>
"""
