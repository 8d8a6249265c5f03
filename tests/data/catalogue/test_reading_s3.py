"""A catalogue in S3 reads as the folder it was made from, and of its parts only what is needed is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hlhft.data.addresses import place_at
from hlhft.data.catalogue.layout import PartKey, part_path
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.names import HOUR_NS
from hlhft.data.catalogue.reading import GROUPS_AT_ONCE, Catalogue
from hlhft.data.catalogue.source import CatalogueSource, open_named
from hlhft.data.errors import DataError
from hlhft.data.holdings import catalogue_at, chosen, holdings
from hlhft.data.merge import Events
from tests.data.catalogue.coin_day import BEGIN_NS, books
from tests.data.catalogue.making import NOON, put
from tests.data.making import ETH, joined, trade
from tests.data.mining.s3_server import PRIVATE, Order, Server

LINES = 20_000  # of a day; the file has 13 row groups


def rows_of(source: CatalogueSource) -> bytes:
    return b"".join(rows.tobytes() for rows in source.chunks())


def thinned(lines: int) -> list[Events]:
    """A day of pictures, every eighth of coin_day's."""
    rows = [one.copy() for one in books(lines)]
    for one in rows:
        for clock in ("ts_exch_ns", "ts_local_ns"):
            one[clock] = BEGIN_NS + (one[clock] - BEGIN_NS) * 8
    return rows


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a day as one part, trades as an hour's parts, and another coin."""
    root = tmp_path_factory.mktemp("catalogue")
    put(root, "book", "day", thinned(LINES))
    for hour in range(12, 16):
        begin = BEGIN_NS + hour * HOUR_NS
        trades = [trade(begin + step * 1_000_000_000, 1, 680_000 + step, 5, hour * 100 + step) for step in range(50)]
        put(root, "trade", f"fills-{hour}", [joined(trades)], source="fills")
    put(root, "trade", "fills-12", [trade(NOON, 1, 5, 1, 1)], market=ETH)
    return root


@pytest.fixture
def address(day: Path, s3: Server) -> str:
    found = s3.upload(day, PRIVATE, "data/catalog")
    s3.forget()
    return found


def test_it_reads_as_the_folder_byte_for_byte(day: Path, address: str) -> None:
    here, there = Catalogue(day), Catalogue(address)
    assert there.manifests() == here.manifests() != []
    assert there.manifests(coins=["ETH", "BTC"]) == here.manifests(coins=["ETH", "BTC"])
    assert there.coins("trade") == here.coins("trade") == ["BTC", "ETH"]
    one, other = here.source(["btc", "ETH"]), there.source(["btc", "ETH"])
    assert rows_of(one) == rows_of(other) != b""
    assert (one.fingerprint(), one.bytes_total, one.name) == (other.fingerprint(), other.bytes_total, other.name)
    assert holdings(there.manifests()) == holdings(here.manifests())
    assert chosen(catalogue_at(place_at(address)), ["ETH"])[0][1] == here.manifests(coins=["ETH"])


@pytest.mark.parametrize("hours", [range(12, 13), range(3, 5), range(23, 24)])
def test_an_hour_costs_what_it_holds(day: Path, address: str, s3: Server, hours: Sequence[int]) -> None:
    """Of the day's part its end, and the row groups that the hours touch, in a request for several."""
    begin, end = BEGIN_NS + hours[0] * HOUR_NS, BEGIN_NS + (hours[-1] + 1) * HOUR_NS
    (manifest,) = Catalogue(day).manifests(kinds=["book"])
    here = joined(Catalogue(day).batches(manifest, begin_ns=begin, end_ns=end))
    assert len(here) > 30_000
    assert np.array_equal(joined(Catalogue(address).batches(manifest, begin_ns=begin, end_ns=end)), here)
    assert s3.bytes_of(PRIVATE, "day.parquet") < manifest.bytes / 5
    assert s3.counts()[f"GET /{PRIVATE}/data/catalog/kind=book/coin=BTC/date=2026-04-01/day.parquet"] <= 2


def test_parts_that_a_range_does_not_touch_are_not_asked_for(address: str, s3: Server) -> None:
    source = open_named("2026-04-01T13/BTC", place_at(address))
    assert source is not None and [one.name for one in source.manifests] == ["day", "fills-13"]
    assert not [name for name in s3.counts() if name.endswith(".parquet")], "it was fetched before it was read"
    rows_of(source)
    fetched = {name.rpartition("/")[2] for name in s3.counts() if name.startswith("GET /") and ".parquet" in name}
    assert fetched == {"day.parquet", "fills-13.parquet"}


def test_known_manifests_are_not_listed_and_read_again(day: Path, address: str, s3: Server) -> None:
    known = Catalogue(address).within(["BTC"], begin_ns=NOON)
    s3.forget()
    source = known.source(["BTC"], begin_ns=NOON)
    assert not s3.counts() and known.manifests(kinds=["trade"], coins=["ETH"]) == []
    assert source.fingerprint() == Catalogue(day).source(["BTC"], begin_ns=NOON).fingerprint()
    assert rows_of(source) == rows_of(Catalogue(day).source(["BTC"], begin_ns=NOON))


def test_a_whole_part_takes_few_requests(day: Path, address: str, s3: Server) -> None:
    (manifest,) = Catalogue(day).manifests(kinds=["book"])
    groups = pq.ParquetFile(part_path(day, manifest.key)).num_row_groups
    assert joined(Catalogue(address).batches(manifest)).tobytes() == joined(Catalogue(day).batches(manifest)).tobytes()
    name = f"/{PRIVATE}/data/catalog/kind=book/coin=BTC/date=2026-04-01/day.parquet"
    assert s3.counts()[f"GET {name}"] <= 1 + -(-groups // GROUPS_AT_ONCE) + 1
    assert s3.bytes_of(PRIVATE, "day.parquet") < 1.1 * manifest.bytes


def plain(root: Path, rows: int) -> Manifest:
    """Trades whose columns are not packed at all, as another program might write them."""
    one = trade(NOON, 1, 5, 1, 1)
    events = np.repeat(one, rows)
    events["ts_exch_ns"] += np.arange(rows)
    events["ts_local_ns"] += np.arange(rows)
    events["order_id"] = events["aux0"] = events["aux1"] = 0
    manifest = put(root, "trade", "plain", [events])
    path = part_path(root, manifest.key)
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table, path, compression="none", use_dictionary=False, store_schema=False)
    described = path.with_name("_plain.json")
    size = path.stat().st_size
    described.write_text(described.read_text().replace(f'"bytes": {manifest.bytes}', f'"bytes": {size}'))
    (found,) = Catalogue(root).manifests()
    return found


def test_a_column_of_nothing_is_not_fetched(tmp_path: Path, s3: Server) -> None:
    manifest = plain(tmp_path, 60_000)
    address = s3.upload(tmp_path, PRIVATE, "plain")
    s3.forget()
    found = joined(Catalogue(address).batches(manifest))
    assert np.array_equal(found, joined(Catalogue(tmp_path).batches(manifest))) and len(found) == 60_000
    zeros = 3 * 8 * 60_000
    assert manifest.bytes > zeros and s3.bytes_of(PRIVATE, ".parquet") < manifest.bytes - 0.9 * zeros


KEY = PartKey("trade", "BTC", "2026-04-01", "fills-13")
OBJECT = "data/catalog/kind=trade/coin=BTC/date=2026-04-01/fills-13.parquet"


@pytest.fixture
def manifest(day: Path) -> Manifest:
    found = Catalogue(day).manifest(KEY)
    assert found is not None
    return found


def test_a_part_that_vanished_since_its_manifest_was_read_is_said(
    address: str,
    manifest: Manifest,
    s3: Server,
) -> None:
    s3.remove(PRIVATE, OBJECT)
    with pytest.raises(DataError, match=r"s3://private/data/catalog/.*fills-13\.parquet: the part is gone"):
        list(Catalogue(address).batches(manifest))
    assert Catalogue(address).manifest(KEY) is None


def test_a_part_that_was_replaced_since_its_manifest_was_read_is_said(
    day: Path,
    address: str,
    manifest: Manifest,
    s3: Server,
) -> None:
    other = part_path(day, KEY._replace(name="fills-14")).read_bytes()
    s3.put({(PRIVATE, OBJECT): other})
    with pytest.raises(DataError, match=r"fills-13\.parquet: (it has|its exchange times are not)"):
        list(Catalogue(address).batches(manifest))
    s3.put({(PRIVATE, OBJECT): b"no Parquet"})
    with pytest.raises(DataError, match=r"fills-13\.parquet: the part is damaged or gone"):
        list(Catalogue(address).batches(manifest))


@pytest.mark.parametrize("change", ["touched", "shorter", "removed"])
def test_a_part_that_is_replaced_while_it_is_read_is_said(
    day: Path,
    address: str,
    s3: Server,
    change: str,
) -> None:
    (manifest,) = Catalogue(day).manifests(kinds=["book"])
    key = "data/catalog/kind=book/coin=BTC/date=2026-04-01/day.parquet"
    content = bytearray(part_path(day, manifest.key).read_bytes())
    content[len(content) // 2] ^= 1
    read = Catalogue(address).batches(manifest)
    next(read)
    if change == "removed":
        s3.remove(PRIVATE, key)
    else:
        s3.put({(PRIVATE, key): bytes(content) if change == "touched" else b"PAR1"})
    with pytest.raises(DataError, match=r"day\.parquet: the part was replaced or removed while it was read"):
        list(read)


def test_a_storage_that_refuses_midway_is_said(day: Path, address: str, s3: Server) -> None:
    (manifest,) = Catalogue(day).manifests(kinds=["book"])
    s3.orders(Order(r"GET .*day\.parquet", times=-1, skip=1, status=403, code="AccessDenied"))
    with pytest.raises(DataError, match=r"day\.parquet: the storage refuses it \(.*give credentials"):
        list(Catalogue(address).batches(manifest))


def test_a_damaged_page_is_not_believed(day: Path, address: str, manifest: Manifest, s3: Server) -> None:
    content = bytearray(part_path(day, KEY).read_bytes())
    content[len(content) // 4] ^= 255
    s3.put({(PRIVATE, OBJECT): bytes(content)})
    with pytest.raises(DataError, match=r"fills-13\.parquet: the part is damaged or gone"):
        list(Catalogue(address).batches(manifest))


def test_an_address_with_nothing_is_said(s3: Server) -> None:
    nothing = place_at(s3.address(PRIVATE, "nothing"))
    with pytest.raises(DataError, match="s3://private/nothing: there is no catalogue for 2026-04-01/BTC"):
        open_named("2026-04-01/BTC", nothing)
    with pytest.raises(DataError, match="s3://private/nothing: there is nothing at this address"):
        catalogue_at(nothing)
    assert Catalogue(nothing).manifests() == []
