"""The hop section of `make bench-alpha`: what lies between a row of features and the signal that it leads to, without
the model.

An engine's link in this process tells rows to an alpha process that is one, over ipc, with all of its checks; its model
answers at once. Measured is from the call that tells the row to the call that tells the core. Beside it, as what cannot
be had for less: the same two sockets between two processes that wait for nothing else and send back what comes.

    python -m tests.bench.alpha_hop FEATURES SNAPSHOT SIGNALS     is that process
    python -m tests.bench.alpha_hop FEATURES SIGNALS              is the one that sends back what comes
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop
import zmq

from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.serving.loading import Answer, Served
from hlhft.alpha.serving.messages import Model
from hlhft.alpha.serving.shell import Places, Shell
from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.sockets import bind, new_context
from hlhft.alpha.wire import hash_bytes
from tests.alpha.linked import Linked, until
from tests.bench.figures import Figure

SECTION = "hop"
SCHEMA = FeatureSchema()
LENGTH = 100
ROWS, ROWS_SHORT = 5_000, 500
WARM = 200
EVERY_S = 0.001  # between two rows, as the section `wire` of `make bench` has its books
MEDIAN_US = 150.0
GATE_US = 1_000.0
START_S = 60.0


def null_model() -> Served:
    """A model that knows its answer."""
    columns = SCHEMA.columns
    answer = Answer(np.array([0.25, 0.25, 0.5], np.float32), 1.0, 2.0)
    bounds = Bounds(np.full(columns, -1e9), np.full(columns, 1e9))
    return Served(Model(1, hash_bytes(SCHEMA.hash), LENGTH, columns, bounds), lambda window: answer)


async def serve(places: Places) -> None:
    """Serves until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    shell = Shell(places, null_model())
    gc.collect()
    gc.freeze()
    shell.start()
    await stopped.wait()
    shell.close()


def send_back(features: str, signals: str) -> None:
    """Sends back what comes, until it is killed."""
    context = new_context()
    rows, out = context.socket(zmq.SUB), bind(context, zmq.PUB, signals, queue=1000, keys=None)
    rows.connect(features)
    rows.subscribe(b"")
    while True:
        out.send(rows.recv())


def bare(folder: Path, count: int) -> list[float]:
    """Microseconds there and back, of messages as long as a row's."""
    features, signals = f"ipc://{folder}/a.sock", f"ipc://{folder}/b.sock"
    context = new_context()
    out, back = bind(context, zmq.PUB, features, queue=1000, keys=None), context.socket(zmq.SUB)
    back.connect(signals)
    back.subscribe(b"")
    process = started(features, signals)
    message, times = bytes(152 + 4 * SCHEMA.columns), []
    try:
        deadline = time.monotonic() + START_S
        while not back.poll(10):
            out.send(message)
            assert time.monotonic() < deadline, "the other process answers"
        while back.poll(200):
            back.recv()
        for place in range(WARM + count):
            time.sleep(EVERY_S)
            began_ns = time.perf_counter_ns()
            out.send(message)
            back.recv()
            if place >= WARM:
                times.append((time.perf_counter_ns() - began_ns) / 1e3)
    finally:
        process.kill()
        process.wait(10)
        context.destroy(0)
    return times


def started(*places: str) -> subprocess.Popen[bytes]:
    """This file as a process."""
    line = [sys.executable, "-m", "tests.bench.alpha_hop", *places]
    return subprocess.Popen(line, cwd=Path(__file__).resolve().parents[2])


async def measured(folder: Path, count: int) -> list[float]:
    """Microseconds of each row's hop."""
    linked = Linked(folder, schema=SCHEMA, time_to_live_ns=10**10)
    places = linked.places
    process = started(places.features, places.snapshot, places.signals)
    number, times = 0, []
    try:

        def is_ready() -> bool:
            nonlocal number
            number += 1
            linked.publish((0, number))
            return bool(linked.core.rows)

        await until(is_ready, within_s=START_S)
        gc.collect()
        gc.disable()
        for place in range(WARM + count):
            await asyncio.sleep(EVERY_S)
            number += 1
            heard = linked.core.heard = asyncio.get_running_loop().create_future()
            made = linked.rows.row(0, number)
            linked.rows.ready = made
            began_ns = time.perf_counter_ns()
            linked.link.publish(made[0], 1)
            async with asyncio.timeout(START_S):
                ended_ns = await heard
            if place >= WARM:
                times.append((ended_ns - began_ns) / 1e3)
    finally:
        gc.enable()
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        linked.close()
    return times


def hop(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section's figures; no recording is needed."""
    count = ROWS_SHORT if short else ROWS
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        times = runner.run(measured(Path(folder), count))
        floor = bare(Path(folder), count)
    median, late = (float(value) for value in np.percentile(times, (50, 99)))
    what = f"row of {SCHEMA.columns} features to signal heard by the core, without the model"
    return [
        Figure(SECTION, f"{what}, median of {len(times)}", median, "us", maximum=MEDIAN_US, gate=GATE_US),
        Figure(SECTION, f"{what}, 99 %", late, "us"),
        Figure(SECTION, "the same bytes there and back over two bare sockets, median", float(np.median(floor)), "us"),
    ]


if __name__ == "__main__":
    if len(sys.argv) == 3:
        send_back(sys.argv[1], sys.argv[2])
    uvloop.run(serve(Places(features=sys.argv[1], snapshot=sys.argv[2], signals=sys.argv[3])))
