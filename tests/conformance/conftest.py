"""One exchange for all conformance tests: `hlhft exchange` as a process of its own, asked only over its port."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conformance.desk import Desk, Trader
from tests.conformance.process import COMMAND, FREE, URL, ExchangeProcess


@pytest.fixture(scope="session")
def exchange_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """The exchange that all tests share, without limits and delays."""
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    running = ExchangeProcess([*COMMAND, *FREE], tmp_path_factory.mktemp("exchange"))
    running.url()
    yield running
    code = running.stop()
    output = "".join(running.lines)
    assert "Traceback" not in output, output
    assert code == 0, (code, output)


@pytest.fixture(scope="session")
def session_desk(exchange_process: ExchangeProcess) -> Desk:
    """The desk of the session."""
    found = URL.search("".join(exchange_process.lines))
    assert found is not None
    return Desk(found[0])


@pytest.fixture
def desk(session_desk: Desk) -> Iterator[Desk]:
    """The exchange with empty books; the test's orders are ended after it."""
    yield session_desk
    session_desk.sweep()


@pytest.fixture
def maker(desk: Desk) -> Trader:
    """An account with a million USDC."""
    return desk.trader()


@pytest.fixture
def taker(desk: Desk) -> Trader:
    """Another account with a million USDC."""
    return desk.trader()
