from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hlhft.data.catalogue import columns, parts
from hlhft.data.catalogue.layout import PartKey, manifest_path, part_path
from hlhft.data.catalogue.manifest import Gap
from hlhft.data.catalogue.parts import PartWriter, adopt
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from tests.data.catalogue.making import MEASURED_BY_TEST, NOON, put
from tests.data.making import BTC, ETH, bbo, cut, joined, snapshot, trade

KEY = PartKey("book", "BTC", "2026-04-01", "archive-12")


def books(count: int) -> Events:
    return joined(snapshot(NOON + 500 * step, [(1000, step + 1)], [(1001, 7)]) for step in range(count))


def writer(root: Path, key: PartKey = KEY, **changes: object) -> PartWriter:
    given = {"source": "archive", "origin": "x", "clock": MEASURED_BY_TEST, "snapshots": True, **changes}
    return PartWriter(root, key, BTC, **given)  # type: ignore[arg-type]


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    rows = books(9)
    manifest = put(tmp_path, "book", KEY.name, cut(rows, [3, 11]), gaps=[Gap(NOON + 5, NOON + 9, "silence")])
    catalogue = Catalogue(tmp_path)
    assert (joined(catalogue.batches(manifest)) == rows).all()
    assert catalogue.manifests() == [manifest] and catalogue.manifest(KEY) == manifest
    assert manifest.rows == len(rows)
    assert (manifest.first_exch_ns, manifest.last_exch_ns) == (NOON, NOON + 4000)
    assert (manifest.first_local_ns, manifest.last_local_ns) == (NOON + 1000, NOON + 5000)
    assert manifest.covers == (NOON, NOON + 4001) and manifest.gaps == (Gap(NOON + 5, NOON + 9, "silence"),)
    content = part_path(tmp_path, KEY).read_bytes()
    assert manifest.bytes == len(content)
    assert manifest.content_hash == hashlib.blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize("places", [[], [1], [5, 6, 7], list(range(1, 60))])
def test_equal_rows_give_equal_files_however_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: list[int]
) -> None:
    monkeypatch.setattr(columns, "ROW_GROUP_ROWS", 8)
    rows = books(20)
    put(tmp_path / "whole", "book", KEY.name, [rows])
    put(tmp_path / "cut", "book", KEY.name, cut(rows, places))
    assert files(tmp_path / "whole") == files(tmp_path / "cut")


def test_without_finish_nothing_is_left_and_nothing_lost(tmp_path: Path) -> None:
    put(tmp_path, "book", KEY.name, [books(3)])
    before = files(tmp_path)
    with pytest.raises(RuntimeError, match="interrupted"), writer(tmp_path) as part:
        part.write(books(5))
        raise RuntimeError("interrupted")
    assert files(tmp_path) == before
    with writer(tmp_path) as part:
        part.write(books(5))
    assert files(tmp_path) == before


def test_a_part_is_replaced_by_a_finished_one(tmp_path: Path) -> None:
    put(tmp_path, "book", KEY.name, [books(3)])
    manifest = put(tmp_path, "book", KEY.name, [books(5)])
    assert (joined(Catalogue(tmp_path).batches(manifest)) == books(5)).all()
    assert set(files(tmp_path)) == {"archive-12.parquet", "_archive-12.json"}


def test_no_rows_are_a_part_too(tmp_path: Path) -> None:
    manifest = put(tmp_path, "book", KEY.name, [], covers=(NOON, NOON + 5))
    assert (manifest.rows, manifest.first_exch_ns, manifest.covers) == (0, 0, (NOON, NOON + 5))
    catalogue = Catalogue(tmp_path)
    assert list(catalogue.batches(manifest)) == []
    assert catalogue.manifests(begin_ns=NOON + 4) == [manifest] and catalogue.manifests(begin_ns=NOON + 5) == []


def test_rows_of_another_kind_or_order_are_a_mistake(tmp_path: Path) -> None:
    with writer(tmp_path) as part, pytest.raises(ValueError, match="got events of another kind"):
        part.write(bbo(NOON, (1, 1), (2, 1)))
    with writer(tmp_path) as part, pytest.raises(ValueError, match="order of arrival"):
        part.write(books(3)[::-1])
    with writer(tmp_path) as part:
        part.write(books(3))
        with pytest.raises(ValueError, match="order of arrival"):
            part.write(books(2))
    with pytest.raises(ValueError, match="market BTC in a part of coin ETH"):
        writer(tmp_path, KEY._replace(coin=ETH.name))
    with pytest.raises(ValueError, match="source guess"):
        writer(tmp_path, source="guess")
    with writer(tmp_path) as part, pytest.raises(ValueError, match="no known reason"):
        part.gap(Gap(1, 2, "boredom"))
    assert files(tmp_path) == {}


@pytest.mark.parametrize("ticks", [-1, 2**31])
def test_a_price_that_no_market_has_is_the_data_s_fault(tmp_path: Path, ticks: int) -> None:
    with (
        writer(tmp_path) as part,
        pytest.raises(DataError, match=f"a price of {ticks} ticks is outside 0 to 2147483647"),
    ):
        part.write(joined([books(1), snapshot(NOON + 5, [(ticks, 1)], [])]))


def test_gaps_beyond_the_bound_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GAPS_MAX", 2)
    gaps = [Gap(NOON + 10 * number, NOON + 10 * number + 5, "silence") for number in range(4)]
    manifest = put(tmp_path, "book", KEY.name, [], covers=(NOON, NOON + 99), gaps=gaps)
    assert manifest.gaps == (gaps[0], Gap(NOON + 10, NOON + 35, "silence"))


def test_every_field_of_a_record_comes_back(tmp_path: Path) -> None:
    far = 2**62
    rows = joined([trade(NOON, -1, 2**31 - 1, 2**46 - 1, far, aux0=-far, aux1=far, flags=63)])
    manifest = put(tmp_path, "trade", "t", [rows])
    assert (joined(Catalogue(tmp_path).batches(manifest)) == rows).all()


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "kind=book").write_text("in the way")
    with pytest.raises(DataError, match=r"archive-12.parquet: the part cannot be written \(.*\), nothing was kept"):
        writer(tmp_path).__enter__()


def test_the_range_cuts_frames_but_not_their_ends(tmp_path: Path) -> None:
    first, second = trade(NOON, 1, 10, 1, 1, flags=3), trade(NOON + 7, 1, 10, 1, 2, local=NOON + 1000)
    manifest = put(tmp_path, "trade", "t", [np.concatenate([first, second])])
    rows = joined(Catalogue(tmp_path).batches(manifest, end_ns=NOON + 7))
    assert rows["order_id"].tolist() == [1] and rows["flags"].tolist() == [7]
    rows = joined(Catalogue(tmp_path).batches(manifest, begin_ns=NOON + 1))
    assert rows["order_id"].tolist() == [2]


def test_a_part_without_manifest_is_not_there(tmp_path: Path) -> None:
    put(tmp_path, "book", KEY.name, [books(3)])
    manifest_path(tmp_path, KEY).unlink()
    catalogue = Catalogue(tmp_path)
    assert catalogue.manifest(KEY) is None and catalogue.manifests() == []


def test_a_part_written_elsewhere_is_adopted_whole(tmp_path: Path) -> None:
    manifest = put(tmp_path / "there", "book", KEY.name, [books(9)])
    content = part_path(tmp_path / "there", KEY).read_bytes()
    put(tmp_path / "here", "book", KEY.name, [books(3)])
    adopt(tmp_path / "here", KEY, manifest, lambda stream: stream.write(content))
    assert files(tmp_path / "here") == files(tmp_path / "there")


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_what_is_not_the_manifests_is_not_adopted(tmp_path: Path, content: bytes) -> None:
    manifest = put(tmp_path / "there", "book", KEY.name, [books(9)])
    put(tmp_path / "here", "book", KEY.name, [books(3)])
    before = files(tmp_path / "here")
    with pytest.raises(DataError, match="fetch it again"):
        adopt(tmp_path / "here", KEY, manifest, lambda stream: stream.write(content))
    assert files(tmp_path / "here") == before
