"""Messages between engine and alpha process, as tests make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hlhft.alpha.wire import HEAD_DTYPE, NO_ACTION, Signal, encode_rows

SCHEMA = bytes(range(16))
SESSION = 7
FEATURES = 4
NS = 1_000_000_000
BEGIN_NS = 1_760_000_000 * NS
STEP_NS = 100_000_000
VALID, RESET = 1, 2


def rows_of(
    first: int, count: int, *, market: int = 0, features: int = FEATURES, flags: int = VALID, begin_ns: int = BEGIN_NS
) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the sequence numbers from `first`, a tenth of a second apart; the values of a row follow from its
    number."""
    heads = np.zeros(count, HEAD_DTYPE)
    heads["sequence"] = np.arange(first, first + count)
    heads["market"] = market
    heads["ts_local_ns"] = begin_ns + heads["sequence"] * STEP_NS
    heads["ts_exch_ns"] = heads["ts_local_ns"] - 1_000_000
    heads["mid_ticks"] = heads["micro_ticks"] = 1000.0
    heads["sigma_bp"] = 1.0
    heads["flags"] = flags
    values = np.sin(np.arange(first, first + count)[:, None] + np.arange(features)[None, :]).astype(np.float32)
    return heads, values


def rows_message(first: int, count: int, **changes: Any) -> bytes:
    """The message of such rows."""
    shape = {name: changes.pop(name) for name in ("features", "flags", "begin_ns") if name in changes}
    market = changes.get("market", 0)
    heads, values = rows_of(first, count, market=market, **shape)
    told = {"schema": SCHEMA, "session": SESSION, "market": market, "coin": "BTC", **changes}
    return encode_rows(heads, values, **told)


def signal_of(**changes: Any) -> Signal:
    """A signal that an engine of this session believes, but for what is changed."""
    fields: dict[str, Any] = {
        "schema": SCHEMA, "session": SESSION, "market": 0, "flags": 0, "reason": 0, "sequence": 5, "model_id": 77,
        "mu_e9": 20_000, "sigma_e9": 100_000, "down": 0.25, "flat": 0.25, "up": 0.5, "policy_id": 0,
        "action_e6": NO_ACTION, "data_ns": BEGIN_NS, "compute_ns": 200_000, "sent_ns": BEGIN_NS,
    }  # fmt: skip
    return Signal(**{**fields, **changes})
