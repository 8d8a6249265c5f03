"""Who listens to what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.limits import ClientLimits, LimitSettings
from hlhft.exchange.subscriptions import KINDS, Subscriptions, Topic
from tests.exchange.hall import ANN, BOB, BTC, LISTING, STRANGER, address

USER = address(ANN)


def subscriptions(*, limits: ClientLimits | None = None, connections: int = 2) -> Subscriptions:
    made = Subscriptions(LISTING, limits)
    for connection in range(connections):
        if limits is not None:
            assert limits.connect("client", connection, 0) is None
        made.open(connection)
    return made


def add(made: Subscriptions, connection: int = 0, **subscription: Any) -> tuple[Topic | None, dict[str, Any]]:
    topic, answer = made.add(connection, subscription, msgspec.json.encode(subscription).decode())
    return topic, msgspec.json.decode(answer)


def remove(made: Subscriptions, connection: int = 0, **subscription: Any) -> dict[str, Any]:
    raw = msgspec.json.encode(subscription).decode()
    return msgspec.json.decode(made.remove(connection, subscription, raw))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("asked", "normalised"),
    [
        ({"type": "bbo", "coin": "BTC"}, {"type": "bbo", "coin": "BTC"}),  # recorded
        (
            {"type": "l2Book", "coin": "BTC"},
            {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": False},
        ),
        (
            {"type": "l2Book", "coin": "BTC", "fast": True, "nSigFigs": 5, "mantissa": 2},
            {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 2, "fast": True},
        ),
        ({"type": "allMids"}, {"type": "allMids"}),
        ({"type": "allMids", "dex": "xyz"}, {"type": "allMids", "dex": "xyz"}),
        (
            {"type": "candle", "coin": "BTC", "interval": "1M", "what": 5},
            {"type": "candle", "coin": "BTC", "interval": "1M"},
        ),
        (
            {"type": "userFills", "user": "0x" + "AB" * 20},
            {"type": "userFills", "user": "0x" + "ab" * 20, "aggregateByTime": False},
        ),
        ({"type": "openOrders", "user": USER}, {"type": "openOrders", "user": USER, "dex": ""}),
        ({"type": "openOrders", "user": USER, "dex": None}, {"type": "openOrders", "user": USER, "dex": ""}),
        (
            {"type": "userFills", "user": USER, "aggregateByTime": None},
            {"type": "userFills", "user": USER, "aggregateByTime": False},
        ),
        (
            {"type": "l2Book", "coin": "ETH", "nSigFigs": None, "mantissa": None, "fast": None},
            {"type": "l2Book", "coin": "ETH", "nSigFigs": None, "mantissa": None, "fast": False},
        ),
        (
            {"type": "activeAssetData", "user": USER, "coin": "ETH"},
            {"type": "activeAssetData", "user": USER, "coin": "ETH"},
        ),
    ],
)
def test_a_subscription_is_acknowledged_as_it_was_understood(asked, normalised):
    topic, answer = add(subscriptions(), **asked)
    assert topic is not None
    assert answer == {
        "channel": "subscriptionResponse",
        "data": {"method": "subscribe", "subscription": normalised},
    }


def test_what_comes_twice_is_refused_however_it_is_written():
    made = subscriptions()
    add(made, type="l2Book", coin="BTC")
    topic, answer = add(made, type="l2Book", coin="BTC", fast=False)
    assert topic is None
    assert answer["channel"] == "error"
    assert answer["data"].startswith('Already subscribed: {"type":"l2Book"')
    assert add(made, 1, type="l2Book", coin="BTC")[0] is not None


def test_connections_share_a_topic_and_the_last_takes_it_along():
    made = subscriptions()
    first, _ = add(made, 0, type="trades", coin="BTC")
    second, _ = add(made, 1, type="trades", coin="BTC")
    assert first is second and first is not None
    assert list(first.listeners) == [0, 1]
    assert made.about_market("trades", BTC) == [first]
    made.close(0)
    assert made.about_market("trades", BTC) == [first]
    made.close(1)
    made.close(1)
    assert made.about_market("trades", BTC) == []
    assert made.count == 0


def test_topics_are_found_by_what_they_are_about():
    made = subscriptions()
    fills, _ = add(made, type="userFills", user=USER)
    merged, _ = add(made, type="userFills", user=USER, aggregateByTime=True)
    add(made, type="userFills", user=address(BOB))
    assert made.about_user("userFills", USER) == [fills, merged]
    assert made.about_user("orderUpdates", USER) == []
    assert made.of_kinds(frozenset({"userFills"}))[:2] == [fills, merged]
    assert remove(made, type="userFills", user=USER)["data"]["method"] == "unsubscribe"
    assert made.about_user("userFills", USER) == [merged]


def test_an_end_is_acknowledged_once():
    made = subscriptions()
    add(made, type="bbo", coin="BTC")
    assert remove(made, type="bbo", coin="BTC") == {
        "channel": "subscriptionResponse",
        "data": {"method": "unsubscribe", "subscription": {"type": "bbo", "coin": "BTC"}},
    }
    assert remove(made, type="bbo", coin="BTC")["data"].startswith("Already unsubscribed: ")
    assert remove(made, type="bbo", coin="NONE")["data"].startswith("Invalid subscription ")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "Error parsing JSON into valid websocket request: "),
        ({"type": 5}, "Error parsing JSON into valid websocket request: "),
        ({"type": "nothing"}, "Error parsing JSON into valid websocket request: "),
        ({"type": "bbo"}, "Error parsing JSON into valid websocket request: "),
        ({"type": "userFills", "user": "0x1"}, "Error parsing JSON into valid websocket request: "),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 7}, "Error parsing JSON into valid websocket request: "),
        ({"type": "bbo", "coin": "NONE"}, "Invalid subscription "),
        ({"type": "candle", "coin": "BTC", "interval": "7m"}, "Invalid subscription "),
        ({"type": "l2Book", "coin": "BTC", "mantissa": 2}, "Invalid subscription "),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 1}, "Invalid subscription "),
        ({"type": "webData2", "user": USER}, "Invalid subscription "),
    ],
)
def test_what_cannot_be_subscribed_to_is_an_error_that_repeats_it(asked, text):
    made = subscriptions()
    topic, answer = add(made, **asked)
    assert topic is None
    assert answer == {"channel": "error", "data": text + msgspec.json.encode(asked).decode()}
    assert made.count == 0


def test_a_subscription_that_is_no_object_is_an_error():
    _, answer = subscriptions().add(0, [1], "[1]")
    assert b"Error parsing JSON" in answer


def test_too_many_users_or_subscriptions_are_refused_and_given_back():
    made = subscriptions(limits=ClientLimits(LimitSettings(users=2, subscriptions=4)))
    for number in range(2):
        assert add(made, type="userEvents", user=f"0x{number:040x}")[0] is not None
    topic, answer = add(made, 1, type="userEvents", user=USER.replace("1", "7"))
    assert topic is None
    assert answer == {"channel": "error", "data": "Cannot track more than 3 total users."}
    add(made, 1, type="bbo", coin="BTC")
    add(made, 1, type="bbo", coin="ETH")
    assert add(made, 1, type="bbo", coin="ILL")[1]["channel"] == "error"
    remove(made, 1, type="bbo", coin="ETH")
    assert add(made, 1, type="bbo", coin="ILL")[0] is not None
    remove(made, type="userEvents", user=f"0x{0:040x}")
    assert add(made, type="userEvents", user=STRANGER)[0] is not None


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["BTC", "1m", USER])
NAMES = st.sampled_from(["coin", "user", "interval", "dex", "fast", "nSigFigs", "mantissa", "aggregateByTime"])


@given(st.sampled_from([*KINDS, "webData2", "x"]), st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_is_asked_for_has_one_answer_and_can_be_taken_back(kind, fields):
    made = subscriptions()
    topic, answer = add(made, type=kind, **fields)
    assert (answer["channel"] == "subscriptionResponse") == (topic is not None)
    again = remove(made, type=kind, **fields)
    assert (again["channel"] == "subscriptionResponse") == (topic is not None)
    assert made.count == 0


def test_the_channels_are_those_of_the_reference():
    assert set(KINDS) >= {
        "allMids",
        "l2Book",
        "trades",
        "bbo",
        "candle",
        "userEvents",
        "userFills",
        "orderUpdates",
        "userFundings",
        "userNonFundingLedgerUpdates",
        "activeAssetCtx",
        "activeAssetData",
    }


def test_what_was_found_by_kind_does_not_outlive_a_change() -> None:
    made, kinds = subscriptions(), frozenset({"bbo"})
    assert made.of_kinds(kinds) == []
    topic, _ = add(made, type="bbo", coin="BTC")
    assert made.of_kinds(kinds) == [topic]
    made.close(0)
    assert made.of_kinds(kinds) == []
