"""Funding histories: rates as contexts that know nothing else, and one sentence for what is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from tests.data.making import BOTH, BTC, END, ETH, columns, fault_of, rows_of, write
from tests.data.readers.fuzz import mutated

NOW = 1_757_000_000_048
HOUR = 3_600_000


def history(*rows: list[object], coin: str = "BTC") -> str:
    return json.dumps({"coin": coin, "source": "fundingHistory", "row_count": len(rows), "rows": list(rows)})


SOUND = history([NOW, -0.0006133368], [NOW + HOUR, 1.25e-05])


def test_rates_are_contexts_that_know_nothing_else(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.json.gz", [SOUND]))
    assert source.markets == (BTC,)
    rows = rows_of(source)
    assert (rows["kind"] == int(EventKind.ASSET_CONTEXT)).all()
    assert columns(rows, "ts_exch_ns", "ts_local_ns", "price_ticks", "size_lots", "aux0", "flags") == [
        (NOW * 10**6, NOW * 10**6, 0, 0, -613_336_800, BOTH | END),
        ((NOW + HOUR) * 10**6, (NOW + HOUR) * 10**6, 0, 0, 12_500_000, BOTH | END),
    ]
    assert dict(source.counts) == {"asset_context": 2}
    ((path, rows),) = source.numbered(ProgressMeter(None, 0))
    assert (path.name, rows.places.tolist()) == ("a.json.gz", [0, 1])
    assert open_source(tmp_path / "a.json.gz", market=ETH).markets == (ETH,)


def test_a_wrong_row_is_named_behind_those_before_it(tmp_path: Path) -> None:
    for wrong in ([0, 0.1], [NOW, 2.0], [NOW * 10**6, 0.0]):
        rows, error = fault_of(open_source(write(tmp_path / "a", [history([NOW, 0.1], wrong)])))
        assert len(rows) == 1
        assert "row 1: its time or rate is out of range" in str(error)


def test_what_is_none_is_one_sentence(tmp_path: Path) -> None:
    candles = json.dumps({"coin": "BTC", "interval": "1h", "source": "candleSnapshot", "candles": []})
    for text, problem in (
        (candles, "these are candles, which are no events, give trades or books instead"),
        (SOUND.replace('"rows"', '"lines"'), "no funding history"),
        (SOUND[:-5], "no funding history"),
        (history([NOW, 0.0], coin="DOGE"), "market DOGE is not in the specification"),
    ):
        with pytest.raises(DataError, match=problem):
            rows_of(open_source(write(tmp_path / "a", [text])))
    with pytest.raises(DataError, match="has no option book_ticker, leave it out"):
        open_source(write(tmp_path / "a", [SOUND]), book_ticker=False)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated([SOUND.encode()]))
def test_any_mutation_is_rows_or_a_sentence(tmp_path: Path, case: tuple[list[bytes], int]) -> None:
    path = write(tmp_path / "a", case[0])
    try:
        rows, error = fault_of(open_source(path))
    except DataError as refused:
        assert str(path) in str(refused)
        return
    assert error is None or str(path) in str(error)
    assert (np.diff(rows["ts_local_ns"]) >= 0).all()
    assert (np.abs(rows["aux0"]) <= 10**12).all()


def test_the_recorded_history_has_the_rows_of_its_description(recordings: Path) -> None:
    source = open_source(recordings / "hyperliquid/funding_candles/BTC_funding_history.json.gz")
    rows = rows_of(source)
    assert len(rows) == 27_142
    year = 1970 + rows["ts_exch_ns"] // (365.2425 * 86_400 * 10**9)
    means = [rows["aux0"][year == one].mean() / 1e8 for one in (2023, 2024, 2025, 2026)]
    assert np.round(means, 2).tolist() == [0.17, 0.28, 0.12, 0.04]
    with pytest.raises(DataError, match="these are candles"):
        open_source(recordings / "hyperliquid/funding_candles/BTC_1h_snapshot.json.gz")
