"""The venue's market-data messages as events."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.markets import find
from hlhft.data.merge import Numbered
from hlhft.data.readers import messages
from hlhft.data.readers.messages import MessageBlock, coins_in, markets_in, readable
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from tests.data.making import BOTH, BTC, END, ETH, columns, write

PATH = Path("a.gz")
TIME, NOW = 1_737_918_843_600, 1_737_918_843_895_087_112
EXCH = TIME * 1_000_000


def text(channel: str, data: object) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def read(*given: bytes, markets: tuple = (BTC, ETH)) -> tuple[Numbered, Tally]:
    tally = Tally()
    block = MessageBlock(PATH, markets, tally)
    for line, message in enumerate(given, 1):
        block.add(line, NOW + line, message)
    return block.events(), tally


def level(price: str, size: str, orders: int = 1) -> dict[str, object]:
    return {"px": price, "sz": size, "n": orders}


def test_a_book_is_a_whole_picture_with_orders() -> None:
    book = {"coin": "BTC", "time": TIME, "levels": [[level("100.5", "1", 3), level("100", "2")], [level("101", "0.5")]]}
    (events, lines), tally = read(text("l2Book", book))
    assert columns(events, "kind", "side", "price_ticks", "size_lots", "aux0", "aux1", "flags") == [
        (3, 0, 0, 0, 20, 0, BOTH), (1, 1, 1005, 100_000, 3, 0, BOTH), (1, 1, 1000, 200_000, 1, 0, BOTH),
        (1, -1, 1010, 50_000, 1, 0, BOTH), (4, 0, 0, 0, 3, 0, BOTH | END),
    ]  # fmt: skip
    assert set(columns(events, "ts_exch_ns", "ts_local_ns", "market")) == {(EXCH, NOW + 1, 0)}
    assert (lines.tolist(), dict(tally)) == ([1] * 5, {"snapshot": 1})


def test_a_fast_book_says_so() -> None:
    book = {"coin": "ETH", "time": TIME, "fast": True, "levels": [[], [level("101", "0.5")]]}
    (events, _), _ = read(text("l2Book", book))
    assert columns(events, "kind", "aux0", "aux1", "market") == [(3, 5, 1, 1), (1, 1, 0, 1), (4, 1, 1, 1)]


def test_a_touch_has_two_sides_and_either_may_be_empty() -> None:
    touch = {"coin": "BTC", "time": TIME, "bbo": [level("100.5", "1", 3), None]}
    (events, _), _ = read(text("bbo", touch))
    assert columns(events, "kind", "side", "price_ticks", "size_lots", "aux0", "flags") == [
        (5, 1, 1005, 100_000, 3, BOTH), (5, -1, 0, 0, 0, BOTH | END),
    ]  # fmt: skip


def trade(coin: str, side: str, time: int, tid: int, price: str = "100") -> dict[str, object]:
    return {"coin": coin, "side": side, "px": price, "sz": "0.1", "time": time, "tid": tid, "hash": "0x", "users": []}


def test_trades_are_sorted_by_time_and_each_coin_is_a_frame() -> None:
    given = [trade("BTC", "B", TIME + 2, 1), trade("ETH", "A", TIME, 2), trade("BTC", "A", TIME + 1, 3),
             trade("SOL", "A", TIME, 4)]  # fmt: skip
    (events, _), tally = read(text("trades", given))
    assert columns(events, "market", "side", "ts_exch_ns", "order_id", "flags") == [
        (0, -1, EXCH + 1_000_000, 3, BOTH), (0, 1, EXCH + 2_000_000, 1, BOTH | END), (1, -1, EXCH, 2, BOTH | END),
    ]  # fmt: skip
    assert dict(tally) == {"trade_messages": 2, "messages_of_other_coins": 1}


def test_a_context_has_the_newest_exchange_time_and_whole_units() -> None:
    values = {"funding": "0.0000125", "openInterest": "12.34567", "oraclePx": "100.56", "markPx": "100.54",
              "premium": "-0.00031", "midPx": "1"}  # fmt: skip
    touch = text("bbo", {"coin": "BTC", "time": TIME, "bbo": [level("100.5", "1"), None]})
    context = text("activeAssetCtx", {"coin": "BTC", "ctx": values})
    (events, lines), _ = read(context, touch, context)
    assert columns(events, "kind", "ts_exch_ns") == [(7, NOW + 1), (5, EXCH), (5, EXCH), (7, EXCH)]
    assert lines.tolist() == [1, 2, 2, 3]
    names = ("price_ticks", "size_lots", "order_id", "aux0", "aux1", "flags", "market")
    assert columns(events[-1:], *names) == [(1005, 1_234_567, 1005, 12_500_000, -310_000_000, BOTH | END, 0)]


def test_a_context_without_values_and_of_another_coin() -> None:
    empty = text("activeSpotAssetCtx", {"coin": "ETH", "ctx": {"premium": None}})
    (events, _), tally = read(empty, text("activeAssetCtx", {"coin": "SOL", "ctx": {}}))
    assert columns(events, "price_ticks", "size_lots", "order_id", "aux0", "aux1", "market") == [(0, 0, 0, 0, 0, 1)]
    assert dict(tally) == {"asset_context": 1, "messages_of_other_coins": 1}


def test_other_channels_and_other_coins_are_counted() -> None:
    book = {"coin": "SOL", "time": TIME, "levels": [[], []]}
    touch = {"coin": "SOL", "time": TIME, "bbo": [None, None]}
    (events, lines), tally = read(text("subscriptionResponse", {}), b'{"channel":"pong"}', text("l2Book", book),
                                  text("bbo", touch))  # fmt: skip
    assert (len(events), len(lines)) == (0, 0)
    assert dict(tally) == {"messages_of_other_channels": 2, "messages_of_other_coins": 2}


def test_rows_of_several_coins_are_in_order_of_line() -> None:
    touches = [text("bbo", {"coin": coin, "time": TIME + place, "bbo": [level("100", "1"), None]})
               for place, coin in enumerate(("ETH", "BTC", "ETH"))]  # fmt: skip
    (events, lines), _ = read(*touches)
    assert (events["market"].tolist(), lines.tolist()) == ([1, 1, 0, 0, 1, 1], [1, 1, 2, 2, 3, 3])


BAD_MESSAGES = [
    (b"", "no Hyperliquid message"),
    (b"[]", "no Hyperliquid message"),
    (b"\xff", "no Hyperliquid message"),
    (b'{"channel":"l2Book","data":{"coin":"BTC"}}', "missing required field `time`"),
    (text("l2Book", {"coin": "BTC", "time": TIME, "levels": [[]]}), "Expected `array` of length 2"),
    (text("l2Book", {"coin": "BTC", "time": 0, "levels": [[], []]}), "time 0 is not in milliseconds"),
    (text("l2Book", {"coin": "BTC", "time": EXCH, "levels": [[], []]}), "is not in milliseconds"),
    (
        text("l2Book", {"coin": "BTC", "time": TIME, "levels": [[level("1", "1", -1)], []]}),
        "number of orders is out of",
    ),
    (
        text("l2Book", {"coin": "BTC", "time": TIME, "levels": [[level("1", "1", 2**40)], []]}),
        "number of orders is out",
    ),
    (text("bbo", {"coin": "BTC", "time": TIME, "bbo": [None]}), "Expected `array` of length 2"),
    (text("trades", [trade("BTC", "X", TIME, 1)]), "a trade's side or tid is unknown, expected A or B"),
    (text("trades", [trade("BTC", "B", TIME, -1)]), "a trade's side or tid is unknown"),
    (text("trades", [trade("BTC", "B", TIME, 2**63)]), "a trade's side or tid is unknown"),
    (text("trades", {}), "Expected `array`, got `object`"),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"markPx": "x"}}), 'value "x" is no number in range'),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"markPx": "NaN"}}), 'value "NaN" is no number in range'),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"markPx": "-1"}}), 'value "-1" is no number in range'),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"oraclePx": "1e12"}}), 'value "1e12" is no number in range'),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"openInterest": "-1"}}), 'value "-1" is no number in range'),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"funding": "1e999999"}}), 'value "1e999999" is no number in range'),
    (text("activeAssetCtx", {"coin": "BTC", "ctx": {"premium": "9" * 50}}), "is no number in range, drop the line"),
    (b'{"channel":"l2Book","data":' + b"[" * 100_000, "no Hyperliquid message"),
]


@pytest.mark.parametrize(("message", "problem"), BAD_MESSAGES)
def test_a_message_of_another_shape_names_its_line(message: bytes, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        read(text("pong", None), message)
    assert (caught.value.line, problem in str(caught.value)) == (2, True), str(caught.value)
    assert "drop the line" in str(caught.value)


def test_a_size_that_the_market_can_not_have_names_its_line() -> None:
    touch = text("bbo", {"coin": "BTC", "time": TIME, "bbo": [level("100.55", "1"), None]})
    with pytest.raises(DataError, match=r"a.gz, line 2: price 100.55 has more than 1 decimals"):
        read(text("pong", None), touch)


@pytest.mark.parametrize("local_ns", [0, -5, 2**62])
def test_a_local_time_out_of_range_names_its_line(local_ns: int) -> None:
    with pytest.raises(DataError, match=rf"a.gz, line 7: local time {local_ns} is not in nanoseconds"):
        MessageBlock(PATH, [BTC], Tally()).add(7, local_ns, b"{}")


def test_what_was_gathered_can_be_forgotten() -> None:
    block = MessageBlock(PATH, [BTC], Tally())
    block.add(1, NOW, text("activeAssetCtx", {"coin": "BTC", "ctx": {}}))
    block.add(2, NOW, text("trades", [trade("BTC", "B", TIME, 1, price="x")]))
    block.clear()
    assert len(block.events().events) == 0


def test_coins_are_listed_in_order_of_appearance(tmp_path: Path) -> None:
    file = LineFile(write(tmp_path / "a.gz", ['{"coin":"ETH"}{"coin" : "BTC"}', '{"coin":"ETH"}', '{"coin":"@107"}']))
    assert coins_in(file) == ["ETH", "BTC", "@107"]
    assert markets_in(file, BTC, None) == [BTC]


def test_markets_are_those_of_the_coins(tmp_path: Path) -> None:
    file = LineFile(write(tmp_path / "a", ['{"coin":"ETH"}{"coin":"BTC"}']))
    assert markets_in(file, None, None) == [ETH, BTC]
    with pytest.raises(DataError, match=r"market ETH is not in the specification"):
        markets_in(file, None, {"BTC": BTC})
    nothing = LineFile(write(tmp_path / "b", ["{}"]))
    with pytest.raises(DataError, match=r"no message names a coin, expected Hyperliquid market data"):
        markets_in(nothing, None, None)


def test_too_many_coins_are_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "COINS_MAX", 2)
    file = LineFile(write(tmp_path / "a", ['{"coin":"A"}', '{"coin":"B"}', '{"coin":"C"}']))
    with pytest.raises(DataError, match=r"a, line 1: the file names more than 2 coins"):
        coins_in(file)


def test_of_a_damaged_file_the_coins_before_the_damage_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b'{"coin":"ETH"}\n' * 50)[:-9])
    assert coins_in(LineFile(path)) == ["ETH"]
    path.write_bytes(path.read_bytes()[:12])
    with pytest.raises(DataError, match=r"a.gz, line 1: the gzip stream is cut off"):
        list(readable(LineFile(path)))


def test_recorded_messages_of_2026_are_read(recordings: Path) -> None:
    lines = (recordings / "hyperliquid/api/recorded_messages_2026/messages.jsonl").read_text().splitlines()
    given = [json.loads(line)["message"] for line in lines]
    channels = ("bbo", "trades", "activeAssetCtx")
    found = [message for message in given if isinstance(message, dict) and message.get("channel") in channels]
    wanted = [json.dumps(message).encode() for message in found]
    assert wanted
    (events, _), tally = read(*wanted, markets=(find("SOL"), BTC, ETH))
    kinds = set(events["kind"].tolist())
    assert {int(EventKind.BBO), int(EventKind.TRADE), int(EventKind.ASSET_CONTEXT)} <= kinds, tally
