"""From a case to forecasts on its test block: training, calibration, export, loading, and judgement beside others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np
import torch

from hlhft.alpha.bundle import load_bundle, predictor
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation.evaluating import Options, Subject, evaluate
from hlhft.alpha.evaluation.result import Horizon
from hlhft.alpha.evaluation.subjects import BundleSubject
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.calibrated import Calibrated
from hlhft.alpha.models.config import LitConfig
from hlhft.alpha.training import make_task, prepared
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_run import export, train
from tests.alpha.truth.cases import SCHEMA, Case

# Small and fast: the plants are simple, and what is asked is whether everything together finds them.
OPTIONS = TrainingOptions(epochs=4, patience=4, batch=128, learning_rate=4e-3, averaging=0.99, device="cpu", threads=1)
BATCH = 4_096


class Oracle(NamedTuple):
    """The Bayes rule as a subject of evaluation."""

    case: Case
    name: str = "oracle"
    title: str = "Bayes rule"

    @property
    def labels(self) -> tuple[LabelSpec, ...]:
        return self.case.dataset.labels

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities that the classes were drawn with; nobody asks for its moves."""
        return self.case.bayes(ends)[:, None], np.zeros((len(ends), 1))


class Untrained(NamedTuple):
    """A network as it is before the first step, its rule fitted: the residual without what it is added to."""

    network: Calibrated
    label: LabelSpec
    name: str = "model"
    title: str = "untrained LiT"

    @property
    def labels(self) -> tuple[LabelSpec, ...]:
        return (self.label,)

    @torch.inference_mode()
    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        length, parts = self.network.network.config.length, []
        for first in range(0, len(ends), BATCH):
            parts.append(self.network(torch.from_numpy(dataset.windows(ends[first : first + BATCH], length))))
        return torch.cat([part[0] for part in parts]).numpy(), torch.cat([part[1] for part in parts]).numpy()


def config_of(case: Case, **changes: Any) -> LitConfig:
    """A LiT of these settings: small, but with every part of the large one."""
    settings: dict[str, Any] = {
        "features": case.dataset.schema.columns, "levels": SCHEMA.levels, "length": case.split.length,
        "imbalance_column": SCHEMA.imbalance_column, "patch_rows": 1, "width": 16, "heads": 4, "layers": 2,
        "feed_forward": 32, "lstm_width": 16,
    }  # fmt: skip
    return LitConfig(**settings | changes)


def trained(
    case: Case, folder: File, config: LitConfig, options: TrainingOptions = OPTIONS, *, seeds: int = 1
) -> BundleSubject:
    """Trains, calibrates and exports to `folder`; forecasts by ONNX Runtime from what lies there, as it is served."""
    task = make_task(case.dataset, case.split, config)
    export(task, train(task, options, seeds=seeds), folder)
    bundle = load_bundle(folder)
    return BundleSubject(bundle, predictor(bundle, folder))


def untrained(case: Case, config: LitConfig) -> Untrained:
    """What `config` forecasts without a step of training."""
    task = make_task(case.dataset, case.split, config)
    return Untrained(Calibrated(prepared(task, 0)).eval(), case.dataset.labels[0])


def judged(case: Case, subject: Subject, *, rivals: Sequence[str] = ()) -> Horizon:
    """The subject on the test block, beside the oracle and these rivals."""
    options = Options(rivals=tuple(rivals))
    rows = case.split.test.rows
    outcome = evaluate(case.dataset, case.split, rows, subject, others=[Oracle(case)], options=options)
    assert not outcome.evaluation.absent
    return outcome.evaluation.horizons[0]


def figure(horizon: Horizon, model: str, metric: str) -> float:
    """A figure of a model that was judged. Raises AssertionError where it has none."""
    found = horizon.model(model)
    assert found is not None, f"{model} was not judged"
    value = found.figures[metric].value
    assert value is not None, found.figures[metric].why
    return value


def share(horizon: Horizon, model: str) -> float:
    """The model's Matthews correlation in units of the Bayes rule's on the same rows."""
    return figure(horizon, model, "mcc") / figure(horizon, "oracle", "mcc")
