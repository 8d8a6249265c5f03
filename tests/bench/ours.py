"""Our side of the comparison: the functions that `hlhft backtest` calls, on the rival's events and under its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hlhft.backtest.models import SCENARIOS, FeeScenario
from hlhft.backtest.recordings import EVENTS_PER_CHUNK, Recording, compile_recording
from hlhft.backtest.replay import Replay, ReplayOutput, prepare, run
from hlhft.backtest.rows import ROW_DTYPE, ROWS_PER_EVENT_MAX, rows_from_events
from hlhft.backtest.session import Settings, plan_of
from hlhft.data.feed import replay_events
from hlhft.data.sources import open_source
from hlhft.strategies import DEFAULT, Strategy, load
from tests.bench.instruments import LATENCY_MS, MAKER_RATE_E9, TAKER_RATE_E9, Instrument, Quoting

MIRROR = Path(__file__).parent / "strategies" / "mirror.py"
FEES = (FeeScenario("as the rival", MAKER_RATE_E9, TAKER_RATE_E9),)


@dataclass(frozen=True)
class Side:
    """A recording ready on our side."""

    instrument: Instrument
    recording: Recording
    events: np.ndarray  # EVENT_DTYPE, what the columns are made of
    mirror: Strategy


def load_side(instrument: Instrument, events_file: Path) -> Side:
    """Reads the rival's event array with the product's reader."""
    source = open_source([events_file])
    recording = compile_recording(source, profile="recorded")
    return Side(instrument, recording, np.concatenate(list(replay_events(source))), load(str(MIRROR)))


def settings_of(side: Side, quoting: Quoting, *, history: Path | None = None) -> Settings:
    """The rival's rules and models: nothing refused, whole fills, power queue, no breaker in the way."""
    return Settings(
        strategy=side.mirror,
        params=quoting.parameters,
        latency=f"constant:{LATENCY_MS}" if history is None else f"history:{history}",
        queue="power:2",
        rules="hftbacktest",
        batch_window_ns=0,
        interval_ns=quoting.interval_ns,
        record_interval_ns=0,
        feed_age_ns_max=0,
        price_band_e6=0,
        rejections_max=0,
        address_enforced=False,
        drawdown_e6_max=1_000_000,
        capital_micro=10**15,
    )


def replay_of(
    side: Side,
    quoting: Quoting,
    *,
    params: Sequence[Mapping[str, float]] | None = None,
    record: bool = True,
    history: Path | None = None,
) -> Replay:
    """A replay, set up and not run: one lane, or one a parameter set."""
    settings = settings_of(side, quoting, history=history)
    plan = plan_of(settings, side.recording.markets, side.recording.streams(), FEES, params)
    return prepare(plan if record else replace(plan, record_interval_ns=2**62))


def default_replay(side: Side) -> Replay:
    """The product as it comes: its default strategy, all features, every breaker, Hyperliquid's rules."""
    settings = Settings(strategy=load(DEFAULT))
    return prepare(plan_of(settings, side.recording.markets, side.recording.streams(), SCENARIOS[:1]))


def run_once(replay: Replay) -> ReplayOutput:
    """The event loop alone."""
    return run(replay)


def columns(side: Side) -> int:
    """Makes the replay's rows of every event, as `compile_recording` does, chunk by chunk; returns how many."""
    events = side.events
    rows = np.empty(len(events) * 2, ROW_DTYPE)
    last = np.full(2, np.iinfo(np.int64).min, np.int64)
    done = 0
    for start in range(0, len(events), EVENTS_PER_CHUNK):
        chunk = events[start : start + EVENTS_PER_CHUNK]
        room = rows[done : done + len(chunk) * ROWS_PER_EVENT_MAX]
        count, _, fault, _ = rows_from_events(chunk, 0, last, room)
        assert fault == 0
        done += count
    return done
