"""A model folder evaluated again: its own test block where the data hold it, other data split anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft.alpha.bundle import BundleError, load_bundle
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation.evaluating import Options
from hlhft.alpha.evaluation.folder import Wish, dataset_for, evaluate_folder, split_for
from hlhft.alpha.evaluation.result import Code
from hlhft.alpha.splits import Split
from hlhft.alpha.trials import TrialLog
from hlhft.data.errors import DataError
from tests.alpha.datasets import SECOND_NS, every, write
from tests.alpha.evaluation.models import trained
from tests.alpha.planted import planted
from tests.alpha.records import record
from tests.alpha.test_prepare import LABELS, SCHEMA, frames, recording

pytestmark = pytest.mark.alpha

Made = tuple[Dataset, Split, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return trained(tmp_path_factory.mktemp("model"))


def wish(data_dir: Path, tmp_path: Path) -> Wish:
    options = Options(resamples=100, rivals=("majority", "imbalance"))
    return Wish(data_dir=data_dir, profile="recorded", trials=tmp_path / "trials.jsonl", options=options)


def test_its_own_test_block_is_opened_and_logged(made: Made, tmp_path: Path) -> None:
    dataset, split, folder = made
    found = evaluate_folder(folder, wish(dataset.folder, tmp_path))
    assert not found.in_sample and found.title == "LiT"
    assert found.horizons[0].rows == len(split.test.rows)
    log = TrialLog(tmp_path / "trials.jsonl")
    assert log.openings(split) == (1,), "the split is known again by its key"
    assert log.trials[1].facts["model"] == f"{load_bundle(folder).model_id:016x}"
    # What is planted is found: better than the shares of the classes, as the imbalance says.
    against = found.horizons[0].comparison("majority")
    assert against is not None and against.gains["nll"].low is not None and against.gains["nll"].low > 0.05
    assert found.verdict.code is Code.CANNOT_TELL and found.verdict.weight == 0


def test_data_that_it_never_saw_are_split_anew(made: Made, tmp_path: Path) -> None:
    _, split, folder = made
    other = planted(tmp_path / "other", rows=3_000, seed=5)
    other_coin = planted(tmp_path / "coin", rows=3_000, seed=5, coin="ETH")
    # The same coin at the same times is not unseen, whatever its rows say.
    assert evaluate_folder(folder, wish(other.folder, tmp_path)).in_sample
    found = evaluate_folder(folder, wish(other_coin.folder, tmp_path))
    assert not found.in_sample and found.horizons[0].rows != len(split.test.rows)
    assert found.trials is not None and found.trials.logged == 2


def test_blocks_of_the_model_are_found_in_its_data(made: Made) -> None:
    dataset, split, folder = made
    again = split_for(load_bundle(folder), dataset)
    assert again.key == split.key
    assert all((one.rows == other.rows).all() for one, other in zip(again.blocks, split.blocks, strict=True))


def test_data_of_another_kind_are_refused(made: Made, tmp_path: Path) -> None:
    _, _, folder = made
    other = write(tmp_path / "other", [("BTC", every(SECOND_NS, 300))])
    with pytest.raises(DataError):
        evaluate_folder(folder, wish(other.folder, tmp_path))
    with pytest.raises(DataError):
        evaluate_folder(folder, wish(tmp_path / "nothing", tmp_path))
    bundle = load_bundle(folder)
    renamed = msgspec.structs.replace(
        bundle, horizons=(msgspec.structs.replace(bundle.horizons[0], name="another"),), foreign=None
    )
    with pytest.raises(DataError):
        dataset_for(renamed, wish(made[0].folder, tmp_path))


def test_rows_come_by_the_feed_of_the_training_unless_told_otherwise(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.npz", frames(400))
    for profile in ("recorded", "2026"):
        bundle = record(features=SCHEMA, schema_hash=SCHEMA.hash, horizons=LABELS, profile=profile)
        own = Wish(data_dir=path, trials=tmp_path / "trials.jsonl", cache=tmp_path / "cache")
        assert dataset_for(bundle, own).profile == profile
        assert dataset_for(bundle, replace(own, profile="recorded")).profile == "recorded"


def test_a_damaged_model_is_refused_before_any_trial(made: Made, tmp_path: Path) -> None:
    dataset, _, folder = made
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-10])
    with pytest.raises(BundleError):
        evaluate_folder(broken, wish(dataset.folder, tmp_path))
    assert not (tmp_path / "trials.jsonl").exists()


def test_the_seed_decides_the_intervals(made: Made, tmp_path: Path) -> None:
    dataset, _, folder = made
    first = wish(dataset.folder, tmp_path)
    one, same = (evaluate_folder(folder, first).horizons for _ in range(2))
    other = evaluate_folder(folder, replace(first, options=replace(first.options, seed=2))).horizons
    assert one == same and one[0].models[0].figures["nll"].low != other[0].models[0].figures["nll"].low
    assert np.isclose(one[0].models[0].figures["nll"].value or 0, other[0].models[0].figures["nll"].value or 1)
