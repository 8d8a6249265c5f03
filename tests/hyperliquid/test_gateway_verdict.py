"""Refusals of whole actions, by the words of the venue and of the embedded exchange."""

from __future__ import annotations

import pytest

from hlhft.exchange import addresses, limits, machine, nonces
from hlhft.hyperliquid.gateway_verdict import Verdict, budget_of, is_used, verdict
from hlhft.venue.refusals import TEXT, Refusal

USED = nonces.DUPLICATE_TEXT.format(nonce=7)
LOW = nonces.LOW_TEXT.format(nonce=7, kept=100)
WINDOW = nonces.WINDOW_TEXT.format(nonce=7, now_ms=9)
# Venue reference section 4.4.
BUDGET = (
    "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87457.46. Place taker orders to "
    "free up 1 request per USDC traded."
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (USED, Verdict.NONCE),
        (LOW, Verdict.NONCE),
        (WINDOW, Verdict.NONCE),
        ("Duplicate NONCE", Verdict.NONCE),
        (machine.EXPIRED, Verdict.EXPIRED),
        (BUDGET, Verdict.ADDRESS),
        (limits.REQUESTS_TEXT.format(used=3, cap=2, volume="1.0"), Verdict.ADDRESS),
        (addresses.UNKNOWN_TEXT.format(address="0x" + 40 * "1"), Verdict.USER),
        ("L1 error: User or API Wallet 0x12 does not exist.", Verdict.USER),
        ("Unable to recover signer.", Verdict.USER),
        ("Must deposit before performing actions. User: 0x12", Verdict.USER),
        ("Vault not registered: 0x12", Verdict.USER),
        (TEXT[Refusal.POST_ONLY_WINDOW], Verdict.POST_ONLY),
        ("Signed action over weight limit of 200.", Verdict.REFUSED),
        ("Token 7 does not exist.", Verdict.REFUSED),
        ("", Verdict.REFUSED),
    ],
)
def test_texts_have_their_meaning(text: str, meaning: Verdict) -> None:
    assert verdict(text) is meaning


def test_a_nonce_is_used_or_merely_out_of_bounds() -> None:
    assert is_used(USED)
    assert not is_used(LOW) and not is_used(WINDOW)


def test_the_budget_of_an_address_is_read_from_the_refusal() -> None:
    assert budget_of(BUDGET) == (97460, 97456)
    assert budget_of("Too many cumulative requests sent") is None
    assert budget_of("(99999999999999999999 > 1)") is None
