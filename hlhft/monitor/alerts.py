"""What a person is called for: every alert as data, and the rules that Prometheus evaluates made of it.

An alert is true when somebody has to do something: what hlhft mends by itself is on the dashboard. A page is for now,
by day and by night; a ticket is for today; the heartbeat fires always, so that a receiver outside the host notices when
nothing comes any more. Each has a section in docs/runbook.md under its name.

A limit is a metric of its own or a setting, and only the share of it at which somebody is called stands here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hlhft.config.settings import Config, Risk

RUNBOOK = "docs/runbook.md"
RULES_FILE = "hlhft.rules.json"
GROUP = "hlhft"
JOB = "hlhft"  # what Prometheus calls the exporters of all hosts

# Shares of a limit at which somebody is called.
DRAWDOWN_SHARE = 0.8
TICK_TO_TRADE_SHARE = 0.5
UNKNOWN_AGE_SHARE = 0.5
REJECTIONS_SHARE = 0.5
CLOCK_OFFSET_SHARE = 0.25  # the kernel shows no correction of its clock above half a second
REACTIONS_MIN = 100  # within five minutes
# A synchronisation of the journal takes a few milliseconds; what waits this many times its period is stuck.
JOURNAL_LAG_PERIODS = 25
# The journal goes on in a new file of full size; below this many, a busy hour may be the last.
DISK_SEGMENTS_MIN = 4
DISK_SHARE_MIN = 0.1
MEMORY_SHARE_MIN = 0.1
MEMORY_GROWTH = 1.5
RECONCILIATIONS_MISSED = 4
RESTARTS_MIN, RECONNECTS_MAX, GAPS_MAX = 3, 5, 5  # within their windows
# A watchdog's socket that hears nothing for 40 s is made anew (hlhft.live.watchdog); a minute is more than that.
WATCHDOG_VENUE_S = 60
# With 1 s between two scrapes, a range holds at least two of them.
WINDOW_S_MIN = 3.0

_MIB = 1 << 20
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


class Severity(StrEnum):
    """How soon a person is needed."""

    PAGE = "page"  # now
    TICKET = "ticket"  # today
    HEARTBEAT = "heartbeat"  # when it stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert: it fires once `expression` has selected something for `hold_s` seconds without a break.

    `summary` and `description` are templates of Prometheus over the labels and the value of what was selected.
    """

    name: str
    severity: Severity
    expression: str
    hold_s: float = 0
    summary: str
    description: str

    @property
    def anchor(self) -> str:
        """Its section's anchor in the runbook, whose headings are the names."""
        return self.name.lower()


def duration(seconds: float) -> str:
    """A time as Prometheus writes it, exact to a millisecond: 90 is 1m30s. Raises ValueError below 0."""
    left = round(seconds * 1000)
    if left < 0:
        raise ValueError(f"{seconds} s is no duration")
    text = ""
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def number(value: float) -> str:
    """A number as PromQL reads it, as short as it can be: 75 ms in seconds is 0.075."""
    return f"{value:.12g}"


def alerts(config: Config | None = None, *, pace: float = 1.0) -> tuple[Alert, ...]:
    """All alerts for the limits of these settings, the defaults' where there are none.

    `pace` is the share of their times that alerts wait and look back, as in a rehearsal that has no hours; above 0.
    """
    config = config or Config()
    assert pace > 0
    times = _Times(pace)
    return (
        *_of_processes(times),
        *_of_trading(times),
        *_of_orders(config, times),
        *_of_the_venue(config, times),
        *_of_money(times),
        *_of_connections(config, times),
        *_of_watchdogs(times),
        *_of_disks(config, times),
        *_of_host(times),
        *_of_helpers(times),
        Alert(
            name="Heartbeat",
            severity=Severity.HEARTBEAT,
            expression="vector(1)",
            summary="Alerts reach you",
            description="This fires always. Its receiver stands outside the host and calls when it stops coming.",
        ),
    )


def by_name(config: Config | None = None) -> dict[str, Alert]:
    """The alerts by their names."""
    return {alert.name: alert for alert in alerts(config)}


class _Times:
    """Times at a pace."""

    def __init__(self, pace: float) -> None:
        self._pace = pace

    def hold(self, seconds: float) -> float:
        """So long in seconds."""
        return seconds * self._pace

    def window(self, seconds: float) -> str:
        """A range so long, at least WINDOW_S_MIN, as it is written between brackets."""
        return duration(max(seconds * self._pace, WINDOW_S_MIN))


def _of_processes(times: _Times) -> tuple[Alert, ...]:
    missing = 'hlhft_process_expected{{process=~"{}"}} == 1 unless on (instance, process) hlhft_process_up == 1'
    return (
        Alert(
            name="ExporterDown",
            severity=Severity.PAGE,
            expression=f'up{{job="{JOB}"}} == 0',
            hold_s=times.hold(10),
            summary="No metrics from {{ $labels.instance }}",
            description="Prometheus cannot read the exporter of {{ $labels.instance }}: nothing of that host is "
            "watched, and none of its other alerts can fire.",
        ),
        Alert(
            name="ProcessDown",
            severity=Severity.PAGE,
            expression=missing.format("engine|watchdog"),
            # A restart, from compiled code in the cache, is over before.
            hold_s=times.hold(20),
            summary="{{ $labels.process }} is down on {{ $labels.instance }}",
            description="The {{ $labels.process }} should run on {{ $labels.instance }} and does not, or has stopped "
            "writing its numbers.",
        ),
        Alert(
            name="HelperDown",
            severity=Severity.TICKET,
            expression=missing.format("alpha|recorder"),
            hold_s=times.hold(120),
            summary="{{ $labels.process }} is down on {{ $labels.instance }}",
            description="The {{ $labels.process }} process should run on {{ $labels.instance }} and does not. Trading "
            "goes on without it.",
        ),
        Alert(
            name="ProcessRestarting",
            severity=Severity.PAGE,
            expression=f"changes(hlhft_process_start_time_seconds[{times.window(900)}]) >= {RESTARTS_MIN}",
            summary="{{ $labels.process }} keeps restarting on {{ $labels.instance }}",
            description="The {{ $labels.process }} on {{ $labels.instance }} started {{ $value }} times anew within "
            f"{times.window(900)}: it dies of something that a restart does not mend.",
        ),
    )


def _of_trading(times: _Times) -> tuple[Alert, ...]:
    latched = 'printf "hlhft_breaker_latched{account=%q} == 1" $labels.account | query | sortByLabel "breaker"'
    return (
        Alert(
            name="Halted",
            severity=Severity.PAGE,
            expression="hlhft_halted == 1",
            hold_s=times.hold(5),
            summary="Trading of {{ $labels.account }} is halted",
            description="The engine of {{ $labels.account }} is halted until an operator resumes it. It cancels its "
            "orders; positions stay, unless the drawdown or the margin breaker closed them."
            f"{{{{ range {latched} }}}} The breaker {{{{ .Labels.breaker }}}} holds it.{{{{ end }}}}",
        ),
        Alert(
            name="NotTrading",
            severity=Severity.PAGE,
            expression='hlhft_stage{stage!~"quoting|halted"} == 1',
            hold_s=times.hold(120),
            summary="{{ $labels.account }} does not quote: {{ $labels.stage }}",
            description="The engine of {{ $labels.account }} runs, is not halted, and has been {{ $labels.stage }} "
            f"for {duration(times.hold(120))}; its positions are managed by nobody.",
        ),
        Alert(
            name="StaleMarket",
            severity=Severity.PAGE,
            expression="hlhft_feed_fresh == 0 and on (instance, account, market) "
            "sum by (instance, account, market) (hlhft_quotes) > 0",
            # Quotes of a stale market are pulled at once; the venue's answer takes less than a second.
            hold_s=times.hold(5),
            summary="Orders rest in {{ $labels.market }} on old data",
            description="The data of {{ $labels.market }} are old and orders of {{ $labels.account }} still rest "
            "there: they should have been pulled.",
        ),
    )


def _of_orders(config: Config, times: _Times) -> tuple[Alert, ...]:
    risk = config.risk
    # Where a breaker is off, somebody is called where it would be by default.
    unknown_s = (risk.unknown_age_ms_max or Risk().unknown_age_ms_max) / 1000 * UNKNOWN_AGE_SHARE
    rejections = (risk.rejections_max or Risk().rejections_max) * REJECTIONS_SHARE
    return (
        Alert(
            name="UnknownOrder",
            severity=Severity.PAGE,
            expression=f"hlhft_unknown_order_age_seconds > {number(unknown_s)}",
            summary="The fate of an order of {{ $labels.account }} is unknown",
            description="For {{ $value | humanizeDuration }} nobody has known what became of an order of "
            "{{ $labels.account }}. Soon the engine halts.",
        ),
        Alert(
            name="RejectionStorm",
            severity=Severity.PAGE,
            expression=f"increase(hlhft_rejections_total[{times.window(risk.rejection_window_ms / 1000)}])"
            f" > {number(rejections)}",
            summary="The venue refuses orders of {{ $labels.account }}",
            description="{{ $value | humanize }} orders of {{ $labels.account }} were refused within "
            f"{times.window(risk.rejection_window_ms / 1000)}, others than post-only. Soon the engine halts.",
        ),
        Alert(
            name="BudgetBelowReserve",
            severity=Severity.PAGE,
            # Of open orders nothing is kept: there placing ends when all are used, and no more ever are.
            expression="hlhft_budget_ratio >= 1 - hlhft_budget_reserve_ratio",
            hold_s=times.hold(15),
            summary="{{ $labels.account }} has no {{ $labels.budget }} left to place with",
            description="{{ $value | humanizePercentage }} of the budget {{ $labels.budget }} is used, and what is "
            "left is kept for cancels: nothing is placed any more.",
        ),
    )


def _of_the_venue(config: Config, times: _Times) -> tuple[Alert, ...]:
    late_s = config.risk.tick_to_trade_ms_max / 1000 * TICK_TO_TRADE_SHARE
    return (
        Alert(
            name="TickToTradeNearLimit",
            severity=Severity.TICKET,
            # Of fewer, one in a hundred would be one that was unlucky.
            expression="histogram_quantile(0.99, sum by (instance, account, le) "
            f"(rate(hlhft_tick_to_trade_seconds_bucket[{times.window(300)}]))) > {number(late_s)} and on (instance, "
            f"account) increase(hlhft_tick_to_trade_seconds_count[{times.window(300)}]) >= "
            f"{number(times.hold(REACTIONS_MIN))}",
            hold_s=times.hold(60),
            summary="{{ $labels.account }} reacts slowly",
            description="One reaction of {{ $labels.account }} in a hundred takes {{ $value | humanizeDuration }} or "
            f"more; at {number(config.risk.tick_to_trade_ms_max)} ms all orders are cancelled.",
        ),
        Alert(
            name="FramesUnreadable",
            severity=Severity.TICKET,
            expression=f"increase(hlhft_frame_faults_total[{times.window(600)}]) > 0",
            summary="The venue writes something that {{ $labels.account }} cannot read",
            description="{{ $value | humanize }} frames or items of them could not be read within "
            f"{times.window(600)}; the markets that they were of become stale.",
        ),
        Alert(
            name="ReconciliationStale",
            severity=Severity.TICKET,
            expression="hlhft_reconciliation_age_seconds > "
            f"{number(config.engine.reconcile_ms / 1000 * RECONCILIATIONS_MISSED)}",
            summary="{{ $labels.account }} is not compared with the venue",
            description="Orders and positions of {{ $labels.account }} were compared with the venue's account "
            "{{ $value | humanizeDuration }} ago for the last time.",
        ),
    )


def _of_money(times: _Times) -> tuple[Alert, ...]:
    return (
        Alert(
            name="DrawdownNearLimit",
            severity=Severity.PAGE,
            expression=f"hlhft_drawdown_ratio > {DRAWDOWN_SHARE} * hlhft_drawdown_limit_ratio",
            hold_s=times.hold(5),
            summary="{{ $labels.account }} loses money fast",
            description="{{ $labels.account }} is {{ $value | humanizePercentage }} below the highest equity of the "
            "last hour. At its limit all is cancelled and closed at market.",
        ),
        Alert(
            name="ProfitUnexplained",
            severity=Severity.TICKET,
            expression="hlhft_profit_residual_usdc != 0",
            hold_s=times.hold(60),
            summary="The profit of {{ $labels.market }} does not add up",
            description="The change in equity that {{ $labels.market }} made and the sum of its parts differ by "
            "{{ $value }} USDC for {{ $labels.account }}: a record is missing, twice, or wrong.",
        ),
    )


def _of_connections(config: Config, times: _Times) -> tuple[Alert, ...]:
    offset_s = number(config.engine.clock_offset_ms_max / 1000 * CLOCK_OFFSET_SHARE)
    return (
        Alert(
            name="ReconnectStorm",
            severity=Severity.TICKET,
            expression=f"increase(hlhft_reconnects_total[{times.window(600)}]) > {RECONNECTS_MAX}",
            summary="The connection {{ $labels.connection }} of {{ $labels.account }} keeps breaking",
            description="It was lost {{ $value | humanize }} times within "
            f"{times.window(600)}. Each time one to the venue is, quotes are pulled and the account is compared anew.",
        ),
        Alert(
            name="ClockDrift",
            severity=Severity.TICKET,
            expression=f"abs(hlhft_host_clock_offset_seconds) > {offset_s} or "
            f"abs(hlhft_clock_offset_seconds) > {offset_s}",
            hold_s=times.hold(30),
            summary="The clock of {{ $labels.instance }} is off",
            description="The clock of {{ $labels.instance }} is {{ $value | humanizeDuration }} from its reference or "
            "from the venue's clock: ages are judged wrongly, and orders expire early or late.",
        ),
        Alert(
            name="ClockUnsynchronised",
            severity=Severity.TICKET,
            expression="hlhft_host_clock_synchronised == 0",
            hold_s=times.hold(300),
            summary="Nothing keeps the clock of {{ $labels.instance }}",
            description="The clock of {{ $labels.instance }} runs by itself and will drift by up to a second a day or "
            "more.",
        ),
    )


def _of_watchdogs(times: _Times) -> tuple[Alert, ...]:
    return (
        Alert(
            name="WatchdogSilent",
            severity=Severity.PAGE,
            expression="hlhft_watchdog_heard == 0",
            hold_s=times.hold(20),
            summary="The {{ $labels.place }} watchdog does not answer {{ $labels.account }}",
            description="The engine of {{ $labels.account }} beats and the {{ $labels.place }} watchdog does not "
            "answer: should the engine die now, that one cancels nothing.",
        ),
        Alert(
            name="WatchdogBlind",
            severity=Severity.PAGE,
            expression=f"hlhft_watchdog_venue_age_seconds > {number(times.hold(WATCHDOG_VENUE_S))}",
            hold_s=times.hold(20),
            summary="The watchdog of {{ $labels.account }} does not reach the venue",
            description="The venue answered the watchdog of {{ $labels.account }} {{ $value | humanizeDuration }} ago "
            "for the last time: it could cancel nothing.",
        ),
        Alert(
            name="OrdersLeft",
            severity=Severity.PAGE,
            expression='hlhft_watchdog_state{state="cancelling"} == 1',
            # Empty is proven within 5 s of a death when the venue works.
            hold_s=times.hold(30),
            summary="Orders of {{ $labels.account }} may rest without an engine",
            description="For {{ $labels.account }} the watchdog cancels for an engine that is gone, and has not been "
            f"able to prove for {duration(times.hold(30))} that no order is left.",
        ),
        Alert(
            name="HostLossNotCovered",
            severity=Severity.TICKET,
            expression='hlhft_loss_covered{loss="host"} == 0',
            hold_s=times.hold(600),
            summary="Nothing cancels for {{ $labels.account }} when its host is lost",
            description="Orders of {{ $labels.account }} would stay at the venue if the host or its network were lost: "
            "no watchdog answers from another host, and scheduleCancel is not armed.",
        ),
    )


def _of_disks(config: Config, times: _Times) -> tuple[Alert, ...]:
    lag_s = config.journal.sync_ms / 1000 * JOURNAL_LAG_PERIODS
    free = config.journal.segment_mib * _MIB * DISK_SEGMENTS_MIN
    return (
        Alert(
            name="JournalTrouble",
            severity=Severity.PAGE,
            expression="hlhft_journal_trouble == 1",
            summary="The journal of {{ $labels.account }} cannot go on",
            description="What the engine of {{ $labels.account }} does can no longer be written, so it halts.",
        ),
        Alert(
            name="JournalSlow",
            severity=Severity.PAGE,
            expression=f"hlhft_journal_lag_seconds > {number(lag_s)}",
            hold_s=times.hold(5),
            summary="The disk is too slow for the journal of {{ $labels.account }}",
            description="The oldest record of {{ $labels.account }} has waited {{ $value | humanizeDuration }} for the "
            "disk: that much a loss of power would take.",
        ),
        Alert(
            name="DiskFull",
            severity=Severity.PAGE,
            expression=f'hlhft_disk_free_bytes{{folder=~"state|journal"}} < {free}',
            hold_s=times.hold(10),
            summary="The disk of the {{ $labels.folder }} on {{ $labels.instance }} is nearly full",
            description="{{ $value | humanize1024 }}B are left for the {{ $labels.folder }} on {{ $labels.instance }}. "
            "When the journal has no room, trading halts.",
        ),
        Alert(
            name="DiskLow",
            severity=Severity.TICKET,
            expression=f"hlhft_disk_free_bytes / hlhft_disk_bytes < {DISK_SHARE_MIN}",
            hold_s=times.hold(600),
            summary="The disk of the {{ $labels.folder }} on {{ $labels.instance }} fills up",
            description="{{ $value | humanizePercentage }} of the disk of the {{ $labels.folder }} on "
            "{{ $labels.instance }} is free.",
        ),
    )


def _of_host(times: _Times) -> tuple[Alert, ...]:
    settled = times.hold(8 * 3600)
    return (
        Alert(
            name="MemoryLow",
            severity=Severity.PAGE,
            expression=f"hlhft_host_memory_available_bytes / hlhft_host_memory_bytes < {MEMORY_SHARE_MIN}",
            hold_s=times.hold(60),
            summary="Memory of {{ $labels.instance }} runs out",
            description="{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} can still be had. "
            "When none is left, the kernel ends a process of its choice.",
        ),
        Alert(
            name="MemoryGrowth",
            severity=Severity.TICKET,
            # Not of a process that was still filling its caches then.
            expression=f"hlhft_process_resident_bytes > {MEMORY_GROWTH} * (hlhft_process_resident_bytes offset "
            f"{times.window(6 * 3600)}) and on (instance, process) "
            f"time() - hlhft_process_start_time_seconds > {number(settled)}",
            hold_s=times.hold(1800),
            summary="{{ $labels.process }} on {{ $labels.instance }} grows",
            description="The {{ $labels.process }} on {{ $labels.instance }} holds {{ $value | humanize1024 }}B, half "
            f"as much again as {times.window(6 * 3600)} ago. Its memory is bounded by design.",
        ),
    )


def _of_helpers(times: _Times) -> tuple[Alert, ...]:
    return (
        Alert(
            name="RecorderGap",
            severity=Severity.TICKET,
            expression=f"hlhft_recorder_gap_open == 1 or increase(hlhft_recorder_gaps_total[{times.window(900)}]) > "
            f"{GAPS_MAX}",
            hold_s=times.hold(120),
            summary="The recorder on {{ $labels.instance }} misses data",
            description="The recorder on {{ $labels.instance }} has a gap that does not close, or more than "
            f"{GAPS_MAX} within {times.window(900)}. What is missed now cannot be had again.",
        ),
        Alert(
            name="SignalStale",
            severity=Severity.TICKET,
            expression="hlhft_signal_standing == 0 and on (instance, account) hlhft_signals_expected == 1",
            hold_s=times.hold(120),
            summary="No signal for {{ $labels.market }}",
            description="Models should tell signals of {{ $labels.market }} to {{ $labels.account }}, and none has "
            f"stood for {duration(times.hold(120))}: it quotes without.",
        ),
    )


def rules(config: Config | None = None, *, pace: float = 1.0, runbook: str = RUNBOOK) -> dict[str, Any]:
    """The rules as Prometheus reads them; `runbook` is where docs/runbook.md can be read by whoever is called."""
    return {
        "groups": [
            {"name": GROUP, "rules": [rule(alert, runbook=runbook) for alert in alerts(config, pace=pace)]},
        ]
    }


def rule(alert: Alert, *, runbook: str = RUNBOOK) -> dict[str, Any]:
    """One alert as Prometheus reads it."""
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({"for": duration(alert.hold_s)} if alert.hold_s else {}),
        "labels": {"severity": str(alert.severity)},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": f"{runbook}#{alert.anchor}",
        },
    }


def as_text(content: dict[str, Any]) -> str:
    """A configuration as text, the same for the same content: JSON, which is YAML too."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
