"""Two minings of one catalogue do not meet, and a dead one leaves no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hlhft.data.mining.errors import MiningError
from hlhft.data.mining.lock import NAME, only_one

HOLD = """
import sys
from pathlib import Path
from hlhft.data.mining.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(MiningError, match=f"process {os.getpid()} is mining"), only_one(tmp_path):
        raise AssertionError("both hold it")
    with only_one(tmp_path):
        assert (tmp_path / NAME).read_text() == f"{os.getpid()}\n"


def test_a_killed_process_holds_nothing(tmp_path: Path, repository: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(MiningError, match=f"process {process.pid} is mining"), only_one(tmp_path):
            raise AssertionError("both hold it")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with only_one(tmp_path):
            assert (tmp_path / NAME).read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MiningError, match=r"cannot be written .*--catalogue"), only_one(tmp_path / "file" / "catalog"):
        raise AssertionError("it was held")
