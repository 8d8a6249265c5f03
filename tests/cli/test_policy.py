"""`hlhft policy` from its arguments: what evaluate says, what it refuses, and what training needs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from hlhft import extra
from hlhft.alpha.paths import World, simulate, write_path
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.report.origins import Span
from tests.alpha import policies


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    policies.written(tmp_path / "policy")
    return tmp_path / "policy"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    write_path(tmp_path / "day.npz", simulate(World(seconds=60.0), 1)[0])
    return tmp_path / "day.npz"


def test_a_policy_is_evaluated_on_simulated_worlds(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy", "evaluate", str(policy), "--test-paths", "6", "--json"]) == ExitCode.OK
    plain = json.loads(capsys.readouterr().out)
    assert plain["paths"] == 6 and plain["stamp"] == "" and plain["gain"]["low"] < plain["gain"]["high"]


def test_a_policy_is_evaluated_on_a_recording(
    policy: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["policy", "evaluate", str(policy), "--paths", str(recording), "--feed-profile", "recorded"]
    assert invoke(arguments) == ExitCode.OK
    text = capsys.readouterr().out
    assert "on 1 path" in text and "weight that it is served with: 1" in text


def test_a_time_that_it_was_made_from_is_refused_or_stamped(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = simulate(World(seconds=60.0), 1)
    span = Span(coin="SIM", from_ns=path.begin_ns, to_ns=path.end_ns)
    policies.written(tmp_path / "made", ranges={"train": (span,)})
    arguments = ["policy", "evaluate", str(tmp_path / "made"), "--paths", str(recording), "--feed-profile", "recorded"]
    assert invoke(arguments) == ExitCode.USAGE
    refused = capsys.readouterr()
    assert "was fitted on SIM" in refused.err and "--in-sample" in refused.err and not refused.out
    assert invoke([*arguments, "--in-sample"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("IN-SAMPLE: policy ")


def test_a_folder_that_is_no_policy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy", "evaluate", str(tmp_path)]) == ExitCode.DATA
    assert "policy.json: there is no such file, name a folder that hlhft policy train wrote" in capsys.readouterr().err


def test_training_does_not_write_over_a_policy(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in policy.iterdir()}
    assert invoke(["policy", "train", "--steps", "10", "--output", str(policy)]) == ExitCode.USAGE
    assert "holds a policy already: give another --output" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in policy.iterdir()} == before


def test_training_says_which_packages_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> object:
        return None if name == "stable_baselines3" else found(name, package)

    monkeypatch.setattr(extra.importlib.util, "find_spec", without)
    assert invoke(["policy", "train", "--output", str(tmp_path / "out")]) == ExitCode.FAILURE
    said = capsys.readouterr().err
    assert "training a policy needs the Python package" in said and "make install-alpha" in said
    assert not (tmp_path / "out").exists()
