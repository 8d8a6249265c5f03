"""What is said of a training: each seed, the choice among them, calibration, options. Needs no torch to be read."""

from __future__ import annotations

import msgspec

from hlhft.alpha.training_options import TrainingOptions


class SeedFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a seed came to; nothing here saw the test block."""

    seed: int
    epochs: int  # until it stopped
    best_epoch: int  # from 1
    stop_nll: float
    calibrate_nll: float  # as it left training
    samples_per_s: float  # of its fastest epoch


class CalibrationFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What calibration did to the chosen seed at one horizon, on the calibrate block."""

    label: str
    rows: int
    scale: float  # of the logits around the prior's; 1 / temperature
    nll_before: float
    nll_after: float
    nll_prior: float  # of the train block's shares


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the card says of the training."""

    chosen_seed: int
    choice: str
    seeds: tuple[SeedFigures, ...]
    calibration: tuple[CalibrationFigures, ...]
    options: TrainingOptions
    device: str
    weights: int
    rows: dict[str, int]  # samples by block
