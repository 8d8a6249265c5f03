"""Policy folders: what is whole answers as it was written to, and everything else is refused with a sentence."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.alpha import action, observation
from hlhft.alpha.policy import (
    ACTION_BOUNDS,
    BYTES_MAX,
    GRAPH,
    RECORD,
    WEIGHTS,
    PolicyError,
    load_policy,
    observation_hash,
    policy_id_of,
    read_tensors,
    write_tensors,
)
from hlhft.report.origins import Span, meetings
from tests.alpha import policies


def test_what_was_written_answers_alike(tmp_path: Path) -> None:
    record = policies.written(tmp_path / "policy")
    policy = load_policy(tmp_path / "policy")
    assert policy.record == record and policy.record.policy_id == policy_id_of(record.files) > 0
    seen = policies.probes(64)
    np.testing.assert_array_equal(policy.act(seen), policies.weights().act(seen))
    np.testing.assert_allclose(policy.act(seen[3]), policy.act(seen)[3], atol=1e-6)


def test_a_perceptron_is_what_it_says_on_paper() -> None:
    given_weights = policies.weights(3)
    seen = policies.probes(1)[0]
    normalised = [
        min(max((float(seen[i]) - float(given_weights.mean[i])) / float(given_weights.scale[i]), -10.0), 10.0)
        for i in range(observation.SIZE)
    ]
    (first, first_bias), (second, second_bias) = given_weights.layers
    hidden = [math.tanh(float(row @ np.array(normalised)) + float(bias)) for row, bias in zip(first, first_bias)]
    expected = [float(row @ np.array(hidden)) + float(bias) for row, bias in zip(second, second_bias)]
    found = given_weights.act(seen[np.newaxis])[0]
    np.testing.assert_allclose(found[[0, 2]], np.clip(expected, -1.0, 1.0), atol=1e-5)
    assert found[1] == found[3] == 0.0  # actions that it does not have


def test_a_weight_of_zero_is_the_closed_form(tmp_path: Path) -> None:
    policies.written(tmp_path, policies.weights(weight=0.0))
    assert not load_policy(tmp_path).act(policies.probes()).any()


@settings(max_examples=40)
@given(st.lists(st.floats(width=32), min_size=observation.SIZE, max_size=observation.SIZE))
def test_whatever_is_seen_the_answer_is_bounded(seen: list[float]) -> None:
    found = policies.weights().act(np.array([seen], np.float32))
    assert found.shape == (1, action.SIZE) and np.isfinite(found).all() and np.abs(found).max() <= 1.0


def test_the_bounds_in_the_record_are_those_of_an_action() -> None:
    assert tuple(ACTION_BOUNDS) == action.NAMES
    assert ACTION_BOUNDS["gamma"] == (0.25, 4.0) and ACTION_BOUNDS["asymmetry"] == (-0.5, 0.5)


def test_the_hash_names_what_is_seen() -> None:
    assert len(observation_hash()) == 32 and int(observation_hash(), 16)


def test_a_policy_says_what_it_was_made_from(tmp_path: Path) -> None:
    span = Span(coin="BTC", from_ns=1000, to_ns=2000)
    record = policies.written(tmp_path, ranges={"train": (span,), "test": (span,)}, embargo_ns=10)
    origin = load_policy(tmp_path).record.origin
    assert f"{record.policy_id:016x}" in origin.what
    assert len(meetings([origin], 2005, 3000)) == 1 and not meetings([origin], 2011, 3000)


CHANGES: list[tuple[dict[str, object], str]] = [
    ({"version": 2}, "version 2, expected 1"),
    ({"observation_hash": "0" * 32}, "it sees 0000"),
    ({"observation": ("price",)}, "this release shows"),
    ({"actions": ("gamma", "speed")}, "its actions gamma, speed are not those"),
    ({"actions": ()}, r"its actions \(none\)"),
    ({"action_bounds": {"gamma": (0.0, 100.0)}}, "other bounds"),
    ({"hidden": (4096,)}, "no perceptron of ours"),
    ({"hidden": (9,)}, "tensors are not those of a perceptron"),
    ({"weight": 2.0}, "its weight or the parameters"),
    ({"policy_id": 5}, "do not belong together"),
    ({"files": {}}, "do not belong together"),
]


@pytest.mark.parametrize(("changes", "words"), CHANGES, ids=[next(iter(one)) for one, _ in CHANGES])
def test_a_record_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    policies.written(tmp_path, **changes)
    with pytest.raises(PolicyError, match=words):
        load_policy(tmp_path)


@pytest.mark.parametrize("name", [RECORD, GRAPH, WEIGHTS])
def test_a_missing_cut_or_swollen_file_is_refused(tmp_path: Path, name: str) -> None:
    policies.written(tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(PolicyError, match=name):
        load_policy(tmp_path)
    with file.open("wb") as swollen:
        swollen.truncate(BYTES_MAX[name] + 1)
    with pytest.raises(PolicyError, match=f"larger than {BYTES_MAX[name]} bytes"):
        load_policy(tmp_path)
    file.unlink()
    with pytest.raises(PolicyError, match="there is no such file"):
        load_policy(tmp_path)


def test_weights_that_are_no_numbers_or_answer_otherwise_are_refused(tmp_path: Path) -> None:
    broken = policies.weights()
    broken.layers[0][0][0, 0] = np.nan
    policies.written(tmp_path / "nan", broken)
    with pytest.raises(PolicyError, match="no finite numbers"):
        load_policy(tmp_path / "nan")
    policies.written(tmp_path / "other", weight=0.5)  # the record says another weight than the answers were given with
    with pytest.raises(PolicyError, match="answers otherwise than when it was written"):
        load_policy(tmp_path / "other")


def test_tensors_come_back_as_they_were() -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.float32), "c": np.float32([1.5])}
    found = read_tensors(Path("x"), write_tensors(tensors))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


@settings(max_examples=300)
@given(st.data())
def test_no_bytes_break_the_reader(data: st.DataObject) -> None:
    """Damaged or foreign bytes are read or refused, nothing else."""
    whole = bytearray(write_tensors({"a": np.ones((2, 2), np.float32), "b": np.ones(3, np.float32)}))
    if data.draw(st.booleans()):
        whole = bytearray(data.draw(st.binary(max_size=200)))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4)):
        if place < len(whole):
            whole[place] = value
    try:
        read_tensors(Path("x"), bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except PolicyError:
        return


def test_a_record_is_json_that_people_can_read(tmp_path: Path) -> None:
    policies.written(tmp_path)
    plain = msgspec.json.decode((tmp_path / RECORD).read_bytes())
    assert plain["observation"] == list(observation.NAMES) and plain["steered"]["strategy"] == "glft"
