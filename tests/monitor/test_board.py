"""The dashboard shows every metric, asks only for what is in the list, and fits the screen that it is for."""

from __future__ import annotations

import pytest

from hlhft.monitor.board import BOARDS, HLHFT, ONLY_FOR_QUESTIONS, VARIABLES, expressions, panels
from hlhft.monitor.metrics import BY_NAME, METRICS
from hlhft.monitor.panels import HEADER_HEIGHT, View, below, placed
from hlhft.monitor.selectors import faults_of, metric_of, selectors

ASKED = expressions(account="0x1", market="BTC|ETH")
WRITTEN = sorted({query.expression for board in BOARDS for panel in panels(board) for query in panel.queries})


@pytest.mark.parametrize("expression", [*WRITTEN, *(each.expression for each in HLHFT.annotations)])
def test_an_expression_selects_what_is_in_the_list_by_labels_that_are_there(expression: str) -> None:
    assert selectors(expression)
    assert not faults_of(expression)


def test_every_metric_is_shown_or_says_why_not() -> None:
    shown = {metric_of(selector.name) for expression in WRITTEN for selector in selectors(expression)}
    missing = {metric.name for metric in METRICS if metric not in shown}
    assert missing == set(ONLY_FOR_QUESTIONS)
    assert ONLY_FOR_QUESTIONS.keys() <= BY_NAME.keys()


def test_the_variables_are_filled_from_the_list() -> None:
    assert [variable.name for variable in VARIABLES] == ["account", "market"]
    for variable in VARIABLES:
        (selector,) = selectors(variable.selector)
        metric = metric_of(selector.name)
        assert metric is not None
        assert not faults_of(f"sum by ({variable.label}) ({variable.selector})")


def test_expressions_are_asked_with_the_values_of_all_variables() -> None:
    assert not any("$" in expression for expression in ASKED)
    assert len(ASKED) == len(set(ASKED)) == len({*WRITTEN, *(each.expression for each in HLHFT.annotations)})
    assert 'hlhft_profit_usdc{account="0x1", market=~"BTC|ETH"}' in ASKED
    assert 'rate(hlhft_frames_total{account="0x1"}[20s])' in ASKED
    one_hour = expressions(account="", window="7s", range_="3h")
    assert any("[3h]" in each for each in one_hour)
    assert any("[7s]" in each for each in one_hour)


def test_the_overview_is_first_and_fits_one_screen() -> None:
    overview = HLHFT.rows[0]
    assert overview.is_open
    assert below(placed(overview.panels, HEADER_HEIGHT), 0) <= 20


def test_titles_are_there_once_within_a_row_and_every_panel_says_what_it_shows() -> None:
    titles = [row.title for row in HLHFT.rows]
    assert len(set(titles)) == len(titles)
    for row in HLHFT.rows:
        assert len({panel.title for panel in row.panels}) == len(row.panels), row.title
        for panel in row.panels:
            assert panel.description.endswith("."), panel.title
            assert panel.description[0].isupper() or panel.description[0].isdigit() or panel.title.startswith("State")


def test_what_has_states_has_a_word_for_each() -> None:
    for panel in panels(HLHFT):
        if panel.view is View.STATES:
            assert {word.value for word in panel.words} == {0, 1}, panel.title


def test_steps_climb() -> None:
    for panel in panels(HLHFT):
        values = [step.value for step in panel.steps]
        assert not values or (
            values[0] is None and values[1:] == sorted(value for value in values if value is not None)
        )
