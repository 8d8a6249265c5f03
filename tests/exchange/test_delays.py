from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.actions import decode
from hlhft.exchange.delays import DelayDraws
from hlhft.exchange.settings import DELAY_PROBABILITIES, MILLISECOND_NS, Delays
from tests.exchange.clients import order, orders

TAKE = decode(orders(order(tif="Ioc")))
POST = decode(orders(order(tif="Alo")))
CANCEL = decode({"type": "cancel", "cancels": []})
FAST = decode({"type": "cancel", "cancels": [], "f": True})


def drawn(action: object, count: int = 4000) -> list[float]:
    draws = DelayDraws(Delays(), seed=7)
    return sorted(draws.inclusion_ns(action) / MILLISECOND_NS for _ in range(count))  # type: ignore[arg-type]


def test_takers_are_under_way_as_long_as_documented() -> None:
    delays = drawn(TAKE)
    assert 190 <= delays[2000] <= 210
    assert 800 <= delays[3960] <= 1000
    assert delays[0] >= 90
    assert delays[-1] <= 1500


def test_who_does_not_take_is_earlier() -> None:
    medians = [drawn(action)[2000] for action in (TAKE, POST, CANCEL, FAST)]
    assert medians[0] > medians[1] + 78
    assert medians[1] == medians[2]
    assert medians[3] < medians[2]


def test_what_is_told_takes_its_time() -> None:
    draws = DelayDraws(Delays(), seed=1)
    told = [draws.publish_ns() / MILLISECOND_NS for _ in range(500)]
    assert 100 <= min(told) < 110
    assert 290 < max(told) <= 300


@given(st.integers(0, 2**31 - 1))
def test_draws_follow_the_seed_and_go_on(seed: int) -> None:
    first, second = DelayDraws(Delays(), seed=seed), DelayDraws(Delays(), seed=seed)
    assert [first.inclusion_ns(TAKE) for _ in range(5)] == [second.inclusion_ns(TAKE) for _ in range(5)]
    third = DelayDraws(Delays(), seed=seed + 1)
    third.restore(first.state())
    assert [third.publish_ns() for _ in range(3)] == [first.publish_ns() for _ in range(3)]


def test_what_is_told_delays_no_action() -> None:
    alone, heard = DelayDraws(Delays(), seed=3), DelayDraws(Delays(), seed=3)
    delays = []
    for _ in range(20):
        heard.publish_ns()
        delays.append((alone.inclusion_ns(TAKE), heard.inclusion_ns(TAKE)))
    assert all(one == other for one, other in delays)


@given(st.sampled_from(DELAY_PROBABILITIES), st.integers(0, 1000))
def test_no_draw_leaves_its_table(probability: int, seed: int) -> None:
    table = tuple(range(0, 9 * probability, probability)) if probability else (5,) * 9
    draws = DelayDraws(Delays(taker_ms=table), seed=seed)
    assert all(table[0] <= draws.inclusion_ns(TAKE) / MILLISECOND_NS <= table[-1] for _ in range(20))
