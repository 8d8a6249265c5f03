"""`make soak-markets`: fifty markets quoted by a real engine, for as long as is asked for.

    python tests/bench/soak.py [--minutes N] [--markets N]

An exchange of fifty perpetuals (`tests.bench.fifty_exchange`) sends about twenty messages a second a market. `hlhft
run` is started as a user starts it, on a processor of its own, with a strategy that decides on every frame and moves
all its orders in waves. From outside it is watched what the engine uses (/proc) and says (`hlhft status`), and what
waits for it in the kernel. Exits 1 when it takes more than 60 % of a core, memory grows by more than 2 % once its
tables are full, it places less than 200 orders a second, a queue grows or the loop becomes later.

What an engine remembers is bounded, and its tables fill in the first minutes: orders that are over, actions, fills, the
head of a journal's segment. So growth is judged from the tenth minute on, and told from the first. Memory is what
belongs to the process alone (RssAnon): the journal is mapped, and its pages, which the kernel may take back, come and
go with its segments. What /proc calls RSS is told beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hlhft.exchange.known_account import test_key, test_signer  # noqa: E402
from hlhft.live.control import ControlClient, ControlError  # noqa: E402
from hlhft.live.view import Status  # noqa: E402
from tests.bench.fifty_exchange import COUNT, SEED  # noqa: E402
from tests.bench.figures import machine as facts  # noqa: E402
from tests.bench.figures import median  # noqa: E402
from tests.endtoend.house import Process, environment, free_port  # noqa: E402

MINUTES = 40.0
SAMPLE_S = 5.0
SETTLE_S = 60.0  # not measured: connections, the first orders, code and memory that are used for the first time
FILLED_S = 600.0  # after the first quotes; in a shorter run a quarter of it
START_S = 300.0  # the first start compiles
STRATEGY = Path(__file__).parent / "strategies" / "waves.py"
CORE_MAX, GROWTH_MAX, ORDERS_MIN = 0.60, 0.02, 200.0
MESSAGES_MIN = 18.0  # a second a market: with less, something else is measured than is said
QUEUES = ("posts in flight", "received and not read", "written and not sent")
FLOORS = {"posts in flight": 4.0, "received and not read": 65_536.0, "written and not sent": 65_536.0}
LATER_MAX, LATER_FLOOR_US = 1.5, 1_000.0
LATE = "times the loop was late"
FRAMES = "frames scanned"  # books, touches and trades


@dataclass(frozen=True)
class Sample:
    """The engine at one moment."""

    at_s: float
    cpu_s: float
    anonymous_bytes: int
    resident_bytes: int
    queues: dict[str, float]
    latencies_us: dict[str, tuple[float, float]]  # median and p99 since the start
    counters: dict[str, int]
    quoted: int  # markets with an order
    stage: str


def cpu_s(process: int) -> float:
    """User and system time of a process and its threads so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(process: int, name: str) -> int:
    """A figure of a process as Linux gives it."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024


def waiting_bytes(table: str, port: int) -> tuple[int, int]:
    """What waits in the kernel on sockets that are connected to a local port, by the text of /proc/net/tcp: received
    and not read, written and not acknowledged."""
    received = sent = 0
    for line in table.splitlines()[1:]:
        fields = line.split()
        if int(fields[2].rpartition(":")[2], 16) == port:
            write, _, read = fields[4].partition(":")
            received, sent = received + int(read, 16), sent + int(write, 16)
    return received, sent


def sampled(process: int, status: Status, port: int) -> Sample:
    """What is seen of the engine now."""
    received, sent = waiting_bytes(Path("/proc/net/tcp").read_text(), port)
    posts = next(budget.used for budget in status.budgets if budget.name == "posts in flight")
    return Sample(
        at_s=time.monotonic(), cpu_s=cpu_s(process), anonymous_bytes=memory_bytes(process, "RssAnon"),
        resident_bytes=memory_bytes(process, "VmRSS"),
        queues=dict(zip(QUEUES, (float(posts), float(received), float(sent)), strict=True)),
        latencies_us={one.name: (one.p50_us or 0.0, one.p99_us or 0.0) for one in status.latencies},
        counters=status.counters, quoted=sum(bool(market.quotes) for market in status.markets), stage=status.stage,
    )  # fmt: skip


def grows(values: Sequence[float], floor: float) -> bool:
    """Whether a queue is longer in the last third of its samples than in the first, beyond half of that and `floor`."""
    third = max(len(values) // 3, 1)
    return median(values[-third:]) > 1.5 * median(values[:third]) + floor


def rate(samples: Sequence[Sample], counter: str) -> float:
    """How much of something was counted a second."""
    first, last = samples[0], samples[-1]
    return (last.counters.get(counter, 0) - first.counters.get(counter, 0)) / (last.at_s - first.at_s)


def filled(samples: Sequence[Sample]) -> Sample:
    """The first sample by which the bounded tables are full."""
    first, last = samples[0], samples[-1]
    after_s = min(FILLED_S - SETTLE_S, (last.at_s - first.at_s) / 4)
    return next(sample for sample in samples if sample.at_s - first.at_s >= after_s)


def missed(samples: Sequence[Sample], markets: int) -> list[str]:
    """What was promised and does not hold, a sentence each; samples of the time after the first minute."""
    first, last = samples[0], samples[-1]
    share = (last.cpu_s - first.cpu_s) / (last.at_s - first.at_s)
    growth = last.anonymous_bytes / filled(samples).anonymous_bytes - 1
    orders, messages = rate(samples, "orders placed"), rate(samples, FRAMES) / markets
    found = [
        f"a queue grows: {name}" for name in QUEUES
        if grows([sample.queues[name] for sample in samples], FLOORS[name])
    ]  # fmt: skip
    for name in first.latencies_us:
        before_us, after_us = first.latencies_us[name][1], last.latencies_us[name][1]
        if after_us > LATER_MAX * before_us + LATER_FLOOR_US:
            found.append(f"{name}: p99 {before_us:.0f} us became {after_us:.0f} us")
    if share > CORE_MAX:
        found.append(f"{share:.0%} of a core, at most {CORE_MAX:.0%}")
    if growth > GROWTH_MAX:
        found.append(f"memory grew by {growth:.1%}, at most {GROWTH_MAX:.0%}")
    if orders < ORDERS_MIN:
        found.append(f"{orders:.0f} orders a second, at least {ORDERS_MIN:.0f}")
    if messages < MESSAGES_MIN:
        found.append(f"{messages:.1f} messages a second a market, at least {MESSAGES_MIN:.0f}: too slow an exchange")
    if any(sample.stage != "quoting" for sample in samples):
        found.append("it did not quote all the time")
    return found


def tally(samples: Sequence[Sample], markets: int) -> str:
    """The run in figures."""
    first, last = samples[0], samples[-1]
    seconds, mib = last.at_s - first.at_s, 1 << 20
    counted = ", ".join(
        f"{rate(samples, name):,.1f} {name}" for name in ("decisions", "orders placed", "orders cancelled", "fills")
    )
    full = filled(samples)
    early, late = full.anonymous_bytes / first.anonymous_bytes - 1, last.anonymous_bytes / full.anonymous_bytes - 1
    resident = last.resident_bytes / first.resident_bytes - 1
    lines = [
        f"{markets} markets, {median([sample.quoted for sample in samples]):.0f} of them quoted, for {seconds:.0f} s",
        f"a second: {rate(samples, FRAMES) / markets:.1f} messages a market; {counted}",
        f"processor: {(last.cpu_s - first.cpu_s) / seconds:.1%} of a core",
        (
            f"memory: {first.anonymous_bytes / mib:.1f} MiB, {early:+.2%} in the first {full.at_s - first.at_s:.0f} s, "
            f"{late:+.2%} in the {last.at_s - full.at_s:.0f} s since"
        ),
        f"memory with mapped files: {first.resident_bytes / mib:.1f} MiB, {resident:+.2%} since",
    ]
    for name in QUEUES:
        values = [sample.queues[name] for sample in samples]
        lines.append(f"{name}: median {median(values):.0f}, most {max(values):.0f}, at the end {values[-1]:.0f}")
    for name, (p50_us, p99_us) in last.latencies_us.items():
        before_us = first.latencies_us[name][1]
        lines.append(f"{name}: median {p50_us:.0f} us, p99 {p99_us:.0f} us, {before_us:.0f} us at first")
    times = last.counters.get(LATE, 0) - first.counters.get(LATE, 0)
    refused = {name: count for name, count in last.counters.items() if "refused" in name and count}
    lines.append(f"{LATE}: {times}; refused since the start: {refused}")
    return "\n".join(lines)


def write_settings(folder: Path, url: str, markets: int, cpu: int) -> Path:
    """Settings of an engine that may use all that the venue allows one, and whose risk limits do not bind."""
    key = folder / "engine.key"
    key.touch(mode=0o600)
    key.write_text(f"0x{test_key(SEED).hex()}\n")
    names = ", ".join(f'"M{place}"' for place in range(markets))
    path = folder / "settings.toml"
    path.write_text(
        f"""
[account]
network = "local"
base_url = "{url}"
address = "{test_signer(SEED).address}"
key_file = "{key}"

[engine]
coins = [{names}]
state_folder = "{folder / "state"}"
cpu = {cpu}

[strategy]
name = "{STRATEGY}"

[risk]
position_notional_usdc_max = 1000000
exposure_notional_usdc_max = 100000000
order_notional_usdc_max = 100000
rejections_max = 0

[limits]
open_orders_max = 5000

[limits.share]
engine_percent = 95
watchdog_percent = 5
recorder_percent = 0
tools_percent = 0
"""
    )
    return path


@contextlib.contextmanager
def serving(markets: int) -> Iterator[int]:
    """The exchange, on the processors of this process; its port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.fifty_exchange", str(port), str(markets)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment())
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the exchange did not start"
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def watch(engine: Process, control: ControlClient, port: int, seconds: float) -> list[Sample]:
    """Samples of a run, from a minute after the first quotes on."""
    deadline_s = time.monotonic() + START_S
    while (told := _status(control)) is None or told.stage != "quoting":
        assert engine.is_running and time.monotonic() < deadline_s, engine.output
        time.sleep(0.2)
    begin_s, samples = time.monotonic(), list[Sample]()
    next_s = begin_s + min(SETTLE_S, seconds / 3)
    while next_s <= begin_s + seconds:
        time.sleep(max(next_s - time.monotonic(), 0.0))
        told = _status(control)
        assert told is not None, f"{time.monotonic() - begin_s:.0f} s after its first quotes: {engine.output}"
        samples.append(sampled(engine.popen.pid, told, port))
        next_s += SAMPLE_S
    return samples


def _status(control: ControlClient) -> Status | None:
    """What the engine says; None when it does not answer on a new connection either."""
    for _ in range(2):
        try:
            return control.status()
        except ControlError:
            control.close()
    return None


def main() -> int:
    """As the module says."""
    parser = argparse.ArgumentParser(description="Fifty markets quoted by a real engine.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long; the first is not measured")
    parser.add_argument("--markets", type=int, default=COUNT)
    given = parser.parse_args()
    # What was started ends with it, however it is ended.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    cpus, about = sorted(os.sched_getaffinity(0)), facts()
    if len(cpus) < 2:
        print("NOT MEASURED: the exchange and the engine need a processor each, and there is one")
        return 1
    os.sched_setaffinity(0, {cpus[0]})  # and the exchange's, which inherits it; the engine goes to the last one
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary,
        serving(given.markets) as port,
    ):
        folder = Path(temporary)
        settings = write_settings(folder, f"http://127.0.0.1:{port}", given.markets, cpus[-1])
        engine = Process(["run", "--config", str(settings)], folder)
        try:
            with ControlClient(folder / "state" / "control.sock") as control:
                samples = watch(engine, control, port, 60 * given.minutes)
            code = engine.stop()
        finally:
            if engine.is_running:
                engine.kill()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(tally(samples, given.markets))
    failed = missed(samples, given.markets)
    if code != 0:
        failed.append(f"the engine ended with exit code {code}: {engine.output}")
    for sentence in failed:
        print(f"missed: {sentence}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
