"""Subscriptions of one socket: what is sent follows from what is wanted and what was answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.backoff import SECOND_NS, Budget
from hlhft.hyperliquid.subscriptions import (
    AGE_NS_MAX,
    ALL_MARKETS,
    OF_MARKET,
    TRANSITIONS,
    Stage,
    Stream,
    StreamKind,
    Subscriptions,
    SubscriptionSettings,
    Verdict,
    Word,
    market_stream,
    message,
    normal_form,
    subscriptions_table,
    user_stream,
)

USER = "0x" + "aB" * 20
OTHER = "0x" + "01" * 20
BBO = market_stream(StreamKind.BBO, 0, "BTC")
FAST = market_stream(StreamKind.FAST_BOOK, 0, "BTC")
BOOK = market_stream(StreamKind.BOOK, 1, "ETH")
UPDATES = user_stream(StreamKind.ORDER_UPDATES, USER)
FILLS = user_stream(StreamKind.USER_FILLS, USER)
S = SECOND_NS

IMPOSSIBLE = {
    (Stage.ABSENT, Word.UNSUBSCRIBE), (Stage.ABSENT, Word.OVERDUE),
    (Stage.ASKED, Word.SUBSCRIBE), (Stage.ASKED, Word.UNSUBSCRIBE),
    (Stage.ACTIVE, Word.SUBSCRIBE), (Stage.ACTIVE, Word.OVERDUE),
    (Stage.LEAVING, Word.SUBSCRIBE), (Stage.LEAVING, Word.UNSUBSCRIBE),
    (Stage.REFUSED, Word.SUBSCRIBE), (Stage.REFUSED, Word.UNSUBSCRIBE),
    # What is refused and wanted no more is forgotten at once.
    (Stage.ABSENT, Word.OVERDUE_UNWANTED), (Stage.ACTIVE, Word.OVERDUE_UNWANTED),
    (Stage.REFUSED, Word.OVERDUE_UNWANTED),
}  # fmt: skip


def made(*streams: Stream, budget: int = 2000, **changes: int) -> Subscriptions:
    lines = Subscriptions(Budget(budget), SubscriptionSettings(**changes))
    lines.desire(streams)
    return lines


def sent(lines: Subscriptions, now_ns: int = 0) -> list[str]:
    """What is sent, in short."""
    told = []
    for payload in lines.flush(now_ns):
        content = json.loads(payload)
        subscription = content["subscription"]
        subject = subscription.get("coin") or subscription["user"]
        fast = " fast" if subscription.get("fast") else ""
        told.append(f"{content['method']} {subscription['type']}{fast} {subject}")
    return told


def acknowledge(lines: Subscriptions, *streams: Stream, method: str = "subscribe", now_ns: int = 0) -> None:
    for stream in streams:
        assert lines.acknowledged(method, stream.subscription(), now_ns)


def active(*streams: Stream, **changes: int) -> Subscriptions:
    lines = made(*streams, **changes)
    lines.flush(0)
    acknowledge(lines, *streams)
    lines.changed()
    return lines


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("word", Word)
def test_each_pair_is_a_row_or_impossible(stage: Stage, word: Word) -> None:
    assert ((stage, word) in TRANSITIONS) is not ((stage, word) in IMPOSSIBLE)


def test_an_impossible_word_is_a_broken_invariant() -> None:
    lines = made(BBO)
    with pytest.raises(AssertionError, match="bbo of BTC: deadline cannot happen when absent"):
        lines._move(lines._lines[BBO.key], Word.OVERDUE)


def test_the_table_for_people() -> None:
    rows = subscriptions_table().splitlines()
    assert len(rows) == 2 + len(Stage)
    assert rows[2].startswith("| absent | subscribe sent → asked, subscribe acknowledged → active")


def test_on_the_wire() -> None:
    fast = b'{"type":"l2Book","coin":"BTC","fast":true}'
    assert message("subscribe", FAST) == b'{"method":"subscribe","subscription":' + fast + b"}"
    assert BOOK.subscription() == {"type": "l2Book", "coin": "ETH"}
    assert UPDATES.subscription() == {"type": "orderUpdates", "user": USER.lower()}
    assert {kind for kind in StreamKind if kind in OF_MARKET} >= set(AGE_NS_MAX)
    assert market_stream(StreamKind.CONTEXT, 3, "SOL").age_ns_max == 5 * S
    assert market_stream(StreamKind.CONTEXT, 3, "SOL", age_ns_max=7).age_ns_max == 7
    assert BBO.age_ns_max == 0


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (BOOK.subscription(), {"coin": "ETH", "type": "l2Book", "nSigFigs": None, "mantissa": None, "fast": False}),
        (FAST.subscription(), {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": True}),
        ({"type": "openOrders", "user": "0xab"}, {"type": "openOrders", "user": "0xAB", "dex": ""}),
        (FILLS.subscription(), {**FILLS.subscription(), "aggregateByTime": False, "x": []}),
    ],
)
def test_the_normal_form_of_request_and_answer_agree(asked: dict[str, Any], answered: dict[str, Any]) -> None:
    assert normal_form(asked) == normal_form(answered)


def test_books_of_different_depth_are_told_apart() -> None:
    forms = [BOOK.subscription(), market_stream(StreamKind.FAST_BOOK, 1, "ETH").subscription()]
    assert normal_form(forms[0]) != normal_form(forms[1])
    assert normal_form({"type": "bbo", "coin": "eth"}) != normal_form({"type": "bbo", "coin": "ETH"})


def test_all_that_is_wanted_is_asked_for_once_and_settles() -> None:
    lines = made(BBO, UPDATES, FAST)
    assert not lines.is_settled()
    assert sent(lines) == ["subscribe bbo BTC", f"subscribe orderUpdates {USER.lower()}", "subscribe l2Book fast BTC"]
    assert sent(lines) == []
    assert lines.next_deadline_ns() == 3 * S
    acknowledge(lines, FAST, BBO)
    assert not lines.is_settled() and not lines.has_user()
    acknowledge(lines, UPDATES)
    assert lines.is_settled() and lines.has_user()
    assert lines.changed() == [FAST.key, BBO.key, UPDATES.key]
    assert lines.changed() == []
    assert lines.next_deadline_ns() is None


def test_an_answer_to_nothing_known() -> None:
    lines = active(BBO)
    assert not lines.acknowledged("subscribe", FAST.subscription(), 0)
    assert not lines.acknowledged("resubscribe", BBO.subscription(), 0)
    assert lines.error('Already subscribed: {"type":"bbo","coin":"ETH"}', 0) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        'Already subscribed: {"type":"bbo","coin":"BTC"}',
        'Already subscribed: {"method":"subscribe","subscription":{"type":"bbo","coin":"BTC"}}',
    ],
)
def test_already_subscribed_counts_as_acknowledged(text: str) -> None:
    lines = made(BBO)
    lines.flush(0)
    assert lines.error(text, 0) is Verdict.SETTLED
    assert lines.stage(BBO.key) is Stage.ACTIVE


def test_a_request_without_an_answer_is_repeated_then_given_up() -> None:
    lines = made(BBO, FAST)
    lines.flush(0)
    acknowledge(lines, FAST)
    assert lines.overdue(3 * S - 1) == []
    assert lines.overdue(3 * S) == []
    assert sent(lines, 3 * S) == ["subscribe bbo BTC"]
    assert lines.overdue(6 * S) == []
    lines.flush(6 * S)
    assert lines.overdue(9 * S) == [BBO]
    lines.lose()
    assert sent(lines, 9 * S) == ["subscribe bbo BTC", "subscribe l2Book fast BTC"]
    assert lines.overdue(12 * S) == [], "tries are those of a socket"


def test_an_answer_after_the_deadline_counts() -> None:
    lines = made(BBO)
    lines.flush(0)
    lines.overdue(3 * S)
    acknowledge(lines, BBO, now_ns=3 * S)
    assert lines.is_settled()
    assert sent(lines, 3 * S) == []


def test_what_is_wanted_no_more_ends() -> None:
    lines = active(BBO, FAST)
    lines.desire([FAST])
    assert lines.desired == (FAST,)
    assert sent(lines) == ["unsubscribe bbo BTC"]
    assert not lines.is_settled()
    acknowledge(lines, BBO, method="unsubscribe")
    assert lines.is_settled()
    assert lines.stage(BBO.key) is Stage.ABSENT
    assert lines.changed() == [BBO.key]


def test_what_is_wanted_no_more_while_it_is_asked_for() -> None:
    lines = made(BBO)
    lines.flush(0)
    lines.desire([])
    assert sent(lines) == [], "one request at a time"
    acknowledge(lines, BBO)
    assert sent(lines) == ["unsubscribe bbo BTC"]
    lines.desire([BBO])
    assert sent(lines) == []
    acknowledge(lines, BBO, method="unsubscribe")
    assert sent(lines) == ["subscribe bbo BTC"]
    assert lines.error('Already unsubscribed: {"type":"bbo","coin":"BTC"}', 0) is Verdict.SETTLED
    assert lines.stage(BBO.key) is Stage.ASKED, "that was late"


def test_what_never_began_is_forgotten() -> None:
    lines = made(BBO)
    lines.desire([])
    assert sent(lines) == [] and lines.is_settled()
    lines.desire([BBO])
    assert sent(lines) == ["subscribe bbo BTC"]


def test_what_leaves_without_an_answer_is_ended_again_then_given_up() -> None:
    lines = active(BBO)
    lines.desire([])
    for second in (0, 3, 6):
        assert sent(lines, second * S) == ["unsubscribe bbo BTC"]
        assert lines.overdue((second + 3) * S) == ([BBO] if second == 6 else [])
    lines.lose()
    assert lines.is_settled() and lines.next_deadline_ns() is None


def test_what_may_have_begun_and_is_wanted_no_more_is_ended() -> None:
    lines = made(BBO)
    lines.flush(0)
    lines.desire([])
    assert lines.overdue(3 * S) == []
    assert sent(lines, 3 * S) == ["unsubscribe bbo BTC"]
    assert lines.error('Already unsubscribed: {"type":"bbo","coin":"BTC"}', 0) is Verdict.SETTLED
    assert lines.is_settled()


def test_another_user_takes_the_place_of_one() -> None:
    lines = active(UPDATES)
    other = user_stream(StreamKind.ORDER_UPDATES, OTHER)
    lines.desire([other])
    assert not lines.has_user()
    assert sent(lines) == [f"unsubscribe orderUpdates {USER.lower()}"]
    acknowledge(lines, UPDATES, method="unsubscribe")
    assert sent(lines) == [f"subscribe orderUpdates {OTHER}"]
    acknowledge(lines, other)
    assert lines.has_user() and lines.stream(other.key) == other


def test_a_new_age_is_no_new_subscription() -> None:
    lines = active(FAST)
    older = market_stream(StreamKind.FAST_BOOK, 0, "BTC", age_ns_max=9)
    lines.desire([older])
    assert lines.is_settled() and lines.stream(older.key).age_ns_max == 9


def test_renewal_ends_and_begins() -> None:
    lines = active(FAST, BBO)
    lines.renew(FAST.key)
    assert sent(lines, S) == ["unsubscribe l2Book fast BTC"]
    lines.renew(FAST.key)
    acknowledge(lines, FAST, method="unsubscribe", now_ns=S)
    assert sent(lines, S) == ["subscribe l2Book fast BTC"]
    acknowledge(lines, FAST, now_ns=2 * S)
    assert lines.is_settled() and sent(lines, 2 * S) == []
    assert lines.changed() == [FAST.key]


@pytest.mark.parametrize("text", ["Already unsubscribed: {}", "Error parsing JSON into valid websocket request: {}"])
def test_an_end_that_is_refused_is_one(text: str) -> None:
    lines = active(FAST)
    lines.renew(FAST.key)
    lines.flush(0)
    assert lines.error(text.format("") + message("unsubscribe", FAST).decode(), 0) is Verdict.SETTLED
    assert sent(lines) == ["subscribe l2Book fast BTC"]


def test_what_the_venue_says_to_have_ended_is_asked_for_again() -> None:
    lines = active(FAST)
    lines.renew(FAST.key)
    acknowledge(lines, FAST, method="unsubscribe")
    assert sent(lines) == ["subscribe l2Book fast BTC"]
    acknowledge(lines, FAST)
    assert sent(lines) == [], "it was begun anew already"


def test_a_refused_market_is_asked_for_again_later() -> None:
    lines = made(BBO, BOOK)
    lines.flush(0)
    acknowledge(lines, BOOK)
    assert lines.error("Invalid subscription " + message("subscribe", BBO).decode(), S) is Verdict.REFUSED
    assert lines.stage(BBO.key) is Stage.REFUSED
    assert lines.is_settled()
    assert lines.next_deadline_ns() == 61 * S
    assert lines.error("Invalid subscription " + message("subscribe", BBO).decode(), S) is Verdict.UNKNOWN
    assert lines.next_deadline_ns() == 61 * S
    lines.overdue(61 * S)
    assert sent(lines, 61 * S) == ["subscribe bbo BTC"]


def test_a_refused_market_that_is_wanted_no_more() -> None:
    lines = made(BBO, BOOK)
    lines.flush(0)
    lines.error("Invalid subscription " + message("subscribe", BBO).decode(), S)
    lines.desire([BOOK])
    acknowledge(lines, BOOK)
    assert lines.next_deadline_ns() is None
    lines.desire([])
    lines.flush(0)
    lines.desire([BOOK, BBO])
    acknowledge(lines, BOOK, method="unsubscribe")
    lines.flush(0)
    lines.desire([BOOK])
    assert lines.error("Invalid subscription " + message("subscribe", BBO).decode(), S) is Verdict.REFUSED
    assert lines.stage(BBO.key) is Stage.ABSENT and lines._refusals == {}


def test_a_refused_user_keeps_it_from_settling() -> None:
    lines = made(UPDATES, BBO)
    lines.flush(0)
    acknowledge(lines, BBO)
    assert lines.error("Cannot track more than 15 total users.", 0) is Verdict.REFUSED
    assert lines.stage(UPDATES.key) is Stage.REFUSED
    assert not lines.is_settled()


def test_an_error_that_may_be_about_several_is_about_none() -> None:
    lines = made(UPDATES, FILLS, BBO)
    lines.flush(0)
    assert lines.error("Cannot track more than 15 total users.", 0) is Verdict.UNKNOWN
    acknowledge(lines, UPDATES)
    assert lines.error("Cannot have more than 1000 subscriptions.", 0) is Verdict.UNKNOWN
    assert lines.error("Cannot track more than 15 total users.", 0) is Verdict.REFUSED
    assert lines.error("Cannot have more than 1000 subscriptions.", 0) is Verdict.REFUSED
    assert lines.stage(BBO.key) is Stage.REFUSED


@pytest.mark.parametrize(
    "text",
    [
        'Error parsing JSON into valid websocket request: {"method":"post","id":5}',
        'Error parsing JSON into valid websocket request: {"method":"subscribe","subscription":{"type":"bb',
        'Error: {"subscription":5}',
        "Error: " + '{"a":' * 20_000,
        "{}",
    ],
)
def test_errors_about_something_else(text: str) -> None:
    lines = made(BBO)
    lines.flush(0)
    assert lines.error(text, 0) is Verdict.UNKNOWN
    assert lines.stage(BBO.key) is Stage.ASKED


def test_messages_are_paced() -> None:
    streams = [market_stream(StreamKind.BBO, row, f"C{row}") for row in range(5)]
    lines = made(*streams, budget=5, messages_kept=2)
    assert len(sent(lines, 0)) == 3
    assert lines.next_deadline_ns() == 3 * S
    acknowledge(lines, *streams[:3])
    assert lines.next_deadline_ns() == 61 * S
    assert sent(lines, 60 * S) == []
    assert sent(lines, 61 * S) == ["subscribe bbo C3", "subscribe bbo C4"]
    late = made(*streams[:2], budget=1)
    late.flush(0)
    acknowledge(late, *streams[:2])
    assert sent(late, S) == [] and late.next_deadline_ns() is None, "nothing waits for the budget any more"
    tiny = made(*streams, budget=1)
    assert len(sent(tiny, 0)) == 1


def test_no_more_subscriptions_than_the_venue_allows() -> None:
    lines = active(BBO, FAST, subscriptions_max=2)
    lines.desire([BOOK, FAST])
    assert sent(lines) == ["unsubscribe bbo BTC"], "what leaves makes room first"
    acknowledge(lines, BBO, method="unsubscribe")
    assert sent(lines) == ["subscribe l2Book ETH"]


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        ([BBO, BBO], "wanted twice"),
        ([UPDATES, user_stream(StreamKind.USER_FILLS, OTHER)], "one socket serves one user"),
        ([Stream(StreamKind.BBO, ALL_MARKETS, "BTC")], "has a coin and its market"),
        ([Stream(StreamKind.ORDER_UPDATES, 0, USER)], "has a coin and its market"),
        ([Stream(StreamKind.BBO, 0, "")], "has a coin and its market"),
        ([Stream(StreamKind.BBO, 0, "BTC", -1)], "age of 0 or more"),
        ([BBO, market_stream(StreamKind.BBO, 1, "BTC")], "each coin has one row"),
        ([BBO, FAST, BOOK, UPDATES], "4 streams are wanted, and the venue allows 3"),
        ([market_stream(StreamKind.BBO, 1, "BTC")], "the row of a coin never changes"),
    ],
)
def test_what_no_socket_can_be_subscribed_to(streams: list[Stream], words: str) -> None:
    lines = active(BBO, subscriptions_max=3)
    with pytest.raises(ValueError, match=words):
        lines.desire(streams)
    assert lines.desired == (BBO,) and lines.is_settled()


@pytest.mark.parametrize("name", SubscriptionSettings.__slots__)
def test_numbers_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of the subscriptions is 0"):
        SubscriptionSettings(**{name: 0})


class Venue:
    """The venue's side of one socket: what is subscribed, and the answers on their way."""

    def __init__(self) -> None:
        self.subscribed: set[str] = set()
        self.answers: list[tuple[str, str, dict[str, Any]]] = []

    def take(self, payloads: Iterable[bytes], *, refuses: bool = False) -> None:
        for payload in payloads:
            content = json.loads(payload)
            method, subscription = content["method"], content["subscription"]
            name = json.dumps(subscription)
            if (method == "subscribe") is (name in self.subscribed):
                self.answers.append(("error", f"Already {method}d: {name}", subscription))
            elif refuses and method == "subscribe":
                self.answers.append(("error", f"Invalid subscription {payload.decode()}", subscription))
                continue
            else:
                self.answers.append((method, "", subscription))
            (self.subscribed.add if method == "subscribe" else self.subscribed.discard)(name)


@settings(max_examples=60)
@given(st.data())
def test_it_ends_with_what_is_wanted(data: st.DataObject) -> None:
    """Whatever is wanted in turn, with answers late, lost or refused, and sockets lost: in the end the venue has just
    what is wanted, and that is known here."""
    everything = [BBO, FAST, BOOK, UPDATES, FILLS]
    lines, venue, now_ns = made(), Venue(), 0
    wanted: list[Stream] = []
    for _ in range(data.draw(st.integers(0, 25))):
        now_ns += data.draw(st.sampled_from([0, 1, S, 4 * S]))
        what = data.draw(
            st.sampled_from(["desire", "desire", "answer", "answer", "drop", "refuse", "overdue", "renew", "lose"])
        )
        if what == "desire":
            wanted = data.draw(st.lists(st.sampled_from(everything), unique=True))
            lines.desire(wanted)
        elif what == "lose":
            lines.lose()
            venue = Venue()
        elif what == "overdue":
            lines.overdue(now_ns)
        elif what == "renew" and wanted:
            lines.renew(data.draw(st.sampled_from(wanted)).key)
        elif venue.answers and what in ("answer", "drop"):
            answer(lines, venue, now_ns, what)
        venue.take(lines.flush(now_ns), refuses=what == "refuse")
    for _ in range(12):
        while venue.answers:
            answer(lines, venue, now_ns, "answer")
            venue.take(lines.flush(now_ns))
        now_ns += 61 * S
        lines.overdue(now_ns)
        venue.take(lines.flush(now_ns))
    assert lines.is_settled()
    assert venue.subscribed == {json.dumps(stream.subscription()) for stream in wanted}
    assert all(lines.stage(stream.key) is Stage.ACTIVE for stream in wanted)


def answer(lines: Subscriptions, venue: Venue, now_ns: int, what: str) -> None:
    """The oldest answer of the venue arrives, or is lost."""
    method, text, subscription = venue.answers.pop(0)
    if what == "drop":
        return
    if method == "error":
        lines.error(text, now_ns)
    else:
        lines.acknowledged(method, subscription, now_ns)
