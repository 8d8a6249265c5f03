"""Raw files: what is in them, what a cut leaves of them, and one recorder a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.recorder.hours import writing_path
from hlhft.data.recorder.marks import encoded
from hlhft.data.recorder.raw import (
    BUFFER_BYTES_MAX,
    Lock,
    RawFile,
    complete,
    cut_to_whole_blocks,
    lines_of,
)
from hlhft.data.sources import open_source
from tests.data.recorder.making import BTC, START_NS, bbo, begin


def written(path: Path, blocks: list[list[tuple[int, bytes]]]) -> Path:
    """An unfinished file of these blocks."""
    with RawFile(path) as raw:
        for block in blocks:
            for line in block:
                raw.add(*line)
            raw.flush()
    return writing_path(path)


def test_a_sealed_file_has_all_lines_and_is_a_raw_log(tmp_path: Path) -> None:
    path = tmp_path / "day" / "08-081000.log.lz4"
    lines = [(START_NS, encoded(begin())), (START_NS + 1, bbo(START_NS // 1_000_000))]
    with RawFile(path) as raw:
        raw.add(*lines[0])
        assert not path.exists()
        raw.flush()
        assert not raw.is_synced
        raw.add(*lines[1])
        raw.seal()
        assert raw.is_synced and raw.bytes_written == path.stat().st_size
    assert list(lines_of(path)) == lines
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    source = open_source(path, specification={"BTC": BTC})
    assert sum(len(chunk) for chunk in source.chunks()) == 2
    assert source.counts["messages_of_other_channels"] == 1


def test_line_ends_in_a_frame_do_not_break_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "08-081000.log.lz4", [[(START_NS, b'{\r\n"a":\n1}'), (START_NS, b"{}")]])
    assert list(lines_of(path)) == [(START_NS, b'{  "a": 1}'), (START_NS, b"{}")]


def test_much_is_written_before_anybody_asks(tmp_path: Path) -> None:
    with RawFile(tmp_path / "08-081000.log.lz4") as raw:
        raw.add(START_NS, b"x" * BUFFER_BYTES_MAX)
        assert raw.bytes_written > 0


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "08-081000.log.lz4"
    written(path, [[(START_NS, b"{}")]])
    with pytest.raises(DataError, match="there already"):
        RawFile(path)
    complete(path)
    with pytest.raises(DataError, match="there already"):
        RawFile(path)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        RawFile(tmp_path / "file" / "08-081000.log.lz4")
    with pytest.raises(DataError, match="cannot be written"):
        complete(tmp_path / "nowhere")
    with pytest.raises(DataError, match="cannot be written"):
        cut_to_whole_blocks(tmp_path / "nowhere")


FULL = """
import resource, sys
from pathlib import Path
from hlhft.data.errors import DataError
from hlhft.data.recorder.raw import RawFile
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with RawFile(Path(sys.argv[1])) as raw:
    raw.add(1_000_000_000_000_000_001, b"kept")
    raw.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (raw.bytes_written + 100, -1))
    raw.add(1_000_000_000_000_000_002, bytes(range(256)) * 40)
    try:
        raw.flush()
    except DataError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, -1))
    raw.add(1_000_000_000_000_000_003, b"kept too")
    raw.seal()
"""


def test_a_write_that_fails_midway_leaves_whole_blocks(tmp_path: Path) -> None:
    path = tmp_path / "08-081000.log.lz4"
    told = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot be written (File too large)" in told.stdout
    assert [text for _, text in lines_of(path)] == [b"kept", b"kept too"]


BLOCKS = st.lists(st.lists(st.binary(max_size=40).map(bytes.hex).map(str.encode), min_size=1, max_size=4), max_size=5)


@settings(max_examples=40)
@given(BLOCKS, st.floats(0, 1))
def test_of_a_cut_file_all_whole_blocks_are_left(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[bytes]], share: float
) -> None:
    path = tmp_path_factory.mktemp("raw") / "08-081000.log.lz4"
    ends = [0]
    lines = [[(START_NS + place, b"j" + text) for text in block] for place, block in enumerate(texts)]
    with RawFile(path) as raw:
        for block in lines:
            for line in block:
                raw.add(*line)
            raw.flush()
            ends.append(raw.bytes_written)
    left = writing_path(path)
    cut = int(share * ends[-1])
    os.truncate(left, cut)
    whole = max(end for end in ends if end <= cut)
    assert cut_to_whole_blocks(left) == whole == left.stat().st_size
    expected = [line for block in lines[: ends.index(whole)] for line in block]
    assert expected == (list(lines_of(left)) if whole else [])
    assert cut_to_whole_blocks(left) == whole, "the second time there is nothing to cut"


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=80), st.booleans())
def test_garbage_behind_the_last_block_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, has_block: bool
) -> None:
    path = tmp_path_factory.mktemp("raw") / "08-081000.log.lz4"
    left = written(path, [[(START_NS, b"{}")]] if has_block else [])
    size = left.stat().st_size
    with left.open("ab") as file:
        file.write(garbage)
    # An LZ4 frame without content may stand there: it is a block of no lines.
    assert cut_to_whole_blocks(left) >= size
    assert (list(lines_of(left)) if has_block else []) == ([(START_NS, b"{}")] if has_block else [])


@pytest.mark.parametrize("text", [b"no number {}\n", b"12\n"])
def test_a_line_of_another_form_is_an_error(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1 {}\n" + text)
    with pytest.raises(DataError, match="line 2: the line is not"):
        list(lines_of(path))


def test_a_folder_has_one_recorder(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    lock = Lock(folder)
    with pytest.raises(DataError, match="another recorder writes here"):
        Lock(folder)
    lock.close()
    Lock(folder).close()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        Lock(tmp_path / "file")
