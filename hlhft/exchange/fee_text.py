"""The fee schedule and an account's rates and volumes, as `userFees` shows them (venue reference section 10)."""

from __future__ import annotations

from hlhft.exchange.candles import DAY_MS
from hlhft.exchange.fill_records import MICRO_DECIMALS
from hlhft.exchange.memory import AccountRecords
from hlhft.exchange.records import Records
from hlhft.exchange.volumes import date_text
from hlhft.hyperliquid.wire import answer_number

DAYS_SHOWN = 15
_RATE_DECIMALS = 9

# (volume in 14 days in USDC, taker, maker) in 1e-9; section 10.
TIERS: tuple[tuple[int, int, int], ...] = (
    (0, 450_000, 150_000),
    (5_000_000, 400_000, 120_000),
    (25_000_000, 350_000, 80_000),
    (100_000_000, 300_000, 40_000),
    (500_000_000, 280_000, 0),
    (2_000_000_000, 260_000, 0),
    (7_000_000_000, 240_000, 0),
)
# (share of maker volume in 14 days in 1e-3, rebate in 1e-9).
REBATES: tuple[tuple[int, int], ...] = ((5, -10_000), (15, -20_000), (30, -30_000))
STAKING: tuple[tuple[str, str], ...] = (
    ("0.0", "0.0"),
    ("0.0001", "0.05"),
    ("0.001", "0.1"),
    ("0.01", "0.15"),
    ("0.1", "0.2"),
    ("1.0", "0.3"),
    ("5.0", "0.4"),
)


def rate(rate_e9: int) -> str:
    """A fee rate of whole 1e-9."""
    return answer_number(rate_e9, _RATE_DECIMALS)


def schedule() -> dict[str, object]:
    """The shape of `feeSchedule`; spot pays as perpetuals do here."""
    _, cross, add = TIERS[0]
    return {
        "cross": rate(cross),
        "add": rate(add),
        "spotCross": rate(cross),
        "spotAdd": rate(add),
        "tiers": {
            "vip": [
                {
                    "ntlCutoff": answer_number(volume, 0),
                    "cross": rate(taker),
                    "add": rate(maker),
                    "spotCross": rate(taker),
                    "spotAdd": rate(maker),
                }
                for volume, taker, maker in TIERS[1:]
            ],
            "mm": [{"makerFractionCutoff": answer_number(share, 3), "add": rate(paid)} for share, paid in REBATES],
        },
        "referralDiscount": "0.04",
        "stakingDiscountTiers": [{"bpsOfMaxSupply": share, "discount": discount} for share, discount in STAKING],
    }


def user_fees(
    records: Records, account: AccountRecords, *, taker_rate_e9: int, maker_rate_e9: int, now_ms: int
) -> dict[str, object]:
    """The shape of `userFees`, with the volumes of the last fifteen UTC days."""
    today = now_ms - now_ms % DAY_MS
    days = []
    for day in range(today - (DAYS_SHOWN - 1) * DAY_MS, today + 1, DAY_MS):
        taken, added = account.volumes.on(day)
        exchange, _ = records.volumes.on(day)
        days.append(
            {
                "date": date_text(day),
                "userCross": answer_number(taken, MICRO_DECIMALS),
                "userAdd": answer_number(added, MICRO_DECIMALS),
                "exchange": answer_number(exchange, MICRO_DECIMALS),
            }
        )
    return {
        "dailyUserVlm": days,
        "feeSchedule": schedule(),
        "userCrossRate": rate(taker_rate_e9),
        "userAddRate": rate(maker_rate_e9),
        "userSpotCrossRate": rate(taker_rate_e9),
        "userSpotAddRate": rate(maker_rate_e9),
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialEscrow": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }
