"""The journal's files: names that sort, room that is taken in advance, and pieces of whatever was compressed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from hlhft.live.journal import segments
from hlhft.live.journal.segments import (
    PIECE_BYTES,
    Form,
    JournalError,
    JournalFull,
    Name,
    Segment,
    files,
    parse_name,
    pieces,
    prepare_folder,
)

SIZE = 4 << 20


def test_names_are_read_back_and_sort_in_the_order_of_writing() -> None:
    names = [Name(1, 0), Name(1, 1), Name(2, 0), Name(10, 0), Name(10, 999_999)]
    for form in Form:
        texts = [name.file(form) for name in names]
        assert texts == sorted(texts)
        assert [parse_name(text) for text in texts] == [(name, form) for name in names]


@pytest.mark.parametrize("text", ["", "store.sqlite3", "s1-2.journal", "s0000000001-000001.journal.partial"])
def test_other_names_are_none(text: str) -> None:
    assert parse_name(text) is None


def test_a_folder_is_listed_in_order(tmp_path: Path) -> None:
    for name in (Name(2, 0), Name(1, 7)):
        for form in (Form.WHOLE, Form.LEDGER):
            (tmp_path / name.file(form)).write_bytes(bytes(10_000))
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / Name(3, 0).file(Form.OPEN)).mkdir()
    found = files(tmp_path)
    both = (Form.WHOLE, Form.LEDGER)
    assert [file.name for file in found] == [Name(1, 7), Name(1, 7), Name(2, 0), Name(2, 0)]
    assert {(file.name, file.form) for file in found} == {(file.name, form) for file in found for form in both}
    assert all(file.bytes >= 10_000 for file in found)


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FILES_MAX", 1)
    for number in range(2):
        (tmp_path / Name(1, number).file(Form.LEDGER)).write_bytes(b"")
    with pytest.raises(JournalError, match="more than 1 files"):
        files(tmp_path)


def test_a_segment_has_all_its_room_and_is_its_owner_s(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "journal"
    prepare_folder(folder)
    segment = Segment(folder, Name(1, 0), SIZE)
    status = segment.path.stat()
    assert status.st_size == SIZE and status.st_blocks * 512 >= SIZE
    assert stat.S_IMODE(status.st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    segment.view[5:8] = b"abc"
    segment.sync()
    assert segment.path.read_bytes()[:10] == b"\0\0\0\0\0abc\0\0"
    segment.close(truncate_at=8)
    assert segment.path.read_bytes() == b"\0\0\0\0\0abc"


def test_memory_is_made_ready_and_let_go_of_without_a_change_of_content(tmp_path: Path) -> None:
    segment = Segment(tmp_path, Name(1, 0), SIZE)
    for at in range(0, SIZE, 1 << 19):
        segment.ahead(at, 1 << 20)
        segment.view[at : at + 3] = b"xyz"
        segment.behind(at)
    segment.ahead(SIZE, 1 << 20)
    segment.close()
    content = segment.path.read_bytes()
    assert content.count(b"xyz") == SIZE >> 19 and len(content) - content.count(0) == 3 * (SIZE >> 19)


def test_a_kernel_that_cannot_make_memory_ready_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(segments, "_madvise", lambda address, length, advice: asked.append(advice) or -1)
    segment = Segment(tmp_path, Name(1, 0), SIZE)
    segment.ahead(0, 4096)
    segment.ahead(0, 4096)
    assert len(asked) == 1 and not segment.populates
    segment.discard()


def test_a_segment_of_that_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / Name(1, 0).file(Form.OPEN)).write_bytes(b"what was")
    with pytest.raises(JournalError, match="the store is older than the journal"):
        Segment(tmp_path, Name(1, 0), SIZE)
    assert (tmp_path / Name(1, 0).file(Form.OPEN)).read_bytes() == b"what was"


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    """No disk here has an exabyte."""
    with pytest.raises((JournalFull, OSError)) as caught:
        Segment(tmp_path, Name(1, 0), 1 << 60)
    if isinstance(caught.value, OSError):
        assert caught.value.errno == errno.EFBIG
    assert not list(tmp_path.iterdir()), "what could be had of it is given back"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, offset: int, length: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(JournalFull, match="no room for another 4 MiB of journal"):
        Segment(tmp_path, Name(1, 0), SIZE)
    assert not list(tmp_path.iterdir())


def test_a_segment_that_was_not_used_leaves_nothing(tmp_path: Path) -> None:
    Segment(tmp_path, Name(1, 0), SIZE).discard()
    assert not list(tmp_path.iterdir())


def test_pieces_are_the_content_packed_or_not(tmp_path: Path) -> None:
    content = os.urandom(PIECE_BYTES) + bytes(PIECE_BYTES) + b"end"
    plain, packed = (tmp_path / Name(1, 0).file(form) for form in (Form.OPEN, Form.WHOLE))
    plain.write_bytes(content)
    with pa.CompressedOutputStream(str(packed), "zstd") as stream:
        stream.write(content)
    for path in (plain, packed):
        found = list(pieces(path))
        assert b"".join(found) == content and max(map(len, found)) <= PIECE_BYTES
    assert packed.stat().st_size < len(content) * 0.6


def test_compression_that_is_cut_off_gives_what_comes_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / Name(1, 0).file(Form.WHOLE)
    content = os.urandom(8 * PIECE_BYTES)
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(content)
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) * 3 // 4])
    found = bytearray()
    with pytest.raises(JournalError, match="the compression is damaged"):
        for piece in pieces(path):
            found += piece
    assert found and content.startswith(found)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        list(pieces(tmp_path / "s0000000001-000000.journal"))
