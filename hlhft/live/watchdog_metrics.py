"""What a watchdog shows of itself: its state, the beats, the answers of the venue. Needs neither numba nor the core."""

from __future__ import annotations

import math

from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS
from hlhft.hyperliquid.watchdog import Watchdog
from hlhft.hyperliquid.watchdog_events import ReportCode
from hlhft.hyperliquid.watchdog_table import State
from hlhft.monitor.block import BlockWriter

# Why it cancels for an engine that is gone; one that stopped in order is only looked after.
_GONE = (ReportCode.SILENT, ReportCode.OVERDUE, ReportCode.ORPHANS, ReportCode.FOUND)


class WatchdogMetrics:
    """Writes the numbers of one watchdog into its block; what is not known is NaN, and not shown."""

    def __init__(self, block: BlockWriter) -> None:
        self._block = block
        self._states = {state: block.slot("hlhft_watchdog_state", str(state)) for state in State}
        self._slots = {
            name: block.slot(f"hlhft_watchdog_{name}")
            for name in (
                "beat_age_seconds", "beats_total", "beats_refused_total", "sweeps_total", "orders",
                "venue_age_seconds", "schedule_seconds",
            )
        }  # fmt: skip

    def write(self, machine: Watchdog, *, refused: int, answered_ns: int, now_ns: int) -> None:
        """Everything as it is now. `refused` beats were not believed; the venue answered last at `answered_ns`, 0 for
        never."""
        until_ns = machine.switch_until_ms * MILLISECOND_NS
        numbers = {
            "beat_age_seconds": _age_s(machine.heard_ns, now_ns),
            "beats_total": machine.counters["beats"],
            "beats_refused_total": refused,
            "sweeps_total": sum(machine.counters[str(code)] for code in _GONE),
            "orders": math.nan if machine.orders is None else machine.orders,
            "venue_age_seconds": _age_s(answered_ns, now_ns),
            "schedule_seconds": max(until_ns - now_ns, 0) / SECOND_NS,
        }
        block = self._block
        for state, slot in self._states.items():
            block.values[slot] = float(state is machine.state)
        for name, slot in self._slots.items():
            block.values[slot] = numbers[name]
        block.end()

    def close(self) -> None:
        """The watchdog ended in order."""
        self._block.close()


def _age_s(then_ns: int, now_ns: int) -> float:
    return max(now_ns - then_ns, 0) / SECOND_NS if then_ns else math.nan
