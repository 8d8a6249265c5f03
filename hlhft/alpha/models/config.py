"""What a network is built from: one frozen record each, with presets; nothing here needs torch.

A network takes raw feature rows, float32[batch, length, features], and gives logits, float32[batch, horizons, 3], in
the order of the classes: 0 down, 1 flat, 2 up. The first 4 x levels columns are the book as `FeatureSchema` lays it
out: side bid then ask, level 0 first, price then size. All other columns are flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

LENGTH = 100  # rows of a window, by default
CLASSES = 3
# Bounds of what a settings file may ask for: a network beyond them is a mistake, not a market maker's.
LENGTH_MAX = 4096
FEATURES_MAX = 1024
WIDTH_MAX = 1024
LAYERS_MAX = 24
HORIZONS_MAX = 16
LEVELS_MAX = 20


class ModelConfigError(Exception):
    """A network that cannot be built; the sentence says which setting, and what it may be."""


class Columns(Protocol):
    """What a network needs to know of a feature schema."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns in order."""

    @property
    def levels(self) -> int:
        """Book levels a side."""

    @property
    def imbalance_column(self) -> int:
        """The place of the touch imbalance, -1..1."""


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all networks share."""

    features: int
    levels: int
    imbalance_column: int
    length: int = LENGTH
    horizons: int = 1
    dropout: float = 0.1  # of what the last layer reads; among tokens it costs a tenth of the training rate
    imbalance_residual: bool = False  # what the network says is added to a rule fitted on the touch imbalance

    def __post_init__(self) -> None:
        _within("features", self.features, 1, FEATURES_MAX)
        _within("levels", self.levels, 1, LEVELS_MAX)
        _within("length", self.length, 1, LENGTH_MAX)
        _within("horizons", self.horizons, 1, HORIZONS_MAX)
        _within("imbalance_column", self.imbalance_column, 0, self.features - 1)
        if not 0.0 <= self.dropout < 1.0:
            raise ModelConfigError(f"dropout is {self.dropout}, expected 0 or more and less than 1")
        if self.book_columns > self.features:
            raise ModelConfigError(
                f"{self.levels} levels need {self.book_columns} book columns and there are {self.features} features, "
                "give fewer levels"
            )

    @property
    def book_columns(self) -> int:
        """How many of the first columns are the book."""
        return 4 * self.levels

    @property
    def flow_columns(self) -> int:
        """How many columns follow the book."""
        return self.features - self.book_columns


class LitConfig(_Config, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lit"):
    """LiT (Xiao et al. 2025): patches of one side of the book x some rows, attention, an LSTM over time.

    The switches are improvements on the paper. Raises ModelConfigError for sizes that do not fit together.
    """

    patch_rows: int = 4  # the paper's best at every horizon
    width: int = 64
    heads: int = 4
    layers: int = 2
    feed_forward: int = 128  # the paper's notes do not give it
    lstm_width: int = 64
    bilinear_normalisation: bool = False  # of the window, along time and along features (Tran et al. 2021)
    flow_tokens: bool = False  # a token of the other columns beside every pair of patches

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("patch_rows", self.patch_rows, 1, self.length)
        _within("width", self.width, 1, WIDTH_MAX)
        _within("heads", self.heads, 1, self.width)
        _within("layers", self.layers, 0, LAYERS_MAX)
        _within("feed_forward", self.feed_forward, 1, 8 * WIDTH_MAX)
        _within("lstm_width", self.lstm_width, 1, WIDTH_MAX)
        if self.length % self.patch_rows:
            raise ModelConfigError(
                f"a window of {self.length} rows cannot be cut into patches of {self.patch_rows} rows, give a length "
                f"that is a multiple of {self.patch_rows}"
            )
        if self.width % self.heads:
            raise ModelConfigError(f"width {self.width} cannot be shared by {self.heads} heads, give a multiple of it")
        if self.flow_tokens and not self.flow_columns:
            raise ModelConfigError("flow tokens need columns beside the book and there are none, switch them off")

    @property
    def steps(self) -> int:
        """Patches along time."""
        return self.length // self.patch_rows

    @property
    def kinds(self) -> int:
        """Tokens a step: two sides, and the flow where it has tokens."""
        return 3 if self.flow_tokens else 2


class DeepLobConfig(_Config, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="deeplob"):
    """DeepLOB (Zhang, Zohren, Roberts 2019): convolutions over levels and time, inception, LSTM. Book columns only.

    Raises ModelConfigError for a window that the convolutions would use up.
    """

    filters: int = 32
    inception: int = 64
    lstm_width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("filters", self.filters, 1, WIDTH_MAX)
        _within("inception", self.inception, 1, WIDTH_MAX)
        _within("lstm_width", self.lstm_width, 1, WIDTH_MAX)
        if self.length < DEEPLOB_LENGTH_MIN:
            raise ModelConfigError(
                f"DeepLOB's convolutions use up {DEEPLOB_LENGTH_MIN - 1} rows and the window has {self.length}, give a "
                f"length of {DEEPLOB_LENGTH_MIN} or more"
            )


# Three blocks of two convolutions of four rows without padding.
DEEPLOB_LENGTH_MIN = 19

ModelConfig = LitConfig | DeepLobConfig

PRESETS: Mapping[str, str] = {
    "paper": "LiT as published: patches, attention, LSTM; standardised on the train block",
    "plus": "LiT with bilinear normalisation, flow tokens and the imbalance rule to start from",
    "deeplob": "DeepLOB, the rival",
}


def preset(name: str, columns: Columns, *, length: int = LENGTH, horizons: int = 1) -> ModelConfig:
    """The settings called `name` for feature rows of `columns`. Raises ModelConfigError for an unknown name."""
    common: dict[str, Any] = {
        "features": len(columns.names),
        "levels": columns.levels,
        "imbalance_column": columns.imbalance_column,
        "length": length,
        "horizons": horizons,
    }
    if name == "deeplob":
        return DeepLobConfig(**common)
    if name == "paper":
        return LitConfig(**common)
    if name == "plus":
        has_flow = common["features"] > 4 * common["levels"]
        # Longer patches pay for the tokens of the flow: on recorded books ten rows did as well as five, for half.
        rows = next((rows for rows in (10, 5, 4, 2) if length % rows == 0), 1)
        return LitConfig(
            **common, patch_rows=rows, bilinear_normalisation=True, flow_tokens=has_flow, imbalance_residual=True
        )
    raise ModelConfigError(f"there is no preset {name}, give one of {', '.join(PRESETS)}")


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ModelConfigError(f"{name} is {value}, expected {low} to {high}")
