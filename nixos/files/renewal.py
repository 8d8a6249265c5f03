"""Restarts a unit whose running process is of another generation than the one named; else does nothing.

usage: renewal.py UNIT GENERATION

The generation is what the process was started with, HLHFT_GENERATION in its environment. A unit that does not run is
left alone: it is not this one's business to start it.
"""

import subprocess
import sys
from pathlib import Path

VARIABLE = b"HLHFT_GENERATION="


def generation_of(environment: bytes) -> str:
    """What a process's environment, as /proc has it, says; empty where it says nothing."""
    entries = (entry for entry in environment.split(b"\0") if entry.startswith(VARIABLE))
    return next(entries, VARIABLE).removeprefix(VARIABLE).decode()


def main(unit: str, wanted: str) -> None:
    """Restarts `unit` where its main process is of another generation."""
    shown = subprocess.run(["systemctl", "show", "-P", "MainPID", unit], check=True, capture_output=True, text=True)
    pid = int(shown.stdout)
    if pid == 0:
        print(f"{unit} does not run")
        return
    running = generation_of(Path("/proc", str(pid), "environ").read_bytes())
    if running == wanted:
        print(f"{unit} is of this generation")
        return
    print(f"{unit} is of generation {running or 'unknown'}: it is restarted")
    subprocess.run(["systemctl", "restart", unit], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
