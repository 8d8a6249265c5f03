"""Whose actions an engine cannot know, and who used an address just before."""

from __future__ import annotations

from hlhft.simulation.account import READ_NS_MAX
from hlhft.simulation.address import UNDER_WAY_NS, USED_MAX, Address

ORDERS = {"type": "order", "orders": [{}, {}]}
NOOP = {"type": "noop"}
NOW_NS = 100 * UNDER_WAY_NS


def test_what_others_and_earlier_sessions_sent_counts_as_an_expired_action_does() -> None:
    address = Address()
    address.sent("engine 1", ORDERS, 7, NOW_NS)
    address.sent("engine 2", {"type": "batchModify", "modifies": [{}]}, 8, NOW_NS)
    assert [address.of_others(nonce) for nonce in (6, 7, 8)] == [0, 10, 15]
    address.sent("owner", {"type": "cancel", "cancels": [{}, {}, {}]}, 0, NOW_NS)
    address.sent("watchdog", NOOP, 0, NOW_NS)
    assert [address.of_others(nonce) for nonce in (6, 7, 8)] == [20, 30, 35]


def test_what_a_noop_voids_the_engine_hears_of_no_more() -> None:
    address = Address()
    address.sent("engine 1", ORDERS, 7, NOW_NS)
    address.voids(8, NOW_NS)
    assert address.of_others(6) == 0
    address.voids(7, NOW_NS)
    assert address.of_others(6) == 10


def test_an_engine_that_begins_has_been_told_of_what_was_sent_long_before() -> None:
    address = Address()
    address.sent("watchdog", NOOP, 0, NOW_NS)
    address.begins(NOW_NS + UNDER_WAY_NS)
    assert address.of_others(0) == 5
    address.begins(NOW_NS + UNDER_WAY_NS + 1)
    assert address.of_others(0) == 0 and not address._sent_ns


def test_somebody_else_used_it_just_before() -> None:
    address = Address()
    address.sent("engine 2", NOOP, 9, NOW_NS)
    assert not address.is_shared("engine 2", NOW_NS), "not of itself"
    assert address.is_shared("engine 3", NOW_NS + READ_NS_MAX - 1), "the session before is somebody else"
    assert not address.is_shared("watchdog", NOW_NS + READ_NS_MAX)


def test_it_remembers_so_many() -> None:
    address = Address()
    for count in range(USED_MAX + 5):
        address.sent("engine 1", NOOP, count, NOW_NS)
    assert address.of_others(4) == 0 and address.of_others(5) == 5
