"""Every metric, once: its name, kind, labels and meaning.

Writers, exporter, dashboards, alerts and documentation are made of this list, or tested against it.

Names follow Prometheus's own conventions: base units (seconds, bytes, ratios; money in USDC), the unit last, counters
end in `_total`. A ratio is 1 for the whole.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """How a metric changes."""

    COUNTER = "counter"  # never falls while its process lives
    GAUGE = "gauge"
    HISTOGRAM = "histogram"  # of times, written as whole nanoseconds, shown in seconds


class Source(StrEnum):
    """The process that knows it. All but the exporter write a block of their own."""

    ENGINE = "engine"
    WATCHDOG = "watchdog"
    ALPHA = "alpha"
    RECORDER = "recorder"
    EXPORTER = "exporter"  # what it reads from the system, and about the other processes


class Metric(NamedTuple):
    """One metric. `labels` are those of its series, beside what the exporter adds to all of a process."""

    name: str
    kind: Kind
    source: Source
    labels: tuple[str, ...]
    help: str


# What the exporter adds to every series of an engine's block: whose account it is.
PROCESS_LABELS: dict[Source, tuple[str, ...]] = {
    Source.ENGINE: ("account",),
    Source.WATCHDOG: ("account",),
    Source.ALPHA: (),
    Source.RECORDER: (),
    Source.EXPORTER: (),
}

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM


def _of(source: Source, rows: tuple[tuple[str, Kind, str, str], ...]) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"hlhft_{name}", kind, source, tuple(labels.split()), text) for name, kind, labels, text in rows
    )


_ENGINE = (
    # What it is, and what it does.
    ("engine_info", _G, "network strategy session", "1; the network, the strategy and the number of the session."),
    ("stage", _G, "stage", "1 for the stage that the engine is in, 0 for the others."),
    ("halted", _G, "", "1 while a breaker or an operator keeps it from trading until an operator resumes."),
    ("stage_changes_total", _C, "", "Times the stage changed."),
    ("breaker_tripped", _G, "breaker", "1 while this breaker keeps it from quoting."),
    ("breaker_latched", _G, "breaker", "1 while this breaker holds until an operator resumes."),
    # Money.
    ("equity_usdc", _G, "", "Value of the account at the marks, with what was deposited and withdrawn."),
    ("equity_start_usdc", _G, "", "The same at the start of the session."),
    ("equity_peak_usdc", _G, "", "Highest equity of the last hour, deposits and withdrawals left out."),
    ("drawdown_ratio", _G, "", "Share of the hour's peak that is lost."),
    ("drawdown_limit_ratio", _G, "", "Share at which the breaker trips."),
    (
        "profit_usdc",
        _G,
        "market part",
        "Profit of the session by what it came from: spread, inventory, basis, fees, rebates, funding.",
    ),
    ("profit_total_usdc", _G, "market", "Profit of the session: the change in equity that this market made."),
    ("profit_realised_usdc", _G, "market", "What closed trades gained, at average cost, before fees and funding."),
    (
        "profit_unrealised_usdc",
        _G,
        "market",
        "What the open position gained since it was bought, at average cost and the mark.",
    ),
    ("profit_residual_usdc", _G, "market", "Total less all parts; anything but 0 is an error."),
    ("position_size", _G, "market", "Signed position in units of the coin."),
    ("position_usdc", _G, "market", "Signed value of the position at its mark."),
    ("position_limit_usdc", _G, "market", "Largest value that the settings allow; 0 for none."),
    ("inventory_skew_percent", _G, "market", "Position as a share of its limit, -100 to 100."),
    ("exposure_usdc", _G, "", "Worst-case exposure of all markets, with every order that could still fill."),
    ("exposure_limit_usdc", _G, "", "Exposure beyond which no order is approved; 0 for none."),
    ("margin_distance_ratio", _G, "", "How far equity is above what liquidates, as a share of equity."),
    (
        "fee_ratio",
        _G,
        "market liquidity",
        "What a fill costs by the venue's word, below 0 for a rebate; maker or taker.",
    ),
    ("funding_rate_ratio", _G, "market", "Hourly funding rate that longs pay shorts."),
    # Markets and data.
    ("best_price", _G, "market side", "Best price at the venue, bid or ask."),
    ("mark_price", _G, "market", "The venue's mark."),
    ("feed_fresh", _G, "market", "1 while the market's data are young enough to quote from."),
    ("feed_age_seconds", _G, "market", "Time since the newest data of the market."),
    (
        "feed_latency_seconds",
        _H,
        "",
        "From the venue's time of a book to its receipt here; clocks compared at the start.",
    ),
    ("connected", _G, "connection", "1 while the connection is live."),
    ("connection_age_seconds", _G, "connection", "Time since something was heard on it."),
    ("reconnects_total", _C, "connection", "Times it was lost and made anew."),
    ("frames_total", _C, "", "Frames of the venue that were read."),
    ("frame_faults_total", _C, "", "Frames, or items of one, that could not be read."),
    # Quotes, orders, fills.
    ("quotes", _G, "market side", "Own orders that rest, buy or sell."),
    ("quote_distance_ratio", _G, "market side", "Distance of the best own order from the mid, as a share of the mid."),
    ("quoting", _G, "market", "1 while orders rest on both sides."),
    ("quoting_seconds_total", _C, "market", "Time with orders on both sides."),
    ("trading_seconds_total", _C, "", "Time since the session's first decision: what quoting could have been."),
    ("fills_total", _C, "market side liquidity", "Own fills; buy or sell, maker or taker."),
    ("filled_usdc_total", _C, "market side liquidity", "What they were worth."),
    ("orders_placed_total", _C, "", "Orders decided by the core."),
    ("orders_cancelled_total", _C, "", "Cancels decided by the core."),
    ("rejections_total", _C, "", "Orders that the venue refused, without those that would have crossed."),
    ("quotes_refused_total", _C, "", "Quotes of the strategy that the gate refused."),
    ("orders_open", _G, "", "Orders that could still fill."),
    ("unknown_orders", _G, "", "Orders whose fate is unknown."),
    ("unknown_order_age_seconds", _G, "", "For how long the oldest of them has been; 0 for none."),
    ("illegal_transitions_total", _C, "", "Orders that did what they cannot do."),
    ("strategy_failures_total", _C, "", "Answers of the strategy that were none."),
    ("decisions_total", _C, "", "Decisions of the core."),
    # Budgets.
    (
        "budget_used",
        _G,
        "budget",
        "What is used of a budget: messages, posts, open_orders, address_actions, http_weight.",
    ),
    ("budget_limit", _G, "budget", "Its ceiling."),
    ("budget_ratio", _G, "budget", "The used share of it."),
    ("budget_reserve_ratio", _G, "budget", "The share that is kept for cancels; less left than this stops placing."),
    # Times.
    (
        "tick_to_trade_seconds",
        _H,
        "",
        "From a frame's arrival to the last byte of the order it led to, with the loop's lateness.",
    ),
    ("acknowledgement_seconds", _H, "", "From an order's last byte to the venue's answer."),
    ("step_seconds", _H, "", "From a frame in hand to the end of the core's step: decoding, book, decision."),
    ("loop_lateness_seconds", _H, "", "How late the event loop's beats are."),
    (
        "clock_offset_seconds",
        _G,
        "",
        "This clock less the venue's, as measured when the engine started or compared last.",
    ),
    ("clock_step_seconds", _G, "", "Largest jump of the clock in this session."),
    # What it remembers.
    ("journal_lag_seconds", _G, "", "For how long the oldest record has waited for the disk."),
    ("journal_sync_seconds", _H, "", "Time that a synchronisation with the disk takes."),
    ("journal_bytes_total", _C, "", "Bytes appended to the journal."),
    ("journal_trouble", _G, "", "1 while the journal cannot go on."),
    ("store_failures_total", _C, "", "Writes to the store that failed."),
    ("reconciliations_total", _C, "", "Comparisons with the venue's account that ended."),
    ("reconciliation_age_seconds", _G, "", "Time since the last of them."),
    # Who cancels when it cannot.
    ("loss_covered", _G, "loss", "1 while something cancels when this is lost: engine, host, both."),
    ("watchdog_heard", _G, "place", "1 while the watchdog answers the engine's beats; local or remote."),
    # Models.
    ("signal_bp", _G, "market", "Expected move by the signal that stands; 0 for none."),
    ("signal_deviation_bp", _G, "market", "Its standard deviation; 0 for none."),
    ("signal_standing", _G, "market", "1 while a signal stands that has not expired."),
    ("signal_age_seconds", _G, "market", "Time since the data that the newest signal was made of."),
    ("signal_data_age_seconds", _H, "", "Age of the data of a signal when it comes."),
    ("signals_expected", _G, "", "1 where the settings have a model tell signals."),
    (
        "signals_judged_total",
        _C,
        "market outcome",
        "Signals whose horizon has passed: hit, miss, or flat where nothing moved.",
    ),
    (
        "signal_surprise_total",
        _C,
        "market",
        "Sum of squared errors of judged signals, each in its own deviations: by signal, 1 is calibrated.",
    ),
    ("policy_standing", _G, "market", "1 while a policy's decision stands."),
    (
        "policy_output",
        _G,
        "market output",
        "What it makes of the parameters: gamma, signal and spread as factors, asymmetry as a share.",
    ),
)

_WATCHDOG = (
    ("watchdog_state", _G, "state", "1 for the state that the watchdog is in, 0 for the others."),
    ("watchdog_beat_age_seconds", _G, "", "Time since the engine's last beat that was believed."),
    ("watchdog_beats_total", _C, "", "Beats of the engine that were believed."),
    ("watchdog_beats_refused_total", _C, "", "Beats that were not: another secret, old, or out of order."),
    ("watchdog_sweeps_total", _C, "", "Times it cancelled for an engine that was gone."),
    ("watchdog_orders", _G, "", "Own orders that the last listing showed."),
    ("watchdog_venue_age_seconds", _G, "", "Time since the venue last answered it."),
    ("watchdog_schedule_seconds", _G, "", "Time until the venue cancels by itself; 0 where it was not told to."),
)

_ALPHA = (
    ("alpha_info", _G, "model", "1 for each model or policy that is served."),
    ("inference_seconds", _H, "", "From a row in hand to its signal sent."),
    ("alpha_rows_total", _C, "", "Rows of features that came."),
    ("alpha_rows_lost_total", _C, "", "Rows that did not come and were asked for again."),
    ("alpha_signals_total", _C, "", "Signals and decisions that were sent."),
    ("alpha_row_age_seconds", _G, "", "Time since the last row."),
)

_RECORDER = (
    ("recorder_frames_total", _C, "", "Frames that were recorded."),
    ("recorder_bytes_total", _C, "", "Bytes of them."),
    ("recorder_age_seconds", _G, "", "Time since the last frame."),
    ("recorder_gaps_total", _C, "", "Times that something was missed."),
    ("recorder_gap_open", _G, "", "1 while something is being missed."),
    ("recorder_gap_seconds_total", _C, "", "Time that is missing."),
    ("recorder_queue_bytes", _G, "", "What waits for the disk."),
)

_EXPORTER = (
    ("build_info", _G, "process version revision", "1; the version and the revision that the process was built from."),
    ("process_up", _G, "process", "1 while the process lives and writes its block."),
    ("process_expected", _G, "process", "1 for a process that the settings have run here."),
    ("process_start_time_seconds", _G, "process", "When it started, in seconds since 1970."),
    ("process_beat_age_seconds", _G, "process", "Time since it wrote its block."),
    ("process_cpu_seconds_total", _C, "process", "Processor time it used."),
    ("process_resident_bytes", _G, "process", "Memory it holds."),
    (
        "host_cpu_seconds_total",
        _C,
        "cpu mode",
        "Time of each processor: user, nice, system, irq, softirq, steal, iowait, idle.",
    ),
    ("host_cpu_isolated", _G, "cpu", "1 for a processor that the kernel gives nobody by itself."),
    (
        "host_irqs_on_isolated_cpus",
        _G,
        "",
        "Interrupts that may be served by an isolated processor because they could not be moved.",
    ),
    ("host_memory_bytes", _G, "", "Memory of the host."),
    ("host_memory_available_bytes", _G, "", "What of it can still be had."),
    ("host_clock_offset_seconds", _G, "", "What the kernel still corrects of its clock."),
    ("host_clock_error_seconds", _G, "", "Largest error of the clock by the kernel's own estimate."),
    ("host_clock_synchronised", _G, "", "1 while something keeps the clock by a reference."),
    ("disk_bytes", _G, "folder", "Size of the file system of a folder: state, journal, catalogue."),
    ("disk_free_bytes", _G, "folder", "What of it can still be written."),
)

METRICS: tuple[Metric, ...] = (
    *_of(Source.ENGINE, _ENGINE),
    *_of(Source.WATCHDOG, _WATCHDOG),
    *_of(Source.ALPHA, _ALPHA),
    *_of(Source.RECORDER, _RECORDER),
    *_of(Source.EXPORTER, _EXPORTER),
)
BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
