"""A model record for tests, and a folder whose served files are whatever bytes a test wants."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from hlhft.alpha.bundle import GRAPH, RECORD, WEIGHTS, Bundle, model_id_of
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.config import LitConfig
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import Range

SCHEMA = FeatureSchema(levels=2, half_life_ms=640)


def lit(**changes: Any) -> LitConfig:
    sizes: dict[str, Any] = {
        "features": SCHEMA.columns, "levels": SCHEMA.levels, "imbalance_column": SCHEMA.imbalance_column,
        "length": 8, "width": 16, "heads": 2, "layers": 1, "feed_forward": 32, "lstm_width": 16, "flow_tokens": True,
    }  # fmt: skip
    return LitConfig(**{**sizes, **changes})


def record(**changes: Any) -> Bundle:
    """A record that fits itself, but for files and id."""
    values: dict[str, Any] = {
        "model_id": 1,
        "features": SCHEMA,
        "foreign": None,
        "schema_hash": SCHEMA.hash,
        "profile": "recorded",
        "length": 8,
        "horizons": (LabelSpec(name="next", horizon_ms=200),),
        "config": lit(),
        "ranges": {
            name: (Range(coin="BTC", from_ns=place * 100, to_ns=place * 100 + 50),)
            for place, name in enumerate(("train", "stop", "calibrate", "test"))
        },
        "embargo_ns": 5,
        "lowest": (-5.0,) * SCHEMA.columns,
        "highest": (5.0,) * SCHEMA.columns,
        "seed": 3,
        "code_key": "key",
        "hlhft": "0",
        "files": {},
    }
    return Bundle(**{**values, **changes})


def folder_of(folder: Path, bundle: Bundle, graph: bytes = b"graph", weights: bytes = b"weights") -> Bundle:
    """Writes a folder that hashes as it says, and returns its record."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, content in ((GRAPH, graph), (WEIGHTS, weights)):
        (folder / name).write_bytes(content)
        files[name] = hashlib.sha256(content).hexdigest()
    whole = msgspec.structs.replace(bundle, files=files, model_id=model_id_of(files))
    (folder / RECORD).write_bytes(msgspec.json.encode(whole))
    return whole
