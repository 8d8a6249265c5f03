"""What follows what left: answers, silence, proofs, and everything ends."""

from __future__ import annotations

from hlhft.hyperliquid.gateway_events import Post
from tests.hyperliquid.gateways import RESTING, Shell, ok, only, place, told


def test_the_answer_to_an_action_settles_it() -> None:
    made = Shell()
    made.begin()
    post = only(made.send(place(1025)), Post)
    rows = told(made.answer(post, ok(RESTING)))
    assert [(row[4], row[5], row[7]) for row in rows] == [(1025, 5, 16)]
    assert made.gateway.is_quiet and made.nonces.unanswered == ()
