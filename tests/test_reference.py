"""The generated page is what the code says today."""

from __future__ import annotations

import pytest

from hlhft.simulation.tally import Entry
from tests import metrics_page
from tests.reference import (
    METRICS,
    PAGE,
    README,
    SIMULATION,
    page,
    readme_with_figures,
    simulated_hours,
    simulation_with_tables,
)


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "docs/reference.md is old: run `make docs`"


def test_the_list_of_metrics_alerts_and_codes_is_current() -> None:
    assert METRICS.read_text() == metrics_page.page(), "docs/metrics.md is old: run `make docs`"


def test_the_readme_states_the_figures_that_were_measured() -> None:
    text = README.read_text()
    assert text == readme_with_figures(text), "README.md: old figures, run `make docs`"


def test_the_page_of_the_simulation_lists_its_promises_and_faults() -> None:
    text = SIMULATION.read_text()
    assert text == simulation_with_tables(text), "docs/simulation.md is old: run `make docs`"


def tallied(revision: str, first_seed: int, hours: float, *broken: int) -> Entry:
    return Entry(
        at=f"day {first_seed}", revision=revision, first_seed=first_seed, seeds=2, hours=hours, events=9, actions=1_000,
        sessions=1, faults={"cut": 3, "mute": 4}, violations=[*broken],
    )  # fmt: skip


def test_the_hours_of_a_revision_are_its_own_with_what_broke() -> None:
    entries = [
        tallied("0.1 bcd", 3, 600.25), tallied("0.1 bcd", 1, 500), tallied("0.1 abc", 9, 9_000, 9),
        tallied("0.1 bcd", 7, 10),
    ]  # fmt: skip
    assert simulated_hours(entries, "bc").replace("\n", " ") == (
        "Revision bc ran for 1,110.2 virtual hours, until day 7, with 3,000 actions and 21 faults; "
        "promises broken: none."
    )
    broke = simulated_hours([*entries, tallied("0.1 bcd", 11, 1, 11, 12)], "bc").replace("\n", " ")
    assert broke.endswith("promises broken: seed 11, seed 12.")
    with pytest.raises(ValueError, match="empty"):
        simulated_hours(entries, "d")
