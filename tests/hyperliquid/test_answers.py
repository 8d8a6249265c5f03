"""Answers to actions and posts: leg by leg, as a whole, unheard of, broken, recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hlhft.hyperliquid.answers import (
    ActionAnswer,
    ActionPosted,
    InfoPosted,
    LegStatus,
    Outcome,
    PostRefused,
    action_answer,
    posted,
)
from hlhft.hyperliquid.reading import TEXT_MAX, UNDECODABLE, Fault

CLOID = "0x00030050c6301a2b00000100000000d2"
DEEP = b"[" * 100_000


def post(kind: str, payload: Any) -> ActionPosted | InfoPosted | PostRefused:
    return posted(json.dumps({"id": 3, "response": {"type": kind, "payload": payload}}).encode())


def test_an_order_is_answered_leg_by_leg() -> None:
    statuses = [
        {"resting": {"oid": 311642020084, "cloid": CLOID}},
        {"filled": {"totalSz": "0.5", "avgPx": "73.688", "oid": 5}},
        {"error": "Order must have minimum value of $10. asset=5"},
        "waitingForFill",
        "waitingForTrigger",
        "somethingNew",
        {"unheard": {"oid": 1}},
    ]
    posted = post("action", {"status": "ok", "response": {"type": "order", "data": {"statuses": statuses}}})
    legs = (
        LegStatus(outcome=Outcome.RESTING, oid=311642020084, cloid=int(CLOID, 16)),
        LegStatus(outcome=Outcome.FILLED, oid=5, size_text="0.5", average_price_text="73.688"),
        LegStatus(outcome=Outcome.ERROR, text="Order must have minimum value of $10. asset=5"),
        LegStatus(outcome=Outcome.WAITING_FOR_FILL),
        LegStatus(outcome=Outcome.WAITING_FOR_TRIGGER),
        LegStatus(outcome=Outcome.UNRECOGNISED, text="somethingNew"),
        LegStatus(outcome=Outcome.UNRECOGNISED),
    )
    assert posted == ActionPosted(id=3, answer=ActionAnswer(is_ok=True, kind="order", statuses=legs))


def test_a_cancel_is_answered_leg_by_leg() -> None:
    body = {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success", {"error": "x" * 999}]}}}
    assert action_answer(json.dumps(body).encode()) == ActionAnswer(
        is_ok=True,
        kind="cancel",
        statuses=(LegStatus(outcome=Outcome.SUCCESS), LegStatus(outcome=Outcome.ERROR, text="x" * TEXT_MAX)),
    )


def test_other_actions_are_answered_as_a_whole() -> None:
    default = action_answer(b'{"status":"ok","response":{"type":"default"}}')
    assert default == ActionAnswer(is_ok=True, kind="default")
    twap = action_answer(b'{"status":"ok","response":{"type":"twapOrder","data":{"status":{"error":"no"}}}}')
    assert twap == ActionAnswer(is_ok=True, kind="twapOrder")
    refusal = "User or API Wallet 0x4b6c5b1287e38b78e61d5dbca726d5e267eda747 does not exist."
    refused = action_answer(json.dumps({"status": "err", "response": refusal}).encode())
    assert refused == ActionAnswer(is_ok=False, text=refusal)
    assert action_answer(b'{"status":"err","response":{"why": 1}}') == ActionAnswer(is_ok=False, text='{"why": 1}')


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"null", b"{}", b'{"status":"ok"}', b'{"status":"maybe","response":{"type":"default"}}',
        b'{"status":"ok","response":"text"}', b'{"status":"ok","response":{"type":"order"}}',
        b'{"status":"ok","response":{"type":"order","data":{"statuses":[5]}}}',
        b'{"status":"ok","response":{"type":"order","data":{"statuses":[{"resting":{"oid":-1}}]}}}',
        b'{"status":"ok","response":{"type":"order","data":{"statuses":"success"}}}', DEEP,
    ],
)  # fmt: skip
def test_a_body_that_is_no_answer_is_a_fault(body: bytes) -> None:
    assert action_answer(body) is Fault.WRONG_SHAPE


def test_posts_of_information_and_refused_posts() -> None:
    info = post("info", {"type": "userRateLimit", "data": {"nRequestsUsed": 5}})
    assert info == InfoPosted(id=3, kind="userRateLimit", data=b'{"nRequestsUsed": 5}')
    assert post("error", "429: too many") == PostRefused(id=3, text="429: too many")
    assert post("error", {"code": 5}) == PostRefused(id=3, text='{"code": 5}')
    with pytest.raises(UNDECODABLE):
        post("other", 1)


def test_what_information_is_kept_outlives_the_buffer_it_came_in() -> None:
    buffer = bytearray(
        json.dumps({"id": 1, "response": {"type": "info", "payload": {"type": "x", "data": 7}}}).encode()
    )
    told = posted(memoryview(buffer))  # type: ignore[arg-type]
    buffer[:] = b"?" * len(buffer)
    assert told == InfoPosted(id=1, kind="x", data=b"7")


def test_every_recorded_answer_is_read(recordings: Path) -> None:
    lines = (recordings / "hyperliquid" / "api" / "recorded_messages_2026" / "messages.jsonl").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    bodies = [message for message in messages if isinstance(message, dict) and "response" in message]
    answers = [action_answer(json.dumps(body).encode()) for body in bodies]
    posts = [
        posted(json.dumps(message["data"]).encode())
        for message in messages
        if "channel" in message and message["channel"] == "post"
    ]
    answers += [post.answer for post in posts if isinstance(post, ActionPosted)]
    assert len(bodies) >= 9 and len(answers) == len(bodies) + 6
    legs = [leg for answer in answers if isinstance(answer, ActionAnswer) for leg in answer.statuses]
    assert len(legs) == len(answers) - 1 and Outcome.UNRECOGNISED not in {leg.outcome for leg in legs}
