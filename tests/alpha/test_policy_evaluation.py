"""What a loaded policy is worth: played as if its weight were 1, on the task that its record names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft.alpha.fleet import Fleet, evaluate
from hlhft.alpha.paths import write_path
from hlhft.alpha.policy import Weights, load_policy
from hlhft.alpha.policy_evaluation import (
    HELD,
    TEST,
    TRAINING,
    acting,
    interval,
    result_of,
    steered_of,
    task_of,
    to_json,
    track_of,
    words,
)
from hlhft.backtest.models import parse_fees
from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.replay import prepare, run
from hlhft.backtest.session import plan_of
from hlhft.backtest.signals import read_track, write_track
from hlhft.data.sources import open_source
from tests.alpha import policies, worlds

# Its compilation is of the environment alone, which only these tests need.
pytestmark = pytest.mark.alpha


def test_the_task_of_a_record_is_the_task_it_was_made_for() -> None:
    task = worlds.task(decision_s=2.0, delay_ms=5.0, eta=0.3, close_bp=1.0)
    again = task_of(policies.record(steered=steered_of(task)))
    assert steered_of(again) == steered_of(task)
    same = replace(again, settings=replace(again.settings, capital_micro=10**12, address_enforced=False))
    paths = [worlds.path(1)]
    np.testing.assert_array_equal(evaluate(same, paths).utility, evaluate(task, paths).utility)


def test_a_policy_of_weight_zero_is_judged_as_if_it_acted(tmp_path: Path) -> None:
    policies.written(tmp_path / "on")
    policies.written(tmp_path / "off", policies.weights(weight=0.0))
    task, paths = worlds.task(), [worlds.path(seed) for seed in range(6)]
    on, off = (result_of(task, paths, load_policy(tmp_path / name)) for name in ("on", "off"))
    assert on.gain == off.gain and on.gain.mean != 0.0
    assert (on.weight, off.weight) == (1.0, 0.0)


def test_a_policy_that_does_nothing_gains_nothing() -> None:
    task, paths = worlds.task(), [worlds.path(seed) for seed in range(3)]
    weights = policies.weights()
    idle = Weights(weights.mean, weights.scale, tuple((0 * w, 0 * b) for w, b in weights.layers), weights.columns)
    np.testing.assert_array_equal(evaluate(task, paths, acting(idle)).utility, evaluate(task, paths).utility)


def test_a_track_of_a_policy_gives_the_backtest_what_was_played(tmp_path: Path) -> None:
    """Through both files: the path as a recording, the policy's words as a signal track."""
    policies.written(tmp_path / "policy", policies.weights(4))
    policy = load_policy(tmp_path / "policy")
    path = worlds.path(5, sigma_bp=2.0, intensity_a=3.0)
    write_path(tmp_path / "path.npz", path)
    task = worlds.task(worlds.real(), delay_ms=2.0)
    events, meta = track_of(task, open_source(tmp_path / "path.npz"), policy, profile="recorded")
    write_track(tmp_path / "track.npz", events, meta)
    track = read_track(tmp_path / "track.npz")
    recording = compile_recording(open_source(tmp_path / "path.npz"), profile="recorded")
    track.check(recording)
    assert track.meta.model_ids == (policy.record.policy_id,) and len(track.events) == 50
    plan = plan_of(task.settings, recording.markets, recording.streams(), parse_fees(task.settings.fees)[:1])
    output = run(prepare(replace(plan, signals=track.events)))
    fleet = Fleet(task, 1)
    fleet.assign(0, path)
    fleet.begin(np.ones(1, bool))
    while fleet.outcomes["done"][0] == 0:
        fleet.step(policy.act(fleet.observations))
    fleet.finish(0)
    assert output.lanes.positions.tobytes() == fleet.slots[0].lanes.positions.tobytes()
    assert output.lanes.positions["fills"][0, 0] > 10


def test_words_and_json_carry_the_stamp(tmp_path: Path) -> None:
    policies.written(tmp_path)
    result = result_of(worlds.task(), [worlds.path(1)], load_policy(tmp_path), stamp="it was fitted there")
    assert words(result).startswith("IN-SAMPLE: it was fitted there\n")
    plain = msgspec.json.decode(to_json(result))
    assert plain["stamp"] == "IN-SAMPLE: it was fitted there" and plain["paths"] == 1
    assert plain["gain"]["low"] is None, "one path has no interval"


def test_an_interval_is_student_s() -> None:
    """Of 1, 2, 3, 4: mean 2.5, error sqrt(5/3)/2, and Student's 3.182 with three degrees of freedom."""
    found = interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.mean == 2.5 and found.high == pytest.approx(2.5 + 3.182 * (5 / 3) ** 0.5 / 2, rel=1e-3)
    many = interval(np.random.default_rng(1).standard_normal(400))
    assert many.high - many.low == pytest.approx(2 * 1.966 / 20, rel=0.1)
    assert interval(np.array([1.0, 2.0])).low is None


def test_held_out_worlds_are_of_other_parameters() -> None:
    """What a policy is chosen and judged on lies outside of what it learned from, in volatility, dwell and decay."""
    for name in ("dwell_s", "intensity_k"):
        low, high = TRAINING.fields[name]
        for ranges in (HELD, TEST):
            assert ranges.fields[name][0] >= high or ranges.fields[name][1] <= low
    assert HELD.fields["sigma_high_bp"][0] >= TRAINING.fields["sigma_high_bp"][1] <= TEST.fields["sigma_high_bp"][0]
