"""The table on disk: whole or not at all, and the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import csv, parquet

from hlhft.data.errors import DataError
from hlhft.report.scan_files import write_scan
from hlhft.report.scan_results import ScanSettings, results_of
from hlhft.report.scan_words import flat
from tests.report.test_scan_results import steady

RESULTS = results_of([steady("A"), steady("B", every_s=600)], ScanSettings())


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_both_forms_hold_every_figure(tmp_path: Path, suffix: str) -> None:
    path, again = tmp_path / f"scan{suffix}", tmp_path / f"again{suffix}"
    write_scan(path, RESULTS)
    write_scan(again, RESULTS)
    assert path.read_bytes() == again.read_bytes()
    read = parquet.read_table(path) if suffix == ".parquet" else csv.read_csv(path)
    rows = flat(RESULTS)
    assert read.column_names == list(rows[0])
    assert read.column("pro_rata_10s_net_bp").to_pylist() == pytest.approx([row["pro_rata_10s_net_bp"] for row in rows])
    assert read.column("pro_rata_10s_net_low_bp").to_pylist()[1] is None
    assert sorted(tmp_path.iterdir()) == [again, path]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "scan.csv"
    path.mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_scan(path, RESULTS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.csv"]
