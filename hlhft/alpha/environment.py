"""The environment of a learner: Stable-Baselines3's `VecEnv` over a fleet of replays (hlhft.alpha.fleet).

Each lane plays one path after another out of a pool, in an order of its own that the seed decides, so that a rollout
holds as many different paths as it has lanes. Episodes are staggered at the start: they do not all end together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from hlhft.alpha import action, observation
from hlhft.alpha.fleet import Fleet, Task
from hlhft.alpha.paths import Path, PathError

PATHS_MIN = 64  # different ones that a rollout is to hold


class PolicyEnv(VecEnv):
    """`lanes` lanes over a pool of paths; observations float32[lanes, O], actions float32[lanes, len(steered)]."""

    def __init__(
        self,
        task: Task,
        paths: Sequence[Path],
        *,
        lanes: int,
        seed: int,
        steered: Sequence[str] = action.NAMES,
        threads: int = 1,
    ) -> None:
        """`steered` are the actions that the learner has, in its order; the others stay 0.

        Raises PathError for no paths, an unknown action, and a path too short for one decision.
        """
        unknown = [name for name in steered if name not in action.NAMES]
        if unknown or not steered:
            raise PathError(f"actions are some of {', '.join(action.NAMES)}, not {', '.join(unknown) or 'none'}")
        if not paths:
            raise PathError("a policy needs at least one path to learn from")
        self.fleet = Fleet(task, lanes, threads=threads)
        self.task = task
        self._paths = list(paths)
        self._random = np.random.default_rng(seed)
        self._columns = [action.NAMES.index(name) for name in steered]
        self._actions = np.zeros((lanes, action.SIZE), np.float32)
        self._order = np.zeros(0, np.int64)
        self._earned = np.zeros(lanes)
        self._lengths = np.zeros(lanes, np.int64)
        self.steps = 0
        super().__init__(
            lanes,
            gymnasium.spaces.Box(-observation.LIMIT, observation.LIMIT, (observation.SIZE,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (len(steered),), np.float32),
        )

    def _next_path(self) -> Path:
        """Every path of the pool once, in a new order each time."""
        if len(self._order) == 0:
            self._order = self._random.permutation(len(self._paths))
        number, self._order = int(self._order[0]), self._order[1:]
        return self._paths[number]

    def reset(self) -> np.ndarray:
        """Gives every lane a path of its own; the first observations."""
        for lane in range(self.num_envs):
            self.fleet.assign(lane, self._next_path())
        episodes = self.fleet.episodes
        spans = (episodes["end_ns"] - episodes["now_ns"]) // self.fleet.record["interval_ns"][0]
        lengths = np.ceil(spans * self._random.random(self.num_envs)).astype(np.int64)
        episodes["end_ns"] = episodes["now_ns"] + np.maximum(lengths, 1) * self.fleet.record["interval_ns"][0]
        self.fleet.begin(np.ones(self.num_envs, bool))
        self._earned[:] = 0.0
        self._lengths[:] = 0
        return self.fleet.observations.copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Notes the actions, float[lanes, len(steered)]; what is outside -1..1 counts as the bound."""
        self._actions[:, self._columns] = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One decision of every lane. A lane whose path is at its end begins another at once."""
        self.fleet.step(self._actions)
        rewards = self.fleet.outcomes["reward"].astype(np.float32)
        dones = self.fleet.outcomes["done"] != 0
        self._earned += rewards
        self._lengths += 1
        self.steps += self.num_envs
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if dones.any():
            for lane in np.flatnonzero(dones):
                infos[lane]["episode"] = {"r": float(self._earned[lane]), "l": int(self._lengths[lane]), "t": 0.0}
                infos[lane]["terminal_observation"] = self.fleet.observations[lane].copy()
                self.fleet.assign(int(lane), self._next_path())
            self.fleet.begin(dones)
            self._earned[dones] = 0.0
            self._lengths[dones] = 0
        return self.fleet.observations.copy(), rewards, dones, infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of this object, once a lane: lanes have none of their own."""
        return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Raises AttributeError: lanes have no attributes of their own."""
        raise AttributeError(f"lanes have no attribute {attr_name} of their own")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **options: Any) -> list[Any]:
        """Raises AttributeError: lanes have no methods of their own."""
        raise AttributeError(f"lanes have no method {method_name} of their own")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No lane is wrapped."""
        return [False for _ in self._get_indices(indices)]
