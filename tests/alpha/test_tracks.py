"""Tracks: the process's own machine over rows, and events that arrive when they would have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.serving.machine import Settings
from hlhft.alpha.tracks import QUANTILES, Latency, LatencyError, assumed, measured, signals_over, track_events
from hlhft.alpha.wire import Flag, Reason
from hlhft.events import EventKind
from tests.alpha.linked import SCHEMA
from tests.alpha.serving.shells import LENGTH, served
from tests.alpha.wired import BEGIN_NS, RESET, STEP_NS, VALID, rows_of, signal_of

MS = 1_000_000
NAMES = ("BTC", "ETH")
PLAIN = Settings()


def pieces(count: int, *, market: int = 0, at: int = 1) -> tuple[np.ndarray, np.ndarray]:
    heads, values = rows_of(at, count, market=market, features=SCHEMA.columns)
    heads["flags"][0] = VALID | RESET
    return heads, values


def test_every_row_with_a_window_is_a_signal_however_the_rows_are_cut() -> None:
    heads, values = pieces(20)
    whole = list(signals_over([(heads, values)], served(), NAMES, PLAIN))
    cut = [(heads[first : first + 3], values[first : first + 3]) for first in range(0, 20, 3)]
    assert list(signals_over(cut, served(), NAMES, PLAIN)) == whole
    said = [signal for signal in whole if not signal.flags]
    assert [signal.sequence for signal in said] == list(range(LENGTH, 21))
    for signal in said:
        assert signal.mu_e9 == round(float(values[signal.sequence - 1, 0]) * 100_000)
        assert signal.data_ns == signal.sent_ns == BEGIN_NS + signal.sequence * STEP_NS


def test_markets_are_apart_and_a_beginning_abstains() -> None:
    (heads, values), (more_heads, more_values) = pieces(10), pieces(10, market=1)
    order = np.argsort(np.concatenate([heads["ts_local_ns"], more_heads["ts_local_ns"]]), kind="stable")
    both = np.concatenate([heads, more_heads])[order], np.concatenate([values, more_values])[order]
    said = list(signals_over([both], served(), NAMES, PLAIN))
    for market in (0, 1):
        own = [signal for signal in said if signal.market == market]
        assert own[0].reason == Reason.FILLING
        assert [signal.sequence for signal in own if not signal.flags] == list(range(LENGTH, 11))


def test_silence_ends_a_signal_offline_as_it_does_live() -> None:
    heads, values = pieces(12)
    heads["ts_local_ns"][8:] += 10_000_000_000
    said = list(signals_over([(heads, values)], served(), NAMES, PLAIN))
    assert Reason.STALE in {Reason(signal.reason) for signal in said}


def test_events_arrive_after_their_latency_and_abstentions_end_what_stands() -> None:
    abstains = {"flags": int(Flag.ABSTAINS), "reason": int(Reason.GAP), "mu_e9": 0, "sigma_e9": 0}
    said = [
        signal_of(**abstains),  # nothing stands
        signal_of(sequence=6, sent_ns=BEGIN_NS + MS, data_ns=BEGIN_NS + MS),
        signal_of(sequence=6, sent_ns=BEGIN_NS + 2 * MS, **abstains),
        signal_of(sequence=7, sent_ns=BEGIN_NS + 3 * MS, data_ns=BEGIN_NS - 1000 * MS),  # too old when it arrives
        signal_of(sequence=8, sent_ns=BEGIN_NS + 4 * MS, data_ns=BEGIN_NS + 4 * MS, mu_e9=10**8),
    ]
    events = track_events(said, assumed(3 * MS), time_to_live_ns=1000 * MS, move_e9_max=10**6, seed=1)
    assert list(events["ts_local_ns"]) == [BEGIN_NS + ms * MS for ms in (4, 5, 7)]
    assert list(events["order_id"]) == [6, 6, 8] and list(events["price_ticks"]) == [20_000, 0, 10**6]
    assert list(events["aux0"]) == [BEGIN_NS + 1001 * MS, 0, BEGIN_NS + 1004 * MS]
    assert set(events["kind"]) == {EventKind.SIGNAL}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(0, 9))
def test_drawn_latencies_keep_the_order_and_are_the_same_for_the_same_seed(steps: list[int], seed: int) -> None:
    times = BEGIN_NS + np.cumsum(steps) * MS
    said = [signal_of(sequence=place, sent_ns=int(at), data_ns=int(at)) for place, at in enumerate(times)]
    latency = Latency(tuple(range(0, 40 * MS, MS)), 5 * MS, "made up")
    made = [
        track_events(said, latency, time_to_live_ns=1000 * MS, move_e9_max=10**6, seed=seed).tobytes() for _ in "ab"
    ]
    assert made[0] == made[1]
    events = track_events(said, latency, time_to_live_ns=1000 * MS, move_e9_max=10**6, seed=seed)
    assert list(events["order_id"]) == list(range(len(said)))
    assert (np.diff(events["ts_local_ns"]) >= 0).all() and (events["ts_local_ns"] >= times).all()


def test_what_was_measured_is_drawn_between_its_quantiles() -> None:
    latency = Latency((100, 200, 400), 50, "")
    assert [latency.drawn(lambda at=at: at) for at in (0.0, 0.25, 0.5, 0.75, 0.999999, 1.0)] == [
        100, 150, 200, 300, 399, 400,
    ]  # fmt: skip
    assert latency.transport_ns == 150
    assert (assumed(7).compute_ns, assumed(7).transport_ns, assumed(7).drawn(lambda: 0.3)) == (0, 7, 7)


def write(path: Path, **changes: object) -> Path:
    rising = list(range(QUANTILES))
    whole = {"version": 1, "unit": "ns", "count": 9, "compute": rising, "whole": [10 * each for each in rising]}
    path.write_text(json.dumps({**whole, **changes}))
    return path


def test_measured_times_are_read_and_others_refused(tmp_path: Path) -> None:
    found = measured(write(tmp_path / "l.json"))
    assert (found.compute_ns, found.transport_ns, found.whole_ns[100]) == (50, 450, 1000)
    assert "9 signals" in found.words
    for changes in (
        {"version": 2}, {"unit": "us"}, {"whole": [1]}, {"whole": [-1] * QUANTILES}, {"more": 1},
        {"whole": list(range(QUANTILES, 0, -1))},
    ):  # fmt: skip
        with pytest.raises(LatencyError):
            measured(write(tmp_path / "l.json", **changes))
    (tmp_path / "l.json").write_bytes(b"\x80\x04")
    with pytest.raises(LatencyError):
        measured(tmp_path / "l.json")
