"""Arrays in .npz files, streamed: what is written comes back, equal rows are equal bytes, damage is one sentence."""

from __future__ import annotations

import io
import json
import resource
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data import npz
from hlhft.data.errors import DataError
from hlhft.data.npz import Rows, members, rows_of, text_of, write

DTYPE = np.dtype([("a", np.int64), ("b", np.float64)])


def rows(count: int, start: int = 0) -> Rows:
    out = np.zeros(count, DTYPE)
    out["a"] = np.arange(start, start + count)
    out["b"] = out["a"] / 3
    return out


def test_what_is_written_comes_back_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "ROWS_AT_ONCE", 4)
    path = tmp_path / "a.npz"
    assert write(path, "data", [rows(3), rows(0), rows(7, 3)], DTYPE, texts={"m.json": {"b": 1, "a": [2]}}) == 10
    positions: list[int] = []
    found = list(rows_of(path, "data", DTYPE, at=positions.append))
    assert [len(part) for part in found] == [4, 4, 2]
    assert np.concatenate(found).tobytes() == rows(10).tobytes()
    assert positions == sorted(positions)
    assert 0 < positions[0] <= path.stat().st_size
    assert members(path) == ["m.json", "data.npy"]
    assert json.loads(text_of(path, "m.json")) == {"a": [2], "b": 1}


def test_numpy_reads_it_too(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", "data", [rows(5)], DTYPE)
    with np.load(tmp_path / "a.npz") as archive:
        assert archive["data"].tobytes() == rows(5).tobytes()


def test_an_array_that_numpy_wrote_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=rows(5))
    assert np.concatenate(list(rows_of(tmp_path / "a.npz", "data", DTYPE))).tobytes() == rows(5).tobytes()
    stream = io.BytesIO()
    np.lib.format.write_array(stream, rows(5), version=(2, 0))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("data.npy", stream.getvalue())
    assert np.concatenate(list(rows_of(tmp_path / "b.npz", "data", DTYPE))).tobytes() == rows(5).tobytes()


def test_equal_rows_are_equal_bytes_however_they_are_cut(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", "data", [rows(10)], DTYPE, texts={"m.json": [1]})
    write(tmp_path / "b.npz", "data", [rows(4), rows(6, 4)], DTYPE, texts={"m.json": [1]})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_rows_of_another_type_are_a_fault_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows have dtype"):
        write(tmp_path / "a.npz", "data", [np.zeros(1, np.int64)], DTYPE)
    assert list(tmp_path.iterdir()) == []


def failing(error: BaseException) -> Iterator[Rows]:
    yield rows(100)
    raise error


@pytest.mark.parametrize("error", [DataError("source", 5, "it is torn"), KeyboardInterrupt()])
def test_a_writing_that_stops_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.npz"
    write(path, "data", [rows(3)], DTYPE)
    before = path.read_bytes()
    with pytest.raises(type(error)):
        write(path, "data", failing(error), DTYPE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_and_a_missing_folder_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.npz").mkdir()
    for path in (tmp_path / "a.npz", tmp_path / "none" / "a.npz"):
        with pytest.raises(DataError, match=r"the file cannot be written \(.*\), give a name in a folder with room"):
            write(path, "data", [rows(3)], DTYPE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_a_full_disk_is_one_sentence_and_leaves_the_earlier_file(tmp_path: Path) -> None:
    """A limit of the file size stands for the full disk: writing fails the same way, in the middle."""
    path = tmp_path / "a.npz"
    write(path, "data", [rows(3)], DTYPE)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DataError, match=r"the file cannot be written \(File too large\), give a name in a folder"):
            write(path, "data", [rows(100_000)], DTYPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("member", "content", "problem"),
    [
        ("data.npy", b"", "it is no array"),
        ("data.npy", b"\x93NUMPY\x01\x00\x05\x00abcde", "it is no array"),
        ("other.npy", b"", "there is no member data, expected an array of that name"),
    ],
)
def test_a_member_that_is_no_array_is_one_sentence(tmp_path: Path, member: str, content: bytes, problem: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(member, content)
    with pytest.raises(DataError, match=problem):
        list(rows_of(tmp_path / "a.npz", "data", DTYPE))


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros(3), "its columns are float64, expected a int64, b float64"),
        (np.zeros(3, [("a", np.int64)]), "its columns are a int64, expected a int64, b float64"),
        (
            np.zeros(3, [("a", np.int64), ("b", np.int64)]),
            "its columns are a int64, b int64, expected a int64, b float",
        ),
        (np.zeros((2, 2), DTYPE), "it has 2 dimensions, expected 1"),
        (np.zeros((), DTYPE), "it has 0 dimensions, expected 1"),
    ],
)
def test_an_array_of_another_shape_is_one_sentence(tmp_path: Path, array: np.ndarray, problem: str) -> None:
    np.savez(tmp_path / "a.npz", data=array)
    with pytest.raises(DataError, match=problem):
        list(rows_of(tmp_path / "a.npz", "data", DTYPE))


def test_a_cut_off_archive_and_garbage_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write(path, "data", [rows(1000)], DTYPE)
    whole = path.read_bytes()
    for content in (whole[:-30], whole[: len(whole) // 2], b"garbage"):
        path.write_bytes(content)
        for call in (members, lambda path: text_of(path, "m"), lambda path: list(rows_of(path, "data", DTYPE))):
            with pytest.raises(DataError, match=r"the archive is damaged or cut off"):
                call(path)


def test_damage_within_a_member_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, rows(1000))
        archive.writestr("data.npy", stream.getvalue())
    content = bytearray(path.read_bytes())
    content[9000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"the archive is damaged or cut off"):
        list(rows_of(path, "data", DTYPE))


def test_a_header_that_promises_more_rows_than_there_are_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, rows(5))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.npy", stream.getvalue()[:-20])
    with pytest.raises(DataError, match=r"3 of 5 rows are there"):
        list(rows_of(tmp_path / "a.npz", "data", DTYPE))


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([b"", b"\x00" * 4, b"\xff" * 4, b"\x7f", b"("]),
              st.integers(0, 4)),
    min_size=1, max_size=3,
)  # fmt: skip


@given(CHANGES, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_rows_or_one_sentence(
    tmp_path: Path, changes: list[tuple[float, bytes, int]], method: int
) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, rows(3))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("data.npy", stream.getvalue())
    content = path.read_bytes()
    for share, piece, removed in changes:
        place = int(share * len(content))
        content = content[:place] + piece + content[place + removed :]
    path.write_bytes(content)
    for read in (members, lambda path: list(rows_of(path, "data", DTYPE))):
        try:
            read(path)
        except DataError as error:
            assert str(error).startswith(f"{path}")


@pytest.mark.parametrize("header", [b"{(", b"{'descr': \x00}", b"{'descr': '<f8', 'shape': (5,)}"])
def test_a_header_that_is_none_is_one_sentence(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(DataError, match=r"member data: it is no array"):
        list(rows_of(tmp_path / "a.npz", "data", DTYPE))


def test_a_text_is_bounded_and_named_when_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.npz", "data", [rows(1)], DTYPE, texts={"m.json": "x" * 100})
    with pytest.raises(DataError, match=r"there is no member n.json, expected it beside the array"):
        text_of(tmp_path / "a.npz", "n.json")
    monkeypatch.setattr(npz, "TEXT_BYTES_MAX", 50)
    with pytest.raises(DataError, match=r"member m.json: it has more than 50 bytes"):
        text_of(tmp_path / "a.npz", "m.json")


def test_memory_grows_neither_in_writing_nor_in_reading(tmp_path: Path) -> None:
    # Twelve parts are more than what is read or copied at once.
    def peak(parts: int) -> int:
        tracemalloc.start()
        try:
            path = tmp_path / f"{parts}.npz"
            write(path, "data", (rows(20_000, part) for part in range(parts)), DTYPE)
            assert sum(len(part) for part in rows_of(path, "data", DTYPE)) == parts * 20_000
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(36) < peak(12) * 1.2
