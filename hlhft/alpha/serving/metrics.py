"""What an alpha process shows of itself while it serves."""

from __future__ import annotations

import math

from hlhft.monitor.block import BlockWriter

NS_PER_S = 1e9


class AlphaMetrics:
    """Writes the numbers of one alpha process into its block; what is not known is NaN, and not shown."""

    def __init__(self, block: BlockWriter) -> None:
        self._block = block
        self.inference = block.histogram("hlhft_inference_seconds")
        self._slots = {
            name: block.slot(f"hlhft_alpha_{name}")
            for name in ("rows_total", "rows_lost_total", "signals_total", "row_age_seconds")
        }
        self._served: dict[str, int] = {}  # the slots of what is served, by name

    def write(self, *, served: tuple[str, ...], rows: int, lost: int, signals: int, silent_ns: int | None) -> None:
        """Everything as it is now: the models and policies served, by name; rows that came and that had to be asked
        for; signals and decisions sent; how long ago the newest row came, None for never."""
        numbers = {
            "rows_total": rows,
            "rows_lost_total": lost,
            "signals_total": signals,
            "row_age_seconds": math.nan if silent_ns is None else max(silent_ns, 0) / NS_PER_S,
        }
        block = self._block
        for slot in self._served.values():
            block.values[slot] = math.nan
        self._served = {name: block.slot("hlhft_alpha_info", name) for name in served}
        for slot in self._served.values():
            block.values[slot] = 1.0
        for name, slot in self._slots.items():
            block.values[slot] = numbers[name]
        block.end()

    def close(self) -> None:
        """The process ended in order."""
        self._block.close()
