"""A model folder as something to evaluate: windows in, calibrated probabilities out, in bounded batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation.evaluating import Subject
from hlhft.alpha.labels import LabelSpec

if TYPE_CHECKING:
    from hlhft.alpha.bundle import Bundle
    from hlhft.alpha.predicting import Predictor

BATCH = 512
TITLES = {"LitConfig": "LiT", "DeepLobConfig": "DeepLOB"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BundleSubject:
    """A loaded model. `progress` is told (windows done, windows in all)."""

    bundle: Bundle
    predictor: Predictor
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """One word."""
        return "model"

    @property
    def title(self) -> str:
        """The network's name."""
        kind = type(self.bundle.config).__name__
        return TITLES.get(kind, kind)

    @property
    def labels(self) -> Sequence[LabelSpec]:
        """What it forecasts."""
        return self.bundle.horizons

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p float64[k, H, 3] and mu_bp float64[k, H] of the windows that end with these rows."""
        horizons = len(self.bundle.horizons)
        p, mu_bp = np.zeros((len(ends), horizons, 3)), np.zeros((len(ends), horizons))
        for first in range(0, len(ends), BATCH):
            part = slice(first, min(first + BATCH, len(ends)))
            found = self.predictor.predict(dataset.windows(ends[part], self.bundle.length))
            p[part], mu_bp[part] = found.p, found.mu_bp
            if self.progress is not None:
                self.progress(part.stop, len(ends))
        return p, mu_bp


@dataclass(frozen=True, slots=True)
class WalkedSubject:
    """Several models in order of time, each asked about the rows from its first moment to that of the next.

    Rows before the first moment of all go to the first model.
    """

    name: str
    title: str
    labels: Sequence[LabelSpec]
    models: Sequence[tuple[int, Subject]]  # first moment, ns; the model

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p float64[k, H, 3] and mu_bp float64[k, H] of the windows that end with these rows."""
        firsts = np.array([first_ns for first_ns, _ in self.models])
        assert (np.diff(firsts) > 0).all(), "they are in order of time"
        place = np.maximum(np.searchsorted(firsts, dataset.ts_ns[ends], side="right") - 1, 0)
        p, mu_bp = np.zeros((len(ends), len(self.labels), 3)), np.zeros((len(ends), len(self.labels)))
        for at, (_, model) in enumerate(self.models):
            own = place == at
            if own.any():
                p[own], mu_bp[own] = model.predict(dataset, ends[own])
        return p, mu_bp
