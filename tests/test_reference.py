"""The generated page is what the code says today."""

from __future__ import annotations

from tests import metrics_page
from tests.reference import (
    METRICS,
    PAGE,
    README,
    SIMULATION,
    page,
    readme_with_figures,
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
