"""The engine's side of an alpha process: rows out after the orders have left, the newest rows on request, signals in.

Nothing here waits, and nothing that the other side says or does not say can stop the engine. Rows go to whoever
listens; for one that is slow or gone they are dropped. Of what comes in a turn of the loop a bounded part is read, and
of each market the newest signal and the newest decision of a policy count. Each is checked first: its schema and
session are ours, its model is allowed, its row was told and is the newest it knows, its numbers are within bounds and
its data young enough. What is told to the core carries until when it counts, counted from the data it is made of, so
that a signal dies with the process that made it; an abstention ends the signal that stands.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import zmq

from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.sockets import Gatekeeper, Keys, Reader, bind, connect, new_context, send
from hlhft.alpha.telling import ended_row, policy_row, signal_row
from hlhft.alpha.wire import (
    MARKETS_MAX,
    NO_HASH,
    NO_OBSERVATION,
    REASON_MEANING,
    Fault,
    Flag,
    Heartbeat,
    Reason,
    Request,
    Signal,
    decode,
    encode_rows,
    hash_bytes,
)
from hlhft.config.folders import AlphaPlaces
from hlhft.hyperliquid.decode import Row
from hlhft.live.hub import Hub
from hlhft.monitor.histogram import Histogram
from hlhft.units import Market

ROWS_QUEUE = 1000  # messages that wait for one listener; newer ones are dropped for it
SIGNALS_QUEUE = 256
ANSWERS_QUEUE = 16
ANSWERS_PER_SECOND = 32
SECOND_NS = 1_000_000_000
SILENCE_NS = 3 * SECOND_NS  # of three heartbeats, and of all signals
AHEAD_NS_MAX = 50_000_000  # by which the data of a signal may seem to be of later than now: two clocks
SUM_ERROR_MAX = 1e-3
SIGMA_E9_MAX = 10**9
E9_OF_BP = 100_000


class RowMaker(Protocol):
    """Makes rows of features of what the engine hears, and keeps the newest."""

    schema: FeatureSchema

    def rows(self, events: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows that the first `count` of EVENT_DTYPE `events` lead to, once they have been stepped over: heads
        ROW_DTYPE[n], values float32[n, F], valid until the next call."""

    def newest(self, market: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """At most `count` of the newest rows of a market, oldest first, valid until the next call of `rows`."""


class Observer(Protocol):
    """Makes what a policy sees of a market."""

    layout: bytes  # 16 bytes that name it

    def observation(self, market: int, now_ns: int) -> np.ndarray | None:
        """float32[O] when a decision is due, else None."""


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """Where it talks and what it believes. `models`: ids that are listened to, empty for all."""

    places: AlphaPlaces
    keys: Keys | None
    models: frozenset[int]
    time_to_live_ns: int
    policy_time_to_live_ns: int
    move_e9_max: int


@dataclass(kw_only=True)
class AlphaParts:
    """What an engine's link is made of."""

    settings: LinkSettings
    session: int
    rows: RowMaker
    observer: Observer | None = None


class _Told:
    """What one market was told and has said."""

    def __init__(self) -> None:
        self.newest = -1  # row that was published
        self.heard = -1  # row of the newest signal that was believed
        self.until_ns = 0  # until when the standing signal counts
        self.observed_ns = 0  # when a policy was last shown the market


class AlphaLink:
    """The link of one engine. Raises EndpointError where it cannot listen; after that, nothing."""

    def __init__(self, hub: Hub, parts: AlphaParts, *, markets: Sequence[Market]) -> None:
        assert len(markets) <= MARKETS_MAX
        self.counters: Counter[str] = Counter()
        self.age = Histogram()  # of the data of the signals that were believed, when they came
        self.heard_ns = 0  # the newest heartbeat or signal of our session, 0 none
        self.is_heard = False  # one came within SILENCE_NS
        self._model_id = self._said_model_id = 0
        self._hub = hub
        self._parts = parts
        self._settings = parts.settings
        self._names = [market.name for market in markets]
        self._schema = hash_bytes(parts.rows.schema.hash)
        self._told = [_Told() for _ in markets]
        self._signals: dict[int, Signal] = {}  # of this turn, by market
        self._policies: dict[int, Signal] = {}
        self._answers = float(ANSWERS_PER_SECOND)  # that may be given now
        self._answered_ns = 0
        self._readers: tuple[Reader, ...] = ()
        self._context = new_context()
        self._gate: Gatekeeper | None = None
        try:
            self._open()
        except ValueError:
            self.close()
            raise

    def _open(self) -> None:
        context, places, keys = self._context, self._settings.places, self._settings.keys
        loop = asyncio.get_running_loop()
        if keys is not None:
            self._gate = Gatekeeper(context, loop, keys.peer)
        self._out = bind(context, zmq.PUB, places.features, queue=ROWS_QUEUE, keys=keys)
        self._snapshots = bind(context, zmq.ROUTER, places.snapshot, queue=ANSWERS_QUEUE, keys=keys)
        signals = connect(context, zmq.SUB, places.signals, queue=SIGNALS_QUEUE, keys=keys)
        signals.subscribe(b"")
        self._readers = (
            Reader(loop, signals, self._take_signal, self._believe),
            Reader(loop, self._snapshots, self._take_request),
        )

    def close(self) -> None:
        """Talks no more."""
        for reader in self._readers:
            reader.close()
        if self._gate is not None:
            self._gate.close()
        self._context.destroy(0)

    # Out.

    def publish(self, events: np.ndarray, count: int) -> None:
        """Tells the rows that these events lead to; called once the commands that they led to have left."""
        heads, values = self._parts.rows.rows(events, count)
        for first in range(len(heads)):
            market = int(heads["market"][first])
            row = slice(first, first + 1)
            self._told[market].newest = int(heads["sequence"][first])
            observation, layout = self._observation(market, int(heads["ts_local_ns"][first]))
            message = encode_rows(
                heads[row], values[row], schema=self._schema, session=self._parts.session, market=market,
                coin=self._names[market], observation=observation, observation_hash=layout,
            )  # fmt: skip
            self.counters["rows told" if send(self._out, message) else "rows that could not be told"] += 1

    def _observation(self, market: int, now_ns: int) -> tuple[np.ndarray, bytes]:
        observer = self._parts.observer
        if observer is None:
            return NO_OBSERVATION, NO_HASH
        found = observer.observation(market, now_ns)
        if found is None:
            return NO_OBSERVATION, NO_HASH
        self._told[market].observed_ns = now_ns
        return found, observer.layout

    def _take_request(self, parts: list[bytes]) -> None:
        request = decode(parts[-1]) if len(parts) == 2 else Fault.SIZE
        if not isinstance(request, Request):
            self._refuse("questions", request if isinstance(request, Fault) else Fault.KIND)
        elif request.schema != self._schema or request.session != self._parts.session:
            self._refuse("questions", "of another schema or session")
        elif request.market >= len(self._names):
            self._refuse("questions", "about a market that is not ours")
        elif not self._may_answer():
            self._refuse("questions", "too many in a second")
        else:
            self._answer(parts[0], request)

    def _answer(self, who: bytes, request: Request) -> None:
        heads, values = self._parts.rows.newest(request.market, request.rows)
        message = encode_rows(
            heads, values, schema=self._schema, session=self._parts.session, market=request.market,
            coin=self._names[request.market], is_snapshot=True,
        )  # fmt: skip
        try:
            self._snapshots.send_multipart([who, message], zmq.NOBLOCK)
        except zmq.ZMQError:
            self._refuse("questions", "whose answer does not fit the queue")
        else:
            self.counters["snapshots told"] += 1

    def _may_answer(self) -> bool:
        now_ns = self._hub.clock.now_ns()
        grown = (now_ns - self._answered_ns) / SECOND_NS * ANSWERS_PER_SECOND
        self._answers = min(self._answers + grown, float(ANSWERS_PER_SECOND))
        self._answered_ns = now_ns
        if self._answers < 1.0:
            return False
        self._answers -= 1.0
        return True

    # In.

    def _take_signal(self, parts: list[bytes]) -> None:
        found = decode(parts[0]) if len(parts) == 1 else Fault.SIZE
        if isinstance(found, Signal):
            refusal = self._refusal(found, self._hub.clock.now_ns())
            if refusal:
                self._refuse("signals", refusal)
        elif isinstance(found, Heartbeat):
            self._beat(found)
        else:
            self._refuse("signals", found if isinstance(found, Fault) else Fault.KIND)

    def _refuse(self, what: str, why: str) -> None:
        self.counters[f"{what} refused: {why}"] += 1

    def _refusal(self, signal: Signal, now_ns: int) -> str:
        """Why nothing of a signal is believed, in words; empty when it was noted for the end of this turn."""
        if signal.schema != self._schema:
            return "of another feature schema"
        if signal.session != self._parts.session:
            return "of another session"
        self._lives(signal.model_id, now_ns)
        if signal.market >= len(self._told):
            return "of a market that is not ours"
        if signal.sequence > max(self._told[signal.market].newest, 0):
            return "made of a row that was never told"
        if signal.flags & Flag.POLICY:
            self._note_policy(signal, now_ns)
        return self._model_refusal(signal, now_ns)

    def _model_refusal(self, signal: Signal, now_ns: int) -> str:
        market = self._told[signal.market]
        if signal.sequence < market.heard:
            return "overtaken by a newer one"
        if signal.flags & Flag.ABSTAINS:
            self.counters[f"abstentions: {REASON_MEANING[Reason(signal.reason)]}"] += 1
            self._signals[signal.market] = signal
            return ""
        if self._settings.models and signal.model_id not in self._settings.models:
            return "of a model that is not listened to"
        if abs(signal.down + signal.flat + signal.up - 1.0) > SUM_ERROR_MAX or signal.sigma_e9 > SIGMA_E9_MAX:
            return "whose numbers are none"
        if signal.data_ns > now_ns + AHEAD_NS_MAX:
            return "made of data of later than now"
        if signal.data_ns + self._settings.time_to_live_ns <= now_ns:
            return "made of data that is too old"
        market.heard = signal.sequence
        self._signals[signal.market] = signal
        return ""

    def _note_policy(self, signal: Signal, now_ns: int) -> None:
        observed_ns = self._told[signal.market].observed_ns
        if self._settings.models and signal.policy_id not in self._settings.models:
            self._refuse("decisions", "of a policy that is not listened to")
        elif not observed_ns:
            self._refuse("decisions", "on nothing that a policy was shown")
        elif observed_ns + self._settings.policy_time_to_live_ns <= now_ns:
            self._refuse("decisions", "on what is too old")
        else:
            self._policies[signal.market] = signal

    def _believe(self) -> None:
        """The end of a turn: the core hears of the newest signal and decision of each market."""
        if not self._signals and not self._policies:
            return
        now_ns = self._hub.dispatch.turn()
        rows: list[Row] = []
        for signal in self._signals.values():
            row = self._signal_row(signal, now_ns)
            if row is not None:
                rows.append(row)
        rows += [self._policy_row(signal, now_ns) for signal in self._policies.values()]
        self._signals.clear()
        self._policies.clear()
        self._hub.dispatch.tell(rows)

    def _signal_row(self, signal: Signal, now_ns: int) -> Row | None:
        market = self._told[signal.market]
        if signal.flags & Flag.ABSTAINS:
            if market.until_ns <= now_ns:
                return None  # nothing stands that it could end
            self.counters["signals ended"] += 1
            market.until_ns = 0
            return ended_row(signal, now_ns=now_ns)
        settings = self._settings
        self.counters["signals"] += 1
        if abs(signal.mu_e9) > settings.move_e9_max:
            self.counters["signals whose move was cut"] += 1
        self.age.note(now_ns - signal.data_ns)
        market.until_ns = signal.data_ns + settings.time_to_live_ns
        return signal_row(
            signal, now_ns=now_ns, time_to_live_ns=settings.time_to_live_ns, move_e9_max=settings.move_e9_max
        )

    def _policy_row(self, signal: Signal, now_ns: int) -> Row:
        self.counters["decisions of a policy"] += 1
        return policy_row(
            signal, now_ns=now_ns, observed_ns=self._told[signal.market].observed_ns,
            time_to_live_ns=self._settings.policy_time_to_live_ns,
        )  # fmt: skip

    # Signs of life.

    def _beat(self, beat: Heartbeat) -> None:
        self.counters["heartbeats"] += 1
        self._lives(beat.model_id, self._hub.clock.now_ns())

    def _lives(self, model_id: int, now_ns: int) -> None:
        self.heard_ns = now_ns
        self._model_id = model_id
        if not self.is_heard:
            self.is_heard = True
            self._said_model_id = model_id
            self._hub.say(f"the alpha process lives, its model is {model_id:016x}")

    def tend(self) -> None:
        """A quiet moment, about once a second: says when the alpha process has fallen silent or has another model."""
        if self.is_heard and self._model_id != self._said_model_id:
            self._said_model_id = self._model_id
            self._hub.say(f"the alpha process has another model, {self._model_id:016x}")
        if self.is_heard and self._hub.clock.now_ns() - self.heard_ns > SILENCE_NS:
            self.is_heard = False
            self.counters["times the alpha process fell silent"] += 1
            self._hub.say("the alpha process is silent: trading goes on without its signals", "warning")
        if self._gate is not None:
            self.counters["connections with an unknown key"] = self._gate.refused
