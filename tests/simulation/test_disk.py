"""What is written soon is written later, or never; of what was not flushed a power cut tears some."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

import pytest

from hlhft.live.journal.segments import JournalFull, Name
from hlhft.live.keeper import WAITING_MAX
from hlhft.live.replay import replay
from hlhft.simulation.disk import FULL, Disk
from hlhft.simulation.host import Host, Wall
from hlhft.simulation.time import SECOND, Time
from tests.simulation.worlds import engine_of, pass_until, world_of


def made() -> tuple[Time, Disk]:
    time = Time()
    return time, Disk(Host(time, Wall(time)), Random(1))


def test_work_is_done_in_order_and_told() -> None:
    time, disk = made()
    happened: list[object] = []
    for number in range(20):
        disk.later(partial(happened.append, number), happened.append)
    assert not happened
    assert disk.now(lambda: happened.append("now")) == ""
    assert happened == [*range(20), "now"]
    time.run(SECOND)
    assert happened == [*range(20), "now", *[""] * 20]


def test_a_full_disk_refuses_and_says_so(tmp_path: Path) -> None:
    time, disk = made()
    told: list[str] = []
    disk.is_full = True
    disk.later(lambda: told.append("written"), told.append)
    time.run(SECOND)
    assert told == [FULL] == [disk.now(lambda: told.append("written"))] and disk.failures == 2
    with pytest.raises(JournalFull, match="there is no room"):
        disk.segment(tmp_path, Name(1, 0), 1 << 20)
    disk.is_full = False
    disk.segment(tmp_path, Name(1, 0), 1 << 20)


def test_a_disk_that_does_not_keep_up_says_so() -> None:
    time, disk = made()
    told: list[str] = []
    disk.sync_ns = 10 * SECOND
    for _ in range(WAITING_MAX + 1):
        disk.later(lambda: None, told.append)
    time.run(1)
    assert told == ["the disk does not keep up"]
    time.run(20 * SECOND)
    assert told[1:] == [""] * WAITING_MAX


def test_what_waits_when_the_process_is_killed_is_never_written() -> None:
    time, disk = made()
    written: list[int] = []
    disk.later(lambda: written.append(1))
    disk.drop()
    time.run(SECOND)
    assert not written


def test_a_journal_after_a_power_cut_is_whole_up_to_its_last_flush(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = world_of(folder, seed=seed)
        world.time.run(2 * SECOND + 50_000_000)
        process = engine_of(world)
        synced = process.journal.synced_sequence
        assert synced > 0
        world.cut_power()
        found = replay(process.journal_folder, process.session)
        assert found.is_equal, found.difference
        world.start_engine()
        pass_until(world, lambda world=world: engine_of(world).is_trading)  # type: ignore[misc]
        assert engine_of(world).session == process.session + 1
