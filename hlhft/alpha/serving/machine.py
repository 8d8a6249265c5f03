"""What an alpha process decides: which rows are a window, when a model is asked, and when nothing is said.

Told what happened and when, it gives what is to be done; it has no clock, socket or model of its own. Rows are taken
by their sequence numbers, all of them: a model of sequences needs every row, so one that is missing is asked for, and
until it is there the model abstains. It abstains, with a reason, whenever the window is not what the model was made
for. An abstention is published when its reason changes; the engine forgets an old signal by itself. Only the newest
row of a market leads to a prediction, as a signal that was overtaken is worth nothing.

A model is swapped between two rows, and only for one of the same feature schema.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hlhft.alpha.serving.messages import (
    Ask,
    Beat,
    Decide,
    Decided,
    Drained,
    Effect,
    Input,
    Loaded,
    Model,
    PolicyLoaded,
    PolicyModel,
    Predict,
    Predicted,
    Publish,
    Refused,
    Say,
    Tick,
    Told,
)
from hlhft.alpha.serving.table import FAULTS, REASONS, TABLE, Event, ImpossibleEvent, State, Step
from hlhft.alpha.serving.window import Window
from hlhft.alpha.wire import (
    NO_ACTION,
    NO_HASH,
    NO_OBSERVATION,
    ROWS_MAX,
    Flag,
    Heartbeat,
    Reason,
    Request,
    Rows,
    Signal,
)

SECOND_NS = 1_000_000_000
E9_OF_BP = 100_000  # a basis point in 1e-9
MOVE_E9_MAX = 10**9  # a move of all of the price: no model means that
SUM_ERROR_MAX = 1e-3
E6 = 1_000_000
_LN4, _LN2 = 1.3862943611198906, 0.6931471805599453


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`stale_ns`: the oldest that the newest row may be; `ask_ns`: between two questions about the same market."""

    stale_ns: int = 5 * SECOND_NS
    ask_ns: int = SECOND_NS // 2
    beat_ns: int = SECOND_NS


class _Market:
    """One market: its rows, its state, and what was last said of it."""

    def __init__(self, market: int, coin: str, window: Window) -> None:
        self.market = market
        self.coin = coin
        self.window = window
        self.state = State.EMPTY
        self.said = Reason.NONE
        self.asked_ns = 0
        self.is_due = False  # the model is to be asked
        self.is_asked = False  # the model was asked and has not answered
        self.observation, self.observation_hash = NO_OBSERVATION, NO_HASH
        self.action: tuple[int, int, int, int] | None = None


class Machine:
    """One alpha process. `schema` is the feature schema that it serves; rows of another are nothing to it."""

    def __init__(self, settings: Settings, *, schema: bytes, features: int) -> None:
        self.settings = settings
        self.counters: Counter[str] = Counter()  # keys come from tables and from this module: bounded
        self.schema = schema
        self.features = features
        self.session = 0
        self.model: Model | None = None
        self.policy: PolicyModel | None = None
        self._markets: dict[int, _Market] = {}  # at most wire.MARKETS_MAX
        self._effects: list[Effect] = []
        self._beat_ns = 0
        self._beats = 0
        self.rows = 0  # that came
        self.lost_rows = 0  # that did not, and were asked for
        self._abstentions = 0
        self._handlers: dict[type, Callable[[Any, int], None]] = {
            Told: self._told, Drained: self._drained, Tick: self._tick, Loaded: self._loaded,
            PolicyLoaded: self._policy_loaded, Refused: self._refused, Predicted: self._predicted,
            Decided: self._decided,
        }  # fmt: skip

    def on(self, event: Input, now_ns: int) -> list[Effect]:
        """What is to be done, in this order."""
        self._effects = []
        self._handlers[type(event)](event, now_ns)
        return self._effects

    def states(self) -> dict[str, State]:
        """What is known of each market, by its name."""
        return {market.coin: market.state for market in self._markets.values()}

    # Rows.

    def _told(self, event: Told, now_ns: int) -> None:
        rows = event.rows
        if rows.schema != self.schema or rows.values.shape[1] != self.features:
            self.counters["rows of another schema"] += 1
            self._say_of_stranger(rows, now_ns)
            return
        if rows.session != self.session:
            if rows.is_snapshot:
                self.counters["snapshots of another session"] += 1
                return
            self._begin(rows.session, now_ns)
        market = self._market(rows)
        if not rows.is_snapshot and market.window.is_of_before(rows.heads):
            # An engine whose state folder is new counts its sessions, and its rows, from the beginning.
            self._begin(rows.session, now_ns)
            market = self._market(rows)
        if rows.is_snapshot:
            self._snapshot(market, rows, now_ns)
        else:
            self._follow(market, rows, now_ns)

    def _begin(self, session: int, now_ns: int) -> None:
        self.session = session
        for market in self._markets.values():
            self._happens(market, Event.SESSION, now_ns)
        self._markets.clear()
        self._effects.append(Say("info", f"the engine is in session {session}"))

    def _market(self, rows: Rows) -> _Market:
        found = self._markets.get(rows.market)
        if found is None:
            length = self.model.length if self.model is not None else 1
            found = self._markets[rows.market] = _Market(rows.market, rows.coin, Window(length, self.features))
        return found

    def _follow(self, market: _Market, rows: Rows, now_ns: int) -> None:
        heads, values, window = rows.heads, rows.values, market.window
        known = window.newest - int(heads["sequence"][0]) + 1 if window.count else 0
        if known >= len(heads):
            self._happens(market, Event.OLD, now_ns)
            return
        if len(rows.observation):
            market.observation, market.observation_hash = rows.observation, rows.observation_hash
        if known > 0:
            heads, values = heads[known:], values[known:]
        is_gap = known < 0 or window.count == 0
        if known < 0:
            self.lost_rows += -known
            window.forget()
        self.rows += len(heads)
        is_new_run = window.append(heads, values, self._bounds())
        if window.is_full:
            self._happens(market, Event.FULL, now_ns)
        elif is_new_run:
            self._happens(market, Event.RESET, now_ns)
        else:
            self._happens(market, Event.GAP if is_gap else Event.ROWS, now_ns)

    def _snapshot(self, market: _Market, rows: Rows, now_ns: int) -> None:
        if market.state is not State.GAPPED:
            self._happens(market, Event.UNASKED, now_ns)
        elif not market.window.rebuild(rows.heads, rows.values, self._bounds()):
            self._happens(market, Event.SNAPSHOT_LATE, now_ns)
        else:
            self._happens(market, Event.SNAPSHOT_FULL if market.window.is_full else Event.SNAPSHOT, now_ns)

    def _say_of_stranger(self, rows: Rows, now_ns: int) -> None:
        """Rows of another schema: the engine hears why nothing comes of them, once a market."""
        market = self._markets.get(rows.market)
        if market is None:
            market = self._market(rows)
        if market.said is not Reason.SCHEMA:
            self._publish(market, rows.schema, rows.session, Reason.SCHEMA, now_ns)

    # The table.

    def _happens(self, market: _Market, event: Event, now_ns: int) -> None:
        found = TABLE.get((market.state, event))
        if found is None:
            raise ImpossibleEvent(f"{event} cannot happen to a market that is {market.state}")
        if event in FAULTS:
            self.counters[f"{event} while {market.state}"] += 1
        market.state, steps = found
        for step in steps:
            if step is Step.ASK:
                self._ask(market, now_ns)
            elif step is Step.PREDICT:
                market.is_due = True
            else:
                self._abstain(market, REASONS[market.state], now_ns)

    def _ask(self, market: _Market, now_ns: int) -> None:
        market.asked_ns = now_ns
        self.counters["snapshots asked for"] += 1
        rows = min(market.window.length, ROWS_MAX)
        self._effects.append(Ask(Request(self.schema, self.session, market.market, market.coin, rows)))

    def _bounds(self) -> Any:
        return self.model.bounds if self.model is not None else None

    # Predictions.

    def _drained(self, event: Drained, now_ns: int) -> None:
        for market in self._markets.values():
            if market.is_due:
                market.is_due = False
                self._consider(market, now_ns)
            if len(market.observation):
                self._observe(market)

    def _consider(self, market: _Market, now_ns: int) -> None:
        """A window is full: the model is asked, unless the window is not what it was made for."""
        if market.state is not State.READY:
            return  # it was lost again before all was read
        if now_ns - market.window.data_ns > self.settings.stale_ns:
            self._happens(market, Event.SILENT, now_ns)
            return
        fault = Reason.NO_MODEL if self.model is None else market.window.fault()
        if fault is not Reason.NONE:
            self._abstain(market, fault, now_ns)
            return
        market.is_asked = True
        self._effects.append(Predict(market.market, market.window.newest, market.window.view()))

    def _observe(self, market: _Market) -> None:
        observation, policy = market.observation, self.policy
        market.observation = NO_OBSERVATION
        if policy is None:
            return
        if market.observation_hash != policy.observation_hash or len(observation) != policy.observed:
            self.counters["observations of another layout"] += 1
        elif not np.isfinite(observation).all():
            self.counters["observations with numbers that are none"] += 1
        else:
            # Before what the model is asked, so that one signal tells of both.
            self._effects.insert(0, Decide(market.market, observation[None, :]))

    def _predicted(self, event: Predicted, now_ns: int) -> None:
        market = self._markets.get(event.market)
        if market is None or not market.is_asked or self.model is None or event.model_id != self.model.model_id:
            self.counters["predictions that nobody waits for"] += 1
            return
        market.is_asked = False
        shares = [float(share) for share in event.probabilities]
        mu_e9, sigma_e9 = event.mu_bp * E9_OF_BP, event.sigma_bp * E9_OF_BP
        is_sound = (
            len(shares) == 3
            and min(shares) >= 0.0
            and abs(math.fsum(shares) - 1.0) <= SUM_ERROR_MAX
            and abs(mu_e9) <= MOVE_E9_MAX
            and 0.0 <= sigma_e9 <= MOVE_E9_MAX
        )
        if not is_sound:
            self._abstain(market, Reason.PREDICTION, now_ns)
            return
        market.said = Reason.NONE
        self.counters["predictions"] += 1
        flags, action = self._taken_action(market)
        self._effects.append(Publish(Signal(
            self.schema, self.session, market.market, flags, int(Reason.NONE), market.window.newest,
            self.model.model_id, round(mu_e9), round(sigma_e9), shares[0], shares[1], shares[2], self._policy_id(),
            action, market.window.data_ns, max(event.compute_ns, 0), now_ns,
        )))  # fmt: skip

    def _decided(self, event: Decided, now_ns: int) -> None:
        market = self._markets.get(event.market)
        if market is None or self.policy is None or event.policy_id != self.policy.policy_id:
            self.counters["decisions that nobody waits for"] += 1
            return
        if event.action.shape != (4,) or not np.isfinite(event.action).all():
            self.counters["decisions with numbers that are none"] += 1
            return
        market.action = action_e6(event.action)
        self.counters["decisions"] += 1
        if not market.is_asked:
            reason = REASONS[market.state] or market.said or Reason.NO_MODEL
            self._publish(market, self.schema, self.session, reason, now_ns)

    def _taken_action(self, market: _Market) -> tuple[int, tuple[int, int, int, int]]:
        """The flag and the action that the next message tells."""
        action, market.action = market.action, None
        return (0, NO_ACTION) if action is None else (int(Flag.POLICY), action)

    def _abstain(self, market: _Market, reason: Reason, now_ns: int) -> None:
        if reason is not market.said or market.action is not None:
            self._publish(market, self.schema, self.session, reason, now_ns)

    def _publish(self, market: _Market, schema: bytes, session: int, reason: Reason, now_ns: int) -> None:
        """An abstention; and what the policy decided, if it has."""
        market.said = reason
        self._abstentions += 1
        self.counters[f"abstains: {reason.name.lower().replace('_', ' ')}"] += 1
        flags, action = self._taken_action(market)
        self._effects.append(Publish(Signal(
            schema, session, market.market, flags | int(Flag.ABSTAINS), int(reason), max(market.window.newest, 0),
            self._model_id(), 0, 0, 0.0, 0.0, 0.0, self._policy_id(), action, market.window.data_ns, 0, now_ns,
        )))  # fmt: skip

    def _model_id(self) -> int:
        return 0 if self.model is None else self.model.model_id

    def _policy_id(self) -> int:
        return 0 if self.policy is None else self.policy.policy_id

    # Time.

    def _tick(self, event: Tick, now_ns: int) -> None:
        for market in self._markets.values():
            is_silent = market.window.count > 0 and now_ns - market.window.data_ns > self.settings.stale_ns
            if is_silent and market.state not in (State.STALE, State.EMPTY):
                self._happens(market, Event.SILENT, now_ns)
            elif market.state is State.GAPPED and now_ns - market.asked_ns >= self.settings.ask_ns:
                self._happens(market, Event.ASK_DUE, now_ns)
        if now_ns - self._beat_ns >= self.settings.beat_ns:
            self._beat_ns = now_ns
            self._beats += 1
            ready = sum(market.state is State.READY for market in self._markets.values())
            self._effects.append(Beat(Heartbeat(
                self.schema, self.session, self._beats, self._model_id(), self._policy_id(), now_ns, self.rows,
                self.lost_rows, self._abstentions, ready,
            )))  # fmt: skip

    # Models.

    def _loaded(self, event: Loaded, now_ns: int) -> None:
        model, before = event.model, self.model
        if model is not None and (model.schema != self.schema or model.features != self.features):
            self._refused(Refused("the new model has another feature schema than the one that is served"), now_ns)
            return
        self.model = model
        if model is None:
            return
        self.counters["models loaded"] += 1
        is_same_window = before is not None and before.length == model.length
        for market in self._markets.values():
            market.is_asked = market.is_due = False
            if is_same_window:
                market.window.judged_again(model.bounds)
            else:
                self._happens(market, Event.SESSION, now_ns)
                market.window = Window(model.length, self.features)
        self._effects.append(Say("info", f"model {model.model_id:016x} is asked from now on"))

    def _policy_loaded(self, event: PolicyLoaded, now_ns: int) -> None:
        self.policy = event.policy
        if event.policy is not None:
            self.counters["policies loaded"] += 1
            self._effects.append(Say("info", f"policy {event.policy.policy_id:016x} decides from now on"))

    def _refused(self, event: Refused, now_ns: int) -> None:
        self.counters["loads refused"] += 1
        self._effects.append(Say("warning", event.sentence))


def action_e6(action: np.ndarray) -> tuple[int, int, int, int]:
    """What an action float[4] of finite numbers, each cut to -1..1, means in millionths, to the digit as
    `hlhft.alpha.action` writes it: gamma times 4**a, signal weight 1 + a, spread times 2**a, asymmetry a / 2."""
    gamma, weight, spread, asymmetry = (min(max(float(part), -1.0), 1.0) for part in action)
    meant = (math.exp(_LN4 * gamma), 1.0 + weight, math.exp(_LN2 * spread), 0.5 * asymmetry)
    first, second, third, fourth = (math.floor(value * E6 + 0.5) for value in meant)
    return first, second, third, fourth
