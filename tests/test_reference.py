"""The generated page is what the code says today."""

from __future__ import annotations

from tests import metrics_page
from tests.reference import METRICS, PAGE, README, page, readme_with_figures


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "docs/reference.md is old: run `make docs`"


def test_the_list_of_metrics_alerts_and_codes_is_current() -> None:
    assert METRICS.read_text() == metrics_page.page(), "docs/metrics.md is old: run `make docs`"


def test_the_readme_states_the_figures_that_were_measured() -> None:
    text = README.read_text()
    assert text == readme_with_figures(text), "README.md: old figures, run `make docs`"
