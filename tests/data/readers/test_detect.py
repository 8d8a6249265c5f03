"""Which reader a path belongs to."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import lz4.frame
import numpy as np
import pytest

from hlhft.data.errors import DataError
from hlhft.data.readers.detect import open_one
from hlhft.data.readers.events_npz import write_events
from hlhft.data.readers.hftbacktest_npz import HFTBACKTEST_DTYPE
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from tests.data.making import ListSource, write
from tests.data.readers.test_archive import archived
from tests.data.readers.test_node_fills import block, pair
from tests.data.synthetic import clean_log, clean_set, write_set


def reader_of(path: Path) -> str:
    (source,) = open_one(path, None, None, {})
    return source.reader.rpartition("-")[0]


def test_content_decides(tmp_path: Path) -> None:
    log, archive, fills = clean_log(3), [archived(0)], [block(*pair("BTC", 1))]
    assert reader_of(write(tmp_path / "a.txt", log)) == "websocket-log"
    assert reader_of(write(tmp_path / "b.gz", archive)) == "archive"
    assert reader_of(write(tmp_path / "c.dat", fills)) == "node-fills"
    (tmp_path / "d.lz4").write_bytes(lz4.frame.compress("\n".join(archive).encode()))
    assert reader_of(tmp_path / "d.lz4") == "archive"
    assert reader_of(bundled()) == "binance"
    folder = write_set(tmp_path / "set", clean_set(1))
    assert [reader_of(folder), reader_of(folder / "prices_BTC.csv")] == ["hyperliquid-csv"] * 2
    write_events(tmp_path / "e.npz", [], ListSource([]))
    assert reader_of(tmp_path / "e.npz") == "events-npz"
    np.savez(tmp_path / "BTC.npz", data=np.zeros(0, HFTBACKTEST_DTYPE))
    assert reader_of(tmp_path / "BTC.npz") == "hftbacktest-npz"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"hello\n", 'line 1: no known recording begins with "hello", expected a Binance or Hyperliquid log, CSV'),
        (b"\x1b[2J" + bytes(range(256)) * 9, r'no known recording begins with "\x1b[2J\x00'),
        (b"\n\n", 'no known recording begins with ""'),
        (b"price,size\n1,2\n", 'no known recording begins with "price,size"'),
    ],
)
def test_what_no_reader_knows_is_one_sentence(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_one(tmp_path / "a", None, None, {})
    assert problem in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_archive_of_other_arrays_is_one_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(1), y=np.zeros(1))
    with pytest.raises(DataError, match=r"the archive holds x.npy, y.npy, expected an array named data or events"):
        open_one(tmp_path / "a.npz", None, None, {})
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x", b"")
    with zipfile.ZipFile(tmp_path / "b.npz", "a"):
        pass
    with pytest.raises(DataError, match=r"the archive holds x, expected"):
        open_one(tmp_path / "b.npz", None, None, {})


def test_a_cut_off_archive_is_one_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.zeros(100, HFTBACKTEST_DTYPE))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(DataError, match=r"the archive is damaged or cut off"):
        open_one(tmp_path / "a.npz", None, None, {})


def test_a_file_cut_off_behind_its_first_lines_opens(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress("\n".join(clean_log(200)).encode())[:-40])
    assert reader_of(path) == "websocket-log"


def test_missing_and_empty_paths_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file"):
        open_one(tmp_path / "none.gz", None, None, {})
    (tmp_path / "empty.gz").touch()
    with pytest.raises(DataError, match=r"the file is empty"):
        open_one(tmp_path / "empty.gz", None, None, {})
    with pytest.raises(DataError, match=r"the folder holds no CSV recording"):
        open_one(tmp_path, None, None, {})


def test_all_recordings_are_known(recordings: Path) -> None:
    found = {
        "binance/spot_btcusdt_20240809.gz": "binance",
        "hyperliquid/l2_trades_bbo_20250904/trades_SOL.csv.gz": "hyperliquid-csv",
        "hyperliquid/btc_bbo_trades_202509": "hyperliquid-csv",
        "hyperliquid/ws_raw_20250126/btcusd_20250126.gz": "websocket-log",
        "lob/hyperliquid_ws_btc_20250126.jsonl.gz": "websocket-log",
        "hyperliquid/node_fills_by_block_20251027/node_fills_by_block_777010829_777011828.jsonl.gz": "node-fills",
    }
    assert {name: reader_of(recordings / name) for name in found} == found
    assert len(open_source(recordings / "hyperliquid/l2_trades_bbo_20250904").markets) == 4
