"""Settings come from the seed alone, are ones that a user may write, and differ between runs."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from hlhft.config.load import load
from hlhft.simulation.market_pace import LEAN
from hlhft.simulation.settings import DEFAULT, STRATEGIES, RunSettings, drawn
from hlhft.strategies import load as load_strategy


def test_every_run_has_settings_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for seed in range(100):
        told = drawn(seed)
        assert told == drawn(seed)
        path.write_text(told.text())
        config = load(path, {}).config
        assert (config.strategy.name, config.batch.amend) == (told.strategy, told.amends)
        assert config.engine.leftovers == told.leftovers
        assert config.risk.position_notional_usdc_max == told.position_usdc
        assert set(config.strategy.params) <= set(load_strategy(told.strategy).parameters)


def test_everything_is_drawn_and_the_defaults_are_frequent() -> None:
    runs = [drawn(seed) for seed in range(200)]
    for field in fields(RunSettings):
        assert len({getattr(run, field.name) for run in runs}) > 1, field.name
    assert 40 < sum(replace(run, paces=DEFAULT.paces) == DEFAULT for run in runs) < 100
    assert 120 < sum(run.paces == LEAN for run in runs) < 180
    assert {run.strategy for run in runs} == set(STRATEGIES)
