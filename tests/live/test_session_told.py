"""What a session was told and how long its requests took, from its journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.core.state import COMMAND_DTYPE, CommandKind
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.live.journal.recording import JournalSource
from hlhft.live.journal.resting import Resting
from hlhft.live.session_told import (
    CONTROLS,
    Request,
    Told,
    _in_line,
    _never_falling,
    clock_of,
    history_of,
    requests_of,
    rested_of,
    told,
)
from tests.core.worlds import COIN, MS, START, event
from tests.live.journal.brains import Session

K = EventKind


def heard(folder: Path) -> Told:
    return told(folder, JournalSource(folder).resting)


def test_a_session_tells_what_it_sent_and_heard(tmp_path: Path) -> None:
    made = Session(tmp_path)
    made.run(5)
    for rows in (
        event(K.FEE_CHANGE, made.now_ns, aux0=1), event(K.ACCOUNT_STATE, made.now_ns, aux1=100),
        event(K.SIGNAL, made.now_ns, aux0=made.now_ns + MS), event(K.ACCOUNT_STATE, made.now_ns, aux1=200),
        event(K.EQUITY_STATE, made.now_ns), event(K.TIMER, made.now_ns),
    ):  # fmt: skip
        made.step(rows)
    made.journal.close()
    found = heard(tmp_path)
    assert found.start.session == 7 and found.ended and not found.was_changed and found.adopted == 0
    assert b"".join(made.commands) == found.commands.tobytes()
    assert found.controls["kind"].tolist() == [int(K.FEE_CHANGE), int(K.ACCOUNT_STATE), int(K.EQUITY_STATE)]
    assert found.controls["aux1"][1] == 100, "the first reading of the account"
    assert found.signals["kind"].tolist() == [int(K.SIGNAL)]
    assert found.ticks and found.interval_ns == 100 * MS
    asked, acted, known = found.history.T
    assert len(asked) > 1 and (acted - asked == MS).all() and (known == acted).all()


def test_only_what_no_simulation_makes_itself_is_told_it() -> None:
    own = {K.ORDER_ACKNOWLEDGED, K.ORDER_FILLED, K.ORDER_CANCELLED, K.ORDER_REJECTED, K.FUNDING_PAYMENT, K.COMMAND_SENT}
    assert not own & set(CONTROLS)


Row = tuple[CommandKind, int, int, int, int]


def requests(*rows: Row) -> list[Request]:
    """Of (kind, order, decided on, acted on or 0, known here), in ms."""
    commands, events = [], []
    for kind, order_id, asked_ms, acted_ms, known_ms in rows:
        command = np.zeros(1, COMMAND_DTYPE)
        command["kind"], command["order_id"], command["ts_ns"] = int(kind), order_id, START + asked_ms * MS
        commands.append(command)
        answer = K.ORDER_ACKNOWLEDGED if kind is CommandKind.PLACE else K.ORDER_CANCELLED
        one = event(answer if acted_ms else K.ORDER_REJECTED, START + known_ms * MS, order_id=order_id)
        one["ts_exch_ns"] = START + acted_ms * MS if acted_ms else 0
        events.append(one)
    return requests_of(np.concatenate(commands), np.concatenate(events), Resting([COIN]))


def history(*rows: Row) -> list[list[int]]:
    """What is made of them, in ms."""
    found = requests(*rows)
    return [[(time - START) // MS for time in row] for row in history_of(found, clock_of(found)).tolist()]


PLACE, CANCEL = CommandKind.PLACE, CommandKind.CANCEL


def test_requests_are_told_in_order_of_asking() -> None:
    found = history((PLACE, 2, 100, 180, 190), (PLACE, 1, 10, 90, 95), (CANCEL, 1, 200, 260, 400))
    assert found == [[10, 90, 95], [100, 180, 190], [200, 260, 400]]


def test_several_at_one_time_are_one_and_a_refusal_took_as_long_as_others() -> None:
    found = history((CANCEL, 1, 10, 50, 60), (PLACE, 2, 10, 90, 100), (PLACE, 3, 200, 0, 290))
    assert found == [[10, 70, 80], [200, 280, 290]]


def test_requests_that_overtook_each_other_are_acted_on_together() -> None:
    found = history((PLACE, 1, 10, 120, 130), (CANCEL, 9, 30, 80, 300), (PLACE, 2, 200, 280, 290))
    assert found == [[10, 100, 130], [30, 100, 300], [200, 280, 290]]


def test_a_clock_that_is_behind_or_ahead_is_set_right_by_placements() -> None:
    behind = (PLACE, 1, 50, 20, 90), (PLACE, 2, 100, 110, 150), (CANCEL, 1, 200, 10, 300)
    assert clock_of(requests(*behind)) == 30 * MS, "a cancel may be overtaken by an end that nobody asked for"
    assert history(*behind) == [[50, 50, 90], [100, 140, 150], [200, 200, 300]]
    ahead = (PLACE, 1, 50, 120, 90), (PLACE, 2, 100, 140, 150)
    assert clock_of(requests(*ahead)) == -30 * MS
    assert history(*ahead) == [[50, 90, 90], [100, 110, 150]]
    assert clock_of(requests((PLACE, 1, 50, 20, 90), (PLACE, 2, 100, 200, 150))) == 0, "no clock fits both"
    assert clock_of(requests((PLACE, 1, 50, 60, 90))) == clock_of([]) == 0


def test_nothing_measured_is_an_empty_history() -> None:
    assert requests_of(np.zeros(0, COMMAND_DTYPE), np.zeros(0, EVENT_DTYPE), Resting([COIN])) == []
    assert history_of([], 0).shape == (0, 3)


def test_orders_rest_from_their_acknowledgement_until_something_else_than_a_fill_ends_them() -> None:
    commands = np.zeros(3, COMMAND_DTYPE)
    commands["kind"], commands["order_id"] = int(PLACE), [1, 2, 3]
    commands["side"], commands["price_ticks"], commands["size_lots"] = 1, [1000, 1001, 1002], 5
    events = np.concatenate(
        [
            event(K.ORDER_ACKNOWLEDGED, START + 2 * MS, order_id=2, aux0=12),
            event(K.ORDER_ACKNOWLEDGED, START + MS, order_id=1, aux0=11),
            event(K.ORDER_ACKNOWLEDGED, START + 3 * MS, order_id=2, aux0=12),  # told again
            event(K.ORDER_REJECTED, START + 3 * MS, order_id=3),
            event(K.ORDER_CANCELLED, START + 4 * MS, order_id=3),
            event(K.ORDER_ACKNOWLEDGED, START + 5 * MS, order_id=2, aux0=13),  # modified
            event(K.ORDER_EXPIRED, START + 9 * MS, order_id=1),
            event(K.ORDER_CANCELLED, START + 9 * MS, order_id=2),
        ]
    )
    found = rested_of(commands, events, Resting([COIN]), clock_ns=10 * MS)
    assert [((row["ts_ns"] - START) // MS, row["is_over"], row["order_id"], row["price_ticks"]) for row in found] == [
        (11, 0, 1, 1000), (12, 0, 2, 1001), (15, 1, 2, 1001), (19, 1, 1, 1000),
    ]  # fmt: skip
    assert len(rested_of(commands[:0], events, Resting([COIN]), 0)) == 0


@given(st.lists(st.integers(-1000, 1000), max_size=30))
def test_what_never_falls_is_nearest(times: list[int]) -> None:
    found = _never_falling(np.array(times, np.int64))
    assert len(found) == len(times) and (np.diff(found) >= 0).all()
    if sorted(times) == times:
        assert found.tolist() == times
    assert abs(int(found.sum()) - sum(times)) <= len(times), "means keep the sum, but for rounding"


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(-60, 300), st.integers(0, 300)), min_size=1, max_size=20))
def test_a_history_is_one_that_a_simulation_takes(rows: list[tuple[int, int, int]]) -> None:
    asked = np.cumsum([step for step, _, _ in rows])
    found = _in_line(np.stack([asked, asked + [way for _, way, _ in rows], asked + [back for _, _, back in rows]], 1))
    assert (found[:, 0] == asked).all()
    assert (found[:, 0] <= found[:, 1]).all() and (found[:, 1] <= found[:, 2]).all()
    assert (np.diff(found[:, 1]) >= 0).all()


def test_a_journal_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    made = Session(tmp_path)
    made.run(3)
    made.journal.close()
    source = JournalSource(tmp_path)
    next(tmp_path.iterdir()).write_bytes(bytes(4096))
    with pytest.raises(Exception, match="not one whole record, so there is nothing to compare"):
        told(tmp_path, source.resting)
