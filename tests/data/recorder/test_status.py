"""What a recorder says of itself."""

from __future__ import annotations

from typing import Any

import msgspec

from hlhft.data.recorder.latency import Latencies
from hlhft.data.recorder.status import Delay, Status, delays_of, line_of


def status(**changes: Any) -> Status:
    values: dict[str, Any] = {
        "state": "live", "coins": ("BTC", "ETH"), "local_ns": 1, "frames": 10, "events": 200, "parts": 8, "connects": 1,
        "gaps": 0, "faults": 0, "dropped_frames": 0, "unwritten_frames": 0, "is_disk_full": False, "waiting_bytes": 0,
        "free_bytes": 5 << 30, "stale": (), "delays": {}, "venue_clock_ahead_ms": None,
    }  # fmt: skip
    return Status(**{**values, **changes})


def test_a_healthy_recorder_says_little() -> None:
    assert line_of(status()) == "live  2 coins  10 frames  200 events  8 parts  5.0 GiB free"


def test_what_is_wrong_is_in_the_line() -> None:
    line = line_of(
        status(
            gaps=2, faults=3, dropped_frames=4, unwritten_frames=5, is_disk_full=True, stale=("bbo of BTC",),
            delays={"bbo": Delay(7, 261.4, 400.0)},
        )
    )  # fmt: skip
    for part in (
        "late by bbo 261 ms", "2 gaps", "STALE bbo of BTC", "3 frames not decoded", "4 frames DROPPED",
        "DISK FULL, 5 frames not written",
    ):  # fmt: skip
        assert part in line


def test_delays_are_medians_and_percentiles_in_ms() -> None:
    measured = Latencies()
    for ms in range(1, 101):
        measured.note(ms * 1_000_000)
    assert delays_of({"book": measured, "trade": Latencies()}) == {"book": Delay(100, 60.0, 100.0)}


def test_it_goes_through_json() -> None:
    made = status(delays={"bbo": Delay(7, 261.4, 400.0)}, stale=("bbo of BTC",))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Status) == made
