"""Whether the kernel takes its clock for synchronised, as whoever keeps it tells it (adjtimex(2)). Its time is left
alone. Needs the right to set the clock."""

from __future__ import annotations

import ctypes
import os
from types import TracebackType

ADJ_MAXERROR, ADJ_STATUS = 0x0004, 0x0010
STA_UNSYNC = 0x0040


class _Timex(ctypes.Structure):
    """struct timex, as far as it is used; the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long),
        ("room", ctypes.c_byte * 256),
    ]  # fmt: skip


class KernelClock:
    """The kernel's word on its clock. To be used as a context, after which it is what it was."""

    def __enter__(self) -> KernelClock:
        before = _told(0, 0, 0)
        self._before = int(before.maxerror), int(before.status)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        _told(ADJ_MAXERROR | ADJ_STATUS, *self._before)

    def say(self, *, is_synchronised: bool) -> None:
        """From now on it is, or is not, synchronised."""
        rest = self._before[1] & ~STA_UNSYNC
        _told(ADJ_MAXERROR | ADJ_STATUS, 0, rest if is_synchronised else rest | STA_UNSYNC)


def _told(modes: int, maxerror_us: int, status: int) -> _Timex:
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex(modes=modes, maxerror=maxerror_us, status=status)
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel's word on its clock cannot be changed: {os.strerror(number)}")
    return timex
