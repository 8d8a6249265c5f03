"""`hlhft data head`: the first events with numbers as people write them."""

from __future__ import annotations

import json
from pathlib import Path

from hlhft.cli.errors import ExitCode
from tests.cli.data.running import Captured, refused, run, said
from tests.data.making import write
from tests.data.synthetic import clean_log


def test_the_first_rows_in_decimals(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "log", clean_log(9))
    assert run("head", path, "-n", "2") == ExitCode.OK
    lines = said(capsys)[0].splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["time", "latency", "ms", "market", "kind", "side", "price", "size", "id", "flags"]
    assert lines[2].split() == (
        [
            "2025-01-26T19:14:03.000000000Z",
            "250.0",
            "BTC",
            "depth_level",
            "bid",
            "1000",
            "1.5",
            "exchange_visible",
            "local_visible",
        ]
    )


def test_as_json_of_a_catalogue(tmp_path: Path, capsys: Captured) -> None:
    path, root = write(tmp_path / "log", clean_log(3)), tmp_path / "catalogue"
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    said(capsys)
    assert run("head", "2025-01-26/BTC", "--catalogue", root, "--json") == ExitCode.OK
    rows = json.loads(said(capsys)[0])
    assert len(rows) == 12
    assert rows[-1] == {
        "time": "2025-01-26T19:14:03.200000000Z", "latency_ms": 250.0, "market": "BTC", "kind": "trade",
        "side": "sell", "price": "1000", "size": "0.01", "id": 2002,
        "flags": "exchange_visible local_visible frame_end",
    }  # fmt: skip


def test_bad_use_and_bad_data(tmp_path: Path, capsys: Captured) -> None:
    assert run("head", tmp_path / "none") == ExitCode.DATA
    refused(capsys, "there is no such file")
    assert run("head", tmp_path / "none", "-n", "0") == ExitCode.USAGE


def test_a_damaged_part_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    path, root = write(tmp_path / "log", clean_log(900)), tmp_path / "catalogue"
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    said(capsys)
    part = next(root.rglob("kind=book/**/*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 0xFF
    part.write_bytes(bytes(content))
    for command in ("head", "stats"):
        assert run(command, "2025-01-26/BTC", "--catalogue", root) == ExitCode.DATA
        assert str(part) in refused(capsys, "the part is damaged or gone")
    assert run("check", root) == ExitCode.DATA
    assert f"error: {part}: " in said(capsys)[0]
