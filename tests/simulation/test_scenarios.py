"""Bad days with a name go as they are told."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner

from hlhft.cli.simulate import command
from hlhft.simulation.scenarios import SCENARIOS, SIGHTS, Expectation, Scenario, Sight, play


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_goes_as_it_is_told(name: str) -> None:
    verdict = play(SCENARIOS[name])
    assert verdict.violation is None
    assert not verdict.unseen, "; ".join(map(str, verdict.unseen))
    assert verdict.is_well


def test_each_complaint_has_one_and_each_sight_is_looked_for() -> None:
    assert [name[:2] for name in SCENARIOS if name[:2].isdigit()] == [f"{number:02}" for number in range(1, 21)]
    assert set(SIGHTS) == set(Sight) == {one.sight for scenario in SCENARIOS.values() for one in scenario.seen}


def test_what_is_not_so_is_told() -> None:
    seen = (
        Expectation(Sight.IS_HALTED, 1, 4),
        Expectation(Sight.TRADES, 0, 4, always=True),
        Expectation(Sight.TRADES, 0, 9),
        Expectation(Sight.QUOTES, 20, 30),
    )
    verdict = play(Scenario(name="nothing", about="nothing happens", plan="none", seconds=10, seen=seen))
    assert verdict.violation is None and not verdict.is_well
    assert verdict.unseen == (seen[0], seen[1], seen[3])


def test_they_are_played_and_listed_by_name() -> None:
    runner = CliRunner()
    listed = runner.invoke(command, ["--scenario", "list"])
    assert [line.split()[0] for line in listed.output.splitlines()] == list(SCENARIOS)
    played = runner.invoke(command, ["--scenario", "20-slow-book"])
    assert logging.root.manager.disable == logging.NOTSET, "only what is played is quiet"
    assert played.output == "20-slow-book: as it must be\n"
    unknown = runner.invoke(command, ["--scenario", "21"])
    assert "there is no scenario '21'" in str(unknown.exception)
