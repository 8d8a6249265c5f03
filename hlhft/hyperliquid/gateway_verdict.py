"""What the venue's refusal of a whole action means for the gateway, read from its text (venue reference section 4.4).

The exact texts of most refusals are unverified, so they are told by the words that clients in the wild match, in
either case; a text that no row knows is a plain refusal. Pure, and without compiled code.
"""

from __future__ import annotations

import re
from enum import IntEnum

POST_ONLY_WORDS = "only post-only orders allowed"  # of one order, or of a whole action
_USED_WORDS = ("duplicate", "already used")
_BUDGET = re.compile(r"\((\d{1,18}) > (\d{1,18})\)", re.ASCII)


class Verdict(IntEnum):
    """Why a whole action was refused."""

    REFUSED = 0  # for a reason that concerns this action only
    NONCE = 1  # used, too low or out of the window: which action it was that used it is not said
    EXPIRED = 2
    ADDRESS = 3  # the address has used up its actions
    USER = 4  # the signer or the account is unknown
    POST_ONLY = 5  # the window after an upgrade of the network


# The first row of which all words are in the text decides.
WORDS: tuple[tuple[Verdict, tuple[str, ...]], ...] = (
    (Verdict.NONCE, ("nonce",)),
    (Verdict.EXPIRED, ("expired",)),
    (Verdict.ADDRESS, ("cumulative requests",)),
    (Verdict.USER, ("user or api wallet", "does not exist")),
    (Verdict.USER, ("unable to recover signer",)),
    (Verdict.USER, ("must deposit before performing actions",)),
    (Verdict.USER, ("vault not registered",)),
    (Verdict.POST_ONLY, (POST_ONLY_WORDS,)),
)
# An action refused for one of these was looked at before its nonce was taken.
WITHOUT_NONCE = frozenset({Verdict.EXPIRED, Verdict.ADDRESS, Verdict.USER})


def verdict(text: str) -> Verdict:
    """What a whole action's refusal means."""
    low = text.lower()
    for found, words in WORDS:
        if all(word in low for word in words):
            return found
    return Verdict.REFUSED


def is_used(text: str) -> bool:
    """Whether the refusal of a nonce says that the nonce was used before, and not that it is too low or too far off."""
    low = text.lower()
    return any(word in low for word in _USED_WORDS)


def budget_of(text: str) -> tuple[int, int] | None:
    """(used, allowed) actions of the address, from "Too many cumulative requests sent (97460 > 97456) ...", where used
    counts what was refused; None when the text does not say it."""
    found = _BUDGET.search(text)
    return None if found is None else (int(found[1]), int(found[2]))
