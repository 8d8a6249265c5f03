"""A policy folder: what a policy says of itself, the checks it passes before anybody believes it, and what it answers.

POLICY/ holds `policy.json` (this record), `policy.safetensors` (weights, the numbers that observations are normalised
with, probes and their answers), `policy.onnx` (the same as a graph) and the card, `card.json` and `card.html`. The
first three are what is served: hashes of the latter two stand in the record and make the policy's id. Nothing is ever
unpickled, and nothing here needs torch.

A policy is a small perceptron: observations, normalised and clipped, through layers of tanh to one number for each
action that it has, within -1..1; actions that it does not have are 0, and so are all where its weight is 0.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from hlhft import __version__
from hlhft.alpha import action, observation
from hlhft.alpha.model_files import read_bounded
from hlhft.compiled import running_key
from hlhft.report.origins import Origin, Span

VERSION = 1
RECORD, GRAPH, WEIGHTS = "policy.json", "policy.onnx", "policy.safetensors"
CARD, CARD_PAGE = "card.json", "card.html"
SERVED = (GRAPH, WEIGHTS)
BYTES_MAX: Final = {RECORD: 4 * 1024**2, GRAPH: 64 * 1024**2, WEIGHTS: 64 * 1024**2}
LAYERS_MAX, WIDTH_MAX = 8, 1024
NORMALISED_MAX = 10.0  # a normalised observation is clipped here, in training and after
PROBES_MAX = 64
PARITY = 1e-4  # ONNX Runtime and what is computed here are held to each other
INPUT, OUTPUT = "observation", "action"
_PARAMS_MAX = 64
_HEADER_MAX = 1024**2

# A safetensors file is a length, a JSON header and the tensors: small enough to be read here, so that serving a policy
# needs no package for it (github.com/huggingface/safetensors, "Format").
_DTYPES = {"F32": np.dtype("<f4")}


class PolicyError(Exception):
    """A policy folder that is not to be used; the sentence says which file, what is wrong and what to do."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")


class Steered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The closed form that a policy steers, as it was tuned, and where that was done."""

    strategy: str
    params: dict[str, float]  # all of them, defaults filled in
    latency: str
    queue: str
    fees: str
    decision_s: float
    delay_ms: float
    valid_s: float
    eta: float
    drawdown_weight: float
    close_bp: float


class PolicyRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy was made of and from."""

    version: int = VERSION
    policy_id: int  # 63 bits, of the hashes of `files`, never 0
    observation: tuple[str, ...]
    observation_hash: str
    actions: tuple[str, ...]  # those that it has, in the order of its outputs
    action_bounds: dict[str, tuple[float, float]]  # what -1 and 1 stand for
    hidden: tuple[int, ...]
    weight: float  # 0: no gain was found, and it does nothing
    steered: Steered
    # What it was tuned and trained on (train), chosen on (chosen) and judged on (test). A simulated path is no range:
    # no backtest can meet it.
    ranges: dict[str, tuple[Span, ...]]
    embargo_ns: int
    paths: str  # what it was trained on, in words
    seed: int
    code_key: str
    hlhft: str
    files: dict[str, str]  # sha256 of what is served

    @property
    def origin(self) -> Origin:
        """What a backtest has to know: it may not meet what the policy was made from."""
        return Origin(what=f"policy {self.policy_id:016x}", blocks=self.ranges, embargo_ns=self.embargo_ns)


ACTION_BOUNDS: dict[str, tuple[float, float]] = {
    "gamma": (0.25, 4.0),
    "signal_weight": (0.0, 2.0),
    "spread": (0.5, 2.0),
    "asymmetry": (-0.5, 0.5),
}


def observation_hash() -> str:
    """32 hexadecimal digits that name what a policy sees in this release."""
    return hashlib.blake2b(observation.DEFINITION.encode(), digest_size=16).hexdigest()


def policy_id_of(files: Mapping[str, str]) -> int:
    """63 bits over names and hashes, never 0: the same files are the same policy."""
    digest = hashlib.sha256("\n".join(f"{name} {files[name]}" for name in sorted(files)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


def new_record(**fields: Any) -> PolicyRecord:
    """A record of this release; files and id are filled in when it is written."""
    return PolicyRecord(
        policy_id=0, observation=observation.NAMES, observation_hash=observation_hash(), action_bounds=ACTION_BOUNDS,
        code_key=running_key(), hlhft=__version__, files={}, **fields,
    )  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """The perceptron in numpy. Layers are (float32[out, in], float32[out]); the last gives one number an action."""

    mean: np.ndarray  # float32[O]
    scale: np.ndarray  # float32[O], above 0
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    columns: tuple[int, ...]  # of hlhft.alpha.action.NAMES
    weight: float = 1.0

    def act(self, observations: np.ndarray) -> np.ndarray:
        """float32[N, 4] for float32[N, O]: all within -1..1, 0 for what is no number."""
        # Nothing that is observed here lies outside; what comes from elsewhere may.
        seen = np.clip(np.nan_to_num(observations), -observation.LIMIT, observation.LIMIT)
        value = np.clip((seen - self.mean) / self.scale, -NORMALISED_MAX, NORMALISED_MAX)
        for number, (weights, bias) in enumerate(self.layers):
            value = value @ weights.T + bias
            if number < len(self.layers) - 1:
                value = np.tanh(value)
        actions = np.zeros((len(observations), action.SIZE), np.float32)
        actions[:, self.columns] = np.clip(np.nan_to_num(value, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        return (actions * np.float32(self.weight)).astype(np.float32)

    def tensors(self, probes: np.ndarray) -> dict[str, np.ndarray]:
        """By name, as they stand in the file; `probes` float32[k, O] and what is answered to them among them."""
        tensors = {"mean": self.mean, "scale": self.scale, "probes": probes, "answers": self.act(probes)}
        for number, (weights, bias) in enumerate(self.layers):
            tensors[f"layer.{number}.weight"], tensors[f"layer.{number}.bias"] = weights, bias
        return {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}


def write_tensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file of float32 tensors."""
    header: dict[str, object] = {}
    content = b""
    for name, tensor in sorted(tensors.items()):
        part = tensor.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": (len(content), len(content) + len(part))}
        content += part
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_tensors(path: Path, content: bytes) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file. Raises PolicyError for one that is damaged, cut off or not of float32."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(len(content) - 8, _HEADER_MAX):
        raise PolicyError(path, "this is no safetensors file, or it was cut off; copy the folder again whole")
    try:
        header = msgspec.json.decode(content[8 : 8 + size], type=dict[str, Any])
        header.pop("__metadata__", None)
        entries = msgspec.convert(header, dict[str, _Entry])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise PolicyError(path, f"its header cannot be read ({error}), copy the folder again whole") from None
    data = content[8 + size :]
    tensors = {}
    for name, entry in entries.items():
        first, last = entry.data_offsets
        count = math.prod(entry.shape)
        fits = 0 <= first <= last <= len(data) and min(entry.shape, default=1) >= 0
        if entry.dtype not in _DTYPES or not fits or last - first != count * 4:
            raise PolicyError(path, f"tensor {name} is not what its header says, copy the folder again whole")
        tensors[name] = np.frombuffer(data[first:last], _DTYPES["F32"]).reshape(entry.shape).astype(np.float32)
    return tensors


class Policy:
    """A loaded policy. `act` answers one observation or many."""

    def __init__(self, record: PolicyRecord, weights: Weights) -> None:
        self.record = record
        self.weights = weights

    def act(self, observations: np.ndarray) -> np.ndarray:
        """float32[N, 4] for float32[N, O], float32[4] for float32[O]; see hlhft.alpha.action."""
        one = observations.ndim == 1
        actions = self.weights.act(observations[np.newaxis] if one else observations)
        return actions[0] if one else actions


def load_policy(folder: Path) -> Policy:
    """The policy in a folder whose files are whole, of bounded size, what its record says, and of this release's
    observation; its probes were answered as when it was written.

    Raises PolicyError otherwise.
    """
    path = folder / RECORD
    try:
        record = msgspec.json.decode(_read(path), type=PolicyRecord)
    except (msgspec.DecodeError, ValueError) as error:
        raise PolicyError(path, f"this is no policy record of this release ({error}), train the policy anew") from None
    _check_record(path, record)
    contents = {name: _read(folder / name) for name in SERVED}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != record.files[name]:
            raise PolicyError(
                folder / name,
                f"the file is not the one that {RECORD} names (other sha256), copy the folder again whole",
            )
    return Policy(record, _weights(folder / WEIGHTS, record, read_tensors(folder / WEIGHTS, contents[WEIGHTS])))


def _read(path: Path) -> bytes:
    return read_bounded(path, BYTES_MAX[path.name], PolicyError, what="policy", writer="hlhft policy train")


def _check_record(path: Path, record: PolicyRecord) -> None:
    """Raises PolicyError when the record does not fit itself or this release."""
    if record.version != VERSION:
        raise PolicyError(path, f"version {record.version}, expected {VERSION}, train the policy anew")
    if record.observation_hash != observation_hash() or record.observation != observation.NAMES:
        raise PolicyError(
            path,
            f"it sees {record.observation_hash}, this release shows {observation_hash()}; use the release that the "
            "policy was trained with, or train it anew",
        )
    names = record.actions
    if not names or len(set(names)) != len(names) or not set(names) <= set(action.NAMES):
        raise PolicyError(path, f"its actions {', '.join(names) or '(none)'} are not those of this release")
    if record.action_bounds != ACTION_BOUNDS:
        raise PolicyError(path, "its actions have other bounds than this release's, train the policy anew")
    if len(record.hidden) > LAYERS_MAX or not all(1 <= width <= WIDTH_MAX for width in record.hidden):
        raise PolicyError(path, f"its layers {record.hidden} are no perceptron of ours")
    if not 0.0 <= record.weight <= 1.0 or len(record.steered.params) > _PARAMS_MAX:
        raise PolicyError(path, "its weight or the parameters that it steers make no sense, train the policy anew")
    if sorted(record.files) != sorted(SERVED) or record.policy_id != policy_id_of(record.files):
        raise PolicyError(path, "its files and its policy id do not belong together, copy the folder again whole")


def _weights(path: Path, record: PolicyRecord, tensors: dict[str, np.ndarray]) -> Weights:
    """The perceptron, of the shapes that the record says, all finite, its probes answered. Raises PolicyError."""
    widths = (observation.SIZE, *record.hidden, len(record.actions))
    shapes: dict[str, tuple[int, ...]] = {"mean": (widths[0],), "scale": (widths[0],)}
    for number in range(len(widths) - 1):
        shapes[f"layer.{number}.weight"] = (widths[number + 1], widths[number])
        shapes[f"layer.{number}.bias"] = (widths[number + 1],)
    count = len(tensors["probes"]) if "probes" in tensors and tensors["probes"].ndim == 2 else 0
    shapes |= {"probes": (count, widths[0]), "answers": (count, action.SIZE)}
    if not 1 <= count <= PROBES_MAX or {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        raise PolicyError(path, f"its tensors are not those of a perceptron of widths {widths}, train the policy anew")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()) or not (tensors["scale"] > 0.0).all():
        raise PolicyError(path, "some of its weights are no finite numbers, train the policy anew")
    weights = Weights(
        mean=tensors["mean"],
        scale=tensors["scale"],
        layers=tuple((tensors[f"layer.{n}.weight"], tensors[f"layer.{n}.bias"]) for n in range(len(widths) - 1)),
        columns=tuple(action.NAMES.index(name) for name in record.actions),
        weight=record.weight,
    )
    if not np.abs(weights.act(tensors["probes"]) - tensors["answers"]).max() <= PARITY:
        raise PolicyError(path, "it answers otherwise than when it was written, copy the folder again whole")
    return weights
