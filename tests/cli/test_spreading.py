"""What --on, --jobs and --store come to, and what does not go together."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import click
import pytest

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.spreading import NAMES, Spread, spread, spreading
from hlhft.scale.backends import InProcess
from hlhft.scale.running import Failure, Ran, TasksFailed
from hlhft.scale.storage import Storage
from tests.scale.made import busy

Captured = pytest.CaptureFixture[str]


def test_jobs_without_a_place_are_refused() -> None:
    with pytest.raises(click.UsageError, match="is for --on local"), spreading({"jobs": 2}, models=False, hidden=True):
        pass


def said(**options: Any) -> dict[str, Any]:
    return {**dict.fromkeys(NAMES), "jobs": None, **options}


def test_threads_are_as_many_as_is_said(tmp_path: Path) -> None:
    options = said(on="threads", store=str(tmp_path), jobs=3)
    with spreading(options, models=False, hidden=True) as where:
        assert where is not None and where.backend.slots() == 3 and where.storage.url == str(tmp_path)


def test_without_a_word_nothing_is_spread() -> None:
    with spreading({}, models=False, hidden=True) as where:
        assert where is None


def test_a_command_gets_the_options() -> None:
    @click.command()
    @spread
    def command(**options: object) -> None: ...

    assert {option.name for option in command.params} == {*NAMES, "jobs"}


@pytest.fixture
def where(tmp_path: Path) -> Any:
    storage = Storage(tmp_path)
    with InProcess(storage) as backend:
        yield Spread(backend, storage, hidden=True)


def test_a_task_that_failed_ends_it_unless_it_may(where: Spread) -> None:
    tasks = [busy(1), busy(2, seconds="long")]
    failures: list[Failure] = []
    kept: list[Ran] = []
    with pytest.raises(TasksFailed):
        where.run("", tasks, retries_max=0)
    ran = where.run("", tasks, retries_max=0, may_fail=True, on_failure=failures.append, keep=kept.append)
    assert kept == [ran] and ran.failures == failures and len(failures) == 1 and ran.finished == {0}


def test_an_interrupt_says_what_is_kept(where: Spread) -> None:
    kept = threading.Event()

    def interrupted(failure: Failure) -> None:
        raise KeyboardInterrupt

    with pytest.raises(CommandError, match="run it again to go on") as raised:
        where.run(
            "", [busy(1), busy(2, seconds="long")], retries_max=0, on_failure=interrupted,
            keep=lambda ran: kept.set(),
        )  # fmt: skip
    assert raised.value.exit_code == ExitCode.INTERRUPTED and kept.is_set()
