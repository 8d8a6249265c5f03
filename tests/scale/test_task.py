"""A key names everything that decides a result, and only what is listed can be called."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hlhft.scale import probe
from hlhft.scale.task import (
    INPUTS_MAX,
    TASK_BYTES_MAX,
    Task,
    TaskError,
    content_hash,
    decoded,
    function_of,
    is_hash,
    named_inputs,
)
from tests.scale.made import busy, functions

HASH = content_hash(b"a")
values = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)


@given(some.dictionaries(some.text(), values, max_size=4), some.integers(0, 2**63 - 1))
def test_a_task_survives_the_way_and_the_order_of_names_is_nothing(params: dict[str, Any], seed: int) -> None:
    task = Task(function="hlhft.scale.probe:busy", params=params, seed=seed, revision="r")
    assert decoded(task.encoded()).key == task.key
    turned = Task(function=task.function, params=dict(reversed(params.items())), seed=seed, revision="r")
    assert turned.key == task.key and is_hash(task.key)


def test_every_field_is_in_the_key() -> None:
    fields: dict[str, Any] = {"function": "f", "params": {"a": 1}, "inputs": {"a": HASH}, "seed": 1, "revision": "r"}
    others: dict[str, Any] = {"function": "g", "params": {"a": 2}, "inputs": {"b": HASH}, "seed": 2, "revision": "s"}
    keys = {Task(**fields).key} | {Task(**{**fields, name: other}).key for name, other in others.items()}
    assert len(keys) == 1 + len(fields)


def test_the_key_is_the_same_in_another_process_with_another_seed_of_hashes() -> None:
    code = "from hlhft.scale.task import Task; print(Task(function='f', params={'b': 1, 'a': [2.5]}, revision='r').key)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "7"}, check=True
    )
    assert ran.stdout.strip() == Task(function="f", params={"a": [2.5], "b": 1}, revision="r").key


def test_what_json_does_not_hold_and_what_is_too_much_is_refused() -> None:
    with pytest.raises(TaskError, match="its parameters are no JSON"):
        _ = Task(function="f", params={"a": object()}, revision="r").key
    with pytest.raises(TaskError, match="give data as inputs"):
        _ = Task(function="f", params={"a": "x" * TASK_BYTES_MAX}, revision="r").key
    with pytest.raises(TaskError, match="and fewer to one task"):
        _ = Task(function="f", inputs={str(n): HASH for n in range(INPUTS_MAX + 1)}, revision="r").key
    with pytest.raises(TaskError, match="this is no task"):
        decoded(b'{"function": "f"}')


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("os:system", "names no task"),
        ("hlhft.live.engine:run", "names no task"),
        ("hlhft.cli:main", "names no task"),
        ("hlhft.scale.probe:_hidden", "names no task"),
        ("hlhft.scale.probe:busy.__globals__", "names no task"),
        ("hlhft.scale.nowhere:busy", "there is no module hlhft.scale.nowhere here"),
        ("hlhft.scale.probe:hashlib", "its TASKS are busy"),
        ("hlhft.scale.task:decoded", "its TASKS are none"),
    ],
)
def test_only_what_a_module_of_the_room_lists_is_called(name: str, sentence: str) -> None:
    with pytest.raises(TaskError, match=sentence):
        function_of(Task(function=name, revision="r"))


def test_what_is_listed_is_found() -> None:
    assert function_of(busy()) is probe.busy
    with functions(mine=lambda job: b"") as task:
        assert function_of(task("mine"))(None) == b""  # type: ignore[arg-type]


def test_an_input_is_named_by_a_hash() -> None:
    assert named_inputs({"a": HASH}) == {"a": HASH}
    with pytest.raises(TaskError, match="input b: 'x' is no content hash"):
        named_inputs({"b": "x"})
