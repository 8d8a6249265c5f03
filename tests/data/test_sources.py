"""Sources: what every recording promises, and several recordings as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered
from hlhft.data.samples import BUNDLED_NAME, bundled
from hlhft.data.sources import MergedSource, Source, market_for, open_source
from hlhft.units import Market
from tests.data.making import BTC, ETH, ListSource, bbo, columns, fault_of, joined, rows_of, snapshot, trade, write

LOG = (
    '1737918843895087112 {"channel":"bbo","data":{"coin":"%s","time":1737918843600,'
    '"bbo":[{"px":"%s","sz":"1","n":1},null]}}'
)


def log(path: Path, coin: str, price: str = "100.5") -> Path:
    return write(path, [LOG % (coin, price)])


def test_chunks_are_bounded_and_say_how_far_they_are(tmp_path: Path) -> None:
    source = open_source(log(tmp_path / "a.gz", "BTC"))
    said: list[tuple[int, int]] = []
    arrays = list(source.chunks(1, progress=lambda done, total: said.append((done, total))))
    assert [len(array) for array in arrays] == [1, 1]
    assert said[-1][0] == said[-1][1] == source.bytes_total == (tmp_path / "a.gz").stat().st_size


def test_reading_twice_gives_the_same_rows_and_counts(tmp_path: Path) -> None:
    source = open_source(log(tmp_path / "a", "BTC"))
    first, counts = rows_of(source), dict(source.counts)
    assert rows_of(source).tobytes() == first.tobytes()
    assert dict(source.counts) == counts


def test_the_fingerprint_follows_content_market_and_reader(tmp_path: Path) -> None:
    path = log(tmp_path / "a", "BTC")
    source = open_source(path)
    same = open_source(log(tmp_path / "b", "BTC"))
    assert source.fingerprint() == same.fingerprint()
    finer = Market.perpetual("BTC", asset_id=0, size_decimals=4)
    others = [open_source(path, market=finer), open_source(log(tmp_path / "c", "BTC", "100.6")),
              ListSource([], [BTC])]  # fmt: skip
    assert len({source.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_trades_are_lacking_where_no_part_has_them(tmp_path: Path) -> None:
    line = (
        '{"time":"2026-04-01T00:00:12.669126791","ver_num":1,"raw":{"channel":"l2Book","data":{"coin":"%s",'
        '"time":1775001612000,"levels":[[{"px":"100","sz":"1","n":1}],[{"px":"101","sz":"1","n":1}]]}}}'
    )
    books = [write(tmp_path / coin, [line % coin]) for coin in ("BTC", "ETH")]
    assert open_source(books).without_trades == ("BTC", "ETH")
    assert open_source([*books, log(tmp_path / "log", "ETH")]).without_trades == ("BTC",)


def test_a_mending_reading_is_one_reading() -> None:
    source = ListSource([trade(1, 1, 10, 1)])
    list(source.chunks(mending=True))
    assert source.mending
    list(source.chunks())
    assert not source.mending


class Lines(ListSource):
    """Each line is a time; "x" is no time."""

    def _arrays(self, meter: ProgressMeter):
        def read(first: int, lines: list[bytes]) -> Numbered:
            rows = []
            for number, line in enumerate(lines, first):
                self.counts["lines"] += 1
                if line == b"x":
                    raise DataError("a", number, "no time")
                rows.append(trade(int(line), 1, 10, 1))
            return Numbered(joined(rows), np.arange(first, first + len(lines)))

        for events, _ in self._up_to_fault([(1, [b"1", b"2"]), (3, [b"3", b"4", b"x", b"6"]), (7, [b"7"])], read):
            yield events


def test_lines_before_a_fault_in_their_block_are_given_and_counted_once() -> None:
    source = Lines([])
    rows, error = fault_of(source)
    assert rows["ts_exch_ns"].tolist() == [1, 2, 3, 4]
    assert str(error) == "a, line 5: no time"
    assert source.counts["lines"] == 4


@pytest.mark.parametrize("place", [5, None, "row 7"])
def test_a_fault_without_a_line_behind_the_first_gives_nothing_of_its_block(place: int | str | None) -> None:
    class First(Lines):
        def _arrays(self, meter: ProgressMeter):
            def read(first: int, lines: list[bytes]) -> Numbered:
                raise DataError("a", place, "no time")

            for events, _ in self._up_to_fault([(5, [b"1", b"2"])], read):
                yield events

    rows, error = fault_of(First([]))
    assert len(rows) == 0
    assert error is not None
    assert error.line == place


def merged(*parts: Source) -> MergedSource:
    return MergedSource(parts)


def test_parts_are_merged_by_arrival_and_their_markets_put_together() -> None:
    first = ListSource([trade(10, 1, 100, 1), trade(30, 1, 100, 1)], [ETH])
    second = ListSource([joined([trade(20, 1, 100, 1), trade(40, 1, 100, 1, market=1)])], [BTC, ETH],
                        snapshots_only=False)  # fmt: skip
    whole = merged(first, second)
    assert [market.name for market in whole.markets] == ["ETH", "BTC"]
    assert columns(rows_of(whole), "ts_exch_ns", "market") == [(10, 0), (20, 1), (30, 0), (40, 0)]
    assert whole.snapshot_markets == (True, False)
    assert (whole.name, whole.unit) == ("list+list", "place")
    numbered = list(whole.numbered(ProgressMeter(None, 0)))
    assert [columns(events, "market") for _, (events, _) in numbered] == [[(0,)], [(0,)], [(1,), (0,)]]
    assert [places.tolist() for _, (_, places) in numbered] == [[0], [1], [0, 1]]


def test_counts_of_parts_are_added_also_when_one_fails() -> None:
    class Counting(ListSource):
        def _arrays(self, meter: ProgressMeter):
            self.counts["seen"] += 1
            self.counts.note("late", trade(7, 1, 10, 1))
            yield from super()._arrays(meter)

    torn = Counting([trade(1, 1, 10, 1)], [ETH], fault=DataError("b", 2, "torn"))
    whole = merged(Counting([trade(1, 1, 10, 1)], [BTC]), torn)
    rows, error = fault_of(whole)
    assert (len(rows), str(error)) == (2, "b, line 2: torn")
    assert dict(whole.counts) == {"seen": 2, "late": 2}
    assert whole.counts.first["late"]["market"].tolist() == [0]
    fault_of(whole)
    assert dict(whole.counts) == {"seen": 2, "late": 2}


def test_the_whole_is_as_strict_as_its_strictest_part() -> None:
    strict, lenient = ListSource([]), ListSource([])
    strict.sorts = False
    assert not merged(strict, lenient).sorts
    assert merged(lenient, lenient).sorts


def test_merged_fingerprint_and_bytes(tmp_path: Path) -> None:
    first, second = open_source(log(tmp_path / "a", "BTC")), open_source(log(tmp_path / "b", "ETH"))
    whole, turned = merged(first, second), merged(second, first)
    assert whole.fingerprint() != turned.fingerprint()
    assert whole.bytes_total == first.bytes_total + second.bytes_total
    assert whole.unit == "line"


def test_one_market_in_two_ways_is_refused() -> None:
    other = Market.perpetual("BTC", asset_id=0, size_decimals=4)
    with pytest.raises(DataError, match=r"market BTC is specified in two ways, give one specification for all files"):
        merged(ListSource([], [BTC]), ListSource([], [other]))


def test_several_paths_become_one_source_and_a_set_counts_once(tmp_path: Path) -> None:
    paths = [log(tmp_path / "a", "BTC"), str(log(tmp_path / "b", "ETH"))]
    assert [market.name for market in open_source(paths).markets] == ["BTC", "ETH"]
    write(tmp_path / "prices_BTC.csv", ["timestamp,price,size,side,exchange_timestamp", "2.5,100,1,bid,2000"])
    write(tmp_path / "trades_BTC.csv", ["timestamp,price,size,side,trade_id,exchange_timestamp",
                                        "2.5,100,1,buy,7,2000"])  # fmt: skip
    both = open_source([tmp_path / "prices_BTC.csv", tmp_path / "trades_BTC.csv"])
    assert not isinstance(both, MergedSource)
    assert len(rows_of(both)) == 2


def test_no_path_is_one_sentence() -> None:
    with pytest.raises(DataError, match=r"no recording was given, name at least one file"):
        open_source([])


def test_a_market_may_be_named_and_is_looked_up(tmp_path: Path) -> None:
    path = log(tmp_path / "a", "BTC")
    assert open_source(path, market="btc").markets == (BTC,)
    assert rows_of(open_source(path, market="ETH")).tobytes() == b""
    table: Mapping[str, Market] = {"BTC": Market.perpetual("BTC", asset_id=9, size_decimals=3)}
    assert open_source(path, specification=table).markets[0].asset_id == 9


def test_a_market_missing_from_the_specification_names_the_nearest(tmp_path: Path) -> None:
    path = log(tmp_path / "a", "BTCC")
    with pytest.raises(DataError, match=r"a: market BTCC is not in the specification; the nearest known market is BTC"):
        open_source(path)
    with pytest.raises(DataError, match=r"market BTCC is not"):
        market_for(path, "BTCC", None)
    assert market_for(path, "BTC", {"BTC": BTC}) is BTC


def test_the_bundled_sample_is_there_and_known() -> None:
    source = open_source(bundled())
    assert (bundled().name, source.bytes_total) == (BUNDLED_NAME, 2 * 3_637_062)
    assert [market.name for market in source.markets] == ["usdm_btcusdt"]


def test_frames_of_one_message_end_once() -> None:
    rows: Events = joined([snapshot(1, [(1, 1)], [(2, 1)]), bbo(2, (1, 1), (2, 1))])
    assert rows_of(ListSource([rows])).tobytes() == rows.tobytes()
