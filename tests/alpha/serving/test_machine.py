"""What an alpha process decides, whatever is lost, late, doubled or damaged on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.action import write_policy
from hlhft.alpha.serving.machine import Machine, Settings, action_e6
from hlhft.alpha.serving.messages import (
    Ask,
    Beat,
    Decide,
    Decided,
    Drained,
    Effect,
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
from hlhft.alpha.serving.table import TABLE, Event, ImpossibleEvent, State
from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.wire import Flag, Reason, Rows, decode
from hlhft.events import empty
from tests.alpha.wired import BEGIN_NS, FEATURES, NS, RESET, SCHEMA, SESSION, STEP_NS, VALID, rows_message, rows_of

LENGTH = 4
MODEL = Model(77, SCHEMA, LENGTH, FEATURES, Bounds(np.full(FEATURES, -2.0), np.full(FEATURES, 2.0)))
POLICY = PolicyModel(5, b"o" * 16, 3)
SURE = np.array([0.1, 0.2, 0.7], np.float32)


def rows(first: int, count: int, **changes: object) -> Rows:
    found = decode(rows_message(first, count, **changes))
    assert isinstance(found, Rows)
    return found


@dataclass
class Served:
    """A machine whose model answers at once, with a clock that follows the rows."""

    machine: Machine = field(default_factory=lambda: Machine(Settings(), schema=SCHEMA, features=FEATURES))
    now_ns: int = BEGIN_NS
    answer: Predicted | None = None
    windows: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine.on(Loaded(MODEL), self.now_ns)

    def told(self, told: Rows) -> list[Effect]:
        if len(told.heads):
            self.now_ns = max(self.now_ns, int(told.heads["ts_local_ns"][-1]) + 1_000_000)
        effects = self.machine.on(Told(told), self.now_ns)
        return effects + self.drained()

    def drained(self) -> list[Effect]:
        done: list[Effect] = []
        for effect in self.machine.on(Drained(), self.now_ns):
            done.append(effect)
            if isinstance(effect, Predict):
                self.windows.append((effect.sequence, effect.window[0].copy()))
                answer = self.answer or Predicted(effect.market, 77, SURE, 0.5, 2.0, 300_000)
                done += self.machine.on(answer, self.now_ns)
            elif isinstance(effect, Decide):
                done += self.machine.on(Decided(effect.market, 5, np.zeros(4)), self.now_ns)
        return done

    def ticks(self, after_ns: int) -> list[Effect]:
        self.now_ns += after_ns
        return self.machine.on(Tick(), self.now_ns)

    @property
    def state(self) -> State:
        return self.machine.states()["BTC"]


def published(effects: list[Effect]) -> list[tuple[Reason, int]]:
    return [(Reason(each.signal.reason), each.signal.sequence) for each in effects if isinstance(each, Publish)]


def asks(effects: list[Effect]) -> int:
    return sum(isinstance(effect, Ask) for effect in effects)


def ready(**changes: object) -> Served:
    served = Served()
    served.told(rows(0, LENGTH, **changes))
    return served


def test_a_window_is_asked_for_and_told_as_a_signal() -> None:
    served = Served()
    begun = served.told(rows(0, 1, flags=VALID | RESET))
    assert published(begun) == [(Reason.FILLING, 0)] and asks(begun) == 0
    assert served.told(rows(1, 2)) == []
    effects = served.told(rows(3, 1))
    (signal,) = [effect.signal for effect in effects if isinstance(effect, Publish)]
    assert (signal.session, signal.market, signal.flags, signal.sequence) == (SESSION, 0, 0, 3)
    assert (signal.mu_e9, signal.sigma_e9, signal.model_id) == (50_000, 200_000, 77)
    assert [signal.down, signal.flat, signal.up] == [float(share) for share in SURE]
    assert (signal.data_ns, signal.compute_ns) == (BEGIN_NS + 3 * STEP_NS, 300_000)
    assert (served.windows[0][1] == rows_of(0, 4)[1]).all()
    assert published(served.told(rows(4, 1))) == [(Reason.NONE, 4)]


def test_the_newest_row_of_many_is_what_the_model_is_asked_about() -> None:
    served = ready()
    for sequence in (4, 5, 6):
        served.machine.on(Told(rows(sequence, 1)), served.now_ns)
    assert published(served.drained()) == [(Reason.NONE, 6)]


def test_a_gap_is_asked_for_and_a_snapshot_fills_it() -> None:
    served = ready()
    effects = served.told(rows(6, 1))
    assert published(effects) == [(Reason.GAP, 6)] and asks(effects) == 1
    assert served.state is State.GAPPED
    served.told(rows(7, 1))
    effects = served.told(rows(3, 4, is_snapshot=True))
    assert published(effects) == [(Reason.NONE, 7)]
    assert (served.windows[-1][1] == rows_of(4, 4)[1]).all()
    assert served.machine.counters["gap while ready"] == 1


def test_without_an_answer_it_asks_again_and_goes_on_once_it_has_rows_of_its_own() -> None:
    served = ready()
    served.told(rows(9, 1))
    assert asks(served.ticks(NS // 4)) == 0
    assert asks(served.ticks(NS // 4)) == 1
    late = served.told(rows(1, 4, is_snapshot=True))
    assert published(late) == [] and served.state is State.GAPPED
    assert served.machine.counters["snapshot, late while gapped"] == 1
    assert published(served.told(rows(10, 3))) == [(Reason.NONE, 12)]


def test_a_restart_of_the_alpha_process_is_a_gap() -> None:
    served = Served()
    assert asks(served.told(rows(500, 1))) == 1
    assert published(served.told(rows(490, 11, is_snapshot=True))) == [(Reason.NONE, 500)]


def test_a_short_snapshot_leads_to_filling_and_an_empty_one_to_nothing() -> None:
    served = Served()
    served.told(rows(1, 1))
    served.told(rows(0, 0, is_snapshot=True))
    assert served.state is State.GAPPED
    assert published(served.told(rows(0, 2, is_snapshot=True))) == [(Reason.FILLING, 1)]
    assert served.state is State.FILLING
    assert published(served.told(rows(2, 2))) == [(Reason.NONE, 3)]


def test_another_session_begins_anew() -> None:
    served = ready()
    effects = served.told(rows(0, 1, session=SESSION + 1, flags=VALID | RESET))
    assert served.state is State.FILLING
    assert published(effects) == [(Reason.FILLING, 0)]
    assert served.told(rows(0, 4, is_snapshot=True)) == []
    assert served.machine.counters["snapshots of another session"] == 1
    assert served.machine.counters["session while ready"] == 1


def test_an_engine_that_counts_from_the_beginning_again_is_followed() -> None:
    """Its state folder is new: its session has the number of the one before, and so have its rows."""
    served = ready()
    later = {"begin_ns": BEGIN_NS + 60 * NS}
    begun = served.told(rows(0, 1, flags=VALID | RESET, **later))
    assert published(begun) == [(Reason.FILLING, 0)] and served.state is State.FILLING
    assert published(served.told(rows(1, LENGTH - 1, **later))) == [(Reason.NONE, LENGTH - 1)]
    assert served.machine.counters["session while ready"] == 1
    assert (served.windows[-1][1] == rows_of(0, LENGTH)[1]).all()


def test_rows_that_are_known_change_nothing() -> None:
    served = ready()
    assert published(served.told(rows(1, 2))) == []
    assert published(served.told(rows(2, 4))) == [(Reason.NONE, 5)]
    assert (served.windows[-1][1] == rows_of(2, 4)[1]).all()


def test_silence_withdraws_and_rows_bring_back() -> None:
    served = ready()
    assert published(served.ticks(4 * NS)) == []
    assert published(served.ticks(2 * NS)) == [(Reason.STALE, 3)]
    assert published(served.ticks(2 * NS)) == []
    assert published(served.told(rows(4, 1, begin_ns=served.now_ns))) == [(Reason.NONE, 4)]


def test_a_row_that_was_old_when_it_came_is_nothing_to_predict_from() -> None:
    served = ready()
    served.now_ns += 20 * NS
    assert published(served.told(rows(4, 1))) == [(Reason.STALE, 4)]
    assert served.state is State.STALE


def test_rows_of_another_schema_are_told_once_and_never_used() -> None:
    served = ready()
    strange = rows(4, 1, schema=b"x" * 16)
    first = served.told(strange)
    (signal,) = [effect.signal for effect in first if isinstance(effect, Publish)]
    assert (signal.reason, signal.schema) == (Reason.SCHEMA, b"x" * 16)
    assert published(served.told(rows(5, 1, schema=b"x" * 16))) == []
    assert published(served.told(rows(4, 1, features=FEATURES + 1))) == []
    assert published(served.told(rows(4, 1))) == [(Reason.NONE, 4)]


@pytest.mark.parametrize(
    ("column", "value", "flags", "reason"),
    [
        (0, np.nan, VALID, Reason.NOT_FINITE),
        (1, -np.inf, VALID, Reason.NOT_FINITE),
        (2, 2.5, VALID, Reason.OUT_OF_RANGE),
        (0, 0.0, 0, Reason.NOT_VALID),
    ],
)
def test_it_abstains_while_the_window_holds_a_bad_row(column: int, value: float, flags: int, reason: Reason) -> None:
    served = ready()
    heads, values = rows_of(4, 1, flags=flags)
    values[0, column] = value
    assert published(served.told(rows(4, 1)._replace(heads=heads, values=values))) == [(reason, 4)]
    assert published(served.told(rows(5, 2))) == []
    assert published(served.told(rows(7, 1))) == []
    assert published(served.told(rows(8, 1))) == [(Reason.NONE, 8)]


@pytest.mark.parametrize(
    "answer",
    [
        Predicted(0, 77, np.array([0.5, 0.5, np.nan]), 0.0, 1.0, 0),
        Predicted(0, 77, np.array([0.5, 0.5, 0.5]), 0.0, 1.0, 0),
        Predicted(0, 77, np.array([-0.1, 0.6, 0.5]), 0.0, 1.0, 0),
        Predicted(0, 77, SURE[:2], 0.0, 1.0, 0),
        Predicted(0, 77, SURE, np.inf, 1.0, 0),
        Predicted(0, 77, SURE, 0.0, np.nan, 0),
        Predicted(0, 77, SURE, 0.0, -1.0, 0),
        Predicted(0, 77, SURE, 10_001.0, 1.0, 0),
    ],
)
def test_an_answer_that_is_none_is_an_abstention(answer: Predicted) -> None:
    served = Served(answer=answer)
    assert published(served.told(rows(0, LENGTH))) == [(Reason.PREDICTION, 3)]


def test_an_answer_of_a_model_that_was_swapped_is_dropped() -> None:
    served = Served(answer=Predicted(0, 78, SURE, 0.0, 1.0, 0))
    assert published(served.told(rows(0, LENGTH))) == []
    assert served.machine.counters["predictions that nobody waits for"] == 1


def test_a_swap_keeps_the_windows_and_judges_them_again() -> None:
    served = ready()
    narrow = MODEL._replace(model_id=78, bounds=Bounds(np.full(FEATURES, -0.1), np.full(FEATURES, 0.1)))
    served.machine.on(Loaded(narrow), served.now_ns)
    assert published(served.told(rows(4, 1))) == [(Reason.OUT_OF_RANGE, 4)]
    served.machine.on(Loaded(MODEL), served.now_ns)
    assert published(served.told(rows(5, 1))) == [(Reason.NONE, 5)]


def test_a_model_with_another_window_asks_for_the_rows_it_needs() -> None:
    served = ready()
    served.machine.on(Loaded(MODEL._replace(length=6, model_id=77)), served.now_ns)
    assert served.state is State.EMPTY
    assert asks(served.told(rows(4, 1))) == 1
    assert published(served.told(rows(0, 5, is_snapshot=True))) == [(Reason.FILLING, 4)]
    assert published(served.told(rows(5, 1))) == [(Reason.NONE, 5)]
    assert served.windows[-1][1].shape == (6, FEATURES)


def test_a_refused_load_leaves_the_old_model() -> None:
    served = ready()
    assert isinstance(served.machine.on(Loaded(MODEL._replace(schema=b"x" * 16)), served.now_ns)[0], Say)
    assert served.machine.on(Refused("a file is damaged"), served.now_ns) == [Say("warning", "a file is damaged")]
    assert served.machine.counters["loads refused"] == 2
    assert published(served.told(rows(4, 1))) == [(Reason.NONE, 4)]


def test_without_a_model_it_abstains() -> None:
    served = Served()
    served.machine.on(Loaded(None), served.now_ns)
    assert published(served.told(rows(0, 1))) == [(Reason.NO_MODEL, 0)]


def observed(first: int, **changes: object) -> Rows:
    told = {"observation": np.ones(3, np.float32), "observation_hash": b"o" * 16, **changes}
    return rows(first, 1, **told)


def test_a_policy_decides_in_the_same_signal_or_beside_an_abstention() -> None:
    served = ready()
    served.machine.on(PolicyLoaded(POLICY), served.now_ns)
    effects = served.told(observed(4))
    (signal,) = [effect.signal for effect in effects if isinstance(effect, Publish)]
    assert signal.flags == Flag.POLICY and signal.policy_id == 5
    assert signal.action_e6 == (1_000_000, 1_000_000, 1_000_000, 0)
    (plain,) = [effect.signal for effect in served.told(rows(5, 1)) if isinstance(effect, Publish)]
    assert plain.flags == 0
    effects = served.told(observed(9))
    flags = [effect.signal.flags for effect in effects if isinstance(effect, Publish)]
    assert flags == [Flag.ABSTAINS, Flag.ABSTAINS | Flag.POLICY]


@pytest.mark.parametrize(
    ("changes", "counter"),
    [
        ({"observation_hash": b"p" * 16}, "observations of another layout"),
        ({"observation": np.ones(2, np.float32)}, "observations of another layout"),
        ({"observation": np.full(3, np.nan, np.float32)}, "observations with numbers that are none"),
    ],
)
def test_an_observation_that_is_none_is_nothing_to_decide_on(changes: dict[str, object], counter: str) -> None:
    served = ready()
    served.machine.on(PolicyLoaded(POLICY), served.now_ns)
    effects = served.told(observed(4, **changes))
    assert [effect.signal.flags for effect in effects if isinstance(effect, Publish)] == [0]
    assert served.machine.counters[counter] == 1


def test_decisions_that_are_none_are_counted() -> None:
    served = ready()
    assert served.machine.on(Decided(0, 5, np.zeros(4)), served.now_ns) == []
    served.machine.on(PolicyLoaded(POLICY), served.now_ns)
    assert served.machine.on(Decided(0, 5, np.full(4, np.nan)), served.now_ns) == []
    assert served.machine.on(Decided(0, 5, np.zeros(3)), served.now_ns) == []
    assert served.machine.counters["decisions with numbers that are none"] == 2


def test_actions_are_cut_and_zero_is_neutral() -> None:
    assert action_e6(np.zeros(4)) == (1_000_000, 1_000_000, 1_000_000, 0)
    assert action_e6(np.array([9.0, 9.0, 9.0, 9.0])) == (4_000_000, 2_000_000, 2_000_000, 500_000)
    assert action_e6(np.full(4, -1.0)) == (250_000, 0, 500_000, -500_000)


@given(st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4))
def test_an_action_means_what_it_means_in_the_environment(parts: list[float]) -> None:
    event = empty(1)[0]
    write_policy(event, np.array(parts), 0, 0, 0, 0)
    assert action_e6(np.array(parts)) == (event["price_ticks"], event["size_lots"], event["order_id"], event["aux1"])


def test_a_heartbeat_each_second_counts() -> None:
    served = ready()
    (beat,) = [effect.beat for effect in served.ticks(0) if isinstance(effect, Beat)]
    assert (beat.session, beat.number, beat.model_id, beat.rows, beat.ready) == (SESSION, 1, 77, 4, 1)
    assert served.ticks(NS // 2) == []
    served.told(rows(8, 1))
    (beat,) = [effect.beat for effect in served.ticks(NS // 2) if isinstance(effect, Beat)]
    assert (beat.number, beat.rows, beat.gaps, beat.ready) == (2, 5, 4, 0)


def test_what_cannot_happen_is_an_error() -> None:
    served = ready()
    market = served.machine._markets[0]
    with pytest.raises(ImpossibleEvent, match="ask due cannot happen to a market that is ready"):
        served.machine._happens(market, Event.ASK_DUE, 0)


THINGS = st.sampled_from(
    ["row", "row", "row", "rows", "lost", "again", "reset", "answer", "late", "silence", "tick", "restart", "swap"]
)


@given(st.lists(THINGS, max_size=60), st.integers(0, 2**32 - 1))
def test_a_prediction_is_always_of_the_newest_unbroken_rows(things: list[str], seed: int) -> None:
    """An engine that loses, doubles and restarts; what the model sees are its newest rows, none missing between."""
    draw = np.random.default_rng(seed)
    served = Served()
    session, newest, begun = SESSION, -1, {0}
    silent_ns = 0

    def tell(begin: int, count: int, *, is_snapshot: bool = False) -> None:
        heads, values = rows_of(begin, count, begin_ns=BEGIN_NS + silent_ns)
        heads["flags"][np.isin(heads["sequence"], list(begun))] |= RESET
        told = rows(begin, count, session=session, is_snapshot=is_snapshot)._replace(heads=heads, values=values)
        served.told(told)

    for thing in things:
        count = int(draw.integers(2, 8)) if thing in ("rows", "lost") else 1
        if thing == "reset":
            begun.add(newest + 1)
        if thing in ("row", "rows", "reset"):
            tell(newest + 1, count)
            newest += count
        elif thing == "lost":
            newest += count
        elif thing == "again" and newest >= 0:
            tell(max(newest - 1, 0), min(2, newest + 1))
        elif thing in ("answer", "late") and newest >= 0:
            end = newest if thing == "answer" else max(newest - 3, 0)
            begin = max(end - 9, 0)
            tell(begin, end - begin + 1, is_snapshot=True)
        elif thing == "silence":
            silent_ns += 6 * NS
            served.ticks(6 * NS)
        elif thing == "restart":
            session, newest, begun = session + 1, -1, {0}
        elif thing == "swap":
            served.machine.on(Loaded(MODEL), served.now_ns)
        else:
            silent_ns += NS
            served.ticks(NS)
        for sequence, window in served.windows:
            assert (window == rows_of(sequence - LENGTH + 1, LENGTH)[1]).all()
            assert not begun & set(range(sequence - LENGTH + 2, sequence + 1))
        served.windows.clear()
    tell(newest + 1, 1)
    tell(max(newest - 8, 0), newest + 2 - max(newest - 8, 0), is_snapshot=True)
    assert (served.state is State.READY) == (newest + 2 - max(begun) >= LENGTH)


def test_every_entry_of_the_table_can_be_walked() -> None:
    """Each entry alone: a market put into the state, the event, and the state that follows."""
    for (state, event), (after, _) in TABLE.items():
        served = ready()
        market = served.machine._markets[0]
        market.state = state
        served.machine._happens(market, event, served.now_ns)
        assert market.state is after
