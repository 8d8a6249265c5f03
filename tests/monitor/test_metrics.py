"""The list of metrics keeps Prometheus's conventions, and agrees with what names metrics elsewhere."""

from __future__ import annotations

import re

import pytest

from hlhft.core.risk import BREAKERS, Breaker
from hlhft.monitor.metrics import BY_NAME, METRICS, Kind, Metric


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_keeps_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"hlhft(_[a-z0-9]+)+", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    if metric.kind is Kind.HISTOGRAM:
        assert metric.name.endswith("_seconds")
    assert (metric.help.endswith(".") and metric.help[0].isupper()) or metric.help[0] == "1"


def test_no_name_is_there_twice() -> None:
    assert len(BY_NAME) == len(METRICS)


def test_every_metric_that_a_breaker_names_is_in_the_list() -> None:
    named = {rule.metric for breaker, rule in BREAKERS.items() if breaker is not Breaker.NONE}
    assert named - BY_NAME.keys() == set()
