"""Many parameter sets over one recording: each set a lane a fee scenario, many lanes in one pass, passes on every core.

Books and features are computed once a pass; every lane has its own orders, position and risk, and its result is the
one that a backtest of that set alone would have given, byte for byte (tests/backtest/test_sweep.py). The compiled loop
runs without Python's lock, so threads fill the cores and share the recording's rows through the system's file cache.

Of a pass only figures and a sampled profit stay, so memory does not grow with the number of fills or records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hlhft.backtest.loop import RECORD_DTYPE
from hlhft.backtest.models import FeeScenario, parse_fees
from hlhft.backtest.parameter_sets import ParameterSets
from hlhft.backtest.recordings import Outline, Recording, RowFile, span_of
from hlhft.backtest.replay import Replay, ReplayOutput, prepare, run
from hlhft.backtest.session import Settings, identity_of, plan_of
from hlhft.core.risk import Breaker
from hlhft.core.state import Mode
from hlhft.units import Market

if TYPE_CHECKING:
    import pyarrow as pa

# Walking the rows costs as much as some eight lanes; from about a hundred on that share is lost in the rest, and above
# two hundred the lanes' own memory no longer fits the processor's second cache. Measured with the bench's quoter on the
# 345 s sample, ms a set: 16 lanes 5.0, 64 4.0, 192 3.7, 512 4.2.
LANES_PER_PASS = 192
SAMPLES_MAX = 1000  # points of a lane's profit that are kept
SAMPLE_NS_MIN = 1_000_000_000
PROGRESS_SECONDS = 0.1

FIGURE_DTYPE = np.dtype(
    [
        ("profit_micro", np.int64),  # change in equity, the position at the last mark or mid
        ("fee_micro", np.int64),  # paid; negative when rebates were more
        ("funding_micro", np.int64),  # received
        ("drawdown_micro", np.int64),  # largest fall of the sampled profit below its highest so far, >= 0
        ("volume_micro", np.int64),
        ("maker_volume_micro", np.int64),
        ("fills", np.int64),
        ("placed", np.int64),
        ("cancelled", np.int64),
        ("refused", np.int64),  # quotes that the risk gate did not let through
        ("quoted_ns", np.int64),  # time with orders on both sides, summed over markets
        ("halt_code", np.int64),  # hlhft.core.risk.Breaker of a lane that ended halted, 0 none
    ]
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """The sets that were finished, K of them, under C fee scenarios; T samples of profit."""

    settings: Settings
    recording: Recording | Outline
    parameters: ParameterSets
    scenarios: Sequence[FeeScenario]
    finished: np.ndarray  # int64[K]: their places in `parameters.sets`, ascending
    figures: np.ndarray  # FIGURE_DTYPE[K, C]
    times_ns: np.ndarray  # int64[T]: end of each sample; the last is the recording's end
    profit_micro: np.ndarray  # int64[K, C, T]: change in equity since the start
    interrupted: bool  # the user stopped it: some sets are missing
    shards: tuple[str, ...] = ()  # what each set ran over one by one, from no position; empty: all of it at once

    @property
    def start_ns(self) -> int:
        """When the recording begins."""
        return int(self.times_ns[0]) - self.settings.record_interval_ns

    @property
    def span_ns(self) -> int:
        """How long the recording is, in whole samples."""
        return len(self.times_ns) * self.settings.record_interval_ns

    def values(self, row: int) -> Mapping[str, float]:
        """The parameters that were said for the set in a row of the figures."""
        return self.parameters.sets[int(self.finished[row])]

    def metadata(self) -> dict[str, object]:
        """What identifies the sweep, without any clock: equal metadata means equal results."""
        settings = self.settings.record()
        settings.pop("params")
        return {
            **identity_of(self.settings, self.recording),
            "settings": settings,
            "parameters": {
                "method": self.parameters.method,
                "varied": list(self.parameters.varied),
                "sets": len(self.parameters.sets),
                "repeated": self.parameters.repeated,
            },
            **({"shards": list(self.shards)} if self.shards else {}),
            "finished": len(self.finished),
            "complete": not self.interrupted,
        }

    def table(self) -> pa.Table:
        """One row a set and fee scenario: the set's number, the scenario, its parameters and its figures."""
        import pyarrow as pa

        sets, scenarios = self.figures.shape
        columns: dict[str, object] = {
            "set": pa.array(np.repeat(self.finished, scenarios)),
            "scenario": pa.array([item.name for item in self.scenarios] * sets, pa.string()),
        }
        for name in self.parameters.sets[0]:
            values = np.array([self.values(row)[name] for row in range(sets)], np.float64)
            columns[f"param.{name}"] = pa.array(np.repeat(values, scenarios))
        flat = self.figures.reshape(-1)
        for name in FIGURE_DTYPE.names or ():
            if name != "halt_code":
                columns[name] = pa.array(np.ascontiguousarray(flat[name]))
        columns["halted_by"] = pa.array([halted_by(int(code)) for code in flat["halt_code"]], pa.string())
        return pa.table(columns)


def halted_by(code: int) -> str | None:
    """The name of the breaker that a lane ended halted by, None when it did not."""
    return Breaker(code).name.lower() if code else None


def sets_per_pass(sets: int, scenarios: int, jobs: int) -> int:
    """How many sets one pass holds: at most LANES_PER_PASS lanes, and as many passes as keep every core busy."""
    passes = -(-sets // max(1, LANES_PER_PASS // scenarios))
    passes = -(-passes // jobs) * jobs
    return -(-sets // passes)


def sampled_settings(settings: Settings, files: Sequence[RowFile]) -> Settings:
    """The settings with the sampling interval of a sweep: whole seconds, at most SAMPLES_MAX samples."""
    first, last = span_of(files)
    seconds = -(-(last - first) // (SAMPLES_MAX * SAMPLE_NS_MIN))
    return replace(settings, record_interval_ns=max(seconds, 1) * SAMPLE_NS_MIN)


def run_sweep(
    settings: Settings,
    recording: Recording,
    parameters: ParameterSets,
    *,
    jobs: int = 1,
    scenarios: Sequence[FeeScenario] | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Runs every set under every fee scenario on `jobs` cores; `scenarios` None takes those of `settings.fees`.

    `settings.params` and `settings.record_interval_ns` are not used: `parameters` and `sampled_settings` decide.
    `progress(rows done, rows in all)` is called from the caller's thread a few times a second. A KeyboardInterrupt,
    also one that `progress` raises, ends the sweep: passes that were finished are in the result. Raises ModelError,
    StrategyError and ReplayError, which loses them, and DataError for signals of another recording.
    """
    assert jobs >= 1 and parameters.sets
    if settings.signals is not None:
        settings.signals.check(recording)
    settings = sampled_settings(replace(settings, params={}), recording.files)
    scenarios = parse_fees(settings.fees) if scenarios is None else scenarios
    settings.strategy.address()  # compiled once, before threads would each wait for it
    first, last = span_of(recording.files)
    interval = settings.record_interval_ns
    times = first + interval * np.arange(1, max(-(-(last - first) // interval), 1) + 1)
    size = sets_per_pass(len(parameters.sets), len(scenarios), jobs)
    blocks = [parameters.sets[start : start + size] for start in range(0, len(parameters.sets), size)]
    work = partial(run_pass, settings, recording, scenarios, times)
    done, interrupted = _run_passes(work, blocks, jobs, progress, recording)
    count, figures, profit = 0, [], []
    finished = np.zeros(len(parameters.sets), bool)
    for number, block in enumerate(blocks):
        if number in done:
            finished[count : count + len(block)] = True
            figures.append(done[number][0])
            profit.append(done[number][1])
        count += len(block)
    empty = np.zeros((0, len(scenarios)), FIGURE_DTYPE), np.zeros((0, len(scenarios), len(times)), np.int64)
    return SweepResult(
        settings=settings,
        recording=recording,
        parameters=parameters,
        scenarios=scenarios,
        finished=np.flatnonzero(finished),
        figures=np.concatenate([empty[0], *figures]),
        times_ns=times,
        profit_micro=np.concatenate([empty[1], *profit]),
        interrupted=interrupted,
    )


_Pass = tuple[np.ndarray, np.ndarray]
_Work = Callable[[Sequence[Mapping[str, float]], Progress], _Pass]


def _run_passes(
    work: _Work,
    blocks: Sequence[Sequence[Mapping[str, float]]],
    jobs: int,
    progress: Progress | None,
    recording: Recording,
) -> tuple[dict[int, _Pass], bool]:
    """Runs `work` on every block; returns what was finished, by block, and whether it was interrupted."""
    rows = sum(file.rows_total for file in recording.files)
    passed = [0] * len(blocks)  # each written by one thread
    stop = threading.Event()

    def note(number: int, done: int, total: int) -> None:
        if stop.is_set():
            raise CancelledError
        passed[number] = done

    futures: dict[Future[_Pass], int] = {}
    interrupted = False
    with ThreadPoolExecutor(jobs, thread_name_prefix="sweep") as pool:
        try:
            for number, block in enumerate(blocks):
                futures[pool.submit(work, block, partial(note, number))] = number
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, PROGRESS_SECONDS, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    passed[futures[future]] = rows
                if progress is not None:
                    progress(min(sum(passed), rows * len(blocks)), rows * len(blocks))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            # Also on an error: passes that have not begun never do, the others end at their next window.
            stop.set()
            for future in futures:
                future.cancel()
    # Whatever came to its end counts, also between the interrupt and here.
    done = {number: future.result() for future, number in futures.items() if _is_whole(future)}
    return done, interrupted and len(done) < len(blocks)


def _is_whole(future: Future[_Pass]) -> bool:
    return not future.cancelled() and future.exception() is None


def run_pass(
    settings: Settings,
    recording: Recording,
    scenarios: Sequence[FeeScenario],
    times_ns: np.ndarray,
    sets: Sequence[Mapping[str, float]],
    progress: Progress,
) -> _Pass:
    """One pass over the recording: figures FIGURE_DTYPE[sets, scenarios] and profit int64[sets, scenarios, samples]."""
    replay = prepare(plan_of(settings, recording.markets, recording.streams(), scenarios, sets))
    output = run(replay, progress, keep_fills=False)
    profit = sampled_profit(recording.markets, output.records, len(sets) * len(scenarios), times_ns)
    figures = _figures(replay, output, profit)
    # Lanes have scenarios outermost, as every backtest's plan.
    shape = (len(scenarios), len(sets))
    return (
        np.ascontiguousarray(figures.reshape(shape).T),
        np.ascontiguousarray(profit.reshape(*shape, -1).swapaxes(0, 1)),
    )


def sampled_profit(markets: Sequence[Market], records: np.ndarray, lanes: int, times_ns: np.ndarray) -> np.ndarray:
    """Each lane's change in equity at the times, int64[lanes, T] micro-USDC, from RECORD_DTYPE `records` in order.

    At each time the last record at or before it counts, at the last time the last of all; where there is none yet,
    nothing has changed. A position is valued at the mark, at the last known mid where there is none.
    """
    assert records.dtype == RECORD_DTYPE
    profit = np.zeros((lanes, len(times_ns)), np.int64)
    for index, market in enumerate(markets):
        part = records[records["market"] == index]
        part = part[np.argsort(part["lane"], kind="stable")]
        ends = np.searchsorted(part["lane"], np.arange(lanes), side="right")
        start = 0
        for lane, end in enumerate(ends):
            own = part[start:end]
            place = np.searchsorted(own["ts_ns"], times_ns, side="right") - 1
            place[-1] = len(own) - 1  # its final state, which it may have reached after the last row
            marks = own["mark_ticks"]
            value = equity_micro(market, own, np.where(marks > 0, 2 * marks, known_half_ticks(own)))
            profit[lane] += np.where(place >= 0, value[np.maximum(place, 0)], 0) if len(own) else 0
            start = int(end)
    return profit


def known_half_ticks(records: np.ndarray) -> np.ndarray:
    """Best bid plus best ask, int64[R], of records of one lane and market; where one lacks, as last known, else 0."""
    bids, asks = records["best_bid_ticks"], records["best_ask_ticks"]
    known = (bids > 0) & (asks > 0)
    places = np.maximum.accumulate(np.where(known, np.arange(len(records)), 0))
    half_ticks: np.ndarray = np.where(known, bids + asks, 0)[places]
    return half_ticks


def equity_micro(market: Market, positions: np.ndarray, half_ticks: np.ndarray | int) -> np.ndarray:
    """Change in equity that records or positions of a market amount to, as the core values them, in micro-USDC.

    `half_ticks` is twice the price that values the position.
    """
    spec = market.record()[0]
    value = (2 * positions["cash_quanta"] + positions["position_lots"] * half_ticks) * spec["micro_numerator"]
    divisor = 2 * int(spec["micro_denominator"])
    # Truncated toward zero, as hlhft.core.risk.position_value_micro.
    micro: np.ndarray = np.where(value >= 0, value // divisor, -(-value // divisor))
    booked: np.ndarray = positions["funding_micro"] - positions["fee_micro"]
    return np.asarray(micro + booked)


def _figures(replay: Replay, output: ReplayOutput, profit: np.ndarray) -> np.ndarray:
    """FIGURE_DTYPE[L] of a pass."""
    lane, positions = output.lanes.lane[:, 0], output.lanes.positions
    figures = np.zeros(len(lane), FIGURE_DTYPE)
    figures["profit_micro"] = profit[:, -1]
    figures["drawdown_micro"] = (np.maximum.accumulate(np.maximum(profit, 0), axis=1) - profit).max(axis=1)
    for name in ("fee_micro", "funding_micro", "fills", "quoted_ns"):
        figures[name] = positions[name].sum(axis=1)
    for index, market in enumerate(replay.plan.markets):
        spec = market.record()[0]
        numerator, denominator = int(spec["micro_numerator"]), int(spec["micro_denominator"])
        maker, taker = positions[:, index]["maker_quanta"], positions[:, index]["taker_quanta"]
        figures["maker_volume_micro"] += maker * numerator // denominator
        figures["volume_micro"] += (maker + taker) * numerator // denominator
    for name in ("placed", "cancelled", "refused"):
        figures[name] = lane[name]
    figures["halt_code"] = np.where(lane["mode"] == Mode.HALTED, lane["halt_code"], 0)
    return figures
