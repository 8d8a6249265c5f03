from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hlhft.data.catalogue.layout import DAY_NS, PartKey, manifest_path, part_path
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.readers.node_fills import FILLS_SCHEMA
from tests.data.catalogue.making import MEASURED_BY_TEST, NOON, put
from tests.data.making import BTC, ETH, joined, trade

KEY = PartKey("trade", "BTC", "2026-04-01", "t")


def names(found: list) -> list[str]:
    return [f"{one.kind}/{one.coin}/{one.date}/{one.name}" for one in found]


def test_what_is_asked_for_is_listed_and_nothing_else(tmp_path: Path) -> None:
    put(tmp_path, "trade", "b", [trade(NOON, 1, 1, 1)])
    put(tmp_path, "trade", "a", [trade(NOON + 5, 1, 1, 1)])
    put(tmp_path, "trade", "n", [trade(NOON - DAY_NS, 1, 1, 1)], date="2026-03-31")
    put(tmp_path, "trade", "e", [trade(NOON, 1, 1, 1)], market=ETH)
    put(tmp_path, "book", "k", [], covers=(NOON, NOON + 10))
    catalogue = Catalogue(tmp_path)
    assert names(catalogue.manifests()) == [
        "book/BTC/2026-04-01/k", "trade/BTC/2026-03-31/n", "trade/BTC/2026-04-01/a", "trade/BTC/2026-04-01/b",
        "trade/ETH/2026-04-01/e",
    ]  # fmt: skip
    assert names(catalogue.manifests(kinds=["trade"], coins=["ETH", "SOL"])) == ["trade/ETH/2026-04-01/e"]
    assert names(catalogue.manifests(coins=["BTC"], begin_ns=NOON + 1)) == [
        "book/BTC/2026-04-01/k", "trade/BTC/2026-04-01/a",
    ]  # fmt: skip
    assert names(catalogue.manifests(end_ns=NOON)) == ["trade/BTC/2026-03-31/n"]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Catalogue(tmp_path / "absent").manifests() == []


def test_rows_of_the_neighbouring_day_are_found(tmp_path: Path) -> None:
    midnight = NOON + DAY_NS // 2
    put(tmp_path, "trade", "late", [trade(midnight - 1, 1, 1, 1)], date="2026-04-02")
    found = Catalogue(tmp_path).manifests(begin_ns=midnight - 1, end_ns=midnight)
    assert names(found) == ["trade/BTC/2026-04-02/late"]


def test_a_part_that_is_not_whole_is_not_there(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    manifest = put(tmp_path, "trade", "t", [trade(NOON, 1, 1, 1)])
    assert catalogue.manifest(KEY) == manifest
    path = part_path(tmp_path, KEY)
    path.write_bytes(path.read_bytes()[:-1])
    assert catalogue.manifest(KEY) is None
    path.unlink()
    assert catalogue.manifest(KEY) is None
    put(tmp_path, "trade", "t", [trade(NOON, 1, 1, 1)])
    manifest_path(tmp_path, KEY).write_text("{")
    assert catalogue.manifest(KEY) is None
    with pytest.raises(DataError, match="no manifest of a part"):
        catalogue.manifests()


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_gone(path: Path) -> None:
    path.unlink()


def damage_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 255
    path.write_bytes(content)


def damage_foreign(path: Path) -> None:
    pq.write_table(pa.table({"price": [1.5]}), path)


def damage_name(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"price_ticks", b"\x80rice_ticks"))


def damage_other(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.slice(1), path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_cut, "the part is damaged or gone"),
        (damage_gone, "the part is damaged or gone"),
        (damage_byte, "the part is damaged or gone"),
        (damage_foreign, "its columns are price"),
        (damage_name, "the part is damaged or gone"),
        (damage_other, "it has 999 rows in .* bytes where the manifest says"),
    ],
)
def test_a_damaged_part_is_refused(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    rows = joined(trade(NOON + step, 1, 1000 + step * step % 97, 1 + step * 31 % 83, step) for step in range(1000))
    manifest = put(tmp_path, "trade", "t", [rows])
    damage(part_path(tmp_path, KEY))
    with pytest.raises(DataError, match=rf"t\.parquet: {said}"):
        list(Catalogue(tmp_path).batches(manifest))


@pytest.mark.parametrize("field", ["first_exch_ns", "last_exch_ns", "first_local_ns", "last_local_ns"])
def test_a_manifest_whose_times_lie_is_refused(tmp_path: Path, field: str) -> None:
    manifest = put(tmp_path, "trade", "t", [trade(NOON + step, 1, 5, 1, step) for step in range(9)])
    lie = msgspec.structs.replace(manifest, **{field: getattr(manifest, field) + (1 if "first" in field else -1)})
    with pytest.raises(DataError, match=r"t\.parquet: its (exchange|local) times are not those of its manifest"):
        list(Catalogue(tmp_path).batches(lie))


def test_fills_come_back_and_are_no_events(tmp_path: Path) -> None:
    key = KEY._replace(kind="fill")
    row = dict.fromkeys(FILLS_SCHEMA.names) | {"ts_exch_ns": NOON, "ts_local_ns": NOON + 5, "coin": "BTC"}
    fills = pa.RecordBatch.from_pylist([row], schema=FILLS_SCHEMA)
    with PartWriter(tmp_path, key, BTC, source="fills", origin="x", clock=MEASURED_BY_TEST, snapshots=True) as part:
        part.write_fills(fills)
        manifest = part.finish()
    catalogue = Catalogue(tmp_path)
    assert [table.to_pylist() for table in catalogue.fills(manifest)] == [fills.to_pylist()]
    with pytest.raises(ValueError, match="fills are no events"):
        list(catalogue.batches(manifest))
    trades = put(tmp_path, "trade", "t", [trade(NOON, 1, 5, 1)])
    with pytest.raises(ValueError, match="a part of kind trade holds no fills"):
        list(catalogue.fills(trades))


def test_a_range_gives_its_rows(tmp_path: Path) -> None:
    rows = joined(trade(NOON + step, 1, 1, 1, step) for step in range(100))
    manifest = put(tmp_path, "trade", "t", [rows])
    found = joined(Catalogue(tmp_path).batches(manifest, begin_ns=NOON + 10, end_ns=NOON + 20))
    assert np.array_equal(found, rows[10:20])
