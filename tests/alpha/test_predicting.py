"""Loaded models: both engines answer alike, and a folder that hashes well and computes otherwise is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from hlhft.alpha.bundle import GRAPH, PARITY, WEIGHTS, Bundle, BundleError, predictor
from hlhft.alpha.devices import DeviceError
from hlhft.alpha.exporting import write_model
from hlhft.alpha.models.calibrated import Calibrated, calibrated
from hlhft.alpha.models.config import DeepLobConfig, ModelConfig
from hlhft.alpha.predicting import PROBE, Prediction, differences
from tests.alpha.records import SCHEMA, folder_of, lit, record

pytestmark = pytest.mark.alpha

Folder = tuple[Path, Bundle]


def drawn(config: ModelConfig, seed: int = 0) -> Calibrated:
    """A network that says something, in a calibration that does something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = calibrated(config)
        model.scale.fill_(1.5)
        model.shift.normal_()
        model.moves.normal_()
        model.deviations.uniform_(0.1, 1.0)
    return model.eval()


def windows(count: int, seed: int = 0, length: int = 8) -> np.ndarray:
    shape = count, length, SCHEMA.columns
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = tmp_path_factory.mktemp("models") / "model"
    return folder, write_model(folder, drawn(lit()), record(), windows(4))


@pytest.mark.parametrize(
    "config",
    [
        lit(bilinear_normalisation=True, imbalance_residual=True),
        lit(flow_tokens=False, layers=0, horizons=2),
        DeepLobConfig(
            features=SCHEMA.columns, levels=2, imbalance_column=SCHEMA.imbalance_column, length=20,
            imbalance_residual=True, filters=4, inception=4, lstm_width=8,
        ),
    ],
)  # fmt: skip
def test_both_engines_give_what_the_network_gives(tmp_path: Path, config: ModelConfig) -> None:
    model = drawn(config)
    horizons = record().horizons * config.horizons
    bundle = write_model(
        tmp_path / "m",
        model,
        record(config=config, length=config.length, horizons=horizons),
        windows(4, 0, config.length),
    )
    for count in (1, 7):
        rows = windows(count, 9, config.length)
        with torch.no_grad():
            expected = Prediction(*(part.numpy() for part in model(torch.from_numpy(rows))))
        for engine in ("onnx", "torch"):
            found = predictor(bundle, tmp_path / "m", engine=engine).predict(rows)
            assert found.p.shape == (count, config.horizons, 3) and found.mu_bp.shape == (count, config.horizons)
            assert found.p.dtype == found.mu_bp.dtype == found.sigma_bp.dtype == np.float32
            assert differences(found, expected) < PARITY


def test_a_window_says_the_same_alone_and_among_others(written: Folder) -> None:
    loaded = predictor(written[1], written[0])
    rows = windows(5)
    alone = [loaded.predict(rows[place : place + 1]).p[0] for place in range(5)]
    assert np.allclose(np.stack(alone), loaded.predict(rows).p, atol=1e-6)


def test_a_device_of_torch_may_be_left_to_the_machine(written: Folder) -> None:
    rows = windows(3)
    found = predictor(written[1], written[0], engine="torch", device="auto").predict(rows)
    assert differences(found, predictor(written[1], written[0]).predict(rows)) < 1e-3


def forged(tmp_path: Path, written: Folder, graph: bytes | None = None, weights: bytes | None = None) -> Folder:
    """The folder with other files under the right hashes."""
    folder, bundle = written
    own = tmp_path / "forged"
    graph = (folder / GRAPH).read_bytes() if graph is None else graph
    weights = (folder / WEIGHTS).read_bytes() if weights is None else weights
    return own, folder_of(own, bundle, graph, weights)


@pytest.mark.parametrize("graph", [b"x" * 100, b"\x80\x04\x95pickle", b"\x08\x09"])
def test_what_is_no_graph_is_refused(tmp_path: Path, written: Folder, graph: bytes) -> None:
    folder, bundle = forged(tmp_path, written, graph=graph)
    with pytest.raises(BundleError, match=r"cannot load this graph|the graph's ends"):
        predictor(bundle, folder)


def test_a_truncated_graph_is_refused(tmp_path: Path, written: Folder) -> None:
    folder, bundle = forged(tmp_path, written, graph=(written[0] / GRAPH).read_bytes()[:-100])
    with pytest.raises(BundleError, match="cannot load this graph"):
        predictor(bundle, folder)


def test_a_graph_of_another_shape_is_refused(tmp_path: Path, written: Folder) -> None:
    write_model(tmp_path / "other", drawn(lit(length=16)), record(config=lit(length=16), length=16), windows(4, 0, 16))
    folder, bundle = forged(tmp_path, written, graph=(tmp_path / "other" / GRAPH).read_bytes())
    with pytest.raises(BundleError, match=r"the graph.s ends are"):
        predictor(bundle, folder)


def test_a_graph_of_another_model_is_refused(tmp_path: Path, written: Folder) -> None:
    write_model(tmp_path / "other", drawn(lit(), 1), record(), windows(4))
    folder, bundle = forged(tmp_path, written, graph=(tmp_path / "other" / GRAPH).read_bytes())
    with pytest.raises(BundleError, match=r"answers its stored probes .* apart"):
        predictor(bundle, folder)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_weights_that_are_a_pickle_are_refused_unread(tmp_path: Path, written: Folder, engine: str) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / "pickle")
    folder, bundle = forged(tmp_path, written, weights=(tmp_path / "pickle").read_bytes())
    with pytest.raises(BundleError, match="no safetensors file"):
        predictor(bundle, folder, engine=engine)


def test_weights_of_another_network_are_refused(tmp_path: Path, written: Folder) -> None:
    write_model(tmp_path / "other", drawn(lit(width=32)), record(config=lit(width=32)), windows(4))
    folder, bundle = forged(tmp_path, written, weights=(tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(BundleError, match="do not fit the network"):
        predictor(bundle, folder, engine="torch")


def changed(written: Folder, **tensors: np.ndarray | None) -> bytes:
    found = dict(load((written[0] / WEIGHTS).read_bytes()))
    for name, value in tensors.items():
        if value is None:
            del found[PROBE + name]
        else:
            found[PROBE + name] = value
    return bytes(save(found))


@pytest.mark.parametrize(
    "tensors", [{"rows": None}, {"p": None}, {"rows": windows(4)[:, :4]}, {"mu_bp": np.zeros((1, 1), np.float32)}]
)
def test_probes_that_are_missing_or_misshapen_are_refused(
    tmp_path: Path, written: Folder, tensors: dict[str, np.ndarray | None]
) -> None:
    folder, bundle = forged(tmp_path, written, weights=changed(written, **tensors))
    with pytest.raises(BundleError, match="stored probes are missing or misshapen"):
        predictor(bundle, folder)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
@pytest.mark.parametrize("wrong", [3 * PARITY, np.nan])
def test_answers_that_differ_by_more_than_parity_are_refused(
    tmp_path: Path, written: Folder, engine: str, wrong: float
) -> None:
    p = load((written[0] / WEIGHTS).read_bytes())[PROBE + "p"].copy()
    p[2, 0, 1] += wrong
    folder, bundle = forged(tmp_path, written, weights=changed(written, p=p))
    with pytest.raises(BundleError, match="apart from what was stored"):
        predictor(bundle, folder, engine=engine)


def test_engines_and_devices_that_there_are_not(written: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="there is no engine tpu, expected onnx or torch"):
        predictor(written[1], written[0], engine="tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="there is no CUDA GPU"):
        predictor(written[1], written[0], engine="torch", device="cuda")


def test_differences_are_absolute_for_probabilities_and_relative_for_moves() -> None:
    one = Prediction(np.full((1, 1, 3), 0.25, np.float32), np.full((1, 1), 200.0), np.full((1, 1), 0.5))
    other = Prediction(np.full((1, 1, 3), 0.5, np.float32), np.full((1, 1), 100.0), np.full((1, 1), 0.25))
    assert differences(one, one) == 0.0
    assert differences(one, other) == 1.0
    assert differences(one, Prediction(other.p, one.mu_bp, other.sigma_bp)) == 0.25


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT TESTED on a GPU: there is none")
def test_a_gpu_gives_the_same_answers(written: Folder) -> None:
    rows = windows(64)
    on_gpu = predictor(written[1], written[0], engine="torch", device="cuda").predict(rows)
    assert differences(on_gpu, predictor(written[1], written[0]).predict(rows)) < 1e-3
