"""A process that is not well: it writes an engine's numbers that do not add up, and grows, from SIGUSR1 to SIGUSR2.

    python -m tests.endtoend.sick CONFIG

No fault of an engine's surroundings makes it so, as that would be an error of the engine itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from hlhft.config.folders import metrics_folder_of
from hlhft.config.load import load
from hlhft.monitor.block import BlockWriter, block_path
from hlhft.monitor.metrics import Source

GROWTH_BYTES = 256 << 20
UNEXPLAINED_USDC = 0.000001
PAUSE_S = 0.2
SIGNALS = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM}


def main(file: Path) -> None:
    """Until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    config = load(file, {}).config
    path = block_path(metrics_folder_of(config, os.environ), Source.ENGINE)
    path.parent.mkdir(parents=True, exist_ok=True)
    block = BlockWriter(
        path, source=Source.ENGINE, labels={"account": config.account.address}, clock_ns=time.time_ns
    )  # fmt: skip
    residual = block.slot("hlhft_profit_residual_usdc", "BTC")
    grown = b""
    told: int | None = None
    while told != signal.SIGTERM:
        if told == signal.SIGUSR1:
            grown = b"\1" * GROWTH_BYTES
        elif told == signal.SIGUSR2:
            grown = b""
        block.values[residual] = UNEXPLAINED_USDC if grown else 0.0
        block.end()
        found = signal.sigtimedwait(SIGNALS, PAUSE_S)
        told = None if found is None else found.si_signo


if __name__ == "__main__":
    main(Path(sys.argv[1]))
