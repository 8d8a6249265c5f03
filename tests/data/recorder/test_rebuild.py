"""What a killed recorder left: the same parts as if it had lived until its last whole block."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.layout import manifest_path
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.recorder.assembly import Assembler
from hlhft.data.recorder.hours import Hour, raw_path, writing_path
from hlhft.data.recorder.marks import Begin, Down, encoded
from hlhft.data.recorder.raw import RawFile
from hlhft.data.recorder.rebuild import rebuild
from tests.data.recorder.making import HOUR, MS, SESSION, START_NS, bbo, begin, book, trades

Line = tuple[int, bytes]


def lines(count: int) -> list[Line]:
    made = []
    for number in range(count):
        time_ms = START_NS // MS + 75 * number
        texts = [bbo(time_ms), trades((time_ms, number + 1)), book(time_ms), encoded(Down(reason="1006"))]
        made.append((time_ms * MS + 300 * MS, texts[number % 4]))
    return made


def left(folder: Path, blocks: list[list[Line]], mark: Begin | None = None) -> Path:
    """An unfinished file of these blocks behind its first mark; its final path."""
    mark = mark or begin()
    path = raw_path(folder, Hour(mark.hour, mark.session))
    with RawFile(path) as raw:
        raw.add(START_NS, encoded(mark))
        for block in blocks:
            for line in block:
                raw.add(*line)
            raw.flush()
    return path


def hashes(root: Path) -> list[tuple[object, ...]]:
    return [(one.key, one.rows, one.gaps, one.covers, one.content_hash) for one in Catalogue(root).manifests()]


def assembled(root: Path, some: list[Line]) -> None:
    with Assembler(root, begin()) as assembler:
        for line in some:
            assembler.line(*line)
        assembler.finish()


def test_parts_are_made_and_the_file_gets_its_name(tmp_path: Path) -> None:
    path = left(tmp_path / "raw", [lines(20)])
    said: list[str] = []
    (done,) = rebuild(tmp_path / "rebuilt", tmp_path / "raw", said.append)
    assembled(tmp_path / "lived", lines(20))
    assert hashes(tmp_path / "rebuilt") == hashes(tmp_path / "lived") != []
    assert done.path == path and path.exists() and not writing_path(path).exists()
    assert [manifest.kind for manifest in done.manifests] == ["bbo", "book", "trade"]
    assert {one.missing for one in done.standing} == {"disconnected"} and done.newest_ns > START_NS
    assert said == [f"{path}: completed after an earlier recorder's end, with 3 parts"]
    assert rebuild(tmp_path / "rebuilt", tmp_path / "raw", said.append) == []


def test_several_hours_are_completed_oldest_first(tmp_path: Path) -> None:
    paths = [left(tmp_path / "raw", [lines(3)], begin(hour=HOUR + later)) for later in (20, 0)]
    found = rebuild(tmp_path / "catalogue", tmp_path / "raw", lambda sentence: None)
    assert [one.path for one in found] == paths[::-1]


def test_a_file_without_a_whole_block_is_removed(tmp_path: Path) -> None:
    path = left(tmp_path, [])
    os.truncate(writing_path(path), 3)
    said: list[str] = []
    assert rebuild(tmp_path / "catalogue", tmp_path, said.append) == []
    assert not path.exists() and not writing_path(path).exists() and "nothing of it is left" in said[0]


@pytest.mark.parametrize(
    "first", [bbo(1), encoded(begin(version=99)), encoded(Down(reason="")), encoded(begin())[:-3] + b"?"]
)
def test_a_file_of_another_kind_is_set_aside_as_it_is(tmp_path: Path, first: bytes) -> None:
    path = raw_path(tmp_path, Hour(HOUR, SESSION))
    with RawFile(path) as raw:
        raw.add(START_NS, first)
        raw.flush()
    content = writing_path(path).read_bytes()
    said: list[str] = []
    assert rebuild(tmp_path / "catalogue", tmp_path, said.append) == []
    aside = path.with_name(path.name + ".damaged")
    assert aside.read_bytes() == content and "set aside" in said[0]


def test_a_disk_that_refuses_leaves_all_for_the_next_start(tmp_path: Path) -> None:
    path = left(tmp_path / "raw", [lines(8)])
    (tmp_path / "catalogue").touch()
    with pytest.raises(DataError, match="cannot be written"):
        rebuild(tmp_path / "catalogue", tmp_path / "raw", lambda sentence: None)
    assert writing_path(path).exists()
    (tmp_path / "catalogue").unlink()
    assert len(rebuild(tmp_path / "catalogue", tmp_path / "raw", lambda sentence: None)) == 1


def test_once_more_after_some_parts_had_their_names(tmp_path: Path) -> None:
    left(tmp_path / "raw", [lines(20)])
    assembled(tmp_path / "catalogue", lines(20))
    whole = hashes(tmp_path / "catalogue")
    manifest_path(tmp_path / "catalogue", Catalogue(tmp_path / "catalogue").manifests()[0].key).unlink()
    rebuild(tmp_path / "catalogue", tmp_path / "raw", lambda sentence: None)
    assert hashes(tmp_path / "catalogue") == whole


@settings(max_examples=8)
@given(st.integers(1, 24), st.integers(1, 5), st.floats(0, 1))
def test_wherever_a_kill_cut_the_file(
    tmp_path_factory: pytest.TempPathFactory, count: int, size: int, share: float
) -> None:
    folder = tmp_path_factory.mktemp("recorder")
    every = lines(count)
    blocks = [every[first : first + size] for first in range(0, count, size)]
    path = left(folder / "raw", blocks)
    ends = []
    with RawFile(folder / "measured") as raw:
        raw.add(START_NS, encoded(begin()))
        for block in blocks:
            for line in block:
                raw.add(*line)
            raw.flush()
            ends.append(raw.bytes_written)
    cut = int(share * ends[-1])
    os.truncate(writing_path(path), cut)
    kept = sum(len(block) for block, end in zip(blocks, ends, strict=True) if end <= cut)
    rebuild(folder / "rebuilt", folder / "raw", lambda sentence: None)
    assembled(folder / "lived", every[:kept])
    assert hashes(folder / "rebuilt") == hashes(folder / "lived")
