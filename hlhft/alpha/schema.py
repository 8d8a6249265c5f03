"""What a row of model features holds: names, their order, and a hash that a model carries and everybody compares.

A row is F float32 values. The first `book_columns` are the book, a patch a side, bids first: of each level the distance
of its price from the mid in basis points (bids below zero) and log(1 + size). The others, `flow_columns`, are flows and
states. Sizes, of levels and of trades, are in units of the market's decayed mean level size; what can be large is told
as sign(x) log(1 + |x|); all columns are finite. How each is computed is `hlhft.alpha.features`.
"""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np

LEVELS_MAX = 20  # as many as the core keeps of a side (hlhft.core.state.LEVELS)
FEATURES_VERSION = 1  # of the formulas: a change of what a name means is a new version
GAP_NS = 60_000_000_000  # a silence of a market longer than this begins a new segment, as hlhft.data.sessions has it
WARM_SHARE = 4  # rows are valid once a segment is as old as this part of the longest half-life
MIDDLE_SHARE, FAST_SHARE = 8, 64  # parts of the longest half-life that the two others are
AGE_NS_MAX = 60_000_000_000  # an age is told no larger than this; also what was never there has
SIGN_SHARE = 0.1  # weight of the newest trade in the expected sign of the next
IMBALANCES = 5  # levels to which the imbalance is cumulated, at most
SCALES = ("fast", "middle", "slow")

# What each column holds: its unit, and its meaning. A name's last part is a level or a scale where there are several.
MEANING: dict[str, tuple[str, str]] = {
    "bid_bp": ("bp", "price of a bid level less the mid; of a level that is not there, the one before it"),
    "bid_size": ("log", "log(1 + size) of the level in mean sizes"),
    "ask_bp": ("bp", "price of an ask level less the mid; of a level that is not there, the one before it"),
    "ask_size": ("log", "log(1 + size) of the level in mean sizes"),
    "ofi": ("signed log", "decayed order-flow imbalance in mean sizes: of the level, or without one the levels' mean"),
    "imbalance": ("-1..1", "(bid - ask) / (bid + ask) of sizes, cumulative to the level"),
    "micro_bp": ("bp", "micro-price less mid"),
    "vamp_bp": ("bp", "volume-adjusted mid price of up to five levels less mid"),
    "spread_bp": ("bp", "best ask less best bid"),
    "spread_steps": ("log", "log(1 + spread in steps of the price grid)"),
    "move_bp": ("bp", "move of the mid since the row before"),
    "trend": ("bp", "mid less its decayed average"),
    "trade_volume": ("signed log", "decayed volume of trades in mean sizes, buyers' less sellers'"),
    "trade_count": ("signed log", "decayed number of trades, buyers' less sellers'"),
    "trade_surprise": ("signed log", "fast decayed sum of each trade's sign less what the signs before let expect"),
    "sigma": ("log", "log(1 + volatility of the mid in bp per root of a second)"),
    "since_row": ("log", "log(1 + ms since the row before)"),
    "since_trade": ("log", "log(1 + ms since the newest trade)"),
    "age_book": ("log", "log(1 + ms since others' orders changed the book)"),
    "age_fast": ("log", "log(1 + ms since the newest frame of the fast channel), by block time"),
    "age_full": ("log", "log(1 + ms since the newest frame of the full channel), by block time"),
    "funding_bp": ("bp an hour", "funding rate"),
    "premium_bp": ("bp", "premium of the mark over the oracle, as the venue states it"),
    "oracle_bp": ("bp", "oracle less mid, 0 while it is unknown"),
}

FLAG_VALID = 1  # two-sided, uncrossed, and the segment is old enough for its averages
FLAG_RESET = 2  # the first row of a segment: after a start, a gap or a reconnection

ROW_DTYPE = np.dtype(
    [
        ("ts_exch_ns", np.int64),  # newest exchange time of what the row tells
        ("ts_local_ns", np.int64),  # when it was here
        ("sequence", np.int64),  # of the market, from 1, without holes
        ("market", np.int64),
        ("mid_ticks", np.float64),
        ("micro_ticks", np.float64),
        ("half_spread_ticks", np.float64),
        ("sigma_bp", np.float64),  # per square root of a second, of the past alone, at the longest half-life
        ("flags", np.int64),
    ]
)


def base_of(name: str) -> str:
    """The key of MEANING for a column's name. Raises KeyError when it has none."""
    base, _, last = name.rpartition("_")
    if last.isdigit():
        return base_of(base)
    if name in MEANING:
        return name
    if last in SCALES and base in MEANING:
        return base
    raise KeyError(name)


class FeatureSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which features, at what depth and in what beat. Raises ValueError for a value out of its range.

    `half_life_ms` is the longest memory of any feature: five of them are what an embargo has to keep apart. The middle
    and the fast half-life are an eighth and a sixty-fourth of it.
    """

    levels: int = 5  # a side; the venue's fast book has five
    clock_ms: int = 0  # 0: a row for every frame that changes the book or tells trades; else at most one so often
    half_life_ms: int = 32_000
    version: int = FEATURES_VERSION

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= LEVELS_MAX:
            raise ValueError(f"feature schema: levels must lie in 1..{LEVELS_MAX}, not {self.levels}")
        if not 0 <= self.clock_ms <= 60_000:
            raise ValueError(f"feature schema: clock_ms must lie in 0..60000, not {self.clock_ms}")
        if not 640 <= self.half_life_ms <= 3_600_000:
            raise ValueError(f"feature schema: half_life_ms must lie in 640..3600000, not {self.half_life_ms}")
        if self.version != FEATURES_VERSION:
            raise ValueError(
                f"feature schema: version {self.version} is not computed here, only {FEATURES_VERSION}; "
                "use the release that the model was trained with, or train it anew"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The F names, in the order of the columns."""
        depth = range(1, self.levels + 1)
        book = [f"{side}_{what}_{level}" for side in ("bid", "ask") for level in depth for what in ("bp", "size")]
        flow = [f"ofi_{scale}_{level}" for scale in SCALES[:2] for level in depth]
        flow += [f"ofi_{scale}" for scale in SCALES[:2]]
        flow += [f"imbalance_{level}" for level in range(1, self.imbalances + 1)]
        flow += ["micro_bp", "vamp_bp", "spread_bp", "spread_steps", "move_bp"]
        flow += [f"{what}_{scale}" for what in ("trend", "trade_volume", "trade_count") for scale in SCALES]
        flow += ["trade_surprise", *(f"sigma_{scale}" for scale in SCALES)]
        flow += ["since_row", "since_trade", "age_book", "age_fast", "age_full"]
        flow += ["funding_bp", "premium_bp", "oracle_bp"]
        return (*book, *flow)

    @property
    def imbalances(self) -> int:
        """How many cumulative imbalances there are."""
        return min(self.levels, IMBALANCES)

    @property
    def columns(self) -> int:
        """F, the number of values in a row."""
        return len(self.names)

    @property
    def book_columns(self) -> int:
        """How many of the first columns are the book: index = ((side * levels + level) * 2 + (0 price, 1 size))."""
        return 4 * self.levels

    @property
    def flow_columns(self) -> slice:
        """The columns behind the book."""
        return slice(self.book_columns, self.columns)

    @property
    def imbalance_column(self) -> int:
        """The imbalance of the touch, -1..1."""
        return self.names.index("imbalance_1")

    @property
    def half_lives_s(self) -> tuple[float, float, float]:
        """Fast, middle and slow half-life in seconds; no feature remembers longer than the slow one."""
        slow = self.half_life_ms / 1000.0
        return slow / FAST_SHARE, slow / MIDDLE_SHARE, slow

    @property
    def warm_ns(self) -> int:
        """How old a segment is before its rows are valid."""
        return self.half_life_ms * 1_000_000 // WARM_SHARE

    @property
    def hash(self) -> str:
        """32 hexadecimal digits over the names, every setting, and every constant that the features use."""
        constants = (GAP_NS, WARM_SHARE, MIDDLE_SHARE, FAST_SHARE, AGE_NS_MAX, SIGN_SHARE)
        content = [self.version, self.levels, self.clock_ms, self.half_life_ms, *map(repr, constants), *self.names]
        return hashlib.blake2b("\n".join(map(str, content)).encode(), digest_size=16).hexdigest()
