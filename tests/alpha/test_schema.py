"""The schema: columns where others look for them, and a hash over all that the features use."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.alpha import schema
from hlhft.alpha.schema import LEVELS_MAX, FeatureSchema
from hlhft.core.state import LEVELS


@pytest.mark.parametrize("levels", [1, 4, 5, 20])
def test_the_book_stands_first_and_side_by_side(levels: int) -> None:
    found = FeatureSchema(levels=levels)
    assert found.book_columns == 4 * levels
    for row, side in enumerate(("bid", "ask")):
        for level in range(levels):
            for what, name in enumerate(("bp", "size")):
                column = (row * levels + level) * 2 + what
                assert found.names[column] == f"{side}_{name}_{level + 1}"
    assert found.names[found.flow_columns][0] == "ofi_fast_1"
    assert found.flow_columns == slice(4 * levels, found.columns)
    assert found.names[found.imbalance_column] == "imbalance_1"
    assert len(set(found.names)) == found.columns


def test_the_columns_of_the_default_are_these_many() -> None:
    """What a stored dataset and a model count on."""
    assert FeatureSchema().columns == 63
    assert FeatureSchema(levels=20).columns == 153


def test_every_column_has_a_meaning_and_every_meaning_a_column() -> None:
    assert {schema.base_of(name) for name in FeatureSchema(levels=20).names} == set(schema.MEANING)
    with pytest.raises(KeyError):
        schema.base_of("bid_fast")


def test_the_core_keeps_as_many_levels() -> None:
    assert LEVELS_MAX == LEVELS


def test_no_half_life_is_longer_than_the_one_that_an_embargo_asks_for() -> None:
    assert FeatureSchema(half_life_ms=64_000).half_lives_s == (1.0, 8.0, 64.0)
    assert FeatureSchema(half_life_ms=64_000).warm_ns == 16_000_000_000


@pytest.mark.parametrize("change", [{"levels": 4}, {"clock_ms": 100}, {"half_life_ms": 10_000}])
def test_every_setting_changes_the_hash(change: dict[str, int]) -> None:
    assert FeatureSchema(**change).hash != FeatureSchema().hash
    assert len(FeatureSchema().hash) == 32


@pytest.mark.parametrize(
    "name", ["GAP_NS", "WARM_SHARE", "MIDDLE_SHARE", "FAST_SHARE", "AGE_NS_MAX", "SIGN_SHARE", "IMBALANCES"]
)
def test_every_constant_changes_the_hash(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = FeatureSchema().hash
    monkeypatch.setattr(schema, name, getattr(schema, name) - 1)
    assert FeatureSchema().hash != before


@pytest.mark.parametrize(
    "change", [{"levels": 0}, {"levels": 21}, {"clock_ms": -1}, {"half_life_ms": 1}, {"version": 2}]
)
def test_a_value_out_of_range_is_refused_by_name(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"feature schema: {next(iter(change))}"):
        FeatureSchema(**change)


def test_it_comes_back_from_json_and_unknown_fields_do_not() -> None:
    one = FeatureSchema(levels=3, clock_ms=50)
    assert msgspec.json.decode(msgspec.json.encode(one), type=FeatureSchema) == one
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"depth": 3}', type=FeatureSchema)
