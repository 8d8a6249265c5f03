"""Files as blocks of lines: any compression, bounded memory, and one sentence for whatever is wrong with a file."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc
from pathlib import Path

import lz4.frame
import pytest

from hlhft.data import files
from hlhft.data.errors import DataError
from hlhft.data.files import BLOCK_BYTES, LineFile, ProgressMeter, compression, fingerprint, open_file
from tests.privileges import as_nobody

RANDOM = random.Random(1)  # for what does not compress
PACK = {"": lambda data: data, ".gz": gzip.compress, ".lz4": lz4.frame.compress}


def made(path: Path, content: bytes) -> Path:
    path.write_bytes(PACK[path.suffix if path.suffix in PACK else ""](content))
    return path


def lines_of(file: LineFile) -> list[tuple[int, bytes]]:
    return [(number, line) for first, lines in file.blocks() for number, line in enumerate(lines, first)]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lines_come_with_their_numbers(tmp_path: Path, suffix: str, end: bytes) -> None:
    file = LineFile(made(tmp_path / f"a{suffix}", b"one\n\nthree" + end))
    assert lines_of(file) == [(1, b"one"), (2, b""), (3, b"three")]
    assert file.head(2) == [b"one", b""]
    assert file.head(9) == [b"one", b"", b"three"]


@pytest.mark.parametrize("suffix", PACK)
def test_blocks_are_bounded_and_lose_nothing(tmp_path: Path, suffix: str) -> None:
    lines = [f"{number:07d} {'x' * (number % 90)}".encode() for number in range(60_000)]
    file = LineFile(made(tmp_path / f"a{suffix}", b"\n".join(lines)))
    blocks = list(file.blocks())
    assert [line for _, block in blocks for line in block] == lines
    assert [first for first, _ in blocks] == [1 + sum(len(block) for _, block in blocks[:place]) for place in
                                              range(len(blocks))]  # fmt: skip
    assert len(blocks) > 2
    assert max(sum(map(len, block)) for _, block in blocks) <= BLOCK_BYTES + 100


def test_a_line_longer_than_a_block_is_put_together(tmp_path: Path) -> None:
    long = b"y" * (2 * BLOCK_BYTES + 5)
    assert lines_of(LineFile(made(tmp_path / "a", long + b"\nend"))) == [(1, long), (2, b"end")]


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LINE_BYTES_MAX", BLOCK_BYTES)
    file = LineFile(made(tmp_path / "a", b"x\n" + b"y" * (3 * BLOCK_BYTES)))
    with pytest.raises(DataError, match=rf"a, line 2: the line has more than {BLOCK_BYTES} bytes"):
        list(file.blocks())


@pytest.mark.parametrize("suffix", [".gz", ".lz4"])
def test_lines_before_a_cut_are_given_and_the_next_is_named(tmp_path: Path, suffix: str) -> None:
    lines = [RANDOM.randbytes(40).hex().encode() for _ in range(4000)]
    path = made(tmp_path / f"a{suffix}", b"\n".join(lines) + b"\n")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    found: list[bytes] = []
    with pytest.raises(DataError, match=r"stream is cut off in this line, expected a whole file") as caught:
        for _, block in LineFile(path).blocks():
            found.extend(block)
    assert found == lines[: len(found)]
    assert caught.value.line == len(found) + 1
    assert len(found) > (2000 if suffix == ".gz" else -1)


@pytest.mark.parametrize("suffix", [".gz", ".lz4"])
def test_damage_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    text = b"\n".join(RANDOM.randbytes(40).hex().encode() for _ in range(4000))
    path.write_bytes(gzip.compress(text) if suffix == ".gz" else lz4.frame.compress(text, content_checksum=True))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"the {suffix[1:].replace('gz', 'gzip')} stream is (damaged|cut off) in this"):
        list(LineFile(path).blocks())


def test_garbage_behind_gzip_is_damage_after_all_lines(tmp_path: Path) -> None:
    path = made(tmp_path / "a.gz", b"one\ntwo\n")
    path.write_bytes(path.read_bytes() + b"garbage")
    found: list[bytes] = []
    with pytest.raises(DataError, match=r"line 3: the gzip stream is damaged in this line"):
        for _, block in LineFile(path).blocks():
            found.extend(block)
    assert found == [b"one", b"two"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.gz", b"plain text", "the name says gzip but the content is plain, expected gzip, download it again or"),
        ("a.gz", lz4.frame.compress(b"x"), "the name says gzip but the content is lz4"),
        ("a.lz4", gzip.compress(b"x", mtime=0), "the name says lz4 but the content is gzip"),
        ("a.npz", b"\x00\x01\x02", "the name says zip but the content is plain"),
        ("a.zst", b"(\xb5/\xfd....", "the file is packed with zstd, expected gzip, LZ4 or plain text, unpack it first"),
        ("a", b"PK\x03\x04....", "the file is packed with zip"),
        ("a.bz2", b"BZh9....", "the file is packed with bzip2"),
        ("a.csv", b"", "the file is empty, expected a recording, record or download it again"),
    ],
)
def test_a_file_of_the_wrong_kind_is_one_sentence(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        LineFile(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_a_folder_a_pipe_and_a_device_are_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, problem in (
        (tmp_path / "none", "there is no such file, give the path of a recording"),
        (tmp_path, "this is a folder, expected a file, give one of the recordings in it"),
        (tmp_path / "pipe", "this is a pipe or a device, expected a file"),
        (Path("/dev/null"), "this is a pipe or a device, expected a file"),
    ):
        with pytest.raises(DataError, match=problem):
            open_file(path)


def test_a_file_without_permission_is_one_sentence(tmp_path: Path) -> None:
    path = made(tmp_path / "a", b"x")
    path.chmod(0)
    with (
        as_nobody(),
        pytest.raises(DataError, match=r"cannot be opened \(Permission denied\), give a readable"),
    ):
        open_file(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [("a", b"x", "plain"), ("a.csv", gzip.compress(b"x", mtime=0), "gzip"), ("a.npz", b"PK\x03\x04", "zip")],
)
def test_compression_is_judged_by_content(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert compression(tmp_path / name) == expected


def test_progress_adds_files_and_passes_and_never_passes_the_total(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    first, second = made(tmp_path / "a", b"one\n" * 10), made(tmp_path / "b", b"two\n" * 10)
    meter = ProgressMeter(lambda done, total: said.append((done, total)), 120)
    for _ in range(2):
        list(LineFile(first).blocks(meter, f"pass {len(said)}"))
    list(LineFile(second).blocks(meter))
    assert said[0] == (40, 120)
    assert said[-1] == (120, 120)
    assert said == sorted(said)
    meter.at("more", 1000)
    assert said[-1] == (120, 120)
    ProgressMeter(None, 1).at("nobody listens", 1)


def test_the_fingerprint_changes_with_content_order_reader_and_options(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a", b"one"), made(tmp_path / "b", b"two")
    prints = [
        fingerprint((first, second), "r-1", "{}"),
        fingerprint((second, first), "r-1", "{}"),
        fingerprint((first, second), "r-2", "{}"),
        fingerprint((first, second), "r-1", "{1}"),
        fingerprint((first,), "r-1", "{}"),
    ]
    made(second, b"tw0")
    prints.append(fingerprint((first, second), "r-1", "{}"))
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 32 and int(text, 16) >= 0 for text in prints)
    made(second, b"two")
    assert fingerprint((first, second), "r-1", "{}") == prints[0]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(megabytes: int) -> int:
        path = made(tmp_path / f"{megabytes}.gz", (b"0123456789 " * 9 + b"\n") * (megabytes * 10_000))
        file = LineFile(path)
        tracemalloc.start()
        try:
            for _, block in file.blocks():
                assert block
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(9) < peak(3) * 1.2
