"""The numbers of reconciliation."""

from __future__ import annotations

from dataclasses import dataclass

from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS, BackoffSettings
from hlhft.hyperliquid.reconcile_compare import Policy
from hlhft.hyperliquid.reconcile_questions import DEFAULTS as QUESTIONS
from hlhft.hyperliquid.reconcile_questions import QuestionSettings

_FROM_ZERO = frozenset({"watermark_ms", "assets_per_round", "transfers_ms", "peak_ns"})
_ANY = frozenset({"peak_micro"})  # an account that owes is below 0
_WAITS = BackoffSettings(first_ns=250 * MILLISECOND_NS, longest_ns=2 * SECOND_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """The numbers of reconciliation. Raises ValueError when one is out of range."""

    policy: Policy = Policy.CANCEL
    round_ns: int = 30 * SECOND_NS  # from the end of a round to the next of the slow lane
    seldom_rounds: int = 4  # fees, mode, transfers and fundings are read in one of so many rounds
    waits: BackoffSettings = _WAITS
    standing_readings: int = 5  # at so many in a row, and over
    standing_ms: int = 3_000  # so much block time, the same must differ to disagree
    leftover_readings: int = 10  # the same for orders that are being cancelled
    readings_max: int = 40  # of one round, after which whatever differs disagrees
    overlap_ms: int = 10_000  # how far before the last reading's block the next looks for fills
    tries_needless: int = 3  # of a question that a round can do without
    tries_reported: int = 5  # in vain, after which it is reported that a question is stuck
    assets_per_round: int = 2  # markets without a position whose leverage is read in a round
    watermark_ms: int = 0  # up to here an earlier session knew all; 0: there was none
    transfers_ms: int = 0  # `peak_micro` counts what was moved up to here; 0: there was no earlier session
    peak_micro: int = 0  # the highest equity that earlier sessions had within the last hour; 0: there is none
    peak_ns: int = 0  # when it counts from
    questions: QuestionSettings = QUESTIONS

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or name in _ANY:
                continue
            if value <= 0 and name not in _FROM_ZERO:
                raise ValueError(f"{name} of the reconciliation is {value}, and must be more than 0")
            if value < 0:
                raise ValueError(f"{name} of the reconciliation is {value}, and must be at least 0")
        if max(self.standing_readings, self.leftover_readings) > self.readings_max:
            raise ValueError(f"readings_max is {self.readings_max}: fewer readings than what disagrees must differ at")


DEFAULTS = ReconcileSettings()
