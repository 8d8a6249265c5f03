"""What the machine of an alpha process is told, and what it demands."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.wire import Heartbeat, Request, Rows, Signal


class Model(NamedTuple):
    """A model that is loaded: what it looks at. `schema` is the hash of its features."""

    model_id: int
    schema: bytes
    length: int
    features: int
    bounds: Bounds | None


class PolicyModel(NamedTuple):
    """A policy that is loaded, and the hash and size of the observation that it decides on."""

    policy_id: int
    observation_hash: bytes
    observed: int


class Told(NamedTuple):
    """The engine told rows, or a snapshot of them."""

    rows: Rows


class Drained(NamedTuple):
    """Nothing more is waiting to be read: what the newest rows lead to is due."""


class Tick(NamedTuple):
    """Time has gone on; at least as often as anything is due."""


class Loaded(NamedTuple):
    """A model passed all checks and is asked from now on; None: there is none any more."""

    model: Model | None


class PolicyLoaded(NamedTuple):
    """A policy passed all checks and decides from now on; None: there is none any more."""

    policy: PolicyModel | None


class Refused(NamedTuple):
    """What was to be loaded did not pass, and the one before goes on."""

    sentence: str


class Predicted(NamedTuple):
    """The answer to Predict, of one horizon: three probabilities, and move and deviation in basis points."""

    market: int
    model_id: int
    probabilities: np.ndarray
    mu_bp: float
    sigma_bp: float
    compute_ns: int


class Decided(NamedTuple):
    """The answer to Decide: float[4], each -1..1."""

    market: int
    policy_id: int
    action: np.ndarray


Input = Told | Drained | Tick | Loaded | PolicyLoaded | Refused | Predicted | Decided


class Ask(NamedTuple):
    """The engine is to be asked for the newest rows."""

    request: Request


class Predict(NamedTuple):
    """The model is to be asked; `window` float32[1, length, F] is a view that the next rows change."""

    market: int
    sequence: int
    window: np.ndarray


class Decide(NamedTuple):
    """The policy is to be asked; float32[1, O]."""

    market: int
    observation: np.ndarray


class Publish(NamedTuple):
    """The engine is to be told."""

    signal: Signal


class Beat(NamedTuple):
    """A sign of life is due."""

    beat: Heartbeat


class Say(NamedTuple):
    """Something for people."""

    level: Literal["info", "warning"]
    text: str


Effect = Ask | Predict | Decide | Publish | Beat | Say
