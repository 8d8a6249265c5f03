"""Cancels of orders of which a modification is under way: nobody knows yet which of two names rests."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.gateway_events import CancelOwn, Post
from tests.hyperliquid.actions import OWNER
from tests.hyperliquid.gateways import (
    CANNOT_MODIFY,
    MODIFY,
    MS,
    NEVER_PLACED,
    NOW_NS,
    RESTING,
    SESSION,
    SUCCESS,
    adopted_order,
    counted,
    every,
    ok,
    only,
    place,
)
from tests.hyperliquid.test_gateway_send import cloid, resting, shell


@pytest.mark.parametrize("is_carried_out", [False, True])
def test_own_orders_that_are_being_modified_are_cancelled_by_both_names(is_carried_out: bool) -> None:
    """Whichever of the two the venue has, it is gone with one action."""
    made = shell()
    resting(made, 1025)
    modify = only(made.send(place(1025, batch_id=3, kind=MODIFY)), Post)
    effects = made.tell(CancelOwn())
    sent = only(effects, Post)
    both = [{"asset": 0, "cloid": cloid(1025, 1)}, {"asset": 0, "cloid": cloid(1025)}]
    assert made.action(sent)["action"]["cancels"] == both
    assert counted(effects) == 2
    assert made.tell(CancelOwn()) == [], "it is being cancelled"
    if is_carried_out:
        made.answer(modify, ok(RESTING))
        made.answer(sent, ok(SUCCESS, NEVER_PLACED, kind="cancel"))
    else:
        made.answer(sent, ok(NEVER_PLACED, SUCCESS, kind="cancel"))
        assert not made.fates.is_done(1025), "what modifies it may be on its way, and finds nothing"
        made.answer(modify, ok(CANNOT_MODIFY))
    assert made.fates.names(1025) == ()
    assert made.tell(CancelOwn()) == []


def test_a_cancel_by_both_names_is_repeated_by_both() -> None:
    made = shell()
    resting(made, 1025)
    made.send(place(1025, batch_id=3, kind=MODIFY))
    first = only(made.tell(CancelOwn()), Post)
    second = only(made.run(250 * MS), Post)
    assert made.action(second)["action"] == made.action(first)["action"]
    assert second.lane == 1 - first.lane


def test_where_data_are_old_only_what_is_being_modified_is_cancelled() -> None:
    """The core cancels the others itself."""
    made = shell()
    resting(made, 1025, 2049)
    resting(made, 3073, market=1)
    made.send(place(1025, batch_id=3, kind=MODIFY))
    assert made.tell(CancelOwn(1, replaced=True)) == []
    sent = only(made.tell(CancelOwn(0, replaced=True)), Post)
    assert [one["cloid"] for one in made.action(sent)["action"]["cancels"]] == [cloid(1025, 1), cloid(1025)]
    assert made.tell(CancelOwn(0, replaced=True)) == []


def test_cancels_by_several_names_keep_to_the_size_of_an_action() -> None:
    made = shell()
    resting(made, 1025, 2049, 3073)
    for batch_id, order_id in enumerate((1025, 2049, 3073), 3):
        made.send(place(order_id, batch_id=batch_id, kind=MODIFY))
    sent = every(made.tell(CancelOwn()), Post)
    assert [len(made.action(one)["action"]["cancels"]) for one in sent] == [4, 2]


def test_the_names_of_one_order_are_never_in_two_actions() -> None:
    """Between the two the venue could carry out the modification, and each would find the other name."""
    made = shell()
    resting(made, 1025, 2049, 3073)
    for batch_id, order_id in enumerate((2049, 3073), 3):
        made.send(place(order_id, batch_id=batch_id, kind=MODIFY))
    sent = [made.action(one)["action"]["cancels"] for one in every(made.tell(CancelOwn()), Post)]
    assert [[one["cloid"] for one in cancels] for cancels in sent] == [
        [cloid(1025), cloid(2049, 1), cloid(2049)], [cloid(3073, 1), cloid(3073)],
    ]  # fmt: skip


def test_an_adopted_order_that_is_being_modified_is_cancelled_by_both_names_in_two_actions() -> None:
    """The venue's id names what an earlier session placed."""
    made = shell()
    old = Cloid(OWNER, SESSION - 1, 3 << 10, 0).number()
    made.fates.adopted(adopted_order(old), NOW_NS // MS, NOW_NS)
    modify = only(made.send(place(3 << 10, market=1, batch_id=3, kind=MODIFY)), Post)
    posts = every(made.tell(CancelOwn()), Post)
    assert [made.action(post)["action"] for post in posts] == [
        {"type": "cancel", "cancels": [{"a": 1, "o": 77}], "f": True},
        {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": cloid(3 << 10, 1)}], "f": True},
    ]
    made.answer(posts[0], ok(SUCCESS, kind="cancel"))
    made.answer(posts[1], ok(NEVER_PLACED, kind="cancel"))
    made.answer(modify, ok(CANNOT_MODIFY))
    assert made.fates.names(3 << 10) == ()
