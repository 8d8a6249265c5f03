"""A small model for whatever features an engine tells, drawn by a seed, never trained: what is tested is who asks it,
when, and what becomes of its answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hlhft.alpha.bundle import Bundle
from hlhft.alpha.exporting import write_model
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.calibrated import calibrated
from hlhft.alpha.schema import FeatureSchema
from tests.alpha.records import lit, record

LENGTH = 8
WIDE = 1e6


def small_model(folder: Path, schema: FeatureSchema, *, seed: int = 0, horizons: int = 1) -> Bundle:
    """Writes a model of this schema; another seed is another model."""
    columns = schema.columns
    config = lit(
        features=columns, levels=schema.levels, imbalance_column=schema.imbalance_column, length=LENGTH,
        horizons=horizons,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = calibrated(config)
        network.moves.normal_()
        network.deviations.uniform_(0.1, 1.0)
    rows = np.random.default_rng(seed).normal(size=(4, LENGTH, columns)).astype(np.float32)
    made = record(
        features=schema, schema_hash=schema.hash, config=config, length=LENGTH, lowest=(-WIDE,) * columns,
        highest=(WIDE,) * columns, horizons=(LabelSpec(name="next", horizon_ms=200),) * horizons, seed=seed,
    )  # fmt: skip
    return write_model(folder, network.eval(), made, rows)
