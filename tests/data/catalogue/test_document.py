"""The examples of docs/catalogue.md run as they are printed, on a catalogue made for them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hlhft.data.catalogue.columns import COLUMNS
from hlhft.data.catalogue.layout import KINDS
from hlhft.data.catalogue.manifest import SOURCES, Manifest
from tests.data.catalogue.making import NOON, put
from tests.data.making import BTC, SECOND, bbo, snapshot, trade


@pytest.fixture(scope="module")
def text() -> str:
    return (Path(__file__).resolve().parents[3] / "docs" / "catalogue.md").read_text()


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two coins, two sources that overlap, and what a killed process left."""
    root = tmp_path / "catalog"
    slashed = replace(BTC, name="PURR/USDC")
    put(root, "book", "archive-12", [snapshot(NOON, [(1000, 5)], [(1010, 7)])])
    put(root, "bbo", "recorder-12", [bbo(NOON + step * SECOND, (1000, 1), (1010 + step, 1)) for step in range(3)])
    put(root, "trade", "fills-12", [trade(NOON + step, 1, 1010, 10 + step, step + 1) for step in range(4)])
    put(root, "trade", "fills-12", [trade(NOON, -1, 5, 100, 9)], market=slashed)
    for name in (".fills-13.parquet.writing", "._fills-13.json.writing"):
        (root / "kind=trade/coin=BTC/date=2026-04-01" / name).write_text("half")
    monkeypatch.chdir(tmp_path)
    return root


def example(text: str, heading: str) -> dict[str, Any]:
    """The names that the first Python example under a heading leaves."""
    section = text[text.index(f"## {heading}\n") :]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(compile(code[1], heading, "exec"), names)
    return names


def test_python(text: str, catalogue: Path) -> None:
    assert example(text, "Overlaps and gaps")["merged_rows"] == 4 + 6 + 4


def test_duckdb(text: str, catalogue: Path) -> None:
    rows = [(coin, str(date), trades, lots) for coin, date, trades, lots in example(text, "DuckDB")["traded"]]
    assert rows == [("BTC", "2026-04-01", 4, 46), ("PURR/USDC", "2026-04-01", 1, 100)]


def test_polars(text: str, catalogue: Path) -> None:
    spread = example(text, "polars")["spread"]
    assert spread["ts_exch_ns"].to_list() == [NOON + step * SECOND for step in range(3)]
    assert spread["price_ticks"].to_list() == [10, 11, 12]


def test_pyarrow(text: str, catalogue: Path) -> None:
    found = example(text, "pyarrow and pandas")
    assert found["levels"]["size_lots"].to_pylist() == [5, 7]
    assert found["prices"].to_pylist() == [100.0, 101.0]


def test_the_tables_name_what_there_is(text: str) -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", text))
    assert set(COLUMNS) <= named
    assert set(KINDS) <= named and set(SOURCES) <= named
    derived = {"version", "kind", "coin", "date", "name", "last_exch_ns", "first_local_ns"}
    assert set(Manifest.__struct_fields__) - derived <= named
