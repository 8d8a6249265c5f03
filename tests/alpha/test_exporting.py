"""Model folders: whole or not there, and never in the place of a better one that was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from hlhft.alpha import exporting
from hlhft.alpha.bundle import CARD, GRAPH, BundleError, load_bundle
from hlhft.alpha.exporting import OPSET, graph_bytes, widened, write_model
from hlhft.data.writing import write_file
from tests.alpha.records import lit, record
from tests.alpha.test_predicting import drawn, windows

pytestmark = pytest.mark.alpha


def test_a_written_folder_loads_and_holds_nothing_else(tmp_path: Path) -> None:
    bundle = write_model(tmp_path / "m", drawn(lit()), record(), windows(4), {CARD: b"{}"})
    assert load_bundle(tmp_path / "m") == bundle
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "bundle.json", "card.json", "model.onnx", "model.safetensors",
    ]  # fmt: skip


def test_the_same_network_is_the_same_model(tmp_path: Path) -> None:
    one, other, third = (
        write_model(tmp_path / name, drawn(lit(), seed), record(), windows(4))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one.model_id == other.model_id != third.model_id


def test_a_model_that_does_not_export_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_model(tmp_path / "m", drawn(lit()), record(), windows(4))
    other = graph_bytes(drawn(lit(), 1))
    monkeypatch.setattr(exporting, "graph_bytes", lambda network: other)
    with pytest.raises(BundleError, match="stored probes"):
        write_model(tmp_path / "m", drawn(lit()), record(), windows(4))
    assert load_bundle(tmp_path / "m") == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_graph_is_of_a_stable_opset_with_a_free_batch_and_nothing_outside(tmp_path: Path) -> None:
    graph = onnx.load_from_string(graph_bytes(drawn(lit(imbalance_residual=True, bilinear_normalisation=True))))
    onnx.checker.check_model(graph)
    assert [(one.domain, one.version) for one in graph.opset_import] == [("", OPSET)]
    batch = graph.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param == "batch"
    assert not any(one.external_data for one in graph.graph.initializer)
    write_file(tmp_path / GRAPH, graph.SerializeToString())
    assert (tmp_path / GRAPH).stat().st_size < 1_000_000


def test_ranges_are_widened_by_half_of_themselves() -> None:
    low, high = widened(np.array([0.0, 5.0]), np.array([2.0, 5.0]))
    assert low == (-1.0, 4.999) and high == (3.0, 5.001)
