"""Figures as people read them; bars whose length says what their number says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.screen_parts import (
    BAR_CELLS,
    CURVE_CELLS,
    LEANING_CELLS,
    Signs,
    age,
    bar,
    clock,
    curve,
    duration,
    latency,
    leaning,
    money,
    money_style,
    short_address,
    stage_style,
)

PLAIN, ASCII = Signs(), Signs(is_ascii=True)


@pytest.mark.parametrize(
    ("usdc", "text", "style"),
    [
        (1234.5, "+1,234.50", "green"),
        (-0.014, "-0.01", "red"),
        (-0.0004, "-0.0004", "red"),
        (0.00001, "0.00", "green"),
        (0.0, "0.00", "dim"),
        (-0.0, "0.00", "dim"),
    ],
)
def test_money(usdc: float, text: str, style: str) -> None:
    assert (money(usdc), money_style(usdc)) == (text, style)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "-"), (3.14159, "3.14 us"), (99.96, "100 us"), (420.4, "420 us"), (2100, "2.1 ms"), (205_000, "205 ms"),
     (2_500_000, "2.5 s")],
)  # fmt: skip
def test_latency(microseconds: float | None, text: str) -> None:
    assert latency(microseconds) == text


def test_times() -> None:
    assert (age(None), age(80.0), age(4200)) == ("-", "80.0 ms", "4.2 s")
    assert duration(75 * 10**9) == "1:15"
    assert duration((3 * 3600 + 61) * 10**9) == "3:01:01"
    assert duration(-1) == "0:00"
    assert clock(1_790_000_000 * 10**9) == "14:13:20"


def test_names_and_stages() -> None:
    assert short_address("0x" + "ab" * 20, PLAIN) == "0xabab…abab"
    assert short_address("0x" + "ab" * 20, ASCII) == "0xabab~abab"
    assert short_address("none", PLAIN) == "none"
    assert stage_style("quoting", is_halted=True) == stage_style("halted", is_halted=False)
    assert stage_style("reconciling", is_halted=False) != stage_style("quoting", is_halted=False)


def test_every_sign_is_ascii_where_it_must_be() -> None:
    assert ASCII.steps.isascii()
    for name in ("good", "old", "bad", "waiting", "none"):
        assert getattr(ASCII, name).isascii() and len(getattr(ASCII, name)) == len(getattr(PLAIN, name)) == 1
    assert "".join(ASCII.cells).isascii()


@given(st.floats(-1, 3))
def test_a_bar_is_always_as_long_and_as_full_as_its_share(share: float) -> None:
    full, empty = PLAIN.cells
    text = bar(share, PLAIN).plain
    assert text.count(full) + text.count(empty) == BAR_CELLS
    assert abs(text.count(full) / BAR_CELLS - min(max(share, 0), 1)) <= 0.5 / BAR_CELLS
    assert text.endswith(f" {min(max(share, 0), 1):4.0%}")


@pytest.mark.parametrize(("share", "style"), [(0.5, "green"), (0.7, "yellow"), (0.95, "bold red")])
def test_a_bar_warns_before_it_is_full(share: float, style: str) -> None:
    assert style in {span.style for span in bar(share, PLAIN).spans}
    assert bar(share, PLAIN).spans


def test_a_position_leans_to_its_side_and_nothing_is_drawn_without_a_cap() -> None:
    assert leaning(8_000, 20_000, ASCII).plain == ".....|##..."
    assert leaning(-20_000, 20_000, ASCII).plain == "#####|....."
    assert leaning(-1, 20_000, ASCII).plain == "....#|.....", "whatever is held is seen"
    assert leaning(0, 20_000, ASCII).plain == ".....|....."
    assert leaning(90_000, 20_000, ASCII).plain == "." * LEANING_CELLS + "|" + "#" * LEANING_CELLS
    assert leaning(None, 1, ASCII).plain == leaning(1, None, ASCII).plain == leaning(1, 0, ASCII).plain == ""


def test_a_curve_spans_from_its_lowest_to_its_highest() -> None:
    drawn = curve([0.0, 1.0, 0.5, 2.0], ASCII)
    assert (drawn.plain, drawn.style) == ("_-.^", "green")
    assert (curve([2.0, 1.0], ASCII).plain, curve([2.0, 1.0], ASCII).style) == ("^_", "red")
    assert curve([3.0, 3.0, 3.0], ASCII).plain == "___"
    assert curve([1.0], ASCII).plain == curve([], ASCII).plain == ""
    assert len(curve(list(range(200)), PLAIN).plain) == CURVE_CELLS
