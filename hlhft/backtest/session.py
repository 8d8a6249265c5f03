"""A backtest as the command runs it: a recording, a strategy, models and fee scenarios become one replay with a lane a
scenario, and its results.

The bench calls these same functions (tests/bench).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from hlhft import __version__
from hlhft.backtest.models import FeeScenario, ModelError, parse_fees, parse_latency, parse_queue
from hlhft.backtest.recordings import Outline, Recording
from hlhft.backtest.replay import Replay, ReplayOutput, ReplayPlan, RowStream, prepare, run
from hlhft.backtest.signals import SignalTrack
from hlhft.compiled import JIT_DISABLED, running_key
from hlhft.config.settings import Config, limit_values, whole
from hlhft.core.state import LIMITS_DTYPE, VIEW_DTYPE, VIEW_LEVELS, Mode
from hlhft.events import empty
from hlhft.report.origins import Origin, Span, meetings
from hlhft.strategies import CALL_NS_MAX, Strategy, StrategyError, failures, load
from hlhft.units import Market
from hlhft.venue import rules as venue_rules

# What `auto` is: for the venue's own recordings its blocks and its feed of today, elsewhere a good line and all of it.
LATENCY_HYPERLIQUID, LATENCY_ELSEWHERE = "blocks", "constant:10"
PROFILE_HYPERLIQUID, PROFILE_ELSEWHERE = "2026", "recorded"
AUTO = "auto"
# What of the configuration's limits a replay does without: its clock is the recording's and steps over the gaps, and
# its venue knows no modification.
_LIVE_ONLY = frozenset({"clock_step_ns_max", "amend"})
_RECORDED_APART = frozenset({"strategy", "params", "signals", "origins"})  # in `Settings.record`
_DEFAULTS = Config()
_LIMITS = limit_values(_DEFAULTS)
# Interpreted, for a debugger, a strategy may take its time.
_CALL_NS_MAX = CALL_NS_MAX * (20 if JIT_DISABLED else 1)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides a backtest; texts as `hlhft.backtest.models` reads them, limits as in LIMITS_DTYPE.

    A user's come from the configuration, by `settings_of`, which holds the mission's limits. A program that makes its
    own, a test or a comparison with another simulator, can switch any of them off.
    """

    strategy: Strategy
    params: Mapping[str, str | float] = field(default_factory=dict)
    latency: str = LATENCY_ELSEWHERE
    queue: str = _DEFAULTS.backtest.queue
    fees: str = _DEFAULTS.backtest.fees
    rules: str = _DEFAULTS.backtest.rules
    seed: int = _DEFAULTS.backtest.seed
    capital_micro: int = whole(_DEFAULTS, "backtest.capital_usdc")
    record_interval_ns: int = whole(_DEFAULTS, "backtest.record_interval_ms")
    funding_rate_e12: int = 0
    interval_ns: int | None = None  # None: the strategy's own
    alo_jumper_share: float = 0.0
    address_actions: int = _DEFAULTS.limits.address_actions
    address_enforced: bool = True
    tick_to_trade_ns_max: int = _LIMITS["tick_to_trade_ns_max"]
    drawdown_e6_max: int = _LIMITS["drawdown_e6_max"]
    feed_age_ns_max: int = _LIMITS["feed_age_ns_max"]
    acknowledgement_ns_max: int = _LIMITS["acknowledgement_ns_max"]
    # A program that makes its own Settings names the caps it wants.
    position_notional_micro_max: int = 0
    exposure_micro_max: int = 0
    order_notional_micro_max: int = 0
    position_lots_max: int = _LIMITS["position_lots_max"]
    price_band_e6: int = _LIMITS["price_band_e6"]
    margin_distance_e6_min: int = _LIMITS["margin_distance_e6_min"]
    rejections_max: int = _LIMITS["rejections_max"]
    rejection_window_ns: int = _LIMITS["rejection_window_ns"]
    unknown_age_ns_max: int = _LIMITS["unknown_age_ns_max"]
    ip_weight_per_minute: int = _LIMITS["ip_weight_per_minute"]
    messages_per_minute: int = _LIMITS["messages_per_minute"]
    posts_in_flight_max: int = _LIMITS["posts_in_flight_max"]
    open_orders_max: int = _LIMITS["open_orders_max"]
    address_reserve: int = _LIMITS["address_reserve"]
    batch_window_ns: int = _LIMITS["batch_window_ns"]
    batch_busy_ns_max: int = _LIMITS["batch_busy_ns_max"]
    legs_max: int = _LIMITS["legs_max"]
    expires_after_ns: int = _LIMITS["expires_after_ns"]
    requote_e6_min: int = _LIMITS["requote_e6_min"]
    signals: SignalTrack | None = None  # what models said over the recording
    origins: tuple[Origin, ...] = ()  # what the parameters were chosen on, where somebody says so

    def record(self) -> dict[str, object]:
        """Everything that decides the outcome, for the run's record."""
        plain: dict[str, object] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in _RECORDED_APART
        }
        plain["strategy"] = self.strategy.name
        plain["strategy_source"] = self.strategy.fingerprint.hex() if self.strategy.is_user_file else "built in"
        defaults = {name: parameter.default for name, parameter in self.strategy.parameters.items()}
        plain["params"] = {name: float(value) for name, value in {**defaults, **self.params}.items()}
        if self.signals is not None:
            plain["signals"] = self.signals.record()
        if self.origins:
            plain["origins"] = msgspec.to_builtins(self.origins)
        return plain


def settings_of(config: Config, strategy: Strategy | None = None, *, is_hyperliquid: bool = False) -> Settings:
    """The settings that a configuration gives a backtest, `strategy` in place of its own when given.

    `is_hyperliquid` says of the recording whether it is that venue's, for what the configuration leaves open. The
    configuration's parameters are those of its own strategy and not handed to another. Raises StrategyError when the
    configuration's strategy cannot be loaded.
    """
    backtest = config.backtest
    latency = LATENCY_HYPERLIQUID if is_hyperliquid else LATENCY_ELSEWHERE
    return Settings(
        strategy=load(config.strategy.name) if strategy is None else strategy,
        params=config.strategy.params if strategy is None else {},
        interval_ns=None if config.strategy.interval_ms is None else whole(config, "strategy.interval_ms"),
        latency=latency if backtest.latency == AUTO else backtest.latency,
        queue=backtest.queue,
        fees=backtest.fees,
        rules=backtest.rules,
        seed=backtest.seed,
        capital_micro=whole(config, "backtest.capital_usdc"),
        record_interval_ns=whole(config, "backtest.record_interval_ms"),
        funding_rate_e12=whole(config, "backtest.funding_rate_per_hour"),
        alo_jumper_share=backtest.alo_jumper_share,
        address_actions=config.limits.address_actions,
        address_enforced=backtest.budgets_enforced,
        signals=None,
        origins=origins_of(config) if strategy is None else (),
        **{name: value for name, value in limit_values(config).items() if name not in _LIVE_ONLY},
    )


def origins_of(config: Config) -> tuple[Origin, ...]:
    """What the configuration's parameters were chosen on; nothing where it says nothing."""
    fitted = config.strategy.fitted
    if fitted.until_ns == 0:
        return ()
    coins = fitted.coins or ("an unnamed market",)
    spans = tuple(Span(coin=coin, from_ns=fitted.from_ns, to_ns=fitted.until_ns) for coin in coins)
    what = f"the set of parameters by {fitted.by}" if fitted.by else "the set of parameters"
    return (Origin(what=what, blocks={"chosen": spans}, embargo_ns=fitted.embargo_ns),)


def profile_of(config: Config, *, is_hyperliquid: bool) -> str:
    """The feed profile that a configuration gives a recording of that venue, or of another."""
    profile = PROFILE_HYPERLIQUID if is_hyperliquid else PROFILE_ELSEWHERE
    return profile if config.backtest.feed_profile == AUTO else config.backtest.feed_profile


def faults_of(config: Config) -> list[tuple[str, str]]:
    """The settings that name what is not there or cannot be understood: path and sentence of each, none when all are
    in order."""
    backtest = config.backtest
    faults: list[tuple[str, str]] = []
    checks: list[tuple[str, Callable[[], object]]] = [
        ("strategy.name", lambda: load(config.strategy.name)),
        ("strategy.params", lambda: load(config.strategy.name).params_bytes(config.strategy.params)),
        ("backtest.latency", lambda: backtest.latency == AUTO or parse_latency(backtest.latency, seed=backtest.seed)),
        ("backtest.queue", lambda: parse_queue(backtest.queue)),
        ("backtest.fees", lambda: parse_fees(backtest.fees)),
    ]
    for path, check in checks:
        if path == "strategy.params" and faults:
            continue  # without a strategy there is nothing to hold them against
        try:
            check()
        except (StrategyError, ModelError) as error:
            faults.append((path, str(error)))
        except OSError as error:
            reason = f"{error.filename} cannot be read: {error.strerror}" if error.filename else str(error)
            faults.append((path, reason))
    return faults


def limits_of(settings: Settings) -> np.ndarray:
    """LIMITS_DTYPE[1] of a backtest: the breakers as live, except those that only a live connection can measure.

    Raises StrategyError when nothing would ever ask the strategy.
    """
    strategy = settings.strategy
    limits = np.zeros(1, LIMITS_DTYPE)
    for name in _LIMITS:
        if name not in _LIVE_ONLY:
            limits[name] = getattr(settings, name)
    limits["address_enforced"] = int(settings.address_enforced)
    limits["features"] = strategy.features
    limits["interval_ns"] = strategy.interval_ns if settings.interval_ns is None else settings.interval_ns
    limits["decide_on_frame"] = int(strategy.on_frame)
    limits["decide_on_fill"] = int(strategy.on_fill)
    if not (limits["interval_ns"][0] or strategy.on_frame or strategy.on_fill):
        raise StrategyError(f"strategy {strategy.source} is never asked: give it an interval above 0")
    return limits


def rules_of(settings: Settings) -> np.ndarray:
    """RULES_DTYPE[1] with the chosen queue model. Raises ModelError for an unknown queue model or rule set."""
    makers = {"hyperliquid": venue_rules.hyperliquid, "hftbacktest": venue_rules.hftbacktest}
    if settings.rules not in makers:
        raise ModelError(f"rules {settings.rules!r} are none: give one of {', '.join(makers)}")
    rules = makers[settings.rules]()
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
        address_actions=settings.address_actions,
        signals=empty(0) if settings.signals is None else settings.signals.events,
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
        return identity_of(self.settings, self.recording)


def identity_of(settings: Settings, recording: Recording | Outline) -> dict[str, object]:
    """What decides the outcome: the code, the data and the settings."""
    return {
        "version": __version__,
        "code_key": running_key(),
        "seed": settings.seed,
        "data": {
            "name": recording.name,
            "fingerprint": recording.fingerprint,
            "profile": recording.profile,
            "events": recording.events,
        },
        "settings": settings.record(),
    }


def in_sample(settings: Settings, recording: Recording) -> tuple[str, ...]:
    """How the recording meets what the models or the parameters were made from, a sentence a block; none where it does
    not, or where nobody says what they were made from."""
    made_from = settings.origins + (() if settings.signals is None else settings.signals.meta.origins)
    return meetings(made_from, *recording.span_ns())


def refuse_slow(plan: ReplayPlan) -> None:
    """Raises StrategyError when the user's strategy takes longer than CALL_NS_MAX a call, in the median.

    A replay has no clock that could stop such a strategy while it runs, and live it would trip the breaker on
    tick-to-trade at once, so it does not begin. The built-in ones are held to it by the tests instead.
    """
    strategy = plan.strategy
    if not strategy.is_user_file:
        return
    with failures():  # one that raises is halted by the run, which reports it
        median_ns = strategy.call_ns(_likely_view(plan), plan.params[0])
    if median_ns > _CALL_NS_MAX:
        raise StrategyError(
            f"strategy {strategy.source} is too slow: a call takes {median_ns / 1e6:.2f} ms in the median, at most "
            f"{_CALL_NS_MAX / 1e6:g} ms are allowed; make its quote cheaper"
        )


def _likely_view(plan: ReplayPlan) -> np.ndarray:
    """VIEW_DTYPE[M] as the strategy may meet it: a touch and levels amid each market's prices, and its features."""
    view = np.zeros(len(plan.markets), VIEW_DTYPE)
    for index, (market, stream) in enumerate(zip(plan.markets, plan.streams, strict=True)):
        seen, record = view[index], market.record()[0]
        for name in ("tick_size", "lot_size", "grid_rule", "grid_step_ticks", "whole_unit_ticks"):
            seen[name] = record[name]
        seen["market"] = index
        seen["maker_rate_e9"], seen["taker_rate_e9"] = market.maker_rate_e9, market.taker_rate_e9
        middle, distances = (stream.low_ticks + stream.high_ticks) // 2, np.arange(1, VIEW_LEVELS + 1)
        seen["bid_ticks"], seen["ask_ticks"] = np.maximum(middle - distances, 1), middle + distances
        seen["bid_lots"] = seen["ask_lots"] = 1000
        for side in ("bid", "ask"):
            seen[f"best_{side}_ticks"], seen[f"best_{side}_lots"] = seen[f"{side}_ticks"][0], 1000
        features = seen["features"]
        features["ready"] = plan.strategy.features
        for name in ("mid_price", "micro_price", "vamp"):
            features[name] = middle
        features["volatility"] = features["intensity_a"] = features["intensity_k"] = 1.0
        features["spread_ticks"] = 2.0
    return view


def prepare_backtest(settings: Settings, recording: Recording) -> tuple[Replay, list[FeeScenario]]:
    """The replay of a backtest, set up and not run. Raises what its parts raise, StrategyError for a slow one, and
    DataError for signals of another recording."""
    if settings.signals is not None:
        settings.signals.check(recording)
    scenarios = parse_fees(settings.fees)
    plan = plan_of(settings, recording.markets, recording.streams(), scenarios)
    refuse_slow(plan)
    return prepare(plan), scenarios


def run_backtest(
    settings: Settings, recording: Recording, progress: Callable[[int, int], None] | None = None
) -> Backtest:
    """Runs every fee scenario of a backtest in one pass over the recording.

    Raises ModelError, StrategyError, ReplayError and DataError.
    """
    replay, scenarios = prepare_backtest(settings, recording)
    output = run(replay, progress, keep_orders=True)
    outputs = [output.lane(number) for number in range(len(scenarios))]
    plans = replace(replay.plan, params=[settings.params], fees_e9=replay.plan.fees_e9[:1])
    return Backtest(settings, recording, plans, scenarios, outputs)
