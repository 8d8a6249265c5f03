"""Which markets there are: the shipped table, specification files, the venue's meta answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.data import markets
from hlhft.data.errors import DataError
from hlhft.data.markets import find, known, load
from hlhft.units import GridRule, MarketKind

TOML = """
[[perpetual]]
name = "kPEPE"
asset_id = 15
size_decimals = 0
maximum_leverage = 10

[[fixed]]
name = "spot_solusdt"
asset_id = 900103
price_decimals = 2
size_decimals = 3
grid_step_ticks = 5
spot = true
"""


def test_the_shipped_table_has_the_recorded_markets() -> None:
    table = known()
    assert {"BTC", "ETH", "SOL", "WLFI", "usdm_btcusdt", "usdm_ethusdt", "spot_btcusdt"} <= set(table)
    assert (table["BTC"].price_decimals, table["BTC"].size_decimals, table["BTC"].maximum_leverage) == (1, 5, 40)
    # tick / lot of the recordings' README: 0.1 / 0.001, 0.01 / 0.001, 0.01 / 0.00001.
    decimals = [(table[name].price_decimals, table[name].size_decimals) for name in
                ("usdm_btcusdt", "usdm_ethusdt", "spot_btcusdt")]  # fmt: skip
    assert decimals == [(1, 3), (2, 3), (2, 5)]
    assert known() is table


def test_a_toml_specification(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(TOML)
    table = load(tmp_path / "m.toml")
    assert list(table) == ["kPEPE", "spot_solusdt"]
    assert (table["kPEPE"].grid_rule, table["kPEPE"].price_decimals) == (GridRule.SIGNIFICANT_FIGURES, 6)
    spot = table["spot_solusdt"]
    assert (spot.kind, spot.grid_rule, spot.grid_step_ticks) == (MarketKind.SPOT, GridRule.FIXED, 5)
    assert spot.minimum_notional_micro == 0


def test_a_json_specification_is_the_same(tmp_path: Path) -> None:
    content = {"perpetual": [{"name": "kPEPE", "asset_id": 15, "size_decimals": 0}]}
    (tmp_path / "m.json").write_text(json.dumps(content))
    assert load(str(tmp_path / "m.json"))["kPEPE"].asset_id == 15


def test_the_venues_meta_numbers_markets_by_place(recordings: Path) -> None:
    table = load(recordings / "hyperliquid/api/recorded_messages_2026/meta_testnet.json")
    assert len(table) == 201
    assert [market.asset_id for market in table.values()] == list(range(201))
    assert table["BTC"].size_decimals + table["BTC"].price_decimals == 6


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("m.json", b"[1", "expected a market specification"),
        ("m.json", b"\xff\xfe", "expected a market specification"),
        ("m.json", b"[]", "Expected `object`"),
        ("m.json", b'{"perp": []}', "unknown field `perp`"),
        ("m.json", b'{"universe": [{"name": "BTC"}]}', "missing required field `szDecimals`"),
        ("m.json", b'{"universe": [{"name": "B", "szDecimals": 9, "maxLeverage": 1}]}', "decimals must lie in 0..12"),
        ("m.toml", b"[[perpetual]\n", "expected a market specification"),
        ("m.toml", b'[[perpetual]]\nname = "A"\nasset_id = 1\nsize_decimals = "x"\n', "Expected `int`, got `str`"),
        ("m.toml", b'[[perpetual]]\nname = "A"\nasset_id = 1\nsize_decimals = 2\n' * 2, "market A is given twice"),
        ("m.toml", b"\xff", "expected a market specification"),
    ],
)
def test_a_wrong_specification_is_one_sentence(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        load(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_deeply_nested_json_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b"[" * 100_000)
    with pytest.raises(DataError, match=r"expected a market specification"):
        load(tmp_path / "m.json")


def test_a_missing_a_huge_and_a_folder_specification_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(DataError, match=r"the market specification cannot be read"):
            load(path)
    monkeypatch.setattr(markets, "SPECIFICATION_BYTES_MAX", 10)
    (tmp_path / "m.toml").write_text(TOML)
    with pytest.raises(DataError, match=r"a market specification has at most 10 bytes"):
        load(tmp_path / "m.toml")


def test_a_market_is_found_by_name_in_any_case() -> None:
    assert find("BTC") is known()["BTC"]
    assert find("btc") is known()["BTC"]
    assert find("USDM_BTCUSDT").name == "usdm_btcusdt"


def test_an_unknown_market_names_the_nearest() -> None:
    with pytest.raises(LookupError, match=r"market WLFY is not in the specification; the nearest known market is WLFI"):
        find("WLFY")
    with pytest.raises(LookupError, match=r"the specification holds no market"):
        find("BTC", {})
    with pytest.raises(LookupError, match=r"market ETH is not"):
        find("ETH", {"BTC": known()["BTC"]})
