"""A task: a pure function by name, and everything that decides its result; so its key names the result.

A function that may be a task is listed by its module: `TASKS = ("run_shard",)`, in a room that ROOMS names. It takes a
`hlhft.scale.worker.Job` and returns the bytes of its result, the same for the same task on every machine. Nothing is
pickled: a task that came over the network can call what is listed, and nothing else.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from hlhft.scale.worker import Job

ROOMS = frozenset({"scale"})
TASK_BYTES_MAX = 1024 * 1024  # parameters are settings, not data: data are inputs
INPUTS_MAX = 4096
HASH_BYTES = 32
_NAME = re.compile(r"hlhft\.(?P<room>[a-z_]+)(\.[a-z_0-9]+)*:(?P<function>[a-z][a-z_0-9]*)")
_HASH = re.compile(f"[0-9a-f]{{{2 * HASH_BYTES}}}")

Function = Callable[["Job"], bytes]


class TaskError(ValueError):
    """A task that names no function of ours, or is larger than a task may be."""


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a result. Equal tasks have equal keys, and different ones different keys.

    `function` is "module:function"; `params` holds what JSON holds, with names as keys; `inputs` gives each input's
    content hash by the name that the function asks for; `revision` is `hlhft.scale.revision.revision` of the code.
    """

    function: str
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    seed: int = 0
    revision: str

    def encoded(self) -> bytes:
        """The canonical bytes: JSON with sorted names.

        Raises TaskError for what JSON does not hold or is too much, and for an input that no content hash names.
        """
        named_inputs(self.inputs)
        try:
            text = msgspec.json.encode(self, order="deterministic")
        except (TypeError, OverflowError) as error:
            raise TaskError(
                f"task {self.function}: its parameters are no JSON ({error}): give numbers and text"
            ) from None
        if len(text) > TASK_BYTES_MAX or len(self.inputs) > INPUTS_MAX:
            raise TaskError(
                f"task {self.function} has {len(text)} bytes and {len(self.inputs)} inputs, at most {TASK_BYTES_MAX} "
                f"and {INPUTS_MAX} are taken: give data as inputs, and fewer to one task"
            )
        return text

    @property
    def key(self) -> str:
        """64 hexadecimal digits: blake2b of the canonical bytes."""
        return content_hash(self.encoded())


def content_hash(content: bytes | memoryview) -> str:
    """64 hexadecimal digits that name the content."""
    return hashlib.blake2b(content, digest_size=HASH_BYTES).hexdigest()


def is_hash(text: str) -> bool:
    """Whether the text is a hash as `content_hash` gives it."""
    return _HASH.fullmatch(text) is not None


def decoded(content: bytes) -> Task:
    """The task of `Task.encoded`. Raises TaskError for bytes that are none."""
    try:
        return msgspec.json.decode(content, type=Task)
    except msgspec.MsgspecError as error:
        raise TaskError(f"this is no task ({error}): run the same hlhft on client and workers") from None


def function_of(task: Task) -> Function:
    """The function of the task. Raises TaskError for one that its module does not list, or of a room without any."""
    match = _NAME.fullmatch(task.function)
    if match is None or match["room"] not in ROOMS:
        raise TaskError(
            f"{task.function!r} names no task: expected hlhft.ROOM.MODULE:FUNCTION with a room of {sorted(ROOMS)}"
        )
    module_name, _, name = task.function.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise TaskError(f"task {task.function}: there is no module {error.name} here") from None
    listed: tuple[str, ...] = getattr(module, "TASKS", ())
    if name not in listed:
        raise TaskError(
            f"task {task.function}: the module lists no such task, its TASKS are {', '.join(listed) or 'none'}"
        )
    function: Function = getattr(module, name)
    return function


def named_inputs(inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs with their hashes checked. Raises TaskError for a hash that is none."""
    for name, digest in inputs.items():
        if not is_hash(digest):
            raise TaskError(f"input {name}: {digest!r} is no content hash, put the file into the storage first")
    return dict(inputs)
