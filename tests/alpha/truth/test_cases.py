from pathlib import Path as File

import numpy as np
import pytest

from hlhft.alpha.schema import FLAG_VALID
from tests.alpha.truth.cases import BARRIER, SCHEMA, WINDOW, changed, dataset_of, with_blocks, world_of
from tests.alpha.truth.generator import LATENCY_NS, Plant, simulate

ROWS = 4_000


@pytest.mark.parametrize("shift_row", [None, ROWS // 2])
@pytest.mark.parametrize("plant", Plant, ids=lambda plant: plant.value)
def test_labels_are_the_classes_that_were_drawn(plant: Plant, shift_row: int | None, tmp_path: File) -> None:
    path = simulate(world_of(plant, shift_row=shift_row), ROWS, 3)
    case = with_blocks(path, dataset_of(path, tmp_path, (BARRIER, WINDOW)))
    assert len(case.dataset.segments) == 1 and len(case.dataset) > ROWS - 10
    for column, end in ((0, -1), (1, -2)):  # the horizon of the last rows passes the end
        drawn = case.classes(np.arange(len(case.dataset)))[:end]
        np.testing.assert_array_equal(case.dataset.classes[:end, column], drawn)
        assert (case.dataset.classes[end:, column] == -1).all()


def test_each_snapshot_is_one_row_and_trades_make_none(tmp_path: File) -> None:
    path = simulate(world_of(Plant.NONE), ROWS, 3)
    heads = dataset_of(path, tmp_path).heads
    rows = np.arange(ROWS - len(heads), ROWS)  # those before are not warm yet
    frames = path.events["ts_exch_ns"].reshape(ROWS, -1)
    np.testing.assert_array_equal(heads["ts_local_ns"] - LATENCY_NS, frames[rows, 0])
    np.testing.assert_array_equal(
        heads["mid_ticks"] * 2, (path.events["price_ticks"].reshape(ROWS, -1)[:, [1, 6]]).sum(1)[rows]
    )
    assert (heads["flags"] & FLAG_VALID != 0).all()


def test_the_imbalance_of_the_touch_is_the_latent_one(tmp_path: File) -> None:
    path = simulate(world_of(Plant.NONE), ROWS, 3)
    dataset = dataset_of(path, tmp_path)
    seen = dataset.values[:, SCHEMA.imbalance_column]
    np.testing.assert_allclose(seen, path.imbalance[-len(seen) :, 0], atol=0.01)


def test_a_changed_copy_differs_in_what_was_changed_alone(tmp_path: File) -> None:
    first = dataset_of(simulate(world_of(Plant.NONE), ROWS, 3), tmp_path / "first")
    second = dataset_of(simulate(world_of(Plant.NONE), ROWS, 4), tmp_path / "second")
    mixed = changed(first, tmp_path / "mixed", labels=second)
    np.testing.assert_array_equal(mixed.values, first.values)
    np.testing.assert_array_equal(mixed.classes, second.classes)
    assert (first.classes != second.classes).any()
    other = changed(first, tmp_path / "other", values=first.values + 1.0)
    np.testing.assert_array_equal(other.classes, first.classes)
    np.testing.assert_array_equal(other.values, first.values + 1.0)
