"""Names become markets by what the venue lists: found, refused in a sentence, recorded."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hlhft.hyperliquid import markets as listing
from hlhft.hyperliquid.markets import (
    BODY_BYTES_MAX,
    NO_TOKEN,
    Dex,
    MarketError,
    Meta,
    SpotMeta,
    asset_ids,
    base_tokens,
    markets_of,
    read_dexs,
    read_meta,
    read_spot_meta,
)
from hlhft.hyperliquid.reading import Fault
from hlhft.units import Market, MarketKind


def meta(*entries: dict[str, Any], **more: Any) -> Meta:
    read = read_meta(json.dumps({"universe": entries, "marginTables": [], **more}).encode())
    assert isinstance(read, Meta)
    return read


def perpetual(name: str, decimals: int = 2, leverage: int = 10, **more: Any) -> dict[str, Any]:
    return {"name": name, "szDecimals": decimals, "maxLeverage": leverage, "marginTableId": 10, **more}


def spot_meta(tokens: list[tuple[str, int, int]], pairs: list[tuple[str, int, int, int]]) -> SpotMeta:
    body = {
        "tokens": [{"name": name, "index": index, "szDecimals": decimals} for name, index, decimals in tokens],
        "universe": [{"name": name, "index": index, "tokens": [base, quote]} for name, index, base, quote in pairs],
    }
    read = read_spot_meta(json.dumps(body).encode())
    assert isinstance(read, SpotMeta)
    return read


MAIN = meta(perpetual("SOL"), perpetual("BTC", 5, 40), perpetual("OLD", isDelisted=True), perpetual("FINE", 7))
SPOT = spot_meta(
    [("USDC", 0, 8), ("PURR", 1, 0), ("HYPE", 150, 2), ("DUST", 9, 9), ("TWIN", 7, 1)],
    [
        ("PURR/USDC", 0, 1, 0), ("@107", 107, 150, 0), ("@108", 108, 150, 1), ("@9", 9, 9, 0), ("@70", 70, 7, 0),
        ("@71", 71, 7, 0), ("@5", 5, 99, 0), ("@6", 6, 1, 88),
    ],
)  # fmt: skip
XYZ = Dex("xyz", 2, meta(perpetual("xyz:GOLD", 3), perpetual("xyz:SILVER", 1)))


def refusal(*names: str, main: Meta = MAIN, spot: SpotMeta = SPOT, dexs: tuple[Dex, ...] = ()) -> str:
    with pytest.raises(MarketError) as error:
        markets_of(main, spot, names, dexs)
    return str(error.value)


def test_names_become_markets_in_their_order() -> None:
    found = markets_of(MAIN, SPOT, ["BTC", "HYPE/USDC", "SOL", "PURR/USDC"])
    assert found == [
        Market.perpetual("BTC", asset_id=1, size_decimals=5, maximum_leverage=40),
        Market.spot("@107", asset_id=10_107, size_decimals=2),
        Market.perpetual("SOL", asset_id=0, size_decimals=2),
        Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0),
    ]
    assert markets_of(MAIN, SPOT, ["@107"]) == [found[1]]
    assert base_tokens(SPOT, found) == (NO_TOKEN, 150, NO_TOKEN, 1)


def test_a_builders_dex_is_asked_for() -> None:
    """Places count the dexs that are gone, too; fees there may be twice those of the main dex."""
    (silver,) = markets_of(MAIN, SPOT, ["xyz:SILVER"], [XYZ])
    assert (silver.asset_id, silver.name, silver.price_decimals) == (120_001, "xyz:SILVER", 5)
    assert (silver.maker_rate_e9, silver.taker_rate_e9) == (300_000, 900_000)
    assert refusal("xyz:SILVER") == (
        "xyz:SILVER belongs to the builder's dex xyz, which was not asked for, allow that dex or remove it"
    )
    assert refusal("xyz:SLVER", dexs=(XYZ,)) == "xyz:SLVER is no market of the venue, the nearest is xyz:SILVER"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "no market is named, name at least one"),
        (["BTC", "SOL", "BTC", "BTC"], "BTC is named 3 times, name it once"),
        (["@107", "HYPE/USDC"], "@107 is named twice, by its own name and by its tokens, name it once"),
        (["OLD"], "OLD is delisted at the venue, remove it"),
        (["btc"], "btc is no market of the venue, the nearest is BTC"),
        (["TWIN/USDC"], "TWIN/USDC are the tokens of several markets, name one of @70, @71"),
        (["@108"], "@108 is quoted in PURR, and only USDC is supported, remove it"),
        (["@6"], "@6 is quoted in token 88, and only USDC is supported, remove it"),
        (["@5"], "@5 has a base token, 99, that the venue does not list, remove it"),
        (["@9"], "@9 has sizes of 9 decimals, and more than 8 leave none for its price, remove it"),
        (["FINE"], "FINE has sizes of 7 decimals, and more than 6 leave none for its price, remove it"),
    ],
)
def test_what_is_no_market_is_refused_in_a_sentence(names: list[str], sentence: str) -> None:
    assert refusal(*names) == sentence


def test_all_refusals_come_together() -> None:
    assert refusal("OLD", "SOL", "@108").count(";") == 1


def test_another_collateral_is_refused() -> None:
    other = meta(perpetual("BTC"), collateralToken=150)
    assert refusal("BTC", main=other) == "BTC is margined in HYPE, and only USDC is supported, remove it"


def test_nothing_is_near_in_an_empty_venue() -> None:
    assert refusal("BTC", main=meta(), spot=spot_meta([], [])) == "BTC is no market of the venue"


def test_every_number_has_one_name() -> None:
    numbers = asset_ids(MAIN, SPOT, [XYZ])
    assert (numbers["OLD"], numbers["@107"], numbers["xyz:GOLD"]) == (2, 10_107, 120_000)
    assert len(set(numbers.values())) == len(numbers) == 14


def test_two_names_of_one_number_stop_the_program() -> None:
    twice = spot_meta([("USDC", 0, 8), ("PURR", 1, 0)], [("PURR/USDC", 0, 1, 0), ("@0", 0, 1, 0)])
    with pytest.raises(AssertionError, match="leads back"):
        markets_of(MAIN, twice, ["PURR/USDC"])


@pytest.mark.parametrize("read", [read_meta, read_spot_meta, read_dexs])
def test_what_is_no_answer_is_a_fault(read: Any) -> None:
    assert read(b"<html>busy</html>") is Fault.UNREADABLE
    assert read(b'{"universe":5}') is Fault.WRONG_SHAPE
    assert read(b'{"universe":[{"name":"BTC","szDecimals":-1,"maxLeverage":5}]}') is Fault.WRONG_SHAPE
    assert read(b" " * (BODY_BYTES_MAX + 1)) is Fault.TOO_LONG


def test_dexs_keep_their_places() -> None:
    assert read_dexs(b'[null,{"name":"a","fullName":"A"},null,{"name":"b"}]') == (None, "a", None, "b")


def test_every_recorded_market_is_found_by_name(recordings: Path) -> None:
    folder = recordings / "hyperliquid" / "api" / "recorded_messages_2026"
    main = read_meta((folder / "meta_testnet.json").read_bytes())
    spot = read_spot_meta(gzip.decompress((folder / "spotMeta_testnet.json.gz").read_bytes()))
    dexs = read_dexs((folder / "perpDexs_testnet.json").read_bytes())
    assert isinstance(main, Meta) and isinstance(spot, SpotMeta) and isinstance(dexs, tuple)
    assert dexs[0] is None and "unit" in dexs
    found = refused = 0
    for name, number in asset_ids(main, spot).items():
        try:
            (market,) = markets_of(main, spot, [name])
        except MarketError:
            refused += 1
            continue
        found += 1
        assert (market.name, market.asset_id) == (name, number)
        assert (market.kind is MarketKind.SPOT) == (number >= listing.SPOT_BASE)
    assert found > 1000 and refused > 50, "spot pairs of other quotes are refused"
    (btc, sol) = markets_of(main, spot, ["BTC", "SOL"])
    assert (btc.asset_id, sol.asset_id) == (3, 0), "the testnet's numbers"


def test_the_watchdog_can_resolve_without_compiled_code() -> None:
    code = "import sys, hlhft.hyperliquid.markets; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
