"""Rounds of a sweep: what is read, what is cancelled how, how fast rounds follow, and when empty is said."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog_events import ReportCode, RequestKind
from hlhft.hyperliquid.watchdog_requests import PENDING_MAX, Purpose, Requests
from hlhft.hyperliquid.watchdog_sweep import ONCE_MAX, Found, Mode, Proven, Sweep
from hlhft.hyperliquid.wire import cloid_text
from tests.hyperliquid.watchdog_bench import KEY, MS, OTHER, OWNER, SECOND, START_NS, settings

NOW_MS = START_NS // MS
META = json.dumps({"universe": [{"name": "BTC", "szDecimals": 5}, {"name": "ETH", "szDecimals": 4}]}).encode()
SPOT_META = json.dumps({"universe": [{"name": "PURR/USDC", "index": 0}]}).encode()
DEXES = json.dumps([None, {"name": "abc"}, {"name": "xyz"}]).encode()
XYZ_META = json.dumps({"universe": [{"name": "xyz:GOLD", "szDecimals": 2}]}).encode()
OK = json.dumps({"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}}).encode()
NEVER = "Order was never placed, already canceled, or filled."
ERROR = json.dumps({"status": "ok", "response": {"type": "cancel", "data": {"statuses": [{"error": NEVER}]}}}).encode()
REFUSED = b'{"status":"err","response":"Invalid nonce"}'


def listing(*oids: int, owner: int = OWNER, coin: str = "ETH") -> bytes:
    orders = [{"coin": coin, "oid": oid, "cloid": cloid_text(Cloid(owner, 3, oid).number())} for oid in oids]
    return json.dumps(orders).encode()


def state(block_ms: int, **sizes: str) -> bytes:
    held = [{"position": {"coin": coin, "szi": size, "positionValue": "2000.0"}} for coin, size in sizes.items()]
    return json.dumps({"assetPositions": held, "time": block_ms}).encode()


class Desk:
    """A sweep, its requests, and time; answers are given by hand."""

    def __init__(self, **changes: Any) -> None:
        self.settings = settings(**changes)
        self.requests = Requests(self.settings, Signer(KEY))
        self.sweep = Sweep(self.settings, self.requests)
        self.now_ns = START_NS
        self.results: list[Found | Proven] = []

    def asked(self) -> list[str]:
        return [f"{each.purpose}{each.argument}" for each in self.requests._pending.values()]

    def actions(self) -> list[dict[str, Any]]:
        """Those asked for since."""
        asks, self.requests.asks = self.requests.asks, []
        return [msgspec.json.decode(ask.body)["action"] for ask in asks if ask.kind is RequestKind.ACTION]

    def answer(self, *bodies: bytes | None) -> None:
        """Answers what is under way, the oldest first."""
        for body in bodies:
            number = next(iter(self.requests._pending))
            finished = self.requests.answered(number, body, "no answer", self.now_ns)
            assert finished is not None
            result = self.sweep.finished(finished, 0, self.now_ns)
            if result is not None:
                self.results.append(result)

    def next_round(self) -> int:
        """Goes on to the next round; how long that was."""
        assert self.sweep.next_ns is not None
        waited_ns, self.now_ns = self.sweep.next_ns - self.now_ns, self.sweep.next_ns
        self.sweep.due(self.now_ns)
        return waited_ns

    def codes(self) -> list[ReportCode]:
        return [report.code for report in self.sweep.reports]


def cancelling(bound_ms: int = NOW_MS, **changes: Any) -> Desk:
    """A desk whose sweep has read how markets are numbered."""
    flatten = "flatten_coins" in changes
    desk = Desk(**changes)
    desk.sweep.begin(Mode.CANCEL, desk.now_ns, bound_ms=bound_ms, flatten=flatten)
    desk.answer(META, SPOT_META)
    return desk


def test_the_first_round_lists_at_once_and_later_ones_read_the_time_first() -> None:
    desk = Desk()
    desk.sweep.begin(Mode.CANCEL, desk.now_ns, bound_ms=NOW_MS)
    for purpose, body in (("meta", META), ("spotMeta", SPOT_META), ("openOrders", listing())):
        assert desk.asked() == [purpose]
        desk.answer(body)
    assert desk.results == [], "a listing without a block time proves nothing"
    desk.next_round()
    for purpose, body in (("clearinghouseState", state(NOW_MS + 251)), ("openOrders", listing())):
        assert desk.asked() == [purpose]
        desk.answer(body)
    assert desk.results == [Proven(NOW_MS + 251, 0, 0)]


@pytest.mark.parametrize(("block_ms", "is_proof"), [(NOW_MS + 250, False), (NOW_MS + 251, True)])
def test_only_a_block_time_past_bound_and_margin_proves(block_ms: int, is_proof: bool) -> None:
    desk = cancelling()
    desk.answer(listing())
    desk.next_round()
    desk.answer(state(block_ms), listing())
    assert bool(desk.results) == is_proof


def test_an_extended_bound_counts() -> None:
    desk = cancelling()
    desk.answer(listing())
    desk.sweep.extend(NOW_MS + 10_000)
    desk.sweep.extend(NOW_MS - 10_000)
    desk.next_round()
    desk.answer(state(NOW_MS + 10_250), listing())
    assert desk.results == []


def patient() -> Desk:
    """A desk whose rounds have become patient, as an engine that has nothing there beats all the time."""
    desk = cancelling(bound_ms=NOW_MS + 10_000_000)
    desk.sweep.extend(0, look_by_ns=desk.now_ns + 5 * SECOND)
    desk.answer(listing())
    for _ in range(10):
        desk.next_round()
        desk.sweep.extend(0, look_by_ns=desk.now_ns + 5 * SECOND)
        desk.answer(state(desk.now_ns // MS), listing())
    assert desk.sweep.next_ns == desk.now_ns + 5 * SECOND, "one follows the last beat"
    return desk


def test_patient_rounds_are_put_off_by_each_beat_and_only_that() -> None:
    desk = patient()
    desk.now_ns += 4 * SECOND
    desk.sweep.extend(0, look_by_ns=desk.now_ns + 5 * SECOND)
    assert desk.sweep.next_ns == desk.now_ns + 5 * SECOND


def test_a_round_that_is_to_come_whatever_is_heard_is_not_put_off() -> None:
    desk = patient()
    by_ns = desk.now_ns + 7 * SECOND
    desk.sweep.look_once_by(by_ns)
    for _ in range(3):
        desk.now_ns += 2 * SECOND
        desk.sweep.extend(0, look_by_ns=desk.now_ns + 5 * SECOND)
    assert desk.sweep.next_ns == by_ns
    desk.next_round()
    desk.sweep.extend(0, look_by_ns=desk.now_ns + 5 * SECOND)
    desk.answer(state(desk.now_ns // MS), listing())
    assert desk.sweep.next_ns == desk.now_ns + 5 * SECOND, "once"


def test_each_time_has_a_round_and_of_too_many_the_last_is_put_off() -> None:
    desk = patient()
    begun_ns = desk.now_ns
    for number in range(1, ONCE_MAX + 3):
        desk.sweep.look_once_by(begun_ns + number * SECOND)
    rounds = []
    while desk.now_ns < begun_ns + 20 * SECOND:
        desk.next_round()
        rounds.append((desk.now_ns - begun_ns) // SECOND)
        desk.sweep.extend(0, look_by_ns=desk.now_ns + 30 * SECOND)
        desk.answer(state(desk.now_ns // MS), listing())
    assert rounds[:ONCE_MAX] == [*range(1, ONCE_MAX), ONCE_MAX + 2]


def test_a_round_that_is_to_come_follows_the_one_under_way() -> None:
    desk = patient()
    desk.next_round()
    by_ns = desk.now_ns + 2 * SECOND
    desk.sweep.look_once_by(by_ns)
    desk.answer(state(desk.now_ns // MS), listing())
    assert desk.sweep.next_ns == by_ns


def test_own_orders_are_cancelled_and_the_count_of_others_told() -> None:
    desk = cancelling()
    mixed = json.dumps(json.loads(listing(1, 2)) + json.loads(listing(3, owner=OTHER)) + [{"coin": "X", "oid": 9}])
    desk.answer(mixed.encode())
    (action,) = desk.actions()
    cloids = [cloid_text(Cloid(OWNER, 3, oid).number()) for oid in (1, 2)]
    assert action == {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": c} for c in cloids], "f": True}
    assert desk.sweep.cancelled == 2
    assert desk.sweep.next_ns is None, "the next round waits for the answer"
    desk.answer(OK)
    assert desk.sweep.next_ns is not None
    desk.next_round()
    desk.answer(state(NOW_MS + 5000, ETH="1"), listing(3, owner=OTHER))
    assert desk.results == [Proven(NOW_MS + 5000, 1, 1)]


def test_many_orders_go_in_batches_all_at_once() -> None:
    desk = cancelling()
    desk.answer(listing(*range(1, 502)))
    assert [len(action["cancels"]) for action in desk.actions()] == [200, 200, 101]
    desk.answer(OK, OK)
    assert desk.sweep.next_ns is None
    desk.answer(None)
    assert desk.sweep.next_ns is not None, "a lost answer ends the round too"
    assert desk.codes()[-1] is ReportCode.UNREACHABLE


def test_what_outlives_a_fast_cancel_is_cancelled_by_the_venues_id() -> None:
    desk = cancelling()
    desk.answer(listing(1), ERROR)
    assert desk.codes()[-1] is ReportCode.REFUSED
    desk.next_round()
    desk.answer(state(NOW_MS + 9000), listing(1, 5))
    *_, fast, plain = desk.actions()
    assert fast["type"] == "cancelByCloid" and len(fast["cancels"]) == 1
    assert plain == {"type": "cancel", "cancels": [{"a": 1, "o": 1}]}


@pytest.mark.parametrize(("body", "code"), [(REFUSED, ReportCode.REFUSED), (b"<html>", ReportCode.UNREADABLE)])
def test_what_comes_of_a_cancel_is_told(body: bytes, code: ReportCode) -> None:
    desk = cancelling()
    desk.answer(listing(1), body)
    assert desk.codes()[-1] is code
    desk.next_round()
    assert desk.asked() == ["clearinghouseState"]


def test_rounds_slow_down_when_nothing_helps_and_never_end() -> None:
    desk = cancelling(weight_per_minute_max=1200)
    desk.answer(listing(1), OK)
    waits = []
    for _ in range(12):
        waits.append(desk.next_round())
        desk.answer(state(NOW_MS + 9000), listing(1), ERROR)
    assert waits[0] == 251 * MS, "as soon as it may prove something"
    assert waits[1:] == sorted(waits[1:]) and waits[-1] == desk.settings.backoff.longest_ns // 2


def test_rounds_slow_down_until_something_can_be_proven() -> None:
    desk = cancelling(bound_ms=NOW_MS + 60_000, weight_per_minute_max=1200)
    desk.answer(listing())
    waits = []
    while not desk.results:
        waits.append(desk.next_round())
        desk.answer(state(desk.now_ns // MS), listing())
    assert waits[0] == desk.settings.round_ns
    assert max(waits) == desk.settings.backoff.longest_ns
    assert len(waits) < 20
    assert desk.now_ns // MS == NOW_MS + 60_251, "the last one is as early as it can be"


def test_a_failed_reading_is_a_failed_round() -> None:
    desk = cancelling()
    desk.answer(None)
    assert desk.codes() == [ReportCode.UNREACHABLE]
    waits = []
    for _ in range(8):
        waits.append(desk.next_round())
        desk.answer(b"<html>")
    assert waits == sorted(waits) and waits[0] < waits[-1]
    assert desk.codes()[-1] is ReportCode.UNREADABLE
    assert "has not" in desk.sweep.reports[-1].detail or "is not" in desk.sweep.reports[-1].detail


def test_a_market_that_is_not_known_is_looked_up_anew() -> None:
    desk = cancelling()
    desk.answer(listing(1, coin="NEW"))
    assert ReportCode.NO_ASSET in desk.codes()
    assert desk.actions() == []
    desk.next_round()
    newer = json.dumps({"universe": [{"name": "NEW", "szDecimals": 1}]}).encode()
    assert desk.asked() == ["meta"]
    desk.answer(newer, SPOT_META, state(NOW_MS), listing(1, coin="NEW"))
    (action,) = desk.actions()
    assert action["cancels"][0]["asset"] == 0


def test_spot_orders_are_cancelled_too() -> None:
    desk = cancelling()
    desk.answer(listing(1, coin="PURR/USDC"))
    (action,) = desk.actions()
    assert action["cancels"][0]["asset"] == 10_000


def test_each_dex_is_read_and_the_oldest_time_counts() -> None:
    desk = Desk(dexes=("", "xyz"))
    desk.sweep.begin(Mode.CANCEL, desk.now_ns, bound_ms=NOW_MS)
    desk.answer(DEXES, META, XYZ_META, SPOT_META, listing(), listing(1, coin="xyz:GOLD"))
    (action,) = desk.actions()
    assert action["cancels"][0]["asset"] == 120_000
    desk.answer(OK)
    desk.next_round()
    desk.answer(state(NOW_MS + 251), state(NOW_MS + 100), listing(), listing())
    assert desk.results == []
    desk.next_round()
    desk.answer(state(NOW_MS + 300), state(NOW_MS + 400))
    assert desk.asked() == ["openOrders"]
    desk.answer(listing())
    assert desk.asked() == ["openOrdersxyz"]
    desk.answer(listing())
    assert desk.results == [Proven(NOW_MS + 300, 0, 0)]


def test_a_dex_that_does_not_exist_is_told() -> None:
    desk = Desk(dexes=("", "gone"))
    desk.sweep.begin(Mode.CANCEL, desk.now_ns)
    desk.answer(DEXES)
    assert "there is no dex 'gone'" in desk.sweep.reports[-1].detail
    assert desk.sweep.next_ns is not None


def test_a_look_tells_and_cancels_nothing() -> None:
    desk = Desk()
    desk.sweep.begin(Mode.LOOK, desk.now_ns)
    mixed = json.loads(listing(1, 2)) + json.loads(listing(3, owner=OTHER))
    desk.answer(META, SPOT_META, json.dumps(mixed).encode())
    assert desk.results == [Found(2, 1)]
    assert desk.actions() == [] and desk.sweep.next_ns is None
    desk.sweep.begin(Mode.LOOK, desk.now_ns)
    assert desk.asked() == ["openOrders"]
    desk.answer(None)
    desk.next_round()
    desk.answer(listing())
    assert desk.results[1:] == [Found(0, 0)]


def test_what_was_asked_for_before_counts_no_more() -> None:
    desk = Desk()
    desk.sweep.begin(Mode.LOOK, desk.now_ns)
    desk.sweep.cease()
    desk.answer(META)
    assert desk.asked() == [] and desk.results == []
    desk.sweep.due(desk.now_ns + 3600 * SECOND)
    assert desk.asked() == [] and desk.sweep.mode is Mode.NONE


def test_a_round_too_early_does_not_begin() -> None:
    desk = cancelling()
    desk.answer(listing())
    assert desk.sweep.next_ns is not None
    desk.sweep.due(desk.sweep.next_ns - 1)
    assert desk.asked() == []


def test_the_rate_limit_is_waited_for() -> None:
    desk = cancelling(weight_per_minute=60, weight_per_minute_max=60)
    desk.answer(listing())
    desk.sweep.begin(Mode.CANCEL, desk.now_ns, bound_ms=NOW_MS)
    assert desk.codes() == [ReportCode.NO_WEIGHT] and desk.asked() == []
    desk.next_round()
    assert desk.asked() == ["openOrders"]


def test_rounds_slow_down_before_the_rate_limit_is_used_up() -> None:
    """Each finds orders, as an engine that lives and is not heard goes on placing them: none has to wait long."""
    desk = cancelling(bound_ms=NOW_MS + 120_000)
    desk.answer(listing(1), OK)
    waits = []
    for oid in range(2, 60):
        waits.append(desk.next_round())
        desk.answer(state(desk.now_ns // MS), listing(oid), OK)
    assert ReportCode.NO_WEIGHT not in desk.codes()
    assert max(waits) < 7 * SECOND


def test_without_room_actions_come_with_the_next_round() -> None:
    desk = cancelling()
    number = next(iter(desk.requests._pending))
    for _ in range(PENDING_MAX):
        desk.requests.act(Purpose.SWITCH, {"type": "noop"}, START_NS)
    finished = desk.requests.answered(number, listing(1), "", START_NS)
    assert finished is not None
    desk.sweep.finished(finished, 0, START_NS)
    assert desk.codes() == [ReportCode.REFUSED, ReportCode.CANCELLED]
    assert desk.sweep.next_ns is not None


def test_positions_are_closed_once_the_orders_are_gone() -> None:
    desk = cancelling(flatten_coins=("ETH", "BTC"))
    desk.answer(listing(1), OK)
    desk.next_round()
    desk.answer(state(NOW_MS + 400, ETH="0.5"), listing(1), OK)
    assert all(action["type"] != "order" for action in desk.actions())
    desk.next_round()
    desk.answer(state(NOW_MS + 800, ETH="0.5", OTHER="1"), listing())
    (order,) = desk.actions()
    assert order["type"] == "order" and order["grouping"] == "na"
    (leg,) = order["orders"]
    assert (leg["a"], leg["b"], leg["s"], leg["r"], leg["t"]) == (1, False, "0.5", True, {"limit": {"tif": "Ioc"}})
    filled = {"filled": {"totalSz": "0.5", "avgPx": "4000.0", "oid": 77}}
    body = {"status": "ok", "response": {"type": "order", "data": {"statuses": [filled]}}}
    desk.answer(json.dumps(body).encode())
    desk.next_round()
    desk.answer(state(NOW_MS + 1200), listing())
    assert desk.results == [], "what closes may be executed until it expires"
    desk.next_round()
    desk.answer(state(NOW_MS + 9000, OTHER="1"), listing())
    assert desk.results == [Proven(NOW_MS + 9000, 0, 1)]


def test_a_position_that_cannot_be_closed_is_tried_again() -> None:
    desk = cancelling(flatten_coins=("NEW",))
    desk.answer(listing())
    desk.next_round()
    desk.answer(state(NOW_MS + 9000, NEW="0.5"), listing())
    assert desk.actions() == [] and desk.results == []
    assert desk.codes() == [ReportCode.FLATTENING]
    assert desk.sweep.next_ns is not None


def test_positions_stay_when_that_is_not_wanted() -> None:
    desk = Desk(flatten_coins=("ETH",))
    desk.sweep.begin(Mode.CANCEL, desk.now_ns, bound_ms=NOW_MS)
    desk.answer(META, SPOT_META, listing())
    desk.next_round()
    desk.answer(state(NOW_MS + 9000, ETH="1"), listing())
    assert desk.results == [Proven(NOW_MS + 9000, 0, 1)]
