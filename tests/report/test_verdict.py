"""The verdict says loss when it is one, names what cost most, and admits what the recording cannot carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hlhft.core.risk import RiskRefusal
from hlhft.core.state import Mode
from hlhft.report.metrics import CLAIM_NS_MIN
from hlhft.report.numbers import MINUS, money
from hlhft.report.results import ScenarioResult
from hlhft.report.verdict import scenario_title, scenario_words, verdict
from tests.report.histories import PERPETUAL, SECOND, History, results, scenario, traded

NEW, TIER, TOP = "new account, maker +1.5 bp", "tier 4, maker 0 bp", "top rebate, maker -0.3 bp"
HALTED = int(Mode.HALTED)


def three(*profits: int) -> list[ScenarioResult]:
    named = ((NEW, 150_000), (TIER, 0), (TOP, -30_000))
    return [scenario(traded(usdc), name, rate) for usdc, (name, rate) in zip(profits, named, strict=True)]


def sentence(*profits: int) -> str:
    return verdict(results(*three(*profits))).sentence


def test_a_loss_everywhere_is_said_plainly() -> None:
    assert sentence(-25, -22, -12) == (
        f"It would have lost money under all three fee scenarios: {MINUS}25.00 USDC with a new account (+1.5 bp), "
        f"{MINUS}22.00 USDC with tier 4 (0 bp) and {MINUS}12.00 USDC with the top rebate ({MINUS}0.3 bp)."
    )


def test_a_gain_everywhere_too() -> None:
    assert sentence(1, 2, 3).startswith("It would have made money under all three fee scenarios: +1.00 USDC with a new")


def test_a_gain_under_some_fees_only_names_both() -> None:
    assert sentence(-25, -22, 3) == (
        f"It would have made money only with the top rebate ({MINUS}0.3 bp, +3.00 USDC), and not with a new account "
        f"(+1.5 bp, {MINUS}25.00 USDC) and tier 4 (0 bp, {MINUS}22.00 USDC)."
    )


def test_nothing_made_is_no_gain() -> None:
    assert sentence(-5, 0, 0).startswith("It would not have made money under any of its fee scenarios:")


def test_no_trade_is_no_loss() -> None:
    spoken = verdict(results(scenario(History([PERPETUAL]))))
    assert spoken.sentence == "It did not trade at all, so it neither made nor lost anything."
    assert spoken.text == spoken.sentence


def test_one_or_many_scenarios_are_counted_in_words() -> None:
    only = verdict(results(scenario(traded(-1)))).sentence
    assert only.startswith("It would have lost money under its fees: ")
    four = verdict(results(*three(1, 1, 1), scenario(traded(1), "maker +1 bp, taker +2 bp", 100_000))).sentence
    assert "all four fee scenarios" in four and four.endswith("and +1.00 USDC with your fees (+1 bp).")


def test_what_cost_most_and_how_little_it_proves() -> None:
    made = traded(6, mid=False)
    made.wait(1)
    made.fund(-9_000_000)
    made.record()
    remarks = verdict(results(scenario(made))).remarks
    assert remarks[0] == f"What cost most with a new account (+1.5 bp) was funding, {MINUS}9.00 USDC."
    assert remarks[-1] == "10 min and 2 fills cannot tell skill from chance."


def test_of_several_markets_the_one_that_lost_most_of_it_is_named() -> None:
    made = History([PERPETUAL, replace(PERPETUAL, name="ETH")])
    made.record()
    made.wait(600 * SECOND)
    made.fill(1, 100, 1, market=1)
    made.fund(-9_000_000, market=1)
    made.fund(-1_000_000)
    made.record()
    one = scenario(made)
    ours = f"was funding, {MINUS}10.00 USDC (ETH alone {MINUS}9.00)."
    assert verdict(results(one)).remarks[0] == f"What cost most with a new account (+1.5 bp) {ours}"
    live = results(one, is_live=True)
    assert verdict(live).remarks[0] == f"What cost most {ours}", "what really happened has no other fees"


def test_of_a_past_spread_and_inventory_are_one_as_its_mids_are_coarse() -> None:
    one = scenario(traded(-6))
    apart = verdict(results(one, is_live=True)).remarks
    past = verdict(results(one, is_live=True, past={"mids_from": "the last trade of each candle of 1 min"})).remarks
    total = one.part_usdc["spread"] + one.part_usdc["inventory"]
    assert apart[0].startswith("What cost most was spread captured, ")
    assert past[0] == f"What cost most was trading, {money(total)} USDC."
    assert past[1] == "What tells spread from inventory is the last trade of each candle of 1 min."


def test_that_it_proves_little_is_said_whichever_scenario_traded() -> None:
    idle = scenario(History([PERPETUAL]), NEW)
    remarks = verdict(results(idle, scenario(traded(3), TIER, 0))).remarks
    assert remarks[-1].endswith("and 2 fills cannot tell skill from chance.")


def test_a_recording_that_had_to_be_sorted_is_called_so() -> None:
    disordered = verdict(results(scenario(traded(3)), counts={"rows_out_of_order": 22_617})).remarks
    assert "22,617 rows of the recording stood out of order and were sorted." in disordered
    assert not any("out of order" in remark for remark in verdict(results(scenario(traded(3)))).remarks)


def test_without_a_cost_nothing_cost_most() -> None:
    assert not any("cost most" in remark for remark in verdict(results(scenario(traded(6)))).remarks)


def test_a_long_recording_is_not_called_short() -> None:
    made = traded(6)
    for index in range(30):
        made.wait(CLAIM_NS_MIN // 30 + 1)
        made.fill(1, 100, index + 1)
        made.record()
    assert not any("skill from chance" in remark for remark in verdict(results(scenario(made))).remarks)


def test_an_interrupted_run_is_called_so() -> None:
    assert verdict(results(scenario(traded(1)), interrupted=True)).remarks[0] == (
        "It was interrupted: these are the first 10 min only."
    )


def test_halts_are_named_with_their_scenarios() -> None:
    strategy = {"mode": HALTED, "latches": 1 << 12, "failures": ["KeyError: 'x'"]}
    both = [scenario(traded(1), NEW, **strategy), scenario(traded(1), TIER, 0, **strategy)]
    everywhere = verdict(results(*both)).remarks[0]
    assert everywhere == "It ended halted under both fee scenarios (strategy, KeyError: 'x')."
    somewhere = verdict(results(both[0], scenario(traded(1), TIER, 0))).remarks[0]
    assert somewhere == "It ended halted with a new account (+1.5 bp) (strategy, KeyError: 'x')."


def test_an_exhausted_budget_and_a_low_uptime_are_named() -> None:
    one = scenario(traded(1), address_actions=90, address_allowance=100)
    one.lane.lane["refusals"][0, RiskRefusal.BUDGET] = 5
    again = scenario_of(one)
    assert any("ran out of actions for new orders (90 of 100 used" in remark for remark in again)
    lazy = verdict(results(scenario(traded(1)))).remarks
    assert "Both sides were quoted only 0 % of the time." in lazy


def scenario_of(one: ScenarioResult) -> tuple[str, ...]:
    """The remarks of a scenario measured again after its lane was changed."""
    from hlhft.report.results import scenario_result

    fresh = scenario_result(name=one.name, rates_e9=(1, 1), lane=one.lane, mid_half_ticks=one.mid_half_ticks)
    return verdict(results(fresh)).remarks


def test_a_steady_quoter_is_not_blamed() -> None:
    one = scenario(traded(1))
    one.lane.positions["quoted_ns"] = 500 * SECOND
    assert not any("quoted" in remark for remark in scenario_of(one))


def test_a_gap_in_the_books_is_a_warning() -> None:
    made = traded(6)
    del made.rows[1]
    remarks = verdict(results(scenario(made))).remarks
    assert any("do not trust these figures" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("name", "rate", "words", "title"),
    [
        (TOP, -30_000, f"the top rebate ({MINUS}0.3 bp)", ("top rebate", f"maker {MINUS}0.3 bp")),
        ("tier 2, maker +0.8 bp", 80_000, "tier 2 (+0.8 bp)", ("tier 2", "maker +0.8 bp")),
        ("flat", 0, "flat (0 bp)", ("flat", "")),
    ],
)
def test_scenarios_in_words(name: str, rate: int, words: str, title: tuple[str, str]) -> None:
    one = scenario(traded(1), name, rate)
    assert (scenario_words(one), scenario_title(one)) == (words, title)
