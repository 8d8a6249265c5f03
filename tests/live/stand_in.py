"""An engine's stand-in, as a process that can be killed: it places orders that expire soon, and beats.

    python -m tests.live.stand_in URL HEARTBEAT SECRET_FILE ACCOUNT SESSION

Prints a line once its first order rests. With SIGTERM it cancels nothing and says that it has stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from hlhft.hyperliquid.watchdog_beats import EngineState
from hlhft.live.heartbeat import HeartbeatSender
from hlhft.live.private_files import read_secret
from tests.live.watched import Account

BEAT_S = 0.05
ORDER_S = 0.05
ORDERS_MAX = 200
EXPIRES_AFTER_MS = 500


def main() -> None:
    """Trades until it is killed."""
    url, heartbeat, secret_file, number, session = sys.argv[1:]
    account = Account(url, int(number))
    sender = HeartbeatSender(heartbeat, read_secret(Path(secret_file)), session=int(session))
    last_expiry_ms = [0]
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    def beat(state: EngineState = EngineState.TRADING) -> None:
        sender.beat(
            state,
            now_ns=time.time_ns(),
            last_expiry_ms=last_expiry_ms[0],
            expires_after_ms=EXPIRES_AFTER_MS,
            orders=ORDERS_MAX,
        )

    def trade() -> None:
        for placed in range(ORDERS_MAX):
            last_expiry_ms[0] = time.time_ns() // 1_000_000 + EXPIRES_AFTER_MS
            account.place(expires_after_ms=last_expiry_ms[0])
            if not placed:
                print("trading", flush=True)
            if stopped.wait(ORDER_S):
                return

    threading.Thread(target=trade, daemon=True).start()
    while not stopped.wait(BEAT_S):
        beat()
    beat(EngineState.STOPPED)


if __name__ == "__main__":
    main()
