"""A trained and calibrated network becomes a model folder: ONNX, safetensors and JSON, whole or not there at all.

ONNX Runtime is held to torch on windows of the train block before anything gets its name, and these windows with their
answers go along, so that every later load is held to them too.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike
from safetensors.torch import save

from hlhft.alpha.bundle import GRAPH, RECORD, WEIGHTS, Bundle, predictor
from hlhft.alpha.models.calibrated import Calibrated
from hlhft.alpha.predicting import INPUT, OUTPUTS, PROBE, PROBES
from hlhft.data.writing import write_file

# Every operator that the networks use, layer normalisation the last of them, is in it; runtimes read it for years.
OPSET = 17


def graph_bytes(network: Calibrated) -> bytes:
    """The ONNX graph: `rows` float32[batch, length, features] in, `p`, `mu_bp` and `sigma_bp` out, any batch."""
    config = network.network.config
    rows = torch.zeros(1, config.length, config.features)
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter that traces says that a newer one exists, which takes fifty times as long for the same graph, and
        # that an LSTM's batch might be fixed, which it is not: probes of another batch are run through the graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (rows,),
            stream,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *OUTPUTS)},
        )
    return stream.getvalue()


def weights_bytes(network: Calibrated, probes: torch.Tensor) -> bytes:
    """The safetensors: all weights and buffers, and the probes with their answers."""
    with torch.inference_mode():
        answers = network.eval()(probes)
    tensors = {name: value.detach().contiguous().clone() for name, value in network.state_dict().items()}
    tensors |= {PROBE + INPUT: probes.contiguous()}
    tensors |= {PROBE + name: value.contiguous().clone() for name, value in zip(OUTPUTS, answers, strict=True)}
    return bytes(save(tensors))


def write_model(
    folder: Path, network: Calibrated, record: Bundle, probes: np.ndarray, more: Mapping[str, bytes] | None = None
) -> Bundle:
    """Writes the whole folder and returns its record, with hashes and id; `more` are other files of it, the card.

    `probes` float32[k, length, features], 1 to PROBES windows; `record` is completed here. A folder that was there is
    replaced when the new one is whole and has answered alike in ONNX Runtime. Raises BundleError when it does not, then
    nothing has changed.
    """
    given = torch.from_numpy(np.array(probes[:PROBES], np.float32))
    network = network.to("cpu").float()
    content = {GRAPH: graph_bytes(network), WEIGHTS: weights_bytes(network, given)}
    files = {name: hashlib.sha256(part).hexdigest() for name, part in content.items()}
    record = complete(record, files)
    writing = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(writing, ignore_errors=True)
    writing.mkdir(parents=True)
    try:
        for name, part in content.items():
            write_file(writing / name, part)
        write_file(writing / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
        predictor(record, writing, engine="onnx")
        add_files(writing, more or {})
        replace_folder(writing, folder)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    return record


def complete(record: Bundle, files: dict[str, str]) -> Bundle:
    """The record with the hashes of what is served, and the id that follows from them."""
    from hlhft.alpha.bundle import model_id_of

    return msgspec.structs.replace(record, files=files, model_id=model_id_of(files))


def add_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes further files into a model folder, each whole or not at all."""
    for name, part in files.items():
        write_file(folder / name, part)


def replace_folder(new: Path, folder: Path) -> None:
    """Gives `new` the name `folder`; what had the name is removed after that."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def widened(lowest: ArrayLike, highest: ArrayLike) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Ranges of the train block's columns, wider by half their width on each side, and by 1e-3 where they have none.

    Later rows leave the narrow range by chance; ten times as far out, the network was never asked.
    """
    low, high = np.asarray(lowest, np.float64), np.asarray(highest, np.float64)
    more = np.maximum(0.5 * (high - low), 1e-3)
    return tuple(map(float, low - more)), tuple(map(float, high + more))
