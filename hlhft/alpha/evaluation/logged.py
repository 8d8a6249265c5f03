"""An evaluation that the log of trials knows of: the test block is opened once for it, and what it came to is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation.evaluating import SHARPE, AskRivals, Fold, Options, Outcome, Subject, evaluate, is_in_sample
from hlhft.alpha.splits import Range, Split
from hlhft.alpha.trials import Fact, TrialLog


def evaluate_trial(
    dataset: Dataset,
    split: Split,
    subject: Subject,
    log: TrialLog,
    *,
    trial: int,
    fitted_on: Mapping[str, Sequence[Range]] | None = None,
    earlier: Sequence[Split] = (),
    others: Sequence[Subject] = (),
    options: Options | None = None,
    ask_rivals: AskRivals | None = None,
    asked: Callable[[Subject, Dataset, np.ndarray], Subject] | None = None,
) -> Outcome:
    """Opens the split's test block for the trial, evaluates the subject on it, and scores the trial.

    `fitted_on` are the subject's ranges by block, None those of the split. With the `earlier` splits of a walk, whose
    test blocks are others, each is opened once and all are judged as one; of these, each was fitted on its own ranges.
    `ask_rivals` and `asked`, which is given the subject and all rows and gives a subject of the same answers, do their
    work elsewhere. Raises OpenedTwice when the trial has seen a block, and as `evaluate`.
    """
    folds = [Fold(one, log.open_test(one, trial)) for one in (*earlier, split)]
    *walked, (_, rows) = folds
    meets = [
        is_in_sample(
            dataset,
            fold.rows,
            fold.split.length,
            fold.split.ranges if fitted_on is None or fold.split is not split else fitted_on,
            horizon=fold.split.horizon,
        )
        for fold in folds
    ]
    others_sharpes = [log.scores(number).get(SHARPE, math.nan) for number in log.trials if number != trial]
    if asked is not None:
        subject = asked(subject, dataset, np.sort(np.concatenate([fold.rows for fold in folds])))
    outcome = evaluate(
        dataset,
        split,
        rows,
        subject,
        earlier=walked,
        others=others,
        options=options,
        in_sample=any(meets),
        trial_sharpes=others_sharpes,
        ask_rivals=ask_rivals,
    )
    log.score(trial, SHARPE, outcome.sharpe)
    for horizon in outcome.evaluation.horizons:
        nll = horizon.models[0].figures["nll"].value
        if nll is not None:
            log.score(trial, f"nll {horizon.label}", nll)
    return outcome


def facts_of(subject: Subject, dataset: Dataset, split: Split, **more: Fact) -> dict[str, Fact]:
    """What the log says of a trial before it begins."""
    labels = ", ".join(spec.name for spec in subject.labels)
    return {"subject": subject.title, "data": dataset.name, "test": split.key, "labels": labels, **more}
