"""The watchdog's requests: signed right, asked for twice with the same bytes and no more, counted, matched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.backoff import WINDOW_NS
from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest, recover_address
from hlhft.hyperliquid.watchdog_events import Ask, Lane, RequestKind
from hlhft.hyperliquid.watchdog_requests import PENDING_MAX, Finished, Purpose, Requests, Weights
from tests.hyperliquid.watchdog_bench import KEY, MS, SECOND, START_NS, settings

NOW_MS = START_NS // MS
VAULT = "0x" + "cd" * 20


def requests(**changes: Any) -> Requests:
    return Requests(settings(**changes), Signer(KEY))


def asked(made: Requests) -> list[Ask]:
    asks, made.asks = made.asks, []
    return asks


def test_a_reading_is_a_body_and_nothing_else() -> None:
    made = requests()
    made.read(Purpose.ORDERS, {"type": "openOrders", "user": "0x"}, START_NS, number=4, argument="xyz")
    (ask,) = asked(made)
    assert (ask.lane, ask.kind, ask.body) == (Lane.HTTP, RequestKind.INFO, b'{"type":"openOrders","user":"0x"}')
    finished = made.answered(ask.request_id, b"[]", "", START_NS)
    assert finished is not None and finished.body == b"[]"
    assert (finished.pending.purpose, finished.pending.number, finished.pending.argument) == (Purpose.ORDERS, 4, "xyz")
    assert made.answered(ask.request_id, b"[]", "", START_NS) is None, "the second answer is nobody's"


@pytest.mark.parametrize("mainnet", [False, True])
@pytest.mark.parametrize("vault", [None, VAULT])
@pytest.mark.parametrize("expires_ms", [None, NOW_MS + 3000])
def test_an_action_is_signed_as_the_venue_checks_it(mainnet: bool, vault: str | None, expires_ms: int | None) -> None:
    made = requests(mainnet=mainnet, vault_address=vault)
    action = {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": "0x" + "0" * 32}], "f": True}
    assert made.act(Purpose.CANCEL, action, START_NS, legs=1, expires_after_ms=expires_ms)
    (ask,) = asked(made)
    assert ask.kind is RequestKind.ACTION
    body = msgspec.json.decode(ask.body)
    assert body["action"] == action and list(body["action"]) == list(action)
    assert (body["vaultAddress"], body["expiresAfter"]) == (vault, expires_ms)
    hashed = action_hash(action, nonce=body["nonce"], vault_address=vault, expires_after_ms=expires_ms)
    r, s, v = (body["signature"][name] for name in "rsv")
    signer = recover_address(l1_digest(hashed, mainnet=mainnet), r=int(r, 16), s=int(s, 16), v=v)
    assert signer == Signer(KEY).address
    assert "signature" not in repr(ask) and "Pending(cancel" in repr(next(iter(made._pending.values())))


def test_nonces_are_the_clock_and_never_repeat() -> None:
    made = requests()
    for _ in range(300):
        assert made.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    nonces = [msgspec.json.decode(ask.body)["nonce"] for ask in asked(made)]
    assert nonces[0] == NOW_MS
    assert nonces == sorted(set(nonces))


def test_nonces_follow_block_time_when_our_clock_is_wrong() -> None:
    made = requests()
    made.note_block(NOW_MS - 900_000, START_NS)
    assert made.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    (ask,) = asked(made)
    assert abs(msgspec.json.decode(ask.body)["nonce"] - (NOW_MS - 900_000)) <= 60_000


def test_without_a_nonce_nothing_is_sent() -> None:
    made = requests()
    assert made.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    asked(made)
    made.note_block(NOW_MS - 2 * 3_600_000, START_NS)
    assert not made.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    assert not asked(made)


def test_block_time_goes_on_with_our_clock() -> None:
    made = requests()
    assert made.block_ms(START_NS) == NOW_MS
    made.note_block(NOW_MS - 500, START_NS)
    assert made.block_ms(START_NS + 2 * SECOND) == NOW_MS + 1500


def test_no_answer_over_the_socket_is_asked_for_over_http_with_the_same_bytes() -> None:
    made = requests()
    made.is_socket_up = True
    made.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    (first,) = asked(made)
    assert first.lane is Lane.SOCKET
    assert made.next_deadline_ns() == START_NS + SECOND
    assert made.due(START_NS + SECOND - 1) == []
    assert made.due(START_NS + SECOND) == []
    (second,) = asked(made)
    assert (second.lane, second.body, second.kind) == (Lane.HTTP, first.body, first.kind)
    assert second.request_id != first.request_id
    assert made.answered(first.request_id, b"{}", "", START_NS + SECOND) is None
    (finished,) = made.due(START_NS + 2 * SECOND)
    assert (finished.body, finished.text) == (None, "no answer in time")
    assert made.next_deadline_ns() is None


def test_a_failure_over_http_is_asked_for_over_the_socket_if_there_is_one() -> None:
    made = requests()
    made.read(Purpose.META, {}, START_NS)
    made.is_socket_up = True
    (first,) = asked(made)
    assert made.answered(first.request_id, None, "HTTP 502", START_NS) is None
    (second,) = asked(made)
    assert second.lane is Lane.SOCKET
    finished = made.answered(second.request_id, None, "gone", START_NS)
    assert finished == Finished(finished.pending, None, "gone") if finished else False


def test_without_a_socket_a_failure_over_http_is_one() -> None:
    made = requests()
    made.read(Purpose.META, {}, START_NS)
    (ask,) = asked(made)
    finished = made.answered(ask.request_id, None, "HTTP 502", START_NS)
    assert finished is not None and finished.text == "HTTP 502"


def test_a_lost_socket_takes_only_its_own_requests() -> None:
    made = requests()
    made.read(Purpose.META, {}, START_NS, number=1)
    made.is_socket_up = True
    made.read(Purpose.META, {}, START_NS, number=2)
    http, socket = asked(made)
    assert made.lost_socket(START_NS) == []
    (again,) = asked(made)
    assert (again.lane, again.body) == (Lane.HTTP, socket.body)
    assert not made.is_socket_up
    assert made.answered(http.request_id, b"{}", "", START_NS) is not None


def test_there_is_room_for_so_many() -> None:
    made = requests()
    for _ in range(PENDING_MAX):
        assert not made.is_full()
        made.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    assert made.is_full()


def test_readings_wait_for_the_watchdogs_part_and_urgent_ones_for_both() -> None:
    made = requests(weight_per_minute=60, weight_per_minute_max=100)
    assert made.wait_ns(60, START_NS, is_urgent=False) == 0
    made.read(Purpose.STATE, {}, START_NS)
    made.read(Purpose.ORDERS, {}, START_NS)
    made.act(Purpose.CANCEL, {"type": "noop"}, START_NS, legs=200)
    # 2 + 20 + 6 are used.
    assert made.wait_ns(32, START_NS, is_urgent=False) == 0
    assert made.wait_ns(33, START_NS + 5, is_urgent=False) == WINDOW_NS - 5
    assert made.wait_ns(72, START_NS, is_urgent=True) == 0
    assert made.wait_ns(73, START_NS, is_urgent=True) == WINDOW_NS


def test_weights_come_back_after_a_window() -> None:
    weights = Weights(10)
    weights.count(4, START_NS)
    weights.count(6, START_NS + SECOND)
    assert weights.wait_ns(1, START_NS + SECOND) == WINDOW_NS - SECOND
    assert weights.wait_ns(5, START_NS + SECOND) == WINDOW_NS
    assert weights.wait_ns(4, START_NS + WINDOW_NS) == 0
    assert weights.wait_ns(50, START_NS + SECOND) == WINDOW_NS, "more than ever fits waits for an empty window"
    assert Weights(10).wait_ns(50, START_NS) == 0


def most_used(weights: Weights, wait_ns: Callable[[int, int], int], uses: list[tuple[int, int]]) -> int:
    """The most within any window, by whoever waits as told before each use: of a weight, seconds after another."""
    now_ns, done, most = START_NS, [], 0
    for weight, later_s in uses:
        now_ns += later_s * SECOND
        now_ns += wait_ns(weight, now_ns)
        assert wait_ns(weight, now_ns) == 0
        weights.count(weight, now_ns)
        done.append((now_ns, weight))
        most = max(most, sum(used for at_ns, used in done if at_ns > now_ns - WINDOW_NS))
    return most


@given(uses=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=60))
def test_whoever_waits_as_told_stays_below_the_limit(uses: list[tuple[int, int]]) -> None:
    weights = Weights(40)
    assert most_used(weights, weights.wait_ns, uses) <= 40


def test_beyond_half_of_the_limit_uses_have_a_pause_between_them() -> None:
    weights = Weights(60)
    assert weights.pause_ns(30, START_NS) == 0
    assert weights.pause_ns(31, START_NS) == 0, "nothing came before it"
    weights.count(25, START_NS)
    assert weights.pause_ns(5, START_NS) == 0
    pause_ns = weights.pause_ns(6, START_NS)
    assert pause_ns == WINDOW_NS * 6 // 20, "6 of the 20 that a third of it is"
    assert weights.pause_ns(6, START_NS + pause_ns - SECOND) == SECOND
    assert weights.pause_ns(6, START_NS + pause_ns) == weights.pause_ns(6, START_NS + pause_ns + 1) == 0
    assert weights.pause_ns(60, START_NS + WINDOW_NS) == 0


@given(uses=st.lists(st.tuples(st.integers(1, 10), st.sampled_from([0, 1, 3, 9, 40])), max_size=80))
def test_whoever_pauses_as_told_leaves_something_of_the_limit(uses: list[tuple[int, int]]) -> None:
    weights = Weights(120)
    assert most_used(weights, weights.pause_ns, uses) <= 60 + 40 + 10
