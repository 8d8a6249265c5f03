"""A training run's state on disk: numbers as safetensors, everything else as JSON, one whole pair at any time.

The JSON names the file of numbers, its hash, and the key of the run: what data, split, network, options and seed it is
of. Resuming takes a state whose key is the run's own, and no other. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hlhft.alpha.training_options import EPOCHS_MAX
from hlhft.data.writing import write_file

VERSION = 1
STATE = "state.json"
STATE_BYTES_MAX = 4 * 1024**2
NUMBERS_BYTES_MAX = 4 * 1024**3


class CheckpointError(Exception):
    """A state that cannot be gone on from; the sentence says which file, why, and what to do."""


class Epoch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an epoch came to."""

    train_loss: float
    stop_nll: float  # of the weights as judged: averaged ones where there are any
    samples_per_s: float


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A seed's training after some whole epochs."""

    version: int = VERSION
    key: str
    schema_hash: str
    seed: int
    history: tuple[Epoch, ...]
    numbers: str  # file beside this one
    sha256: str  # of that file

    @property
    def best(self) -> int:
        """The place of the epoch with the lowest NLL on the stop block, the first of equals; -1 before any."""
        losses = [epoch.stop_nll for epoch in self.history]
        return losses.index(min(losses)) if losses else -1


def save_state(folder: Path, state: State, numbers: Mapping[str, Tensor]) -> State:
    """Writes numbers, then the state that names them, then removes the numbers before; returns the state as written."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: value.detach().cpu().contiguous().clone() for name, value in numbers.items()})
    name = f"epoch-{len(state.history):05d}.safetensors"
    state = msgspec.structs.replace(state, numbers=name, sha256=hashlib.sha256(content).hexdigest())
    write_file(folder / name, content)
    write_file(folder / STATE, msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
    for path in folder.glob("epoch-*.safetensors"):
        if path.name != name:
            path.unlink()
    return state


def load_state(folder: Path, *, key: str, schema_hash: str, seed: int) -> tuple[State, dict[str, Tensor]] | None:
    """The state in the folder with its numbers; None where none was written yet.

    Raises CheckpointError when it is damaged, or of another schema, run or seed.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state = msgspec.json.decode(_read(path, STATE_BYTES_MAX), type=State)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path}: this is no state of a training run ({error}), start anew without it") from None
    if state.version != VERSION or len(state.history) > EPOCHS_MAX:
        raise CheckpointError(f"{path}: it was written by another release, start anew without it")
    if state.schema_hash != schema_hash:
        raise CheckpointError(
            f"{path}: it was trained on feature schema {state.schema_hash}, and the data have {schema_hash}, give "
            "the data and options that it began with, or start anew in another folder"
        )
    if state.key != key or state.seed != seed:
        raise CheckpointError(
            f"{path}: it is of a run on other data, with other options or another seed, give those that it began with, "
            "or start anew in another folder"
        )
    if Path(state.numbers).name != state.numbers:
        raise CheckpointError(f"{path}: it names {state.numbers}, which is not beside it, start anew without it")
    content = _read(folder / state.numbers, NUMBERS_BYTES_MAX)
    if hashlib.sha256(content).hexdigest() != state.sha256:
        raise CheckpointError(
            f"{folder / state.numbers}: the file is not the one that {STATE} names (other sha256), start anew in "
            "another folder"
        )
    try:
        return state, load(content)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / state.numbers}: this is no safetensors file ({error})") from None


def prefixed(prefix: str, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same under longer names."""
    return {f"{prefix}.{name}": value for name, value in numbers.items()}


def of_prefix(prefix: str, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that `prefixed` named so, under their own names; none is an empty one."""
    return {name[len(prefix) + 1 :]: value for name, value in numbers.items() if name.startswith(prefix + ".")}


def optimiser_numbers(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers of each parameter, by place and name."""
    kept = optimiser.state_dict()["state"]
    return {f"{place}.{name}": torch.as_tensor(value) for place, one in kept.items() for name, value in one.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, numbers: Mapping[str, Tensor]) -> None:
    """Gives the optimiser back what `optimiser_numbers` took."""
    whole = optimiser.state_dict()
    for full, value in numbers.items():
        place, _, name = full.partition(".")
        whole["state"].setdefault(int(place), {})[name] = value
    optimiser.load_state_dict(whole)


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        if path.stat().st_size > bytes_max:
            raise CheckpointError(f"{path}: the file is larger than {bytes_max} bytes, start anew without it")
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing, start anew without its folder") from None
