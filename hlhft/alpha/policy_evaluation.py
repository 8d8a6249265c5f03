"""What a loaded policy comes to against the closed form that it steers. Needs nothing of the extra `alpha`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from hlhft.alpha.fleet import Fleet, Score, Task, evaluate
from hlhft.alpha.fleet import Policy as PathPolicy
from hlhft.alpha.paths import Path, PathError, Ranges, World, recorded
from hlhft.alpha.policy import Policy, PolicyRecord, Steered, Weights
from hlhft.alpha.policy_card import DAY_S, Mean
from hlhft.backtest.session import Settings
from hlhft.backtest.signals import TrackMeta
from hlhft.data.sources import Source
from hlhft.report.bootstrap import student_quantile
from hlhft.report.numbers import counted, plain, signed
from hlhft.report.origins import STAMP
from hlhft.strategies import load

# Worlds that a policy learns from, and those of other parameters that it is chosen and judged on.
TRAINING = Ranges(
    base=World(sigma_bp=0.5, sigma_high_bp=2.0, drift_bp=0.1, signal_noise=0.5, feed_ms=50.0),
    fields={
        "sigma_bp": (0.3, 1.0), "sigma_high_bp": (1.2, 2.5), "dwell_s": (30.0, 120.0), "intensity_a": (0.5, 2.0),
        "intensity_k": (0.5, 1.0), "drift_bp": (0.0, 0.2), "adverse_bp": (0.0, 0.3),
    },
)  # fmt: skip
HELD = Ranges(
    base=TRAINING.base,
    fields={**TRAINING.fields, "sigma_high_bp": (2.5, 3.0), "dwell_s": (20.0, 30.0), "intensity_k": (0.4, 0.5)},
)
TEST = Ranges(
    base=TRAINING.base,
    fields={**TRAINING.fields, "sigma_high_bp": (2.5, 3.5), "dwell_s": (120.0, 200.0), "intensity_k": (1.0, 1.2)},
)
TEST_SEED = 2_000_000  # of the first simulated test path
_NORMAL_95 = 1.959963984540054


def interval(values: np.ndarray) -> Mean:
    """Student's 95 % interval of the mean of independent values, float64[n]; without bounds for fewer than 3."""
    mean, count = float(values.mean()), len(values)
    if count < 3:
        return Mean(mean, None, None)
    # The expansion is within 1 % from 5 degrees of freedom on; below, these are Student's own.
    reach = {3: 4.303, 4: 3.183, 5: 2.777}.get(count) or student_quantile(_NORMAL_95, count - 1)
    error = float(values.std(ddof=1)) / count**0.5
    return Mean(mean, mean - reach * error, mean + reach * error)


def acting(weights: Weights, *, weight: float = 1.0) -> PathPolicy:
    """The weights as a policy for `hlhft.alpha.fleet.evaluate`."""
    acts = Weights(weights.mean, weights.scale, weights.layers, weights.columns, weight)

    def policy(observations: np.ndarray, fleet: Fleet) -> np.ndarray:
        return acts.act(observations)

    return policy


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy against its closed form on the same paths, in basis points of an order."""

    policy_id: str
    stamp: str  # why the result is in-sample, "" when it is not
    paths: int
    days: float
    gain: Mean  # utility a second
    utility: Mean
    closed_form_utility: Mean
    profit: Mean  # a path
    closed_form_profit: Mean
    drawdown_ratio: float
    weight: float  # that it is served with


def steered_of(task: Task) -> Steered:
    """The closed form of a task, for a record."""
    settings = task.settings
    defaults = {name: parameter.default for name, parameter in settings.strategy.parameters.items()}
    return Steered(
        strategy=settings.strategy.name,
        params={name: float(value) for name, value in {**defaults, **settings.params}.items()},
        latency=settings.latency, queue=settings.queue, fees=settings.fees, decision_s=task.decision_s,
        delay_ms=task.delay_ms, valid_s=task.valid_s, eta=task.eta, drawdown_weight=task.drawdown_weight,
        close_bp=task.close_bp,
    )  # fmt: skip


def task_of(record: PolicyRecord) -> Task:
    """The task that a policy was trained for. Raises StrategyError for a strategy that is not here."""
    steered = record.steered
    settings = Settings(
        strategy=load(steered.strategy), params=steered.params, latency=steered.latency, queue=steered.queue,
        fees=steered.fees,
    )  # fmt: skip
    return Task(
        settings=settings, decision_s=steered.decision_s, delay_ms=steered.delay_ms, valid_s=steered.valid_s,
        eta=steered.eta, drawdown_weight=steered.drawdown_weight, close_bp=steered.close_bp,
    )  # fmt: skip


def result_of(task: Task, paths: Sequence[Path], policy: Policy, *, stamp: str = "", threads: int = 1) -> Evaluated:
    """Plays the policy, as if its weight were 1, and the closed form. Raises PathError and ReplayError."""
    found = evaluate(task, paths, acting(policy.weights), threads=threads)
    base: Score = evaluate(task, paths, threads=threads)
    return Evaluated(
        policy_id=f"{policy.record.policy_id:016x}", stamp=f"{STAMP}: {stamp}" if stamp else "", paths=len(paths),
        days=float(base.seconds.sum()) / DAY_S, gain=interval(found.utility - base.utility),
        utility=interval(found.utility), closed_form_utility=interval(base.utility), profit=interval(found.profit),
        closed_form_profit=interval(base.profit),
        drawdown_ratio=float(found.drawdown.mean() / max(base.drawdown.mean(), 1e-12)), weight=policy.record.weight,
    )  # fmt: skip


def track_of(task: Task, source: Source, policy: Policy, *, profile: str) -> tuple[np.ndarray, TrackMeta]:
    """What the policy, as it is served, would have told the core over a recording of one market: the events and the
    description of a signal track, with which `hlhft backtest` gives what was played here.

    Raises PathError for a recording of several markets or one that is too short, DataError as reading does.
    """
    paths = recorded(source, profile=profile)
    if len(paths) != 1:
        raise PathError(
            f"{source.name} holds {len(paths)} markets, and a policy is played on one: give a recording of it"
        )
    fleet = Fleet(task, 1)
    fleet.assign(0, paths[0])
    fleet.begin(np.ones(1, bool))
    while fleet.outcomes["done"][0] == 0:
        fleet.step(policy.act(fleet.observations))
    meta = TrackMeta(
        recording=source.name, fingerprint=source.fingerprint(), profile=profile,
        markets=(paths[0].market.name,), model_ids=(policy.record.policy_id,), origins=(policy.record.origin,),
        compute_ns=0, transport_ns=round(task.delay_ms * 1e6), latency="the delay that the policy was trained with",
    )  # fmt: skip
    return fleet.told(0), meta


def to_json(result: Evaluated) -> bytes:
    """As one JSON object."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1)


def words(result: Evaluated) -> str:
    """The result for a terminal."""

    def said(value: Mean, decimals: int = 4) -> str:
        if value.low is None or value.high is None:
            return signed(value.mean, decimals)
        return f"{signed(value.mean, decimals)} ({signed(value.low, decimals)} to {signed(value.high, decimals)})"

    lines = [result.stamp] if result.stamp else []
    lines += [
        f"Policy {result.policy_id} on {counted(result.paths, 'path')}, {plain(result.days, 3)} days;",
        "in basis points of an order, 95 % in brackets:",
        f"gain in utility a second   {said(result.gain)}",
        f"utility of the policy      {said(result.utility)}",
        f"utility of the closed form {said(result.closed_form_utility)}",
        f"profit of a path           {said(result.profit, 1)}, closed form {said(result.closed_form_profit, 1)}",
        f"drawdown                   {plain(result.drawdown_ratio)} times the closed form's",
        f"weight that it is served with: {plain(result.weight, 0)}",
    ]
    return "\n".join(lines)
