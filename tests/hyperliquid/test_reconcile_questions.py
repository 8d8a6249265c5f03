"""Questions are asked until they are answered, within the weight, and no answer fits twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.backoff import SECOND_NS, WINDOW_NS
from hlhft.hyperliquid.reconcile_questions import (
    WEIGHT_PER_MINUTE_MAX,
    Questions,
    QuestionSettings,
    Weights,
)

USER = "0x" + "ab" * 20
STATE = requests.of_user(InfoKind.STATE, USER)
ORDERS = requests.of_user(InfoKind.OPEN_ORDERS, USER)
DRAW_MOST = (1 << 32) - 1
S = SECOND_NS


def asking(limit: int = 600) -> Questions:
    return Questions(QuestionSettings(), Weights(limit))


def test_a_question_is_asked_once_and_answered_once() -> None:
    questions = asking()
    questions.want(STATE, 0, subject="xyz")
    ((number, question),) = questions.due(0)
    assert (str(question), question.kind, len(questions)) == ("clearinghouseState xyz", InfoKind.STATE, 1)
    assert questions.due(0) == []
    assert questions.answered(number) is question and len(questions) == 0
    assert questions.answered(number) is None, "an answer that comes twice fits no question"


def test_what_was_dropped_is_never_answered() -> None:
    questions = asking()
    questions.want(STATE, 0)
    questions.want(ORDERS, 5, is_needed=False)
    ((number, _),) = questions.due(0)
    assert questions.needed() == 1
    assert [one.kind for one in questions.drop()] == [InfoKind.OPEN_ORDERS, InfoKind.STATE]
    assert (len(questions), questions.answered(number), questions.next_ns()) == (0, None, None)
    questions.want(STATE, 0)
    ((following, _),) = questions.due(0)
    assert following > number, "numbers are never used again"


def test_a_lost_answer_is_asked_for_again_after_waits_that_grow() -> None:
    questions = asking()
    questions.want(STATE, 0)
    now_ns, waits = 0, []
    for _ in range(8):
        ((_, question),) = questions.due(now_ns)
        assert questions.lost(now_ns + 5 * S - 1) == []
        now_ns += 5 * S
        assert questions.next_ns() == now_ns
        assert questions.lost(now_ns) == [question]
        questions.failed(question, now_ns, DRAW_MOST)
        asked_ns = questions.next_ns()
        assert asked_ns is not None
        waits.append((asked_ns - now_ns) / S)
        assert questions.due(asked_ns - 1) == []
        now_ns = asked_ns
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_what_does_not_fit_the_weight_waits_unless_it_is_urgent() -> None:
    questions = asking(60)
    for _ in range(4):
        questions.want(ORDERS, 0)
    assert len(questions.due(S)) == 3
    assert questions.next_ns() == 6 * S, "the answers are awaited first"
    assert questions.due(2 * S) == []
    assert len(questions.due(S + WINDOW_NS)) == 1
    for _ in range(3):
        questions.want(ORDERS, 0)
    assert len(questions.due(S + WINDOW_NS, urgent=True)) == 3


def test_what_somebody_waits_for_may_use_what_is_kept() -> None:
    questions = Questions(QuestionSettings(weight_kept=40), Weights(60))
    for _ in range(6):
        questions.want(ORDERS, 0)
    questions.want(ORDERS, 0, is_needed=False)
    assert len(questions.due(0)) == 3
    for _ in range(6):
        questions.want(ORDERS, 0)
    assert [question.is_needed for _, question in questions.due(1, awaited=True)] == [True, True]
    with pytest.raises(ValueError, match="weight_kept of questions is -1"):
        QuestionSettings(weight_kept=-1)


def test_what_an_answer_costs_counts() -> None:
    weights = Weights(100)
    weights.spend(0, 0)
    weights.spend(90, 0)
    weights.spend(20, S)
    assert (weights.used(S), weights.wait_ns(1, S)) == (110, WINDOW_NS - S)
    assert weights.wait_ns(90, S) == WINDOW_NS, "the first one ends, and then the second"
    assert (weights.used(WINDOW_NS), weights.wait_ns(80, WINDOW_NS)) == (20, 0)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 20 * S), st.sampled_from([2, 20, 60])), max_size=200))
def test_no_minute_holds_more_than_the_limit(wants: list[tuple[int, int]]) -> None:
    weights = Weights(200)
    now_ns, spent = 0, []
    for gap_ns, weight in wants:
        now_ns += gap_ns
        wait = weights.wait_ns(weight, now_ns)
        assert (wait == 0) == (weights.used(now_ns) + weight <= 200)
        now_ns += wait
        assert weights.wait_ns(weight, now_ns) == 0
        weights.spend(weight, now_ns)
        spent.append((now_ns, weight))
        assert sum(one for at_ns, one in spent if at_ns > now_ns - WINDOW_NS) <= 200


def test_memory_of_weights_is_bounded() -> None:
    weights = Weights(10**6)
    for _ in range(3 * WEIGHT_PER_MINUTE_MAX):
        weights.spend(2, 0)
    assert weights.used(0) == 2 * WEIGHT_PER_MINUTE_MAX


@pytest.mark.parametrize("values", [{"answer_ns": 0}, {"weight_per_minute": 59}, {"weight_per_minute": 1_201}])
def test_settings_out_of_range_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        QuestionSettings(**values)
