"""A small market with trades as cached rows, and a strategy file that quotes both sides of it on a timer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hlhft.backtest.recordings import Recording, RowFile
from hlhft.backtest.rows import EXCHANGE_BIT, FRAME_BIT, LEVEL, LOCAL_BIT, LOTS_SHIFT, ROW_DTYPE, SELL_BIT, TRADE
from hlhft.backtest.session import Settings
from hlhft.strategies import load
from hlhft.units import GridRule, Market

MARKET = Market(name="TEST", asset_id=0, price_decimals=1, size_decimals=3, grid_rule=GridRule.FIXED)
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
QUOTER = Path("tests", "bench", "strategies", "mirror.py")


def row(at_ms: int, kind: int, side: int, ticks: int, lots: int, *, delay_ms: int = 5) -> tuple[int, int, int, int]:
    """One row that both sides see, `side` +1 a bid or a buyer's trade, -1 an ask or a seller's."""
    word = lots << LOTS_SHIFT | kind | EXCHANGE_BIT | LOCAL_BIT | FRAME_BIT | (SELL_BIT if side < 0 else 0)
    return START_NS + at_ms * MS, word, ticks, delay_ms * MS


def wandering(seconds: int, *, seed: int = 1, step_ms: int = 50, middle: int = 600_000) -> np.ndarray:
    """ROW_DTYPE: a book of three levels a side whose middle wanders, and a trade at every other step."""
    generator = np.random.default_rng(seed)
    rows = [
        row(0, LEVEL, side, middle - side * distance, 500 * distance) for side in (1, -1) for distance in (1, 2, 3, 4)
    ]
    for step in range(1, seconds * 1000 // step_ms):
        move = int(generator.integers(-1, 2))
        at_ms = step * step_ms
        if move:
            rows.append(row(at_ms, LEVEL, -move, middle + move, 0))
            middle += move
            rows.append(row(at_ms, LEVEL, move, middle - move, 500))
            rows.append(row(at_ms, LEVEL, -move, middle + 4 * move, 2000))
        if step % 2:
            side = 1 if generator.random() < 0.5 else -1
            rows.append(row(at_ms, TRADE, side, middle + side, int(generator.integers(1, 900))))
    return np.array(rows, ROW_DTYPE)


def recording(folder: Path, *rows: np.ndarray, name: str = "small") -> Recording:
    """The rows, one array a market, as a recording on disk."""
    files = []
    for index, one in enumerate(rows):
        path = folder / f"{name}-{index}.rows"
        path.write_bytes(one.tobytes())
        prices = one["price_ticks"][one["price_ticks"] > 0]
        files.append(RowFile(path, len(one), int(prices.min()), int(prices.max())))
    markets = tuple(
        Market(name=f"TEST{index}", asset_id=index, price_decimals=1, size_decimals=3, grid_rule=GridRule.FIXED)
        for index in range(len(rows))
    )
    return Recording(name, "00" * 16, "recorded", markets, tuple(files), sum(map(len, rows)), {})


def settings(**changes: object) -> Settings:
    """Both sides quoted each 100 ms with 10 ms to the venue and back, under the venue's rules."""
    chosen: dict[str, object] = {"strategy": load(str(QUOTER)), "interval_ns": 100 * MS, "feed_age_ns_max": 0}
    return Settings(**{**chosen, **changes})  # type: ignore[arg-type]
