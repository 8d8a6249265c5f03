"""A whole run, small: blocks that do not meet, a card that says what was found, a folder that loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft.alpha import policy_run
from hlhft.alpha.paths import PathError, Ranges, World, simulate, write_path
from hlhft.alpha.policy import load_policy
from hlhft.alpha.policy_card import from_json
from hlhft.alpha.policy_training import Schedule
from tests.alpha import worlds

pytestmark = pytest.mark.alpha

SMALL = Schedule(
    steps=1500, seeds=(1, 2), lanes=8, rollout=16, batch=64, epochs=1, checkpoints=2, hidden=(8,),
    steered=("gamma", "spread"),
)  # fmt: skip
SHORT = Ranges(base=World(seconds=40.0))


def test_a_run_writes_a_policy_that_loads_and_a_card_that_tells(tmp_path: Path) -> None:
    blocks = policy_run.simulated_blocks(
        train_paths=8, chosen_paths=3, test_paths=6, training=SHORT, held=SHORT, test=SHORT
    )
    said: list[str] = []
    result = policy_run.train_policy(
        worlds.task(), blocks, SMALL, lambda what, done, total: said.append(f"{what} {done}/{total}")
    )
    record = policy_run.write_result(tmp_path / "policy", result)
    policy = load_policy(tmp_path / "policy")
    assert policy.record == record and policy.record.actions == ("gamma", "spread") and not policy.record.ranges
    card = from_json((tmp_path / "policy" / "card.json").read_bytes())
    assert [one.seed for one in card.seeds] == [1, 2] and card.weight == policy.record.weight
    assert card.verdict in (tmp_path / "policy" / "card.html").read_text()
    assert card.candidates * 30 * 2 == card.tuning_steps <= SMALL.steps
    assert set(card.tuned) == set(policy_run.TUNED) and policy.record.steered.params["gamma"] == card.tuned["gamma"]
    assert said[0].startswith("tuning the closed form 1/") and said[-1] == "seed 2: training 1500/1500"
    if card.weight == 0.0:
        assert not policy.act(result.probes).any()


def test_blocks_of_recordings_follow_each_other_in_time(tmp_path: Path) -> None:
    hour = 3_600_000_000_000
    for number in range(8):
        path, _ = simulate(World(seconds=30.0), number, begin_ns=1_756_994_400_000_000_000 + number * hour)
        write_path(tmp_path / f"{7 - number}.npz", path)
    blocks = policy_run.recorded_blocks(tmp_path, profile="recorded")
    ends = {name: spans[-1].to_ns for name, spans in blocks.ranges.items()}
    begins = {name: spans[0].from_ns for name, spans in blocks.ranges.items()}
    assert [len(blocks.train), len(blocks.chosen), len(blocks.test)] == [4, 2, 2]
    assert begins["chosen"] > ends["train"] + policy_run.EMBARGO_NS
    assert begins["test"] > ends["chosen"] + policy_run.EMBARGO_NS
    assert not blocks.is_simulated


def test_recordings_too_near_each_other_make_no_blocks(tmp_path: Path) -> None:
    for number in range(4):
        path, _ = simulate(World(seconds=30.0), number)
        write_path(tmp_path / f"{number}.npz", path)
    with pytest.raises(PathError, match="4 recordings do not make three blocks 1500 s apart"):
        policy_run.recorded_blocks(tmp_path, profile="recorded")


def test_a_policy_of_few_recorded_days_is_given_no_weight() -> None:
    """Whatever it gained: too few days say nothing."""
    blocks = policy_run.simulated_blocks(
        train_paths=8, chosen_paths=3, test_paths=6, training=SHORT, held=SHORT, test=SHORT
    )
    recorded = replace(blocks, is_simulated=False)
    result = policy_run.train_policy(worlds.task(), recorded, replace(SMALL, seeds=(1,), steps=200))
    assert result.weights.weight == 0.0 and result.card.verdict.startswith(("Cannot tell", "No gain"))
    assert result.record.ranges["test"][0].coin == "SIM" and result.record.embargo_ns == policy_run.EMBARGO_NS


def test_probes_are_what_the_policy_sees() -> None:
    probes = policy_run.probes_of(worlds.task(), [worlds.path(1)], 20)
    assert probes.shape[0] == 20 and np.isfinite(probes).all() and len(np.unique(probes, axis=0)) > 10


def test_numbers_of_paths_are_bounded() -> None:
    with pytest.raises(PathError, match=r"numbers of paths must lie in 1\.\.4096"):
        policy_run.simulated_blocks(train_paths=0)
    assert msgspec.json.encode(SHORT)
