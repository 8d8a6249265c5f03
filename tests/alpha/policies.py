"""Small policies and records that the tests share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np

from hlhft.alpha import observation
from hlhft.alpha.policy import (
    GRAPH,
    RECORD,
    WEIGHTS,
    PolicyRecord,
    Weights,
    new_record,
    policy_id_of,
    write_tensors,
)
from hlhft.alpha.policy_evaluation import steered_of
from tests.alpha import worlds


def weights(seed: int = 1, *, columns: tuple[int, ...] = (0, 2), weight: float = 1.0) -> Weights:
    """A perceptron of one hidden layer with random numbers in it."""
    random = np.random.default_rng(seed)
    layers = tuple(
        (random.standard_normal(shape).astype(np.float32), random.standard_normal(shape[0]).astype(np.float32))
        for shape in ((8, observation.SIZE), (len(columns), 8))
    )
    mean, scale = random.standard_normal(observation.SIZE), random.uniform(0.5, 2.0, observation.SIZE)
    return Weights(mean.astype(np.float32), scale.astype(np.float32), layers, columns, weight)


def record(**changes: object) -> PolicyRecord:
    """The record of such a perceptron, without files."""
    fields = {
        "actions": ("gamma", "spread"), "hidden": (8,), "weight": 1.0, "steered": steered_of(worlds.task()),
        "ranges": {}, "embargo_ns": 0, "paths": "simulated", "seed": 1,
    }  # fmt: skip
    return new_record(**{**fields, **changes})


def probes(count: int = 5) -> np.ndarray:
    """Observations to try a policy on."""
    return np.random.default_rng(9).uniform(-3.0, 3.0, (count, observation.SIZE)).astype(np.float32)


def written(folder: Path, given: Weights | None = None, **changes: object) -> PolicyRecord:
    """A policy folder made without torch: its graph is no graph, which only ONNX Runtime would notice."""
    given = weights() if given is None else given
    contents = {WEIGHTS: write_tensors(given.tensors(probes())), GRAPH: b"a graph"}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    whole = msgspec.structs.replace(
        record(weight=given.weight), **{"files": files, "policy_id": policy_id_of(files), **changes}
    )
    folder.mkdir(exist_ok=True)
    for name, content in {**contents, RECORD: msgspec.json.encode(whole)}.items():
        (folder / name).write_bytes(content)
    return whole
