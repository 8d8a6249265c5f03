"""A run as text is the same run again, and what cannot be read is told."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.faults import plan
from hlhft.simulation.past import Past, PastError, read_runs, read_settings, settings_text
from hlhft.simulation.settings import DEFAULT, drawn
from hlhft.simulation.time import SECOND


@given(st.integers(0, 1 << 62), st.integers(1, 3600 * SECOND))
def test_a_line_is_the_run_that_wrote_it(seed: int, span_ns: int) -> None:
    past = Past(seed, span_ns, drawn(seed), plan(seed, span_ns))
    assert list(read_runs(f"# before\n\n{past}\n{past}\n")) == [past, past]


def test_settings_name_all_and_need_not() -> None:
    assert {item.split("=")[0] for item in settings_text(DEFAULT).split(",")} == {
        field.name for field in dataclasses.fields(DEFAULT)
    }
    assert read_settings("amends=true, half_spread_bp=5") == dataclasses.replace(DEFAULT, amends=True, half_spread_bp=5)
    assert read_settings("default") == DEFAULT
    assert read_settings("paces=0.5/0.25").paces == (0.5, 0.25)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("spread=1", "is no setting of a run: give NAME=VALUE; names are strategy, half_spread_bp"),
        ("amends", "'amends' is no setting of a run"),
        ("amends=perhaps", "settings of a run: Expected `bool`"),
        ("paces=0.5/fast", "settings of a run: Expected `float`"),
        ("account_usdc=much", "settings of a run: Expected `int`"),
        ("strategy=luck", "'luck' is no strategy that is simulated: there are two_sided"),
    ],
)
def test_settings_that_cannot_be_read(text: str, told: str) -> None:
    with pytest.raises(PastError, match=told):
        read_settings(text)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 300 none", "line 2 is no run: give SEED SECONDS SETTINGS FAULTS"),
        ("x 300 default none", "line 2 is no run"),
        ("1 long default none", "line 2 is no run"),
        ("1 1e99999999 default none", "line 2"),
        ("1 0 default none", "line 2: a seed is not below 0, and a span above 0 s"),
        ("-1 300 default none", "line 2: a seed is not below 0"),
        ("1 300 luck none", "line 2: 'luck' is no setting"),
        ("1 300 default 1:cut", "line 2: '1:cut' is no fault"),
    ],
)
def test_lines_that_cannot_be_read(line: str, told: str) -> None:
    with pytest.raises(PastError, match=told):
        list(read_runs(f"1 300 default none\n{line}"))
