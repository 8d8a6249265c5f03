"""Orders of a journal: where each joined, what was shown there without our own, and how long things took."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.core.state import CommandKind
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.live import session_orders
from hlhft.live.session_orders import ACKNOWLEDGED, FEED, TICK_TO_TRADE, SessionOrders
from tests.core.worlds import MS
from tests.live.journal.brains import Session, answers, frame

MIDDLE = 100_000


def rows(kind: EventKind, **values: int) -> np.ndarray:
    made = np.zeros(1, EVENT_DTYPE)
    made["kind"] = int(kind)
    for name, value in values.items():
        made[name] = value
    return made


class Followed:
    """A session that is followed as it goes."""

    def __init__(self, folder: Path) -> None:
        self.made = Session(folder / "journal")
        self.orders = SessionOrders()

    def step(self, events: np.ndarray) -> np.ndarray:
        self.orders.told(events)
        commands = self.made.step(events)
        self.orders.decided(self.made.brain, len(commands), int(events["ts_local_ns"].max()))
        return commands

    def book(self, middle: int = MIDDLE) -> np.ndarray:
        self.made.now_ns += 10 * MS
        return self.step(frame(self.made.now_ns, middle))

    def answered(self, commands: np.ndarray, after_ns: int = MS) -> None:
        self.made.now_ns += after_ns
        self.step(answers(commands, self.made.now_ns))


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def test_an_order_is_told_once_it_rests_and_once_only(followed: Followed) -> None:
    commands = followed.book()
    placements = commands[commands["kind"] == CommandKind.PLACE]
    assert len(placements) == 2 and len(followed.orders.placed()) == 0
    followed.answered(commands, 3 * MS)
    followed.answered(placements)
    placed = followed.orders.placed()
    assert sorted(placed["order_id"].tolist()) == sorted(placements["order_id"].tolist())
    for one in placed:
        command = placements[placements["order_id"] == one["order_id"]][0]
        assert (one["price_ticks"], one["side"], one["size_lots"]) == (
            command["price_ticks"], command["side"], command["size_lots"],
        )  # fmt: skip
        assert one["touch_ticks"] == MIDDLE - 5 * one["side"]
    (took,) = [one for one in followed.orders.latencies() if one.name == ACKNOWLEDGED]
    assert (took.count, took.p50_ns) == (2, 3 * MS)


def test_an_answer_without_the_venues_time_has_our_own(followed: Followed) -> None:
    commands = followed.book()
    told = answers(commands, followed.made.now_ns + MS)
    told["ts_exch_ns"] = 0
    followed.step(told)
    placed = followed.orders.placed()
    assert set(placed["ts_exch_ns"].tolist()) == {0}
    assert set(placed["ts_local_ns"].tolist()) == {followed.made.now_ns + MS}


def test_what_is_shown_at_the_price_counts_without_our_own(followed: Followed) -> None:
    """The book has levels 5 to 9 ticks from its middle, 1000 lots and 10 more for each further tick."""
    brain = followed.made.brain
    commands = followed.book()
    followed.answered(commands)
    ours = next(one for one in commands if one["side"] > 0)
    price, lots = int(ours["price_ticks"]), int(ours["size_lots"])
    shown = session_orders._around(brain, 0, 1, MIDDLE - 7)[1]
    assert shown == 1020 - (lots if price == MIDDLE - 7 else 0)
    assert session_orders._around(brain, 0, 1, MIDDLE - 3) == (brain.lane.views[0]["best_bid_ticks"], 0.0)
    assert session_orders._around(brain, 0, 1, MIDDLE - 10)[1] == -1.0, "beyond the book nothing is known"
    assert session_orders._around(brain, 0, -1, MIDDLE + 10)[1] == -1.0
    assert session_orders._around(brain, 0, -1, MIDDLE + 9)[1] == 1040 - sum(
        int(one["size_lots"]) for one in commands if one["side"] < 0 and one["price_ticks"] == MIDDLE + 9
    )
    orders = brain.lane.orders[0]
    orders["price_ticks"][orders["order_id"] == ours["order_id"]] = MIDDLE - 7
    assert session_orders._around(brain, 0, 1, MIDDLE - 7)[1] == max(1020 - lots, 0)
    brain.data.books["contains_own"] = 0
    assert session_orders._around(brain, 0, 1, MIDDLE - 7)[1] == 1020
    brain.data.books["kind"] = 0
    assert session_orders._around(brain, 0, 1, MIDDLE - 7)[1] == -1.0


def test_what_was_never_decided_here_is_not_told(followed: Followed) -> None:
    followed.step(rows(EventKind.ORDER_ACKNOWLEDGED, order_id=1, side=1, price_ticks=1, size_lots=1, ts_local_ns=5))
    assert len(followed.orders.placed()) == 0


def test_how_long_things_took() -> None:
    orders = SessionOrders()
    for took in (100, 300):
        orders.told(rows(EventKind.COMMAND_SENT, order_id=9, aux0=1000, aux1=1000 + took))
    orders.told(rows(EventKind.COMMAND_SENT, order_id=0, aux0=0, aux1=10**9))  # the loop's lateness, of no order
    orders.told(frame(10**12, MIDDLE))
    found = {one.name: (one.count, one.p50_ns, one.max_ns) for one in orders.latencies()}
    assert found == {TICK_TO_TRADE: (2, 100, 300), FEED: (1, 50 * MS, 50 * MS)}


def test_it_remembers_no_more_than_its_bounds(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_orders, "ORDERS_MAX", 1)
    monkeypatch.setattr(session_orders, "TIMES_MAX", 2)
    for _ in range(3):
        followed.book()
    followed.answered(followed.book(MIDDLE + 40))
    assert len(followed.orders.placed()) == 1
    assert {one.count for one in followed.orders.latencies()} == {2}
