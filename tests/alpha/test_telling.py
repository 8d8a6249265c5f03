"""A signal becomes the event that the core is made to hear."""

from __future__ import annotations

import numpy as np

from hlhft.alpha.telling import ended_row, policy_row, signal_row
from hlhft.events import EVENT_DTYPE, EventKind
from tests.alpha.wired import BEGIN_NS, signal_of

NOW = BEGIN_NS + 500


def event(row: tuple[int, ...]) -> np.void:
    made: np.void = np.array([row], EVENT_DTYPE)[0]
    return made


def test_a_signal_counts_from_its_data_on_and_its_move_is_cut() -> None:
    for mu_e9, cut in ((20_000, 20_000), (-(2**63), -30_000), (2**62, 30_000)):
        made = event(signal_row(signal_of(mu_e9=mu_e9, market=3), now_ns=NOW, time_to_live_ns=1000, move_e9_max=30_000))
        assert made["kind"] == EventKind.SIGNAL and made["market"] == 3
        assert (made["ts_exch_ns"], made["ts_local_ns"], made["aux0"]) == (BEGIN_NS, NOW, BEGIN_NS + 1000)
        assert (made["price_ticks"], made["size_lots"], made["order_id"], made["aux1"]) == (cut, 100_000, 5, 77)


def test_an_abstention_ends_what_stands_at_once() -> None:
    made = event(ended_row(signal_of(), now_ns=NOW))
    assert made["kind"] == EventKind.SIGNAL and made["aux0"] == 0
    assert (made["price_ticks"], made["size_lots"], made["ts_local_ns"]) == (0, 0, NOW)


def test_a_decision_counts_from_what_it_was_made_on() -> None:
    made = event(policy_row(signal_of(action_e6=(4, 3, 2, -1)), now_ns=NOW, observed_ns=NOW - 7, time_to_live_ns=10))
    assert made["kind"] == EventKind.POLICY
    assert [made[name] for name in ("price_ticks", "size_lots", "order_id", "aux1")] == [4, 3, 2, -1]
    assert (made["ts_exch_ns"], made["ts_local_ns"], made["aux0"]) == (NOW - 7, NOW, NOW + 3)
