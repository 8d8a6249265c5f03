"""What the terminal shows of a finished backtest."""

from __future__ import annotations

import io
import re

from rich.console import Console

from hlhft.cli.summary import summary
from hlhft.report.numbers import MINUS
from hlhft.report.results import Results
from tests.report.histories import PERPETUAL, History, results, scenario, traded


def shown(found: Results, *, width: int = 100, colour: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=colour, color_system="standard" if colour else None)
    for part in summary(found):
        console.print(part, highlight=False)
    return text.getvalue()


def test_the_scenarios_stand_side_by_side() -> None:
    top = scenario(traded(6), "top rebate, maker -0.3 bp", -30_000)
    text = shown(results(scenario(traded(-6)), top))
    lines = text.splitlines()
    assert any(line.split() == ["new", "account", "top", "rebate"] for line in lines)
    assert any(line.split() == ["profit", f"{MINUS}6.00", "+6.00"] for line in lines)
    assert any(line.split() == ["spread", "captured", f"{MINUS}6.00", "+6.00"] for line in lines)
    assert "2023-11-14 22:13:20 to 22:23:20 UTC, 10 min" in text
    assert text.index("Risk") < text.index("It would have made money only with the top rebate")
    assert "cannot tell skill from chance" in text
    assert "Place in the queue" not in text


def test_gains_and_losses_have_colours() -> None:
    text = shown(results(scenario(traded(-6))), colour=True)
    assert re.search(rf"\x1b\[1;31m *{MINUS}6\.00\x1b\[0m", text)


def test_it_fits_a_terminal_of_eighty_columns() -> None:
    found = results(*(scenario(traded(6), name) for name in ("new account, maker +1.5 bp", "tier 4, maker 0 bp", "x")))
    assert max(map(len, shown(found, width=80).splitlines())) <= 80


def test_nothing_is_shown_without_remarks() -> None:
    text = shown(results(scenario(History([PERPETUAL]))))
    assert text.strip().endswith("It did not trade at all, so it neither made nor lost anything.")
