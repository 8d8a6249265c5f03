"""Selectors name what is in the list of metrics, and nothing else can be written."""

from __future__ import annotations

import pytest

from hlhft.monitor.metrics import METRICS, Kind, Metric
from hlhft.monitor.queries import buckets, increase, quantile, rate, select
from hlhft.monitor.selectors import faults_of


def test_a_metric_of_an_account_and_a_market_is_asked_for_those_that_are_shown() -> None:
    assert select("profit_usdc", part="fees") == (
        'hlhft_profit_usdc{account="$account", market=~"$market", part="fees"}'
    )
    assert select("watchdog_orders") == 'hlhft_watchdog_orders{account="$account"}'
    assert select("recorder_gap_open") == "hlhft_recorder_gap_open"


def test_a_label_is_matched_exactly_or_alike() -> None:
    assert select("host_cpu_seconds_total", mode="~user|irq") == 'hlhft_host_cpu_seconds_total{mode=~"user|irq"}'
    assert select("host_cpu_seconds_total", mode="user") == 'hlhft_host_cpu_seconds_total{mode="user"}'


def test_rates_and_increases_are_of_counters() -> None:
    assert rate("frames_total") == 'rate(hlhft_frames_total{account="$account"}[$__rate_interval])'
    assert increase("recorder_gaps_total", "1h") == "increase(hlhft_recorder_gaps_total[1h])"
    for function in (rate, increase):
        with pytest.raises(ValueError, match="hlhft_halted is no counter"):
            function("halted")


def test_a_histogram_is_asked_for_its_buckets() -> None:
    assert buckets("step_seconds") == (
        'sum by (le) (increase(hlhft_step_seconds_bucket{account="$account"}[$__rate_interval]))'
    )
    assert quantile(0.99, "inference_seconds") == (
        "histogram_quantile(0.99, sum by (le) (rate(hlhft_inference_seconds_bucket[$__rate_interval])))"
    )
    with pytest.raises(ValueError, match="hlhft_step_seconds is a histogram"):
        select("step_seconds")
    for wrong in (lambda: buckets("halted"), lambda: quantile(0.5, "halted")):
        with pytest.raises(ValueError, match="hlhft_halted is no histogram"):
            wrong()


def test_what_is_not_in_the_list_cannot_be_asked() -> None:
    for ask in (select, rate, increase, buckets):
        with pytest.raises(KeyError, match="hlhft_nothing"):
            ask("nothing")
    with pytest.raises(KeyError, match="hlhft_halted has no label market"):
        select("halted", market="BTC")
    with pytest.raises(KeyError, match="hlhft_recorder_gap_open has no label account"):
        select("recorder_gap_open", account="0x1")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_can_be_asked_for(metric: Metric) -> None:
    name = metric.name.removeprefix("hlhft_")
    asked = buckets(name) if metric.kind is Kind.HISTOGRAM else select(name)
    assert not faults_of(asked)
