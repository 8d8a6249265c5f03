"""Files that are there whole or not at all, also after a loss of power."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """What is called how in a folder survives a loss of power. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes) -> None:
    """Writes the file under another name, on disk, then gives it its own. Raises OSError; an earlier one then stays."""
    writing = path.with_name(f".{path.name}.writing")
    with writing.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    writing.replace(path)
