"""Settings of networks: presets fit the schema, and what does not fit together is a sentence."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from hlhft.alpha.models.config import (
    DEEPLOB_LENGTH_MIN,
    PRESETS,
    DeepLobConfig,
    LitConfig,
    ModelConfig,
    ModelConfigError,
    preset,
)


class Columns(NamedTuple):
    names: tuple[str, ...]
    levels: int
    imbalance_column: int


COLUMNS = Columns(tuple(f"c{place}" for place in range(30)), 5, 21)
SIZES: dict[str, Any] = {"features": 30, "levels": 5, "imbalance_column": 21}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_its_sizes_from_the_schema(name: str) -> None:
    config = preset(name, COLUMNS, length=40, horizons=2)
    assert (config.features, config.levels, config.imbalance_column) == (30, 5, 21)
    assert (config.length, config.horizons, config.book_columns, config.flow_columns) == (40, 2, 20, 10)


def test_the_improvements_are_off_on_paper_and_on_in_plus() -> None:
    switches = [
        (c.bilinear_normalisation, c.flow_tokens, c.imbalance_residual)
        for c in (preset("paper", COLUMNS), preset("plus", COLUMNS))
        if isinstance(c, LitConfig)
    ]
    assert switches == [(False, False, False), (True, True, True)]


def test_plus_has_no_flow_tokens_where_there_is_no_flow() -> None:
    config = preset("plus", Columns(COLUMNS.names[:20], 5, 3))
    assert isinstance(config, LitConfig) and not config.flow_tokens


@pytest.mark.parametrize(("length", "rows"), [(100, 10), (64, 4), (35, 5), (6, 2), (7, 1)])
def test_plus_cuts_any_length_into_whole_patches(length: int, rows: int) -> None:
    config = preset("plus", COLUMNS, length=length)
    assert isinstance(config, LitConfig) and config.patch_rows == rows


@pytest.mark.parametrize("config", [LitConfig(**SIZES), DeepLobConfig(**SIZES)])
def test_settings_survive_json(config: ModelConfig) -> None:
    assert msgspec.json.decode(msgspec.json.encode(config), type=ModelConfig) == config


REFUSED = [
    (LitConfig, {"length": 0}, "length is 0, expected 1 to 4096"),
    (LitConfig, {"length": 10}, "patches of 4 rows"),
    (LitConfig, {"heads": 5}, "cannot be shared by 5 heads"),
    (LitConfig, {"levels": 8}, "8 levels need 32 book columns and there are 30"),
    (LitConfig, {"imbalance_column": 30}, "imbalance_column is 30, expected 0 to 29"),
    (LitConfig, {"dropout": 1.0}, "dropout is 1.0"),
    (LitConfig, {"layers": 25}, "layers is 25, expected 0 to 24"),
    (LitConfig, {"features": 20, "imbalance_column": 3, "flow_tokens": True}, "flow tokens need columns"),
    (DeepLobConfig, {"length": DEEPLOB_LENGTH_MIN - 1}, "use up 18 rows and the window has 18"),
]


@pytest.mark.parametrize(("kind", "change", "sentence"), REFUSED)
def test_what_does_not_fit_is_refused(kind: type, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelConfigError, match=sentence):
        kind(**{**SIZES, **change})


def test_an_unknown_preset_names_those_that_there_are() -> None:
    with pytest.raises(ModelConfigError, match="no preset best, give one of paper, plus, deeplob"):
        preset("best", COLUMNS)
