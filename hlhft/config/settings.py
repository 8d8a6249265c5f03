"""Every setting: its type, default, bounds, meaning, and the whole number that it becomes.

People write units that people use, named in the key (`tick_to_trade_ms_max`, `drawdown_share_max`); `limit_values`
makes them the whole numbers of `hlhft.core.state.LIMITS_DTYPE`, exactly or not at all. A field carries all that is
known of it, so what `hlhft config` shows, the JSON Schema and docs/configuration.md are made from the fields and cannot
differ from them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct, inspect

from hlhft.config.live_sections import (
    Account,
    Alpha,
    Engine,
    Gateway,
    Journal,
    MarketData,
    Metrics,
    Recorder,
    Watchdog,
)
from hlhft.config.setting import MS, TIME_MS_MAX
from hlhft.config.setting import setting as _setting
from hlhft.units import FUNDING_SCALE, MICRO

SHARE = 1_000_000  # shares are whole 1e-6

# The mission's breakers. A configuration can tighten them, never loosen them.
TICK_TO_TRADE_MS_MAX = 150
DRAWDOWN_SHARE_MAX = 0.03

# What the venue allows (venue reference section 7, read late 2026): per IP, then per address.
IP_WEIGHT_PER_MINUTE = 1200
MESSAGES_PER_MINUTE = 2000
POSTS_IN_FLIGHT = 100
OPEN_ORDERS = 1000  # of an account without volume
OPEN_ORDERS_LIMIT = 5000  # whatever its volume
ADDRESS_ACTIONS = 10_000  # before the first trade; every USDC traded buys one more
LEGS = 200  # in one action, measured on testnet (venue reference appendix D)

WATCHDOG_PERCENT_MIN = 5  # what the watchdog needs to cancel everything, whatever the others do
_USDC_MAX = 1_000_000_000  # times the scales of a spot market, this still fits 64 bits

Level = Literal["debug", "info", "warning", "error"]


class Fitted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The time that the parameters were chosen on, as `hlhft sweep` writes it; a backtest of that time is refused."""

    by: Annotated[str, _setting("who chose them; empty while nobody says", max_length=200)] = ""
    coins: Annotated[tuple[str, ...], _setting("the markets that were looked at")] = ()
    from_ns: Annotated[int, _setting("when that time begins, ns since 1970", ge=0, le=2**62)] = 0
    until_ns: Annotated[int, _setting("when it ends, ns since 1970; 0 while nobody says", ge=0, le=2**62)] = 0
    embargo_ns: Annotated[int, _setting("how much around it still knows of it, ns", ge=0, le=2**60)] = 0


class Strategy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What quotes, and how it is set."""

    name: Annotated[
        str,
        _setting(
            "a built-in strategy (avellaneda_stoikov, funding, glft, two_sided) or a Python file, its path absolute or "
            "from the working folder",
            min_length=1,
        ),
    ] = "glft"
    interval_ms: Annotated[
        Annotated[float, Meta(ge=0, le=TIME_MS_MAX)] | None,
        _setting("decide on a timer this often, 0 never; left out, as the strategy declares", scale=MS),
    ] = None
    params: Annotated[
        dict[str, float],
        _setting("the strategy's own parameters by name (docs/strategies.md); those left out have its defaults"),
    ] = {}
    fitted: Fitted = Fitted()


class Risk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What no strategy can exceed. The first two are the mission's and can only be tightened."""

    tick_to_trade_ms_max: Annotated[
        float,
        _setting(
            "longest time from a frame's receipt to the last byte of our reaction; above it, all orders are cancelled",
            gt=0,
            le=TICK_TO_TRADE_MS_MAX,
            scale=MS,
            limit="tick_to_trade_ns_max",
            mission=True,
        ),
    ] = TICK_TO_TRADE_MS_MAX
    drawdown_share_max: Annotated[
        float,
        _setting(
            "largest fall of equity below its one-hour peak; above it, all orders are cancelled and positions closed",
            gt=0,
            le=DRAWDOWN_SHARE_MAX,
            scale=SHARE,
            limit="drawdown_e6_max",
            mission=True,
        ),
    ] = DRAWDOWN_SHARE_MAX
    feed_age_ms_max: Annotated[
        float,
        _setting("oldest market data to quote on; 0 off", ge=0, le=TIME_MS_MAX, scale=MS, limit="feed_age_ns_max"),
    ] = 30_000
    acknowledgement_ms_max: Annotated[
        float,
        _setting(
            "slowest answer of the venue before all orders are cancelled; 0 off",
            ge=0,
            le=TIME_MS_MAX,
            scale=MS,
            limit="acknowledgement_ns_max",
        ),
    ] = 5000
    position_notional_usdc_max: Annotated[
        float,
        _setting(
            "largest position in one market, if every open order on a side fills; 0 off",
            ge=0,
            le=_USDC_MAX,
            scale=MICRO,
            limit="position_notional_micro_max",
        ),
    ] = 20_000
    exposure_notional_usdc_max: Annotated[
        float,
        _setting(
            "the same over all markets together; 0 off", ge=0, le=_USDC_MAX, scale=MICRO, limit="exposure_micro_max"
        ),
    ] = 40_000
    order_notional_usdc_max: Annotated[
        float,
        _setting(
            "largest order; a larger quote is shrunk; 0 off",
            ge=0,
            le=_USDC_MAX,
            scale=MICRO,
            limit="order_notional_micro_max",
        ),
    ] = 5000
    position_lots_max: Annotated[
        int,
        _setting(
            "largest position in lots in every market; a position beyond it halts; 0 off",
            ge=0,
            le=2**46 - 1,
            limit="position_lots_max",
        ),
    ] = 0
    price_band_share_max: Annotated[
        float,
        _setting(
            "largest distance of an order from the mid, as a share of it; 0 off",
            ge=0,
            le=1,
            scale=SHARE,
            limit="price_band_e6",
        ),
    ] = 0.05
    margin_distance_share_min: Annotated[
        float,
        _setting(
            "smallest margin above the maintenance margin, as a share of it; below it, trading halts; 0 off",
            ge=0,
            le=100,
            scale=SHARE,
            limit="margin_distance_e6_min",
        ),
    ] = 0.5
    rejections_max: Annotated[
        int,
        _setting(
            "most rejections within the window, post-only ones not counted, before trading halts; 0 off",
            ge=0,
            le=1_000_000,
            limit="rejections_max",
        ),
    ] = 100
    rejection_window_ms: Annotated[
        float,
        _setting(
            "the window in which rejections are counted", gt=0, le=TIME_MS_MAX, scale=MS, limit="rejection_window_ns"
        ),
    ] = 60_000
    unknown_age_ms_max: Annotated[
        float,
        _setting(
            "longest time that an order's fate may stay unknown before trading halts; 0 off",
            ge=0,
            le=TIME_MS_MAX,
            scale=MS,
            limit="unknown_age_ns_max",
        ),
    ] = 60_000
    clock_step_ms_max: Annotated[
        float,
        _setting(
            "longest step of the clock between two decisions before trading halts; 0 off; a backtest, whose clock is "
            "the recording's with its gaps, leaves it off",
            ge=0,
            le=TIME_MS_MAX,
            scale=MS,
            limit="clock_step_ns_max",
        ),
    ] = 60_000


class Shares(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the limits per IP are split among the processes of a machine, in percent; at most 100 together."""

    engine_percent: Annotated[int, _setting("what trades", ge=1, le=100)] = 80
    watchdog_percent: Annotated[
        int,
        _setting("what cancels for a dead engine; this part is reserved for it", ge=WATCHDOG_PERCENT_MIN, le=100),
    ] = 10
    recorder_percent: Annotated[int, _setting("what records market data", ge=0, le=100)] = 5
    tools_percent: Annotated[int, _setting("what people run by hand", ge=0, le=100)] = 5


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the venue allows; a budget that is used up leaves cancels and reductions only."""

    ip_weight_per_minute: Annotated[
        int,
        _setting(
            "request weight of the IP, split by the shares",
            ge=1,
            le=IP_WEIGHT_PER_MINUTE,
            limit="ip_weight_per_minute",
            shared=True,
        ),
    ] = IP_WEIGHT_PER_MINUTE
    messages_per_minute: Annotated[
        int,
        _setting(
            "WebSocket messages sent by the IP, split by the shares",
            ge=1,
            le=MESSAGES_PER_MINUTE,
            limit="messages_per_minute",
            shared=True,
        ),
    ] = MESSAGES_PER_MINUTE
    posts_in_flight_max: Annotated[
        int,
        _setting(
            "unanswered requests of the IP, split by the shares",
            ge=1,
            le=POSTS_IN_FLIGHT,
            limit="posts_in_flight_max",
            shared=True,
        ),
    ] = POSTS_IN_FLIGHT
    open_orders_max: Annotated[
        int,
        _setting(
            "open orders of the account; the venue's own figure for an account without volume",
            ge=1,
            le=OPEN_ORDERS_LIMIT,
            limit="open_orders_max",
        ),
    ] = OPEN_ORDERS
    address_actions: Annotated[
        int,
        _setting(
            "actions the address may send before what it trades buys more; a backtest begins with them", ge=0, le=10**12
        ),
    ] = ADDRESS_ACTIONS
    address_reserve: Annotated[
        int,
        _setting("actions of the address that placements leave for cancels", ge=0, le=10**9, limit="address_reserve"),
    ] = 1000
    share: Annotated[Shares, _setting("who of this machine may use how much")] = Shares()


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders are collected into actions."""

    window_ms: Annotated[
        float,
        _setting(
            "longest wait of a placement while an earlier action is unanswered; 0 sends each at once",
            ge=0,
            le=1000,
            scale=MS,
            limit="batch_window_ns",
        ),
    ] = 2
    busy_ms_max: Annotated[
        float,
        _setting(
            "after this long, an unanswered action no longer holds later ones back",
            ge=0,
            le=60_000,
            scale=MS,
            limit="batch_busy_ns_max",
        ),
    ] = 1000
    legs_max: Annotated[int, _setting("orders or cancels in one action", ge=1, le=LEGS, limit="legs_max")] = LEGS
    expires_after_ms: Annotated[
        float,
        _setting(
            "a placement that the venue has not executed by then is void; 0 never",
            ge=0,
            le=TIME_MS_MAX,
            scale=MS,
            limit="expires_after_ns",
        ),
    ] = 3000
    amend: Annotated[
        bool,
        _setting(
            "move a post-only order by one modification instead of a cancel and a placement: half of the actions; a "
            "backtest always does the latter",
            limit="amend",
        ),
    ] = False
    requote_bp_min: Annotated[
        float,
        _setting(
            "a working order nearer than this to a wanted price stays: a smaller move is not worth its action",
            ge=0,
            le=1000,
            scale=100,
            limit="requote_e6_min",
        ),
    ] = 0


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was mined, recorded and imported."""

    catalogue: Annotated[
        str,
        _setting(
            "folder of the catalogue, its path absolute or from the working folder; for commands that only read it, "
            "s3://BUCKET/PREFIX as well",
            min_length=1,
        ),
    ] = "catalog"


class Backtest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a recording is replayed."""

    latency: Annotated[
        str,
        _setting(
            "milliseconds (15), constant:THERE,BACK, sampled:MEDIAN,P99, blocks, blocks:MEDIAN,P99, history:FILE or "
            "measured:FILE; auto is blocks for Hyperliquid recordings, else constant:10",
            min_length=1,
        ),
    ] = "auto"
    queue: Annotated[
        str,
        _setting(
            "queue model: risk-averse, power:N, power-total:N, power-complement:N, log, log-total or order-level",
            min_length=1,
        ),
    ] = "power:2"
    fees: Annotated[
        str,
        _setting(
            "scenarios, tier:0 to tier:6, or maker and taker in basis points (1.5,4.5); three standard scenarios are "
            "always run",
            min_length=1,
        ),
    ] = "scenarios"
    feed_profile: Annotated[
        Literal["auto", "recorded", "2026"],
        _setting("cadence of the feed that we see; auto is 2026 for Hyperliquid recordings, else recorded"),
    ] = "auto"
    rules: Annotated[Literal["hyperliquid", "hftbacktest"], _setting("the venue's rule set")] = "hyperliquid"
    seed: Annotated[int, _setting("what random latencies and blocks are drawn from", ge=0, le=2**31 - 1)] = 1
    capital_usdc: Annotated[float, _setting("equity at the beginning", gt=0, le=_USDC_MAX, scale=MICRO)] = 10_000
    record_interval_ms: Annotated[
        float,
        _setting("time between two records, 0 for every decision", ge=0, le=TIME_MS_MAX, scale=MS),
    ] = 1000
    funding_rate_per_hour: Annotated[
        float,
        _setting(
            "funding where the recording has none; the venue's cap is 0.04", ge=-0.04, le=0.04, scale=FUNDING_SCALE
        ),
    ] = 0
    alo_jumper_share: Annotated[
        float,
        _setting("share of what joins a young level that is assumed to go ahead of us", ge=0, le=1, scale=SHARE),
    ] = 0
    budgets_enforced: Annotated[bool, _setting("whether the venue's budgets bind the replay")] = True


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged on standard error; the variable HLHFT_LOG goes before it."""

    level: Annotated[Level, _setting("level of whatever has none of its own")] = "warning"
    modules: Annotated[
        dict[str, Level], _setting('levels by module, as in {"hlhft.live" = "info"}; the longest name counts')
    ] = {}


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of hlhft."""

    strategy: Strategy = Strategy()
    risk: Risk = Risk()
    limits: Limits = Limits()
    batch: Batch = Batch()
    data: Data = Data()
    backtest: Backtest = Backtest()
    account: Account = Account()
    engine: Engine = Engine()
    market_data: MarketData = MarketData()
    gateway: Gateway = Gateway()
    journal: Journal = Journal()
    watchdog: Watchdog = Watchdog()
    alpha: Alpha = Alpha()
    recorder: Recorder = Recorder()
    metrics: Metrics = Metrics()
    log: Log = Log()


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: where it is, what it may be, what it means."""

    path: str  # section and key with dots
    annotation: Any
    default: Any

    @property
    def meta(self) -> Meta:
        """Its bounds, description and extra facts."""
        return next(item for item in get_args(self.annotation)[1:] if isinstance(item, Meta))

    @property
    def extra(self) -> Mapping[str, Any]:
        """`scale` to the whole number inside, `limit` it becomes, `shared` per IP, `mission` never loosened, `words`
        in place of a pattern."""
        return self.meta.extra or {}

    @property
    def expected(self) -> str:
        """What its value may be, in words."""
        return self.extra.get("words") or _expected(inspect.type_info(self.annotation))

    def of(self, config: Config) -> Any:
        """Its value."""
        value: Any = config
        for name in self.path.split("."):
            value = getattr(value, name)
        return value

    def whole(self, config: Config) -> int:
        """Its value, a number, in the whole unit inside; 1 for true."""
        value = self.of(config)
        return int(value) if isinstance(value, bool) else exact(value, self.extra.get("scale", 1))


# To read annotations is slow, and they stay as they are.
_entries = functools.cache(msgspec.structs.fields)


def fields(section: type[Struct] = Config, prefix: str = "") -> Iterator[Field]:
    """Every setting, in order; a section's own before those of the sections inside."""
    inner = []
    for entry in _entries(section):
        table = table_type(entry.type)
        if table is not None:
            inner.append((table, f"{prefix}{entry.name}."))
            continue
        default = entry.default if entry.default is not msgspec.NODEFAULT else entry.default_factory()
        yield Field(prefix + entry.name, entry.type, default)
    for table, deeper in inner:
        yield from fields(table, deeper)


def sections(section: type[Struct] = Config, prefix: str = "") -> Iterator[tuple[str, type[Struct]]]:
    """Every section's path and type, in the order of `fields`."""
    for entry in _entries(section):
        table = table_type(entry.type)
        if table is not None:
            yield prefix + entry.name, table
            yield from sections(table, f"{prefix}{entry.name}.")


def table_type(annotation: Any) -> type[Struct] | None:
    """The section that a field of this type is, None for a setting."""
    bare = get_args(annotation)[0] if get_args(annotation) else annotation
    return bare if isinstance(bare, type) and issubclass(bare, Struct) else None


def exact(value: float, scale: int) -> int:
    """`value` x `scale` as a whole number, by the digits that `value` is written with.

    Raises ValueError when it is none.
    """
    product = Decimal(repr(value)) * scale
    if product != int(product):
        raise ValueError(f"{value!r} is finer than {Decimal(1) / scale:f}")
    return int(product)


def whole(config: Config, path: str) -> int:
    """The number at `path` in the whole unit inside: micro-USDC, nanoseconds or its scale's."""
    return next(field for field in fields() if field.path == path).whole(config)


@functools.cache
def _limit_fields() -> tuple[tuple[str, Field, bool], ...]:
    """The settings that become limits: their names in LIMITS_DTYPE, themselves, and whether an IP's processes share."""
    named = ((field.extra.get("limit"), field) for field in fields())
    return tuple((name, field, field.extra.get("shared", False)) for name, field in named if name is not None)


def mission_limits() -> dict[str, int]:
    """The mission's limits by their name in LIMITS_DTYPE: the largest values they may have."""
    return dict(_mission_limits())


@functools.cache
def _mission_limits() -> tuple[tuple[str, int], ...]:
    mission = (field for field in fields() if field.extra.get("mission"))
    return tuple((field.extra["limit"], exact(field.meta.le or 0, field.extra["scale"])) for field in mission)


def limit_values(config: Config) -> dict[str, int]:
    """The settings that are limits of the core, by their name in LIMITS_DTYPE, as whole numbers: ns, micro-USDC, 1e-6.

    What the venue grants an IP is the engine's share of it, rounded down and at least 1. Raises ValueError when a limit
    of the mission is loosened: a Config that a program made has not been through `hlhft.config.load`.
    """
    values = {}
    for name, field, shared in _limit_fields():
        value = field.whole(config)
        values[name] = max(value * config.limits.share.engine_percent // 100, 1) if shared else value
    for name, largest in mission_limits().items():
        if not 0 < values[name] <= largest:
            raise ValueError(f"{name} is the mission's and can be tightened, never loosened: at most {largest}")
    return values


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return _expected(kind.type)
        case inspect.UnionType():
            return _expected(next(item for item in kind.types if not isinstance(item, inspect.NoneType)))
        case inspect.IntType() | inspect.FloatType():
            number = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            if kind.gt is not None:
                return f"{number} above {kind.gt}, at most {kind.le}"
            return number if kind.ge is None else f"{number} from {kind.ge} to {kind.le}"
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in kind.values)
        case inspect.BoolType():
            return "true or false"
        case inspect.VarTupleType():
            return f"a list whose every item is {_expected(kind.item_type)}"
        case inspect.DictType():
            return f"a table whose every value is {_expected(kind.value_type)}"
        case _:
            return "a text"
