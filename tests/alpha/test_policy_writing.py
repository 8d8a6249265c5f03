"""Export: ONNX Runtime, numpy and what was trained answer alike, and a folder is whole or as it was before."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from hlhft.alpha.environment import PolicyEnv
from hlhft.alpha.policy import GRAPH, INPUT, PARITY, WEIGHTS, PolicyError, Weights, load_policy
from hlhft.alpha.policy_training import weights_of
from hlhft.alpha.policy_writing import FILES, graph_bytes, write_policy_folder
from hlhft.backtest.runs import RunError
from tests.alpha import policies, worlds

pytestmark = pytest.mark.alpha


def test_onnx_answers_as_numpy_does_for_any_batch() -> None:
    weights = policies.weights(weight=0.5)
    session = onnxruntime.InferenceSession(graph_bytes(weights), providers=["CPUExecutionProvider"])
    for count in (1, 7):
        seen = policies.probes(count) * 3.0
        np.testing.assert_allclose(session.run(None, {INPUT: seen})[0], weights.act(seen), atol=PARITY)


def test_weights_are_what_the_learner_does() -> None:
    """Against Stable-Baselines3's own deterministic prediction on normalised observations."""
    env = VecNormalize(PolicyEnv(worlds.task(), [worlds.path(1), worlds.path(2)], lanes=2, seed=1))
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=32, seed=1, device="cpu")
    model.learn(64)
    seen = policies.probes(9)
    normalised = env.normalize_obs(seen)
    expected, _ = model.predict(normalised, deterministic=True)
    found = weights_of(model, env, ("gamma", "signal_weight", "spread", "asymmetry")).act(seen)
    np.testing.assert_allclose(found, expected, atol=PARITY)
    assert np.abs(found).max() > 0.0


def test_a_folder_is_written_whole_and_read_by_torch_s_own_reader(tmp_path: Path) -> None:
    weights, folder = policies.weights(), tmp_path / "policy"
    record = write_policy_folder(folder, weights, policies.record(), policies.probes(), b"{}", "<p>")
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    policy = load_policy(folder)
    assert policy.record == record and record.policy_id > 0
    np.testing.assert_array_equal(policy.act(policies.probes(30)), weights.act(policies.probes(30)))
    tensors = load((folder / WEIGHTS).read_bytes())
    torch.testing.assert_close(tensors["layer.0.weight"], torch.from_numpy(weights.layers[0][0]))


def test_the_same_policy_has_the_same_bytes(tmp_path: Path) -> None:
    records = [
        write_policy_folder(tmp_path / name, policies.weights(), policies.record(), policies.probes(), b"{}", "")
        for name in ("one", "two")
    ]
    assert records[0].files == records[1].files and records[0].policy_id == records[1].policy_id


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    write_policy_folder(folder, policies.weights(), policies.record(), policies.probes(), b"{}", "")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(PolicyError, match="no perceptron of ours"):
        wrong = msgspec.structs.replace(policies.record(), hidden=(10**6,))
        write_policy_folder(folder, policies.weights(2), wrong, policies.probes(), b"{}", "")
    weights = policies.weights(3)
    endless = Weights(weights.mean, weights.scale, ((np.full_like(weights.layers[0][0], np.inf),
                      weights.layers[0][1]), weights.layers[1]), weights.columns)  # fmt: skip
    with pytest.raises(PolicyError, match="the training diverged"):
        write_policy_folder(folder, endless, policies.record(), policies.probes(), b"{}", "")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    with pytest.raises(RunError, match=r"letter\.txt"):
        write_policy_folder(tmp_path / "mine", weights, policies.record(), policies.probes(), b"{}", "")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep" and (folder / GRAPH).is_file()
