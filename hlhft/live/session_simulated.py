"""A session's period simulated: the same strategy, parameters, limits, fees, position and equity over the market data
that it saw, without its own orders in them, by a queue model.

The core begins in the state that the session's first head holds, and is told what the session was told at the same
times: fees, connections, halts, signals. Orders and answers take as long as the session's did at that time. Everything
else, what of its orders is filled and what it decides after that, is the simulation's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hlhft.backtest.bus import FAR, RING
from hlhft.backtest.latency import interpolated
from hlhft.backtest.models import parse_latency, parse_queue
from hlhft.backtest.recordings import Recording
from hlhft.backtest.replay import Drive, Replay, ReplayError, ReplayOutput, ReplayPlan, prepare
from hlhft.backtest.session import LATENCY_HYPERLIQUID
from hlhft.core.brain import Brain
from hlhft.core.state import COMMAND_DTYPE, LIMITS_DTYPE, Lane
from hlhft.core.step import apply_account_event
from hlhft.events import EventKind
from hlhft.live.journal.brains import brain_of, strategy_of
from hlhft.live.session_told import Told
from hlhft.strategies import Strategy
from hlhft.venue import rules as venue_rules

PAUSE_NS = 100_000_000  # how often the line is looked at: it holds RING requests
RECORD_INTERVAL_NS = 1_000_000_000
SEED = 1
_apply: Any = apply_account_event  # compiled
_POSITION, _FEES, _EQUITY, _MARKET = (
    int(EventKind.POSITION_STATE), int(EventKind.FEE_CHANGE), int(EventKind.EQUITY_STATE), int(EventKind.MARKET_STATE),
)  # fmt: skip
_SENT = (
    "order_id",
    "price_ticks",
    "size_lots",
    "market",
    "kind",
    "command_class",
    "side",
    "time_in_force",
    "reduce_only",
)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a simulation did: what it logged, and every command that it sent."""

    queue: str
    output: ReplayOutput
    commands: np.ndarray  # COMMAND_DTYPE[n] in order; no batch ids


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The state that the session began in, and the strategy that decided; both are only read."""

    brain: Brain
    strategy: Strategy


def beginning_of(told: Told) -> Beginning:
    """Raises RecordError and StrategyError where the session's head cannot be used here."""
    return Beginning(brain=brain_of(told.start), strategy=strategy_of(told.start))


def simulate(told: Told, recording: Recording, queue: str, beginning: Beginning | None = None) -> Simulated:
    """Simulates the session on its own recording, to the recording's end; `beginning` where it is known already.

    Raises ModelError for a queue model that is none, what `beginning_of` raises, and ReplayError.
    """
    beginning = beginning_of(told) if beginning is None else beginning
    replay = _prepared(told, recording, queue, beginning.strategy)
    drive, sent = Drive(replay), _Sent(replay, recording.span_ns()[0])
    _begin(beginning.brain, replay)
    for control in told.controls:
        _run(drive, sent, replay, int(control["ts_local_ns"]) - 1)
        _tell(replay, control)
    _run(drive, sent, replay, FAR)
    return Simulated(queue=queue, output=drive.end(interrupted=False), commands=sent.commands())


def latency_of(told: Told) -> tuple[np.ndarray, np.ndarray]:
    """The session's own latencies, as they were at each time; the venue's usual ones where it measured none."""
    if len(told.history):
        return interpolated(told.history)
    return parse_latency(LATENCY_HYPERLIQUID, seed=SEED)


def _prepared(told: Told, recording: Recording, queue: str, strategy: Strategy) -> Replay:
    start = told.start
    rules = venue_rules.hyperliquid()
    rules["queue_model"], rules["queue_power"] = parse_queue(queue)
    latency, table = latency_of(told)
    limits = np.frombuffer(start.limits, LIMITS_DTYPE).copy()
    # A simulated clock makes no steps but the recording's, and the simulated venue knows no modification.
    limits["clock_step_ns_max"] = limits["amend"] = 0
    if told.ticks:
        limits["interval_ns"] = told.interval_ns
    return prepare(
        ReplayPlan(
            markets=start.markets,
            streams=recording.streams(),
            strategy=strategy,
            params=[{}],
            limits=limits,
            rules=rules,
            latency=latency,
            latency_table=table,
            seed=SEED,
            capital_micro=0,
            record_interval_ns=RECORD_INTERVAL_NS,
            signals=told.signals,
        )
    )


def _begin(brain: Brain, replay: Replay) -> None:
    """Puts the lane into the state that the session began in."""
    lanes, lane = replay.lanes, brain.lane
    address = lanes.lane["strategy_address"].copy()
    for name in ("lane", "positions", "params", "memory"):
        getattr(lanes, name)[0] = getattr(lane, name)
    lanes.lane["strategy_address"] = address
    replay.data.books["market_state"] = brain.data.books["market_state"]
    holdings = replay.venue.holdings[0]
    for name in ("position_lots", "cash_quanta", "maker_rate_e9", "taker_rate_e9"):
        holdings[name] = lane.positions[name]
    replay.accounts.collateral[0] = int(lane.lane["starting_equity_micro"][0])


def _tell(replay: Replay, control: np.void) -> None:
    """Tells lane and venue what the session heard."""
    kind, market = int(control["kind"]), int(control["market"])
    if market >= len(replay.data.books):
        return
    if kind == _MARKET:
        replay.data.books[market]["market_state"] = control["aux0"]
    was = replay.lanes.positions[0, market].copy()
    _apply(Lane(*(array[0] for array in replay.lanes)), replay.plan.limits[0], control)
    now, holding = replay.lanes.positions[0, market], replay.venue.holdings[0, market]
    if kind == _POSITION:
        for name in ("position_lots", "cash_quanta"):
            holding[name] += now[name] - was[name]
    elif kind == _FEES:
        for name in ("maker_rate_e9", "taker_rate_e9"):
            holding[name] = now[name]
    elif kind == _EQUITY:
        replay.accounts.collateral[0] = int(replay.lanes.lane["starting_equity_micro"][0, 0])


def _run(drive: Drive, sent: _Sent, replay: Replay, until_ns: int) -> None:
    """Goes on until then, with a look at the line now and then."""
    while True:
        sent.looked_ns = min(until_ns, max(int(replay.loop["now_ns"][0]), sent.looked_ns) + PAUSE_NS)
        is_left = drive.run_until(sent.looked_ns)
        sent.look()
        if not is_left or sent.looked_ns >= until_ns:
            return


class _Sent:
    """Reads what the lane puts on its line, before the ring is written over."""

    def __init__(self, replay: Replay, first_ns: int) -> None:
        self._line, self._requests = replay.bus.lines, replay.bus.requests
        self._seen = 0
        self._parts: list[np.ndarray] = []
        self.looked_ns = first_ns  # until then

    def look(self) -> None:
        """Takes what is new. Raises ReplayError when some of it is gone."""
        tail = int(self._line["request_tail"][0])
        if tail - self._seen > RING:
            raise ReplayError(f"the simulation sent more than {RING} requests within {PAUSE_NS // 1_000_000} ms")
        if tail > self._seen:
            fresh = self._requests[0, np.arange(self._seen, tail) & (RING - 1)]
            commands = np.zeros(len(fresh), COMMAND_DTYPE)
            commands["ts_ns"] = fresh["sent_ns"]
            for name in _SENT:
                commands[name] = fresh[name]
            self._parts.append(commands)
            self._seen = tail

    def commands(self) -> np.ndarray:
        """Everything, in order."""
        return np.concatenate([np.zeros(0, COMMAND_DTYPE), *self._parts])
