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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"store": "s"}, "give one of them"),
        ({"on": "tcp://h:1", "jobs": 2, "store": "s"}, "not both"),
        ({"on": "tcp://h:1"}, "--on needs --store"),
        ({"on": "tls://h:1", "store": "s", "tls_ca": Path("a")}, "together"),
        ({"jobs": 2, "tls_ca": Path("a"), "tls_cert": Path("b"), "tls_key": None}, "together"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(click.UsageError, match=words), spreading(options, models=False, hidden=True):
        pass


def test_without_a_word_nothing_is_spread() -> None:
    with spreading({}, models=False, hidden=True) as where:
        assert where is None


def test_a_command_gets_the_options_but_for_those_of_its_own() -> None:
    @click.command()
    @spread("jobs")
    def command(**options: object) -> None: ...

    assert {option.name for option in command.params} == set(NAMES) - {"jobs"}


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
