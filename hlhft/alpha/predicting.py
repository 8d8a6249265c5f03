"""Models as functions of raw rows: ONNX Runtime or torch, each held to the answers stored at export.

A graph from elsewhere cannot reach other files: it is loaded from bytes, and torch gets numbers only, by safetensors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hlhft.alpha.bundle import GRAPH, PARITY, WEIGHTS, Bundle, BundleError, served_bytes
from hlhft.alpha.devices import chosen_device
from hlhft.alpha.models.config import CLASSES
from hlhft.extra import need

Float32 = NDArray[np.float32]

INPUT = "rows"
OUTPUTS = ("p", "mu_bp", "sigma_bp")
PROBE = "probe."  # before the names of stored probes among the weights
PROBES = 8
BATCH_MAX = 4096
ENGINES = ("onnx", "torch")


class Prediction(NamedTuple):
    """What a model says of B windows, for H horizons."""

    p: Float32  # float32[B, H, 3] of down, flat, up; calibrated; each adds up to 1
    mu_bp: Float32  # float32[B, H], the move to expect
    sigma_bp: Float32  # float32[B, H], its deviation, >= 0


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, rows: Float32) -> Prediction:
        """Of raw feature rows, float32[B, length, features], B from 1 to BATCH_MAX. The same rows, the same answer."""


class _Onnx:
    """ONNX Runtime, one session; batch 1 goes through without a copy of ours."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def predict(self, rows: Float32) -> Prediction:
        """See `Predictor`."""
        return Prediction(*self._session.run(OUTPUTS, {INPUT: rows}))


class _Torch:
    """torch, the fall-back; the only one that uses a GPU."""

    def __init__(self, network: Any, device: str) -> None:
        self._network, self._device = network, device

    def predict(self, rows: Float32) -> Prediction:
        """See `Predictor`."""
        import torch

        with torch.inference_mode():
            found = self._network(torch.from_numpy(np.ascontiguousarray(rows)).to(self._device))
        return Prediction(*(part.float().cpu().numpy() for part in found))


def load_predictor(bundle: Bundle, folder: Path, *, engine: str, threads: int, device: str) -> Predictor:
    """See `hlhft.alpha.bundle.predictor`. Raises ValueError for an engine that there is not, DeviceError
    for a GPU that is not there."""
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine}, expected {' or '.join(ENGINES)}")
    need("a model", "safetensors", "onnxruntime" if engine == "onnx" else "torch")
    tensors = _tensors(bundle, folder)
    probes = {name: tensors.pop(PROBE + name, None) for name in (INPUT, *OUTPUTS)}
    loaded: Predictor
    if engine == "onnx":
        loaded = _Onnx(_session(bundle, folder, threads))
    else:
        place = chosen_device(device)
        if place == "cuda":
            _compute_exactly()
        loaded = _Torch(_network(bundle, folder, tensors).to(place), place)
    _check_probes(bundle, folder, loaded, probes)
    return loaded


def differences(found: Prediction, expected: Prediction) -> float:
    """The largest difference: of probabilities as they are, of moves and deviations relative to 1 bp or their size."""
    worst = float(np.max(np.abs(found.p - expected.p), initial=0.0))
    for one, other in ((found.mu_bp, expected.mu_bp), (found.sigma_bp, expected.sigma_bp)):
        worst = max(worst, float(np.max(np.abs(one - other) / np.maximum(np.abs(other), 1.0), initial=0.0)))
    return worst


def _tensors(bundle: Bundle, folder: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(served_bytes(bundle, folder, WEIGHTS)))
    except (SafetensorError, KeyError, ValueError) as error:
        raise BundleError(folder / WEIGHTS, f"this is no safetensors file ({error}), train the model anew") from None


def _session(bundle: Bundle, folder: Path, threads: int) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what is wrong is raised; nothing is printed beside it
    kinds = (faults.InvalidProtobuf, faults.InvalidGraph, faults.InvalidArgument, faults.Fail, faults.NotImplemented,
             faults.NoSuchFile, faults.RuntimeException)  # fmt: skip
    try:
        session = onnxruntime.InferenceSession(
            served_bytes(bundle, folder, GRAPH), options, providers=["CPUExecutionProvider"]
        )
    except kinds as error:
        what = " ".join(str(error).split())[:200]
        raise BundleError(
            folder / GRAPH, f"ONNX Runtime cannot load this graph ({what}), train the model anew"
        ) from None
    horizons = len(bundle.horizons)
    expected = {
        INPUT: [bundle.length, bundle.config.features],
        "p": [horizons, CLASSES],
        "mu_bp": [horizons],
        "sigma_bp": [horizons],
    }
    ends = [*session.get_inputs(), *session.get_outputs()]
    found = {end.name: list(end.shape[1:]) if end.type == "tensor(float)" else end.type for end in ends}
    if found != expected:
        raise BundleError(folder / GRAPH, f"the graph's ends are {found}, expected {expected}, train the model anew")
    return session


def _compute_exactly() -> None:
    """Keeps cuDNN's LSTM from rounding to TF32, whose ten bits are farther from the stored answers than PARITY."""
    import torch

    torch.backends.cudnn.allow_tf32 = False


def _network(bundle: Bundle, folder: Path, tensors: dict[str, np.ndarray]) -> Any:
    import torch

    from hlhft.alpha.models.calibrated import calibrated

    network = calibrated(bundle.config).eval()
    try:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, strict=True)
    except RuntimeError as error:
        what = " ".join(str(error).split())[:200]
        raise BundleError(folder / WEIGHTS, f"the weights do not fit the network ({what}), train it anew") from None
    return network


def _check_probes(bundle: Bundle, folder: Path, loaded: Predictor, probes: dict[str, np.ndarray | None]) -> None:
    """Raises BundleError unless the stored rows give the stored answers."""
    shape = (bundle.length, bundle.config.features)
    horizons = len(bundle.horizons)
    rows, *answers = probes.values()
    shapes = {"p": (horizons, CLASSES), "mu_bp": (horizons,), "sigma_bp": (horizons,)}
    is_whole = rows is not None and rows.dtype == np.float32 and rows.shape[1:] == shape and 1 <= len(rows) <= PROBES
    for name, answer in zip(OUTPUTS, answers, strict=True):
        is_whole = is_whole and rows is not None and answer is not None and answer.shape == (len(rows), *shapes[name])
    if not is_whole:
        raise BundleError(folder / WEIGHTS, "its stored probes are missing or misshapen, train the model anew")
    found = loaded.predict(rows)  # type: ignore[arg-type]
    worst = differences(found, Prediction(*answers))  # type: ignore[arg-type]
    if not worst <= PARITY:  # also when it is no number
        raise BundleError(
            folder,
            f"the model answers its stored probes {worst:.3g} apart from what was stored at export, expected at most "
            f"{PARITY:g}: it was not made by this code, or this machine computes otherwise, train it anew here",
        )
