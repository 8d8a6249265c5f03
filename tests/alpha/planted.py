"""Small datasets whose answers are known: rows of noise, and a class that one column's sign says, or nothing does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.alpha.dataset import Dataset, DatasetWriter, LabelColumns
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.config import LitConfig
from hlhft.alpha.schema import FLAG_VALID, ROW_DTYPE, FeatureSchema
from hlhft.alpha.splits import DAY_NS
from tests.alpha.records import SCHEMA, lit

EVERY_NS = 100_000_000
HORIZON_ROWS = 2
RIGHT = 0.8  # how often the planted sign is right; elsewhere the class is one of the others
BAYES_NLL = -(RIGHT * np.log(RIGHT) + (1 - RIGHT) * np.log((1 - RIGHT) / 2))

Classes = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # of the touch imbalance, float[n]


def by_imbalance(imbalance: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Down, flat or up by thirds of the touch imbalance, right RIGHT of the time."""
    told = np.digitize(imbalance, [-1 / 3, 1 / 3])
    return np.where(random.random(len(imbalance)) < RIGHT, told, (told + random.integers(1, 3, len(imbalance))) % 3)


def by_chance(imbalance: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 3, len(imbalance))


def always_flat(imbalance: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.ones(len(imbalance), np.int64)


def planted(
    folder: Path,
    *,
    rows: int = 4_000,
    days: int = 1,
    seed: int = 0,
    classes: Sequence[Classes] = (by_imbalance,),
    coin: str = "BTC",
    specs: Sequence[LabelSpec] = (),
    schema: FeatureSchema = SCHEMA,
) -> Dataset:
    """A dataset of one segment, or of one on each of so many days; one label column for each of `classes`."""
    assert rows % days == 0
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, schema.columns)).astype(np.float32)
    values[:, schema.imbalance_column] = random.uniform(-1, 1, rows)
    a_day = rows // days
    day, place = np.divmod(np.arange(rows), a_day)
    heads = np.zeros(rows, ROW_DTYPE)
    heads["ts_exch_ns"] = heads["ts_local_ns"] = 1_700_000_000_000_000_000 + day * DAY_NS + place * EVERY_NS
    heads["sequence"] = np.arange(1, rows + 1)
    heads["mid_ticks"] = heads["micro_ticks"] = 10_000.0
    heads["half_spread_ticks"], heads["sigma_bp"], heads["flags"] = 0.5, 1.0, FLAG_VALID
    found = np.stack([one(values[:, schema.imbalance_column], random) for one in classes], axis=1).astype(np.int8)
    found[place >= a_day - HORIZON_ROWS] = -1
    end_ns = np.where(
        found >= 0, heads["ts_local_ns"][:, None] + HORIZON_ROWS * EVERY_NS, heads["ts_local_ns"][:, None]
    )
    move_bp = np.where(found >= 0, (found - 1) * 2.0 + random.normal(0, 0.1, found.shape), 0).astype(np.float32)
    labels = LabelColumns(found, end_ns, move_bp, np.full(found.shape, 0.5, np.float32))
    named = [LabelSpec(name=f"next-{column}", kind="window", horizon_ms=200) for column in range(len(classes))]
    with DatasetWriter(
        folder,
        name=folder.name,
        key=f"{seed}-{rows}-{days}-{'-'.join(one.__name__ for one in classes)}",
        schema=schema,
        labels=specs or named,
        coins=[coin],
        sources=["planted"],
        profile="recorded",
    ) as writer:
        for first in range(0, rows, a_day):
            part = slice(first, first + a_day)
            writer.append(coin, heads[part], values[part], LabelColumns(*(column[part] for column in labels)))
        return writer.finish()


def small_lit(horizons: int = 1, **changes: Any) -> LitConfig:
    """A LiT that trains on these in a second."""
    return lit(horizons=horizons, **changes)
