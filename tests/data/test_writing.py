"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.data.writing import sync_folder, write_file


def test_a_file_takes_the_place_of_the_earlier_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"one", b"the other"):
        write_file(path, content)
        sync_folder(tmp_path)
        assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_file(path, b"one")
    (tmp_path / ".a.json.writing").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(path, b"two")
    assert path.read_bytes() == b"one"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nothing")
