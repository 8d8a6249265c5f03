"""Files of models and policies, read as what anybody may have sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def read_bounded(
    path: Path, bytes_max: int, error: Callable[[Path, str], Exception], *, what: str, writer: str
) -> bytes:
    """A file of a folder of a `what` that `writer` wrote, not empty and of at most `bytes_max` bytes.

    Raises `error(path, sentence)` otherwise.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(bytes_max + 1)
    except FileNotFoundError:
        raise error(path, f"there is no such file, name a folder that {writer} wrote") from None
    except (IsADirectoryError, NotADirectoryError):
        raise error(path, f"this is no file in a {what} folder, name a folder that {writer} wrote") from None
    except OSError as fault:
        raise error(path, f"the file cannot be read ({fault.strerror}), give a readable folder") from None
    if len(content) > bytes_max:
        raise error(path, f"the file is larger than {bytes_max} bytes, which no {what} of ours is")
    if not content:
        raise error(path, "the file is empty, copy the folder again whole")
    return content
