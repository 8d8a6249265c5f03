"""A brain's state as the journal keeps it, and a brain made anew from that.

A snapshot is the brain's own, but for the strategy's address, which belongs to a process: it is zeros, so that equal
states have equal bytes wherever they were reached.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

import hlhft
from hlhft.compiled import running_key
from hlhft.core.brain import Brain
from hlhft.core.state import LANE_DTYPE, LIMITS_DTYPE, STATE_SCHEMA
from hlhft.live.journal.records import SCHEMA, RecordError, Start
from hlhft.live.journal.writer import Source
from hlhft.strategies import Strategy, load
from hlhft.units import Market

LIBRARIES = ("numpy", "numba", "llvmlite")  # what the results of compiled code depend on
_LADDERS, _WIDTH = 1, 2  # places in a brain's handle


class Copy:
    """Room for a brain's state, taken once: memory that is new to the process costs more than the copy."""

    def __init__(self, brain: Brain) -> None:
        fields = LANE_DTYPE.fields
        assert fields is not None
        data, lane = brain.buffers
        self._brain = brain
        self._address = len(data) + brain.lane.lane.ctypes.data - lane.ctypes.data + fields["strategy_address"][1]
        self._room = np.zeros(len(data) + len(lane), np.uint8)

    def take(self) -> memoryview:
        """The state as it is now, without the strategy's address; valid until the next call."""
        data, lane = self._brain.buffers
        self._room[: len(data)] = data
        self._room[len(data) :] = lane
        self._room[self._address : self._address + 8] = 0
        return self._room.data


def state(brain: Brain) -> bytes:
    """The brain's buffers, without the strategy's address."""
    return bytes(Copy(brain).take())


def source_of(
    brain: Brain,
    *,
    session: int,
    strategy: Strategy,
    markets: Sequence[Market],
    configuration: str,
    checkpoint_steps: int,
) -> Source:
    """What a journal asks of this brain; `configuration` is shown to people and holds no secret.

    The brain's limits and state are read when they are asked for, so a rotation records what a reload changed. A
    head's snapshot is valid until the next head is asked for, a checkpoint's state until the next one.
    """
    head, checkpoint = Copy(brain), Copy(brain)

    def describe(number: int, step: int) -> Start:
        return Start(
            schema=SCHEMA,
            state_schema=STATE_SCHEMA,
            session=session,
            number=number,
            step=step,
            checkpoint_steps=checkpoint_steps,
            code_key=running_key(),
            versions=versions(),
            cpu=processor(),
            configuration=configuration,
            strategy=strategy.name if not strategy.is_user_file else Path(strategy.source).name,
            strategy_source=strategy.fingerprint if strategy.is_user_file else b"",
            markets=list(markets),
            limits=brain.limits.tobytes(),
            ladders=int(brain.handle[_LADDERS]),
            width=int(brain.handle[_WIDTH]),
            snapshot=cast(bytes, head.take()),  # encoded as they are, without one copy more
        )

    return Source(describe=describe, state=checkpoint.take)


def brain_of(start: Start) -> Brain:
    """A brain in the state of this head, its strategy loaded and compiled.

    Raises RecordError when the head's parts do not fit this version's state, StrategyError when its strategy cannot be
    loaded.
    """
    if len(start.limits) != LIMITS_DTYPE.itemsize or not start.markets:
        raise RecordError("the head's limits and markets are not those of this version of hlhft")
    if start.state_schema != STATE_SCHEMA:
        raise RecordError(
            f"the head's state has schema {start.state_schema} and this version of hlhft decides with schema"
            f" {STATE_SCHEMA}; replay the journal with the version that wrote it"
        )
    records = np.concatenate([market.record() for market in start.markets])
    brain = Brain(records, np.frombuffer(start.limits, LIMITS_DTYPE).copy(), ladders=start.ladders, width=start.width)
    brain.lane.lane["strategy_address"] = strategy_of(start).address()
    try:
        brain.restore(start.snapshot)
    except ValueError as error:
        raise RecordError(f"the head's state is not one of this version of hlhft: {error}") from None
    return brain


def strategy_of(start: Start) -> Strategy:
    """The strategy that decided, compiled, from the journal itself where it was a user's file. Raises StrategyError."""
    if not start.strategy_source:
        return load(start.strategy)
    with tempfile.TemporaryDirectory(prefix="hlhft-replay-") as folder:
        path = Path(folder, Path(start.strategy).name)
        path.write_bytes(start.strategy_source)
        strategy = load(str(path))
        strategy.address()  # compiling reads the file
        return strategy


def versions() -> dict[str, str]:
    """What is running, by name."""
    found = {name: _version(name) for name in LIBRARIES}
    return {"hlhft": hlhft.__version__, "python": platform.python_version(), **found}


# What a process has imported stays what it is, and to look it up reads files.
_version = functools.cache(importlib.metadata.version)


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, else the machine's type."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
