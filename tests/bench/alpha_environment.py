"""The environment of a policy: core events and decisions a second, and the learner alone on an environment that does
nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from hlhft.alpha import action, observation
from hlhft.alpha.environment import PATHS_MIN, PolicyEnv
from hlhft.alpha.fleet import Task
from hlhft.alpha.paths import Path as MarketPath
from hlhft.alpha.paths import simulated
from hlhft.alpha.policy_evaluation import TRAINING
from hlhft.backtest.session import Settings
from hlhft.strategies import load
from tests.bench.figures import Figure

SECTION = "environment"
LANES = 256
STUB_LANES = 1024


class Stub(VecEnv):
    """An environment whose steps cost nothing: observations are drawn once, rewards are the first action."""

    def __init__(self, lanes: int) -> None:
        super().__init__(
            lanes,
            gymnasium.spaces.Box(-observation.LIMIT, observation.LIMIT, (observation.SIZE,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (action.SIZE,), np.float32),
        )
        self._seen = np.random.default_rng(1).standard_normal((lanes, observation.SIZE)).astype(np.float32)
        self._dones = np.zeros(lanes, bool)
        self._infos: list[dict[str, Any]] = [{} for _ in range(lanes)]
        self._rewards = np.zeros(lanes, np.float32)

    def reset(self) -> np.ndarray:
        return self._seen

    def step_async(self, actions: np.ndarray) -> None:
        self._rewards = actions[:, 0].astype(np.float32)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        return self._seen, self._rewards, self._dones, self._infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **options: Any) -> list[Any]:
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


def pace(paths: list[MarketPath], decision_s: float, *, seconds: float, threads: int) -> tuple[float, float, int]:
    """Decisions and core events a second, over all lanes, and different paths in the first rollout.

    A core event is a row that the venue's side walked; each also reaches ours. The strategy quotes with blocks of
    latency and fees, as a backtest does.
    """
    settings = Settings(strategy=load("glft"), params={"gamma": 0.5}, latency="blocks", fees="1.5,4.5")
    env = PolicyEnv(Task(settings=settings, decision_s=decision_s), paths, lanes=LANES, seed=1, threads=threads)
    env.reset()
    different = len({path.name for path in env.fleet.paths if path is not None})
    random = np.random.default_rng(1)
    actions = random.uniform(-1.0, 1.0, (16, LANES, action.SIZE)).astype(np.float32)
    env.step_async(actions[0])
    env.step_wait()
    steps, events, begun = 0, 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        before = env.fleet.episodes["rows"].copy()
        env.step_async(actions[steps % 16])
        env.step_wait()
        events += int(np.maximum(env.fleet.episodes["rows"] - before, 0).sum())  # a lane that began anew counts less
        steps += 1
    elapsed = time.perf_counter() - begun
    return steps * LANES / elapsed, events / elapsed, different


def learner(*, rollouts: int, threads: int) -> float:
    """Steps a second of PPO on the stub: rollouts of 32 by 1,024, batches of a whole rollout, two epochs."""
    torch.set_num_threads(threads)
    steps = 32
    model = PPO(
        "MlpPolicy", Stub(STUB_LANES), n_steps=steps, batch_size=steps * STUB_LANES, n_epochs=2, seed=1, device="cpu",
        policy_kwargs={"net_arch": [64, 64], "activation_fn": torch.nn.Tanh},
    )  # fmt: skip
    model.learn(steps * STUB_LANES)
    begun = time.perf_counter()
    model.learn(rollouts * steps * STUB_LANES)
    return rollouts * steps * STUB_LANES / (time.perf_counter() - begun)


def environment(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section's figures."""
    threads = 1 if short else 2
    paths = simulated(TRAINING, range(LANES if not short else PATHS_MIN))
    seconds = 1.0 if short else 10.0
    figures = []
    for decision_s in (1.0, 5.0):
        steps, events, different = pace(paths, decision_s, seconds=seconds, threads=threads)
        figures.append(Figure(SECTION, f"decisions of {decision_s:g} s, {LANES} lanes", steps, "steps/s"))
        figures.append(Figure(SECTION, f"core events, decisions of {decision_s:g} s", events, "events/s"))
    figures.append(Figure(SECTION, "different paths in a rollout", float(different), "paths", minimum=float(PATHS_MIN)))
    alone = learner(rollouts=1 if short else 6, threads=threads)
    figures.append(
        Figure(SECTION, f"learner alone, {STUB_LANES} lanes", alone, "steps/s", minimum=100_000.0, gate=10_000.0)
    )
    return figures
