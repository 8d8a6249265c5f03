"""Networks: how long one answer takes through ONNX Runtime, and how fast a network trains, on this machine.

Inference is batch 1 on one thread, d = 64 and two layers, the window given anew each time. Training is the trainer's
own path: windows gathered from a mapped dataset, loss, gradients, optimiser step; the fastest of three epochs counts.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figures import Figure

RUNS, RUNS_SHORT = 20_000, 2_000
WARM_RUNS = 200
SAMPLES, SAMPLES_SHORT = 12_288, 2_048
MEDIAN_US_MAX, P99_US_MAX = 400.0, 1_000.0
SAMPLES_PER_S_MIN = 2_000.0


def models(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("paper", "plus", "deeplob"):
            figures += _inference(Path(scratch), name, short=short)
        for name in ("paper", "plus"):
            figures.append(_training(Path(scratch) / f"data-{name}", name, "cpu", short=short))
    return figures


def _inference(scratch: Path, name: str, *, short: bool) -> list[Figure]:
    rows = np.random.default_rng(0).normal(size=(WARM_RUNS, 1, 100, _schema().columns)).astype(np.float32)
    loaded = _model(scratch / name, name)
    taken_us = _timed(lambda place: loaded.predict(rows[place % WARM_RUNS]), RUNS_SHORT if short else RUNS)
    what = f"batch 1, T = 100, one thread, {name}"
    limits: dict[str, dict[str, Any]] = {"median": {}, "p99": {}}
    if name != "deeplob":
        limits = {
            "median": {"maximum": MEDIAN_US_MAX, "gate": 2 * MEDIAN_US_MAX},
            "p99": {"maximum": P99_US_MAX, "gate": 1e5},
        }
    return [
        Figure("models", f"{what}, median", float(np.median(taken_us)), "µs", **limits["median"]),
        Figure("models", f"{what}, p99", float(np.percentile(taken_us, 99)), "µs", **limits["p99"]),
    ]


def _timed(call: Any, runs: int) -> np.ndarray:
    for place in range(WARM_RUNS):
        call(place)
    taken = np.empty(runs)
    for place in range(runs):
        began = time.perf_counter_ns()
        call(place)
        taken[place] = time.perf_counter_ns() - began
    return taken / 1e3


def _schema() -> Any:
    from hlhft.alpha.schema import FeatureSchema

    return FeatureSchema()


def _config(name: str) -> Any:
    from hlhft.alpha.models.config import preset

    return preset(name, _schema())


def _model(folder: Path, name: str, engine: str = "onnx", device: str = "cpu") -> Any:
    """A model as it is served, of the default schema and window; what it answers does not change how long it takes."""
    from hlhft.alpha.bundle import predictor
    from hlhft.alpha.exporting import write_model
    from hlhft.alpha.models.calibrated import calibrated
    from tests.alpha.records import record

    schema, config = _schema(), _config(name)
    wide = (-5.0,) * schema.columns, (5.0,) * schema.columns
    facts = record(
        features=schema, schema_hash=schema.hash, length=config.length, config=config, lowest=wide[0], highest=wide[1]
    )
    probes = np.random.default_rng(1).normal(size=(4, config.length, schema.columns)).astype(np.float32)
    written = write_model(folder, calibrated(config), facts, probes)
    return predictor(written, folder, engine=engine, device=device)


def _training(folder: Path, name: str, device: str, *, short: bool) -> Figure:
    from hlhft.alpha.splits import split_once
    from hlhft.alpha.training import fit, make_task
    from hlhft.alpha.training_options import TrainingOptions
    from tests.alpha.planted import planted

    config = _config(name)
    dataset = planted(folder, rows=2 * SAMPLES, schema=_schema())
    task = make_task(dataset, split_once(dataset, length=config.length), config)
    samples = SAMPLES_SHORT if short else SAMPLES
    options = TrainingOptions(
        epochs=3, patience=3, epoch_samples=samples, device=device, batch=256 if device == "cpu" else 1024
    )
    history = fit(task, options, seed=0).state.history
    rate = max(epoch.samples_per_s for epoch in history)
    where = f"{len(os.sched_getaffinity(0))} CPU cores" if device == "cpu" else device_name()
    limits = {"minimum": SAMPLES_PER_S_MIN, "gate": SAMPLES_PER_S_MIN / 4} if device == "cpu" else {}
    section = "models" if device == "cpu" else "GPU"
    return Figure(section, f"training, T = 100, d = 64, {name}, {where}", rate, "samples/s", **limits)


def device_name() -> str:
    """The GPU's name."""
    import torch

    return str(torch.cuda.get_device_name(0))


def on_gpu(scratch: Path, *, short: bool) -> list[Figure]:
    """The section of `alpha_gpu.py`: batch 1 and training rate where there is a GPU, and nothing elsewhere."""
    import torch

    if not torch.cuda.is_available():
        print("gpu: no GPU here, so nothing is measured on one")
        return []
    figures = []
    for name in ("paper", "plus"):
        rows = np.random.default_rng(0).normal(size=(WARM_RUNS, 1, 100, _schema().columns)).astype(np.float32)
        loaded = _model(scratch / f"gpu-{name}", name, engine="torch", device="cuda")
        taken_us = _timed(lambda place, loaded=loaded, rows=rows: loaded.predict(rows[place % WARM_RUNS]), RUNS_SHORT)
        what = f"batch 1, T = 100, {name}, {device_name()}"
        figures += [
            Figure("GPU", f"{what}, median", float(np.median(taken_us)), "µs", maximum=20_000.0),
            Figure("GPU", f"{what}, p99", float(np.percentile(taken_us, 99)), "µs"),
            _training(scratch / f"gpu-data-{name}", name, "cuda", short=short),
        ]
    return figures
