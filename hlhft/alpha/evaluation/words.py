"""An evaluation as people read it: tables of text, and sentences, for the terminal and a card's page to draw."""

from __future__ import annotations

from hlhft.alpha.evaluation.metrics import METRICS, Metric
from hlhft.alpha.evaluation.result import Evaluation, Horizon, Measured, Trials
from hlhft.report.numbers import DASH, count, counted, duration, percent, period, plain, signed

FIGURES = ("nll", "ece", "macro_f1_balanced", "mcc_balanced", "directional", "round_trip", "gain_bp")
GAINS = ("nll", "mcc_balanced", "gain_bp")
_BY_NAME = {metric.name: metric for metric in METRICS}

Table = tuple[list[str], list[list[str]]]


def value(found: Measured, metric: Metric) -> str:
    """A figure, with its interval in brackets where there is one."""
    if found.value is None:
        return DASH
    text = plain(found.value, metric.decimals)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({plain(found.low, metric.decimals)} to {plain(found.high, metric.decimals)})"


def difference(found: Measured, metric: Metric) -> str:
    """As `value`, with signs."""
    if found.value is None:
        return DASH
    text = signed(found.value, metric.decimals)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({signed(found.low, metric.decimals)} to {signed(found.high, metric.decimals)})"


def figures_table(horizon: Horizon, *, intervals: bool = False) -> Table:
    """Heads and rows: a model a row, the subject first; with `intervals` a figure's interval stands behind it."""
    metrics = [_BY_NAME[name] for name in FIGURES]

    def cell(found: Measured, metric: Metric) -> str:
        return value(found if intervals else Measured(value=found.value), metric)

    rows = [[one.title, *(cell(one.figures[metric.name], metric) for metric in metrics)] for one in horizon.models]
    return ["", *(metric.title for metric in metrics)], rows


def gains_table(horizon: Horizon) -> Table:
    """Heads and rows: the subject's advantage over each rival; above zero it is the better one."""
    metrics = [_BY_NAME[name] for name in GAINS]
    rows = []
    for one in horizon.comparisons:
        rival = horizon.model(one.rival)
        test = DASH if one.diebold_mariano is None else plain(one.diebold_mariano.p_value, 3)
        title = one.rival if rival is None else rival.title
        rows.append([title, *(difference(one.gains[metric.name], metric) for metric in metrics), test])
    return ["better than", *(metric.title for metric in metrics), "p of NLL"], rows


def horizon_title(horizon: Horizon) -> str:
    """What was asked, of how many rows, and what came."""
    down, flat, up = (percent(share, 0) for share in horizon.shares)
    blocks = f"{count(horizon.blocks)} blocks of time" if horizon.blocks else "too few blocks of time for intervals"
    return (
        f"{horizon.label}, {duration(horizon.horizon_ms * 1_000_000)}: {count(horizon.rows)} rows, "
        f"{down} down, {flat} flat, {up} up; {blocks}"
    )


def subject_title(evaluation: Evaluation) -> str:
    """What was evaluated, on what, from when to when."""
    return (
        f"{evaluation.title} on {evaluation.data}, {period(evaluation.first_ns, evaluation.last_ns)}, "
        f"{counted(evaluation.test_days, 'test day')}"
    )


def assumptions(evaluation: Evaluation) -> str:
    """What the figures stand on."""
    cost = plain(evaluation.horizons[0].cost_bp)
    return (
        f"Intervals hold {percent(evaluation.confidence, 0)} of {count(evaluation.resamples)} resamples of blocks of "
        f"time. A deal costs a fee of {cost} bp and the half spread; what leaving the position costs comes on top, and "
        "a taker pays more. Rivals were fitted on the train block alone."
    )


def trials_sentence(trials: Trials | None) -> str:
    """What the log of trials makes of it."""
    if trials is None:
        return "No log of trials was kept, so nothing can be said of luck."
    said = f"{counted(trials.logged, 'trial')} in the log, worth {counted(trials.effective, 'independent one')}"
    parts = [
        ("the true Sharpe ratio exceeds their luck with", trials.deflated, "probability"),
        ("the best of one half of the time is below the median in the other in", trials.overfitting, "of the halvings"),
    ]
    told = [
        f"{before} {percent(one.value)} {after}" if one.value is not None else f"nothing of luck: {one.why}"
        for before, one, after in parts
    ]
    return f"{said}; {'; '.join(told)}."


def absent_sentences(evaluation: Evaluation) -> list[str]:
    """Which rivals are missing, and why."""
    return [f"No {name}: {why}." for name, why in evaluation.absent.items()]
