"""The node's snapshots, and what is wrong with them in one sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from hlhft.data.errors import DataError
from hlhft.data.node.formats import SnapshotOrder, read_snapshot
from tests.data.node.making import BTC, COINS, FIRST_HEIGHT, USERS, random_blocks
from tests.data.readers.fuzz import mutated

ORDER = {"coin": "BTC", "side": "B", "limitPx": "60000.0", "sz": "0.5", "oid": 7, "timestamp": 1_700_000_000_000}
RESTS = SnapshotOrder(7, 1, 600_000, 50_000, 1_700_000_000_000_000_000, USERS[0])


def write(folder, content):
    path = folder / "snapshot.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_the_orders_of_our_coins_in_the_order_of_their_queues(tmp_path):
    lists, _ = random_blocks(1, 20)
    snapshot = read_snapshot(write(tmp_path, lists.snapshot()), {"BTC": BTC})
    assert snapshot.height == FIRST_HEIGHT + 19
    assert list(snapshot.orders) == ["BTC"]
    for side, letter in ((1, "B"), (-1, "A")):
        for ticks, (lots, count) in lists.levels("BTC", letter).items():
            found = [order for order in snapshot.orders["BTC"] if (order.side, order.ticks) == (side, ticks)]
            assert [order.order_id for order in found] == [order.oid for order in lists.queues["BTC", letter, ticks]]
            assert (sum(order.lots for order in found), len(found)) == (lots, count)


@pytest.mark.parametrize(
    "order", [[USERS[0].upper().replace("X", "x"), ORDER], {**ORDER, "user": USERS[0]}, [USERS[0], {**ORDER, "x": 1}]]
)
def test_orders_with_and_without_a_pair_of_users(tmp_path, order):
    assert read_snapshot(write(tmp_path, [9, [["BTC", [[order], []]]]]), COINS).orders == {"BTC": [RESTS]}


def test_orders_that_wait_for_a_trigger_rest_nowhere(tmp_path):
    waiting = [USERS[0], {**ORDER, "oid": 8, "isTrigger": True}]
    assert read_snapshot(write(tmp_path, [9, [["BTC", [[[USERS[0], ORDER], waiting], []]]]]), COINS).orders == {
        "BTC": [RESTS]
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no order-level snapshot"),
        (b"[1,", "no order-level snapshot"),
        (b"\xff\xfe", "no order-level snapshot"),
        ([["BTC", [[], []]]], "includeHeightInOutput, take it again"),
        ([-1, []], "the height -1 is out of range"),
        ([2**60, []], "is out of range"),
        ([1, [["BTC", [[]]]]], "no order-level snapshot"),
        ([1, [["BTC", [[], [[USERS[0], ORDER]]]]]], "the order 7 stands in the book of another coin or side"),
        ([1, [["ETH", [[[USERS[0], ORDER]], []]]]], "the order 7 stands in the book of another coin or side"),
        ([1, [["BTC", [[[USERS[0], {**ORDER, "sz": "0.000001"}]], []]]]], "BTC size"),
        ([1, [["BTC", [[[USERS[0], {**ORDER, "limitPx": "0"}]], []]]]], "BTC has a price of 0"),
        ([1, [["BTC", [[[USERS[0], {**ORDER, "oid": 0}]], []]]]], "the id 0 is out of range"),
        ([1, [["BTC", [[[USERS[0], {**ORDER, "timestamp": 2**60}]], []]]]], "expected milliseconds"),
    ],
)
def test_what_is_no_snapshot_is_one_sentence_that_names_the_file(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_snapshot(path, COINS)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_or_oversized_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="the snapshot cannot be read"):
        read_snapshot(tmp_path / "none.json", COINS)
    monkeypatch.setattr("hlhft.data.node.formats.SNAPSHOT_BYTES_MAX", 3)
    with pytest.raises(DataError, match="a snapshot has at most 3 bytes"):
        read_snapshot(write(tmp_path, b"[1,[]]"), COINS)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated([random_blocks(1, 4)[0].snapshot()]))
def test_any_mutation_of_a_snapshot_is_read_or_refused_by_name(tmp_path, mutation):
    path = write(tmp_path, mutation[0][0])
    try:
        snapshot = read_snapshot(path, COINS)
    except DataError as error:
        assert str(path) in str(error)
        return
    for orders in snapshot.orders.values():
        assert all(order.ticks > 0 and order.lots >= 0 and order.order_id > 0 for order in orders)
