"""The rows that answer a question: each market alone, models by what they are worth, the host by its processors."""

from __future__ import annotations

from hlhft.config.settings import Config
from hlhft.monitor.board_detail import ALPHA, HOST, MARKET, SAFETY
from hlhft.monitor.metrics import METRICS, Source
from hlhft.monitor.panels import Colour, Row, Step
from hlhft.monitor.selectors import metric_of, selectors


def expression(row: Row, title: str) -> str:
    return next(panel for panel in row.panels if panel.title == title).queries[0].expression


def sources(row: Row) -> set[Source]:
    metrics = {
        metric_of(selector.name)
        for panel in row.panels
        for query in panel.queries
        for selector in selectors(query.expression)
    }
    return {metric.source for metric in metrics if metric is not None}


def test_the_row_of_a_market_is_repeated_and_asks_for_that_market_alone() -> None:
    assert MARKET.repeat == "market"
    assert not any(row.repeat for row in (SAFETY, ALPHA, HOST))
    for panel in MARKET.panels:
        for query in panel.queries:
            assert all(("market", "=~", "$market") in selector.matchers for selector in selectors(query.expression)), (
                panel.title
            )


def test_a_hit_is_judged_against_misses_and_surprise_against_all_that_was_judged() -> None:
    hits = expression(ALPHA, "Hit rate")
    assert 'outcome="hit"' in hits.partition(" / ")[0]
    assert 'outcome=~"hit|miss"' in hits.partition(" / ")[2]
    calibration = expression(ALPHA, "Calibration")
    assert [selector.name for selector in selectors(calibration)] == [
        "hlhft_signal_surprise_total",
        "hlhft_signals_judged_total",
    ]
    assert "outcome=" not in calibration
    assert next(panel for panel in ALPHA.panels if panel.title == "Calibration").steps[1] == Step(0.5, Colour.GOOD)


def test_isolated_processors_are_judged_by_what_is_not_idle() -> None:
    busy = expression(HOST, "Isolated processors")
    assert "idle" not in busy
    assert "hlhft_host_cpu_isolated == 1" in busy


def test_rows_show_what_their_processes_know() -> None:
    assert sources(MARKET) == {Source.ENGINE}
    assert sources(SAFETY) == {Source.ENGINE, Source.WATCHDOG}
    assert sources(ALPHA) == {Source.ENGINE, Source.ALPHA}
    assert sources(HOST) == {Source.ENGINE, Source.RECORDER, Source.EXPORTER}
    assert {metric.source for metric in METRICS} == {*Source}


def test_limits_are_the_settings() -> None:
    limits = {
        panel.title: panel.steps[-1].value for row in (SAFETY, ALPHA, HOST) for panel in row.panels if panel.steps
    }
    settings = Config()
    assert limits["Silence of the engine"] == settings.watchdog.silence_ms_max / 1000
    assert limits["Silence of the connections"] == settings.risk.feed_age_ms_max / 1000
    assert limits["Age of the signals"] == settings.alpha.time_to_live_ms / 1000
    assert limits["Recorder's backlog"] == settings.recorder.queue_mib * 1024 * 1024
    assert limits["Agreement with the venue"] == 3 * settings.engine.reconcile_ms / 1000
