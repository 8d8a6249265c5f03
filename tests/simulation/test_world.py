"""A world is its seed: what is drawn, what stands, and what each end knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.simulation.time import SECOND
from hlhft.simulation.world import World
from tests.simulation.worlds import engine_of, pass_until, world_of


def folder(path: Path, name: str) -> Path:
    made = path / name
    made.mkdir()
    return made


def test_the_same_seed_is_the_same_world_and_another_is_another(tmp_path: Path) -> None:
    seen = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        world = world_of(folder(tmp_path, name), seed=seed)
        world.time.run(5 * SECOND)
        seen.append((world.marks.tolist(), engine_of(world).orders(), world.judge.events, world.judge.actions))
    assert seen[0] == seen[1] != seen[2]


def test_one_process_of_a_kind_at_a_time(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    with pytest.raises(AssertionError, match="one at a time"):
        world.start_engine()
    with pytest.raises(AssertionError, match="one at a time"):
        world.start_watchdog()


def test_both_ends_agree_and_without_an_engine_nobody_does(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    pass_until(world, world.agrees)
    pass_until(world, lambda: world.agrees() and bool(engine_of(world).orders() - engine_of(world).resting()))
    process = engine_of(world)
    process._under_way_ns = 0
    assert process.resting() == process.orders() and not world.agrees(), "what should have come has not"
    world.kill_engine(loses=False)
    assert not world.agrees()
    assert world.judge.replays == 1


@pytest.mark.parametrize("loses", [True, False])
@pytest.mark.parametrize("label", ["engine", "watchdog"])
def test_requests_of_a_dead_process_come_unless_its_machine_is_dead_too(
    tmp_path: Path, label: str, loses: bool
) -> None:
    world = world_of(tmp_path)
    came: list[str] = []
    world.network.part()
    world.network.carry(label, lambda: came.append(label))
    if label == "engine":
        world.kill_engine(loses=loses)
    else:
        world.kill_watchdog(loses=loses)
    world.network.join()
    world.time.run(SECOND)
    assert came == ([] if loses else [label])


def test_what_is_under_way_to_a_dead_exchange_is_lost(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    came: list[str] = []
    world.network.carry("somebody", lambda: came.append("request"))
    world.kill_exchange()
    world.return_exchange()
    world.time.run(SECOND)
    assert not came


def test_beats_are_lost_as_often_as_is_said(tmp_path: Path) -> None:
    world = World(1, tmp_path)
    heard: list[bytes] = []
    world._hear = lambda message, carried_ns: heard.append(message)  # type: ignore[method-assign]
    world.beat_loss = 0.5
    for _ in range(1000):
        world.carry(b"beat")
    world.time.run(SECOND)
    assert 400 < len(heard) < 600
