"""`hlhft data stats`: figures as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from hlhft.cli.errors import ExitCode
from tests.cli.data.running import Captured, run, said
from tests.data.making import write
from tests.data.synthetic import clean_log


def test_figures_as_text(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "log", clean_log(600))
    assert run("stats", path) == ExitCode.OK
    lines = said(capsys)[0].splitlines()
    size = path.stat().st_size
    assert lines[0] == f"log: 2400 rows in {size} bytes, {size / 2400:.1f} a row"
    assert lines[1] == "BTC: 1200 depth_level, 200 snapshot_begin, 200 snapshot_end, 400 bbo, 400 trade"
    assert lines[2] == "  2025-01-26 19:14:03 to 19:15:03 UTC by the local clock"
    assert lines[3] == "  spread 9.995 bp mean, 9.995 median, 9.995 at 95 % of 200 pictures"
    assert lines[4] == "  400.7 trades and 4,009 of the quote currency a minute"
    assert lines[5] == "  latency of book: 250.0 / 250.0 / 250.0 / 250.0 ms at 5 / 50 / 95 / 99 % of 200"


def test_figures_of_a_catalogue_as_json(tmp_path: Path, capsys: Captured) -> None:
    path, root = write(tmp_path / "log", clean_log(600)), tmp_path / "catalogue"
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    said(capsys)
    assert run("stats", "2025-01-26/BTC", "--catalogue", root, "--json") == ExitCode.OK
    found = json.loads(said(capsys)[0])
    assert found["bytes"] == sum(part.stat().st_size for part in root.rglob("*.parquet"))
    (market,) = found["markets"]
    assert (market["market"], market["rows"], market["spread"]["of"]) == ("BTC", 2400, "pictures")
