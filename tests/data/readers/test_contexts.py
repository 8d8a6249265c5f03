"""The archive's asset contexts."""

from __future__ import annotations

from pathlib import Path

import lz4.frame
import pytest

from hlhft.data.errors import DataError
from hlhft.data.readers import contexts
from hlhft.data.readers.contexts import read_contexts
from hlhft.data.times import utc_ns
from tests.data.making import BOTH, BTC, END, ETH, columns, write

HEADER = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,"
    "impact_ask_px"
)
DELAY = 300_000_000
COINS = {"BTC": BTC, "ETH": ETH}


def row(minute: int, coin: str = "BTC", **more: str) -> str:
    values = {"time": f"2026-04-01T00:{minute:02d}:00Z", "coin": coin, "funding": "0.0000125",
              "open_interest": "1234.567891", "prev_day_px": "1", "day_ntl_vlm": "2", "premium": "-0.00031774",
              "oracle_px": "68000.04", "mark_px": "68001.09", "mid_px": "3", "impact_bid_px": "4",
              "impact_ask_px": "5"}  # fmt: skip
    return ",".join({**values, **more}.values())


def test_rows_are_contexts_by_coin_in_order_of_time(tmp_path: Path) -> None:
    lines = [HEADER, row(1), row(0), row(0, "ETH"), row(5, "PEPE"), row(2)]
    path = tmp_path / "20260401.csv.lz4"
    path.write_bytes(lz4.frame.compress("\n".join(lines).encode() + b"\n"))
    found = read_contexts(path, COINS, delay_ns=DELAY)
    minutes = [utc_ns(f"2026-04-01T00:{minute:02d}:00Z") for minute in (0, 1, 2, 5)]
    assert list(found.events) == ["BTC", "ETH"]
    assert columns(found.events["BTC"], "ts_exch_ns", "ts_local_ns", "kind", "flags", "market") == [
        (minute, minute + DELAY, 7, BOTH | END, 0) for minute in minutes[:3]
    ]
    # Mark, open interest, oracle, funding and premium, cut to whole units.
    assert set(columns(found.events["BTC"], "price_ticks", "size_lots", "order_id", "aux0", "aux1")) == {
        (680_010, 123_456_789, 680_000, 12_500_000, -317_740_000)
    }
    assert found.counts == {"BTC": {"rows": 3}, "ETH": {"rows": 1}}
    assert found.times_ns.tolist() == minutes
    assert not found.is_torn


def test_columns_are_found_by_name_and_missing_ones_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a", ["mark_px,coin,new,time\r", "68000.0,BTC,x,2026-04-01 00:00:00.5\r"])
    found = read_contexts(path, COINS, delay_ns=0)
    assert columns(found.events["BTC"], "ts_exch_ns", "price_ticks", "size_lots", "order_id", "aux0", "aux1") == [
        (utc_ns("2026-04-01T00:00:00.5"), 680_000, 0, 0, 0, 0)
    ]
    missing = ("oracle_px", "open_interest", "funding", "premium")
    assert found.counts["BTC"] == {"rows": 1, **{f"rows_without_{name}": 1 for name in missing}}


def test_an_empty_cell_is_unknown_and_counted(tmp_path: Path) -> None:
    lines = [HEADER, row(0, premium="", mark_px="null"), row(1)]
    found = read_contexts(write(tmp_path / "a", lines), COINS, delay_ns=0)
    assert columns(found.events["BTC"], "price_ticks", "aux1") == [(0, 0), (680_010, -317_740_000)]
    assert found.counts["BTC"] == {"rows": 2, "rows_without_premium": 1, "rows_without_mark_px": 1}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["time,coin", row(0)], "line 1: the header lacks mark_px, expected the archive's asset contexts"),
        (["x"], "line 1: the header lacks time, coin, mark_px"),
        (
            [HEADER, row(0), "1,2", row(1)],
            "line 3: the row has 2 columns, expected 12 as the header has, drop the line",
        ),
        ([HEADER, row(0, time="00:00")], 'line 2: "00:00" is not a time as'),
        ([HEADER, row(0, "PEPE", time="00:00")], 'line 2: "00:00" is not a time as'),
        ([HEADER, row(0, time="1969-01-01T00:00:00")], "is out of range, drop the line"),
        ([HEADER, row(0, mark_px="-1")], 'line 2: mark_px "-1" is no number in range, drop the line'),
        ([HEADER, row(0, funding="x")], 'line 2: funding "x" is no number in range, drop the line'),
        ([HEADER, row(0, premium="1e30")], 'line 2: premium "1e30" is no number in range, drop the line'),
        ([HEADER, row(0, oracle_px="NaN")], 'line 2: oracle_px "NaN" is no number in range, drop the line'),
    ],
)
def test_what_is_no_row_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_contexts(write(tmp_path / "a", lines), COINS, delay_ns=0)
    assert message in str(caught.value)


def test_a_torn_last_line_is_told(tmp_path: Path) -> None:
    found = read_contexts(write(tmp_path / "a", [HEADER, row(0), row(1)[:40]]), COINS, delay_ns=0)
    assert (found.is_torn, len(found.events["BTC"])) == (True, 1)


def test_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "ROWS_MAX", 3)
    path = write(tmp_path / "a", [HEADER, row(0), row(1), row(2)])
    with pytest.raises(DataError, match=r"line 4: the file holds more than 3 rows, expected a day's, split it"):
        read_contexts(path, COINS, delay_ns=0)
