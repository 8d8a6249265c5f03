"""One house a module: its exchange compiles once, and its processes end with the module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.endtoend.house import House


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a synthetic market in two coins; nothing but its exchange runs.

    Without limits: all of a house asks from one address, and engines that begin twice a minute beside a test that looks
    all the time ask more than one may.
    """
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    with House(tmp_path_factory.mktemp("house"), exchange=("--no-limits",)) as there:
        yield there
