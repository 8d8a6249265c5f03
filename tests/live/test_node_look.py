"""The newest block of a node's files, whatever state they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.data.node.decoding import Stream
from hlhft.data.node.layout import folder_at
from hlhft.live import node_look
from hlhft.live.node_look import folder_of, newest

TIME_NS = 1_790_000_000_000_000_000


def line(height: int, *, padding: int = 0) -> bytes:
    seconds = 20 + height
    return (
        b'{"local_time":"2026-09-21T14:13:%02d.250000000","block_time":"2026-09-21T14:13:%02d.000000000",'
        b'"block_number":%d,"events":["%s"]}\n' % (seconds, seconds, height, b"x" * padding)
    )


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_newest_hour_is_the_latest_by_number_and_its_last_whole_line_counts(tmp_path: Path) -> None:
    put(tmp_path, "20260921/9", line(1))
    path = put(tmp_path, "20260921/14", line(2) + line(3) + b'{"local_time":"2026-09-21T14:13:59.0')
    put(tmp_path, "20260920/23", line(4))
    put(tmp_path, "20260921/15.lz4", b"packed")
    found = newest(tmp_path)
    assert found is not None
    assert (found.path, found.height) == (path, 3)
    assert found.block_ns == TIME_NS + 3_000_000_000
    assert found.local_ns - found.block_ns == 250_000_000


def test_an_hour_that_has_only_begun_leaves_the_one_before(tmp_path: Path) -> None:
    path = put(tmp_path, "20260921/14", line(2))
    put(tmp_path, "20260921/15", b"")
    found = newest(tmp_path)
    assert found is not None and (found.path, found.height) == (path, 2)
    put(tmp_path, "20260921/15", line(3)[:-1])
    found = newest(tmp_path)
    assert found is not None and found.height == 2, "a line without its end may be anything"


@pytest.mark.parametrize("tail_bytes", [1, 100, 1 << 20])
def test_long_lines_are_found_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail_bytes: int) -> None:
    monkeypatch.setattr(node_look, "TAIL_BYTES", tail_bytes)
    put(tmp_path, "20260921/14", line(2) + line(3, padding=5000))
    found = newest(tmp_path)
    assert found is not None and found.height == 3
    put(tmp_path, "20260921/14", line(4, padding=5000))
    found = newest(tmp_path)
    assert found is not None and found.height == 4
    monkeypatch.setattr(node_look, "TAIL_BYTES_MAX", 1000)
    monkeypatch.setattr(node_look, "TAIL_BYTES", min(tail_bytes, 1000))
    assert newest(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b'["0x00",{"coin":"BTC"}]\n', line(1).replace(b"09", b"99")])
def test_what_names_no_block_is_none(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "20260921/14", content)
    assert newest(tmp_path) is None
    assert newest(tmp_path / "absent") is None


def test_the_layout_that_is_followed_is_looked_at(tmp_path: Path) -> None:
    assert folder_of(tmp_path, "node_raw_book_diffs") is None
    for suffix in ("", "_streaming", "_by_block"):
        folder = tmp_path / f"node_raw_book_diffs{suffix}" / "hourly"
        folder.mkdir(parents=True)
        assert folder_of(tmp_path, "node_raw_book_diffs") == folder
        assert folder_at(tmp_path).streams[Stream.DIFFS] == folder
