"""A recorder's numbers: what came, and what is missing for how long."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hlhft.data.recorder.metrics import Look, RecorderMetrics
from hlhft.monitor.block import BlockWriter, block_path, read_block
from hlhft.monitor.metrics import METRICS, Source

SECOND = 1_000_000_000


def look(**changes: Any) -> Look:
    values: dict[str, Any] = {
        "frames": 10, "frame_bytes": 1000, "silent_ns": SECOND // 2, "gaps": 0, "dropped_frames": 0, "is_live": True,
        "is_whole": True, "waiting_bytes": 70,
    }  # fmt: skip
    return Look(**{**values, **changes})


class Shown:
    """A recorder's block and what it says."""

    def __init__(self, folder: Path) -> None:
        self.path = block_path(folder, Source.RECORDER)
        self.metrics = RecorderMetrics(
            BlockWriter(self.path, source=Source.RECORDER, labels={}, clock_ns=lambda: SECOND)
        )

    def after(self, looked: Look, now_s: float) -> dict[str, float]:
        self.metrics.write(looked, round(now_s * SECOND))
        found = {}
        for metric, _, value in read_block(self.path).series:
            assert isinstance(value, float)
            found[metric.name.removeprefix("hlhft_recorder_")] = value
        return found


def test_every_metric_of_a_recorder_is_written(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    assert shown.after(look(), 1) == {
        "frames_total": 10, "bytes_total": 1000, "age_seconds": 0.5, "gaps_total": 0, "gap_open": 0,
        "gap_seconds_total": 0, "queue_bytes": 70,
    }  # fmt: skip
    ours = {metric.name for metric in METRICS if metric.source is Source.RECORDER}
    assert {sample.metric.name for sample in read_block(shown.path).series} == ours
    shown.metrics.close()
    assert read_block(shown.path).is_closed


def test_before_the_first_frame_nothing_has_an_age(tmp_path: Path) -> None:
    found = Shown(tmp_path).after(look(silent_ns=None, is_live=False), 1)
    assert math.isnan(found["age_seconds"])
    assert (found["gap_open"], found["gap_seconds_total"]) == (1, 0)


def test_time_is_missing_from_a_loss_to_what_comes_after(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.after(look(is_live=False, frames=0), 0)
    assert shown.after(look(is_live=False, frames=0), 5)["gap_seconds_total"] == 0, "nothing was recorded yet"
    shown.after(look(), 6)
    assert shown.after(look(is_live=False), 7)["gap_open"] == 1
    assert shown.after(look(is_live=False), 8)["gap_seconds_total"] == 1
    found = shown.after(look(), 9)
    assert (found["gap_open"], found["gap_seconds_total"]) == (0, 2)
    assert shown.after(look(is_whole=False), 10)["gap_seconds_total"] == 2
    assert shown.after(look(), 10.5)["gap_seconds_total"] == 2.5
    assert shown.after(look(), 20)["gap_seconds_total"] == 2.5


def test_dropped_frames_are_missing_since_the_look_before(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.after(look(), 1)
    found = shown.after(look(dropped_frames=3), 2)
    assert (found["gap_open"], found["gap_seconds_total"]) == (1, 1)
    found = shown.after(look(dropped_frames=3), 3)
    assert (found["gap_open"], found["gap_seconds_total"]) == (0, 2)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2), st.integers(1, 5)), max_size=30))
def test_no_more_is_missing_than_time_went_by(tmp_path_factory: Any, looks: list[tuple[bool, bool, int, int]]) -> None:
    shown = Shown(tmp_path_factory.mktemp("recorder"))
    now_s = dropped = 0
    missing_s = 0.0
    for is_live, is_whole, more, passed_s in looks:
        now_s += passed_s
        dropped += more
        found = shown.after(look(is_live=is_live, is_whole=is_whole, dropped_frames=dropped), now_s)
        assert missing_s <= found["gap_seconds_total"] <= missing_s + passed_s
        assert found["gap_open"] == (not (is_live and is_whole) or more > 0)
        missing_s = found["gap_seconds_total"]
