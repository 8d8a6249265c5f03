"""`hlhft alpha` with a model and a policy that need no packages: everything of the process but what computes.

    python -m tests.endtoend.alpha_process CONFIG

takes the features, sockets and metrics of the settings in CONFIG, as the command does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from hlhft import extra
from hlhft.alpha.observation import SIZE
from hlhft.alpha.policy import observation_hash
from hlhft.alpha.serving import running
from hlhft.alpha.serving.loading import Answer, Served, ServedPolicy, ServingError
from hlhft.alpha.serving.messages import Model, PolicyModel
from hlhft.alpha.serving.shell import Source
from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.wire import hash_bytes
from hlhft.cli import console
from hlhft.config.load import load
from hlhft.live.assembly import schema_of

LENGTH = 4
MOVE_BP, DEVIATION_BP = 0.5, 2.0
EVERYTHING = 1e30  # no feature is outside what such a model was trained on


def main(config: Path) -> None:
    """Serves until SIGTERM."""
    schema = schema_of(load(config, {}).config)
    bounds = Bounds(np.full(schema.columns, -EVERYTHING), np.full(schema.columns, EVERYTHING))
    model = Model(77, hash_bytes(schema.hash), LENGTH, schema.columns, bounds)
    policy = PolicyModel(5, hash_bytes(observation_hash()), SIZE)

    def ask(window: np.ndarray) -> Answer:
        return Answer(np.array([0.25, 0.25, 0.5], np.float32), MOVE_BP, DEVIATION_BP)

    def policies(orders: Any) -> Source[ServedPolicy]:
        served = ServedPolicy(policy, lambda observation: np.zeros(4))
        return Source(stamp=lambda: 1, load=lambda: served, faults=(ServingError,))

    extra.need = lambda what, *packages: None
    running._load = lambda orders: Served(model, ask)
    running._policies = policies  # type: ignore[assignment]
    sys.argv = ["hlhft", "alpha", "--model", str(config.parent), "--config", str(config), "--json"]
    console()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
