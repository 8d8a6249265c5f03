"""The command that fits the order flow, on a minute of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.exchange.flow.calibration import SEED
from hlhft.exchange.flow.parameters import decoded
from tests.bench.fit_flow import main


def test_the_command_fits_and_writes(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "markets.toml"
    folder = recordings / "hyperliquid/l2_trades_bbo_20250904"
    main([str(folder), "WLFI", "--trials", "1", "--seconds", "61", "--write", str(file)])
    assert capsys.readouterr().out.startswith("WLFI ")
    entry = decoded(file.read_text())["WLFI"]
    assert entry.recording == "l2_trades_bbo_20250904"
    assert entry.seed == SEED
    assert entry.numbers.start_price == pytest.approx(0.1865, abs=0.01), "where the recording begins"
    main([str(folder), "WLFI", "--trials", "0", "--seconds", "1", "--write", str(file)])
    assert list(decoded(file.read_text())) == ["WLFI"]
