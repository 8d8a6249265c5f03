"""Options of a training: what is none is a sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hlhft.alpha.training_options import TrainingError, TrainingOptions


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0, expected 1 to 10000"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"device": "tpu"}, "no device tpu, give one of auto, cpu, cuda"),
    ],
)
def test_options_that_are_none_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        TrainingOptions(**change)


def test_options_survive_json() -> None:
    options = TrainingOptions(epochs=7, device="cuda", averaging=0.999)
    assert msgspec.json.decode(msgspec.json.encode(options), type=TrainingOptions) == options
