"""Signals as rows of the core, written alike by a running engine and by a track that is made for a backtest."""

from __future__ import annotations

from hlhft.alpha.wire import Signal
from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.decode import Row

_VISIBLE = int(EventFlag.LOCAL_VISIBLE)
_SIGNAL, _POLICY = int(EventKind.SIGNAL), int(EventKind.POLICY)


def signal_row(signal: Signal, *, now_ns: int, time_to_live_ns: int, move_e9_max: int) -> Row:
    """A signal that is no abstention, heard at `now_ns`: its move cut to the bound, until when it counts counted from
    the data that it is made of."""
    move_e9 = min(max(signal.mu_e9, -move_e9_max), move_e9_max)
    return (
        signal.data_ns, now_ns, move_e9, signal.sigma_e9, signal.sequence, signal.data_ns + time_to_live_ns,
        signal.model_id, _SIGNAL, _VISIBLE, signal.market, 0, 0,
    )  # fmt: skip


def ended_row(signal: Signal, *, now_ns: int) -> Row:
    """An abstention that ends the signal that stands, heard at `now_ns`."""
    return (now_ns, now_ns, 0, 0, signal.sequence, 0, 0, _SIGNAL, _VISIBLE, signal.market, 0, 0)


def policy_row(signal: Signal, *, now_ns: int, observed_ns: int, time_to_live_ns: int) -> Row:
    """What a policy decided on what it was shown at `observed_ns`, heard at `now_ns`."""
    gamma, weight, spread, asymmetry = signal.action_e6
    return (
        observed_ns, now_ns, gamma, weight, spread, observed_ns + time_to_live_ns, asymmetry, _POLICY, _VISIBLE,
        signal.market, 0, 0,
    )  # fmt: skip
