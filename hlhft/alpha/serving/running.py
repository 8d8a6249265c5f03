"""An alpha process from its start to its end: what it is to serve, its loop, and what it shows of itself."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from hlhft.alpha.serving.loading import Served, ServedPolicy, ServingError, load_model, load_policy, stamp_of
from hlhft.alpha.serving.machine import Settings
from hlhft.alpha.serving.metrics import AlphaMetrics
from hlhft.alpha.serving.shell import Places, Shell, Source
from hlhft.alpha.sockets import held
from hlhft.alpha.wire import Flag, Signal
from hlhft.data.writing import write_file
from hlhft.extra import MissingExtra
from hlhft.monitor.metrics import Source as OfProcess
from hlhft.monitor.opening import opened

STATUS_S = 10.0
_LOG = logging.getLogger("hlhft.alpha")


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a process is started with. `once`: it ends after its first signal that is no abstention."""

    model: Path
    policy: Path | None
    places: Places
    horizon: int = 0
    engine: str = "onnx"
    device: str = "cpu"
    settings: Settings | None = None
    once: bool = False
    latencies: Path | None = None  # where the measured times are written at the end
    metrics: Path | None = None  # the folder of the numbers of all processes; None: shown nowhere


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Who is told what: the process once it serves, now and then, and at the end; and each signal."""

    serving: Callable[[dict[str, Any]], None]
    status: Callable[[dict[str, Any]], None]
    signal: Callable[[Signal], None]


def run(orders: Orders, shown: Shown) -> dict[str, Any]:
    """Serves until SIGTERM or SIGINT; the last status. Raises what loading and listening raise when it cannot begin,
    and what broke it."""
    from hlhft.alpha.bundle import RECORD

    stamp = stamp_of(orders.model, RECORD)
    served = _load(orders)
    policies = _policies(orders)
    models = Source(
        stamp=lambda: stamp_of(orders.model, RECORD), load=lambda: _load(orders), faults=_faults(), known=stamp
    )
    with held(orders.places.signals), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(orders, shown, served, models, policies))


def _load(orders: Orders) -> Served:
    return load_model(orders.model, horizon=orders.horizon, engine=orders.engine, device=orders.device)


def _policies(orders: Orders) -> Source[ServedPolicy] | None:
    folder = orders.policy
    if folder is None:
        return None
    from hlhft.alpha.policy import RECORD

    load_policy(folder)  # one that is none ends the process at its start
    return Source(stamp=lambda: stamp_of(folder, RECORD), load=lambda: load_policy(folder), faults=_faults())


def _faults() -> tuple[type[Exception], ...]:
    """What a folder may be refused for."""
    from hlhft.alpha.bundle import BundleError
    from hlhft.alpha.devices import DeviceError
    from hlhft.alpha.policy import PolicyError

    return BundleError, PolicyError, ServingError, MissingExtra, DeviceError, OSError


async def _serve(
    orders: Orders,
    shown: Shown,
    served: Served,
    models: Source[Served],
    policies: Source[ServedPolicy] | None,
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def told(message: Signal) -> None:
        if stopped.is_set():
            return
        shown.signal(message)
        if orders.once and not message.flags & Flag.ABSTAINS:
            stopped.set()

    broken: list[BaseException] = []

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An invariant does not hold: the process ends, and whoever supervises it begins anew."""
        broken.append(context.get("exception") or RuntimeError(str(context.get("message", ""))))
        stopped.set()

    loop.set_exception_handler(failed)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    shell = Shell(
        orders.places, served, models=models, policies=policies, settings=orders.settings, on_signal=told,
        metrics=None if orders.metrics is None else _metrics(orders.metrics),
    )  # fmt: skip
    try:
        # What was loaded stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        shell.start()
        shown.serving(shell.status())
        while not stopped.is_set():
            try:
                await asyncio.wait_for(stopped.wait(), STATUS_S)
            except TimeoutError:
                shown.status(shell.status())
        if broken:
            raise broken[0]
        return shell.status()
    finally:
        if orders.latencies is not None:
            write_latencies(orders.latencies, shell.latencies.quantiles())
        shell.close()


def _metrics(folder: Path) -> AlphaMetrics:
    return AlphaMetrics(opened(folder, OfProcess.ALPHA, labels={}, clock_ns=time.time_ns, say=_LOG.warning))


def write_latencies(path: Path, quantiles: dict[str, Any]) -> None:
    """Writes the measured times, whole or not at all; nothing when nothing was measured."""
    if not quantiles["count"]:
        return
    write_file(path, msgspec.json.format(msgspec.json.encode(quantiles)) + b"\n")
