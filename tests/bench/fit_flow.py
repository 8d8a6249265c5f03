"""Fits the synthetic order flow to a recording, offline; what it finds ships as hlhft/exchange/flow/markets.toml.

    python tests/bench/fit_flow.py FOLDER COIN… [--trials N] [--seconds S] [--write FILE]

FOLDER holds three CSV files a coin. The search begins at the numbers that ship; two runs give the same numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hlhft.data.sources import open_source  # noqa: E402
from hlhft.exchange.flow.calibration import SECONDS, SEED, TRIALS, distance_of, fit, target_of  # noqa: E402
from hlhft.exchange.flow.parameters import fitted, shipped, written  # noqa: E402
from hlhft.exchange.flow.recordings import market_data  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fits the synthetic order flow to a recording.")
    parser.add_argument("folder", type=Path, help="a recording as CSV files, three a coin")
    parser.add_argument("coins", nargs="+")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each rehearsal")
    parser.add_argument("--write", type=Path, help="the file of fitted numbers to bring up to date")
    given = parser.parse_args(arguments)
    for coin in given.coins:
        data = market_data(open_source(given.folder / f"trades_{coin}.csv.gz"))
        target = target_of(data, data.blocks()[::2])
        mid = float(data.touches["bid_ticks"][0]) / 10**data.market.price_decimals
        start = dataclasses.replace(shipped()[coin], start_price=mid)
        distance = functools.partial(distance_of, data.market, target, given.seconds)
        numbers, best = fit(start, distance, seed=SEED, trials=given.trials)
        print(coin, f"{best:.1f}", flush=True)
        if given.write is not None:
            today = dt.datetime.now(dt.UTC).date().isoformat()
            text = given.write.read_text() if given.write.exists() else ""
            entry = fitted(numbers, recording=given.folder.resolve().name, date=today, seed=SEED)
            given.write.write_text(written(text, coin, entry))


if __name__ == "__main__":
    main()
