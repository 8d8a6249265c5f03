"""Models and policies from their folders, as an alpha process asks them, and when a folder holds another one.

A folder may be a symbolic link that is set to another model while the process runs; what it leads to, and the record in
it, say whether something new stands there. A model is loaded beside the one that serves and passes all checks of
`hlhft.alpha.bundle` (hashes, schema, stored probes) before it is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hlhft.alpha.serving.messages import Model, PolicyModel
from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.wire import hash_bytes


class Answer(NamedTuple):
    """What a model says of one window, for the horizon that is served: float[3] of down, flat and up, and in bp."""

    probabilities: np.ndarray
    mu_bp: float
    sigma_bp: float


class Served(NamedTuple):
    """A model that passed its checks, and how to ask it about float32[1, length, F]."""

    model: Model
    ask: Callable[[np.ndarray], Answer]


class ServedPolicy(NamedTuple):
    """A policy that passed its checks, and how to ask it about float32[1, O]: float[4], each -1..1."""

    policy: PolicyModel
    decide: Callable[[np.ndarray], np.ndarray]


class ServingError(ValueError):
    """A model that cannot be served as asked: it has no such horizon; the message is one sentence."""


def load_model(folder: Path, *, horizon: int, engine: str, device: str) -> Served:
    """The model of a folder. Raises BundleError for one that is not to be used, MissingExtra without the packages,
    ServingError for a horizon that it has not, DeviceError for a GPU that is not there."""
    from hlhft.alpha.bundle import load_bundle, model_folder, predictor

    real = model_folder(folder.resolve())  # all files of one model, even when the link is set anew meanwhile
    bundle = load_bundle(real)
    if horizon >= len(bundle.horizons):
        names = ", ".join(spec.name for spec in bundle.horizons)
        raise ServingError(f"{folder}: there is no horizon {horizon}, the model has {len(bundle.horizons)}: {names}")
    loaded = predictor(bundle, real, engine=engine, device=device)

    def ask(window: np.ndarray) -> Answer:
        found = loaded.predict(window)
        return Answer(found.p[0, horizon], float(found.mu_bp[0, horizon]), float(found.sigma_bp[0, horizon]))

    bounds = Bounds(np.array(bundle.lowest), np.array(bundle.highest))
    model = Model(bundle.model_id, hash_bytes(bundle.schema_hash), bundle.length, len(bundle.lowest), bounds)
    return Served(model, ask)


def load_policy(folder: Path) -> ServedPolicy:
    """The policy of a folder. Raises PolicyError for one that is not to be used."""
    from hlhft.alpha.policy import load_policy as load

    policy = load(folder.resolve())
    record = policy.record
    return ServedPolicy(
        PolicyModel(record.policy_id, hash_bytes(record.observation_hash), len(record.observation)),
        lambda observation: np.asarray(policy.act(observation)[0], np.float64),
    )


Stamp = tuple[str, int, int, int]


def stamp_of(folder: Path, record: str) -> Stamp | None:
    """What the folder leads to, and its record's inode, size and time; equal for the same model. None when there is no
    record, as while a folder is copied."""
    real = os.path.realpath(folder)
    for inner in ("", "model"):  # a run of training may be named in place of the model in it
        try:
            found = os.stat(os.path.join(real, inner, record))
        except OSError:
            continue
        return real, found.st_ino, found.st_size, found.st_mtime_ns
    return None
