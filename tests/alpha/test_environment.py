"""The environment of a learner: lanes on different paths, one after another, and nothing that a learner could game."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hlhft.alpha import action, observation
from hlhft.alpha.environment import PATHS_MIN, PolicyEnv
from hlhft.alpha.paths import Path, PathError
from tests.alpha import worlds

pytestmark = pytest.mark.alpha


def pool(count: int, seconds: float = 30.0) -> list[Path]:
    return [worlds.path(seed, seconds=seconds) for seed in range(count)]


def environment(paths: list[Path], lanes: int, seed: int = 1, **options: Any) -> PolicyEnv:
    return PolicyEnv(worlds.task(), paths, lanes=lanes, seed=seed, **options)


def test_spaces_are_those_of_the_observation_and_the_steered_actions() -> None:
    env = environment(pool(2), 2, steered=("gamma", "asymmetry"))
    assert env.observation_space.shape == (observation.SIZE,) and env.action_space.shape == (2,)
    seen = env.reset()
    assert seen.shape == (2, observation.SIZE) and seen.dtype == np.float32
    env.step_async(np.full((2, 2), 0.5, np.float32))
    env.step_wait()
    told = env.fleet.told(0)
    assert tuple(int(told[name][-1]) for name in ("price_ticks", "size_lots", "order_id", "aux1")) == (
        2_000_000, 1_000_000, 1_000_000, 250_000,
    )  # fmt: skip


def test_a_rollout_holds_as_many_different_paths_as_it_has_lanes() -> None:
    env = environment(pool(PATHS_MIN), PATHS_MIN)
    env.reset()
    assert len({path.name for path in env.fleet.paths if path is not None}) == PATHS_MIN


def test_a_lane_goes_on_with_another_path_when_one_is_at_its_end() -> None:
    env = environment(pool(4), 1)
    env.reset()
    names, steps, ended = [env.fleet.paths[0].name], 0, []
    for _ in range(60):
        env.step_async(np.zeros((1, action.SIZE)))
        seen, rewards, dones, infos = env.step_wait()
        steps += 1
        assert np.isfinite(rewards).all() and np.isfinite(seen).all()
        if dones[0]:
            names.append(env.fleet.paths[0].name)
            ended.append((infos[0]["episode"]["l"], steps))
            assert infos[0]["terminal_observation"].shape == (observation.SIZE,)
            steps = 0
    assert len(names) >= 4 and set(names[:4]) == {f"simulated-{seed}" for seed in range(4)}
    assert all(length == count for length, count in ended)
    assert ended[0][0] <= 20 and [length for length, _ in ended[1:]] == [20] * (len(ended) - 1)


def test_the_same_seed_gives_the_same_rollout() -> None:
    found = []
    for seed in (1, 1, 2):
        env, total = environment(pool(6), 3, seed=seed), []
        env.reset()
        for _ in range(25):
            env.step_async(np.full((3, action.SIZE), 0.3))
            total.append(env.step_wait()[1])
        found.append(np.concatenate(total).tobytes())
    assert found[0] == found[1] != found[2]


def test_what_is_held_at_the_end_is_not_sold_for_nothing() -> None:
    """The last step of an episode pays for closing, and no other does."""
    env = PolicyEnv(worlds.task(close_bp=10.0), pool(8), lanes=8, seed=1)
    env.reset()
    paid = 0
    for _ in range(25):
        env.step_async(np.zeros((8, action.SIZE)))
        _, _, dones, _ = env.step_wait()
        outcomes = env.fleet.outcomes
        np.testing.assert_allclose(outcomes["closing"], np.where(dones, 10.0 * np.abs(outcomes["inventory"]), 0.0))
        paid += int((outcomes["closing"] > 0.0).sum())
    assert paid > 0


def test_what_makes_no_environment_is_refused() -> None:
    with pytest.raises(PathError, match="actions are some of gamma, signal_weight, spread, asymmetry, not speed"):
        environment(pool(1), 1, steered=("speed",))
    with pytest.raises(PathError, match="not none"):
        environment(pool(1), 1, steered=())
    with pytest.raises(PathError, match="at least one path"):
        environment([], 1)
    with pytest.raises(AttributeError, match="no attribute x"):
        environment(pool(1), 1).set_attr("x", 1)
    with pytest.raises(AttributeError, match="no method x"):
        environment(pool(1), 1).env_method("x")
