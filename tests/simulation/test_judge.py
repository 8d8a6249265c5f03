"""Each promise is seen to be broken when somebody breaks it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.gateway_events import Gate
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.supervisor_events import Disagreed, Halt, HaltCause
from hlhft.hyperliquid.watchdog_table import State
from hlhft.hyperliquid.wire import cloid_text
from hlhft.live.journal.records import Action
from hlhft.simulation.account import OWNER
from hlhft.simulation.address import Address
from hlhft.simulation.faults import Fault, FaultKind
from hlhft.simulation.judge import ARRIVED, WAITING_NS, Promise, Violation, promises_table
from hlhft.simulation.misfortune import BOOK, STREAMS, Misfortune
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World
from tests.simulation.worlds import breaks, engine_of, pass_until, place, world_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of(tmp_path)


def raised(promise: Promise, work: Any, *values: Any) -> None:
    with pytest.raises(Violation) as found:
        work(*values)
    assert found.value.promise is promise, found.value


def placement(world: World) -> Action:
    """An action that places what rests, as the journal has one."""
    order_ids = tuple(mark.order_id for _, mark in world.judge.own_orders())
    return Action(world.judge._newest_nonce + 1, 1, 1, 0, int(ActionKind.ORDER), 0, order_ids)


def test_what_a_known_rule_refuses_and_a_second_action_on_a_nonce(world: World) -> None:
    judge = world.judge
    raised(Promise.RULES, judge.answered, "engine", b'{"error":"Order has invalid price."}')
    judge.answered("engine", b'{"error":"Post only order would have immediately matched"}')
    request = {"action": {"type": "order"}, "nonce": 5, "signature": "a"}
    for again in (request, request, {**request, "action": {"type": "noop"}, "signature": "b"}):
        judge.posted("engine", again)
    raised(Promise.NONCE, judge.posted, "engine", {**request, "signature": "b"})
    judge.posted("watchdog", {**request, "signature": "b"})


def test_a_nonce_that_cancels_have_outrun_and_one_that_placements_have(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    too_old = f'{{"error":"Invalid nonce: nonce {placed.nonce} is not above the lowest of the last 100"}}'.encode()
    judge.signs(process, placed)
    for later in range(1, 90):
        judge.signs(process, placed._replace(nonce=placed.nonce + later))
    for later in range(90, 101):
        raised(Promise.RULES, judge.answered, "engine", too_old)
        judge.signs(process, placed._replace(nonce=placed.nonce + later, kind=int(ActionKind.CANCEL), order_ids=()))
    judge.answered("engine", too_old)
    judge.signs(process, placed._replace(nonce=placed.nonce + 101))
    judge.answered("engine", too_old)
    judge._nonces[-3] = (placed.nonce + 99, ActionKind.ORDER)
    raised(Promise.RULES, judge.answered, "engine", too_old)


def test_actions_of_the_address_that_the_core_does_not_count(world: World) -> None:
    judge, process = world.judge, engine_of(world)
    pass_until(world, lambda: process.engine.orders.gateway.is_quiet)
    judge._look_at_charges(process)
    judge._address = Address()  # something may have been voided until here
    process.lane["address_actions"] -= 4
    raised(Promise.BUDGETS, judge._look_at_charges, process)
    late = {"action": {"type": "order", "orders": [{}]}, "nonce": 2**60, "signature": "a"}
    judge.posted("engine", {**late, "expiresAfter": world.time.now_ns // MS + 3000})
    raised(Promise.BUDGETS, judge._look_at_charges, process)
    judge.posted("engine", {**late, "expiresAfter": world.time.now_ns // MS - 1})
    judge._look_at_charges(process)
    process.lane["address_actions"] -= 5
    raised(Promise.BUDGETS, judge._look_at_charges, process)
    judge.owner_acts({"type": "order", "orders": [{}]})
    judge._look_at_charges(process)
    # Neither of what a noop voided: the exchange may execute it yet, when it has expired.
    judge.posted("engine", {**late, "nonce": 2**60 + 1, "expiresAfter": world.time.now_ns // MS + 3000})
    process.lane["address_actions"] -= 5
    raised(Promise.BUDGETS, judge._look_at_charges, process)
    judge.posted("engine", {"action": {"type": "noop"}, "nonce": 2**60 + 1, "signature": "b"})
    judge._look_at_charges(process)


def test_of_two_that_share_a_used_up_address_one_is_refused(world: World) -> None:
    judge, process = world.judge, engine_of(world)
    used_up = b'{"error":"Too many cumulative requests sent (1515 > 1512) for cumulative volume traded $12.36."}'
    noop = {"action": {"type": "noop"}, "nonce": 2**60, "signature": "a"}
    judge._address = Address()
    judge.posted("engine", noop)
    raised(Promise.RULES, judge.answered, "engine", used_up)
    judge.posted("watchdog", noop)
    judge.answered("engine", used_up)
    judge.answered("watchdog", used_up)
    judge._address = Address()
    judge.owner_acts({"type": "order", "orders": [{}]})
    judge.answered("engine", used_up)
    judge._address = Address()
    # The session before is somebody else, too.
    judge.posted("engine", noop)
    process.session += 1
    judge.answered("engine", used_up)


def test_two_keys_of_an_engine_have_nonces_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    request = {"action": {"type": "order"}, "nonce": placed.nonce, "signature": "a"}
    judge.signs(process, placed)
    judge.posted("engine", request)
    monkeypatch.setattr(process, "key", process.key + 100)
    judge.signs(process, placed)
    judge.posted("engine", {**request, "signature": "b"})


def test_a_nonce_that_an_earlier_session_was_beyond(world: World) -> None:
    world.judge._newest_nonce += 60_000
    world.kill_engine(loses=False)
    world.start_engine()
    breaks(world, Promise.NONCE)


def test_what_leaves_without_a_record(world: World) -> None:
    engine_of(world).engine.orders._record = lambda action: None
    breaks(world, Promise.JOURNAL)


def test_a_worst_case_above_the_cap(world: World) -> None:
    world.cap_micro = 1
    # Of what somebody else has traded an engine is told, or reads it.
    world.exchange.shocks.filled_ns = world.time.now_ns
    world.judge.block()
    world.exchange.shocks.filled_ns = 0
    assert "could come to" in breaks(world, Promise.EXPOSURE)


def test_an_order_that_rests_and_does_not_count_in_the_core(world: World) -> None:
    positions = engine_of(world).engine.parts.brain.lane.positions
    order, _ = world.judge.own_orders()[0]
    positions["open_buy_lots" if order.side > 0 else "open_sell_lots"][order.row] -= 1
    assert "and the core counts" in breaks(world, Promise.EXPOSURE)


def test_a_profit_whose_parts_are_not_what_was_booked(world: World) -> None:
    engine_of(world).tally.funded(0, amount_micro=5)
    engine_of(world).engine.parts.brain.lane.positions["fills"][1] += 1  # it is looked at once there is news
    raised(Promise.PROFIT, world.judge.look_at_engine, engine_of(world))


def test_orders_that_nobody_cancels_for_a_dead_engine(world: World) -> None:
    assert world.watchdog is not None
    world.watchdog.freeze()
    world.kill_engine(loses=True)
    assert "nobody's" in breaks(world, Promise.OWNED)


def test_orders_beside_an_engine_that_started_and_died_have_its_while_too(world: World) -> None:
    judge = world.judge
    world.kill_engine(loses=True)
    unowned, now_ns = [mark for _, mark in judge.own_orders()], world.time.now_ns + 60 * SECOND
    judge._unowned_ns = now_ns - judge.cleared_ns_max - SECOND
    raised(Promise.OWNED, judge._look_at_unowned, unowned, now_ns)
    judge._ran_ns = now_ns - SECOND
    judge._look_at_unowned(unowned, now_ns)
    judge._unowned_ns -= WAITING_NS
    raised(Promise.OWNED, judge._look_at_unowned, unowned, now_ns)


def test_an_order_after_it_was_said_that_none_is_left(world: World) -> None:
    watchdog = world.watchdog
    assert watchdog is not None
    session = engine_of(world).session
    world.kill_engine(loses=True)
    pass_until(world, lambda: watchdog.machine.state is State.EMPTY)
    assert watchdog.machine.proven is not None and not world.judge.own_orders()
    place(world, Cloid(OWNER, session, 1025, 0))
    breaks(world, Promise.EMPTY)


def test_two_revisions_of_one_order(world: World) -> None:
    process = engine_of(world)
    mark = max(mark.order_id for _, mark in world.judge.own_orders())
    place(world, *(Cloid(OWNER, process.session, mark, revision) for revision in (6, 7)))
    breaks(world, Promise.SLOT)


def test_what_is_placed_while_halted_and_a_gate_that_stands_open(world: World) -> None:
    process, action = engine_of(world), placement(world)
    world.judge.signs(process, action)
    process.engine.halt("a test")
    raised(Promise.HALTED, world.judge.signs, process, action._replace(nonce=action.nonce + 1))
    world.judge.look_at_engine(process)
    process.engine.orders.on(Gate(is_open=True))
    raised(Promise.HALTED, world.judge.look_at_engine, process)


def test_a_halt_that_is_gone_after_a_restart(world: World) -> None:
    process = engine_of(world)
    process.engine.halt("a test")
    world.time.run(SECOND)
    process._store.write_halt(latches=0, code=0, reason="")
    world.kill_engine(loses=False)
    raised(Promise.LATCH, world.start_engine)


def test_a_halt_outlives_a_restart_and_not_a_resume(world: World) -> None:
    engine_of(world).engine.halt("a test")
    world.time.run(SECOND)
    world.kill_engine(loses=False)
    world.start_engine()
    pass_until(world, lambda: engine_of(world).engine.resume("a test").is_done)
    world.kill_engine(loses=False)
    world.start_engine()
    assert engine_of(world).engine.supervisor.halt is None


def test_orders_that_rest_although_it_is_halted(world: World) -> None:
    world.network.weather.is_down = True
    world.network.cut(world.network.connections.values(), noticed=0.0)
    engine_of(world).engine.halt("a test")
    assert "still rest" in breaks(world, Promise.REACTION)


def test_a_cancel_that_does_not_arrive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in engine_of(world).engine.orders.lines:
        monkeypatch.setattr(line.transport.connection, "send", lambda text: None)  # type: ignore[attr-defined]
    breaks(world, Promise.CANCELS)


def test_a_cancel_that_has_arrived_need_not_arrive_again(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    mark = judge.own_orders()[0][1]
    cancel = placed._replace(kind=int(ActionKind.CANCEL_BY_CLOID), order_ids=(mark.order_id,))
    request = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid_text(mark.number())}]}
    judge.signs(process, cancel)
    judge.posted("engine", {"action": request, "nonce": placed.nonce, "signature": "a"})
    judge.signs(process, cancel)
    assert judge._cancels[mark.order_id] == ARRIVED
    judge.signs(process, placed._replace(kind=int(ActionKind.BATCH_MODIFY)))
    assert mark.order_id not in judge._cancels, "an amend is another one to cancel"


def test_a_cancel_of_an_earlier_sessions_order_is_none_of_one_with_its_number(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    mark = judge.own_orders()[0][1]
    judge._cancels.clear()
    judge.signs(process, placed._replace(kind=int(ActionKind.CANCEL_BY_CLOID), order_ids=(mark.order_id,)))
    judge.signs(process, placed._replace(kind=int(ActionKind.BATCH_MODIFY)))
    assert judge._cancels[mark.order_id] == world.time.now_ns, "it has not arrived"
    judge.signs(process, placed._replace(kind=int(ActionKind.ORDER)))
    assert mark.order_id not in judge._cancels


def test_an_engine_whose_positions_the_watchdog_closed_may_disagree(world: World) -> None:
    judge, process = world.judge, engine_of(world)
    halt = Halt(HaltCause.DISAGREEMENT, "a test")
    raised(Promise.BOOKS, judge._look_at_halt, process, halt)
    judge.posted("watchdog", {"action": {"type": "order", "orders": []}, "nonce": 5, "signature": "a"})
    judge._look_at_halt(process, halt)


def test_a_budget_below_zero_and_one_below_what_is_kept(world: World) -> None:
    process, action = engine_of(world), placement(world)
    kept = process.lane["messages_e3"][0]
    process.lane["messages_e3"][0] = 10_000
    raised(Promise.BUDGETS, world.judge.signs, process, action)
    process.lane["messages_e3"][0] = -1
    raised(Promise.BUDGETS, world.judge.look_at_engine, process)
    process.lane["messages_e3"][0] = kept
    world.judge.look_at_engine(process)


def counted(world: World, *, kept: int, used: int) -> None:
    """The core counts so many actions, `kept` of them of what is kept for cancels, `used` of them in this turn."""
    process = engine_of(world)
    lane, limits = process.lane[0], process.engine.parts.brain.limits[0]
    lane["address_actions"] = lane["address_allowance"] - limits["address_reserve"] + kept
    world.judge._other_uses.clear()
    world.judge._address_actions = int(lane["address_actions"]) - used


def test_placements_that_use_what_is_kept_for_cancels(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    legs = len(placed.order_ids)
    counted(world, kept=0, used=legs)
    judge.signs(process, placed)
    judge.look_at_engine(process)
    counted(world, kept=1, used=legs)
    judge.signs(process, placed)
    raised(Promise.BUDGETS, judge.look_at_engine, process)


def test_cancels_that_left_while_a_placement_waited_may_use_the_reserve(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    cancel = placed._replace(kind=int(ActionKind.CANCEL_BY_CLOID), order_ids=(10_001,))
    legs = len(placed.order_ids)
    for actions in ((cancel, placed), (placed, cancel)):
        for kept in (1, 2):
            counted(world, kept=kept, used=legs + 1)
            for action in actions:
                judge.signs(process, action)
            if kept == 1:
                judge.look_at_engine(process)
            else:
                raised(Promise.BUDGETS, judge.look_at_engine, process)


def test_what_was_used_longer_ago_than_a_placement_waits_was_known_when_it_was_made(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    waited_ns = int(process.engine.parts.brain.limits[0]["batch_busy_ns_max"])
    for ago_ns, is_short in ((waited_ns, False), (waited_ns + 1, True)):
        counted(world, kept=8, used=len(placed.order_ids))
        judge._other_uses.append((world.time.now_ns - ago_ns, 8))
        judge.signs(process, placed)
        if is_short:
            raised(Promise.BUDGETS, judge.look_at_engine, process)
        else:
            judge.look_at_engine(process)


def test_what_reduces_the_position_in_an_action_with_a_placement_may_use_the_reserve(world: World) -> None:
    judge, process, placed = world.judge, engine_of(world), placement(world)
    lane = process.engine.parts.brain.lane
    sides = lane.orders["side"][np.isin(lane.orders["order_id"], placed.order_ids)]
    sells = int(np.count_nonzero(sides < 0))
    assert 0 < sells < len(sides)
    lane.positions["position_lots"] = 1 << 40  # so what sells reduces
    counted(world, kept=sells, used=len(placed.order_ids))
    judge.signs(process, placed)
    judge._look_at_actions(process)
    counted(world, kept=sells + 1, used=len(placed.order_ids))
    judge.signs(process, placed)
    raised(Promise.BUDGETS, judge._look_at_actions, process)


def test_an_order_that_is_over_by_our_books_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_of(world).engine.parts.fates, "is_done", lambda order_id: True)
    breaks(world, Promise.PROOF)


def test_what_is_placed_before_the_account_was_read(world: World) -> None:
    process, action = engine_of(world), placement(world)
    process.engine.supervisor._is_agreed = False
    raised(Promise.READ, world.judge.signs, process, action)


def test_books_that_differ(world: World) -> None:
    engine_of(world).engine.supervise(Disagreed("a test"))
    breaks(world, Promise.BOOKS)


def test_orders_in_a_market_without_a_book(world: World) -> None:
    world.misfortune.muted_ns = world.time.now_ns - 60 * SECOND
    breaks(world, Promise.STALE)


def test_a_calm_market_without_a_book_is_left_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.misfortune = Misfortune(world, [Fault(0, FaultKind.MUTE, 20 * SECOND, STREAMS.index(BOOK))])
    world.time.run(7 * SECOND)
    assert not world.judge.own_orders() and world.misfortune.has_only(FaultKind.MUTE, world.misfortune.muted_ns)
    mark = Cloid(OWNER, engine_of(world).session, 1025, 0)
    # An order of somebody else breaks other promises, too.
    for others in ("_look_at_count", "_look_at_proofs", "_look_at_charges"):
        monkeypatch.setattr(world.judge, others, lambda *_: None)
    place(world, mark)
    pass_until(world, lambda: bool(world.judge.own_orders()))
    judge, process = world.judge, engine_of(world)
    judge._look_at_books(process, judge.own_orders())
    monkeypatch.setattr("hlhft.simulation.judge.RESTS_NS", -SECOND)
    raised(Promise.STALE, judge._look_at_books, process, judge.own_orders())
    with monkeypatch.context() as patch:
        patch.setattr(process, "carries_ns", lambda now_ns: now_ns - 6 * SECOND)
        judge._look_at_books(process, judge.own_orders())
    world.misfortune._active[FaultKind.TEARS] = 1
    assert not world.misfortune.has_only(FaultKind.MUTE, world.time.now_ns)


def test_a_core_that_was_changed(world: World) -> None:
    engine_of(world).engine.parts.brain.lane.positions["position_lots"][0] += 1
    raised(Promise.REPLAY, lambda: world.kill_engine(loses=False))


def test_a_record_that_was_changed(world: World) -> None:
    process = engine_of(world)
    process.kill(loses=False)
    path = max(process.journal_folder.iterdir())
    with path.open("r+b") as file:
        content = bytearray(file.read())
        place_of = content.index(b"\0", len(content.rstrip(b"\0")) // 2)
        content[place_of] ^= 0xFF
        file.seek(0)
        file.write(content)
    raised(Promise.REPLAY, world.judge.session_over, process)


def test_an_engine_that_breaks(world: World) -> None:
    engine_of(world).engine.broke(RuntimeError("a test"))
    assert "the engine ended" in breaks(world, Promise.ALIVE)


def test_nothing_breaks_by_itself_and_all_is_counted(world: World) -> None:
    world.time.run(20 * SECOND)
    assert world.judge.events > 1000 and world.judge.actions > 10
    assert world.time.now_ns % MS >= 0
    assert promises_table().count("\n") == len(Promise) + 1


def test_a_violation_comes_whole_out_of_another_process() -> None:
    again = pickle.loads(pickle.dumps(Violation(Promise.SLOT, "two revisions")))
    assert (again.promise, str(again)) == (Promise.SLOT, "SLOT: two revisions")
