"""An engine that lives and does not agree with the venue does not keep its watchdog from cancelling."""

from __future__ import annotations

from hlhft.hyperliquid.watchdog_beats import EngineState
from hlhft.hyperliquid.watchdog_events import Start
from hlhft.hyperliquid.watchdog_table import State
from tests.hyperliquid.watchdog_bench import SECOND, Bench

STARTING = EngineState.STARTING


def test_a_beat_in_time_at_the_start_saves_the_orders() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.feed(Start())
    bench.run(bench.settings.start_ns - SECOND)
    bench.live(bench.settings.waiting_grace_ns - SECOND, STARTING)
    assert bench.machine.state is State.GRACE
    bench.live(30 * SECOND)
    assert bench.machine.state is State.ARMED
    assert 1 in bench.venue.orders


def test_an_engine_that_lives_and_does_not_agree_with_the_venue_is_cancelled_for() -> None:
    """Also one that is started again and again: each start is heard within the silence, and none comes to trade."""
    bench = Bench(flatten_coins=("ETH",))
    bench.venue.place(1)
    bench.venue.positions["ETH"] = "1.5"
    bench.feed(Start())
    bench.live(5 * SECOND)
    for session in (2, 3, 4):
        bench.live(4 * SECOND, STARTING, session=session)
    assert bench.machine.state is State.CANCELLING or bench.machine.state is State.EMPTY
    bench.live(10 * SECOND, STARTING, session=4)
    assert not bench.venue.orders
    assert bench.machine.state is State.EMPTY, "beats of an engine that starts do not bring it back"
    assert bench.venue.positions == {"ETH": "1.5"}, "it is not lost"
    bench.venue.place(2)
    bench.live(10 * SECOND, session=4, reconciliation=1)
    assert bench.machine.state is State.ARMED
    assert bench.venue.orders, "what it places once it trades is its own"


def test_an_engine_that_is_cut_off_for_a_moment_is_left_alone() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.feed(Start())
    for _ in range(3):
        bench.live(5 * SECOND)
        bench.live(bench.settings.waiting_grace_ns - SECOND, STARTING)
    bench.live(5 * SECOND)
    assert bench.machine.state is State.ARMED
    assert bench.venue.orders
