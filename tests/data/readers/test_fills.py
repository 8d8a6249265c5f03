"""Fills in the layouts that node files had, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.readers import fills
from hlhft.data.readers.fills import BY_BLOCK, DELAY_NS, FILLS, FILLS_SCHEMA, TRADES, FillsLines, fills_batch
from hlhft.data.readers.node_fills import layout_of, open_fills
from hlhft.data.sources import open_source
from hlhft.data.tally import Tally
from tests.data.making import BOTH, BTC, END, ETH, columns, fault_of, rows_of, write
from tests.data.readers.fuzz import check, mutated
from tests.data.readers.test_node_fills import TIME, block, fill, pair

COINS = {"BTC": BTC, "ETH": ETH}
AT_NS = TIME * 1_000_000


def lines_of(events: list[list[object]]) -> list[str]:
    """Fills, a line each."""
    return [json.dumps(event) for event in events]


def trade(coin: str = "BTC", side: str = "A", **more: object) -> str:
    """A line of node_trades as the venue's documentation shows it."""
    parties = [{"user": f"0x{name}", "start_pos": start, "oid": oid, "twap_id": None, "cloid": None}
               for name, start, oid in (("b", "996.67", 12), ("a", "-996.7", 13))]  # fmt: skip
    values = {"coin": coin, "side": side, "time": "2025-10-27T17:00:00.063787823", "px": "100.5", "sz": "0.25",
              "hash": "0xad", "trade_dir_override": "Na", "side_info": parties}  # fmt: skip
    return json.dumps({**values, **more})


def test_fills_a_line_each_are_trades_with_a_modelled_clock(tmp_path: Path) -> None:
    later = pair("BTC", 14, time=TIME + 80)
    lines = lines_of([*pair("BTC", 11), *pair("ETH", 12), *pair("BTC", 13), *later, *pair("BTC", 0), *pair("X", 15)])
    source = open_source(write(tmp_path / "a", lines))
    assert source.markets == (BTC, ETH)
    rows = rows_of(source)
    assert columns(rows, "market", "side", "price_ticks", "size_lots", "order_id", "flags") == [
        (0, -1, 1005, 25_000, 11, BOTH), (1, -1, 10_050, 2500, 12, BOTH | END), (0, -1, 1005, 25_000, 13, BOTH | END),
        (0, -1, 1005, 25_000, 14, BOTH | END),
    ]  # fmt: skip
    assert columns(rows, "ts_exch_ns", "ts_local_ns") == [
        *[(AT_NS, AT_NS + DELAY_NS)] * 3, (AT_NS + 80_000_000, AT_NS + 80_000_000 + DELAY_NS)
    ]  # fmt: skip
    assert source.counts == {"fills": 12, "trades": 4, "trades_of_other_coins": 1, "fills_without_trade": 1}


def test_trades_a_line_each_name_neither_id_nor_clock(tmp_path: Path) -> None:
    lines = [trade(), trade(side="B", tid=9), trade("ETH"), trade("PEPE"), trade(side_info=[]),
             trade(trade_dir_override="Liquidation")]  # fmt: skip
    source = open_source(write(tmp_path / "a", lines), delay_ns=5)
    rows = rows_of(source)
    assert columns(rows, "market", "side", "price_ticks", "size_lots", "order_id", "ts_exch_ns", "ts_local_ns") == [
        (0, -1, 1005, 25_000, 0, AT_NS, AT_NS + 5), (0, 1, 1005, 25_000, 9, AT_NS, AT_NS + 5),
        (1, -1, 10_050, 2500, 0, AT_NS, AT_NS + 5), *[(0, -1, 1005, 25_000, 0, AT_NS, AT_NS + 5)] * 2,
    ]  # fmt: skip
    assert source.counts == {"trades": 5, "trades_of_other_coins": 1, "trades_without_both_sides": 1,
                             "trades_with_direction_override": 1}  # fmt: skip


def test_both_sides_of_every_layout_are_the_same_fills(tmp_path: Path) -> None:
    """What a layout does not say is null."""
    by_layout = {}
    for layout, lines in (
        (BY_BLOCK, [block(*pair("BTC", 11)), block(*pair("SOL", 12))]),
        (FILLS, lines_of([*pair("BTC", 11), *pair("SOL", 12)])),
        (TRADES, [trade(), trade("SOL")]),
    ):
        reader = FillsLines(tmp_path, [BTC], layout, Tally(), fills=True)
        assert len(reader.read(1, [line.encode() for line in lines]).events) == 1
        by_layout[layout] = reader.take_fills().to_pylist()
        assert reader.take_fills().num_rows == 0
    assert [(row["side"], row["crossed"]) for row in by_layout[TRADES]] == [(1, False), (-1, True)]
    same = ("ts_exch_ns", "coin", "side", "price", "size", "crossed")
    for layout in (FILLS, TRADES):
        for row, expected in zip(by_layout[layout], by_layout[BY_BLOCK], strict=True):
            assert [row[name] for name in same] == [expected[name] for name in same]
            assert row["block_number"] is None
    assert [row["user"] for row in by_layout[TRADES]] == ["0xb", "0xa"]
    assert [by_layout[TRADES][0][name] for name in ("tid", "fee", "fee_token", "closed_pnl", "direction")] == [None] * 5
    assert by_layout[FILLS][0]["ts_local_ns"] == AT_NS + DELAY_NS


def test_lines_are_heard_of_whatever_they_hold(tmp_path: Path) -> None:
    reader = FillsLines(tmp_path, [BTC], BY_BLOCK, Tally())
    reader.read(1, [block(*pair("SOL", 12)).encode(), block().encode()])
    assert reader.times_ns == [AT_NS, 1_761_584_400_063_787_823]
    empty = json.loads(block())
    with pytest.raises(DataError, match=r'line 7: "x" is not a time'):
        reader.read(7, [json.dumps({**empty, "block_time": "x"}).encode()])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[]", "no fill"),
        (json.dumps(["0x", {"coin": "BTC"}]), "missing required field"),
        (lines_of([fill("BTC", "X", True, 1)])[0], "a fill's side, time, tid or oid is out of range"),
        (lines_of([fill("BTC", "A", True, 1, px="1e99")])[0], "expected a positive price and size of BTC"),
    ],
)
def test_a_wrong_line_of_fills_is_named_after_those_before_it(tmp_path: Path, line: str, problem: str) -> None:
    lines = [lines_of(pair("BTC", 11))[1], line, lines_of(pair("BTC", 12))[1]]
    rows, error = fault_of(open_fills(LineFile(write(tmp_path / "a", lines)), BTC, None, {}))
    assert error is not None
    assert (error.line, problem in str(error), rows["order_id"].tolist()) == (2, True, [11]), str(error)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{}", "missing required field `coin`"),
        (trade(time="17:00"), '"17:00" is not a time'),
        (trade(side="X"), "a trade's side, time, tid or oid is out of range"),
        (trade(tid=-1), "a trade's side, time, tid or oid is out of range"),
        (trade(side_info=[{"user": "0x", "oid": 2**63}]), "a trade's side, time, tid or oid is out of range"),
        (trade(time="1960-01-01T00:00:00"), "a trade's side, time, tid or oid is out of range"),
    ],
)
def test_a_wrong_line_of_trades_is_named_after_those_before_it(tmp_path: Path, line: str, problem: str) -> None:
    rows, error = fault_of(open_fills(LineFile(write(tmp_path / "a", [trade(), line, trade()])), BTC, None, {}))
    assert error is not None
    assert (error.line, problem in str(error), len(rows)) == (2, True, 1), str(error)


@pytest.mark.parametrize("whole", [[block(*pair("BTC", 11))], lines_of(pair("BTC", 11)), [trade()]])
def test_a_torn_last_line_is_left_out_and_counted(tmp_path: Path, whole: list[str]) -> None:
    source = open_fills(LineFile(write(tmp_path / "a", [*whole, whole[-1][:60]])), BTC, None, {})
    rows, error = fault_of(source)
    assert (error, len(rows), source.counts["torn_last_line"]) == (None, 1, 1)


def test_the_layout_shows_in_the_first_line() -> None:
    lines = [block(*pair("BTC", 1)), lines_of(pair("BTC", 1))[0], trade(), '{"time":1,"raw":{}}']
    assert [layout_of([line.encode()]) for line in lines] == [BY_BLOCK, FILLS, TRADES, None]


@pytest.mark.parametrize("layout", [BY_BLOCK, FILLS])
def test_only_fills_of_the_wanted_coins_are_judged(tmp_path: Path, layout: str) -> None:
    strange = fill("SOL", "X", True, 2**80, time=2**80, px="x")
    lines = [block(strange)] if layout == BY_BLOCK else lines_of([strange])
    reader = FillsLines(tmp_path, [BTC], layout, Tally())
    assert len(reader.read(1, [line.encode() for line in lines]).events) == 0
    assert reader.times_ns == []


def test_an_unknown_layout_or_a_negative_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="layout x is none of node_fills_by_block, node_fills, node_trades"):
        FillsLines(Path(), [BTC], "x", Tally())
    with pytest.raises(ValueError, match="the delay -1 is negative"):
        FillsLines(Path(), [BTC], FILLS, Tally(), delay_ns=-1)


def test_numbers_that_only_decimals_read_are_as_exact() -> None:
    """Slowly or not, the batch is the same."""
    values = fills.fill_row(fills._BLOCK.decode(block(*pair("BTC", 11)).encode()).events[0][1], "0x1", 5, 6)
    fast = fills_batch([values], [1], Path())
    assert fast.schema == FILLS_SCHEMA
    assert fast.equals(fills._batch_by_decimals([values], [1], Path()))
    underscored = tuple("1_000.5" if value == "100.5" else value for value in values)
    assert (
        fills_batch([underscored], [1], Path()).column("price").to_pylist()
        == pa.array(["1000.5"]).cast(FILLS_SCHEMA.field("price").type).to_pylist()
    )


@given(mutated([lines_of(pair("BTC", 11))[1].encode(), lines_of(pair("ETH", 12))[1].encode()]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_of_fills_gives_rows_or_names_the_line(tmp_path: Path, lines: tuple[list[bytes], int]) -> None:
    check(tmp_path, "a", *lines, lambda path: open_fills(LineFile(path), None, COINS, {}))


@given(mutated([trade().encode(), trade("ETH", "B").encode()]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_of_trades_gives_rows_or_names_the_line(tmp_path: Path, lines: tuple[list[bytes], int]) -> None:
    check(tmp_path, "a", *lines, lambda path: open_fills(LineFile(path), None, COINS, {}))


def test_recorded_fills_say_the_same_in_lines_of_their_own(recordings: Path, tmp_path: Path) -> None:
    """The recorded blocks, written a fill a line, give the same trades; only the local clock is another."""
    path = recordings / "hyperliquid/node_fills_by_block_20251027/node_fills_by_block_777010829_777011828.jsonl.gz"
    blocks = [json.loads(line) for _, lines in LineFile(path).blocks() for line in lines]
    lines = lines_of([event for entry in blocks for event in entry["events"]])
    expected, found = open_source(path), open_source(write(tmp_path / "a", lines))
    there, here = rows_of(expected), rows_of(found)
    assert len(there) > 800
    assert found.counts == expected.counts
    for number, market in enumerate(expected.markets):
        at = found.markets.index(market)
        for name in ("ts_exch_ns", "side", "price_ticks", "size_lots", "order_id", "flags"):
            np.testing.assert_array_equal(here[name][here["market"] == at], there[name][there["market"] == number])
    assert set((here["ts_local_ns"] - here["ts_exch_ns"]).tolist()) == {DELAY_NS}
