"""What the venue tells of a past is read exactly: messages as recorded, numbers of any fineness, and no nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.report.venue_records import (
    UNIT,
    USDC,
    Flow,
    Held,
    HistoryError,
    Mids,
    read_candles,
    read_fill,
    read_flow,
    read_funding,
    read_reading,
    units,
)

OWN, OTHER = "0x" + "ab" * 20, "0x" + "cd" * 20
FILL = {
    "coin": "BTC", "px": "66653.0", "sz": "0.001", "side": "A", "time": 1781528065899, "startPosition": "-0.0213",
    "dir": "Open Short", "closedPnl": "0.0", "hash": "0xe29f", "oid": 55030848197, "crossed": False,
    "fee": "0.009997", "tid": 745210434703679, "cloid": "0xe8d5fd7ebbb4c3cff4d1803472a11463",
    "liquidation": {"liquidatedUser": OTHER, "markPx": "66607.0", "method": "market"}, "feeToken": "USDC",
    "builderFee": "0.001", "twapId": None,
}  # fmt: skip


def fill(**changes: Any) -> bytes:
    return json.dumps({**FILL, **changes}).encode()


def test_a_fill_as_recorded() -> None:
    read = read_fill(fill(), "here")
    assert (read.coin, read.side, read.ts_ns, read.tid, read.oid) == (
        "BTC", -1, 1781528065899 * 10**6, 745210434703679, 55030848197,
    )  # fmt: skip
    assert (read.price, read.size, read.start) == (66653 * UNIT, UNIT // 1000, -213 * UNIT // 10_000)
    assert (read.fee, read.builder_fee, read.closed) == (9_997_000_000, 1_000_000_000, 0)
    assert read.is_liquidation
    assert not read.is_taker
    assert read.cloid == 0xE8D5FD7EBBB4C3CFF4D1803472A11463
    assert read.change == -read.size


def test_fills_of_2023_lack_what_came_later() -> None:
    told = {name: value for name, value in FILL.items() if name not in ("tid", "feeToken", "cloid", "builderFee")}
    read = read_fill(json.dumps(told).encode(), "here")
    assert (read.tid, read.fee_token, read.cloid, read.builder_fee) == (0, USDC, None, 0)


def test_dust_and_a_fee_in_the_token_as_recorded() -> None:
    dust = read_fill(fill(coin="@142", px="104730.168", sz="0.0000086141", tid=0, dir="Spot Dust Conversion"), "here")
    assert dust.size == 8_614_100
    bought = read_fill(fill(coin="@156", side="B", sz="1.267", fee="0.00088689", feeToken="USOL"), "here")
    assert bought.change == units("1.26611311", "here")
    rebate = read_fill(fill(coin="@156", side="A", sz="1.111", fee="-0.00003332", feeToken="USOL"), "here")
    assert rebate.change == units("-1.11096668", "here")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side": "C"}, "neither A nor B"),
        ({"px": "1e5"}, "no number"),
        ({"px": "-1"}, "no number"),
        ({"sz": "0.0000000000001"}, "too_fine"),
        ({"time": 0}, "not what the venue writes"),
        ({"coin": None}, "not what the venue writes"),
    ],
)
def test_nonsense_is_an_error_that_says_where(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(HistoryError, match=words) as caught:
        read_fill(fill(**changes), "fills.jsonl line 3")
    assert str(caught.value).startswith("fills.jsonl line 3")


@given(st.integers(-(10**30), 10**30))
def test_numbers_are_exact(number: int) -> None:
    sign, digits = "-" if number < 0 else "", str(abs(number)).rjust(13, "0")
    assert units(f"{sign}{digits[:-12]}.{digits[-12:]}", "here") == number


def test_funding() -> None:
    told = {
        "time": 1681948800000, "hash": "0xe3",
        "delta": {"type": "funding", "coin": "ARB", "usdc": "2.694388", "szi": "-6091.03333333",
                  "fundingRate": "0.0001", "nSamples": 3},
    }  # fmt: skip
    read = read_funding(json.dumps(told).encode(), "here")
    assert (read.coin, read.amount, read.position) == ("ARB", 2_694_388_000_000, units("-6091.03333333", "here"))


@pytest.mark.parametrize(
    ("delta", "amount", "size"),
    [
        ({"type": "deposit", "usdc": "2703997.4500000002"}, 2703997_450000, 0),
        ({"type": "accountClassTransfer", "usdc": "12.0", "toPerp": False}, 0, 0),
        ({"type": "spotTransfer", "token": "USDC", "amount": "10.5", "usdcValue": "10.5", "user": OWN,
          "destination": OTHER, "fee": "1.0"}, -11_500000, 0),
        ({"type": "spotTransfer", "token": "HYPE", "amount": "2.5", "usdcValue": "99.0", "user": OTHER,
          "destination": OWN, "fee": "0.0"}, 0, 25 * UNIT // 10),
        ({"type": "spotTransfer", "token": "HYPE", "amount": "2.5", "usdcValue": "99.0", "user": OWN,
          "destination": OTHER, "fee": "1.0"}, -1_000000, -25 * UNIT // 10),
        ({"type": "spotGenesis", "token": "HYPE", "amount": "3.0"}, 0, 3 * UNIT),
        ({"type": "neverHeardOf", "usdc": "1.0"}, None, 0),
    ],
)  # fmt: skip
def test_transfers(delta: dict[str, Any], amount: int | None, size: int) -> None:
    told = json.dumps({"time": 1731999196516, "hash": "0x09", "delta": delta}).encode()
    read = read_flow(told, "here", address=OWN, coins={"HYPE": "@1"})
    assert read.amount == (None if amount is None else amount * UNIT // 10**6)
    assert (read.size, read.coin) == (size, "@1" if size else "")
    assert isinstance(read, Flow)


def test_a_reading_is_all_dexs_and_spot() -> None:
    def state(value: str, *positions: dict[str, str]) -> bytes:
        return json.dumps(
            {"marginSummary": {"accountValue": value}, "time": 1781528065899,
             "assetPositions": [{"type": "oneWay", "position": one} for one in positions]}
        ).encode()  # fmt: skip

    short = {"coin": "BTC", "szi": "-0.5", "positionValue": "50000.05", "unrealizedPnl": "-3.25"}
    spot = json.dumps(
        {"balances": [{"coin": "USDC", "total": "7.5"}, {"coin": "HYPE", "total": "2.0"}, {"coin": "ODD", "total": "1"},
                      {"coin": "PURR", "total": "0.0"}]}
    ).encode()  # fmt: skip
    mids = {"@1": Mids((1,), (2 * 25 * UNIT,))}
    read = read_reading([state("100.25", short), state("1.0")], spot, "here", coins={"HYPE": "@1"}, mids=mids)
    assert read.cash == units("108.75", "here")
    assert read.held == {
        "BTC": Held(size=-UNIT // 2, mark_double=2 * units("100000.1", ""), unrealised=units("-3.25", "")),
        "@1": Held(size=2 * UNIT, mark_double=50 * UNIT),
        "ODD/?": Held(size=UNIT),
    }
    assert read.equity_grains == 2 * UNIT * units("158.75", "")


def test_a_candle_stands_from_its_end_on() -> None:
    body = b'[{"t":60000,"T":119999,"c":"2.5"},{"t":120000,"T":179999,"c":"3.0"}]'
    mids = read_candles(body, "here")
    assert [mids.at(ms * 10**6) for ms in (1, 120_000, 179_999, 180_000, 10**9)] == [5 * UNIT] * 3 + [6 * UNIT] * 2
    assert Mids().at(5) == 0
    with pytest.raises(HistoryError, match="here"):
        read_candles(b"{}", "here")


def test_recorded_answers_are_read(recordings: Path) -> None:
    folder = recordings / "hyperliquid" / "api"
    cassettes = folder / "sdk_cassettes"
    for name in ("test_get_user_fills", "test_get_user_fills_by_time"):
        told = json.loads((cassettes / f"{name}.json").read_text())["response"]
        read = [read_fill(json.dumps(one).encode(), name) for one in told]
        assert len(read) == 500
        assert {one.side for one in read} == {1, -1}
    dust = json.loads((folder / "nautilus_fixtures" / "http_user_fills_dust_conversion.json").read_text())
    assert [read_fill(json.dumps(one).encode(), "dust").tid for one in dust].count(0) == 1
    paid = json.loads((cassettes / "test_user_funding_history_without_end_time.json").read_text())["response"]
    assert len([read_funding(json.dumps(one).encode(), "paid") for one in paid]) > 100
    name = "test_user_non_funding_ledger_updates_without_end_time.json"
    moved = json.loads((cassettes / name).read_text())
    flows = [
        read_flow(json.dumps(one).encode(), name, address=moved["request"]["user"], coins={})
        for one in moved["response"]
    ]
    assert all(one.amount is not None for one in flows)
