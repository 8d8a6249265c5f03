"""Branch coverage of each pure module from its own test file, with compilation disabled.

    python tests/coverage_by_module.py [MODULE…]     for example core/book venue/queue

Exits 1 when a module lies below the least share, or a test file fails or is missing. Tests marked `slow` are left out:
what only they reach is not covered by a test of that module.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "venue", "config", "backtest", "hyperliquid", "exchange", "live/journal")
# Of a room that performs effects, what decides or draws only.
ALSO = (
    *("live/covers.py", "live/profit.py", "live/screen.py", "live/screen_parts.py", "live/view.py"),
    *("live/node_health.py", "live/node_books.py", "live/node_agreement.py"),
    *("live/clock_offset.py", "live/sheet.py", "live/signal_judge.py", "monitor/block.py", "monitor/histogram.py"),
    *(f"alpha/{name}.py" for name in ("action", "barriers", "features", "labels", "observation", "schema", "splits")),
    *(f"alpha/{name}.py" for name in ("trials", "walking", "wire")),
    *(f"alpha/serving/{name}.py" for name in ("machine", "messages", "metrics", "table", "window")),
    *(f"alpha/evaluation/{name}.py" for name in ("bootstrap", "comparison", "metrics", "trips", "verdict", "words")),
    *(f"data/mining/{name}.py" for name in ("costs", "keys", "plan", "saying")),
    *(f"data/recorder/{name}.py" for name in ("hours", "latency", "marks", "cover", "queue", "assembly")),
    *("data/recorder/metrics.py", "data/recorder/status.py", "live/watchdog_metrics.py"),
    *(f"monitor/{name}.py" for name in ("collecting", "exporter", "host", "opening")),
    *(f"report/venue_{name}.py" for name in ("records", "split", "checks", "mids")),
    *("live/history_files.py", "live/history_report.py"),
)
# What talks over sockets is tested over sockets, and the order flow by what it looks like as a whole.
LEFT_OUT = ("exchange/server.py", "exchange/flow")
PERCENT_MIN = 95.0
PROCESSES = 2
SECONDS_MAX = 600


@dataclass(frozen=True)
class Result:
    """What one module's own test file reached; a failure in words, or nothing."""

    module: str
    branches: int
    branch_percent: float
    percent: float
    missing: str
    failure: str

    @property
    def is_enough(self) -> bool:
        return not self.failure and min(self.branch_percent, self.percent) >= PERCENT_MIN


def modules(wanted: list[str]) -> list[Path]:
    """The modules to measure, from the repository's root, sorted; those of `wanted` only, when it names any."""
    rooms = [path for room in ROOMS for path in (ROOT / "hlhft" / room).rglob("*.py")]
    found = (path.relative_to(ROOT) for path in (*rooms, *(ROOT / "hlhft" / name for name in ALSO)))
    left_out = tuple(f"hlhft/{name}" for name in LEFT_OUT)
    measured = sorted(path for path in found if path.name != "__init__.py" and not str(path).startswith(left_out))
    if not wanted:
        return measured
    named = {Path("hlhft", name).with_suffix(".py") for name in wanted}
    unknown = named - set(measured)
    if unknown:
        raise SystemExit(f"no such module: {', '.join(map(str, sorted(unknown)))}")
    return sorted(named)


def measure(module: Path) -> Result:
    """Runs the module's own test file and reads what it reached."""
    test = Path("tests", *module.parent.parts[1:], f"test_{module.name}")
    if not (ROOT / test).is_file():
        return Result(str(module), 0, 0.0, 0.0, "", f"there is no {test}")
    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder, "data"), Path(folder, "report.json")
        coverage = [sys.executable, "-m", "coverage"]
        pytest = ["-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", str(test)]
        tested = run([*coverage, "run", "--branch", f"--include={module}", f"--data-file={data}", *pytest])
        if tested.returncode != 0:
            return Result(str(module), 0, 0.0, 0.0, "", f"{test} fails\n{tested.stdout[-3000:]}{tested.stderr[-1000:]}")
        run([*coverage, "json", f"--data-file={data}", f"--include={module}", "-o", str(report), "-q"], check=True)
        (measured,) = json.loads(report.read_text())["files"].values()
    return summarise(str(module), measured)


def run(command: list[str], *, check: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=check, timeout=SECONDS_MAX
    )


def summarise(module: str, measured: dict) -> Result:
    """From coverage's own report of one file. A module without branches has all of them covered."""
    summary = measured["summary"]
    branches = summary["num_branches"]
    share = 100.0 * summary["covered_branches"] / branches if branches else 100.0
    lines = ", ".join(map(str, measured["missing_lines"][:12]))
    jumps = ", ".join(f"{start}->{end}" for start, end in measured["missing_branches"][:12])
    return Result(module, branches, share, summary["percent_covered"], "; ".join(filter(None, [lines, jumps])), "")


def main() -> int:
    """Measures, prints a table, and says by its exit code whether all is enough."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        results = list(pool.map(measure, modules(sys.argv[1:])))
    width = max(len(result.module) for result in results)
    print(f"{'module':<{width}}  branches  covered  with lines")
    for result in results:
        shares = f"{result.branches:8}  {result.branch_percent:6.1f}%  {result.percent:9.1f}%"
        print(f"{result.module:<{width}}  {shares}  {'' if result.is_enough else 'TOO LITTLE  ' + result.missing}")
    for result in results:
        if result.failure:
            print(f"\n{result.module}: {result.failure}")
    lacking = [result.module for result in results if not result.is_enough]
    print(f"\n{len(results) - len(lacking)} of {len(results)} modules reach {PERCENT_MIN:g} % from their own test file")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
