"""What an exchange was told since its state was saved last, so that one that is killed goes on from where it was.

The machine is deterministic: from the same state, the same calls at the same times give the same exchange. So each call
that changes the ledger is appended to a file before it is carried out, and before anybody hears of its outcome. What
the system has taken survives the process, not a power cut: nothing is synced. A record that a kill cut off ends the
log; it was never carried out.

A log belongs to the state that it begins from, which its first record names; a log of another state is of no use. An
order flow that listens to a real venue is told things that are not in the log: it has none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hlhft.exchange.machine import Advanced, Deposited, Heard, Machine, OracleMoved, Posted
from hlhft.exchange.state_file import read_state

LOG_BYTES_MAX = 1 << 32
RECORD_BYTES_MAX = 1 << 22  # the body of a request has at most a quarter of it
CLIENT = ("", "input log")  # limits per client are no part of the ledger
_HEAD_BYTES = 8  # length, checksum
_ENCODE = msgspec.msgpack.Encoder().encode


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """The first record: the block of the state that the log begins from, and the digest of all that led to it."""

    height: int
    digest: bytes


_DECODE = msgspec.msgpack.Decoder(Opening | Posted | Deposited | OracleMoved | Advanced).decode


def log_of(state: Path) -> Path:
    """Where the log of a state file lies."""
    return state.with_name(state.name + ".log")


class InputLog:
    """A log of what a machine is told from now on; its state now is what must lie in the state file.

    Raises OSError when it cannot be written: then nothing more may be carried out.
    """

    def __init__(self, path: Path, machine: Machine) -> None:
        self.bytes = 0
        self._stream = path.open("wb", buffering=0)
        self._machine = machine
        self._append(Opening(machine.height, machine.digest))
        machine.heard = self._append

    def close(self) -> None:
        """Ends it; the file stays. Nothing happens the second time."""
        self._machine.heard = None
        self._stream.close()

    def _append(self, record: Heard | Opening) -> None:
        body = _ENCODE(record)
        self.bytes += _HEAD_BYTES + len(body)
        if self.bytes > LOG_BYTES_MAX:
            raise OSError(f"the log of an exchange holds at most {LOG_BYTES_MAX} bytes: stop it, and start it again")
        self._stream.write(len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body)


def read_log(path: Path) -> list[Heard | Opening]:
    """The records, up to the first that is cut off or damaged. Raises OSError when the file cannot be read."""
    with path.open("rb") as stream:
        content = memoryview(stream.read(LOG_BYTES_MAX))
    found: list[Heard | Opening] = []
    place = 0
    while place + _HEAD_BYTES <= len(content):
        length = int.from_bytes(content[place : place + 4], "little")
        check = int.from_bytes(content[place + 4 : place + _HEAD_BYTES], "little")
        body = content[place + _HEAD_BYTES : place + _HEAD_BYTES + length]
        if not 0 < length <= RECORD_BYTES_MAX or len(body) < length or zlib.crc32(body) != check:
            break
        found.append(_DECODE(body))
        place += _HEAD_BYTES + length
    return found


def replay(machine: Machine, records: Sequence[Heard]) -> None:
    """Tells a machine, as it was when the log began, everything again."""
    for record in records:
        if isinstance(record, Posted):
            machine.admit(record.body, CLIENT, record.now_ns, weighed=False)
        elif isinstance(record, Deposited):
            machine.deposit(record.address, record.amount, token=record.token)
        elif isinstance(record, OracleMoved):
            machine.set_oracle(record.coin, record.price)
        else:
            machine.advance(record.now_ns)


def recover(state: Path, opened: Callable[[int], Machine]) -> Mapping[str, Any]:
    """The state that an exchange had when it ended, however it ended: that of the file, and what the log tells since.

    `opened` opens a new exchange at a time in ns. Raises OSError and StateFileError as `read_state`, and ValueError
    when the state is of another exchange.
    """
    told = read_state(state)
    log = log_of(state)
    records = read_log(log) if log.exists() else []
    if not records or records[0] != Opening(told["height"], told["digest"]):
        return told
    machine = opened(told["time_ns"])
    machine.restore(told, told["time_ns"])
    replay(machine, [record for record in records if not isinstance(record, Opening)])
    return machine.state()
