"""A trained policy becomes a policy folder: safetensors, ONNX, JSON and its card, whole or not there at all."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import torch

from hlhft.alpha import action, observation
from hlhft.alpha.exporting import OPSET
from hlhft.alpha.policy import (
    CARD,
    CARD_PAGE,
    GRAPH,
    INPUT,
    NORMALISED_MAX,
    OUTPUT,
    PARITY,
    PROBES_MAX,
    RECORD,
    SERVED,
    WEIGHTS,
    PolicyError,
    PolicyRecord,
    Weights,
    load_policy,
    policy_id_of,
    write_tensors,
)
from hlhft.backtest.runs import replace_folder
from hlhft.data.writing import write_file

FILES = (*SERVED, RECORD, CARD, CARD_PAGE)


class _Network(torch.nn.Module):
    """The perceptron of `Weights` in torch: raw observations in, four actions out."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(weights.mean))
        self.register_buffer("scale", torch.from_numpy(weights.scale))
        parts: list[torch.nn.Module] = []
        for number, (matrix, bias) in enumerate(weights.layers):
            layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0])
            layer.weight.data, layer.bias.data = torch.from_numpy(matrix), torch.from_numpy(bias)
            parts += [torch.nn.Tanh(), layer] if number else [layer]
        self.layers = torch.nn.Sequential(*parts)
        places = torch.zeros(len(weights.columns), action.SIZE)
        for row, column in enumerate(weights.columns):
            places[row, column] = weights.weight
        self.register_buffer("places", places)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """float32[N, 4] for float32[N, O]."""
        bounded = torch.clamp(seen, -observation.LIMIT, observation.LIMIT)
        normalised = torch.clamp((bounded - self.mean) / self.scale, -NORMALISED_MAX, NORMALISED_MAX)
        return torch.clamp(self.layers(normalised), -1.0, 1.0) @ self.places


def graph_bytes(weights: Weights) -> bytes:
    """The ONNX graph, `observation` float32[batch, O] in, `action` float32[batch, 4] out."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # as hlhft.alpha.exporting: the newer exporter is fifty times as slow
        torch.onnx.export(
            _Network(weights).eval(),
            (torch.zeros(1, observation.SIZE),),
            stream,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )
    return stream.getvalue()


def write_policy_folder(
    folder: Path, weights: Weights, record: PolicyRecord, probes: np.ndarray, card: bytes, page: str
) -> PolicyRecord:
    """Writes the whole folder and returns its record, with hashes and id; an earlier policy there is replaced when the
    new one is whole. `probes` float32[k, O], of which at most PROBES_MAX are kept.

    ONNX Runtime is held to numpy on the probes before anything gets its name. Raises PolicyError when they differ,
    RunError for a folder that holds something else, and OSError when it cannot be written.
    """
    probes = np.ascontiguousarray(probes[:PROBES_MAX], np.float32)
    numbers = [weights.mean, weights.scale, *(part for layer in weights.layers for part in layer)]
    if not all(np.isfinite(part).all() for part in numbers):
        raise PolicyError(folder, "some of its weights are no finite numbers: the training diverged, train it anew")
    graph = graph_bytes(weights)
    found = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {INPUT: probes})[0]
    difference = float(np.abs(found - weights.act(probes)).max())
    if not difference <= PARITY:
        raise PolicyError(folder / GRAPH, f"the graph answers otherwise than the weights, by {difference:g}")
    contents = {GRAPH: graph, WEIGHTS: write_tensors(weights.tensors(probes))}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    whole = msgspec.structs.replace(record, files=files, policy_id=policy_id_of(files), weight=weights.weight)
    contents[RECORD] = msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
    contents[CARD], contents[CARD_PAGE] = card, page.encode()

    def write(fresh: Path) -> None:
        for name, content in contents.items():
            write_file(fresh / name, content)
        load_policy(fresh)

    replace_folder(folder, FILES, write)
    return whole
