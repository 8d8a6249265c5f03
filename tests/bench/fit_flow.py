"""Fits the synthetic order flow to a recording, offline; what it finds ships as hlhft/exchange/flow/markets.toml.

    python tests/bench/fit_flow.py COIN… [--folder F] [--trials N] [--seconds S] [--write]

The search begins at the numbers of tests/bench/flow_starts.toml, with the seed SEED of
hlhft.exchange.flow.calibration, and sees every other minute of the recording. Two runs find the same numbers; with the
defaults they are those that ship, and the command says whether they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hlhft.data.sources import open_source  # noqa: E402
from hlhft.exchange.flow.calibration import SECONDS, SEED, TRIALS, distance_of, fit, target_of  # noqa: E402
from hlhft.exchange.flow.parameters import decoded, fitted, shipped, written  # noqa: E402
from hlhft.exchange.flow.recordings import market_data  # noqa: E402

RECORDING = "hyperliquid/l2_trades_bbo_20250904"
STARTS = Path(__file__).parent / "flow_starts.toml"
SHIPPED = ROOT / "hlhft/exchange/flow/markets.toml"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fits the synthetic order flow to a recording.")
    parser.add_argument("coins", nargs="+")
    folder = Path(os.environ.get("HLHFT_RECORDINGS", ".")) / RECORDING
    parser.add_argument("--folder", type=Path, default=folder, help="a recording as CSV files, three a coin")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each rehearsal")
    parser.add_argument("--write", type=Path, nargs="?", const=SHIPPED, help="the file to write to, if not what ships")
    given = parser.parse_args(arguments)
    starts = decoded(STARTS.read_text())
    for coin in given.coins:
        data = market_data(open_source(given.folder / f"trades_{coin}.csv.gz"))
        target = target_of(data, data.blocks()[::2])
        mid = float(data.touches["bid_ticks"][0]) / 10**data.market.price_decimals
        start = dataclasses.replace(starts[coin].numbers, start_price=mid)
        distance = functools.partial(distance_of, data.market, target, given.seconds)
        numbers, best = fit(start, distance, seed=SEED, trials=given.trials)
        verdict = "as shipped" if numbers == shipped()[coin] else "not what ships"
        print(f"{coin} {best:.1f} after {given.trials} trials: {verdict}", flush=True)
        if given.write is not None:
            today = dt.datetime.now(dt.UTC).date().isoformat()
            text = given.write.read_text() if given.write.exists() else ""
            entry = fitted(numbers, recording=given.folder.resolve().name, date=today, seed=SEED)
            given.write.write_text(written(text, coin, entry))


if __name__ == "__main__":
    main()
