"""An alpha process' numbers: what is served, what came, what was sent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hlhft.alpha.serving.metrics import AlphaMetrics
from hlhft.monitor.block import BlockWriter, HistogramReading, block_path, read_block
from hlhft.monitor.metrics import METRICS, Source

NOW_NS = 10**18


class Shown:
    """An alpha process' block and what it says."""

    def __init__(self, folder: Path) -> None:
        self.path = block_path(folder, Source.ALPHA)
        self.metrics = AlphaMetrics(BlockWriter(self.path, source=Source.ALPHA, labels={}, clock_ns=lambda: NOW_NS))

    def after(self, **changes: Any) -> dict[tuple[str, ...], float]:
        told: dict[str, Any] = {"served": ("4d",), "rows": 9, "lost": 2, "signals": 3, "silent_ns": 10**9}
        self.metrics.write(**{**told, **changes})
        return {
            (sample.metric.name.removeprefix("hlhft_alpha_"), *sample.labels): sample.value
            for sample in read_block(self.path).series
            if isinstance(sample.value, float)
        }


def test_every_metric_of_an_alpha_process_is_written(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    assert shown.after() == {
        ("info", "4d"): 1, ("rows_total",): 9, ("rows_lost_total",): 2, ("signals_total",): 3, ("row_age_seconds",): 1,
    }  # fmt: skip
    shown.metrics.inference.note(50_000)
    (counted,) = (s.value for s in read_block(shown.path).series if isinstance(s.value, HistogramReading))
    assert counted.count == 1
    ours = {metric.name for metric in METRICS if metric.source is Source.ALPHA}
    assert {sample.metric.name for sample in read_block(shown.path).series} == ours
    shown.metrics.close()
    assert read_block(shown.path).is_closed


def test_a_model_that_was_replaced_is_served_no_more(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.after(served=("4d", "77"))
    found = shown.after(served=("4e", "77"))
    assert math.isnan(found["info", "4d"])
    assert (found["info", "4e"], found["info", "77"]) == (1, 1)
    assert shown.after(served=("4d",))["info", "4d"] == 1, "and may come back"


def test_before_the_first_row_there_is_no_age(tmp_path: Path) -> None:
    assert math.isnan(Shown(tmp_path).after(silent_ns=None)["row_age_seconds",])
