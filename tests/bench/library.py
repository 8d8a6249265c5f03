"""The rival's process: a virtual environment of its own, one JSON request a line, one JSON answer a line."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.bench.instruments import Instrument

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-hftbacktest"
VERSION = "2.4.4"
SCRIPT = Path(__file__).parent / "rival.py"


def interpreter() -> Path:
    """The rival's Python, installed on first use. Raises CalledProcessError when it cannot be installed."""
    python = ENVIRONMENT / "bin" / "python"
    ready = ENVIRONMENT / f".ready-{VERSION}"
    if not ready.is_file():
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        subprocess.run([python, *install, f"hftbacktest=={VERSION}"], check=True)
        ready.touch()
    return python


def convert(instrument: Instrument, recording: Path, folder: Path) -> Path:
    """The recording as the rival's own event array, made once a folder."""
    target = folder / recording.with_suffix(".npz").name
    if not target.is_file():
        arguments = ["convert", recording, target, str(instrument.tick), str(instrument.lot)]
        subprocess.run([interpreter(), SCRIPT, *arguments], check=True, stdout=subprocess.DEVNULL)
    return target


class Rival:
    """A running process of the rival; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [interpreter(), SCRIPT, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Sends one request and waits for its answer. Raises RuntimeError when the process is gone."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the rival's process ended with {self._process.wait()}; see its messages above")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def __enter__(self) -> Rival:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


if __name__ == "__main__":
    sys.exit(0 if interpreter() else 1)
