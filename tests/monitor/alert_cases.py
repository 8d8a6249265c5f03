"""For every alert, a story that Prometheus evaluates: when it must be silent, when it must fire, and what it then says.

Stories come close to every number of an alert's rule from both sides, so that a changed number makes one of them wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hlhft.monitor.alerts import Alert

HERE = 'job="hlhft",instance="here:9464"'
OWN = f'account="0xa",{HERE}'
STEPS_MIN = 6  # of a story, in the time that an alert waits: a fifth of it is more than one


@dataclass(frozen=True)
class Story:
    """Series with their values, one for each `interval_s` from 0 on, and at which times the alert fires or is silent.

    `labels`, `summary` and `description`: of what fires.
    """

    series: dict[str, str]
    fires: tuple[float, ...]
    silent: tuple[float, ...]
    labels: dict[str, str]
    summary: str
    description: str
    interval_s: int = 1


def values(*parts: tuple[float, int]) -> str:
    """Constant stretches: each value and how many times it comes."""
    return " ".join(f"{value}+0x{count - 1}" for value, count in parts if count)


def always(value: float) -> str:
    return values((value, 400))


def steps(*times: int, until: int, every_s: int = 10) -> str:
    """A counter that grows by one at each of these times; a value every `every_s` seconds."""
    bounds = [0, *times, until]
    return values(*((index, (bounds[index + 1] - bounds[index]) // every_s) for index in range(len(bounds) - 1)))


@dataclass(frozen=True)
class Level:
    """A gauge that is `good`, near the limit, and `bad`, just beyond it; `beside` are series that stay as they are."""

    series: str
    good: float
    bad: float
    labels: dict[str, str]
    summary: str
    description: str
    beside: dict[str, str] = field(default_factory=dict)

    def stories(self, hold_s: int) -> Iterable[Story]:
        """Good for long, bad for a moment less than it takes, bad for long, good again."""
        step_s = max((step for step in range(1, hold_s // STEPS_MIN + 1) if hold_s % step == 0), default=1)
        hold = hold_s // step_s
        calm = hold + 5
        begins = calm + hold + 2
        fires, ends = begins + hold, begins + hold + 5
        course = values((self.good, calm), (self.bad, hold), (self.good, 2), (self.bad, ends - begins), (self.good, 2))
        silent = [0, calm - 1, ends]
        if hold:
            silent += [calm + hold, fires - 1]
        yield Story(
            {self.series: course, **self.beside},
            (fires * step_s, (ends - 1) * step_s),
            tuple(step * step_s for step in silent),
            self.labels,
            self.summary,
            self.description,
            interval_s=step_s,
        )


def here(**labels: str) -> dict[str, str]:
    return {"job": "hlhft", "instance": "here:9464", **labels}


def own(**labels: str) -> dict[str, str]:
    return here(account="0xa", **labels)


LEVELS: dict[str, tuple[Level, ...]] = {
    "ExporterDown": (
        Level(
            f"up{{{HERE}}}",
            1,
            0,
            here(),
            "No metrics from here:9464",
            "Prometheus cannot read the exporter of here:9464: nothing of that "
            "host is watched, and none of its other alerts can fire.",
            {'up{job="other",instance="there:1"}': always(0)},
        ),
    ),
    "ProcessDown": (
        Level(
            f'hlhft_process_up{{process="engine",{HERE}}}',
            1,
            0,
            here(process="engine"),
            "engine is down on here:9464",
            ("The engine should run on here:9464 and does not, or has stopped writing its numbers."),
            {
                f'hlhft_process_expected{{process="engine",{HERE}}}': always(1),
                f'hlhft_process_expected{{process="watchdog",{HERE}}}': always(0),
                f'hlhft_process_up{{process="watchdog",{HERE}}}': always(0),
                f'hlhft_process_expected{{process="alpha",{HERE}}}': always(1),
                f'hlhft_process_up{{process="alpha",{HERE}}}': always(0),
            },
        ),
    ),
    "HelperDown": (
        Level(
            f'hlhft_process_up{{process="recorder",{HERE}}}',
            1,
            0,
            here(process="recorder"),
            "recorder is down on here:9464",
            ("The recorder process should run on here:9464 and does not. Trading goes on without it."),
            {
                f'hlhft_process_expected{{process="recorder",{HERE}}}': always(1),
                f'hlhft_process_expected{{process="alpha",{HERE}}}': always(0),
                f'hlhft_process_up{{process="alpha",{HERE}}}': always(0),
                f'hlhft_process_expected{{process="engine",{HERE}}}': always(1),
                f'hlhft_process_up{{process="engine",{HERE}}}': always(0),
            },
        ),
    ),
    "Halted": (
        Level(
            f"hlhft_halted{{{OWN}}}",
            0,
            1,
            own(),
            "Trading of 0xa is halted",
            "The engine of 0xa is halted until an operator resumes it. It cancels its orders; positions stay, unless "
            "the drawdown or the margin breaker closed them. The breaker drawdown holds it. "
            "The breaker operator holds it.",
            {
                f'hlhft_breaker_latched{{breaker="drawdown",{OWN}}}': always(1),
                f'hlhft_breaker_latched{{breaker="operator",{OWN}}}': always(1),
                f'hlhft_breaker_latched{{breaker="strategy",{OWN}}}': always(0),
                f'hlhft_breaker_latched{{breaker="exposure",account="0xb",{HERE}}}': always(1),
            },
        ),
    ),
    "NotTrading": (
        Level(
            f'hlhft_stage{{stage="reducing",{OWN}}}',
            0,
            1,
            own(stage="reducing"),
            "0xa does not quote: reducing",
            "The engine of 0xa runs, is not halted, and has been reducing for 2m; its positions are managed by nobody.",
            {
                f'hlhft_stage{{stage="quoting",{OWN}}}': always(1),
                f'hlhft_stage{{stage="halted",account="0xb",{HERE}}}': always(1),
            },
        ),
    ),
    "StaleMarket": (
        Level(
            f'hlhft_feed_fresh{{market="BTC",{OWN}}}',
            1,
            0,
            own(market="BTC"),
            "Orders rest in BTC on old data",
            ("The data of BTC are old and orders of 0xa still rest there: they should have been pulled."),
            {
                f'hlhft_quotes{{market="BTC",side="buy",{OWN}}}': always(1),
                f'hlhft_quotes{{market="BTC",side="sell",{OWN}}}': always(0),
                f'hlhft_feed_fresh{{market="ETH",{OWN}}}': always(0),
                f'hlhft_quotes{{market="ETH",side="buy",{OWN}}}': always(0),
                f'hlhft_feed_fresh{{market="BTC",account="0xb",{HERE}}}': always(0),
            },
        ),
    ),
    "UnknownOrder": (
        Level(
            f"hlhft_unknown_order_age_seconds{{{OWN}}}",
            29.5,
            31,
            own(),
            "The fate of an order of 0xa is unknown",
            ("For 31s nobody has known what became of an order of 0xa. Soon the engine halts."),
        ),
    ),
    "BudgetBelowReserve": (
        Level(
            f'hlhft_budget_ratio{{budget="address_actions",{OWN}}}',
            0.89,
            0.91,
            own(budget="address_actions"),
            "0xa has no address_actions left to place with",
            "91% of the budget address_actions is used, and what is left is kept for cancels: "
            "nothing is placed any more.",
            {
                f'hlhft_budget_reserve_ratio{{budget="address_actions",{OWN}}}': always(0.1),
                f'hlhft_budget_reserve_ratio{{budget="posts",{OWN}}}': always(0.1),
                f'hlhft_budget_ratio{{budget="posts",{OWN}}}': always(0.89),
            },
        ),
        Level(
            f'hlhft_budget_ratio{{budget="open_orders",{OWN}}}',
            0.999,
            1,
            own(budget="open_orders"),
            "0xa has no open_orders left to place with",
            "100% of the budget open_orders is used, and what is left is kept for cancels: nothing is placed any more.",
            {f'hlhft_budget_reserve_ratio{{budget="open_orders",{OWN}}}': always(0)},
        ),
    ),
    "ReconciliationStale": (
        Level(
            f"hlhft_reconciliation_age_seconds{{{OWN}}}",
            119,
            121,
            own(),
            "0xa is not compared with the venue",
            ("Orders and positions of 0xa were compared with the venue's account 2m 1s ago for the last time."),
        ),
    ),
    "DrawdownNearLimit": (
        Level(
            f"hlhft_drawdown_ratio{{{OWN}}}",
            0.0235,
            0.0245,
            own(),
            "0xa loses money fast",
            "0xa is 2.45% below the highest equity of the last hour. At its limit all "
            "is cancelled and closed at market.",
            {f"hlhft_drawdown_limit_ratio{{{OWN}}}": always(0.03)},
        ),
    ),
    "ProfitUnexplained": (
        Level(
            f'hlhft_profit_residual_usdc{{market="BTC",{OWN}}}',
            0,
            -0.000001,
            own(market="BTC"),
            "The profit of BTC does not add up",
            "The change in equity that BTC made and the sum "
            "of its parts differ by -1e-06 USDC for 0xa: a record is missing, twice, or wrong.",
        ),
    ),
    "ClockDrift": (
        Level(
            f"hlhft_host_clock_offset_seconds{{{HERE}}}",
            0.24,
            -0.26,
            here(),
            "The clock of here:9464 is off",
            "The clock of here:9464 is 260ms from its reference or from the "
            "venue's clock: ages are judged wrongly, and orders expire early or late.",
        ),
        Level(
            f"hlhft_clock_offset_seconds{{{OWN}}}",
            -0.24,
            0.26,
            own(),
            "The clock of here:9464 is off",
            "The clock of here:9464 is 260ms from its reference or from the "
            "venue's clock: ages are judged wrongly, and orders expire early or late.",
        ),
    ),
    "ClockUnsynchronised": (
        Level(
            f"hlhft_host_clock_synchronised{{{HERE}}}",
            1,
            0,
            here(),
            "Nothing keeps the clock of here:9464",
            ("The clock of here:9464 runs by itself and will drift by up to a second a day or more."),
        ),
    ),
    "WatchdogSilent": (
        Level(
            f'hlhft_watchdog_heard{{place="remote",{OWN}}}',
            1,
            0,
            own(place="remote"),
            "The remote watchdog does not answer 0xa",
            "The engine of 0xa beats and the remote "
            "watchdog does not answer: should the engine die now, that one cancels nothing.",
        ),
    ),
    "WatchdogBlind": (
        Level(
            f"hlhft_watchdog_venue_age_seconds{{{OWN}}}",
            59,
            61,
            own(),
            "The watchdog of 0xa does not reach the venue",
            ("The venue answered the watchdog of 0xa 1m 1s ago for the last time: it could cancel nothing."),
        ),
    ),
    "OrdersLeft": (
        Level(
            f'hlhft_watchdog_state{{state="cancelling",{OWN}}}',
            0,
            1,
            own(state="cancelling"),
            "Orders of 0xa may rest without an engine",
            "For 0xa the watchdog cancels for an "
            "engine that is gone, and has not been able to prove for 30s that no order is left.",
            {f'hlhft_watchdog_state{{state="armed",{OWN}}}': always(1)},
        ),
    ),
    "HostLossNotCovered": (
        Level(
            f'hlhft_loss_covered{{loss="host",{OWN}}}',
            1,
            0,
            own(loss="host"),
            "Nothing cancels for 0xa when its host is lost",
            "Orders of 0xa would stay at the venue "
            "if the host or its network were lost: no watchdog answers from another host, and scheduleCancel is not "
            "armed.",
            {f'hlhft_loss_covered{{loss="both",{OWN}}}': always(0)},
        ),
    ),
    "JournalTrouble": (
        Level(
            f"hlhft_journal_trouble{{{OWN}}}",
            0,
            1,
            own(),
            "The journal of 0xa cannot go on",
            ("What the engine of 0xa does can no longer be written, so it halts."),
        ),
    ),
    "JournalSlow": (
        Level(
            f"hlhft_journal_lag_seconds{{{OWN}}}",
            0.49,
            0.51,
            own(),
            "The disk is too slow for the journal of 0xa",
            ("The oldest record of 0xa has waited 510ms for the disk: that much a loss of power would take."),
        ),
    ),
    "DiskFull": (
        Level(
            f'hlhft_disk_free_bytes{{folder="journal",{HERE}}}',
            2**30,
            2**30 - 2**20,
            here(folder="journal"),
            "The disk of the journal on here:9464 is nearly full",
            ("1023MiB are left for the journal on here:9464. When the journal has no room, trading halts."),
            {f'hlhft_disk_free_bytes{{folder="catalogue",{HERE}}}': always(0)},
        ),
    ),
    "DiskLow": (
        Level(
            f'hlhft_disk_free_bytes{{folder="catalogue",{HERE}}}',
            105,
            95,
            here(folder="catalogue"),
            "The disk of the catalogue on here:9464 fills up",
            ("9.5% of the disk of the catalogue on here:9464 is free."),
            {f'hlhft_disk_bytes{{folder="catalogue",{HERE}}}': always(1000)},
        ),
    ),
    "MemoryLow": (
        Level(
            f"hlhft_host_memory_available_bytes{{{HERE}}}",
            105,
            95,
            here(),
            "Memory of here:9464 runs out",
            "9.5% of the memory of here:9464 can still be had. When none is "
            "left, the kernel ends a process of its choice.",
            {f"hlhft_host_memory_bytes{{{HERE}}}": always(1000)},
        ),
    ),
    "RecorderGap": (
        Level(
            f"hlhft_recorder_gap_open{{{HERE}}}",
            0,
            1,
            here(),
            "The recorder on here:9464 misses data",
            "The recorder on here:9464 has a gap that does not "
            "close, or more than 5 within 15m. What is missed now cannot be had again.",
        ),
    ),
    "SignalStale": (
        Level(
            f'hlhft_signal_standing{{market="BTC",{OWN}}}',
            1,
            0,
            own(market="BTC"),
            "No signal for BTC",
            ("Models should tell signals of BTC to 0xa, and none has stood for 2m: it quotes without."),
            {
                f"hlhft_signals_expected{{{OWN}}}": always(1),
                f'hlhft_signals_expected{{account="0xb",{HERE}}}': always(0),
                f'hlhft_signal_standing{{market="BTC",account="0xb",{HERE}}}': always(0),
            },
        ),
    ),
}

_TICKS = "hlhft_tick_to_trade_seconds"


def _ticks(at_50_ms: tuple[float, float], at_75_ms: tuple[float, float], every: float = 100) -> dict[str, str]:
    """So many reactions every ten seconds, for 400 s and 400 s more: how many in a hundred are at most so slow."""
    shares = {"0.05": at_50_ms, "0.075": at_75_ms, "0.1": (100, 100), "+Inf": (100, 100)}
    found = {f'{_TICKS}_bucket{{{OWN},le="{le}"}}': share for le, share in shares.items()}
    found[f"{_TICKS}_count{{{OWN}}}"] = (100, 100)
    scale = every / 100
    return {
        series: f"0+{before * scale:g}x40 {(before * 40 + after) * scale:g}+{after * scale:g}x40"
        for series, (before, after) in found.items()
    }


STORIES: dict[str, tuple[Story, ...]] = {
    "ProcessRestarting": (
        Story(
            {f'hlhft_process_start_time_seconds{{process="engine",{HERE}}}': steps(100, 400, 700, until=1100)},
            # Three changes within 15 minutes, until the first is older.
            fires=(700, 990),
            silent=(90, 690, 1000),
            labels=here(process="engine"),
            summary="engine keeps restarting on here:9464",
            description="The engine on here:9464 started 3 times anew within 15m: it dies of something that a restart "
            "does not mend.",
            interval_s=10,
        ),
    ),
    "RejectionStorm": (
        Story(
            # 48 a minute, then 54, then none.
            {f"hlhft_rejections_total{{{OWN}}}": "0+0.8x100 80.9+0.9x70 143.9+0x90"},
            fires=(164, 170),
            # For so long all of a shorter window is faster.
            silent=(80, 100, 110, 240),
            labels=own(),
            summary="The venue refuses orders of 0xa",
            description="54 orders of 0xa were refused within 1m, others than post-only. Soon the engine halts.",
        ),
        Story(
            # From none to 54 within a minute: the first moment that is too much.
            {f"hlhft_rejections_total{{{OWN}}}": "0+0x99 0+0.9x60 54+0x60"},
            fires=(156,),
            silent=(155,),
            labels=own(),
            summary="The venue refuses orders of 0xa",
            description="50.4 orders of 0xa were refused within 1m, others than post-only. Soon the engine halts.",
        ),
    ),
    "FramesUnreadable": (
        Story(
            {f"hlhft_frame_faults_total{{{OWN}}}": steps(700, until=1400)},
            fires=(700, 1290),
            silent=(650, 690, 1300),
            labels=own(),
            summary="The venue writes something that 0xa cannot read",
            description="1 frames or items of them could not be read within 10m; the markets that they were of become "
            "stale.",
            interval_s=10,
        ),
    ),
    "ReconnectStorm": (
        Story(
            {f'hlhft_reconnects_total{{connection="feed",{OWN}}}': steps(100, 200, 300, 400, 500, 590, until=800)},
            # The sixth within ten minutes, until the first is older.
            fires=(590, 690),
            silent=(90, 580, 700),
            labels=own(connection="feed"),
            summary="The connection feed of 0xa keeps breaking",
            description="It was lost 6 times within 10m. Each time one to the venue is, quotes are pulled and "
            "the account is compared anew.",
            interval_s=10,
        ),
    ),
    "RecorderGap": (
        Story(
            {
                f"hlhft_recorder_gaps_total{{{HERE}}}": steps(100, 200, 300, 400, 500, 600, until=1200, every_s=20),
                f"hlhft_recorder_gap_open{{{HERE}}}": always(0),
            },
            fires=(720, 980),
            silent=(80, 580, 700, 1000),
            labels=here(),
            summary="The recorder on here:9464 misses data",
            description="The recorder on here:9464 has a gap that does not close, or more than 5 within 15m. What is "
            "missed now cannot be had again.",
            interval_s=20,
        ),
    ),
    "TickToTradeNearLimit": (
        Story(
            # First 3 % between 50 and 75 ms; then 1.5 % above, which is 1 % of a window of which two thirds are over.
            _ticks((97, 97), (100, 98.5)),
            fires=(670,),
            silent=(300, 400, 660),
            labels={"instance": "here:9464", "account": "0xa"},
            summary="0xa reacts slowly",
            description="One reaction of 0xa in a hundred takes 81.48ms or more; at 150 ms all orders are cancelled.",
            interval_s=10,
        ),
        Story(
            _ticks((97, 97), (98.5, 100)),
            fires=(400,),
            silent=(600, 700),
            labels={"instance": "here:9464", "account": "0xa"},
            summary="0xa reacts slowly",
            description="One reaction of 0xa in a hundred takes 83.33ms or more; at 150 ms all orders are cancelled.",
            interval_s=10,
        ),
        Story(
            # 105 within five minutes.
            _ticks((97, 97), (98.5, 98.5), every=3.5),
            fires=(400, 700),
            silent=(200,),
            labels={"instance": "here:9464", "account": "0xa"},
            summary="0xa reacts slowly",
            description="One reaction of 0xa in a hundred takes 83.33ms or more; at 150 ms all orders are cancelled.",
            interval_s=10,
        ),
        Story(
            # 96.
            _ticks((97, 97), (98.5, 98.5), every=3.2),
            fires=(),
            silent=(400, 700),
            labels={},
            summary="",
            description="",
            interval_s=10,
        ),
    ),
    "MemoryGrowth": (
        Story(
            {
                f'hlhft_process_start_time_seconds{{process="engine",{HERE}}}': values((0, 220)),
                f'hlhft_process_resident_bytes{{process="engine",{HERE}}}': values((100, 108), (149, 12), (151, 100)),
            },
            fires=(630 * 60, 895 * 60),
            silent=(595 * 60, 625 * 60, 900 * 60),
            labels=here(process="engine"),
            summary="engine on here:9464 grows",
            description="The engine on here:9464 holds 151B, half as much again as 6h ago. Its memory is bounded by "
            "design.",
            interval_s=300,
        ),
        Story(
            {
                # Started after five hours, and settled eight hours later.
                f'hlhft_process_start_time_seconds{{process="watchdog",{HERE}}}': values((18_000, 220)),
                f'hlhft_process_resident_bytes{{process="watchdog",{HERE}}}': "_x60 " + values((100, 78), (200, 60)),
            },
            fires=(815 * 60,),
            silent=(700 * 60, 810 * 60),
            labels=here(process="watchdog"),
            summary="watchdog on here:9464 grows",
            description="The watchdog on here:9464 holds 200B, half as much again as 6h ago. Its memory is bounded by "
            "design.",
            interval_s=300,
        ),
    ),
    "Heartbeat": (
        Story(
            {f"up{{{HERE}}}": always(1)},
            fires=(0, 100),
            silent=(),
            labels={},
            summary="Alerts reach you",
            description="This fires always. Its receiver stands outside the host and calls when it stops coming.",
        ),
    ),
}


def stories_of(alert: Alert) -> tuple[Story, ...]:
    """All stories of an alert."""
    levels = (story for level in LEVELS.get(alert.name, ()) for story in level.stories(round(alert.hold_s)))
    return (*levels, *STORIES.get(alert.name, ()))
