"""How to train, and the error of a training that cannot be. Needs no torch."""

from __future__ import annotations

import msgspec

DEVICES = ("auto", "cpu", "cuda")
EPOCHS_MAX = 10_000
SEEDS_MAX = 100


class TrainingError(Exception):
    """Training that cannot begin or go on; the sentence says why and what to do."""


class TrainingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train. Raises TrainingError for values that are none."""

    epochs: int = 20
    patience: int = 4
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    class_weighting: float = 0.0  # 0: as they come; 1: classes weigh alike, for macro-F1 at the price of calibration
    averaging: float = 0.995  # of weights, what a step keeps of them; 0: none
    epoch_samples: int = 0  # of the train block an epoch, drawn anew; 0: all
    device: str = "auto"
    threads: int = 0  # 0: all that the process may use

    def __post_init__(self) -> None:
        bounds = {
            "epochs": (1, EPOCHS_MAX), "patience": (1, EPOCHS_MAX), "batch": (1, 65_536), "learning_rate": (1e-8, 1.0),
            "weight_decay": (0.0, 1.0), "warmup_steps": (0, 10**6), "class_weighting": (0.0, 1.0),
            "averaging": (0.0, 0.99999), "epoch_samples": (0, 2**40), "threads": (0, 1024),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TrainingError(f"{name} is {value}, expected {low:g} to {high:g}")
        if self.device not in DEVICES:
            raise TrainingError(f"there is no device {self.device}, give one of {', '.join(DEVICES)}")
