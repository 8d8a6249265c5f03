"""What a model would have said over a recording, when the engine would have heard it: a track for a backtest.

Rows come from the code that runs live, the machine is the alpha process's own, the model is asked about every window as
the process asks it, and a signal becomes the event that an engine makes of it: live and offline differ by nothing but
when things happen. That is drawn here: each signal arrives after what computing and transport took, in the order in
which one process would have told them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from hlhft.alpha.bundle import Bundle
from hlhft.alpha.serving.loading import Served
from hlhft.alpha.serving.machine import Machine, Settings
from hlhft.alpha.serving.messages import Drained, Effect, Input, Loaded, Predict, Predicted, Publish, Tick, Told
from hlhft.alpha.telling import ended_row, signal_row
from hlhft.alpha.wire import MARKETS_MAX, NO_HASH, NO_OBSERVATION, Flag, Rows, Signal
from hlhft.backtest.signals import TrackMeta
from hlhft.data.sources import Source
from hlhft.events import EVENT_DTYPE
from hlhft.hyperliquid.decode import Row
from hlhft.report.origins import Origin, Span

SESSION = 1
TICK_NS = 100_000_000  # as often as the process looks at the time
FILE_BYTES_MAX = 1 << 20
QUANTILES = 101  # 0, 1 … 100 %
Pieces = Iterable[tuple[np.ndarray, np.ndarray]]


class LatencyError(ValueError):
    """Measured times that are none; the message is one sentence."""


class Latency(NamedTuple):
    """How long after a row the engine hears what a model makes of it: its quantiles 0, 1 … 100 % in ns, rising.

    `compute_ns` is the median of what the model took, `words` say where all of it comes from.
    """

    whole_ns: tuple[int, ...]
    compute_ns: int
    words: str

    @property
    def transport_ns(self) -> int:
        """The median of what is not computing."""
        return max(self.whole_ns[len(self.whole_ns) // 2] - self.compute_ns, 0)

    def drawn(self, draw: Callable[[], float]) -> int:
        """One of them, by `draw` from 0 to 1."""
        place = draw() * (len(self.whole_ns) - 1)
        low = int(place)
        high = min(low + 1, len(self.whole_ns) - 1)
        return self.whole_ns[low] + int((self.whole_ns[high] - self.whole_ns[low]) * (place - low))


class _Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `hlhft alpha --latencies` writes."""

    version: int
    unit: str
    count: int
    compute: tuple[int, ...]
    whole: tuple[int, ...]


def assumed(latency_ns: int) -> Latency:
    """The same for every signal, assumed and not measured; all of it counts as transport."""
    return Latency((latency_ns,), 0, f"{latency_ns / 1e3:g} us, assumed")


def measured(path: Path) -> Latency:
    """As an alpha process measured it. Raises LatencyError for a file that holds no such times, OSError for none."""
    with path.open("rb") as stream:
        content = stream.read(FILE_BYTES_MAX + 1)
    try:
        found = msgspec.json.decode(content, type=_Measured)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LatencyError(
            f"{path}: these are no measured times ({error}), name a file that hlhft alpha --latencies wrote"
        ) from None
    times = np.array(found.whole)
    is_whole = len(found.whole) == len(found.compute) == QUANTILES
    if (found.version, found.unit) != (1, "ns") or not is_whole or times[0] < 0 or (np.diff(times) < 0).any():
        raise LatencyError(f"{path}: its times are not rising quantiles in ns, measure them again")
    return Latency(found.whole, found.compute[QUANTILES // 2], f"measured by hlhft alpha, {found.count} signals")


def meta_of(bundle: Bundle, source: Source, profile: str, latency: Latency) -> TrackMeta:
    """What a track of this model over this recording says of itself."""
    blocks = {
        name: tuple(Span(coin=each.coin, from_ns=each.from_ns, to_ns=each.to_ns) for each in ranges)
        for name, ranges in bundle.ranges.items()
    }
    return TrackMeta(
        recording=source.name,
        fingerprint=source.fingerprint(),
        profile=profile,
        markets=tuple(market.name for market in source.markets),
        model_ids=(bundle.model_id,),
        origins=(Origin(what=f"model {bundle.model_id:016x}", blocks=blocks, embargo_ns=bundle.embargo_ns),),
        compute_ns=latency.compute_ns,
        transport_ns=latency.transport_ns,
        latency=latency.words,
        schema_hash=bundle.schema_hash,
    )


def signals_over(pieces: Pieces, served: Served, names: tuple[str, ...], settings: Settings) -> Iterator[Signal]:
    """Every signal and abstention of an alpha process that hears each row at once, in their order; `sent_ns` is when it
    heard the row that led to it. `pieces` are (heads ROW_DTYPE[n], values float32[n, F]) in order of arrival."""
    assert len(names) <= MARKETS_MAX
    machine = Machine(settings, schema=served.model.schema, features=served.model.features)
    machine.on(Loaded(served.model), 0)
    ticked_ns = 0
    for heads, values in pieces:
        for place in range(len(heads)):
            now_ns = int(heads["ts_local_ns"][place])
            if now_ns - ticked_ns >= TICK_NS:
                ticked_ns = now_ns
                yield from _published(machine.on(Tick(), now_ns))
            market = int(heads["market"][place])
            rows = Rows(
                served.model.schema, SESSION, market, names[market], heads[place : place + 1],
                values[place : place + 1], NO_OBSERVATION, NO_HASH, False,
            )  # fmt: skip
            for event in (Told(rows), Drained()):
                yield from _answered(machine, served, event, now_ns)


def _answered(machine: Machine, served: Served, event: Input, now_ns: int) -> Iterator[Signal]:
    for effect in machine.on(event, now_ns):
        if isinstance(effect, Publish):
            yield effect.signal
        elif isinstance(effect, Predict):
            answer = served.ask(effect.window)
            predicted = Predicted(
                effect.market, served.model.model_id, answer.probabilities, answer.mu_bp, answer.sigma_bp, 0
            )
            yield from _published(machine.on(predicted, now_ns))


def _published(effects: list[Effect]) -> Iterator[Signal]:
    return (effect.signal for effect in effects if isinstance(effect, Publish))


def track_events(
    signals: Iterable[Signal],
    latency: Latency,
    *,
    time_to_live_ns: int,
    move_e9_max: int,
    seed: int,
) -> np.ndarray:
    """EVENT_DTYPE[n] as the core hears them, in order of arrival; equal arguments give equal bytes.

    What has outlived its time when it arrives is left out, as an engine refuses it, and so is an abstention that ends
    nothing.
    """
    draw = np.random.default_rng(seed).random
    until: dict[int, int] = {}  # by market: until when its signal stands
    arrived_ns = 0
    rows: list[Row] = []
    for signal in signals:
        arrived_ns = max(arrived_ns, signal.sent_ns + latency.drawn(draw))
        if signal.flags & Flag.ABSTAINS:
            if until.pop(signal.market, 0) > arrived_ns:
                rows.append(ended_row(signal, now_ns=arrived_ns))
        elif signal.data_ns + time_to_live_ns > arrived_ns:
            until[signal.market] = signal.data_ns + time_to_live_ns
            rows.append(signal_row(signal, now_ns=arrived_ns, time_to_live_ns=time_to_live_ns, move_e9_max=move_e9_max))
    return np.array(rows, EVENT_DTYPE) if rows else np.zeros(0, EVENT_DTYPE)
