"""The truth test in full: five seeds with intervals, the null test, and what each improvement of LiT is worth here.

Markets are simulated (tests/alpha/truth), so that the best that anybody could do is known. A share is a model's
Matthews correlation over that of the Bayes rule on the same rows. With `short` one seed, and no ablations.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.alpha.evaluation.result import Horizon
from tests.alpha.truth.cases import case_of, world_of
from tests.alpha.truth.generator import Plant
from tests.alpha.truth.intervals import interval
from tests.alpha.truth.null import at_random, found, in_blocks, unrelated
from tests.alpha.truth.oracle import assert_possible, bayes_rate
from tests.alpha.truth.pipeline import OPTIONS, config_of, figure, judged, share, trained, untrained
from tests.bench.figures import Figure

SEEDS = range(1, 6)
ROWS: Mapping[Plant, int] = {Plant.LINEAR: 32_000, Plant.CROSSED: 64_000, Plant.NONE: 40_000}
PAIRS, PAIRS_SHORT = 20, 6
# Half of a path teaches; a shift of regime comes where the other half begins, so that no block but train knows the old.
ABLATION_SEEDS = range(1, 4)
ABLATION_SHARES = (0.5, 0.03, 0.07, 0.4)
# With many rows every variant reaches the Bayes rule; with so few they differ.
FEW_ROWS, SHIFT_ROWS = 10_000, 24_000
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "as published": {},
    "with bilinear normalisation": {"bilinear_normalisation": True},
    "with flow tokens": {"flow_tokens": True},
    "with the imbalance rule to start from": {"imbalance_residual": True},
    "with all three": {"bilinear_normalisation": True, "flow_tokens": True, "imbalance_residual": True},
}
SMALLER: Mapping[str, Mapping[str, Any]] = {
    "one attention layer": {"layers": 1},
    "no attention layer, the LSTM alone": {"layers": 0},
}
TRUTH, NULL, ABLATIONS = "truth test on simulated markets", "null test", "ablations on simulated markets"


def truth(recordings: Path | None, *, short: bool) -> list[Figure]:
    """All figures; no recording is needed."""
    seeds = SEEDS[:1] if short else SEEDS
    figures = [*linear(seeds), *crossed(seeds), *nothing(seeds), *null(PAIRS_SHORT if short else PAIRS)]
    return figures if short else [*figures, *smaller(), *ablations()]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="hlhft-truth-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def over_seeds(
    section: str,
    name: str,
    samples: Sequence[float],
    unit: str,
    *,
    least: float | None = None,
    most: float | None = None,
) -> list[Figure]:
    """The mean with what it has to reach, and the ends of its interval where there are several seeds."""
    whole = interval(samples)
    figures = [Figure(section, name, whole.mean, unit, minimum=least, maximum=most)]
    if len(samples) > 1:
        figures.append(Figure(section, f"{name}: lower end of 95 % over {len(samples)} seeds", whole.low, unit))
        figures.append(Figure(section, f"{name}: upper end", whole.high, unit))
    return figures


def linear(seeds: Sequence[int]) -> list[Figure]:
    """The linear plant."""
    rule = []
    for seed in seeds:
        with folder() as at:
            case = case_of(world_of(Plant.LINEAR), ROWS[Plant.LINEAR], seed, at)
            rule.append(share(judged(case, untrained(case, config_of(case)), rivals=("logistic",)), "logistic"))
    rate = bayes_rate(world_of(Plant.LINEAR))
    return [
        Figure(TRUTH, "linear plant, Bayes rule", rate.mcc, "MCC"),
        *over_seeds(TRUTH, "linear plant, logistic regression", rule, "of the Bayes MCC", least=0.95),
    ]


def crossed(seeds: Sequence[int]) -> list[Figure]:
    """The crossed plant: all rivals learn from the rows that LiT learns from."""
    judgements: list[Horizon] = []
    residual = []
    for seed in seeds:
        with folder() as at:
            case = case_of(world_of(Plant.CROSSED), ROWS[Plant.CROSSED], seed, at)
            model = trained(case, at / "model", config_of(case))
            judgements.append(judged(case, model, rivals=("imbalance", "logistic", "lightgbm")))
            residual.append(
                abs(share(judged(case, untrained(case, config_of(case, imbalance_residual=True))), "model"))
            )
    rate = bayes_rate(world_of(Plant.CROSSED))
    unit = "of the Bayes MCC"

    def shares(model: str) -> list[float]:
        return [share(horizon, model) for horizon in judgements]

    return [
        Figure(TRUTH, "crossed plant, Bayes rule", rate.mcc, "MCC"),
        *over_seeds(TRUTH, "crossed plant, logistic regression", shares("logistic"), unit, most=0.4),
        *over_seeds(TRUTH, "crossed plant, LightGBM on the last row", shares("lightgbm"), unit, most=0.8),
        *over_seeds(TRUTH, "crossed plant, residual without a network", residual, unit, most=0.4),
        *over_seeds(TRUTH, "crossed plant, LiT", shares("model"), unit, least=0.95),
        *over_seeds(
            TRUTH, "crossed plant, LiT, calibration error",
            [figure(horizon, "model", "ece") for horizon in judgements], "", most=0.02,
        ),
        *over_seeds(
            TRUTH, "crossed plant, LiT, loss above the Bayes rule's",
            [figure(horizon, "model", "nll") - figure(horizon, "oracle", "nll") for horizon in judgements], "nats",
        ),
    ]  # fmt: skip


def nothing(seeds: Sequence[int]) -> list[Figure]:
    """No plant."""
    correlations, errors = [], []
    for seed in seeds:
        with folder() as at:
            case = case_of(world_of(Plant.NONE), ROWS[Plant.NONE], seed, at)
            model = trained(case, at / "model", config_of(case))
            rows = case.split.test.rows
            assert_possible(case.classes(rows), model.predict(case.dataset, rows)[0][:, 0], case.bayes(rows))
            horizon = judged(case, model)
            correlations.append(figure(horizon, "model", "mcc"))
            errors.append(figure(horizon, "model", "ece"))
    largest = float(np.abs(correlations).max())
    return [
        *over_seeds(TRUTH, "no plant, LiT", correlations, "MCC"),
        Figure(TRUTH, "no plant, LiT, largest of any seed either way", largest, "MCC", maximum=0.02),
        *over_seeds(TRUTH, "no plant, LiT, calibration error", errors, "", most=0.02),
    ]


def null(pairs: int) -> list[Figure]:
    """Labels of another path."""
    with folder() as at:
        datasets = unrelated(at, pairs)
        dealt, ours = interval(found(datasets, at_random)), interval(found(datasets, in_blocks))
    wrong, right = "rows dealt out at random, LightGBM", "our blocks with purge and embargo, LightGBM"
    return [
        Figure(NULL, f"{wrong}, spurious skill over {pairs} pairs of paths", dealt.mean, "MCC", minimum=0.05),
        Figure(NULL, f"{wrong}, lower end of 95 %", dealt.low, "MCC", minimum=0.0),
        Figure(NULL, f"{right}, over {pairs} pairs of paths", ours.mean, "MCC"),
        Figure(NULL, f"{right}, lower end of 95 %", ours.low, "MCC", maximum=0.0),
        Figure(NULL, f"{right}, upper end of 95 %", ours.high, "MCC", minimum=0.0),
    ]


def smaller() -> list[Figure]:
    """What less of a network finds of the crossed plant, one seed each.

    One layer is enough, and so is the LSTM alone: either multiplies. What cannot is a linear layer, the residual
    without a network, and a window that does not reach back to the row that matters.
    """
    figures = []
    with folder() as at:
        world = world_of(Plant.CROSSED)
        case = case_of(world, ROWS[Plant.CROSSED], 1, at / "whole")
        for name, changes in SMALLER.items():
            reached = share(judged(case, trained(case, at / "model", config_of(case, **changes))), "model")
            figures.append(Figure(ABLATIONS, f"crossed plant, {name}", reached, "of the Bayes MCC"))
        case = case_of(world, ROWS[Plant.CROSSED], 1, at / "short", length=world.lag)
        reached = share(judged(case, trained(case, at / "model", config_of(case))), "model")
        figures.append(Figure(ABLATIONS, "crossed plant, a window too short by a row", reached, "of the Bayes MCC"))
    return figures


def ablations() -> list[Figure]:
    """Each improvement on the crossed plant with few rows, and where the regime shifts after the train block."""
    figures = []
    options = msgspec.structs.replace(OPTIONS, epochs=6, patience=6)
    few, other = world_of(Plant.CROSSED), world_of(Plant.CROSSED, shift_row=SHIFT_ROWS // 2)
    for title, world, rows in (("few rows", few, FEW_ROWS), ("another regime after train", other, SHIFT_ROWS)):
        reached: dict[str, list[float]] = {name: [] for name in VARIANTS}
        errors: dict[str, list[float]] = {name: [] for name in VARIANTS}
        for seed in ABLATION_SEEDS:
            with folder() as at:
                case = case_of(world, rows, seed, at, shares=ABLATION_SHARES)
                for name, changes in VARIANTS.items():
                    horizon = judged(case, trained(case, at / "model", config_of(case, **changes), options))
                    reached[name].append(share(horizon, "model"))
                    errors[name].append(figure(horizon, "model", "ece"))
        for name in VARIANTS:
            figures += over_seeds(ABLATIONS, f"{title}, LiT {name}", reached[name], "of the Bayes MCC")
            figures.append(
                Figure(ABLATIONS, f"{title}, LiT {name}, calibration error", float(np.mean(errors[name])), "")
            )
    return figures
