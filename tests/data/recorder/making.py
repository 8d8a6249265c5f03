"""Frames as the venue sends them, and lines of a recorder, for tests of what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.merge import Events, nothing
from hlhft.data.recorder.hours import HOUR_NS
from hlhft.data.recorder.marks import Begin
from hlhft.units import Market

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)
ETH = Market.perpetual("ETH", asset_id=1, size_decimals=4, maximum_leverage=25)
HOUR = 500_000  # 2027-01-15T08, in hours since the epoch
START_NS = HOUR * HOUR_NS + 600 * 1_000_000_000
MS = 1_000_000
S = 1_000_000_000
SESSION = "081000"
URL = "http://127.0.0.1:1"


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":")).encode()


def level(price: float, size: str = "0.5") -> dict[str, Any]:
    return {"px": f"{price:g}", "sz": size, "n": 2}


def book(time_ms: int, coin: str = "BTC", *, fast: bool = True, best: int = 60_000) -> bytes:
    sides = [[level(best - step) for step in range(3)], [level(best + 1 + step) for step in range(3)]]
    return frame("l2Book", {"coin": coin, "time": time_ms, "levels": sides, **({"fast": True} if fast else {})})


def bbo(time_ms: int, coin: str = "BTC", *, best: int = 60_000) -> bytes:
    return frame("bbo", {"coin": coin, "time": time_ms, "bbo": [level(best), level(best + 1)]})


def trades(*each: tuple[int, int], coin: str = "BTC") -> bytes:
    """Trades of (time in ms, trade id)."""
    made = [
        {"coin": coin, "side": "B", "px": "60001", "sz": "0.01", "time": time_ms, "hash": "0x0", "tid": tid}
        for time_ms, tid in each
    ]
    return frame("trades", made)


def context(coin: str = "BTC", mark: str = "60000.5") -> bytes:
    values = {"funding": "0.0000125", "openInterest": "12.5", "oraclePx": "60001.0", "markPx": mark, "premium": None}
    return frame("activeAssetCtx", {"coin": coin, "ctx": values})


def begin(**changes: Any) -> Begin:
    values: dict[str, Any] = {
        "url": URL, "session": SESSION, "session_ns": START_NS, "hour": HOUR, "markets": (BTC, ETH),
    }  # fmt: skip
    return Begin(**{**values, **changes})


def rows_of(root: Path, manifest: Manifest) -> Events:
    """All rows of a part."""
    return np.concatenate([nothing(), *Catalogue(root).batches(manifest)])


def by_key(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Parts of one hour by kind and coin."""
    found = {(manifest.kind, manifest.coin): manifest for manifest in manifests}
    assert len(found) == len(manifests), "one part of each kind and coin"
    return found
