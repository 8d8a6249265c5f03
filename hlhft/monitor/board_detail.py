"""The rows of the dashboard that answer a question: who cancels and what is heard, one market, models, the host."""

from __future__ import annotations

from hlhft.config.settings import Config
from hlhft.monitor.board_trading import (
    MS_PER_S,
    NONE_IS_GOOD,
    RISK,
    YES_IS_BAD,
    YES_IS_GOOD,
    heat_map,
    limit,
)
from hlhft.monitor.panels import Colour, Panel, Query, Row, Step, Unit, View, Word
from hlhft.monitor.queries import RANGE, increase, quantile, rate, select

SETTINGS = Config()
HIT, MISS = "hit", "miss"
STATE_WORDS = (Word(0, "no", Colour.NONE), Word(1, "yes", Colour.PLAIN))
HALF_IS_LUCK = (Step(None, Colour.BAD), Step(0.5, Colour.WARNING), Step(0.55, Colour.GOOD))


def _states(title: str, description: str, *queries: Query, words: tuple[Word, ...], width: int = 8) -> Panel:
    return Panel(
        title=title, description=description, view=View.STATES, queries=queries, words=words, width=width, height=7
    )


def _graph(title: str, description: str, unit: Unit, *queries: Query, steps: tuple[Step, ...] = ()) -> Panel:
    return Panel(
        title=title, description=description, view=View.GRAPH, queries=queries, unit=unit, minimum=0, steps=steps
    )


SAFETY = Row(
    title="Stages, connections, journal, and who cancels",
    panels=(
        _states(
            "Stage over time",
            "What the engine did. Stages that change often are an engine that cannot agree with the venue.",
            Query(select("stage"), "{{stage}}"),
            words=STATE_WORDS,
        ),
        _states(
            "Breakers that hold",
            "Breakers that wait for an operator, and whether it is halted at all: an operator or the journal halts "
            "without a breaker.",
            Query(select("halted"), "halted"),
            Query(select("breaker_latched"), "{{breaker}}"),
            words=YES_IS_BAD,
        ),
        _states(
            "Connections",
            "Which connections are live. Without one nothing is quoted until the account agrees again.",
            Query(select("connected"), "{{connection}}"),
            words=YES_IS_GOOD,
        ),
        _graph(
            "Silence of the connections",
            "Time since something was heard on each. The settings' oldest data to quote on is the line.",
            Unit.SECONDS,
            Query(select("connection_age_seconds"), "{{connection}}"),
            steps=limit(RISK.feed_age_ms_max / MS_PER_S),
        ),
        _graph(
            "Connections made anew, and what follows",
            "Within five minutes: reconnects, changes of the stage, comparisons with the venue's account. A few "
            "reconnects a day are the venue's; a steady few are the way to it.",
            Unit.COUNT,
            Query(increase("reconnects_total", "5m"), "{{connection}}"),
            Query(increase("reconciliations_total", "5m"), "comparisons"),
            Query(increase("stage_changes_total", "5m"), "changes of the stage"),
        ),
        _graph(
            "Agreement with the venue",
            "Time since the account was last compared. At the line, three comparisons did not end.",
            Unit.SECONDS,
            Query(select("reconciliation_age_seconds"), "age"),
            steps=limit(3 * SETTINGS.engine.reconcile_ms / MS_PER_S),
        ),
        _graph(
            "Journal",
            "For how long the oldest record has waited for the disk, and what a synchronisation takes. What a loss of "
            "power can take is this.",
            Unit.SECONDS,
            Query(select("journal_lag_seconds"), "waits"),
            Query(quantile(0.5, "journal_sync_seconds"), "synchronisation, median"),
            Query(quantile(0.99, "journal_sync_seconds"), "synchronisation, 99 %"),
        ),
        _graph(
            "Written",
            "What the journal writes a second.",
            Unit.BYTES_PER_SECOND,
            Query(rate("journal_bytes_total"), "journal"),
        ),
        _graph(
            "Trouble of the disk",
            "A journal that cannot go on halts trading; a store that fails keeps its figures in memory until it does "
            "not.",
            Unit.COUNT,
            Query(select("journal_trouble"), "journal"),
            Query(increase("store_failures_total", "5m"), "store, five minutes"),
            steps=NONE_IS_GOOD,
        ),
        _states(
            "Losses that are covered",
            "Whether something cancels when the engine, the host or both are lost, and whether each watchdog answers. "
            "A loss without cover leaves orders at the venue.",
            Query(select("loss_covered"), "{{loss}}"),
            Query(select("watchdog_heard"), "{{place}} watchdog"),
            words=YES_IS_GOOD,
        ),
        _states(
            "State of the watchdogs",
            "armed: the engine lives. cancelling: it does not, and its orders are being cancelled.",
            Query(select("watchdog_state"), "{{instance}} {{state}}"),
            words=STATE_WORDS,
        ),
        _graph(
            "Silence of the engine",
            "Time since the last beat that each watchdog believed, and since the venue answered it. At the line it "
            "cancels.",
            Unit.SECONDS,
            Query(select("watchdog_beat_age_seconds"), "{{instance}} beat"),
            Query(select("watchdog_venue_age_seconds"), "{{instance}} venue"),
            steps=limit(SETTINGS.watchdog.silence_ms_max / MS_PER_S),
        ),
        _graph(
            "Beats",
            "Beats of a second, believed and refused. A refused beat is another secret, or one that is old or out of "
            "order.",
            Unit.PER_SECOND,
            Query(rate("watchdog_beats_total"), "{{instance}} believed"),
            Query(rate("watchdog_beats_refused_total"), "{{instance}} refused"),
        ),
        _graph(
            "Sweeps",
            "Times that a watchdog cancelled for an engine that was gone, within an hour, and the own orders that its "
            "last listing showed.",
            Unit.COUNT,
            Query(increase("watchdog_sweeps_total", "1h"), "{{instance}} sweeps"),
            Query(select("watchdog_orders"), "{{instance}} orders"),
        ),
        _graph(
            "The venue's own switch",
            "Time until the venue cancels by itself; 0 where it was not told to. It is pushed on at a third.",
            Unit.SECONDS,
            Query(select("watchdog_schedule_seconds"), "{{instance}}"),
        ),
    ),
)

MARKET = Row(
    title="$market",
    repeat="market",
    panels=(
        Panel(
            title="Prices of $market",
            description="Best bid and ask at the venue, and its mark.",
            view=View.GRAPH,
            queries=(
                Query(select("best_price"), "{{side}}"),
                Query(select("mark_price"), "mark"),
            ),
        ),
        Panel(
            title="Distance of our quotes from the mid",
            description="Of the best own order of each side. A gap in a line is a side without an order.",
            view=View.GRAPH,
            queries=(Query(select("quote_distance_ratio"), "{{side}}"),),
            unit=Unit.SHARE,
            decimals=4,
        ),
        Panel(
            title="Own orders that rest",
            description="By side, and how many fills there were within a minute.",
            view=View.GRAPH,
            queries=(
                Query(select("quotes"), "{{side}}"),
                Query(f"sum by (side) ({increase('fills_total', '1m')})", "fills of a minute, {{side}}"),
            ),
            minimum=0,
        ),
        Panel(
            title="Inventory of $market",
            description="Position as a share of its limit, -100 to 100.",
            view=View.GRAPH,
            queries=(Query(select("inventory_skew_percent"), "inventory"),),
            unit=Unit.PERCENT,
            minimum=-100,
            maximum=100,
        ),
        Panel(
            title="Position of $market",
            description="In units of the coin.",
            view=View.GRAPH,
            queries=(Query(select("position_size"), "position"),),
        ),
        Panel(
            title="Profit of $market by what it came from",
            description="Of the session. A spread that inventory eats is adverse selection: quote wider, or not at "
            "all.",
            view=View.GRAPH,
            queries=(
                Query(select("profit_usdc"), "{{part}}"),
                Query(select("profit_total_usdc"), "total"),
            ),
            unit=Unit.USDC,
            decimals=2,
        ),
        _states(
            "Quoting and data",
            "Whether orders rest on both sides, and whether the data are young enough to quote from.",
            Query(select("quoting"), "quoting"),
            Query(select("feed_fresh"), "fresh data"),
            words=YES_IS_GOOD,
        ),
        _graph(
            "Age of the data",
            "Time since the newest data of the market. At the line its quotes are pulled.",
            Unit.SECONDS,
            Query(select("feed_age_seconds"), "age"),
            steps=limit(RISK.feed_age_ms_max / MS_PER_S),
        ),
        _graph(
            "Volume of five minutes",
            "What own fills were worth, by side and liquidity.",
            Unit.USDC,
            Query(f"sum by (side, liquidity) ({increase('filled_usdc_total', '5m')})", "{{side}}, {{liquidity}}"),
        ),
    ),
)

# Of all markets shown together: a signal that was right against one that was wrong.
_HITS = f"sum({increase('signals_judged_total', RANGE, outcome=HIT)})"
_DECIDED = f"sum({increase('signals_judged_total', RANGE, outcome=f'~{HIT}|{MISS}')})"
_SURPRISE = f"sum({increase('signal_surprise_total', RANGE)})"
_JUDGED = f"sum({increase('signals_judged_total', RANGE)})"

ALPHA = Row(
    title="Models",
    panels=(
        Panel(
            title="Hit rate",
            description="Share of the signals of the time shown whose sign was right, flat ones left out. A half is "
            "luck; near it, a signal costs more than it gives.",
            view=View.STAT,
            queries=(Query(f"{_HITS} / {_DECIDED}", "hits"),),
            unit=Unit.SHARE,
            decimals=1,
            is_instant=True,
            steps=HALF_IS_LUCK,
            no_value="no signal judged",
            width=4,
            height=7,
        ),
        Panel(
            title="Calibration",
            description="Mean squared error of judged signals in their own deviations: 1 is calibrated, more is too "
            "sure of itself, less is too shy.",
            view=View.STAT,
            queries=(Query(f"{_SURPRISE} / {_JUDGED}", "surprise"),),
            decimals=2,
            is_instant=True,
            steps=(
                Step(None, Colour.WARNING),
                Step(0.5, Colour.GOOD),
                Step(2, Colour.WARNING),
                Step(4, Colour.BAD),
            ),
            no_value="no signal judged",
            width=4,
            height=7,
        ),
        _states(
            "Signals and decisions that stand",
            "Whether a signal, and a policy's decision, stands for each market; and whether signals are expected at "
            "all. Without them the strategy quotes by its closed form.",
            Query(select("signal_standing"), "signal {{market}}"),
            Query(select("policy_standing"), "policy {{market}}"),
            Query(select("signals_expected"), "signals expected"),
            words=STATE_WORDS,
        ),
        Panel(
            title="Models that are served",
            description="Each model or policy of the alpha process.",
            view=View.TABLE,
            queries=(Query(f"sum by (model, instance) ({select('alpha_info')})", ""),),
            is_instant=True,
            height=7,
        ),
        Panel(
            title="Signals",
            description="Expected move by the signal that stands, 0 for none.",
            view=View.GRAPH,
            queries=(Query(select("signal_bp"), "{{market}}"),),
            unit=Unit.BASIS_POINTS,
        ),
        _graph(
            "Deviation of the signals",
            "What a signal says of its own error. One that stays at 0 was never told.",
            Unit.BASIS_POINTS,
            Query(select("signal_deviation_bp"), "{{market}}"),
        ),
        _graph(
            "Signals judged",
            "Within five minutes, by how they came out; flat: nothing moved.",
            Unit.COUNT,
            Query(f"sum by (outcome) ({increase('signals_judged_total', '5m')})", "{{outcome}}"),
        ),
        _graph(
            "Age of the signals",
            "Time since the data that the newest signal was made of. At the line the default lets it expire.",
            Unit.SECONDS,
            Query(select("signal_age_seconds"), "{{market}}"),
            steps=limit(SETTINGS.alpha.time_to_live_ms / MS_PER_S),
        ),
        heat_map(
            "Age of a signal's data when it comes, distribution",
            "signal_data_age_seconds",
            "What inference and the way there and back take together.",
        ),
        heat_map("Inference, distribution", "inference_seconds", "From a row in hand to its signal sent."),
        _graph(
            "Output of the policy",
            "What it makes of the parameters: factors of gamma, signal and spread, and asymmetry as a share. At their "
            "bounds the policy wants what it may not have.",
            Unit.NONE,
            Query(select("policy_output"), "{{market}} {{output}}"),
        ),
        _graph(
            "Rows and signals",
            "Rows of features that came, those that were lost on the way and asked for again, and what was sent, a "
            "second.",
            Unit.PER_SECOND,
            Query(rate("alpha_rows_total"), "rows"),
            Query(rate("alpha_rows_lost_total"), "lost"),
            Query(rate("alpha_signals_total"), "sent"),
        ),
        _graph(
            "Silence of the engine to its models",
            "Time since the last row.",
            Unit.SECONDS,
            Query(select("alpha_row_age_seconds"), "{{instance}}"),
        ),
    ),
)

# What neither runs nor is to run is not missed.
_UP, _EXPECTED = select("process_up"), select("process_expected")
_ISOLATED = select("host_cpu_isolated")
_BUSY = rate("host_cpu_seconds_total", mode="~user|system|irq|softirq|steal")

HOST = Row(
    title="Processes and hosts",
    panels=(
        _states(
            "Processes",
            "Whether each lives and writes its block. One that lives and writes none stands still.",
            Query(f"{_UP} unless on (instance, process) ({_EXPECTED} == 0 and {_UP} == 0)", "{{instance}} {{process}}"),
            words=YES_IS_GOOD,
        ),
        Panel(
            title="Started",
            description="How long ago each process started. Younger than the last deploy: it died since.",
            view=View.STAT,
            queries=(Query(f"1000 * {select('process_start_time_seconds')}", "{{instance}} {{process}}"),),
            unit=Unit.SINCE,
            height=7,
        ),
        Panel(
            title="Builds",
            description="Version and revision of each process. Two revisions on one host: a process was not restarted.",
            view=View.TABLE,
            queries=(Query(f"sum by (instance, process, version, revision) ({select('build_info')})", ""),),
            is_instant=True,
            height=7,
        ),
        Panel(
            title="Session",
            description="What the engine trades on, with which strategy, and the number of its session.",
            view=View.TABLE,
            queries=(Query(f"sum by (instance, network, strategy, session) ({select('engine_info')})", ""),),
            is_instant=True,
            height=7,
        ),
        _graph(
            "Age of the blocks",
            "Time since each process wrote its numbers. What grows is a process that stands still.",
            Unit.SECONDS,
            Query(select("process_beat_age_seconds"), "{{instance}} {{process}}"),
        ),
        _graph(
            "Processor time of the processes",
            "1 is a whole processor. An engine that polls uses one by itself.",
            Unit.SHARE,
            Query(rate("process_cpu_seconds_total"), "{{instance}} {{process}}"),
        ),
        _graph(
            "Memory of the processes",
            "What each holds. All of them have bounds: a steady climb over days is an error.",
            Unit.BYTES,
            Query(select("process_resident_bytes"), "{{instance}} {{process}}"),
        ),
        _graph(
            "Isolated processors",
            "Busy share of those that the kernel gives nobody by itself. Anything beside the engine on them is felt "
            "in tick to trade.",
            Unit.SHARE,
            Query(
                f"sum by (instance, cpu) ({_BUSY}) and on (instance, cpu) ({_ISOLATED} == 1)", "{{instance}} {{cpu}}"
            ),
        ),
        _graph(
            "All processors",
            "Time by what it is used for, in processors. steal is what another machine on the same host took; it has "
            "no place on a dedicated one.",
            Unit.NONE,
            Query(f"sum by (mode) ({rate('host_cpu_seconds_total')})", "{{mode}}"),
        ),
        _graph(
            "Interrupts on isolated processors",
            "Those that could not be moved away. Anything but 0 is felt in tick to trade.",
            Unit.COUNT,
            Query(select("host_irqs_on_isolated_cpus"), "{{instance}}"),
            steps=NONE_IS_GOOD,
        ),
        Panel(
            title="Clock",
            description="What the kernel still corrects, and its own estimate of the largest error. The venue and the "
            "expiry of orders are reckoned in this clock.",
            view=View.GRAPH,
            queries=(
                Query(select("host_clock_offset_seconds"), "{{instance}} offset"),
                Query(select("host_clock_error_seconds"), "{{instance}} error"),
            ),
            unit=Unit.SECONDS,
        ),
        _states(
            "Clock kept by a reference",
            "Without one it drifts by seconds a day.",
            Query(select("host_clock_synchronised"), "{{instance}}"),
            words=YES_IS_GOOD,
        ),
        _graph(
            "Memory used",
            "Used share of the host's memory. Near 1 the kernel ends processes by itself.",
            Unit.SHARE,
            Query(f"1 - {select('host_memory_available_bytes')} / {select('host_memory_bytes')}", "{{instance}}"),
            steps=limit(0.9),
        ),
        _graph(
            "Room on the disks",
            "What can still be written where state, journal and catalogue are. A full disk halts trading.",
            Unit.BYTES,
            Query(select("disk_free_bytes"), "{{instance}} {{folder}}"),
        ),
        _graph(
            "Disks used",
            "Used share of the file systems.",
            Unit.SHARE,
            Query(f"1 - {select('disk_free_bytes')} / {select('disk_bytes')}", "{{instance}} {{folder}}"),
            steps=limit(0.9),
        ),
        _graph(
            "Recorder",
            "Frames recorded a second. None: the venue or the recorder is silent.",
            Unit.PER_SECOND,
            Query(rate("recorder_frames_total"), "{{instance}}"),
        ),
        _graph(
            "Recorder, bytes",
            "What it records a second.",
            Unit.BYTES_PER_SECOND,
            Query(rate("recorder_bytes_total"), "{{instance}}"),
        ),
        _graph(
            "Recorder's backlog",
            "What waits for the disk. At the line frames are dropped, and a gap is noted.",
            Unit.BYTES,
            Query(select("recorder_queue_bytes"), "{{instance}}"),
            steps=limit(SETTINGS.recorder.queue_mib * 2**20),
        ),
        _graph(
            "Silence of the recorder",
            "Time since the last frame.",
            Unit.SECONDS,
            Query(select("recorder_age_seconds"), "{{instance}}"),
        ),
        _graph(
            "Gaps of the recorder",
            "Times that something was missed, within an hour, and whether something is being missed now.",
            Unit.COUNT,
            Query(increase("recorder_gaps_total", "1h"), "{{instance}} gaps"),
            Query(select("recorder_gap_open"), "{{instance}} open"),
            steps=NONE_IS_GOOD,
        ),
        _graph(
            "Time that the recorder missed",
            "Within an hour.",
            Unit.SECONDS,
            Query(increase("recorder_gap_seconds_total", "1h"), "{{instance}}"),
        ),
    ),
)
