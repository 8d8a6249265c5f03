"""The commands of `hlhft data` run in this process, for their tests."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hlhft.cli import Options, invoke

Captured = pytest.CaptureFixture[str]


def run(*arguments: object, debug: bool = False) -> int:
    """The exit code of `hlhft data` with these arguments."""
    return invoke([*(["--debug"] if debug else []), "data", *map(str, arguments)], options=Options())


def said(capsys: Captured) -> tuple[str, str]:
    """What was written since the last call: (standard output, standard error)."""
    captured = capsys.readouterr()
    return captured.out, captured.err


def refused(capsys: Captured, problem: str) -> str:
    """The one sentence on standard error, which holds `problem`; nothing else was said."""
    out, err = said(capsys)
    assert (out, err.count("\n"), problem in err) == ("", 1, True), err
    assert err.startswith("hlhft: ")
    assert "Traceback" not in err
    return err


@contextmanager
def little_room(count: int) -> Iterator[None]:
    """No file may grow beyond `count` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
