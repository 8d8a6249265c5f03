"""Markets that policies train on: simulated worlds whose truth is known, and recordings.

A simulated world is Avellaneda and Stoikov's (2008), made of what a recording is made of, so that the venue kernel does
the rest. The mid is a driftless walk over whole ticks, moved at every frame, with one volatility or two that take turns
(a Markov chain). Market orders come on either side as a Poisson process of `intensity_a` a second and print at an
exponentially distributed distance from the mid, of rate `intensity_k` a basis point; a quote of ours at distance d is
therefore filled with intensity A exp(-k d). The touch stands `touch_ticks` from the mid and says nothing.

On request a drift that reverts to zero is planted, and told by SIGNAL events before it has happened; and a market order
may move the mid its way (adverse selection). All is drawn from a seed: equal specifications and seeds give equal paths,
so two policies are compared on the same ones.

`Ranges` is what parameters are drawn from, anew for each path (domain randomisation); what a policy is evaluated on is
drawn from ranges of its own. Distances in basis points of the starting price, volatility in bp per root second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

import msgspec
import numpy as np

from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.rows import ROW_DTYPE, ROWS_PER_EVENT_MAX, price_range, rows_from_events
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered, by_row
from hlhft.data.readers.events_npz import write_events
from hlhft.data.sources import Source
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.units import GridRule, Market

ORIGIN_NS = 1_756_994_400_000_000_000  # a full hour
PRICE_TICKS = 100_000  # a tenth of a basis point a tick
TICKS_PER_BP = PRICE_TICKS * 1e-4
TOUCH_LOTS = 1_000_000
TRADE_LOTS = 100_000  # more than any order of ours
SIGNAL_NS = 2_000_000_000  # how long one of a planted drift stands
SECONDS_MAX = 86_400.0
_BOTH = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_END = int(EventFlag.FRAME_END)

MARKET = Market(
    name="SIM", asset_id=0, price_decimals=3, size_decimals=3, grid_rule=GridRule.FIXED, maximum_leverage=50
)


class PathError(ValueError):
    """A path that cannot be made of what was given."""


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated world: everything that decides a path besides its seed. Ranges are checked when it is made."""

    seconds: float = 600.0
    frame_ms: int = 500
    touch_ticks: int = 5  # from the mid to either touch
    feed_ms: float = 0.0  # from the venue to us
    sigma_bp: float = 1.0  # volatility of the first regime
    sigma_high_bp: float = 0.0  # of the second, 0: there is none
    dwell_s: float = 60.0  # mean time in a regime
    intensity_a: float = 1.0  # market orders a second and side
    intensity_k: float = 0.7  # per bp
    drift_bp: float = 0.0  # standard deviation of a planted drift, bp per second
    drift_half_life_s: float = 5.0
    signal_noise: float = 0.0  # deviation of what the signal adds, as a share of its own
    adverse_bp: float = 0.0  # how far a market order moves the next mid

    def __post_init__(self) -> None:
        bounds = {
            "seconds": (1.0, SECONDS_MAX), "frame_ms": (10, 10_000), "touch_ticks": (1, 1000),
            "feed_ms": (0.0, 4000.0), "sigma_bp": (0.0, 50.0),
            "sigma_high_bp": (0.0, 50.0), "dwell_s": (0.1, SECONDS_MAX), "intensity_a": (0.0, 1000.0),
            "intensity_k": (0.01, 100.0), "drift_bp": (0.0, 10.0), "drift_half_life_s": (0.1, SECONDS_MAX),
            "signal_noise": (0.0, 100.0), "adverse_bp": (0.0, 10.0),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise PathError(f"a world's {name} must lie in {low:g}..{high:g}, not {getattr(self, name)}")


class Ranges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a path's world is drawn from: `base`, and for each named field its lowest and highest value, log-uniformly
    (uniformly where the lowest is 0)."""

    base: World = World()
    fields: dict[str, tuple[float, float]] = {}

    def __post_init__(self) -> None:
        for name, (low, high) in self.fields.items():
            if name not in World.__struct_fields__ or name in ("frame_ms", "touch_ticks") or not 0.0 <= low <= high:
                raise PathError(f"ranges: {name} from {low:g} to {high:g} is no range of a world's field")
            msgspec.structs.replace(self.base, **{name: low})
            msgspec.structs.replace(self.base, **{name: high})

    def draw(self, seed: int) -> World:
        """The world of this seed."""
        random = np.random.default_rng((seed, 1))
        values: dict[str, float] = {}
        for name, (low, high) in self.fields.items():
            share = float(random.random())
            values[name] = low * (high / low) ** share if low > 0.0 else high * share
        return msgspec.structs.replace(self.base, **values)


@dataclass(frozen=True, kw_only=True)
class Path:
    """One market over one stretch of time, ready to be replayed any number of times at once."""

    name: str
    market: Market
    rows: np.ndarray  # ROW_DTYPE[n]
    low_ticks: int
    high_ticks: int
    signals: np.ndarray  # EVENT_DTYPE[s], kind SIGNAL, in order of arrival
    begin_ns: int  # our time of the first row
    end_ns: int  # and of the last
    variance: np.ndarray | None = None  # float64[seconds + 1]: true variance since the begin, bp^2; None: as measured
    world: World | None = None
    seed: int = 0
    events: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT_DTYPE))  # of a simulated path


@dataclass(frozen=True)
class Truth:
    """What a simulated path is made of, by frame."""

    mid_ticks: np.ndarray  # int64[K]
    regime: np.ndarray  # int64[K], 0 or 1, during the frame that begins there
    sigma_bp: np.ndarray  # float64[K]
    drift_bp: np.ndarray  # float64[K], bp per second


def _regimes(world: World, frames: int, random: np.random.Generator) -> np.ndarray:
    """int64[frames]: a symmetric Markov chain that begins in either regime."""
    if world.sigma_high_bp == 0.0:
        return np.zeros(frames, np.int64)
    switch = random.random(frames) < 1.0 - math.exp(-world.frame_ms * 1e-3 / world.dwell_s)
    return (np.cumsum(switch) + int(random.random() < 0.5)) % 2


def _drift(world: World, frames: int, random: np.random.Generator) -> np.ndarray:
    """float64[frames]: an Ornstein-Uhlenbeck process at its stationary distribution."""
    noise = random.standard_normal(frames)
    if world.drift_bp == 0.0:
        return np.zeros(frames)
    keep = 0.5 ** (world.frame_ms * 1e-3 / world.drift_half_life_s)
    noise[1:] *= math.sqrt(1.0 - keep * keep)
    drift = np.empty(frames)
    level = 0.0
    for index in range(frames):
        level = level * keep + noise[index]
        drift[index] = level
    return drift * world.drift_bp


def _orders(world: World, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Market orders: seconds float64[n] ascending, side int64[n], reach in bp float64[n]."""
    count = int(random.poisson(2.0 * world.intensity_a * world.seconds))
    at = np.sort(random.random(count)) * world.seconds
    side = np.where(random.random(count) < 0.5, 1, -1)
    return at, side, random.exponential(1.0 / world.intensity_k, count)


def _truth(world: World, frames: int, impact_bp: np.ndarray, random: np.random.Generator) -> Truth:
    regime = _regimes(world, frames, random)
    sigma = np.where(regime == 1, world.sigma_high_bp, world.sigma_bp)
    drift = _drift(world, frames, random)
    frame_s = world.frame_ms * 1e-3
    # What moves a frame's mid happened since the frame before it.
    moves = np.zeros(frames)
    moves[1:] = sigma[:-1] * math.sqrt(frame_s) * random.standard_normal(frames - 1) + drift[:-1] * frame_s
    moves += impact_bp
    mid = PRICE_TICKS + np.rint(np.cumsum(moves) * TICKS_PER_BP).astype(np.int64)
    if mid.min() < PRICE_TICKS // 4 or mid.max() > PRICE_TICKS * 4:
        raise PathError(f"a world of volatility {world.sigma_bp:g} bp leaves its prices within {world.seconds:g} s")
    return Truth(mid, regime, sigma, drift)


def _frame_events(world: World, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """The book's events and their frames: the old touch goes before the new one comes, so neither side ever crosses."""
    mid = truth.mid_ticks
    moved = np.ones(len(mid), bool)
    moved[1:] = mid[1:] != mid[:-1]
    events = np.zeros((len(mid), 4), EVENT_DTYPE)
    events["kind"] = EventKind.DEPTH_LEVEL
    events["side"] = (Side.BUY, Side.SELL, Side.BUY, Side.SELL)
    before = np.concatenate((mid[:1], mid[:-1]))
    away = world.touch_ticks
    for place, (level, lots) in enumerate(((before - away, 0), (before + away, 0), (mid - away, 1), (mid + away, 1))):
        events[:, place]["price_ticks"] = level
        events[:, place]["size_lots"] = lots * TOUCH_LOTS
    frames = np.repeat(np.arange(len(mid)), 4).reshape(-1, 4)
    keep = np.repeat(moved[:, np.newaxis], 4, axis=1)
    keep[0, :2] = False
    keep[~moved, 2] = True  # a frame without a move says so, or nobody would hear of it
    return events[keep], frames[keep]


def _signal_events(world: World, truth: Truth, times_ns: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What a perfect forecast of the drift says at each frame, noise added: the move that it will have made when it is
    gone."""
    noise = random.standard_normal(len(times_ns))
    if world.drift_bp == 0.0:
        return np.zeros(0, EVENT_DTYPE)
    whole_s = world.drift_half_life_s / math.log(2.0)
    deviation = world.drift_bp * whole_s
    expected = truth.drift_bp * whole_s + noise * world.signal_noise * deviation
    events = np.zeros(len(times_ns), EVENT_DTYPE)
    events["kind"] = EventKind.SIGNAL
    events["flags"] = EventFlag.LOCAL_VISIBLE | EventFlag.FRAME_END
    events["ts_exch_ns"] = times_ns
    events["ts_local_ns"] = times_ns + round(world.feed_ms * 1e6)
    events["price_ticks"] = np.rint(expected * 1e5)
    events["size_lots"] = max(round(world.signal_noise * deviation * 1e5), 1)
    events["order_id"] = np.arange(1, len(times_ns) + 1)
    events["aux0"] = events["ts_local_ns"] + SIGNAL_NS
    return events


def simulate(world: World, seed: int, *, begin_ns: int = ORIGIN_NS) -> tuple[Path, Truth]:
    """The path of this world and seed, and what it is made of.

    Raises PathError when its prices leave what a price can be.
    """
    random = np.random.default_rng((seed, 2))
    frames = int(world.seconds * 1000) // world.frame_ms + 1
    frame_ns = world.frame_ms * 1_000_000
    at, side, reach = _orders(world, random)
    frame = np.minimum((at * 1e9).astype(np.int64) // frame_ns, frames - 1)
    impact = np.zeros(frames)
    np.add.at(impact, np.minimum(frame + 1, frames - 1), side * world.adverse_bp)
    truth = _truth(world, frames, impact, random)
    times_ns = begin_ns + np.arange(frames) * frame_ns
    book, book_frames = _frame_events(world, truth)
    trades = np.zeros(len(at), EVENT_DTYPE)
    trades["kind"], trades["side"], trades["size_lots"] = EventKind.TRADE, side, TRADE_LOTS
    # A quote d ticks away is reached by every order that goes at least so far.
    away = np.maximum(np.floor(reach * TICKS_PER_BP).astype(np.int64), 1)
    trades["price_ticks"] = np.maximum(truth.mid_ticks[frame] + side * away, 1)
    trades["order_id"] = np.arange(1, len(at) + 1)
    when = np.concatenate((times_ns[book_frames], begin_ns + np.maximum((at * 1e9).astype(np.int64), 1)))
    order = np.argsort(when, kind="stable")
    events = np.concatenate((book, trades))[order]
    events["ts_exch_ns"] = when[order]
    events["ts_local_ns"] = events["ts_exch_ns"] + round(world.feed_ms * 1e6)
    ends = np.append(events["ts_local_ns"][1:] != events["ts_local_ns"][:-1], True)
    events["flags"] = _BOTH | np.where(ends, _END, 0)
    signals = _signal_events(world, truth, times_ns, random)
    # Summed by frame, read by second.
    summed = np.concatenate(([0.0], np.cumsum(truth.sigma_bp**2) * world.frame_ms * 1e-3))
    variance = np.interp(np.arange(math.ceil(world.seconds) + 1) * 1e3 / world.frame_ms, np.arange(frames + 1), summed)
    path = _path(f"simulated-{seed}", MARKET, events, signals)
    return replace(path, variance=variance, world=world, seed=seed, events=events), truth


def _path(name: str, market: Market, events: np.ndarray, signals: np.ndarray) -> Path:
    rows = np.zeros(len(events) * ROWS_PER_EVENT_MAX, ROW_DTYPE)
    last = np.full(2, np.iinfo(np.int64).min, np.int64)
    count, _, fault, place = rows_from_events(events, 0, last, rows)
    if fault != 0:
        raise PathError(f"{name}: event {place} fits no row of a replay")
    low, high = price_range(rows, count)
    return Path(
        name=name, market=market, rows=rows[:count].copy(), low_ticks=int(low), high_ticks=int(high), signals=signals,
        begin_ns=int(events["ts_local_ns"][0]), end_ns=int(events["ts_local_ns"][-1]),
    )  # fmt: skip


def simulated(ranges: Ranges, seeds: Sequence[int]) -> list[Path]:
    """One path a seed, its world drawn from `ranges` by that seed."""
    return [simulate(ranges.draw(seed), seed)[0] for seed in seeds]


def recorded(source: Source, *, profile: str) -> list[Path]:
    """The markets of a recording, one path each, from its first row to its last. Raises DataError as reading does."""
    recording = compile_recording(source, profile=profile)
    paths = []
    for market, file in zip(recording.markets, recording.files, strict=True):
        rows = np.fromfile(file.path, ROW_DTYPE)
        if len(rows) != file.rows_total:
            raise DataError(str(file.path), None, "the cached rows were cut short while they were read, run it again")
        local = rows[(rows["word"] & 64) != 0]
        if len(local) == 0:
            raise DataError(source.name, None, f"nothing of market {market.name} reaches us, give another recording")
        delay = np.where(local["word"] & 32, local["delay_ns"].astype(np.int64), 0)
        times = local["ts_ns"] + delay
        paths.append(
            Path(
                name=f"{recording.name}/{market.name}",
                market=market,
                rows=rows,
                low_ticks=file.low_ticks,
                high_ticks=file.high_ticks,
                signals=np.zeros(0, EVENT_DTYPE),
                begin_ns=int(times[0]),
                end_ns=int(times[-1]),
            )
        )
    return paths


class SimulatedSource(Source):
    """A simulated path as a recording."""

    reader = "simulated-1"
    unit = "row"

    def __init__(self, path: Path) -> None:
        """A path that `simulate` made. Raises PathError for one of a recording."""
        if path.world is None:
            raise PathError(f"{path.name} is a recording already")
        super().__init__(path.name, [], [path.market], {"seed": path.seed, "world": msgspec.json.encode(path.world)})
        self._events = path.events

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[FilePath, Numbered]]:
        """The events by number."""
        return ((FilePath(self.name), rows) for rows in by_row(self._arrays(meter)))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        yield self._events.copy()


def write_path(file: FilePath, path: Path) -> None:
    """Writes a simulated path as a recording that `hlhft backtest` reads. Raises DataError when it cannot be written,
    PathError for a recorded one."""
    source = SimulatedSource(path)
    write_events(file, source.chunks(), source)
