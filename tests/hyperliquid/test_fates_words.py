"""Every word of the venue about orders has a meaning, and its codes are those of the venue's own table."""

from __future__ import annotations

import pytest

from hlhft.exchange.order_records import STATUS_OF
from hlhft.hyperliquid.fates_words import DURING_MODIFY, ERRORS, STATUSES, Code, Says, error_code, says_used
from hlhft.venue.refusals import TEXT, Refusal

# Venue reference section 3.2.
REFERENCE = """
open filled canceled triggered rejected marginCanceled vaultWithdrawalCanceled openInterestCapCanceled
selfTradeCanceled reduceOnlyCanceled siblingFilledCanceled delistedCanceled liquidatedCanceled outcomeSettledCanceled
scheduledCancel internalCancel tickRejected minTradeNtlRejected perpMarginRejected reduceOnlyRejected badAloPxRejected
iocCancelRejected badTriggerPxRejected marketOrderNoLiquidityRejected positionIncreaseAtOpenInterestCapRejected
positionFlipAtOpenInterestCapRejected tooAggressiveAtOpenInterestCapRejected openInterestIncreaseRejected
insufficientSpotBalanceRejected oracleRejected perpMaxPositionRejected tooManyOpenOrdersRejected
"""
REFERENCE_WORDS = REFERENCE.split()


def test_every_status_of_the_reference_has_a_row() -> None:
    assert set(STATUSES) == set(REFERENCE_WORDS)


@pytest.mark.parametrize("word", REFERENCE_WORDS)
def test_a_status_says_what_its_name_says(word: str) -> None:
    says = STATUSES[word].says
    assert (says is Says.REJECTED) is word.lower().endswith("rejected")
    assert (says is Says.ENDED) is ("cancel" in word.lower() and not word.endswith("Rejected"))


def test_the_codes_are_the_venues() -> None:
    for code in Code:
        assert Refusal[code.name] == code


def test_the_codes_of_statuses_are_the_venues() -> None:
    for refusal, word in STATUS_OF.items():
        if word not in (None, "rejected", "canceled") and refusal is not Refusal.TOO_MANY_TRIGGERS:
            assert STATUSES[str(word)].code == refusal
    assert STATUSES["canceled"].code is Code.REQUESTED


@pytest.mark.parametrize("code", list(Code), ids=lambda one: one.name)
def test_the_venues_own_text_of_a_code_is_recognised(code: Code) -> None:
    text = TEXT[Refusal(code)]
    if any(known is code for _, known in ERRORS) and code is not Code.NONE:
        assert error_code(text) is code
        assert error_code(f"{text} asset=1") is code


def test_no_text_stands_behind_one_that_it_begins_with() -> None:
    for place, (text, _) in enumerate(ERRORS):
        assert not any(text.startswith(earlier) for earlier, _ in ERRORS[:place])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Post only order would have immediately matched, bbo was 1@2. asset=1", Code.BAD_ALO_PRICE),
        (DURING_MODIFY + "Insufficient margin to place order.", Code.MARGIN),
        ("Order value too large. Max is $5000000.", Code.ORDER_TOO_LARGE),
        ("L1 error: User or API Wallet 0xab does not exist.", Code.NONE),
        ("Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $1.", Code.NONE),
        ("Something that nobody has seen", None),
        ("", None),
    ],
)
def test_an_error_is_told_by_how_it_begins(text: str, code: Code | None) -> None:
    assert error_code(text) is code


@pytest.mark.parametrize(
    ("text", "is_used"),
    [("Invalid nonce: duplicate nonce.", True), ("Nonce too low", True), ("Action already expired", False)],
)
def test_a_used_nonce_is_heard_in_any_wording(text: str, is_used: bool) -> None:
    assert says_used(text) is is_used
