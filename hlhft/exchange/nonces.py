"""Which nonces a signer has used: the venue's set of the highest ones, not a counter (venue reference section 5.4).

Every signer, a master or an API wallet, has a set of its own. Nonces need not arrive in order; none is taken twice.
Time is the block's, in milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from msgspec import Struct

DAY_MS = 86_400_000
# The first is quoted by users (nomeida/hyperliquid issue 61, March 2025); the others are unverified, but clients look
# for the word nonce.
DUPLICATE_TEXT = "Invalid nonce: duplicate nonce {nonce}"
LOW_TEXT = "Invalid nonce: nonce {nonce} is not above the lowest of the last {kept}"
WINDOW_TEXT = "Invalid nonce: nonce {nonce} is outside the window around block time {now_ms}"
SIGNERS_TEXT = "Invalid nonce: too many signers"


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceSettings:
    """How many nonces are kept and how far from the block's time they may lie."""

    kept: int = 100
    past_ms: int = 2 * DAY_MS
    future_ms: int = DAY_MS
    # The reference asks for more than the smallest of the set. Until the set is full that would refuse the second of
    # two first nonces that change places on their way, though neither was used; whether the venue does is unverified.
    lowest_counts_from_first: bool = False
    signers_max: int = 65_536


DEFAULTS = NonceSettings()


class NonceState(Struct, frozen=True):
    """What a restart needs: the nonces of each signer, ascending."""

    used: dict[str, list[int]]


class Nonces:
    """The sets of all signers. Bounded: `kept` nonces a signer, `signers_max` signers.

    At the limit signers whose nonces all lie before the window are forgotten, which allows no replay; when none can be,
    a new signer is refused.
    """

    def __init__(self, settings: NonceSettings = DEFAULTS) -> None:
        self.settings = settings
        self._used: dict[str, list[int]] = {}

    def check(self, signer: str, nonce: int, now_ms: int) -> str | None:
        """Why the venue would refuse this nonce at block time `now_ms`, in words; None when it would take it."""
        settings = self.settings
        if not now_ms - settings.past_ms < nonce < now_ms + settings.future_ms:
            return WINDOW_TEXT.format(nonce=nonce, now_ms=now_ms)
        used = self._used.get(signer)
        if used is None:
            return None
        place = bisect_left(used, nonce)
        if place < len(used) and used[place] == nonce:
            return DUPLICATE_TEXT.format(nonce=nonce)
        if place == 0 and (settings.lowest_counts_from_first or len(used) >= settings.kept):
            return LOW_TEXT.format(nonce=nonce, kept=settings.kept)
        return None

    def use(self, signer: str, nonce: int, now_ms: int) -> str | None:
        """Uses the nonce up, whatever becomes of its action (a `noop` does nothing else), and returns None; or changes
        nothing and returns the refusal."""
        refusal = self.check(signer, nonce, now_ms)
        if refusal is not None:
            return refusal
        used = self._used.get(signer)
        if used is None:
            if len(self._used) >= self.settings.signers_max and not self._forget(now_ms):
                return SIGNERS_TEXT
            used = self._used.setdefault(signer, [])
        used.insert(bisect_left(used, nonce), nonce)
        if len(used) > self.settings.kept:
            del used[0]
        assert len(used) <= self.settings.kept, "a set keeps the highest nonces only"
        return None

    def used(self, signer: str) -> tuple[int, ...]:
        """The nonces kept of this signer, ascending."""
        return tuple(self._used.get(signer, ()))

    def state(self) -> NonceState:
        """A copy of all sets, for `from_state`."""
        return NonceState({signer: list(used) for signer, used in self._used.items()})

    @classmethod
    def from_state(cls, state: NonceState, settings: NonceSettings = DEFAULTS) -> Nonces:
        """The sets as they were."""
        made = cls(settings)
        made._used = {signer: list(used) for signer, used in state.used.items()}
        return made

    def _forget(self, now_ms: int) -> bool:
        """Forgets signers without a nonce in the window; whether there was one."""
        oldest_ms = now_ms - self.settings.past_ms
        gone = [signer for signer, used in self._used.items() if used[-1] <= oldest_ms]
        for signer in gone:
            del self._used[signer]
        return bool(gone)
