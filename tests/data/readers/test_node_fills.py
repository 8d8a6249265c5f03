"""A node's fills: trades, and the table of both sides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.readers import node_fills
from hlhft.data.readers.node_fills import FILLS_SCHEMA, fills_table, open_fills, recognises
from hlhft.data.sources import Source, open_source
from tests.data.making import BOTH, BTC, END, ETH, columns, fault_of, rows_of, write
from tests.data.readers.fuzz import check, mutated

TIME = 1_761_584_400_063
RECORDED = "hyperliquid/node_fills_by_block_20251027/node_fills_by_block_777010829_777011828.jsonl.gz"


def fill(coin: str, side: str, crossed: bool, tid: int, **more: object) -> list[object]:
    values = {"coin": coin, "px": "100.5", "sz": "0.25", "side": side, "time": TIME, "startPosition": "-1.5",
              "dir": "Open Long", "closedPnl": "0.0", "hash": "0xab", "oid": 7, "crossed": crossed, "fee": "0.01",
              "tid": tid, "feeToken": "USDC", "twapId": None}  # fmt: skip
    return [f"0x{tid}", {**values, **more}]


def block(*events: list[object], local: str = "2025-10-27T17:00:00.400000001", number: object = 5) -> str:
    return json.dumps({"local_time": local, "block_time": "2025-10-27T17:00:00.063787823", "block_number": number,
                       "events": events})  # fmt: skip


def pair(coin: str, tid: int, **more: object) -> list[list[object]]:
    """Both sides of one trade; the seller is the aggressor."""
    return [fill(coin, "B", False, tid, **more), fill(coin, "A", True, tid, **more)]


def opened(path: Path) -> Source:
    return open_fills(LineFile(path), None, None, {})


def test_the_aggressors_fill_is_the_trade(tmp_path: Path) -> None:
    lines = [block(*pair("BTC", 11), *pair("ETH", 12), *pair("BTC", 13)), block(), block(*pair("PEPE", 14)),
             block(*pair("BTC", 0))]  # fmt: skip
    source = opened(write(tmp_path / "a", lines))
    rows = rows_of(source)
    assert source.markets == (BTC, ETH)
    assert columns(rows, "kind", "market", "side", "price_ticks", "size_lots", "order_id", "flags") == [
        (6, 0, -1, 1005, 25_000, 11, BOTH), (6, 0, -1, 1005, 25_000, 13, BOTH | END),
        (6, 1, -1, 10050, 2500, 12, BOTH | END),
    ]  # fmt: skip
    local_ns = 1_761_584_400_400_000_001
    assert set(columns(rows, "ts_exch_ns", "ts_local_ns")) == {(TIME * 1_000_000, local_ns)}
    assert source.counts == {"fills": 10, "trades": 3, "trades_of_other_coins": 1, "fills_without_trade": 1}


def test_trades_are_numbered_by_line(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a", [block(*pair("BTC", 11)), block(), block(*pair("BTC", 12))]))
    ((path, (events, places)),) = source.numbered(ProgressMeter(None, 1))
    assert (path.name, places.tolist(), events["order_id"].tolist()) == ("a", [1, 3], [11, 12])


def test_markets_may_be_chosen(tmp_path: Path) -> None:
    file = LineFile(write(tmp_path / "a", [block(*pair("BTC", 11), *pair("ETH", 12), *pair("SOL", 13))]))
    assert open_fills(file, ETH, None, {}).markets == (ETH,)
    assert [market.name for market in open_fills(file, None, None, {"coins": ["SOL", "BTC"]}).markets] == ["SOL", "BTC"]
    assert open_fills(file, None, {"ETH": ETH}, {}).markets == (ETH,)
    with pytest.raises(DataError, match=r"market DOGE is not in the specification"):
        open_fills(file, None, None, {"coins": ["DOGE"]})
    with pytest.raises(DataError, match=r"the reader of node fills has no option book_ticker, it has coins"):
        open_fills(file, None, None, {"book_ticker": False})
    with pytest.raises(DataError, match=r"no coin of the file is in the market specification, give a fuller"):
        open_fills(file, None, {}, {})


BAD_BLOCKS: list[tuple[str, str]] = [
    ("", "no block of fills"),
    ("{}", "missing required field `local_time`"),
    (block(local="17:00"), '"17:00" is not a time'),
    (block(number=-1), "the block's number or local time is out of range"),
    (block(number=2**63), "the block's number or local time is out of range"),
    (block(local="1960-01-01T00:00:00"), "the block's number or local time is out of range"),
    (block(fill("BTC", "X", True, 1)), "a fill's side, time, tid or oid is out of range"),
    (block(fill("BTC", "A", True, 1, time=0)), "a fill's side, time, tid or oid is out of range"),
    (block(fill("BTC", "A", True, -1)), "a fill's side, time, tid or oid is out of range"),
    (block(fill("BTC", "A", True, 2**63)), "a fill's side, time, tid or oid is out of range"),
    (block(fill("BTC", "A", True, 1, oid=2**63)), "a fill's side, time, tid or oid is out of range"),
    (block(fill("BTC", "A", True, 1, px="100.55")), "price 100.55 has more than 1 decimals"),
    (block(fill("BTC", "A", True, 1, sz="0")), "price 100.5 with size 0 is out of range"),
    ('{"block_number":1,"events":' + "[" * 100_000, "no block of fills"),
]


@pytest.mark.parametrize(("line", "problem"), BAD_BLOCKS)
def test_a_line_of_another_shape_is_named_after_those_before_it(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path / "a", [block(*pair("BTC", 11)), line, block(*pair("BTC", 12))])
    rows, error = fault_of(opened(path))
    assert error is not None
    assert (error.line, problem in str(error)) == (2, True), str(error)
    assert rows["order_id"].tolist() == [11]


def test_a_file_whose_first_line_is_none_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a, line 1: no block of fills"):
        opened(write(tmp_path / "a", ["x"]))


def test_the_table_holds_every_fill_exactly(tmp_path: Path) -> None:
    dust = fill("PEPE", "A", True, 0, px="0.000012345678", sz="123456789012345.5", feeToken="HYPE")
    path = write(tmp_path / "a", [block(*pair("BTC", 11)), block(dust)])
    table = pa.Table.from_batches(fills_table(path))
    assert table.schema == FILLS_SCHEMA
    rows = table.to_pylist()
    assert [(row["user"], row["side"], row["crossed"], row["tid"]) for row in rows] == [
        ("0x11", 1, False, 11), ("0x11", -1, True, 11), ("0x0", -1, True, 0),
    ]  # fmt: skip
    assert rows[0]["start_position"] == Decimal("-1.5")
    assert (rows[2]["price"], rows[2]["size"]) == (Decimal("0.000012345678"), Decimal("123456789012345.5"))
    assert (rows[2]["fee_token"], rows[0]["block_number"], rows[0]["oid"]) == ("HYPE", 5, 7)
    assert rows[0]["ts_exch_ns"] == TIME * 1_000_000


@pytest.mark.parametrize(
    "values", [{"px": "x"}, {"sz": "NaN"}, {"fee": "Infinity"}, {"closedPnl": "1e26"}, {"startPosition": "1e-13"},
               {"fee": "1e999999"}, {"fee": "1e9999999999999999999"}],
)  # fmt: skip
def test_a_number_that_the_table_can_not_hold_names_its_line(tmp_path: Path, values: Mapping[str, str]) -> None:
    path = write(tmp_path / "a", [block(*pair("BTC", 11)), block(*pair("BTC", 12, **values))])
    with pytest.raises(DataError, match=r"a, line 2: a fill's number is none of at most 12 decimals"):
        list(fills_table(path))


def test_a_batch_is_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [block(*pair("BTC", 11)), block(*pair("BTC", 12))])
    with pytest.raises(DataError, match=r"a, line 2: a megabyte of lines holds more than 3 fills"):
        list(fills_table(str(path), rows_max=3))


@pytest.mark.parametrize(
    ("head", "expected"),
    [([block().encode()], True), ([b"", block().encode()], True), ([b'{"time":1,"raw":{}}'], False), ([], False)],
)
def test_recognition(head: list[bytes], expected: bool) -> None:
    assert recognises(head) is expected


@given(
    mutated([block(*pair("BTC", 11)).encode(), block(*pair("BTC", 12), *pair("ETH", 13)).encode(), block().encode()])
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_gives_rows_or_names_the_line(tmp_path: Path, lines: tuple[list[bytes], int]) -> None:
    check(tmp_path, "a", *lines, lambda path: open_fills(LineFile(path), None, {"BTC": BTC, "ETH": ETH}, {}))
    try:
        list(fills_table(tmp_path / "a"))
    except DataError as error:
        assert error.line == lines[1]


def test_the_recorded_blocks(recordings: Path) -> None:
    """The description: 1000 lines, 7282 fills of 3641 trades, local minus block time 307 ms by the median."""
    source = open_source(recordings / RECORDED)
    rows = rows_of(source)
    trades = source.counts["trades"] + source.counts["trades_of_other_coins"] + source.counts["fills_without_trade"]
    assert (source.counts["fills"], trades, len(rows)) == (7282, 3641, source.counts["trades"])
    assert {market.name for market in source.markets} == {"BTC", "ETH", "SOL", "WLFI"}
    assert 250 < np.median(rows["ts_local_ns"] - rows["ts_exch_ns"]) / 1e6 < 350


def test_the_recorded_fills_come_in_pairs(recordings: Path) -> None:
    table = pa.Table.from_batches(fills_table(recordings / RECORDED))
    assert (table.num_rows, len(set(table["coin"].to_pylist()))) == (7282, 187)
    tids = table["tid"].to_pylist()
    assert tids[0::2] == tids[1::2]
    assert set(table["side"].to_pylist()[0::2]) == {1}
    assert table.schema == node_fills.FILLS_SCHEMA
