"""The rows of the dashboard that one watches: at a glance, money, times, orders and budgets.

Thresholds that the settings have are the settings' defaults; where a limit has a metric of its own, it is drawn.
"""

from __future__ import annotations

from hlhft.config.settings import Config
from hlhft.monitor.panels import Colour, Panel, Query, Row, Step, Unit, View, Word
from hlhft.monitor.queries import RANGE, buckets, increase, quantile, rate, select

RISK = Config().risk
MS_PER_S = 1000
PARTS = "spread, inventory, basis, fees, rebates, funding"
# What is good is not there; what is not there is good.
NONE_IS_GOOD = (Step(None, Colour.GOOD), Step(1, Colour.BAD))
GAIN = (Step(None, Colour.BAD), Step(0, Colour.GOOD))
YES_IS_BAD = (Word(0, "no", Colour.GOOD), Word(1, "yes", Colour.BAD))
YES_IS_GOOD = (Word(0, "no", Colour.BAD), Word(1, "yes", Colour.GOOD))
DRAWDOWN_STEPS = (
    Step(None, Colour.GOOD),
    Step(RISK.drawdown_share_max / 2, Colour.WARNING),
    Step(RISK.drawdown_share_max, Colour.BAD),
)


def limit(value: float) -> tuple[Step, ...]:
    """Good up to a limit, bad from it on."""
    return (Step(None, Colour.GOOD), Step(value, Colour.BAD))


OVERVIEW = Row(
    title="At a glance",
    is_open=True,
    panels=(
        Panel(
            title="Stage",
            description="What the engine does. Anything but quoting earns nothing; halted waits for an operator: see "
            "the breakers, then the runbook.",
            view=View.STAT,
            queries=(Query(f"{select('stage')} == 1", "{{stage}}"),),
            is_named=True,
            by_name=(("quoting", Colour.GOOD), ("halted", Colour.BAD)),
            steps=(Step(None, Colour.WARNING),),
            no_value="no engine",
            width=3,
            height=4,
        ),
        Panel(
            title="Breakers",
            description="Breakers that keep it from quoting now. One that latches holds until an operator resumes.",
            view=View.STAT,
            queries=(Query(f"sum({select('breaker_tripped')})", "tripped"),),
            steps=NONE_IS_GOOD,
            no_value="no engine",
            width=3,
            height=4,
        ),
        Panel(
            title="Processes missing",
            description="Processes that the settings have run on a host and that do not live. Without the watchdog, "
            "nothing cancels for a dead engine.",
            view=View.STAT,
            queries=(Query(f"sum(({select('process_expected')} == 1) - {select('process_up')})", "missing"),),
            steps=NONE_IS_GOOD,
            no_value="no exporter",
            width=3,
            height=4,
        ),
        Panel(
            title="Quoting uptime",
            description="Share of the time shown in which orders rested on both sides, over all markets shown. Low: "
            "see breakers, stale markets and budgets.",
            view=View.STAT,
            queries=(
                Query(
                    f"avg({increase('quoting_seconds_total', RANGE)}) / "
                    f"avg({increase('trading_seconds_total', RANGE)})",
                    "uptime",
                ),
            ),
            unit=Unit.SHARE,
            decimals=1,
            maximum=1,
            steps=(Step(None, Colour.BAD), Step(0.5, Colour.WARNING), Step(0.9, Colour.GOOD)),
            is_instant=True,
            width=3,
            height=4,
        ),
        Panel(
            title="Equity",
            description="Value of the account at the marks, with what was deposited and withdrawn.",
            view=View.STAT,
            queries=(Query(f"sum({select('equity_usdc')})", "equity"),),
            unit=Unit.USDC,
            decimals=2,
            width=3,
            height=4,
        ),
        Panel(
            title="Profit of the session",
            description="Change in equity since the session began, deposits and withdrawals left out, of the markets "
            "shown.",
            view=View.STAT,
            queries=(Query(f"sum({select('profit_total_usdc')})", "profit"),),
            unit=Unit.USDC,
            decimals=2,
            steps=GAIN,
            width=3,
            height=4,
        ),
        Panel(
            title="Fees and rebates",
            description="What the venue took for fills and what it paid for them. Fees that exceed the spread "
            "captured mean that the tier does not carry the strategy.",
            view=View.STAT,
            queries=(
                Query(f"sum({select('profit_usdc', part='fees')})", "fees"),
                Query(f"sum({select('profit_usdc', part='rebates')})", "rebates"),
            ),
            unit=Unit.USDC,
            decimals=2,
            width=3,
            height=4,
        ),
        Panel(
            title="Drawdown",
            description="Share of the hour's highest equity that is lost. At the limit all orders are cancelled and "
            "positions closed at market.",
            view=View.GAUGE,
            queries=(Query(f"max({select('drawdown_ratio')})", "drawdown"),),
            unit=Unit.SHARE,
            minimum=0,
            maximum=RISK.drawdown_share_max,
            decimals=2,
            steps=DRAWDOWN_STEPS,
            width=3,
            height=4,
        ),
        Panel(
            title="Profit by what it came from",
            description=f"Profit of the session, split into {PARTS}; together they are the total. Inventory that eats "
            "the spread is adverse selection.",
            view=View.GRAPH,
            queries=(
                Query(f"sum by (part) ({select('profit_usdc')})", "{{part}}"),
                Query(f"sum({select('profit_total_usdc')})", "total"),
            ),
            unit=Unit.USDC,
            decimals=2,
            width=12,
        ),
        Panel(
            title="Inventory",
            description="Position of each market as a share of its limit, -100 short to 100 long. Long at an end: "
            "the market quotes one side only.",
            view=View.GAUGE,
            queries=(Query(select("inventory_skew_percent"), "{{market}}"),),
            unit=Unit.PERCENT,
            minimum=-100,
            maximum=100,
            decimals=0,
            steps=(
                Step(None, Colour.BAD),
                Step(-80, Colour.WARNING),
                Step(-50, Colour.GOOD),
                Step(50, Colour.WARNING),
                Step(80, Colour.BAD),
            ),
            width=6,
        ),
        Panel(
            title="Breakers over time",
            description="When each breaker kept it from quoting.",
            view=View.STATES,
            queries=(Query(select("breaker_tripped"), "{{breaker}}"),),
            words=YES_IS_BAD,
            width=6,
        ),
        Panel(
            title="Tick to trade",
            description="From a frame's arrival to the last byte of the order that it led to. Above the line, the "
            "breaker cancels everything.",
            view=View.GRAPH,
            queries=(
                Query(quantile(0.5, "tick_to_trade_seconds"), "median"),
                Query(quantile(0.99, "tick_to_trade_seconds"), "99 %"),
            ),
            unit=Unit.SECONDS,
            minimum=0,
            steps=limit(RISK.tick_to_trade_ms_max / MS_PER_S),
            height=7,
        ),
        Panel(
            title="Budgets used",
            description="Used share of each budget of the venue. Where only the reserve is left, nothing is placed, "
            "and cancels go on.",
            view=View.BARS,
            queries=(Query(select("budget_ratio"), "{{budget}}"),),
            unit=Unit.SHARE,
            minimum=0,
            maximum=1,
            steps=(Step(None, Colour.GOOD), Step(0.7, Colour.WARNING), Step(0.9, Colour.BAD)),
            height=7,
        ),
        Panel(
            title="All of these should be 0",
            description="Orders whose fate is unknown, markets without fresh data, losses that nobody cancels for, "
            "disagreement within the profit, recordings with a gap, trouble of the journal. Each has its part of the "
            "runbook.",
            view=View.STAT,
            queries=(
                Query(f"sum({select('unknown_orders')})", "unknown orders"),
                Query(f"sum(1 - {select('feed_fresh')})", "stale markets"),
                Query(f"sum(1 - {select('loss_covered')})", "losses not covered"),
                Query(f"sum({select('journal_trouble')})", "journal trouble"),
                Query(f"sum(abs({select('profit_residual_usdc')}) > bool 0.000001)", "profits that do not add up"),
                Query(f"sum({select('recorder_gap_open')})", "recordings with a gap"),
            ),
            steps=NONE_IS_GOOD,
            height=7,
        ),
    ),
)

MONEY = Row(
    title="Money",
    panels=(
        Panel(
            title="Equity",
            description="With deposits and withdrawals; its value at the start of the session; and the hour's peak, "
            "that drawdown is measured from, without them.",
            view=View.GRAPH,
            queries=(
                Query(select("equity_usdc"), "equity"),
                Query(select("equity_start_usdc"), "at the start"),
                Query(select("equity_peak_usdc"), "peak of the hour"),
            ),
            unit=Unit.USDC,
            decimals=2,
        ),
        Panel(
            title="Drawdown and its limit",
            description="At the limit all orders are cancelled and positions closed; an operator resumes.",
            view=View.GRAPH,
            queries=(
                Query(select("drawdown_ratio"), "drawdown"),
                Query(select("drawdown_limit_ratio"), "limit"),
            ),
            unit=Unit.SHARE,
            minimum=0,
            decimals=2,
            steps=DRAWDOWN_STEPS,
        ),
        Panel(
            title="Profit by market",
            description="Profit of the session that each market made.",
            view=View.GRAPH,
            queries=(Query(select("profit_total_usdc"), "{{market}}"),),
            unit=Unit.USDC,
            decimals=2,
        ),
        Panel(
            title="Parts of the profit by market",
            description=f"Profit of the session by market and by what it came from: {PARTS}.",
            view=View.TABLE,
            queries=(Query(f"sum by (market, part) ({select('profit_usdc')})", ""),),
            unit=Unit.USDC,
            decimals=2,
            is_instant=True,
            columns="part",
            rows="market",
            width=12,
        ),
        Panel(
            title="Realised and unrealised",
            description="What closed trades gained at average cost, before fees and funding, and what the open "
            "position gained since it was bought. Unrealised profit alone is a bet that is still on.",
            view=View.GRAPH,
            queries=(
                Query(f"sum({select('profit_realised_usdc')})", "realised"),
                Query(f"sum({select('profit_unrealised_usdc')})", "unrealised"),
            ),
            unit=Unit.USDC,
            decimals=2,
            width=12,
        ),
        Panel(
            title="Positions and their limits",
            description="Signed value of each position at its mark; the limit as the settings have it, 0 for none.",
            view=View.GRAPH,
            queries=(
                Query(select("position_usdc"), "{{market}}"),
                Query(select("position_limit_usdc"), "limit {{market}}"),
                Query(f"-{select('position_limit_usdc')}", "limit {{market}}, short"),
            ),
            unit=Unit.USDC,
            decimals=0,
        ),
        Panel(
            title="Exposure and its limit",
            description="Worst-case exposure, with every order that could still fill. At the limit no order is "
            "approved; beyond it the breaker halts.",
            view=View.GRAPH,
            queries=(
                Query(select("exposure_usdc"), "exposure"),
                Query(select("exposure_limit_usdc"), "limit"),
            ),
            unit=Unit.USDC,
            minimum=0,
            decimals=0,
        ),
        Panel(
            title="Distance from liquidation",
            description="How far equity is above what liquidates, as a share of equity.",
            view=View.GRAPH,
            queries=(Query(select("margin_distance_ratio"), "distance"),),
            unit=Unit.SHARE,
            minimum=0,
            maximum=1,
        ),
        Panel(
            title="Fees by the venue's word",
            description="What a fill costs, below 0 for a rebate. A changed tier changes what is worth quoting.",
            view=View.TABLE,
            queries=(Query(f"sum by (market, liquidity) ({select('fee_ratio')})", ""),),
            unit=Unit.SHARE,
            decimals=4,
            is_instant=True,
            columns="liquidity",
            rows="market",
        ),
        Panel(
            title="Funding",
            description="Hourly rate that longs pay shorts. The venue caps it at 4 %.",
            view=View.GRAPH,
            queries=(Query(select("funding_rate_ratio"), "{{market}}"),),
            unit=Unit.SHARE,
            decimals=4,
        ),
        Panel(
            title="Profit that no part explains",
            description="Total less all parts. Anything but 0 is an error of the accounting: report it.",
            view=View.GRAPH,
            queries=(Query(select("profit_residual_usdc"), "{{market}}"),),
            unit=Unit.USDC,
            decimals=6,
        ),
    ),
)


def heat_map(title: str, name: str, description: str) -> Panel:
    """How a histogram's values were spread at each moment; the darker, the more of them."""
    return Panel(
        title=title,
        description=description,
        view=View.HEATMAP,
        queries=(Query(buckets(name), "{{le}}"),),
        unit=Unit.SECONDS,
    )


LATENCY = Row(
    title="Times",
    is_open=True,
    panels=(
        heat_map(
            "Tick to trade, distribution",
            "tick_to_trade_seconds",
            "From a frame's arrival to the last byte of the order that it led to, with the loop's lateness. A second "
            "band far above the first is something that shares the processor.",
        ),
        heat_map(
            "Acknowledgement, distribution",
            "acknowledgement_seconds",
            "From an order's last byte to the venue's answer. About 200 ms near the venue; a band that climbs is the "
            "venue's load or the way to it.",
        ),
        heat_map(
            "Feed, distribution",
            "feed_latency_seconds",
            "From the venue's time of a book to its receipt here; clocks are compared at the start. A slow climb of "
            "the whole band is a clock that drifts.",
        ),
        heat_map(
            "Step, distribution",
            "step_seconds",
            "From a frame in hand to the end of the core's step: decoding, book, decision.",
        ),
        heat_map(
            "Lateness of the loop, distribution",
            "loop_lateness_seconds",
            "How late the event loop's beats are. What is late here is late everywhere: look at the host.",
        ),
        Panel(
            title="The slowest hundredth",
            description="99 % of the values stayed within it.",
            view=View.GRAPH,
            queries=(
                Query(quantile(0.99, "tick_to_trade_seconds"), "tick to trade"),
                Query(quantile(0.99, "acknowledgement_seconds"), "acknowledgement"),
                Query(quantile(0.99, "feed_latency_seconds"), "feed"),
                Query(quantile(0.99, "step_seconds"), "step"),
                Query(quantile(0.99, "loop_lateness_seconds"), "loop"),
            ),
            unit=Unit.SECONDS,
            minimum=0,
        ),
        Panel(
            title="Clock against the venue's",
            description="This clock less the venue's, and the largest jump of the session. A drift spoils the feed's "
            "latency and the expiry of orders; a jump trips a breaker.",
            view=View.GRAPH,
            queries=(
                Query(select("clock_offset_seconds"), "offset"),
                Query(select("clock_step_seconds"), "largest jump"),
            ),
            unit=Unit.SECONDS,
            width=12,
        ),
        Panel(
            title="Decisions and frames",
            description="Frames of the venue that were read, and decisions of the core, a second. None of either: "
            "the connection is gone.",
            view=View.GRAPH,
            queries=(
                Query(rate("frames_total"), "frames"),
                Query(rate("decisions_total"), "decisions"),
            ),
            unit=Unit.PER_SECOND,
            minimum=0,
            width=12,
        ),
    ),
)

ORDERS = Row(
    title="Orders and budgets",
    panels=(
        Panel(
            title="Orders",
            description="Orders and cancels that the core decided, orders that the venue refused and quotes that the "
            "gate refused, a second. Many orders to a fill eat the address's budget.",
            view=View.GRAPH,
            queries=(
                Query(rate("orders_placed_total"), "placed"),
                Query(rate("orders_cancelled_total"), "cancelled"),
                Query(rate("rejections_total"), "refused by the venue"),
                Query(rate("quotes_refused_total"), "refused by the gate"),
            ),
            unit=Unit.PER_SECOND,
            minimum=0,
        ),
        Panel(
            title="Fills",
            description="Own fills of a second. Takers are closing trades: a maker has few of them.",
            view=View.GRAPH,
            queries=(Query(f"sum by (side, liquidity) ({rate('fills_total')})", "{{side}}, {{liquidity}}"),),
            unit=Unit.PER_SECOND,
            minimum=0,
        ),
        Panel(
            title="Volume of the time shown",
            description="What was traded, by market and liquidity. Every USDC traded buys the address one more action.",
            view=View.TABLE,
            queries=(Query(f"sum by (market, liquidity) ({increase('filled_usdc_total', RANGE)})", ""),),
            unit=Unit.USDC,
            decimals=0,
            is_instant=True,
            columns="liquidity",
            rows="market",
        ),
        Panel(
            title="Budgets",
            description="Used share of each budget. What lies above 1 less the reserve is kept for cancels.",
            view=View.GRAPH,
            queries=(
                Query(select("budget_ratio"), "{{budget}}"),
                Query(f"1 - {select('budget_reserve_ratio')}", "placing ends: {{budget}}"),
            ),
            unit=Unit.SHARE,
            minimum=0,
        ),
        Panel(
            title="Budgets in numbers",
            description="What is used of each budget, and its ceiling.",
            view=View.GRAPH,
            queries=(
                Query(select("budget_used"), "{{budget}}"),
                Query(select("budget_limit"), "ceiling: {{budget}}"),
            ),
            unit=Unit.COUNT,
            minimum=0,
        ),
        Panel(
            title="Open orders",
            description="Orders that could still fill, those whose fate is unknown among them, and own orders that "
            "rest.",
            view=View.GRAPH,
            queries=(
                Query(select("orders_open"), "open"),
                Query(select("unknown_orders"), "unknown"),
                Query(f"sum({select('quotes')})", "resting in the markets shown"),
            ),
            minimum=0,
        ),
        Panel(
            title="Age of the oldest unknown order",
            description="For how long the fate of an order has been unknown. At the line, the breaker halts.",
            view=View.GRAPH,
            queries=(Query(select("unknown_order_age_seconds"), "age"),),
            unit=Unit.SECONDS,
            minimum=0,
            steps=limit(RISK.unknown_age_ms_max / MS_PER_S),
        ),
        Panel(
            title="Faults",
            description="Within five minutes: frames that could not be read, answers of the strategy that were none, "
            "orders that did what they cannot do. The last two halt.",
            view=View.GRAPH,
            queries=(
                Query(increase("frame_faults_total", "5m"), "frames"),
                Query(increase("strategy_failures_total", "5m"), "strategy"),
                Query(increase("illegal_transitions_total", "5m"), "orders"),
            ),
            minimum=0,
            steps=NONE_IS_GOOD,
        ),
        Panel(
            title="Time quoted",
            description="Share of the last five minutes in which orders rested on both sides, by market.",
            view=View.GRAPH,
            queries=(
                Query(
                    f"{rate('quoting_seconds_total', '5m')} / on (account, instance) group_left () "
                    f"{rate('trading_seconds_total', '5m')}",
                    "{{market}}",
                ),
            ),
            unit=Unit.SHARE,
            minimum=0,
            maximum=1,
        ),
    ),
)
