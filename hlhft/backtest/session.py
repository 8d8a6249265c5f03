"""A backtest as the command runs it: a recording, a strategy, models and fee scenarios become one replay with a lane a
scenario, and its results.

The bench calls these same functions (tests/bench).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hlhft import __version__
from hlhft.backtest.models import FeeScenario, parse_fees, parse_latency, parse_queue
from hlhft.backtest.recordings import Recording
from hlhft.backtest.replay import Replay, ReplayOutput, ReplayPlan, RowStream, prepare, run
from hlhft.compiled import code_key
from hlhft.core.state import LIMITS_DTYPE, Mode
from hlhft.strategies import Strategy
from hlhft.units import MICRO, Market
from hlhft.venue import rules as venue_rules

MS = 1_000_000
# The mission's breakers; the configuration can tighten them.
TICK_TO_TRADE_NS_MAX = 150 * MS
DRAWDOWN_E6_MAX = 30_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may choose for a backtest; texts as `hlhft.backtest.models` reads them."""

    strategy: Strategy
    params: Mapping[str, str | float] = field(default_factory=dict)
    latency: str = "constant:10"
    queue: str = "power:2"
    fees: str = "scenarios"
    rules: str = "hyperliquid"
    seed: int = 1
    capital_micro: int = 10_000 * MICRO
    record_interval_ns: int = 1_000_000_000
    batch_window_ns: int = 2 * MS
    funding_rate_e12: int = 0
    interval_ns: int | None = None  # None: the strategy's own
    position_notional_micro_max: int = 0
    order_notional_micro_max: int = 0
    exposure_micro_max: int = 0
    drawdown_e6_max: int = DRAWDOWN_E6_MAX
    feed_age_ns_max: int = 30_000 * MS
    price_band_e6: int = 50_000
    rejections_max: int = 1000
    address_enforced: bool = True
    alo_jumper_share: float = 0.0

    def record(self) -> dict[str, object]:
        """Everything that decides the outcome, for the run's record."""
        plain: dict[str, object] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("strategy", "params")
        }
        plain["strategy"] = self.strategy.name
        plain["strategy_source"] = self.strategy.fingerprint.hex() if self.strategy.is_user_file else "built in"
        defaults = {name: parameter.default for name, parameter in self.strategy.parameters.items()}
        plain["params"] = {name: float(value) for name, value in {**defaults, **self.params}.items()}
        return plain


def limits_of(settings: Settings) -> np.ndarray:
    """LIMITS_DTYPE[1] of a backtest: the breakers as live, except those that only a live connection can measure."""
    strategy = settings.strategy
    limits = np.zeros(1, LIMITS_DTYPE)
    values = {
        "tick_to_trade_ns_max": TICK_TO_TRADE_NS_MAX,
        "drawdown_e6_max": settings.drawdown_e6_max,
        "feed_age_ns_max": settings.feed_age_ns_max,
        "position_notional_micro_max": settings.position_notional_micro_max,
        "exposure_micro_max": settings.exposure_micro_max,
        "order_notional_micro_max": settings.order_notional_micro_max,
        "price_band_e6": settings.price_band_e6,
        "rejections_max": settings.rejections_max,
        "rejection_window_ns": 60_000 * MS,
        "address_reserve": 1000,
        "address_enforced": int(settings.address_enforced),
        "ip_weight_per_minute": 1200,  # venue reference section 7
        "messages_per_minute": 2000,
        "posts_in_flight_max": 100,
        "open_orders_max": 1000,
        "legs_max": 200,
        "batch_window_ns": settings.batch_window_ns,
        "batch_busy_ns_max": 1_000 * MS,
        "features": strategy.features,
        "interval_ns": strategy.interval_ns if settings.interval_ns is None else settings.interval_ns,
        "decide_on_frame": int(strategy.on_frame),
        "decide_on_fill": int(strategy.on_fill),
    }
    for name, value in values.items():
        limits[name] = value
    return limits


def rules_of(settings: Settings) -> np.ndarray:
    """RULES_DTYPE[1] with the chosen queue model. Raises ModelError for an unknown queue model."""
    rules = venue_rules.hftbacktest() if settings.rules == "hftbacktest" else venue_rules.hyperliquid()
    rules["queue_model"], rules["queue_power"] = parse_queue(settings.queue)
    rules["alo_jumper_share_e6"] = round(settings.alo_jumper_share * 1e6)
    return rules


def plan_of(
    settings: Settings,
    markets: Sequence[Market],
    streams: Sequence[RowStream],
    scenarios: Sequence[FeeScenario],
    params: Sequence[Mapping[str, str | float]] | None = None,
) -> ReplayPlan:
    """One lane a scenario; with `params`, one lane a parameter set for every scenario, scenarios outermost."""
    sets = [settings.params] if params is None else list(params)
    latency, table = parse_latency(settings.latency, seed=settings.seed)
    return ReplayPlan(
        markets=markets,
        streams=streams,
        strategy=settings.strategy,
        params=[one for _ in scenarios for one in sets],
        limits=limits_of(settings),
        rules=rules_of(settings),
        latency=latency,
        latency_table=table,
        seed=settings.seed,
        capital_micro=settings.capital_micro,
        record_interval_ns=settings.record_interval_ns,
        funding_rate_e12=settings.funding_rate_e12,
        fees_e9=[(item.maker_rate_e9, item.taker_rate_e9) for item in scenarios for _ in sets],
    )


@dataclass
class Backtest:
    """A finished backtest: one output a scenario, the user's first."""

    settings: Settings
    recording: Recording
    plan: ReplayPlan
    scenarios: Sequence[FeeScenario]
    outputs: Sequence[ReplayOutput]

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped it before the recording's end."""
        return any(output.interrupted for output in self.outputs)

    @property
    def halted(self) -> bool:
        """Whether any scenario ended halted."""
        return any(int(output.lanes.lane[0, 0]["mode"]) == Mode.HALTED for output in self.outputs)

    def metadata(self) -> dict[str, object]:
        """What identifies the run, without any clock: equal metadata means equal results."""
        return {
            "version": __version__,
            "code_key": code_key(),
            "seed": self.settings.seed,
            "data": {
                "name": self.recording.name,
                "fingerprint": self.recording.fingerprint,
                "profile": self.recording.profile,
                "events": self.recording.events,
            },
            "settings": self.settings.record(),
        }


def prepare_backtest(settings: Settings, recording: Recording) -> tuple[Replay, list[FeeScenario]]:
    """The replay of a backtest, set up and not run. Raises what its parts raise."""
    scenarios = parse_fees(settings.fees)
    return prepare(plan_of(settings, recording.markets, recording.streams(), scenarios)), scenarios


def run_backtest(
    settings: Settings, recording: Recording, progress: Callable[[int, int], None] | None = None
) -> Backtest:
    """Runs every fee scenario of a backtest in one pass over the recording.

    Raises ModelError, StrategyError and ReplayError.
    """
    replay, scenarios = prepare_backtest(settings, recording)
    output = run(replay, progress)
    outputs = [output.lane(number) for number in range(len(scenarios))]
    plans = replace(replay.plan, params=[settings.params], fees_e9=replay.plan.fees_e9[:1])
    return Backtest(settings, recording, plans, scenarios, outputs)
