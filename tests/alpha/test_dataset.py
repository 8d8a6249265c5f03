from __future__ import annotations

import hashlib
import os
import signal
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.alpha.dataset import CHUNK_ROWS, META, Dataset, DatasetWriter, LabelColumns, is_dataset, open_dataset
from hlhft.alpha.schema import ROW_DTYPE
from hlhft.data.errors import DataError
from tests.alpha.datasets import LABELS, SCHEMA, SECOND_NS, START_NS, every, heads_at, labels_of, write


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def new_writer(folder: Path) -> DatasetWriter:
    return DatasetWriter(folder, name="made", key="k", schema=SCHEMA, labels=LABELS, coins=["BTC"], sources=["made"])


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ts_ns = every(SECOND_NS // 2, 50)
    values = rng.standard_normal((50, SCHEMA.columns)).astype(np.float32)
    labels = labels_of(rng, ts_ns, [1_000, 4_000])
    with new_writer(tmp_path / "set") as writer:
        writer.append("BTC", heads_at(ts_ns), values, labels)
        found = writer.finish()
    assert (found.ts_ns == ts_ns).all() and (found.values == values).all()
    for name, column in labels._asdict().items():
        assert (getattr(found, name) == column).all(), name
    assert found.segments.tolist() == [(0, 50, 0, 0)]
    assert (found.schema, found.labels, found.coins, len(found)) == (SCHEMA, LABELS, ("BTC",), 50)
    with pytest.raises(ValueError, match="read-only"):
        found.values[0, 0] = 1.0


def test_a_segment_of_several_chunks_is_one_segment(tmp_path: Path) -> None:
    count = CHUNK_ROWS + 5_000  # labels of the last four seconds may pass the end
    found = write(tmp_path / "set", [("BTC", every(1_000_000, count))])
    assert found.segments.tolist() == [(0, count, 0, 0)]
    ends = found.ends(slice(None), 10)
    assert ends[: CHUNK_ROWS + 900].tolist() == list(range(9, CHUNK_ROWS + 909))
    assert isinstance(found.values, np.memmap)


def test_a_dataset_larger_than_what_is_held_is_written_and_read(tmp_path: Path) -> None:
    """A segment that is a mapped file itself is copied in chunks, and windows are gathered a batch at a time."""
    count = 6 * CHUNK_ROWS
    heads = np.memmap(tmp_path / "heads", ROW_DTYPE, "w+", shape=count)
    values = np.memmap(tmp_path / "values", np.float32, "w+", shape=(count, SCHEMA.columns))
    heads["ts_local_ns"] = every(1_000_000, count)
    labels = LabelColumns(
        np.memmap(tmp_path / "classes", np.int8, "w+", shape=(count, 2)),
        np.memmap(tmp_path / "end_ns", np.int64, "w+", shape=(count, 2)),
        np.memmap(tmp_path / "move_bp", np.float32, "w+", shape=(count, 2)),
        np.memmap(tmp_path / "weights", np.float32, "w+", shape=(count, 2)),
    )
    labels.end_ns[:] = heads["ts_local_ns"][:, None] + 1
    tracemalloc.start()
    with new_writer(tmp_path / "set") as writer:
        writer.append("BTC", heads, values, labels)
        found = writer.finish()
    ends = found.ends(slice(None), 100)
    for first in range(0, 1_000, 100):
        found.windows(ends[first : first + 100], 100)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ends) == count - 99
    assert peak_bytes < sum(path.stat().st_size for path in found.folder.iterdir()) / 3


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    segments = [("BTC", every(SECOND_NS, 40)), ("ETH", every(SECOND_NS, 30))]
    write(tmp_path / "one", segments)
    write(tmp_path / "two", segments)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    # Again over what is there.
    write(tmp_path / "one", segments)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def brute_ends(dataset: Dataset, length: int, horizon: int | None) -> list[int]:
    found = []
    for first, end, _, _ in dataset.segments.tolist():
        for row in range(first, end):
            classes = dataset.classes[row] if horizon is None else dataset.classes[row, [horizon]]
            if row - first + 1 >= length and all(value >= 0 for value in classes):
                found.append(row)
    return found


@settings(max_examples=12)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    length=st.integers(1, 12),
    horizon=st.sampled_from([None, 0, 1]),
    seed=st.integers(0, 99),
)
def test_windows_and_labels_stay_in_their_segment(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], length: int, horizon: int | None, seed: int
) -> None:
    segments = [(f"C{place % 2}", every(SECOND_NS, size, START_NS + place * 1000 * SECOND_NS))
                for place, size in enumerate(sizes)]  # fmt: skip
    dataset = write(tmp_path_factory.mktemp("set") / "set", segments, seed=seed, missing=0.2)
    ends = dataset.ends(slice(None), length, horizon)
    assert ends.tolist() == brute_ends(dataset, length, horizon)
    some = np.arange(0, len(dataset), 3)
    assert dataset.ends(some, length, horizon).tolist() == [row for row in ends if row % 3 == 0]
    windows = dataset.windows(ends, length)
    assert windows.shape == (len(ends), length, SCHEMA.columns) and windows.dtype == np.float32
    for window, row in zip(windows, ends, strict=True):
        assert (window == dataset.values[row - length + 1 : row + 1]).all()


def test_a_window_over_the_begin_of_a_segment_is_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 9)), ("ETH", every(SECOND_NS, 9))])
    assert dataset.windows(np.array([11]), 3).shape[:2] == (1, 3)
    with pytest.raises(ValueError, match="begin of its segment"):
        dataset.windows(np.array([10]), 3)
    with pytest.raises(ValueError, match="0 rows"):
        dataset.ends(slice(None), 0)
    with pytest.raises(ValueError, match="label column 2"):
        dataset.ends(slice(None), 1, 2)
    assert dataset.label_named("long") == 1
    with pytest.raises(DataError, match="expected one of short, long"):
        dataset.label_named("longer")


def test_bad_rows_are_refused_in_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ts_ns = every(SECOND_NS, 20)
    values = rng.standard_normal((20, SCHEMA.columns)).astype(np.float32)
    labels = labels_of(rng, ts_ns, [1_000, 4_000])
    broken = values.copy()
    broken[7, 2] = np.nan
    ends_early = labels._replace(end_ns=labels.end_ns - 10 * SECOND_NS)
    with new_writer(tmp_path / "set") as writer:
        with pytest.raises(DataError, match=rf"BTC, row 7 of a segment: feature {SCHEMA.names[2]} is nan"):
            writer.append("BTC", heads_at(ts_ns), broken, labels)
        with pytest.raises(DataError, match="row 0 of a segment: the next row is earlier"):
            writer.append("BTC", heads_at(ts_ns[::-1].copy()), values, labels)
        with pytest.raises(DataError, match="ends before its row"):
            writer.append("BTC", heads_at(ts_ns), values, ends_early)
        with pytest.raises(DataError, match="a class beyond 0 to 2"):
            writer.append("BTC", heads_at(ts_ns), values, labels._replace(classes=labels.classes + np.int8(3)))
        with pytest.raises(DataError, match="no row is usable"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_finished_is_no_dataset(tmp_path: Path) -> None:
    """A process is killed within, and the next one builds as if it had never been."""
    child = os.fork()
    if child == 0:
        writer = new_writer(tmp_path / "set")
        ts_ns = every(SECOND_NS, 20)
        labels = labels_of(np.random.default_rng(1), ts_ns, [1_000, 4_000])
        writer.append("BTC", heads_at(ts_ns), np.zeros((20, SCHEMA.columns), np.float32), labels)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".set.writing"]
    with pytest.raises(DataError, match="no whole dataset"):
        open_dataset(tmp_path / ".set.writing")
    write(tmp_path / "set", [("BTC", every(SECOND_NS, 20))])
    assert is_dataset(tmp_path / "set") and [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_damaged_dataset_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder, [("BTC", every(SECOND_NS, 20))])
    whole = (folder / "values.npy").read_bytes()
    (folder / "values.npy").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"values.npy: the file is not the one that meta.json states"):
        open_dataset(folder)
    (folder / "values.npy").write_bytes(b"\0" * len(whole))
    with pytest.raises(DataError, match="this is no array"):
        open_dataset(folder)
    (folder / "values.npy").write_bytes(whole)
    meta = msgspec.json.decode((folder / META).read_bytes())
    for change, words in (
        ({"version": 9}, "of version 9"),
        ({"schema_hash": "0" * 32}, "defined in another way"),
        ({"rows": 19}, "build it again"),
        ({"more": 1}, "cannot be read"),
    ):
        (folder / META).write_bytes(msgspec.json.encode(meta | change))
        with pytest.raises(DataError, match=words):
            open_dataset(folder)
    (folder / META).unlink()
    assert not is_dataset(folder)
    with pytest.raises(DataError, match="no whole dataset"):
        open_dataset(folder)


def test_arrays_with_objects_are_never_unpickled(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder, [("BTC", every(SECOND_NS, 20))])
    np.save(folder / "weights.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    meta = msgspec.json.decode((folder / META).read_bytes())
    meta["files"]["weights.npy"] = (folder / "weights.npy").stat().st_size
    (folder / META).write_bytes(msgspec.json.encode(meta))
    with pytest.raises(DataError, match=r"weights.npy: this is no array"):
        open_dataset(folder)
