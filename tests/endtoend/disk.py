"""Disks of its own for a test: one in memory, which is never full, whatever the machine's is like, and one that can be,
and stop answering: a file system in a file on a file system.

To stand still, the outer one is frozen: what the inner one has to write waits, as with a disk that does not answer,
while memory that is mapped from it can still be written to. Needs root, as tests that mount anything do.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from types import TracebackType

MIB = 1 << 20
OUTER_MIB, INNER_MIB, MEMORY_MIB = 112, 80, 1024
COMMAND_S = 30.0


class Disk:
    """Mounted at `path`, and the one in memory at `memory`, while it is used as a context."""

    def __init__(self, folder: Path) -> None:
        self._outer, self.path, self.memory = folder / "outer", folder / "disk", folder / "memory"
        self._mounted: list[Path] = []
        self._is_frozen = False

    def __enter__(self) -> Disk:
        try:
            self._mount_memory(self.memory, MEMORY_MIB)
            self._mount(self._outer.with_suffix(".image"), self._outer, OUTER_MIB)
            # Without a journal of its own, so that nothing but its data waits.
            self._mount(self._outer / "inner.image", self.path, INNER_MIB, "-O", "^has_journal")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.go_on()
        for path in reversed(self._mounted):
            _do("umount", "--lazy", str(path))
        self._mounted.clear()

    def stand_still(self) -> None:
        """From now on nothing reaches it."""
        _do("fsfreeze", "--freeze", str(self._outer))
        self._is_frozen = True

    def go_on(self) -> None:
        """What waits reaches it, and what follows."""
        if self._is_frozen:
            self._is_frozen = False
            _do("fsfreeze", "--unfreeze", str(self._outer))

    def fill(self, *, left_mib: int) -> None:
        """Takes all room of it but so much, and less than that much more."""
        found = os.statvfs(self.path)
        room_mib = found.f_bavail * found.f_frsize // MIB
        for number in range(max(room_mib - left_mib, 0)):
            with (self.path / f"filler-{left_mib}-{number}").open("wb") as stream, contextlib.suppress(OSError):
                os.posix_fallocate(stream.fileno(), 0, MIB)  # what the file system itself needs is not told

    def empty(self) -> None:
        """Gives it back."""
        for path in self.path.glob("filler-*"):
            path.unlink()

    def _mount_memory(self, path: Path, mib: int) -> None:
        path.mkdir()
        _do("mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", str(path))
        self._mounted.append(path)

    def _mount(self, image: Path, path: Path, mib: int, *options: str) -> None:
        path.mkdir()
        with image.open("wb") as stream:
            stream.truncate(mib * MIB)
        _do("mkfs.ext4", "-q", "-F", "-m", "0", *options, str(image))
        _do("mount", "-o", "loop", str(image), str(path))
        self._mounted.append(path)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
