"""What a recorder says of itself: one object, as JSON or as a line for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from hlhft.data.recorder.latency import Latencies

NS_PER_MS = 1_000_000
GIB = 1 << 30


class Delay(Struct, frozen=True):
    """Local receipt less block time, of one kind in this hour."""

    frames: int
    median_ms: float
    p99_ms: float


class Status(Struct, frozen=True, kw_only=True):
    """A recorder at one moment; counts are since its start."""

    state: str  # of the connection
    coins: tuple[str, ...]
    local_ns: int
    frames: int
    events: int
    parts: int  # completed
    connects: int
    gaps: int  # times that something began to be missing
    faults: int  # frames that could not be decoded
    dropped_frames: int  # the queue was full
    unwritten_frames: int  # the disk was full
    is_disk_full: bool
    waiting_bytes: int
    free_bytes: int
    stale: tuple[str, ...]  # streams not to be trusted now
    delays: dict[str, Delay]
    venue_clock_ahead_ms: int | None  # its newest block's, so up to half a second too little; None: never told


def delays_of(latencies: Mapping[str, Latencies]) -> dict[str, Delay]:
    """The medians and 99th percentiles of each kind that was heard."""
    found = {}
    for kind, measured in latencies.items():
        median_ns, late_ns = measured.percentile_ns(50), measured.percentile_ns(99)
        if median_ns is not None and late_ns is not None:
            found[kind] = Delay(measured.count, median_ns / NS_PER_MS, late_ns / NS_PER_MS)
    return found


def line_of(status: Status) -> str:
    """One line: the connection, what came, how late, and what is wrong."""
    delays = ", ".join(f"{kind} {delay.median_ms:.0f} ms" for kind, delay in status.delays.items())
    said = [
        f"{status.state}  {len(status.coins)} coins  {status.frames} frames  {status.events} events",
        f"{status.parts} parts",
        f"{status.free_bytes / GIB:.1f} GiB free",
        f"late by {delays}" if delays else "",
        f"{status.gaps} gaps" if status.gaps else "",
        f"STALE {', '.join(status.stale)}" if status.stale else "",
        f"{status.faults} frames not decoded" if status.faults else "",
        f"{status.dropped_frames} frames DROPPED" if status.dropped_frames else "",
        f"DISK FULL, {status.unwritten_frames} frames not written" if status.is_disk_full else "",
    ]
    return "  ".join(part for part in said if part)
