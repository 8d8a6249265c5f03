"""Finding orders by either id when many share a bucket."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.venue.order_index import find_order, index_order, unindex_order
from tests.venue.desk import Desk

BY_VENUE_ID, BY_OWN_ID = False, True


class Index:
    """Orders put into the slab by hand, so that ids can be chosen: eight slots, sixteen buckets."""

    def __init__(self) -> None:
        self.exchange = Desk(accounts=3, markets=2, width=4, slots=8).exchange
        assert self.exchange.buckets.shape == (2, 16)

    def add(self, slot: int, order_id: int, client_id: int = 0, account: int = 0, market: int = 0) -> None:
        order = self.exchange.orders[slot - 1]
        order["order_id"], order["client_id"] = order_id, client_id
        order["account"], order["market"] = account, market
        index_order(self.exchange, slot)

    def remove(self, slot: int) -> None:
        unindex_order(self.exchange, slot)

    def find(self, identity: int, by_own_id: bool = BY_VENUE_ID, account: int = 0, market: int = 0) -> int:
        return find_order(self.exchange, account, market, identity, by_own_id)


def test_an_order_is_found_by_its_owner_in_its_market_only():
    index = Index()
    index.add(3, order_id=5, client_id=9, account=1, market=1)
    for identity, by_own_id in ((5, BY_VENUE_ID), (9, BY_OWN_ID)):
        assert index.find(identity, by_own_id, account=1, market=1) == 3
        assert index.find(identity, by_own_id, account=0, market=1) == 0
        assert index.find(identity, by_own_id, account=1, market=0) == 0
    assert index.find(9, BY_VENUE_ID, account=1, market=1) == 0
    assert index.find(5, BY_OWN_ID, account=1, market=1) == 0


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_the_others_of_a_bucket_stay_found_when_one_goes(gone):
    """Ids 5, 21 and 37 are equal modulo 16; the youngest stands at the head, the oldest at the end."""
    index = Index()
    for slot, identity in ((1, 5), (2, 21), (3, 37)):
        index.add(slot, order_id=identity, client_id=identity + 160)
    index.remove(gone)
    for slot, identity in ((1, 5), (2, 21), (3, 37)):
        assert index.find(identity) == (0 if slot == gone else slot)
        assert index.find(identity + 160, BY_OWN_ID) == (0 if slot == gone else slot)
    for slot in {1, 2, 3} - {gone}:
        index.remove(slot)
    assert not index.exchange.buckets.any()


def test_of_equal_own_ids_the_younger_is_found_until_it_goes():
    index = Index()
    index.add(1, order_id=1, client_id=7)
    index.add(2, order_id=2, client_id=7)
    assert index.find(7, BY_OWN_ID) == 2
    index.remove(2)
    assert index.find(7, BY_OWN_ID) == 1


def test_an_order_without_an_own_id_is_in_the_venues_table_only():
    index = Index()
    index.add(4, order_id=1)
    assert index.find(1) == 4
    assert index.find(0, BY_OWN_ID) == 0
    assert index.exchange.buckets[0].any()
    assert not index.exchange.buckets[1].any()
    index.remove(4)
    assert not index.exchange.buckets.any()


def test_accounts_spread_over_the_buckets():
    """Accounts count their own ids alike, so the account is part of the hash."""
    index = Index()
    for account in range(3):
        index.add(account + 1, order_id=account + 1, client_id=1, account=account)
    assert (index.exchange.buckets[1] != 0).sum() == 3


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.integers(0, 2**62), st.integers(-(2**62), 2**62), st.integers(0, 2)),
        max_size=30,
    )
)
def test_exactly_what_was_added_and_not_removed_is_found(steps):
    """Each step fills the slot, or empties it when it is full, with ids as large as they come."""
    index, live = Index(), {}
    for slot, order_id, client_id, account in steps:
        if slot in live:
            index.remove(slot)
            del live[slot]
        else:
            live[slot] = (order_id, client_id, account)
            index.add(slot, order_id, client_id, account)
        for _, order_id, client_id, account in steps:
            by_venue_id = [s for s in live if (live[s][0], live[s][2]) == (order_id, account)]
            by_own_id = [s for s in live if (live[s][1], live[s][2]) == (client_id, account)]
            # The dictionary keeps the order of insertion, so the last one is the youngest.
            assert index.find(order_id, BY_VENUE_ID, account) == ([0, *by_venue_id])[-1]
            assert index.find(client_id, BY_OWN_ID, account) == ([0, *by_own_id])[-1] * (client_id != 0)
