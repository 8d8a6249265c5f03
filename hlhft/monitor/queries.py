"""PromQL over the list of metrics: a selector can only name a metric and labels that are there.

Names are said without their common `hlhft_`. A metric of an account is asked for the account that the dashboard shows,
a metric of a market for the markets that it shows; what else is matched is said by the caller.
"""

from __future__ import annotations

from hlhft.monitor.metrics import BY_NAME, PROCESS_LABELS, Kind, Metric

# Variables of the dashboard, and the window that Grafana makes of step and scrape interval: never less than four
# scrapes, so that a rate always has its two values.
ACCOUNT, MARKET, WINDOW, RANGE = "$account", "$market", "$__rate_interval", "$__range"


def select(name: str, **matchers: str) -> str:
    """The series of a gauge or counter; `matchers` are label and value, equal, or alike where it begins with "~".

    Raises KeyError for a metric or a label that is not in the list, ValueError for a histogram, which has no value.
    """
    metric = BY_NAME[f"hlhft_{name}"]
    if metric.kind is Kind.HISTOGRAM:
        raise ValueError(f"{metric.name} is a histogram: ask for its buckets or a quantile")
    return _selector(metric, metric.name, matchers)


def rate(name: str, window: str = WINDOW, **matchers: str) -> str:
    """How much a counter grows a second. Raises as `select`, and ValueError for a gauge."""
    return f"rate({_counter(name, matchers)}[{window}])"


def increase(name: str, window: str = WINDOW, **matchers: str) -> str:
    """How much a counter grew within a window. Raises as `select`, and ValueError for a gauge."""
    return f"increase({_counter(name, matchers)}[{window}])"


def buckets(name: str) -> str:
    """How much came into each bucket of a histogram within a window: what a heat map is made of.

    Raises KeyError for a metric that is not in the list, ValueError for one that is no histogram.
    """
    return f"sum by (le) (increase({_buckets(name)}[{WINDOW}]))"


def quantile(share: float, name: str) -> str:
    """The time that `share` of a histogram's values stayed within. Raises as `buckets`."""
    return f"histogram_quantile({share:g}, sum by (le) (rate({_buckets(name)}[{WINDOW}])))"


def _counter(name: str, matchers: dict[str, str]) -> str:
    if BY_NAME[f"hlhft_{name}"].kind is not Kind.COUNTER:
        raise ValueError(f"hlhft_{name} is no counter: it may fall, so it has no rate")
    return select(name, **matchers)


def _buckets(name: str) -> str:
    metric = BY_NAME[f"hlhft_{name}"]
    if metric.kind is not Kind.HISTOGRAM:
        raise ValueError(f"{metric.name} is no histogram: it has no buckets")
    return _selector(metric, f"{metric.name}_bucket", {})


def _selector(metric: Metric, name: str, matchers: dict[str, str]) -> str:
    process_labels = PROCESS_LABELS[metric.source]
    if unknown := matchers.keys() - {*metric.labels, *process_labels}:
        raise KeyError(f"{metric.name} has no label {', '.join(sorted(unknown))}")
    parts = [f'account="{ACCOUNT}"'] if "account" in process_labels else []
    if "market" in metric.labels:
        parts.append(f'market=~"{MARKET}"')
    for label, value in matchers.items():
        parts.append(f'{label}=~"{value[1:]}"' if value.startswith("~") else f'{label}="{value}"')
    return f"{name}{{{', '.join(parts)}}}" if parts else name
