from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.exchange import state_file
from hlhft.exchange.state_file import StateFileError, check_writable, read_state, write_state


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "exchange.state"
    write_state(path, {"a": [1, b"2"], "b": {"c": 2**62}})
    assert read_state(path) == {"a": [1, b"2"], "b": {"c": 2**62}}
    write_state(path, {"a": 2})
    assert read_state(path) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "exchange.state"
    write_state(path, {"a": 1})
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StateFileError, match="the checksum does not match"):
        read_state(path)
    path.write_bytes(b"something else")
    with pytest.raises(StateFileError, match="does not begin as a state"):
        read_state(path)
    monkeypatch.setattr(state_file, "STATE_BYTES_MAX", 10)
    path.write_bytes(whole)
    with pytest.raises(StateFileError, match="larger than 10 bytes"):
        read_state(path)
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "none")


def test_a_state_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "exchange.state"
    check_writable(path)
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_state(path, {"a": 1})
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        check_writable(tmp_path / "none" / "exchange.state")
