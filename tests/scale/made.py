"""Tasks, storages and a module of task functions for tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hlhft.scale.revision import revision
from hlhft.scale.task import Task
from hlhft.scale.worker import Job


def busy(seed: int = 0, **params: Any) -> Task:
    """A task of hlhft.scale.probe."""
    return Task(function="hlhft.scale.probe:busy", params=params, seed=seed, revision=revision())


@contextmanager
def functions(**made: Callable[[Job], bytes]) -> Iterator[Callable[..., Task]]:
    """The functions as tasks of the module hlhft.scale.made, while the block lasts; gives what makes a task of one."""
    module = ModuleType("hlhft.scale.made")
    module.TASKS = tuple(made)  # type: ignore[attr-defined]
    vars(module).update(made)
    sys.modules[module.__name__] = module

    def task(name: str, **fields: Any) -> Task:
        return Task(function=f"hlhft.scale.made:{name}", **{"revision": revision(), **fields})

    try:
        yield task
    finally:
        del sys.modules[module.__name__]
