"""Asks an exporter for its page each second, as Prometheus does, while it is told to.

    python -m tests.bench.scrape_client URL

`ask` on standard input begins, `rest` ends: then a line is printed, a JSON list of the milliseconds that each answer
took. It runs until its standard input ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request

EVERY_S = 1.0
TIMEOUT_S = 10.0
ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
UP = b'hlhft_process_up{process="engine"} 1.0'


class Asker:
    """Asks in a thread of its own, from `begin` to `end`."""

    def __init__(self, url: str) -> None:
        self._request = urllib.request.Request(url, headers={"Accept": ACCEPT})
        self._rest = threading.Event()
        self._took_ms: list[float] = []
        self._thread = threading.Thread(target=self._ask)

    def begin(self) -> None:
        """Asks at once, and each second."""
        self._rest.clear()
        self._took_ms = []
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def end(self) -> list[float]:
        """Asks no more; what each answer took."""
        self._rest.set()
        self._thread.join()
        return self._took_ms

    def _ask(self) -> None:
        while not self._rest.is_set():
            began_s = time.perf_counter()
            with urllib.request.urlopen(self._request, timeout=TIMEOUT_S) as answer:
                page = answer.read()
            took_s = time.perf_counter() - began_s
            assert UP in page, "the engine of this bench is up"
            self._took_ms.append(1e3 * took_s)
            self._rest.wait(max(EVERY_S - took_s, 0.0))


def main() -> int:
    """Runs the client."""
    asker = Asker(sys.argv[1])
    for line in sys.stdin:
        if line == "ask\n":
            asker.begin()
        elif line == "rest\n":
            print(json.dumps(asker.end()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
