"""States of training on disk: given back whole, and refused when damaged or of another run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
import torch

from hlhft.alpha.checkpoints import (
    STATE,
    CheckpointError,
    Epoch,
    State,
    load_state,
    of_prefix,
    optimiser_numbers,
    prefixed,
    restore_optimiser,
    save_state,
)

pytestmark = pytest.mark.alpha

NUMBERS = {"a.x": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}


def state(*losses: float) -> State:
    history = tuple(Epoch(train_loss=1.0, stop_nll=loss, samples_per_s=10.0) for loss in losses)
    return State(key="k", schema_hash="s", seed=4, history=history, numbers="", sha256="")


def load(folder: Path, key: str = "k", schema_hash: str = "s", seed: int = 4) -> tuple[State, dict] | None:
    return load_state(folder, key=key, schema_hash=schema_hash, seed=seed)


def test_what_was_saved_is_given_back(tmp_path: Path) -> None:
    written = save_state(tmp_path / "run", state(1.0, 0.5), NUMBERS)
    found = load(tmp_path / "run")
    assert found is not None and found[0] == written
    assert all(torch.equal(found[1][name], value) for name, value in NUMBERS.items())


def test_a_folder_without_a_state_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_only_the_newest_numbers_are_kept(tmp_path: Path) -> None:
    save_state(tmp_path, state(1.0), NUMBERS)
    save_state(tmp_path, state(1.0, 0.9), NUMBERS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00002.safetensors", STATE]


def test_numbers_that_a_kill_left_behind_do_not_count(tmp_path: Path) -> None:
    written = save_state(tmp_path, state(1.0), NUMBERS)
    (tmp_path / "epoch-00002.safetensors").write_bytes(b"half")
    found = load(tmp_path)
    assert found is not None and found[0] == written


def test_the_best_is_the_first_of_the_lowest() -> None:
    assert [state().best, state(2.0, 1.0, 1.0, 3.0).best] == [-1, 1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"key": "other"}, "of a run on other data"),
        ({"seed": 5}, "another seed"),
        ({"schema_hash": "other"}, "trained on feature schema s, and the data have other"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, change: dict, sentence: str) -> None:
    save_state(tmp_path, state(1.0), NUMBERS)
    with pytest.raises(CheckpointError, match=sentence):
        load(tmp_path, **change)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / save_state(tmp_path, state(1.0), NUMBERS).numbers
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="not the one that"):
        load(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / save_state(tmp_path, state(1.0), NUMBERS).numbers).unlink()
    with pytest.raises(CheckpointError, match="the file is missing"):
        load(tmp_path)


def test_a_pickle_under_the_right_hash_is_not_read(tmp_path: Path) -> None:
    written = save_state(tmp_path, state(1.0), NUMBERS)
    torch.save(NUMBERS, tmp_path / written.numbers)
    content = (tmp_path / written.numbers).read_bytes()
    forged = msgspec.structs.replace(written, sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / STATE).write_bytes(msgspec.json.encode(forged))
    with pytest.raises(CheckpointError, match="no safetensors file"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"version": 1'])
def test_a_foreign_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(CheckpointError, match="no state of a training run"):
        load(tmp_path)


def test_a_state_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    written = save_state(tmp_path / "run", state(1.0), NUMBERS)
    forged = msgspec.structs.replace(written, numbers="../epoch-00001.safetensors")
    (tmp_path / "run" / STATE).write_bytes(msgspec.json.encode(forged))
    with pytest.raises(CheckpointError, match="which is not beside it"):
        load(tmp_path / "run")


def test_prefixes_come_off_again() -> None:
    assert of_prefix("n", prefixed("n", {"a": torch.ones(1)}) | prefixed("nn", {"b": torch.ones(1)})).keys() == {"a"}


def test_an_optimiser_goes_on_as_if_never_stopped() -> None:
    def steps(part: torch.nn.Linear, optimiser: torch.optim.Optimizer, count: int) -> None:
        for place in range(count):
            optimiser.zero_grad()
            part(torch.full((1, 3), float(place))).square().sum().backward()
            optimiser.step()

    torch.manual_seed(0)
    whole = torch.nn.Linear(3, 2)
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(whole.state_dict())
    steps(whole, first := torch.optim.AdamW(whole.parameters(), 0.1), 3)
    steps(other, half := torch.optim.AdamW(other.parameters(), 0.1), 3)
    again = torch.optim.AdamW(other.parameters(), 0.1)
    restore_optimiser(again, optimiser_numbers(half))
    steps(whole, first, 2)
    steps(other, again, 2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), other.parameters()))
