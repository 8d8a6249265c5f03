"""A fleet of slots (hlhft.alpha.lanes): replays of many paths at once that wait for an action at each pause.

It needs nothing of the extra `alpha`: whoever evaluates a closed form uses it as the environment of a learner does. A
slot's outcome depends on its path, its task and its actions alone, whatever the other slots do; so two policies on the
same paths meet the same market, the same latencies and the same blocks (common random numbers).

A slot is given a path and plays it to its end once. It can be told to go on to the path's last row, and then its fills,
fees and equity are those that `hlhft backtest` finds on that path with the slot's signals as its signal track.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hlhft.alpha import action, observation
from hlhft.alpha.lanes import (
    BEGIN,
    COMMANDS_MAX,
    EPISODE_DTYPE,
    FINISH,
    HANDLE,
    OUTCOME_DTYPE,
    REST,
    STEP,
    TASK_DTYPE,
    Slot,
    handle_of,
    play_slot,
    play_slots,
    slot_of,
)
from hlhft.alpha.paths import Path, PathError
from hlhft.backtest.loop import Status
from hlhft.backtest.models import parse_fees
from hlhft.backtest.replay import ReplayError, RowArray, prepare
from hlhft.backtest.session import Settings, plan_of
from hlhft.compiled import JIT_DISABLED
from hlhft.core.signals import POLICY_LIFE_NS_MAX
from hlhft.core.state import COMMAND_DTYPE, LEVEL_DTYPE, LEVELS

DECISION_S_MIN, DECISION_S_MAX = 0.1, 60.0
SLOTS_MAX = 4096
VALID_S_MAX = POLICY_LIFE_NS_MAX / 1e9
NEVER_NS = 2**62
Policy = Callable[[np.ndarray, "Fleet"], np.ndarray]
_ORDER, _POSITION = "order_notional_usdc", "position_notional_usdc"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a policy is to do well: the strategy that it steers, where, how often it decides and what that is worth.

    `settings` are those of a backtest; of its fee scenarios the first one counts.
    """

    settings: Settings
    decision_s: float = 1.0
    delay_ms: float = 0.0  # from a decision to its arrival in the core: what computing and telling it takes
    valid_s: float = 10.0  # how long an action stands when none follows
    warm_s: float = 10.0  # of each path before the first decision
    eta: float = 0.01  # price of inventory, per bp: of q^2 sigma^2 dt, q in orders
    drawdown_weight: float = 1.0
    close_bp: float = 5.0  # what closing costs at the end of a path, of the value that is held

    def __post_init__(self) -> None:
        for name, low, high in (
            ("decision_s", DECISION_S_MIN, DECISION_S_MAX), ("delay_ms", 0.0, 60_000.0), ("valid_s", 0.1, VALID_S_MAX),
            ("warm_s", 0.0, 3600.0), ("eta", 0.0, 1e3), ("drawdown_weight", 0.0, 1e3), ("close_bp", 0.0, 1e3),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise PathError(f"a task's {name} must lie in {low:g}..{high:g}, not {getattr(self, name)}")
        for name in (_ORDER, _POSITION):
            if name not in self.settings.strategy.parameters:
                raise PathError(
                    f"strategy {self.settings.strategy.name} has no parameter {name}: a policy needs to know what an "
                    "order and the largest position are worth"
                )

    def notional_usdc(self, name: str) -> float:
        """A parameter of the strategy in USDC, its default where the settings say nothing."""
        return float(self.settings.params.get(name, self.settings.strategy.parameters[name].default))

    def record(self) -> np.ndarray:
        """TASK_DTYPE[1]."""
        record = np.zeros(1, TASK_DTYPE)
        record["interval_ns"] = round(self.decision_s * 1e9)
        record["delay_ns"] = round(self.delay_ms * 1e6)
        record["valid_ns"] = round(self.valid_s * 1e9)
        record["order_usdc"] = self.notional_usdc(_ORDER)
        record["position_usdc"] = self.notional_usdc(_POSITION)
        record["eta"], record["drawdown_weight"] = self.eta, self.drawdown_weight
        record["close_bp"] = self.close_bp
        return record

    def decisions(self, path: Path) -> int:
        """How many decisions a path allows; 0 when it is too short for one."""
        interval_ns, warm_ns = round(self.decision_s * 1e9), round(self.warm_s * 1e9)
        return max((path.end_ns - path.begin_ns - warm_ns) // interval_ns, 0)


class Fleet:
    """N slots. `observations` float32[N, O], `outcomes` OUTCOME_DTYPE[N] and `episodes` EPISODE_DTYPE[N] hold what the
    last call came to; all are written in place."""

    def __init__(self, task: Task, slots: int, *, threads: int = 1) -> None:
        """Raises PathError for a number of slots outside 1..SLOTS_MAX."""
        if not 1 <= slots <= SLOTS_MAX:
            raise PathError(f"a fleet has 1 to {SLOTS_MAX} slots, not {slots}")
        self.task = task
        self.size = slots
        self.record = task.record()
        self.slots: list[Slot | None] = [None] * slots
        self.paths: list[Path | None] = [None] * slots
        self.handles = np.zeros((slots, HANDLE), np.int64)
        self.episodes = np.zeros(slots, EPISODE_DTYPE)
        self.memories = np.zeros(slots, observation.MEMORY_DTYPE)
        self.observations = np.zeros((slots, observation.SIZE), np.float32)
        self.outcomes = np.zeros(slots, OUTCOME_DTYPE)
        self._actions = np.zeros((slots, action.SIZE), np.float32)
        self._parts = np.linspace(0, slots, max(1, min(threads, slots)) + 1).astype(int)
        count = len(self._parts) - 1
        self._scratch = [np.zeros((2, LEVELS), LEVEL_DTYPE) for _ in range(count)]
        self._out = [np.zeros(COMMANDS_MAX, COMMAND_DTYPE) for _ in range(count)]
        self._pool = ThreadPoolExecutor(count) if count > 1 and not JIT_DISABLED else None
        scenario = parse_fees(task.settings.fees)[:1]
        self._plan_of = lambda path, stream: plan_of(task.settings, [path.market], [stream], scenario)

    def assign(self, number: int, path: Path, *, params: Mapping[str, str | float] | None = None) -> None:
        """Gives a slot a path to play from its begin; it stands at its first pause after `begin`.

        `params` replace the strategy's. Raises PathError for a path too short for one decision, and what preparing a
        replay raises.
        """
        decisions = self.task.decisions(path)
        if decisions < 1:
            raise PathError(
                f"{path.name} is too short: a path needs {self.task.warm_s + self.task.decision_s:g} s, "
                f"this one has {(path.end_ns - path.begin_ns) * 1e-9:.1f} s"
            )
        plan = self._plan_of(path, RowArray(path.rows, path.low_ticks, path.high_ticks))
        limits = plan.limits.copy()
        limits["features"] |= observation.FEATURES
        plan = dataclasses.replace(plan, limits=limits, record_interval_ns=NEVER_NS)
        if params is not None:
            plan = dataclasses.replace(plan, params=[params])
        variance = np.zeros(0) if path.variance is None else path.variance
        slot = slot_of(prepare(plan), path.signals, variance, decisions + 1)
        self.slots[number], self.paths[number] = slot, path
        self.handles[number] = handle_of(slot)
        episode = self.episodes[number : number + 1]
        episode[:] = 0
        episode["begin_ns"], episode["end_ns"] = path.begin_ns, path.end_ns
        episode["now_ns"] = path.begin_ns + round(self.task.warm_s * 1e9)
        self.memories[number] = 0

    def begin(self, chosen: np.ndarray) -> None:
        """Brings the slots whose entry of `chosen`, bool[N], is set to their first pause; they need a fresh path."""
        self._play(np.where(chosen, BEGIN, REST))

    def step(self, actions: np.ndarray) -> None:
        """One decision of every slot; `actions` float32[N, 4], see hlhft.alpha.action. Raises ReplayError."""
        self._actions[:] = actions
        self._play(np.full(self.size, STEP))

    def finish(self, number: int) -> None:
        """Lets a slot go on to the last row of its path, its last action standing as long as it does."""
        self._play(np.where(np.arange(self.size) == number, FINISH, REST))

    def _play(self, duties: np.ndarray) -> None:
        parts = range(len(self._parts) - 1)
        if self._pool is None:
            for part in parts:
                self._play_part(duties, part)
        else:
            for done in [self._pool.submit(self._play_part, duties, part) for part in parts]:
                done.result()
        self._check()

    def _play_part(self, duties: np.ndarray, part: int) -> None:
        first, last = int(self._parts[part]), int(self._parts[part + 1])
        arrays = (self.episodes, self.memories, self.record, self._actions, self.observations, self.outcomes)
        if not JIT_DISABLED:
            play_slots(duties, self.handles, first, last, *arrays, self._scratch[part], self._out[part])
            return
        for number in range(first, last):
            episode, memory, _, chosen, seen, outcome = (array[number % len(array)] for array in arrays)
            play_slot(
                duties[number], self.slots[number], episode, memory, self.record[0], chosen, seen, outcome,
                self._scratch[part], self._out[part],
            )  # fmt: skip

    def told(self, number: int) -> np.ndarray:
        """EVENT_DTYPE[n]: all that a slot's core heard of models, in order of arrival: its signal track."""
        slot = self.slots[number]
        assert slot is not None
        return slot.signals[: int(self.episodes["signals"][number])].copy()

    def _check(self) -> None:
        wrong = np.isin(self.episodes["status"], (Status.BUS_FULL, Status.REPLIES_LOST, Status.NEED_ROWS))
        if wrong.any():
            number = int(np.flatnonzero(wrong)[0])
            path = self.paths[number]
            raise ReplayError(
                f"the replay of {path.name if path else number} stopped with "
                f"{Status(int(self.episodes['status'][number])).name}: more messages under way than its lines hold"
            )


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a policy came to on P paths, each figure float64[P], in basis points of an order, by path."""

    utility: np.ndarray  # a second: profit less eta q^2 sigma^2, drawdowns and closing left out
    reward: np.ndarray  # a second: everything in it
    profit: np.ndarray  # of the whole path, closing taken off
    drawdown: np.ndarray  # the deepest at any pause
    inventory: np.ndarray  # mean absolute, in orders
    seconds: np.ndarray


def evaluate(
    task: Task,
    paths: Sequence[Path],
    policy: Policy | None = None,
    *,
    params: Mapping[str, str | float] | None = None,
    threads: int = 1,
) -> Score:
    """What `policy` comes to on each of the paths, played once; None stands for the closed form, actions of zero.

    `policy(observations float32[N, O], fleet) -> float32[N, 4]`. `params`, one mapping for all, replaces the
    strategy's. Raises PathError and ReplayError.
    """
    fleet = Fleet(task, len(paths), threads=threads)
    for number, path in enumerate(paths):
        fleet.assign(number, path, params=params)
    fleet.begin(np.ones(len(paths), bool))
    steps = np.array([task.decisions(path) for path in paths])
    totals = {name: np.zeros(len(paths)) for name in ("reward", "profit", "risk", "closing", "drawdown", "inventory")}
    played = np.zeros(len(paths))
    zeros = np.zeros((len(paths), action.SIZE), np.float32)
    running = np.ones(len(paths), bool)
    for _ in range(int(steps.max())):
        fleet.step(zeros if policy is None else policy(fleet.observations, fleet))
        for name, total in totals.items():
            figure = fleet.outcomes[name]
            total[running] += np.abs(figure[running]) if name == "inventory" else figure[running]
        played += running
        running &= fleet.outcomes["done"] == 0
        if not running.any():
            break
    seconds = played * task.decision_s
    return Score(
        utility=(totals["profit"] - totals["risk"]) / seconds,
        reward=totals["reward"] / seconds,
        profit=totals["profit"] - totals["closing"],
        drawdown=totals["drawdown"],
        inventory=totals["inventory"] / played,
        seconds=seconds,
    )
