"""What a policy does: four numbers in -1..1 that multiply a tuned closed form, and nothing else.

    gamma 4**a0 in 1/4..4   signal weight 1 + a1 in 0..2   spread 2**a2 in 1/2..2   asymmetry a3 / 2 in -1/2..1/2

The action of zeros is the closed form, bit for bit. The core clamps whatever arrives (hlhft.core), so these bounds are
what a policy can ask for and not what protects us from it.
"""

from __future__ import annotations

import math

from hlhft.compiled import compiled

NAMES = ("gamma", "signal_weight", "spread", "asymmetry")
SIZE = len(NAMES)
POLICY = 74  # hlhft.events.EventKind
NEUTRAL_E6 = (1_000_000, 1_000_000, 1_000_000, 0)

_LN4, _LN2 = 1.3862943611198906, 0.6931471805599453


@compiled
def within(value):
    """The value within -1..1, 0 for what is no number."""
    if not math.isfinite(value):
        return 0.0
    return min(max(value, -1.0), 1.0)


@compiled
def _millionths(value):
    """The nearest whole number of millionths."""
    return int(math.floor(value * 1e6 + 0.5))


@compiled
def write_policy(event, action, market, ts_exch_ns, ts_local_ns, until_ns):
    """Writes the POLICY event of `action`, float[SIZE], into `event`, one record of EVENT_DTYPE.

    What is outside -1..1 counts as the bound, what is no number as 0.
    """
    event["ts_exch_ns"] = ts_exch_ns
    event["ts_local_ns"] = ts_local_ns
    event["kind"] = POLICY
    event["flags"] = 2 | 4
    event["market"] = market
    event["side"] = 0
    event["padding"] = 0
    event["price_ticks"] = _millionths(math.exp(_LN4 * within(action[0])))
    event["size_lots"] = _millionths(1.0 + within(action[1]))
    event["order_id"] = _millionths(math.exp(_LN2 * within(action[2])))
    event["aux0"] = until_ns
    event["aux1"] = _millionths(0.5 * within(action[3]))
