"""Runs in the emulated machine: takes commands from the driver over a virtio port, one JSON object a line.

{"command": TEXT, "namespace": NAME or "", "within_s": SECONDS} is answered by {"code": NUMBER, "output": TEXT}. A
command that takes longer is killed and answered with 124, as `timeout` does.
"""

import io
import json
import os
import subprocess
from typing import Any

PORT = "/dev/virtio-ports/hlhft-test"


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to one command; its errors go where its output goes."""
    inside = ["ip", "netns", "exec", asked["namespace"]] if asked["namespace"] else []
    command = [*inside, "bash", "-euo", "pipefail", "-c", asked["command"]]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=asked["within_s"], check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return {"code": 124, "output": (late.output or b"").decode(errors="replace")}
    return {"code": done.returncode, "output": done.stdout.decode(errors="replace")}


def write(port: io.RawIOBase, answer: dict[str, Any]) -> None:
    """Sends an answer whole, however little of it the port takes at once."""
    left = memoryview(json.dumps(answer).encode() + b"\n")
    while left:
        left = left[port.write(left) or 0 :]


def main() -> None:
    """Answers until the machine goes."""
    os.environ.update(HOME="/root", PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    with open(PORT, "r+b", buffering=0) as port:
        write(port, {"ready": True})
        for line in iter(port.readline, b""):
            write(port, run(json.loads(line)))


if __name__ == "__main__":
    main()
