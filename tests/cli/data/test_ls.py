"""`hlhft data ls`: a table and a calendar of what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli.errors import ExitCode
from tests.cli.data.running import Captured, refused, run, said
from tests.data.making import write
from tests.data.synthetic import clean_log


@pytest.fixture
def root(tmp_path: Path, capsys: Captured) -> Path:
    for coin in ("BTC", "ETH"):
        path = write(tmp_path / coin, [line.replace("BTC", coin) for line in clean_log(9)])
        assert run("import", path, "--catalogue", tmp_path / "catalogue") == ExitCode.OK
    said(capsys)
    return tmp_path / "catalogue"


def test_a_line_a_coin_and_kind_and_a_calendar(root: Path, capsys: Captured) -> None:
    assert run("ls", "--catalogue", root) == ExitCode.OK
    lines = said(capsys)[0].splitlines()
    assert lines[0].split() == [
        "coin",
        "kind",
        "from",
        "to",
        "days",
        "parts",
        "rows",
        "MB",
        "bytes",
        "a",
        "row",
        "gaps",
        "source",
    ]
    assert [line.split()[:2] for line in lines[1:7]] == [
        [coin, kind] for coin in ("BTC", "ETH") for kind in ("book", "bbo", "trade")
    ]
    book = lines[1].split()
    assert book[2:9] == ["2025-01-26", "19:14", "2025-01-26", "19:14", "1", "1", "24"]
    assert book[-2:] == ["0", "import"]
    assert lines[8].split()[:3] == ["coin", "kind", "month"]
    assert lines[9].split() == ["BTC", "book", "2025-01", "." * 25 + "+" + "." * 5]
    assert run("ls", "--catalogue", root, "ETH", "--no-calendar") == ExitCode.OK
    assert [line.split()[0] for line in said(capsys)[0].splitlines()] == ["coin", "ETH", "ETH", "ETH"]


def test_as_json(root: Path, capsys: Captured) -> None:
    assert run("ls", "2025-01-26/ETH", "--catalogue", root, "--json") == ExitCode.OK
    found = json.loads(said(capsys)[0])
    assert [(one["coin"], one["kind"], one["rows"]) for one in found] == [
        ("ETH", "book", 24), ("ETH", "bbo", 6), ("ETH", "trade", 6)
    ]  # fmt: skip
    assert found[0]["sources"] == ["import"]
    assert list(found[0]["days"]) == ["2025-01-26"]


def test_what_is_no_catalogue_or_not_in_it_is_one_sentence(root: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run("ls", "--catalogue", tmp_path / "none") == ExitCode.DATA
    refused(capsys, "there is no such folder, name a catalogue with --catalogue")
    (tmp_path / "other").mkdir()
    assert run("ls", "--catalogue", tmp_path / "other") == ExitCode.DATA
    refused(capsys, "the folder is no catalogue: it has no folder as kind=book")
    assert run("ls", "--catalogue", root, "BTCC") == ExitCode.DATA
    refused(capsys, "there is nothing of coin BTCC in this catalogue, the nearest it holds is BTC")
