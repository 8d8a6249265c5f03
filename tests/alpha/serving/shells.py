"""An alpha process without a model's libraries: a stand-in that computes, and a shell beside an engine's link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hlhft.alpha.serving.loading import Answer, Served
from hlhft.alpha.serving.machine import Settings
from hlhft.alpha.serving.messages import Model
from hlhft.alpha.serving.shell import Places, Shell
from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.wire import hash_bytes
from tests.alpha.linked import SCHEMA, Linked, until

LENGTH = 4
MODEL_ID = 77


def served(*, model_id: int = MODEL_ID, length: int = LENGTH, schema: bytes | None = None, move: float = 1.0) -> Served:
    """A model whose move is `move` times the first value of the newest row."""
    columns = SCHEMA.columns

    def ask(window: np.ndarray) -> Answer:
        assert window.shape == (1, length, columns)
        return Answer(np.array([0.25, 0.25, 0.5], np.float32), move * float(window[0, -1, 0]), 2.0)

    bounds = Bounds(np.full(columns, -2.0), np.full(columns, 2.0))
    return Served(Model(model_id, schema or hash_bytes(SCHEMA.hash), length, columns, bounds), ask)


def places_of(linked: Linked) -> Places:
    there = linked.places
    return Places(features=there.features, snapshot=there.snapshot, signals=there.signals)


def shell_beside(linked: Linked, **changes: Any) -> Shell:
    """A shell that serves beside a link, on the same loop."""
    settings = Settings(beat_ns=50_000_000, ask_ns=50_000_000, stale_ns=2_000_000_000)
    model = changes.pop("served", None) or served()
    shell = Shell(places_of(linked), model, settings=settings, **changes)
    shell.start()
    return shell


async def signals_come(linked: Linked, number: list[int]) -> None:
    """Publishes rows until a signal is believed; `number` holds the newest row's."""
    before = linked.link.counters["signals"]

    def is_believed() -> bool:
        number[0] += 1
        linked.publish((0, number[0]))
        return linked.link.counters["signals"] > before

    await until(is_believed)


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "bundle.json").write_text(name)
    return folder
