"""Model records: read back as written, and refused, with a sentence, for anything else. No torch is needed for that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha import bundle as bundles
from hlhft.alpha.bundle import (
    BYTES_MAX,
    GRAPH,
    RECORD,
    WEIGHTS,
    BundleError,
    load_bundle,
    model_folder,
    model_id_of,
    served_bytes,
)
from hlhft.alpha.foreign_schema import ForeignSchema
from tests.alpha.records import SCHEMA, folder_of, lit, record


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written = folder_of(tmp_path, record())
    found = load_bundle(tmp_path)
    assert found == written
    assert found.schema == SCHEMA and isinstance(found.config, type(lit()))


def test_fitted_ranges_are_those_of_all_blocks_but_the_test(tmp_path: Path) -> None:
    assert [one.from_ns for one in folder_of(tmp_path, record()).fitted_ranges] == [0, 100, 200]


def test_a_model_of_foreign_columns_is_a_model(tmp_path: Path) -> None:
    names = tuple(f"c{place}" for place in range(SCHEMA.columns))
    foreign = ForeignSchema(format="f", levels=2, names=names, imbalance=names[SCHEMA.imbalance_column])
    folder_of(tmp_path, record(features=None, foreign=foreign, schema_hash=foreign.hash))
    assert load_bundle(tmp_path).schema == foreign


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"version": 2}, "version 2, expected 1"),
    ({"schema_hash": "0" * 32}, "feature schema 0{32} is not the one computed here"),
    ({"features": None}, "names not one feature schema"),
    ({"config": lit(features=SCHEMA.columns + 1)}, f"features: {SCHEMA.columns + 1}, expected {SCHEMA.columns}"),
    ({"config": lit(levels=1)}, "levels: 1, expected 2"),
    ({"config": lit(imbalance_column=0)}, "imbalance column: 0, expected"),
    ({"config": lit(length=16)}, "window length: 16, expected 8"),
    ({"config": lit(horizons=2)}, "horizons: 2, expected 1"),
    ({"lowest": (0.0,)}, "lowest values: 1, expected"),
    ({"highest": (0.0,)}, "highest values: 1, expected"),
    ({"lowest": (6.0,) * SCHEMA.columns}, "no ranges"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_a_record_that_does_not_fit_itself_is_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    folder_of(tmp_path, record(**change))
    with pytest.raises(BundleError, match=sentence):
        load_bundle(tmp_path)


def test_ranges_without_an_end_are_refused(tmp_path: Path) -> None:
    """JSON has no such numbers; a record made to hold them is none."""
    folder_of(tmp_path, record(highest=(float("inf"),) * SCHEMA.columns))
    with pytest.raises(BundleError, match="no model record of this release"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("content", [b"null", b"{", b"[]", b"{}", b"\x80\x04\x95", b'{"version": 1}'])
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    folder_of(tmp_path, record())
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(BundleError, match="no model record of this release"):
        load_bundle(tmp_path)


def test_impossible_settings_of_a_network_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, record())
    path = tmp_path / RECORD
    path.write_bytes(path.read_bytes().replace(b'"heads":2', b'"heads":3'))
    with pytest.raises(BundleError, match="cannot be shared by 3 heads"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", [RECORD, GRAPH, WEIGHTS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder_of(tmp_path, record())
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: there is no such file"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
@pytest.mark.parametrize(("content", "sentence"), [(b"grap", "other sha256"), (b"", "the file is empty")])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    folder_of(tmp_path, record())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(tmp_path)


def test_an_oversized_file_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    folder_of(tmp_path, record())
    os.truncate(tmp_path / GRAPH, BYTES_MAX[GRAPH] + 1)  # a hole: it takes no disk
    with pytest.raises(BundleError, match=f"larger than {BYTES_MAX[GRAPH]} bytes"):
        load_bundle(tmp_path)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    with pytest.raises(BundleError, match="this is no file in a model folder"):
        load_bundle(tmp_path)


def test_an_id_that_is_not_that_of_the_files_is_refused(tmp_path: Path) -> None:
    whole = folder_of(tmp_path, record())
    (tmp_path / RECORD).write_bytes(msgspec.json.encode(msgspec.structs.replace(whole, model_id=whole.model_id + 1)))
    with pytest.raises(BundleError, match="do not belong together"):
        load_bundle(tmp_path)


def test_a_file_that_changes_after_loading_is_not_served(tmp_path: Path) -> None:
    whole = folder_of(tmp_path, record())
    assert served_bytes(whole, tmp_path, GRAPH) == b"graph"
    (tmp_path / GRAPH).write_bytes(b"other")
    with pytest.raises(BundleError, match="the file changed since"):
        served_bytes(whole, tmp_path, GRAPH)


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3))
def test_an_id_has_63_bits_and_is_never_none(files: dict[str, str]) -> None:
    assert 1 <= model_id_of(files) < 2**63
    assert model_id_of(dict(reversed(files.items()))) == model_id_of(files)


def test_a_run_of_training_is_named_for_its_model(tmp_path: Path) -> None:
    folder_of(tmp_path / "run" / "model", record())
    assert model_folder(tmp_path / "run") == tmp_path / "run" / "model"
    assert model_folder(tmp_path / "run" / "model") == tmp_path / "run" / "model"
    assert model_folder(tmp_path / "none") == tmp_path / "none"


def test_reading_a_record_loads_no_torch() -> None:
    source = Path(bundles.__file__).read_text()
    assert "import torch" not in source and "import onnx" not in source
