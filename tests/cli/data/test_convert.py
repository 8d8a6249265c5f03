"""`hlhft data convert` of what a catalogue holds; of recordings see test_check.py, where bad input is tried on both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli.errors import ExitCode
from hlhft.data.sources import open_source
from tests.cli.data.running import Captured, refused, run, said
from tests.data.making import rows_of, write
from tests.data.synthetic import clean_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = write(tmp_path / "log", clean_log(30))
    assert run("import", path, "--catalogue", tmp_path / "catalogue") == ExitCode.OK
    return path


def test_a_catalogue_and_the_recording_convert_to_the_same_rows(tmp_path: Path, capsys: Captured, log: Path) -> None:
    said(capsys)
    named = ("2025-01-26T19/BTC", "--catalogue", tmp_path / "catalogue")
    assert run("convert", *named[:1], tmp_path / "a.events.npz", *named[1:], "--json") == ExitCode.OK
    assert json.loads(said(capsys)[0])["rows"] == 120
    assert rows_of(open_source(tmp_path / "a.events.npz")).tobytes() == rows_of(open_source(log)).tobytes()
    for source, out in ((named[0], "BTC_a.npz"), (log, "BTC_b.npz")):
        assert run("convert", source, tmp_path / out, *named[1:]) == ExitCode.OK
    assert (tmp_path / "BTC_a.npz").read_bytes() == (tmp_path / "BTC_b.npz").read_bytes()
    # And back: the array is a recording as any other.
    assert run("import", tmp_path / "BTC_a.npz", "--catalogue", tmp_path / "back") == ExitCode.OK
    again = open_source("2025-01-26/BTC", catalogue=tmp_path / "back")
    assert len(rows_of(again)) == len(rows_of(open_source(tmp_path / "BTC_a.npz")))


def test_what_is_not_there_is_one_sentence(tmp_path: Path, capsys: Captured, log: Path) -> None:
    said(capsys)
    root, out = tmp_path / "catalogue", tmp_path / "a.npz"
    assert run("convert", "2025-01-26/DOGE", out, "--catalogue", root) == ExitCode.DATA
    refused(capsys, "there is nothing of coin DOGE in this catalogue, it holds BTC")
    assert run("convert", "2025-01-27/BTC", out, "--catalogue", root) == ExitCode.DATA
    refused(capsys, "there is nothing for 2025-01-27/BTC, of BTC it holds 2025-01-26, the nearest first")
    assert run("convert", "2025-13-01/BTC", out, "--catalogue", root) == ExitCode.DATA
    refused(capsys, "there is no date 2025-13-01")
    assert not out.exists()
