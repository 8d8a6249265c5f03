"""`hlhft data gaps`: of a catalogue, of a day, of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli.errors import ExitCode
from tests.cli.data.running import Captured, refused, run, said
from tests.data.making import write
from tests.data.synthetic import bbo_line

HOUR = 36_000  # lines a tenth of a second apart


@pytest.fixture
def log(tmp_path: Path, capsys: Captured) -> Path:
    """Ten seconds of touches, and ten seconds two hours later."""
    path = write(tmp_path / "log", [bbo_line(start + place) for start in (0, 2 * HOUR) for place in range(100)])
    assert run("import", path, "--catalogue", tmp_path / "catalogue") == ExitCode.OK
    said(capsys)
    return path


def test_gaps_between_with_length_and_reason(tmp_path: Path, capsys: Captured, log: Path) -> None:
    assert run("gaps", "--catalogue", tmp_path / "catalogue") == ExitCode.OK
    lines = said(capsys)[0].splitlines()
    assert lines[0].split() == ["coin", "kind", "from", "to", "length", "why"]
    assert [line.split() for line in lines[1:]] == [
        ["BTC", "bbo", "2025-01-26", "19:14:12.900", "2025-01-26", "21:14:03.000", "1", "h", "59", "min", "silence"]
    ]
    assert run("gaps", "BTC", "--catalogue", tmp_path / "catalogue", "--longer-than", "8000") == ExitCode.OK
    assert said(capsys)[0] == "nothing is missing\n"


def test_of_a_day_its_ends_count_too(tmp_path: Path, capsys: Captured, log: Path) -> None:
    assert run("gaps", "2025-01-26/BTC", "--catalogue", tmp_path / "catalogue", "--json") == ExitCode.OK
    found = json.loads(said(capsys)[0])
    assert [(one["kind"], one["reasons"]) for one in found] == [
        ("bbo", ["no-part"]), ("bbo", ["silence"]), ("bbo", ["no-part"])
    ]  # fmt: skip
    assert sum(one["to_ns"] - one["from_ns"] for one in found) == pytest.approx((86_400 - 19.8) * 1e9, abs=1e3)


def test_of_a_day_without_any_part_all_is_missing(tmp_path: Path, capsys: Captured, log: Path) -> None:
    assert run("gaps", "2026-04-01..2026-04-02/BTC", "--catalogue", tmp_path / "catalogue", "--json") == ExitCode.OK
    (found,) = json.loads(said(capsys)[0])
    assert (found["coin"], found["kind"], found["reasons"]) == ("BTC", "bbo", ["no-part"])
    assert found["to_ns"] - found["from_ns"] == 2 * 86_400 * 10**9


def test_silences_of_a_file(capsys: Captured, log: Path) -> None:
    assert run("gaps", log, "--json") == ExitCode.OK
    (found,) = json.loads(said(capsys)[0])
    assert (found["coin"], found["kind"], found["reasons"]) == ("BTC", "any", ["silence"])
    assert found["to_ns"] - found["from_ns"] == (2 * HOUR - 99) * 100_000_000


def test_what_is_not_there_is_one_sentence(tmp_path: Path, capsys: Captured, log: Path) -> None:
    assert run("gaps", "2025-02-30/BTC", "--catalogue", tmp_path / "catalogue") == ExitCode.DATA
    refused(capsys, "there is no date 2025-02-30")
    assert run("gaps", "2025-01-27..2025-01-26/BTC", "--catalogue", tmp_path / "catalogue") == ExitCode.DATA
    refused(capsys, "runs backwards, give the earlier end first")
    assert run("gaps", "--longer-than", "-1", "--catalogue", tmp_path / "catalogue") == ExitCode.USAGE
