"""Section `recorded` of `make bench-alpha`: every baseline and LiT on recorded books, with intervals of pairs.

Minutes of data cannot carry a claim of skill, and none is made: the verdict is "cannot tell" by its own rule. What has
to hold is that calibrated probabilities of LiT are no worse than the mere shares of the classes.

- Binance USD-M and spot, BTC and ETH, 8 and 9 August 2024, a row every 100 ms, the mean mid 300 to 500 ms ahead
  against 1.5e-5 of it (Xiao et al. 2025, but with the rows that do not move). USD-M is cut at three quarters of its
  time, spot at midnight.
- Hyperliquid, BTC, ETH, SOL and WLFI, 35 minutes of September 2025 in the cadence and depth of today's feed: a row
  every 500 ms, barriers at 5 s.

LiT is small, as the data are, and the seed with the lowest NLL on the stop block is taken; rivals see the row that its
windows end with, and learn from the same blocks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation.evaluating import Options, evaluate
from hlhft.alpha.evaluation.metrics import METRICS
from hlhft.alpha.evaluation.result import Horizon, Measured
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.config import LitConfig
from hlhft.alpha.prepare import prepare
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import Split, split_at
from hlhft.alpha.training_options import TrainingOptions
from hlhft.extra import MissingExtra, need
from tests.bench.figures import Figure

SECTION = "recorded books"
SEEDS, SEEDS_SHORT = 5, 1
RESAMPLES, RESAMPLES_SHORT = 1000, 200
BATCH = 1024
MIDNIGHT_NS = 1_723_161_600_000_000_000  # 2024-08-09T00:00:00Z
OPTIONS = TrainingOptions(
    epochs=12, patience=3, batch=128, learning_rate=1e-3, weight_decay=0.05, warmup_steps=50, device="cpu", threads=1
)
FIGURES = ("nll", "macro_f1", "macro_f1_balanced", "mcc_balanced", "ece")
_METRICS = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class Set:
    """One recording, how it is read, what is asked of it, and where it is cut, as shares of its time."""

    name: str
    files: tuple[str, ...]  # under the folder of recordings; one folder is taken as it is
    profile: str
    schema: FeatureSchema
    label: LabelSpec
    length: int
    cuts: tuple[float, float, float]
    test_from_ns: int | None = None  # then the cuts before it are shares of the time until there


LABEL_MS = LabelSpec(name="300 to 500 ms", kind="window", from_ms=300, horizon_ms=500)
BINANCE = FeatureSchema(levels=10, clock_ms=100, half_life_ms=1_000)
FOLDER = "lob/binance_20240808"
SETS = (
    Set(
        "Binance USD-M",
        (f"{FOLDER}/usdm_btcusdt.events.parquet", f"{FOLDER}/usdm_ethusdt.events.parquet"),
        "recorded",
        BINANCE,
        LABEL_MS,
        20,
        (0.55, 0.65, 0.75),
    ),
    Set(
        "Binance spot",
        (f"{FOLDER}/spot_btcusdt.events.parquet", f"{FOLDER}/spot_ethusdt.events.parquet"),
        "recorded",
        BINANCE,
        LABEL_MS,
        20,
        (0.7, 0.85, 1.0),
        MIDNIGHT_NS,
    ),
    Set(
        "Hyperliquid",
        ("hyperliquid/l2_trades_bbo_20250904",),
        "2026",
        FeatureSchema(levels=5, clock_ms=500, half_life_ms=8_000),
        LabelSpec(name="5 s", kind="barrier", horizon_ms=5_000),
        20,
        (0.55, 0.65, 0.75),
    ),
)


@dataclass(frozen=True)
class Net:
    """A trained and calibrated network as a subject."""

    network: Any
    length: int
    labels: tuple[LabelSpec, ...]
    name: str = "lit"
    title: str = "LiT"

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and moves, by torch."""
        import torch

        p, mu_bp = np.zeros((len(ends), 1, 3)), np.zeros((len(ends), 1))
        with torch.inference_mode():
            for first in range(0, len(ends), BATCH):
                part = slice(first, first + BATCH)
                found = self.network(torch.from_numpy(dataset.windows(ends[part], self.length)))
                p[part], mu_bp[part] = found[0].numpy(), found[1].numpy()
        return p, mu_bp


def dataset_of(one: Set, recordings: Path, scratch: Path) -> Dataset:
    """The set's rows, built in `scratch`."""
    if len(one.files) == 1:
        folder = recordings / one.files[0]
    else:
        folder = scratch / one.name.replace(" ", "-").lower()
        folder.mkdir()
        for name in one.files:
            (folder / Path(name).name).symlink_to(recordings / name)
    return prepare(folder, schema=one.schema, labels=[one.label], profile=one.profile, cache=scratch / "cache")


def split_of(one: Set, dataset: Dataset) -> Split:
    """The set's blocks."""
    first_ns, last_ns = int(dataset.ts_ns.min()), one.test_from_ns or int(dataset.ts_ns.max())
    cuts = [first_ns + int((last_ns - first_ns) * share) for share in one.cuts]
    return split_at(dataset, cuts, length=one.length, horizon=0)


def config_of(one: Set) -> LitConfig:
    """A LiT as small as the data."""
    return LitConfig(
        features=one.schema.columns,
        levels=one.schema.levels,
        imbalance_column=one.schema.imbalance_column,
        length=one.length,
        patch_rows=5,
        width=32,
        heads=4,
        layers=1,
        feed_forward=64,
        lstm_width=32,
        dropout=0.2,
        flow_tokens=True,
        imbalance_residual=True,
    )


def nets(one: Set, dataset: Dataset, split: Split, seeds: int) -> list[Net]:
    """A network a seed, that with the lowest NLL on the stop block first."""
    from hlhft.alpha.training import fit, make_task
    from hlhft.alpha.training_run import calibrate

    task = make_task(dataset, split, config_of(one))
    fitted = sorted((fit(task, OPTIONS, seed=seed) for seed in range(seeds)), key=lambda found: found.stop_nll)
    return [
        Net(
            calibrate(task, found)[0],
            one.length,
            (one.label,),
            *(("lit", "LiT") if not place else (f"lit{place}", "LiT")),
        )
        for place, found in enumerate(fitted)
    ]


def recorded(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section; nothing without recordings or without the packages, and it says so."""
    try:
        need("recorded books", "torch", "lightning", "lightgbm", "sklearn", "scipy")
    except MissingExtra as error:
        print(error)
        return []
    if recordings is None or not all((recordings / name).exists() for one in SETS for name in one.files):
        print("no recordings: name their folder in HLHFT_RECORDINGS")
        return []
    found: list[Figure] = []
    for one in SETS:
        with tempfile.TemporaryDirectory() as scratch:
            found += measured(one, recordings, Path(scratch), short=short)
    return found


def measured(one: Set, recordings: Path, scratch: Path, *, short: bool) -> list[Figure]:
    """The figures of one set."""
    dataset = dataset_of(one, recordings, scratch)
    split = split_of(one, dataset)
    chosen, *others = nets(one, dataset, split, SEEDS_SHORT if short else SEEDS)
    options = Options(resamples=RESAMPLES_SHORT if short else RESAMPLES)
    found = evaluate(dataset, split, split.test.rows, chosen, others=others, options=options).evaluation
    (horizon,) = found.horizons
    rows = ", ".join(f"{block.name} {len(block.rows):,}" for block in split.blocks)
    print(f"{one.name}, {one.label.name}: {rows} rows, {horizon.blocks} blocks of time; {found.verdict.sentence}")
    return list(figures(one.name, horizon, [net.name for net in others]))


def figures(name: str, horizon: Horizon, others: Sequence[str]) -> Iterator[Figure]:
    """What the page shows: the gate, each rival's distance, then each model's figures."""
    head = f"{name}, {horizon.label}"
    for comparison in horizon.comparisons:
        if comparison.rival in others:
            continue
        rival = horizon.model(comparison.rival)
        assert rival is not None
        gain = comparison.gains["nll"]
        assert gain.value is not None
        promise = 0.0 if rival.name == "majority" else None
        what = f"{head}: NLL of LiT below that of {rival.title}"
        yield Figure(SECTION, what, gain.value, f"nats{interval(gain)}", minimum=promise)
        other = comparison.gains["mcc_balanced"]
        if other.value is not None:
            yield Figure(
                SECTION,
                f"{head}: balanced MCC of LiT above that of {rival.title}",
                other.value,
                interval(other).strip(),
            )
    if others:
        values = [model.figures["nll"].value or 0.0 for model in horizon.models if model.name in ("lit", *others)]
        unit = f"nats ({min(values):.3f} to {max(values):.3f})"
        yield Figure(SECTION, f"{head}: NLL of LiT, mean of {len(values)} seeds", float(np.mean(values)), unit)
    for model in horizon.models:
        if model.name in others:
            continue
        for metric in FIGURES:
            figure = model.figures[metric]
            if figure.value is not None:
                title = _METRICS[metric].title
                yield Figure(SECTION, f"{head}: {model.title}, {title}", figure.value, interval(figure).strip())


def interval(figure: Measured) -> str:
    """The interval in brackets, with a space before it; nothing without one."""
    return "" if figure.low is None or figure.high is None else f" ({figure.low:.3f} to {figure.high:.3f})"
