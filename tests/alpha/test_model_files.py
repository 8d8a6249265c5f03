"""What anybody may have sent: each fault is a sentence of the caller's own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.alpha.model_files import read_bounded


class Fault(Exception):
    def __init__(self, path: Path, sentence: str) -> None:
        super().__init__(f"{path}: {sentence}")


def read(path: Path) -> bytes:
    return read_bounded(path, 4, Fault, what="model", writer="hlhft train")


def test_a_file_within_bounds_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert read(tmp_path / "a") == b"1234"


def test_what_is_none_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for name, words in (
        ("large", "larger than 4 bytes, which no model of ours is"),
        ("empty", "the file is empty, copy the folder again whole"),
        ("folder", "this is no file in a model folder, name a folder that hlhft train wrote"),
        ("nothing", "there is no such file, name a folder that hlhft train wrote"),
        ("x" * 300, "the file cannot be read"),
    ):
        with pytest.raises(Fault, match=words):
            read(tmp_path / name)
