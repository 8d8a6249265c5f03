"""One object holds a run's outcome, and it is plain JSON."""

from __future__ import annotations

import json

import msgspec
import numpy as np

from hlhft.core.state import Mode
from hlhft.report.attribution import PART_NAMES
from hlhft.report.markouts import HORIZONS_NS
from tests.report import sample_run
from tests.report.histories import PERPETUAL, SECOND, History, results, scenario, traded

HALTED = int(Mode.HALTED)


def plain(value: object) -> dict:
    return json.loads(msgspec.json.encode(value))


def test_a_scenario_says_what_it_made_and_of_what() -> None:
    one = scenario(traded(6))
    assert one.profit_usdc == 6.0
    assert one.part_usdc == {**dict.fromkeys(PART_NAMES, 0.0), "spread": 3.0 + 3.0}
    assert (one.maker_bp, one.is_halted) == (1.5, False)
    told = plain(one.plain())
    assert told["profit"]["usdc"] == 6.0
    assert (told["profit"]["exact"], told["profit"]["residual"], told["profit"]["residual_largest"]) == ("6", "0", "0")
    assert told["profit"]["by_market"]["BTC"] == told["profit"]["parts"]
    assert told["profit"]["by_side"]["buy"]["spread"] + told["profit"]["by_side"]["sell"]["spread"] == 6.0
    assert sum(parts["spread"] for parts in told["profit"]["by_hour"].values()) == 6.0
    assert told["trading"]["fills"] == 2
    assert (told["maker_bp"], told["taker_bp"]) == (1.5, 4.5)
    assert {one["group"] for one in told["markouts"]} == {"all", "buys", "sells", "queue reached"}


def test_markouts_use_the_mids_they_are_given() -> None:
    made = History([PERPETUAL])
    made.fill(1, 100, 1, mid=200)
    one = scenario(made)
    assert one.mid_half_ticks.tolist() == [[200] * len(HORIZONS_NS)]
    assert {point.mean_bp for point in one.markouts} == {0.0}


def test_why_a_scenario_halted() -> None:
    one = scenario(History([PERPETUAL]), mode=HALTED, latches=1 << 12, failures=["ValueError: no"])
    assert (one.is_halted, one.halt_words) == (True, "strategy, ValueError: no")
    two = scenario(History([PERPETUAL]), mode=HALTED, latches=1 << 2)
    assert two.halt_words.startswith("drawdown, equity fell")
    assert plain(results(one).plain())["halted"] is True


def test_results_tell_the_recording_and_the_verdict() -> None:
    found = results(scenario(traded(6)), counts={"trade": 3}, interrupted=True)
    assert (found.span_ns, found.markets) == (600 * SECOND, ["BTC"])
    told = plain(found.plain())
    assert told["verdict"]["sentence"].startswith("It would have made money")
    assert (told["interrupted"], told["halted"], told["reader"]) == (True, False, {"trade": 3})
    assert (told["first_ns"], told["span_ns"], told["capital_usdc"]) == (found.first_ns, found.span_ns, 10_000.0)


def test_nothing_is_told_as_nothing() -> None:
    told = plain(results(scenario(History([PERPETUAL]))).plain())
    assert told["scenarios"][0]["markouts"] == []
    assert told["scenarios"][0]["sharpe"] is None
    assert "NaN" not in json.dumps(told)


def test_a_real_run_is_told() -> None:
    found = sample_run.results()
    told = plain(found.plain())
    assert [one["name"] for one in told["scenarios"]] == [one.name for one in found.scenarios]
    for one, lane in zip(told["scenarios"], found.scenarios, strict=True):
        assert one["trading"]["fills"] == len(lane.lane.fills()) > 0
        assert np.isclose(sum(one["profit"]["parts"].values()), one["profit"]["usdc"], atol=0.5)
