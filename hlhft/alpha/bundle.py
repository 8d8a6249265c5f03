"""A model folder: what it says of itself, and the checks that it passes before anybody believes it. Needs no torch.

MODEL/ holds `bundle.json` (this record), `model.onnx` (raw feature rows in, calibrated probabilities and moves out),
`model.safetensors` (the same for torch, with stored probes) and the card, `card.json` and `card.html`. The first three
are what is served: their hashes stand in the record and make the model's id. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hlhft.alpha.dataset import AnySchema
from hlhft.alpha.foreign_schema import ForeignSchema
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.model_files import read_bounded
from hlhft.alpha.models.config import ModelConfig, ModelConfigError
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import BLOCKS, Range

if TYPE_CHECKING:
    from hlhft.alpha.predicting import Predictor

VERSION = 1
RECORD, GRAPH, WEIGHTS = "bundle.json", "model.onnx", "model.safetensors"
CARD, CARD_PAGE = "card.json", "card.html"
SERVED = (GRAPH, WEIGHTS)
# A LiT of d = 64 is below one megabyte.
BYTES_MAX: Final = {RECORD: 4 * 1024**2, GRAPH: 256 * 1024**2, WEIGHTS: 256 * 1024**2}
PARITY = 1e-4  # torch and ONNX Runtime are held to each other, probabilities and relative moves
MODEL_ID_BITS = 63


class BundleError(Exception):
    """A model folder that is not to be used; the sentence says which file, what is wrong and what to do."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model was made of and from; one of `features` and `foreign` is None."""

    version: int = VERSION
    model_id: int  # 63 bits, of the hashes of `files`; never 0
    features: FeatureSchema | None  # None: the columns came with somebody else's data set, and no live feed has them
    foreign: ForeignSchema | None
    schema_hash: str
    profile: str  # of the feed that the rows of training came by; nothing where they were no feed's
    length: int  # rows of a window
    horizons: tuple[LabelSpec, ...]
    config: ModelConfig
    ranges: dict[str, tuple[Range, ...]]  # by block: train, stop, calibrate, test
    embargo_ns: int
    lowest: tuple[float, ...]  # of each column in the train block, widened; a row outside is none that it knows
    highest: tuple[float, ...]
    seed: int
    code_key: str  # of the code that computed the features
    hlhft: str  # version
    files: dict[str, str]  # sha256 of what is served

    @property
    def schema(self) -> AnySchema:
        """The columns' schema, ours or foreign."""
        found = self.features if self.features is not None else self.foreign
        assert found is not None, "a loaded bundle has one"
        return found

    @property
    def fitted_ranges(self) -> tuple[Range, ...]:
        """What it was fitted, stopped and calibrated on: no backtest may meet it."""
        return tuple(one for name in BLOCKS[:3] for one in self.ranges.get(name, ()))


def model_id_of(files: dict[str, str]) -> int:
    """63 bits over names and hashes, never 0: the same files are the same model."""
    digest = hashlib.sha256("\n".join(f"{name} {files[name]}" for name in sorted(files)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - MODEL_ID_BITS)) or 1


def model_folder(path: Path) -> Path:
    """`path`, or the folder `model` in it where that is the one that holds a record: a run of training is named too."""
    inner = path / "model"
    return inner if not (path / RECORD).exists() and (inner / RECORD).exists() else path


def load_bundle(folder: Path) -> Bundle:
    """The record of a model folder whose served files are whole, of bounded size, and what the record says they are.

    Raises BundleError otherwise. What the graph computes is checked by `predictor`.
    """
    path = folder / RECORD
    try:
        bundle = msgspec.json.decode(_read(path), type=Bundle)
    except (msgspec.DecodeError, ModelConfigError, ValueError) as error:
        raise BundleError(path, f"this is no model record of this release ({error}), train the model anew") from None
    _check_record(path, bundle)
    for name in SERVED:
        content = _read(folder / name)
        if hashlib.sha256(content).hexdigest() != bundle.files[name]:
            raise BundleError(
                folder / name,
                f"the file is not the one that {RECORD} names (other sha256), copy the folder again whole",
            )
    return bundle


def served_bytes(bundle: Bundle, folder: Path, name: str) -> bytes:
    """A served file, read once and held against its hash, so that what is checked is what is used.

    Raises BundleError when it changed since.
    """
    content = _read(folder / name)
    if hashlib.sha256(content).hexdigest() != bundle.files[name]:
        raise BundleError(folder / name, f"the file changed since {RECORD} was read, copy the folder again whole")
    return content


def predictor(
    bundle: Bundle, folder: Path, *, engine: str = "onnx", threads: int = 1, device: str = "cpu"
) -> Predictor:
    """What computes the model, by ONNX Runtime ("onnx") or torch ("torch"), after it gave the stored probes' answers.

    `device` is torch's: "cpu", "cuda" or "auto". Raises BundleError for a file that is none or that answers otherwise,
    MissingExtra without the packages.
    """
    from hlhft.alpha.predicting import load_predictor

    return load_predictor(bundle, folder, engine=engine, threads=threads, device=device)


def _read(path: Path) -> bytes:
    return read_bounded(path, BYTES_MAX[path.name], BundleError, what="model", writer="hlhft train")


def _check_record(path: Path, bundle: Bundle) -> None:
    """Raises BundleError when the record does not fit itself."""
    if bundle.version != VERSION:
        raise BundleError(path, f"version {bundle.version}, expected {VERSION}, train the model anew")
    if (bundle.features is None) == (bundle.foreign is None):
        raise BundleError(path, "it names not one feature schema, train the model anew")
    schema, config = bundle.schema, bundle.config
    if schema.hash != bundle.schema_hash:
        raise BundleError(
            path,
            f"feature schema {bundle.schema_hash} is not the one computed here ({schema.hash}), use the release that "
            "the model was trained with, or train it anew",
        )
    if sorted(bundle.files) != sorted(SERVED) or bundle.model_id != model_id_of(bundle.files):
        raise BundleError(path, "its files and its model id do not belong together, copy the folder again whole")
    columns = len(schema.names)
    stated = {
        "features": (config.features, columns),
        "levels": (config.levels, schema.levels),
        "imbalance column": (config.imbalance_column, schema.imbalance_column),
        "window length": (config.length, bundle.length),
        "horizons": (config.horizons, len(bundle.horizons)),
        "lowest values": (len(bundle.lowest), columns),
        "highest values": (len(bundle.highest), columns),
    }
    for name, (found, expected) in stated.items():
        if found != expected:
            raise BundleError(path, f"{name}: {found}, expected {expected}, train the model anew")
    pairs = zip(bundle.lowest, bundle.highest, strict=True)
    if not all(math.isfinite(low) and math.isfinite(high) and low <= high for low, high in pairs):
        raise BundleError(path, "its lowest and highest values are no ranges, train the model anew")
