"""An evaluation as people read it: tables of text, and sentences, for the terminal and a card's page to draw."""

from __future__ import annotations

from hlhft.alpha.evaluation.metrics import METRICS, Metric
from hlhft.alpha.evaluation.result import Evaluation, Horizon, Measured, Trials
from hlhft.report.numbers import DASH, count, counted, duration, moment, percent, period, plain, signed

FIGURES = ("nll", "ece", "macro_f1_balanced", "mcc_balanced", "directional", "round_trip", "gain_bp")
BESIDE = ("majority", "imbalance", "lightgbm")  # rivals in the table of days
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


def days_table(horizon: Horizon) -> Table:
    """Heads and rows: a UTC day a row, what the subject came to and by how much its NLL is lower than some rivals'."""
    subject = horizon.models[0].name
    rivals = [one for one in horizon.models[1:] if one.name in BESIDE]
    metrics = _BY_NAME["nll"], _BY_NAME["gain_bp"]
    rows = []
    for day in horizon.by_day:
        nll = day.nll[subject]
        gains = [signed(day.nll[one.name] - nll, metrics[0].decimals) for one in rivals]
        figures = [plain(nll, metrics[0].decimals), *gains, plain(day.gain_bp[subject], metrics[1].decimals)]
        rows.append([moment(day.begin_ns)[:10], count(day.rows), *figures])
    return ["day", "rows", metrics[0].title, *(f"against {one.title}" for one in rivals), metrics[1].title], rows


def walk_sentence(evaluation: Evaluation) -> str:
    """What figures of several models are of; empty for those of one."""
    if evaluation.folds == 1:
        return ""
    return (
        f"Walked forward over {count(evaluation.folds)} days: each was forecast by a model, and by rivals, that had "
        "learned from what lay before it alone. The figures are of all these days together, and so of how models are "
        "made here; the model that is kept is the newest of them."
    )


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
