"""The disk's side: hours that turn, silence, and disks that are full, really or nearly."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.data.catalogue.manifest import Gap, Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.recorder import disk as disk_module
from hlhft.data.recorder.disk import LATE_NS, LOOK_NS, RETRY_NS, SYNC_NS, Disk, DiskSettings
from hlhft.data.recorder.hours import HOUR_NS, unfinished
from hlhft.data.recorder.marks import Down, encoded
from hlhft.data.recorder.queue import LineQueue
from hlhft.data.recorder.raw import lines_of
from hlhft.data.recorder.rebuild import rebuild
from tests.data.recorder.making import BTC, ETH, HOUR, MS, START_NS, URL, S, bbo, book, context, rows_of, trades

DELAY_NS = 300 * MS


class Bench:
    """A disk and two clocks that the test moves."""

    def __init__(self, folder: Path, *, has_raw: bool = True, free_bytes_min: int = 0) -> None:
        self.root, self.raw = folder / "catalogue", folder / "raw"
        self.said: list[str] = []
        self.monotonic_ns = 0
        self.settings = DiskSettings(
            catalogue=self.root, raw=self.raw if has_raw else None, url=URL, markets=(BTC, ETH),
            free_bytes_min=free_bytes_min,
        )  # fmt: skip
        self.disk = Disk(self.settings, self.said.append)
        self.disk.start()

    def block(self, time_ns: int, *texts: bytes) -> None:
        """Frames of a block of that time."""
        for text in texts or (bbo(time_ns // MS), trades((time_ns // MS, time_ns // MS)), book(time_ns // MS)):
            self.disk.line((time_ns + DELAY_NS, text))

    def tick(self, later_ns: int = 0, *, idle_ns: int = 0) -> None:
        self.monotonic_ns += later_ns
        self.disk.tick(idle_ns, self.monotonic_ns)

    def manifests(self, kind: str = "bbo") -> list[Manifest]:
        return Catalogue(self.root).manifests(kinds=[kind])

    def times(self, kind: str = "bbo") -> list[int]:
        """Exchange times of all rows, each once a frame."""
        found = [rows_of(self.root, manifest)["ts_exch_ns"][::2] for manifest in self.manifests(kind)]
        return [int(time_ns) for times in found for time_ns in times]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """What the disk says is free; nothing: what it really says."""
    told: dict[str, int] = {}
    real = disk_module._free_bytes
    monkeypatch.setattr(disk_module, "_free_bytes", lambda folder: told.get("bytes", real(folder)))
    yield told


def test_hours_turn_by_the_local_clock_and_meet_without_a_gap(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = [START_NS + step * 600 * S for step in range(20)]
    for time_ns in sent:
        bench.block(time_ns)
        bench.tick(S)
    bench.disk.stop()
    names = [manifest.name for manifest in bench.manifests()]
    assert names == [f"recorder-{hour:02}-081000" for hour in (8, 9, 10, 11)]
    assert bench.times() == sent
    for kind in ("bbo", "trade", "book"):
        manifests = bench.manifests(kind)
        assert all(manifest.gaps == () for manifest in manifests)
        assert all(one.covers[1] == other.covers[0] for one, other in pairwise(manifests))
    files = sorted(path.name for path in bench.raw.rglob("*.lz4"))
    assert files == [f"{hour:02}-081000.log.lz4" for hour in (8, 9, 10, 11)]
    assert bench.disk.parts == 12 and bench.disk.raw_bytes == sum(
        path.stat().st_size for path in bench.raw.rglob("*.lz4")
    )


def test_a_line_of_the_next_hour_is_in_the_next_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    end_ns = (HOUR + 1) * HOUR_NS
    for local_ns in (end_ns - 1, end_ns):
        bench.disk.line((local_ns, bbo((local_ns - DELAY_NS) // MS)))
    bench.disk.stop()
    assert [manifest.rows for manifest in bench.manifests()] == [2, 2]
    first, second = sorted(bench.raw.rglob("*.lz4"))
    assert [at for at, _ in lines_of(first)][1:] == [end_ns - 1]
    assert [at for at, _ in lines_of(second)][1:] == [end_ns]


def test_an_hour_ends_though_nothing_comes_any_more(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.block(START_NS)
    end_ns = (HOUR + 1) * HOUR_NS
    bench.tick(S, idle_ns=end_ns + LATE_NS - 1)
    assert bench.manifests() == []
    bench.tick(S, idle_ns=end_ns + LATE_NS)
    assert len(bench.manifests()) == 1 and unfinished(bench.raw) == []
    bench.block(START_NS + 5 * HOUR_NS)
    bench.disk.stop()
    assert [manifest.name[:11] for manifest in bench.manifests()] == ["recorder-08", "recorder-13"]


def test_what_was_recorded_is_what_a_rebuild_of_each_hour_makes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for step in range(40):
        time_ns = START_NS + step * 300 * S
        told_again = ((time_ns - 300 * S) // MS, step)  # also over the hour, and after an outage
        told = trades(told_again, (time_ns // MS, step + 1))
        bench.block(time_ns, bbo(time_ns // MS), told, context(), book(time_ns // MS, "ETH"))
        if step % 9 == 4:
            bench.disk.line((time_ns + DELAY_NS, encoded(Down(reason="1006"))))
    bench.disk.stop()
    whole = [(one.key, one.content_hash, one.covers, one.gaps, one.counts) for one in Catalogue(bench.root).manifests()]
    for path in bench.raw.rglob("*.lz4"):
        path.rename(path.with_name(f".{path.name}.writing"))
    rebuild(tmp_path / "again", bench.raw, lambda sentence: None)
    again = [
        (one.key, one.content_hash, one.covers, one.gaps, one.counts)
        for one in Catalogue(tmp_path / "again").manifests()
    ]
    assert again == whole and len({key.name for key, *_ in whole}) == 4
    ids = np.concatenate([rows_of(bench.root, manifest)["order_id"] for manifest in bench.manifests("trade")])
    assert ids.tolist() == list(range(41)), "each once, and the first from before the first block"
    assert all(manifest.gaps == () for manifest in bench.manifests("trade")), "all trades since an outage were told"
    assert sum(len(manifest.gaps) for manifest in bench.manifests()) == 4


def test_a_kill_loses_at_most_what_was_not_flushed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.block(START_NS)
    bench.tick(S)
    bench.block(START_NS + S)
    # Dropped here, as a kill drops it: only what is on the disk is left.
    after = Bench(tmp_path)
    assert after.times() == [START_NS] and "completed" in after.said[0]
    after.block(START_NS + 60 * S)
    after.disk.stop()
    assert after.times() == [START_NS, START_NS + 60 * S]
    assert len({manifest.name for manifest in after.manifests()}) == 2


def test_a_clock_that_was_set_back_begins_a_session_of_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.block(START_NS)
    for number in range(2):
        time_ns = START_NS + (60 + number) * S
        bench.disk.line((START_NS - 1800 * S + number, bbo(time_ns // MS)))
    bench.disk.stop()
    one, other = sorted(bench.manifests(), key=lambda manifest: manifest.covers)
    assert (one.name, other.name) == ("recorder-08-081000", "recorder-07-074000")
    assert one.covers[1] == other.covers[0] and other.rows == 4 and other.gaps == ()
    assert other.first_local_ns < other.last_local_ns < one.first_local_ns


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path) -> None:
    for has_raw in (True, False, True):
        bench = Bench(tmp_path, has_raw=has_raw)
        bench.block(START_NS)
        bench.disk.stop()
    assert [manifest.name for manifest in bench.manifests()] == [f"recorder-08-08100{second}" for second in range(3)]


def test_synced_every_few_seconds(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.tick(SYNC_NS)
    bench.block(START_NS)
    bench.tick(S)
    raw = bench.disk._raw
    assert raw is not None and raw.is_synced, "the first time at once"
    bench.block(START_NS + S)
    bench.tick(S)
    assert raw.bytes_written > 0 and not raw.is_synced
    bench.tick(SYNC_NS)
    assert raw.is_synced
    bench.disk.stop()


def test_little_room_ends_the_hour_and_more_begins_another(tmp_path: Path, free: dict[str, int]) -> None:
    bench = Bench(tmp_path, free_bytes_min=1000)
    bench.block(START_NS)
    free["bytes"] = 999
    bench.tick(LOOK_NS)
    assert bench.disk.is_full and len(bench.manifests()) == 1 and unfinished(bench.raw) == []
    assert "nothing is recorded until there is room" in bench.said[-1]
    bench.block(START_NS + 5 * S)
    free["bytes"] = 1049
    bench.tick(RETRY_NS)
    assert bench.disk.is_full, "a twentieth more than the minimum is wanted"
    free["bytes"] = 1050
    bench.tick(RETRY_NS)
    assert not bench.disk.is_full and bench.disk.unwritten_frames == 3
    bench.block(START_NS + 60 * S)
    bench.disk.stop()
    first, second = bench.manifests()
    assert first.covers[1] == second.covers[0] == START_NS + 1
    assert second.gaps == (Gap(START_NS + 1, START_NS + 60 * S, "disk-full"),)
    assert bench.times() == [START_NS, START_NS + 60 * S]


def test_a_start_without_room_waits_for_it(tmp_path: Path, free: dict[str, int]) -> None:
    free["bytes"] = 10
    bench = Bench(tmp_path, free_bytes_min=1000)
    bench.block(START_NS)
    assert bench.disk.is_full and not bench.raw.exists()
    free["bytes"] = 2000
    bench.tick(RETRY_NS)
    bench.block(START_NS + S)
    bench.disk.stop()
    assert bench.times() == [START_NS + S]


def test_a_disk_that_cannot_be_looked_at_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(folder: Path) -> int:
        raise OSError(5, "Input/output error", str(folder))

    bench = Bench(tmp_path, free_bytes_min=1)
    monkeypatch.setattr(disk_module, "_free_bytes", gone)
    bench.tick(LOOK_NS)
    bench.tick(LOOK_NS)
    assert bench.disk.is_full and "Input/output error" in bench.said[0] and len(bench.said) == 2


@pytest.mark.parametrize("has_raw", [True, False])
def test_a_folder_that_is_in_the_way_is_tried_again_until_it_is_not(tmp_path: Path, has_raw: bool) -> None:
    bench = Bench(tmp_path, has_raw=has_raw)
    bench.block(START_NS)
    bench.tick(S)
    bench.root.touch()
    bench.block(START_NS + HOUR_NS)
    assert bench.disk.is_full and "tried again" in bench.said[0]
    bench.tick(RETRY_NS)
    bench.block(START_NS + HOUR_NS + 20 * S)
    assert bench.disk.is_full is has_raw, "the raw file's parts cannot be made yet"
    bench.root.unlink()
    bench.tick(RETRY_NS)
    bench.tick(RETRY_NS)
    assert not bench.disk.is_full
    last_ns = START_NS + HOUR_NS + 40 * S
    bench.block(last_ns)
    bench.disk.stop()
    assert bench.times() == ([START_NS, last_ns] if has_raw else [START_NS + HOUR_NS + 20 * S, last_ns])
    if has_raw:
        assert bench.manifests()[-1].gaps == (Gap(START_NS + 1, last_ns, "disk-full"),)


def test_the_queue_is_written_until_it_is_closed(tmp_path: Path) -> None:
    bench, queue = Bench(tmp_path), LineQueue()
    for step in range(3):
        queue.put(START_NS + step * S + DELAY_NS, bbo(START_NS // MS + 1000 * step))
    queue.close(START_NS + 9 * S)
    bench.disk.run(queue, wall_ns=lambda: START_NS + 9 * S, monotonic_ns=lambda: 10**12)
    assert bench.times() == [START_NS + step * S for step in range(3)]
    assert (bench.disk.events, bench.disk.faults, bench.disk.gaps) == (6, 0, 0)
    assert bench.disk.latencies["bbo"].count == 3


# A process whose files may not grow beyond a bound: every write past it fails in fact, in the middle of a block.
BOUNDED = """
import json, sys
from pathlib import Path
from tests.data.recorder.test_disk import bounded
print(json.dumps(bounded(Path(sys.argv[1]))))
"""


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def bounded(folder: Path) -> dict[str, Any]:
    """Records until no file may grow any more, and goes on once they may again."""
    bench = Bench(folder)
    sent: list[int] = []

    def send(count: int) -> None:
        for _ in range(count):
            time_ns = START_NS + len(sent) * 75 * MS
            sent.append(time_ns)
            bench.block(time_ns, bbo(time_ns // MS, best=60_000 + len(sent) % 7), trades((time_ns // MS, len(sent))))
            bench.tick(75 * MS)

    send(40)
    raw = bench.disk._raw
    assert raw is not None and raw.bytes_written > 1000
    limit_files(raw.bytes_written + 300)
    while not bench.disk.is_full:
        send(10)
    limit_files(1000)  # less than a part needs
    bench.tick(RETRY_NS)
    is_still_full = bench.disk.is_full
    limit_files(resource.RLIM_INFINITY)
    bench.tick(RETRY_NS)
    resumed_at = len(sent)
    send(40)
    bench.disk.stop()
    return {
        "said": bench.said, "sent": sent, "resumed_at": resumed_at, "is_still_full": is_still_full,
        "times": bench.times(), "left": [str(path) for path in folder.rglob("*") if "writing" in path.name],
        "gaps": [[[gap.from_ns, gap.to_ns, gap.reason] for gap in one.gaps] for one in bench.manifests()],
    }  # fmt: skip


def test_a_disk_that_takes_no_more_in_fact(tmp_path: Path) -> None:
    line = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    sent, times = told["sent"], told["times"]
    assert "File too large" in told["said"][0] and told["is_still_full"]
    kept = [time_ns for time_ns in times if time_ns < sent[told["resumed_at"]]]
    assert kept == sent[: len(kept)] and len(kept) >= 20, "all up to the last whole block, and nothing else"
    assert times[len(kept) :] == sent[told["resumed_at"] :]
    before, after = told["gaps"]
    assert before == [] and after == [[kept[-1] + 1, sent[told["resumed_at"]], "disk-full"]]
    assert told["left"] == []
