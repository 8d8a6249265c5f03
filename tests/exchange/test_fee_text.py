"""The fee schedule and an account's volumes."""

from __future__ import annotations

from hlhft.exchange.fee_text import TIERS, schedule
from hlhft.units import MICRO
from tests.exchange.hall import ALO, ANN, BOB, BUY, IOC, SELL, Hall, address


def test_the_schedule_is_the_documented_one():
    shape = schedule()
    assert (shape["cross"], shape["add"]) == ("0.00045", "0.00015")
    tiers = shape["tiers"]
    assert isinstance(tiers, dict)
    assert len(tiers["vip"]) == len(TIERS) - 1
    assert tiers["vip"][0] == {
        "ntlCutoff": "5000000.0",
        "cross": "0.0004",
        "add": "0.00012",
        "spotCross": "0.0004",
        "spotAdd": "0.00012",
    }
    assert tiers["mm"][0] == {"makerFractionCutoff": "0.005", "add": "-0.00001"}


def test_an_account_sees_its_rates_and_fifteen_days():
    hall = Hall().mark("80000")
    hall.chain.exchange.holdings["taker_rate_e9"][ANN] = 400_000
    hall.place(BOB, SELL, "80000", "1", ALO).run()
    hall.place(ANN, BUY, "80000", "1", IOC).run()
    fees = hall.ask("userFees", user=address(ANN))
    assert (fees["userCrossRate"], fees["userAddRate"]) == ("0.0004", "0.00015")
    assert len(fees["dailyUserVlm"]) == 15
    assert fees["dailyUserVlm"][-1] == {
        "date": "2026-02-03",
        "userCross": "80000.0",
        "userAdd": "0.0",
        "exchange": "80000.0",
    }
    assert fees["dailyUserVlm"][0] == {"date": "2026-01-20", "userCross": "0.0", "userAdd": "0.0", "exchange": "0.0"}
    assert hall.ask("userFees", user="0x" + "77" * 20)["userCrossRate"] == "0.00045"
    assert hall.records.account(ANN).volumes.total_micro == 80_000 * MICRO
