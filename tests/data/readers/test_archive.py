"""The venue's archive of books."""

from __future__ import annotations

import json
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import HealthCheck, given, settings

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.readers.archive import open_archive, recognises
from hlhft.data.sources import Source
from tests.data.making import BTC, ETH, columns, fault_of, rows_of, write
from tests.data.readers.fuzz import check, mutated

TIME = 1_694_858_400_000


def archived(number: int, coin: str = "BTC", local: str | None = None) -> str:
    """A line as the archive of 2023 has them: without a zone, with nanoseconds."""
    book = {"coin": coin, "time": TIME + 1000 * number,
            "levels": [[{"px": "26000", "sz": "1.5", "n": 2}], [{"px": "26001", "sz": "0.5", "n": 1}]]}  # fmt: skip
    clock = f"2023-09-16T10:00:{number:02d}.250000001" if local is None else local
    return json.dumps({"time": clock, "ver_num": 1, "raw": {"channel": "l2Book", "data": book}})


def opened(path: Path) -> Source:
    return open_archive(LineFile(path), None, None, {})


def test_lines_are_pictures_with_the_archivers_clock(tmp_path: Path) -> None:
    path = tmp_path / "BTC.lz4"
    path.write_bytes(lz4.frame.compress("\n".join(archived(number) for number in range(3)).encode() + b"\n"))
    source = opened(path)
    rows = rows_of(source)
    assert columns(rows[:4], "kind", "ts_exch_ns", "ts_local_ns", "price_ticks") == [
        (kind, TIME * 1_000_000, TIME * 1_000_000 + 250_000_001, price)
        for kind, price in ((3, 0), (1, 260_000), (1, 260_010), (4, 0))
    ]
    assert len(rows) == 12
    assert source.counts == {"snapshot": 3, "sessions": 1, "backfill_trades": 0}
    assert source.snapshot_markets == (True,)


def test_events_are_numbered_by_line(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a", [archived(1), archived(0)]))
    ((path, (events, places)),) = source.numbered(ProgressMeter(None, 1))
    assert (path.name, places.tolist()) == ("a", [1] * 4 + [2] * 4)
    assert events["ts_exch_ns"].tolist() == [(TIME + 1000) * 1_000_000] * 4 + [TIME * 1_000_000] * 4


def test_a_torn_last_line_is_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [archived(0), archived(1), archived(2)[:50]])
    source = opened(path)
    assert len(rows_of(source)) == 8
    assert source.counts["torn_last_line"] == 1


@pytest.mark.parametrize("torn", [2, 3])
def test_a_torn_line_elsewhere_is_an_error_after_those_before_it(tmp_path: Path, torn: int) -> None:
    lines = [archived(number) for number in range(5)]
    lines[torn - 1] = lines[torn - 1][:50]
    rows, error = fault_of(opened(write(tmp_path / "a", lines)))
    assert error is not None
    assert (error.line, len(rows)) == (torn, 4 * (torn - 1))
    assert "no archive line" in str(error)
    assert "expected time and raw message, drop the line" in str(error)


def test_a_wrong_time_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [archived(0), archived(1, local="10:00"), archived(2)])
    rows, error = fault_of(opened(path))
    assert str(error) == f'{path}, line 2: "10:00" is not a time as 2025-10-27T17:00:00.063787823, drop the line'
    assert len(rows) == 4


def test_a_coin_may_be_chosen_and_options_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [archived(0), archived(1, "ETH")])
    assert opened(path).markets == (BTC, ETH)
    assert len(rows_of(open_archive(LineFile(path), ETH, None, {}))) == 4
    with pytest.raises(DataError, match=r"the archive's reader has no option coins, leave it out"):
        open_archive(LineFile(path), None, None, {"coins": []})


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ([archived(0).encode()], True),
        ([b"", archived(0).encode()], True),
        ([b'{"local_time":"x","block_number":1,"events":[{"raw":"time"}]}'], False),
        ([b"x"], False),
        ([], False),
    ],
)
def test_recognition(head: list[bytes], expected: bool) -> None:
    assert recognises(head) is expected


@given(mutated([archived(number).encode() for number in range(4)]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_gives_rows_or_names_the_line(tmp_path: Path, lines: tuple[list[bytes], int]) -> None:
    check(tmp_path, "a", *lines, lambda path: open_archive(LineFile(path), None, {"BTC": BTC}, {}))
