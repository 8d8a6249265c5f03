"""`make bench-flow`: the synthetic order flow against recordings, and how fast it is.

    python tests/bench/flow.py [--short] [COIN…]

Each coin is rehearsed with five seeds; the figures, averaged over the seeds, are held against those minutes of the
recording that the flow was not fitted to. A figure that is farther off than 25 % has to stand in EXPLAINED, with its
reason, or the bench fails; nothing else excuses it. Where the reason is that the recording does not know the figure,
the bench holds the recording to it: its own two halves must be farther apart than that. What stands there and comes
near all the same is named, so that the list shrinks. The markouts of BTC, of which half an hour knows least, are also
held against an hour of seven other days, which the fit did not see. Naive quoters (tests/bench/naive.py) follow.

The full run of all coins writes docs/benchmarks-flow.md and docs/benchmarks-flow.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hlhft.data.markets import find  # noqa: E402
from hlhft.data.sources import open_source  # noqa: E402
from hlhft.exchange.flow.calibration import simulated  # noqa: E402
from hlhft.exchange.flow.parameters import shipped  # noqa: E402
from hlhft.exchange.flow.recordings import market_data  # noqa: E402
from hlhft.exchange.flow.rehearsal import DEPTH_DTYPE, START_NS, new_rehearsal  # noqa: E402
from hlhft.exchange.flow.statistics import (  # noqa: E402
    BLOCK_NS,
    NAMES,
    SILENCE_NS,
    Int64,
    MarketData,
    errors,
    measure,
)
from tests.bench.figures import Figure, machine  # noqa: E402
from tests.bench.fit_flow import RECORDING  # noqa: E402
from tests.bench.flow_reasons import EXPLAINED, HALVES_DIFFER, MARGIN_BP  # noqa: E402
from tests.bench.naive import AWAY_BP, in_market, on_recording  # noqa: E402

COINS = ("BTC", "ETH", "SOL", "WLFI")
OTHER_DAYS, OTHER_RECORDING = "BTC, other days", "hyperliquid/btc_bbo_trades_202509"
SEEDS = range(1, 6)
SECONDS, SECONDS_SHORT = 7_200.0, 1_800.0
SHARE_MAX = 0.25
SECTION = "the synthetic order flow against recordings"

SPEED_SECONDS, SPEED_SECONDS_SHORT = 7_200.0, 1_800.0
SPEED_MIN = 96.0  # 24 hours of four coins in 15 minutes
GROWTH_MAX = 0.05


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of one coin: of the flow, and of both parts of the recording with the error of their difference."""

    coin: str
    name: str
    flow: float
    between_seeds: float
    recorded: float
    fitted_to: float | None  # None: other days, no part of which was fitted to
    recorded_error: float
    reason: str

    @property
    def is_near(self) -> bool:
        """Whether the flow is within 25 % of the part it was not fitted to."""
        return abs(self.flow - self.recorded) <= SHARE_MAX * abs(self.recorded)

    @property
    def halves_differ(self) -> bool:
        """Whether the recording itself is not."""
        if self.fitted_to is None:
            return False
        return abs(self.fitted_to - self.recorded) > SHARE_MAX * abs(self.recorded)

    @property
    def verdict(self) -> str:
        """`near`, `explained`, or what is wrong: a miss without a reason, or with one that does not hold."""
        if self.is_near:
            return "near, take it off the list" if self.reason else "near"
        if not self.reason:
            return "MISSED"
        return "UNTRUE REASON" if self.reason.startswith(HALVES_DIFFER) and not self.halves_differ else "explained"


@dataclass(frozen=True, kw_only=True)
class Naive:
    """What a naive quoter got before fees, in basis points of what it traded."""

    coin: str
    away_bp: float
    flow_bp: float
    between_seeds: float
    flow_usdc: float
    recorded_bp: float
    recorded_usdc: float

    @property
    def is_met(self) -> bool:
        """Whether it gets no more than on the recording, but for the margin, and nothing at all at the touch."""
        wins = self.away_bp <= 0.0 and self.flow_bp > 0.0
        return not wins and self.flow_bp <= self.recorded_bp + MARGIN_BP[self.away_bp]


def compare(coin: str, folder: Path, *, seconds: float) -> list[Row]:
    """The rows of one coin, in the order of the figures."""
    data = market_data(open_source(folder / f"trades_{coin}.csv.gz"))
    blocks = data.blocks()
    fitted, other = measure(data, blocks[::2]).values(), measure(data, blocks[1::2]).values()
    unsure = np.hypot(errors(data, blocks[::2]), errors(data, blocks[1::2]))
    runs = [simulated(data.market, shipped()[coin], seed=seed, seconds=seconds) for seed in SEEDS]
    found = np.array([measure(run, run.blocks()).values() for run in runs])
    return [
        Row(
            coin=coin,
            name=name,
            flow=float(found[:, row].mean()),
            between_seeds=float(found[:, row].std()),
            recorded=float(other[row]),
            fitted_to=float(fitted[row]),
            recorded_error=float(unsure[row]),
            reason=EXPLAINED.get((coin, name), ""),
        )
        for row, name in enumerate(NAMES)
    ]


def covered(data: MarketData) -> Int64:
    """The blocks of recorded sessions in which, and in the minute after which, the recorder was never silent."""
    ts_ns = data.touches["ts_ns"]
    silent = np.flatnonzero(np.diff(ts_ns) > SILENCE_NS)
    begins, ends = np.append(ts_ns[0], ts_ns[silent + 1]), np.append(ts_ns[silent], ts_ns[-1])
    starts = ts_ns[0] + data.blocks() * BLOCK_NS
    session = np.searchsorted(begins, starts, side="right") - 1
    return np.asarray(data.blocks()[starts + 2 * BLOCK_NS <= ends[session]])


def compare_other_days(folder: Path, *, seconds: float) -> list[Row]:
    """The markouts of BTC against sessions of other days, which have no depth."""
    data = market_data(open_source(folder / "trades_BTC.csv.gz"))
    blocks = covered(data)
    depths = np.zeros(len(blocks), DEPTH_DTYPE)
    depths["ts_ns"] = data.touches["ts_ns"][0] + blocks * BLOCK_NS
    data = replace(data, depths=depths)
    recorded, unsure = measure(data, blocks).values(), errors(data, blocks)
    runs = [simulated(data.market, shipped()["BTC"], seed=seed, seconds=seconds) for seed in SEEDS]
    found = np.array([measure(run, run.blocks()).values() for run in runs])
    return [
        Row(
            coin=OTHER_DAYS,
            name=name,
            flow=float(found[:, row].mean()),
            between_seeds=float(found[:, row].std()),
            recorded=float(recorded[row]),
            fitted_to=None,
            recorded_error=float(unsure[row]),
            reason=EXPLAINED.get((OTHER_DAYS, name), ""),
        )
        for row, name in enumerate(NAMES)
        if "markout" in name
    ]


def naive(coin: str, folder: Path, *, seconds: float) -> list[Naive]:
    """The naive quoters in one coin's synthetic market and on its recording."""
    runs = [in_market(find(coin), shipped()[coin], seed=seed, seconds=seconds) for seed in SEEDS]
    recorded = on_recording(open_source(folder / f"trades_{coin}.csv.gz"))
    rows = []
    for place, away_bp in enumerate(AWAY_BP):
        profits = np.array([run[place].profit_bp for run in runs])
        volumes = np.array([run[place].volume_usdc for run in runs])
        rows.append(
            Naive(
                coin=coin,
                away_bp=away_bp,
                flow_bp=float((profits * volumes).sum() / max(volumes.sum(), 1.0)),
                between_seeds=float(profits.std()),
                flow_usdc=float(volumes.sum()),
                recorded_bp=recorded[place].profit_bp,
                recorded_usdc=recorded[place].volume_usdc,
            )
        )
    return rows


def speed(*, seconds: float) -> tuple[float, float]:
    """Simulated seconds a second for all coins on one exchange, and the growth of memory in its second half."""
    rehearsal = new_rehearsal([find(c) for c in COINS], [shipped()[c] for c in COINS], seed=1, seconds=seconds)
    rehearsal.run_until(START_NS + 10**9)
    rehearsal.tape.touches.fill(0)
    rehearsal.tape.trades.fill(0)
    began = time.perf_counter()
    rehearsal.run_until(START_NS + round(seconds / 2 * 1e9))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rehearsal.run_until(START_NS + round(seconds * 1e9))
    took = time.perf_counter() - began
    return seconds / took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / before - 1


def table(rows: Sequence[Row]) -> list[str]:
    """The figures of one coin as a table, what is explained and what is wrong below it."""
    lines = [
        "| figure | flow | between seeds | recorded, compared | recorded, fitted | error of both | ratio | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        fitted_to = "" if row.fitted_to is None else f"{row.fitted_to:.4g}"
        lines.append(
            f"| {row.name} | {row.flow:.4g} | {row.between_seeds:.2g} | {row.recorded:.4g} | {fitted_to}"
            f" | {row.recorded_error:.2g} | {row.flow / row.recorded:.2f} | {row.verdict} |"
        )
    explained = [f"- {row.name}: {row.reason}" for row in rows if row.reason and not row.is_near]
    return [*lines, *([""] if explained else []), *explained]


def naive_table(rows: Sequence[Naive]) -> list[str]:
    """The naive quoters of all coins as a table."""
    lines = [
        "| coin | from the touch | flow | between seeds | traded | recorded | traded | margin | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row.coin} | {row.away_bp:+g} bp | {row.flow_bp:.2f} bp | {row.between_seeds:.2g} |"
            f" ${row.flow_usdc:,.0f} | {row.recorded_bp:.2f} bp | ${row.recorded_usdc:,.0f} |"
            f" {MARGIN_BP[row.away_bp]:g} bp | {'no more' if row.is_met else 'WINS HERE'} |"
        )
    return lines


def figures_of(rows: Sequence[Row], quoters: Sequence[Naive], times: float, growth: float) -> list[Figure]:
    """What the bench promises of all this."""
    near = sum(row.is_near for row in rows)
    wrong = sum(not row.verdict.startswith(("near", "explained")) for row in rows)
    winners = sum(not row.is_met for row in quoters)
    return [
        Figure(SECTION, f"figures within 25 %, of {len(rows)}", near, ""),
        Figure(SECTION, "figures that miss without a reason", wrong, "", maximum=0, gate=len(rows) // 8),
        Figure(SECTION, "listed reasons that are not needed", sum("list" in row.verdict for row in rows), ""),
        Figure(SECTION, "naive quoters that win here and not on the recording", winners, "", maximum=0, gate=2),
        Figure(SECTION, "simulated seconds a second, four coins", times, "", minimum=SPEED_MIN),
        Figure(SECTION, "growth of memory", growth, "", maximum=GROWTH_MAX),
    ]


def flow(recordings: Path, *, short: bool, coins: Sequence[str] = COINS) -> list[Figure]:
    """The section's figures; prints its tables, and writes them unless the run is short or not of all coins."""
    folder = recordings / RECORDING
    seconds = SECONDS_SHORT if short else SECONDS
    rows: list[Row] = []
    quoters: list[Naive] = []
    page: list[str] = []
    for coin in coins:
        parts = {coin: compare(coin, folder, seconds=seconds)}
        if coin == "BTC":
            parts[OTHER_DAYS] = compare_other_days(recordings / OTHER_RECORDING, seconds=seconds)
        for title, found in parts.items():
            lines = [f"## {title}", "", *table(found), ""]
            print("\n".join(lines), flush=True)
            page += lines
            rows += found
        quoters += naive(coin, folder, seconds=seconds)
    last = ["## Naive quoters, before fees", "", *naive_table(quoters), ""]
    print("\n".join(last), flush=True)
    figures = figures_of(rows, quoters, *speed(seconds=SPEED_SECONDS_SHORT if short else SPEED_SECONDS))
    if not short and tuple(coins) == COINS:
        write(figures, rows, quoters, [*page, *last], ROOT / "docs")
    return figures


def write(
    figures: Sequence[Figure], rows: Sequence[Row], quoters: Sequence[Naive], page: Sequence[str], folder: Path
) -> None:
    """Writes benchmarks-flow.md and benchmarks-flow.json into `folder`."""
    facts = machine()
    head = ["# The synthetic order flow, measured", ""]
    head += ["Written by `make bench-flow`; [tests/bench](../tests/bench/README.md) says how.", ""]
    head += [", ".join(f"{name} {value}" for name, value in facts.items()) + ".", ""]
    head += [f"- {figure.name}: {figure.value:,.4g} {figure.promise}".rstrip() for figure in figures]
    (folder / "benchmarks-flow.md").write_text("\n".join([*head, "", *page]))
    content = {
        "machine": facts,
        "figures": [asdict(figure) for figure in figures],
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "naive": [{**asdict(row), "is_met": row.is_met} for row in quoters],
    }
    (folder / "benchmarks-flow.json").write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Runs everything; 1 when a figure misses without a reason."""
    parser = argparse.ArgumentParser(description="Holds the synthetic order flow against recordings.")
    parser.add_argument("--short", action="store_true", help="a quarter of the time, wide gates, nothing written")
    parser.add_argument("coins", nargs="*")
    given = parser.parse_args()
    recordings = os.environ.get("HLHFT_RECORDINGS")
    if not recordings:
        print("NOT MEASURED: HLHFT_RECORDINGS names no folder of recordings, and the comparison is with them")
        return 0
    figures = flow(Path(recordings), short=given.short, coins=tuple(given.coins) or COINS)
    failed = [figure for figure in figures if not (figure.passes_gate if given.short else figure.is_met)]
    for figure in figures:
        verdict = "NOT REACHED" if figure in failed else ""
        print(f"{figure.name}: {figure.value:,.4g} {figure.promise} {verdict}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
