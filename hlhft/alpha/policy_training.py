"""From paths to a policy folder: tune the closed form, train from several seeds, choose by held-out utility, and judge.

The order is what makes the judgement mean something. eta, the price of risk, is fixed before anything is tuned. The
closed form is tuned first, on common random numbers, with as many environment steps as one seed of the learner gets;
the learner starts from it, because an action of zeros is the closed form. Checkpoints are chosen by their utility on
paths that nothing was learned from, the closed form itself among the candidates; what was chosen is judged once, on
paths of parameters that nothing was chosen on, pair by pair against the closed form on the same paths.

Stable-Baselines3's PPO with the settings of `Schedule`; more steps do not always help, so the best checkpoint counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

from hlhft.alpha import action
from hlhft.alpha.environment import PolicyEnv
from hlhft.alpha.fleet import Score, Task, evaluate
from hlhft.alpha.paths import Path, PathError
from hlhft.alpha.policy import NORMALISED_MAX, Weights
from hlhft.alpha.policy_card import Mean
from hlhft.alpha.policy_evaluation import acting, interval

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a policy is trained. Defaults are those of the design, for a pool of many lanes."""

    steps: int = 2_000_000  # of each seed, and of tuning the closed form
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    lanes: int = 256
    rollout: int = 128  # decisions of a lane before each update
    batch: int = 16_384
    epochs: int = 4
    learning_rate: float = 3e-4
    discount: float = 0.998
    trace: float = 0.95  # lambda of the advantage estimate
    target_kl: float = 0.02
    hidden: tuple[int, ...] = (64, 64)
    exploration: float = -1.0  # ln of the standard deviation that actions begin with
    checkpoints: int = 8
    steered: tuple[str, ...] = action.NAMES
    threads: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.seeds or self.lanes < 1 or self.rollout < 2 or self.checkpoints < 1:
            raise PathError("a schedule needs steps, seeds, lanes, checkpoints and a rollout of two decisions at least")


@dataclass(frozen=True)
class Tuned:
    """A closed form tuned on paths: its parameters, utility a second, and every candidate that was tried."""

    params: Mapping[str, float]
    utility: float
    tried: Sequence[tuple[Mapping[str, float], float]]
    steps: int


def tune(
    task: Task,
    paths: Sequence[Path],
    ranges: Mapping[str, tuple[float, float]],
    *,
    steps: int,
    seed: int = 1,
    threads: int = 1,
    progress: Progress | None = None,
) -> Tuned:
    """The best of the strategy's parameters within `ranges` (log-uniform where the lowest is above 0), by mean utility.

    All candidates meet the same paths. A third of the budget of environment steps is drawn at large, the rest ever
    nearer to the best so far; the parameters of `task` are the first candidate. Raises PathError for paths too short.
    """
    random = np.random.default_rng((seed, 3))
    cost = sum(task.decisions(path) for path in paths)
    count = max(steps // max(cost, 1), 1)
    base = {
        name: float(task.settings.params.get(name, task.settings.strategy.parameters[name].default)) for name in ranges
    }
    best, best_utility = dict(base), -math.inf
    tried: list[tuple[Mapping[str, float], float]] = []
    wide = max(count // 3, 1)
    for number in range(count):
        chosen = dict(base)
        if number > 0:
            reach = None if number < wide else 0.5 * (1.0 - (number - wide) / max(count - wide, 1)) + 0.02
            chosen = {name: _drawn(random, span, best[name], reach) for name, span in ranges.items()}
        params = {**task.settings.params, **chosen}
        utility = float(evaluate(task, paths, params=params, threads=threads).utility.mean())
        tried.append((chosen, utility))
        if utility > best_utility:
            best, best_utility = chosen, utility
        if progress is not None:
            progress("tuning the closed form", number + 1, count)
    return Tuned(best, best_utility, tried, count * cost)


def _drawn(random: np.random.Generator, span: tuple[float, float], middle: float, reach: float | None) -> float:
    """A value of the range: anywhere, or within the share `reach` of it around `middle`."""
    low, high = span
    is_log = low > 0.0
    first, last = (math.log(low), math.log(high)) if is_log else (low, high)
    if reach is not None:
        centre = math.log(min(max(middle, low), high)) if is_log else middle
        width = reach * (last - first)
        first, last = max(first, centre - width), min(last, centre + width)
    value = float(random.uniform(first, last))
    return math.exp(value) if is_log else value


def weights_of(model: PPO, statistics: VecNormalize, steered: Sequence[str]) -> Weights:
    """What a learner would do now, without its exploration."""
    moments = statistics.obs_rms
    layers = []
    modules = [*model.policy.mlp_extractor.policy_net, model.policy.action_net]
    for module in modules:
        if isinstance(module, torch.nn.Linear):
            layers.append((module.weight.detach().numpy().copy(), module.bias.detach().numpy().copy()))
    return Weights(
        mean=moments.mean.astype(np.float32),
        scale=np.sqrt(moments.var + statistics.epsilon).astype(np.float32),
        layers=tuple(layers),
        columns=tuple(action.NAMES.index(name) for name in steered),
    )


@dataclass(frozen=True)
class Checkpoint:
    """A learner after some steps: its utility on held-out paths against the closed form's on the same."""

    steps: int
    gain: float  # mean of the paired differences, utility a second
    weights: Weights | None  # None: the closed form


@dataclass(frozen=True)
class Trained:
    """One seed: its checkpoints in order, the closed form first, and the best of them."""

    seed: int
    checkpoints: Sequence[Checkpoint]
    best: Checkpoint
    statistics: Mapping[str, list[float]]  # of VecNormalize


class _Watch(BaseCallback):
    """Evaluates the learner on held-out paths between rollouts, at most `checkpoints` times."""

    def __init__(
        self, task: Task, held: Sequence[Path], schedule: Schedule, statistics: VecNormalize, progress: Progress | None
    ) -> None:
        super().__init__()
        self.task, self.held, self.schedule, self.statistics = task, held, schedule, statistics
        self.progress = progress
        self.base = evaluate(task, held, threads=schedule.threads).utility
        self.found = [Checkpoint(0, 0.0, None)]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._note(final=False)

    def _on_training_end(self) -> None:
        self._note(final=True)

    def _note(self, *, final: bool) -> None:
        steps = self.num_timesteps
        if self.progress is not None:
            self.progress("training", min(steps, self.schedule.steps), self.schedule.steps)
        due = len(self.found) * self.schedule.steps // self.schedule.checkpoints
        if not final and steps < due:
            return
        weights = weights_of(self.model, self.statistics, self.schedule.steered)
        score = evaluate(self.task, self.held, acting(weights), threads=self.schedule.threads)
        self.found.append(Checkpoint(steps, float((score.utility - self.base).mean()), weights))


def train(
    task: Task,
    paths: Sequence[Path],
    held: Sequence[Path],
    schedule: Schedule,
    seed: int,
    progress: Progress | None = None,
) -> Trained:
    """One seed of PPO on `paths`, its checkpoints valued on `held`, which it never learns from.

    The same arguments give the same result on one machine. Raises PathError as the environment does.
    """
    torch.set_num_threads(schedule.threads)
    environment = PolicyEnv(
        task, paths, lanes=schedule.lanes, seed=seed, steered=schedule.steered, threads=schedule.threads
    )
    statistics = VecNormalize(environment, clip_obs=NORMALISED_MAX, gamma=schedule.discount)
    model = PPO(
        "MlpPolicy",
        statistics,
        n_steps=schedule.rollout,
        batch_size=min(schedule.batch, schedule.lanes * schedule.rollout),
        n_epochs=schedule.epochs,
        learning_rate=schedule.learning_rate,
        gamma=schedule.discount,
        gae_lambda=schedule.trace,
        target_kl=schedule.target_kl,
        seed=seed,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": list(schedule.hidden), "vf": list(schedule.hidden)},
            "activation_fn": torch.nn.Tanh,
            "log_std_init": schedule.exploration,
        },
    )
    watch = _Watch(task, held, schedule, statistics, progress)
    model.learn(schedule.steps, callback=watch)
    best = max(watch.found, key=lambda one: one.gain)
    moments = statistics.obs_rms
    return Trained(seed, watch.found, best, {"mean": moments.mean.tolist(), "variance": moments.var.tolist()})


@dataclass(frozen=True)
class Judged:
    """A policy against the closed form on the same test paths."""

    policy: Score
    base: Score

    @property
    def gain(self) -> Mean:
        """Of utility a second, pair by pair."""
        return interval(self.policy.utility - self.base.utility)

    @property
    def drawdown_ratio(self) -> float:
        """The policy's mean deepest drawdown over the closed form's."""
        return float(self.policy.drawdown.mean() / max(self.base.drawdown.mean(), 1e-12))

    def tail(self, share: float = 0.05) -> tuple[float, float]:
        """Mean profit of the worst paths, `share` of them, of the policy and of the closed form (CVaR)."""
        count = max(math.ceil(share * len(self.base.profit)), 1)
        worst, base = (float(np.sort(score.profit)[:count].mean()) for score in (self.policy, self.base))
        return worst, base


def judge(task: Task, paths: Sequence[Path], weights: Weights | None, *, threads: int = 1) -> Judged:
    """The policy of these weights, None for the closed form, and the closed form on `paths`."""
    base = evaluate(task, paths, threads=threads)
    policy = base if weights is None else evaluate(task, paths, acting(weights), threads=threads)
    return Judged(policy, base)


def tuned_task(task: Task, tuned: Tuned) -> Task:
    """The task with the closed form as it was tuned."""
    return replace(task, settings=replace(task.settings, params={**task.settings.params, **tuned.params}))
