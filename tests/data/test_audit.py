"""A catalogue held against its manifests: whatever lies is named, what a killed process left is a note."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from hlhft.data.audit import audit
from hlhft.data.catalogue.layout import PartKey, manifest_path, part_path
from hlhft.data.catalogue.manifest import Manifest, encoded
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.importing import import_source
from hlhft.data.readers.node_fills import fills_table
from hlhft.data.sources import open_source
from hlhft.data.validate import Severity
from tests.data.catalogue.making import MEASURED_BY_TEST, NOON, put
from tests.data.making import BTC, bbo, trade, write
from tests.data.readers.test_node_fills import block, pair
from tests.data.synthetic import clean_log


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "trade", "a", [trade(NOON + place, 1, 100, 1, place + 1) for place in range(50)])
    put(tmp_path, "bbo", "b", [bbo(NOON, (99, 1), (101, 1))])
    return tmp_path


KEY = PartKey("trade", "BTC", "2026-04-01", "a")


def faults(root: Path) -> list[tuple[str, str]]:
    return [(fault.severity.value, fault.message) for fault in audit(Catalogue(root)).faults]


def test_what_is_as_it_says_has_no_fault(root: Path) -> None:
    said: list[tuple[int, int]] = []
    found = audit(Catalogue(root), progress=lambda done, total: said.append((done, total)))
    assert (found.ok, found.parts, found.rows, found.faults) == (True, 2, 52, [])
    assert found.bytes == sum(path.stat().st_size for path in root.rglob("*.parquet")) == said[-1][0] == said[-1][1]


def lying(**changes: object) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = manifest_path(root, KEY)
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        path.write_bytes(encoded(msgspec.structs.replace(manifest, **changes)))

    return change


def flipped(root: Path) -> None:
    path = part_path(root, KEY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def foreign(root: Path) -> None:
    table = pq.read_table(part_path(root, KEY))
    pq.write_table(table.select(table.column_names[:3]), part_path(root, KEY))
    lying(bytes=part_path(root, KEY).stat().st_size, content_hash="")(root)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit": (flipped, "its content is not what its manifest says it was written with"),
    "cut off": (lambda root: part_path(root, KEY).write_bytes(b"PAR1") and None, "its content is not what"),
    "gone": (lambda root: part_path(root, KEY).unlink(), "the part cannot be read (No such file or directory)"),
    "other columns": (foreign, "its content is not what its manifest says it was written with"),
    "rows": (lying(rows=49), "it has 50 rows in"),
    "exchange times": (lying(first_exch_ns=NOON - 1), "its exchange times are not those of its manifest"),
    "local times": (lying(last_local_ns=NOON + 10**9), "its local times are not those of its manifest"),
    "another coin's": (lying(coin="ETH"), "the manifest is wrong: it is of trade/ETH/2026-04-01/a"),
    "no manifest": (lambda root: manifest_path(root, KEY).write_text("{") and None, "no manifest of a part"),
}


@pytest.mark.parametrize(("breaks", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_part_that_lies_is_named(root: Path, breaks: Callable[[Path], None], problem: str) -> None:
    breaks(root)
    found = audit(Catalogue(root))
    (fault,) = found.faults
    assert (found.ok, found.parts, fault.severity) == (False, 2, Severity.ERROR)
    assert problem in fault.message
    assert fault.path in (str(part_path(root, KEY)), str(manifest_path(root, KEY)))
    assert fault.message.startswith(fault.path)


def test_repeated_trades_are_a_fault(root: Path) -> None:
    put(root, "trade", "a", [trade(NOON, 1, 100, 1, 7), trade(NOON, 1, 100, 1, 7), trade(NOON, 1, 100, 1, 0)])
    assert faults(root)[0][1].endswith("1 of its trades are repeated, delete it and run what wrote it again")


def test_what_a_killed_process_left_is_a_note(root: Path) -> None:
    folder = part_path(root, KEY).parent
    (folder / ".c.parquet.writing").write_bytes(b"half")
    manifest_path(root, KEY).unlink()
    found = audit(Catalogue(root))
    assert (found.ok, found.parts, found.rows) == (True, 1, 2)
    assert faults(root) == [
        ("note", f"{folder}/.c.parquet.writing: this was being written and is not read, delete it or let be"),
        (
            "note",
            f"{folder}/a.parquet: the part has no manifest and is not read, delete it and run what wrote it again",
        ),
    ]


def test_an_imported_recording_is_sound(tmp_path: Path) -> None:
    import_source(open_source(write(tmp_path / "log", clean_log(60))), tmp_path / "catalogue")
    assert faults(tmp_path / "catalogue") == []


def test_fills_are_held_against_their_manifest_too(tmp_path: Path) -> None:
    path = write(tmp_path / "fills", [block(*pair("BTC", 1)), block(*pair("BTC", 2))])
    key = PartKey("fill", "BTC", "2025-10-27", "fills-17")
    with PartWriter(
        tmp_path, key, BTC, source="fills", origin="a file", clock=MEASURED_BY_TEST, snapshots=False
    ) as part:
        for batch in fills_table(path):
            part.write_fills(batch)
        manifest = part.finish()
    found = audit(Catalogue(tmp_path))
    assert (found.rows, found.faults) == (4, [])
    lie = msgspec.structs.replace(manifest, last_exch_ns=manifest.last_exch_ns + 1)
    manifest_path(tmp_path, key).write_bytes(encoded(lie))
    assert "its exchange times are not those of its manifest" in faults(tmp_path)[0][1]
