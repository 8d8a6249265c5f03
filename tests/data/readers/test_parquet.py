"""Parquet columns: blocks that say their rows, and one sentence for every file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.readers import parquet
from hlhft.data.readers.parquet import blocks, names_in

WANTED: dict[str, type[np.generic]] = {"time": np.int64, "price": np.float64}


def written(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_blocks_are_numbered_typed_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 2)
    path = written(tmp_path / "a.parquet", other=["x"] * 3, price=[1.5, 2, 3], time=pa.array([1, 2, 3], pa.uint8()))
    assert names_in(path) == ["other", "price", "time"]
    said: list[int] = []
    found = list(blocks(path, WANTED, meter=ProgressMeter(lambda done, total: said.append(done), 10**6)))
    assert [first for first, _ in found] == [0, 2]
    assert [columns["price"].tolist() for _, columns in found] == [[1.5, 2.0], [3.0]]
    assert {columns["time"].dtype for _, columns in found} == {np.dtype(np.int64)}
    assert said[-1] == path.stat().st_size


def test_a_file_of_no_rows_gives_no_block(tmp_path: Path) -> None:
    path = written(tmp_path / "a", price=pa.array([], pa.float64()), time=pa.array([], pa.int64()))
    assert list(blocks(path, WANTED)) == []


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"time": [1]}, ": column price is missing, expected time, price, give a file that has them"),
        ({"time": [1.5], "price": [1.0]}, ", column time: it holds double, expected whole numbers, write the file"),
        ({"time": [1], "price": ["x"]}, ", column price: it holds string, expected numbers"),
        ({"time": [1, 2, None], "price": [1.0, 2, 3]}, ", row 2: column time is empty, expected a number, drop the ro"),
    ],
)
def test_wrong_columns_are_one_sentence(tmp_path: Path, columns: dict[str, object], problem: str) -> None:
    path = written(tmp_path / "a", **columns)
    with pytest.raises(DataError) as caught:
        list(blocks(path, WANTED))
    assert f"{path}{problem}" in str(caught.value)


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "a", time=list(range(5000)), price=[1.0] * 5000)
    whole = path.read_bytes()
    for content in (whole[:-9], whole[:4] + b"\xff" * 200 + whole[204:], b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="the Parquet file is damaged or cut off"):
            list(blocks(path, WANTED))
    path.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        names_in(path)


def test_names_of_columns_that_are_no_text_are_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "a", time=[1, 2], price=[1.0, 2.0])
    path.write_bytes(path.read_bytes().replace(b"price", b"\x80rice"))
    for read in (lambda: names_in(path), lambda: list(blocks(path, WANTED))):
        with pytest.raises(DataError, match="the Parquet file is damaged or cut off"):
            read()
