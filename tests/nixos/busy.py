"""Keeps as many processors busy as it has threads, between the signals USR1 and USR2, and tells the manager that it is
ready and alive, if that listens.

usage: busy.py THREADS        stands for a program whose place on the processors is what is tested
"""

import os
import signal
import socket
import sys
import threading
import zlib

# Long enough that the interpreter's lock is given back meanwhile, so that threads really run beside each other.
BLOCK = bytes(1 << 20)
NOTIFY_EVERY_S = 1.0


def notify(text: str) -> None:
    """Tells the manager, where it gave a socket."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), address.replace("@", "\0", 1))


def turn(turning: threading.Event) -> None:
    """Turns for ever, when it may."""
    while turning.wait():
        zlib.crc32(BLOCK)


def main(threads: int) -> None:
    """Starts them and stays."""
    turning = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: turning.set())
    signal.signal(signal.SIGUSR2, lambda *_: turning.clear())
    for _ in range(threads):
        threading.Thread(target=turn, args=(turning,), daemon=True).start()
    notify("READY=1")
    stopped = threading.Event()
    while not stopped.wait(NOTIFY_EVERY_S):
        notify("WATCHDOG=1")


if __name__ == "__main__":
    main(int(sys.argv[1]))
