"""The command that fits the order flow, on a minute of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.exchange.flow.calibration import KNOBS, SEED
from hlhft.exchange.flow.parameters import decoded, shipped
from tests.bench.fit_flow import STARTS, main


def test_the_command_fits_and_writes(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "markets.toml"
    folder = recordings / "hyperliquid/l2_trades_bbo_20250904"
    main(["WLFI", "--folder", str(folder), "--trials", "1", "--seconds", "61", "--write", str(file)])
    out = capsys.readouterr().out
    assert out.startswith("WLFI ")
    assert out.endswith("after 1 trials: not what ships\n")
    entry = decoded(file.read_text())["WLFI"]
    assert entry.recording == "l2_trades_bbo_20250904"
    assert entry.seed == SEED
    assert entry.numbers.start_price == pytest.approx(0.1865, abs=0.01), "where the recording begins"
    main(["WLFI", "--folder", str(folder), "--trials", "0", "--seconds", "1", "--write", str(file)])
    assert list(decoded(file.read_text())) == ["WLFI"]


def test_the_search_begins_within_its_range_for_every_coin_that_ships():
    starts = decoded(STARTS.read_text())
    assert starts.keys() == shipped().keys()
    for coin, entry in starts.items():
        for name, (low, high, _) in KNOBS.items():
            assert low <= getattr(entry.numbers, name) <= high, f"{coin} {name}"
