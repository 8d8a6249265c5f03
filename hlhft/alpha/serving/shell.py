"""An alpha process: sockets, a model, the clock and the end, around `hlhft.alpha.serving.machine`.

It connects to an engine that need not be there, reads feature rows and asks for missing ones, and publishes signals
where it listens itself. All of it is one loop; only a new model is loaded beside it, on a thread. It may be killed at
any time: it remembers nothing that the engine does not have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import zmq

from hlhft.alpha.serving.loading import Served, ServedPolicy
from hlhft.alpha.serving.machine import Machine, Settings
from hlhft.alpha.serving.messages import (
    Ask,
    Beat,
    Decide,
    Decided,
    Drained,
    Effect,
    Input,
    Loaded,
    PolicyLoaded,
    Predict,
    Predicted,
    Publish,
    Refused,
    Say,
    Tick,
    Told,
)
from hlhft.alpha.serving.metrics import AlphaMetrics
from hlhft.alpha.sockets import Gatekeeper, Keys, Reader, bind, connect, new_context, send
from hlhft.alpha.wire import Fault, Flag, Rows, Signal, decode, encode_heartbeat, encode_request, encode_signal

ROWS_QUEUE = 2000  # messages; more are dropped, and seen as a gap
ASKS_QUEUE = 64
SIGNALS_QUEUE = 1000
TICK_S = 0.1
LOOK_EVERY_TICKS = 10  # at the folders
WRITE_EVERY_TICKS = 10  # its numbers
LATENCIES_MAX = 4096  # the newest that are kept
QUANTILES = tuple(range(101))
_LOG = logging.getLogger("hlhft.alpha")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING}
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the engine tells rows and answers questions, and where this process tells signals."""

    features: str
    snapshot: str
    signals: str
    keys: Keys | None = None


@dataclass(kw_only=True)
class Source(Generic[T]):
    """Where a model or policy comes from. `stamp` is what stands there now, None for nothing that is whole; `load`
    raises one of `faults` for what does not pass its checks."""

    stamp: Callable[[], object | None]
    load: Callable[[], T]
    faults: tuple[type[Exception], ...]
    known: object | None = None
    pending: Future[T] | None = None


@dataclass
class Latencies:
    """The newest times in nanoseconds: of a model alone, and from a row's receipt by the engine to the signal."""

    compute: deque[int] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))
    whole: deque[int] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))

    def quantiles(self) -> dict[str, Any]:
        """The quantiles 0, 1 … 100 % of each, in nanoseconds; empty without any."""
        found: dict[str, Any] = {"version": 1, "unit": "ns", "count": len(self.whole)}
        for name, times in (("compute", self.compute), ("whole", self.whole)):
            found[name] = [int(each) for each in np.percentile(times, QUANTILES)] if times else []
        return found


class Shell:
    """One alpha process on a running loop. `served` is its first model; its feature schema is served from then on.

    `on_signal` hears every signal that is published. Raises EndpointError where it cannot listen.
    """

    def __init__(
        self,
        places: Places,
        served: Served,
        *,
        models: Source[Served] | None = None,
        policies: Source[ServedPolicy] | None = None,
        settings: Settings | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        on_signal: Callable[[Signal], None] = lambda signal: None,
        metrics: AlphaMetrics | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.latencies = Latencies()
        self._loop = asyncio.get_running_loop()
        self._now_ns = now_ns
        self._on_signal = on_signal
        self._metrics = metrics
        self._sent = 0  # signals and decisions
        self._row_ns: int | None = None  # when the newest row came
        self._in_hand_ns: dict[int, int] = {}  # when the newest row of a market came; at most wire.MARKETS_MAX
        self._served = served
        self._policy: ServedPolicy | None = None
        self._models, self._policies = models, policies
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
        self._ticks = 0
        model = served.model
        self.machine = Machine(settings or Settings(), schema=model.schema, features=model.features)
        self._performers: dict[type, Callable[[Any], None]] = {
            Ask: self._ask, Predict: self._predict, Decide: self._decide, Publish: self._publish, Beat: self._beat,
            Say: self._say,
        }  # fmt: skip
        self._context = new_context()
        self._gate = None if places.keys is None else Gatekeeper(self._context, self._loop, places.keys.peer)
        keys = places.keys
        try:
            self._signals = bind(self._context, zmq.PUB, places.signals, queue=SIGNALS_QUEUE, keys=keys)
            rows = connect(self._context, zmq.SUB, places.features, queue=ROWS_QUEUE, keys=keys)
            rows.subscribe(b"")
            self._asks = connect(self._context, zmq.DEALER, places.snapshot, queue=ASKS_QUEUE, keys=keys)
        except ValueError:
            self._pool.shutdown(wait=False)
            if self._gate is not None:
                self._gate.close()
            self._context.destroy(0)
            raise
        self._readers = (
            Reader(self._loop, rows, self._take_rows, self._drained),
            Reader(self._loop, self._asks, self._take_snapshot, self._drained),
        )
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Serves, until `close`."""
        self._on(Loaded(self._served.model))
        self._tick()

    def close(self) -> None:
        """Serves no more."""
        if self._timer is not None:
            self._timer.cancel()
        for reader in self._readers:
            reader.close()
        if self._gate is not None:
            self._gate.close()
        self._signals.close(0)
        self._context.destroy(0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._metrics is not None:
            self._write(self._metrics)
            self._metrics.close()

    def status(self) -> dict[str, Any]:
        """Everything that is known of it, for people and machines."""
        machine = self.machine
        counters = self.counters + machine.counters
        if self._gate is not None:
            counters["connections with an unknown key"] = self._gate.refused
        whole = self.latencies.quantiles()
        return {
            "session": machine.session,
            "model": "" if machine.model is None else f"{machine.model.model_id:016x}",
            "policy": "" if machine.policy is None else f"{machine.policy.policy_id:016x}",
            "markets": {coin: state.value for coin, state in machine.states().items()},
            "compute_us_median": whole["compute"][50] / 1e3 if whole["compute"] else None,
            "compute_us_p99": whole["compute"][99] / 1e3 if whole["compute"] else None,
            "counters": dict(sorted(counters.items())),
        }

    # In.

    def _take_rows(self, parts: list[bytes]) -> None:
        self._take(parts, is_snapshot=False)

    def _take_snapshot(self, parts: list[bytes]) -> None:
        self._take(parts, is_snapshot=True)

    def _take(self, parts: list[bytes], *, is_snapshot: bool) -> None:
        found = decode(parts[0]) if len(parts) == 1 else Fault.SIZE
        if isinstance(found, Rows) and found.is_snapshot == is_snapshot:
            self._row_ns = self._in_hand_ns[found.market] = time.monotonic_ns()
            self._on(Told(found))
        else:
            fault = found if isinstance(found, Fault) else Fault.KIND
            self.counters[f"messages that are none: {fault}"] += 1

    def _drained(self) -> None:
        self._on(Drained())

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        for reader in self._readers:
            reader.look()  # should an edge ever be missed
        self._on(Tick())
        self._look_at(self._models, self._swap)
        self._look_at(self._policies, self._swap_policy)
        if self._metrics is not None and not self._ticks % WRITE_EVERY_TICKS:
            self._write(self._metrics)
        self._ticks += 1

    def _write(self, metrics: AlphaMetrics) -> None:
        machine = self.machine
        served = (
            None if machine.model is None else machine.model.model_id,
            None if machine.policy is None else machine.policy.policy_id,
        )
        metrics.write(
            served=tuple(f"{number:016x}" for number in served if number is not None), rows=machine.rows,
            lost=machine.lost_rows, signals=self._sent,
            silent_ns=None if self._row_ns is None else time.monotonic_ns() - self._row_ns,
        )  # fmt: skip

    # Out.

    def _on(self, event: Input) -> None:
        for effect in self.machine.on(event, self._now_ns()):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        self._performers[type(effect)](effect)

    def _ask(self, effect: Ask) -> None:
        if not send(self._asks, encode_request(effect.request)):
            self.counters["questions dropped"] += 1
        self._readers[1].look()

    def _predict(self, effect: Predict) -> None:
        begun_ns = time.perf_counter_ns()
        answer = self._served.ask(effect.window)
        compute_ns = time.perf_counter_ns() - begun_ns
        self.latencies.compute.append(compute_ns)
        self._on(
            Predicted(
                effect.market, self._served.model.model_id, answer.probabilities, answer.mu_bp, answer.sigma_bp,
                compute_ns,
            )
        )  # fmt: skip

    def _decide(self, effect: Decide) -> None:
        policy = self._policy
        if policy is not None:
            self._on(Decided(effect.market, policy.policy.policy_id, policy.decide(effect.observation)))

    def _publish(self, effect: Publish) -> None:
        signal = effect.signal
        is_sent = send(self._signals, encode_signal(signal))
        if not is_sent:
            self.counters["signals dropped"] += 1
        elif not signal.flags & Flag.ABSTAINS or signal.flags & Flag.POLICY:
            self._sent += 1
        if not signal.flags & Flag.ABSTAINS:
            self.latencies.whole.append(max(self._now_ns() - signal.data_ns, 0))
            if self._metrics is not None and signal.market in self._in_hand_ns:
                self._metrics.inference.note(time.monotonic_ns() - self._in_hand_ns[signal.market])
        self._on_signal(signal)

    def _beat(self, effect: Beat) -> None:
        send(self._signals, encode_heartbeat(effect.beat))

    def _say(self, effect: Say) -> None:
        _LOG.log(_LEVELS[effect.level], "%s", effect.text)

    # Models.

    def _look_at(self, source: Source[T] | None, swap: Callable[[T], None]) -> None:
        """Loads what is new in a folder; takes over what was loaded, if it passed."""
        if source is None:
            return
        if source.pending is not None:
            if not source.pending.done():
                return
            done, source.pending = source.pending, None
            try:
                swap(done.result())
            except source.faults as error:
                self._on(Refused(f"what is new is not served, and the one before goes on: {error}"))
            return
        if self._ticks % LOOK_EVERY_TICKS:
            return
        stamp = source.stamp()
        if stamp is not None and stamp != source.known:
            source.known = stamp  # what was refused is not tried again before it changes
            source.pending = self._pool.submit(source.load)

    def _swap(self, served: Served) -> None:
        self._on(Loaded(served.model))
        if self.machine.model is served.model:
            self._served = served

    def _swap_policy(self, policy: ServedPolicy) -> None:
        self._policy = policy
        self._on(PolicyLoaded(policy.policy))
