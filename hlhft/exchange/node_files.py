"""The files that a node writes, written by the embedded exchange: follows its blocks, answers `fileSnapshot`.

A shell around `hlhft.exchange.node_text`. What a block brought is in the files before the next one begins; a new hour
of block time begins a new file. A write that fails stops the files, not the exchange: it is logged, `fault` says it,
and nothing more is written, for files with a hole would be read as a book. A file that exists is appended to; a line
that a kill cut off there is ended first, so that it stands alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hlhft.exchange.answers import Answer, client_fault, json_answer, unreadable
from hlhft.exchange.block import Block
from hlhft.exchange.machine import Machine, Outcome
from hlhft.exchange.node_orders import l4_snapshot
from hlhft.exchange.node_text import SUFFIX, Layout, NodeText, Stream, lines_of, path_of

LOG = logging.getLogger(__name__)
PATH_CHARACTERS_MAX = 4096


class L4Snapshots(msgspec.Struct, rename="camel"):
    """Which snapshot: every order of every book."""

    type: Literal["l4Snapshots"]
    include_users: bool = False
    include_trigger_orders: bool = False


class FileSnapshot(msgspec.Struct, rename="camel"):
    """The request to write a snapshot to a file (venue reference section 12)."""

    type: Literal["fileSnapshot"]
    request: L4Snapshots
    out_path: Annotated[str, Meta(min_length=1, max_length=PATH_CHARACTERS_MAX)]
    include_height_in_output: bool = False


class NodeFiles:
    """Writes the files of one machine below `root`, from its next block on. `local_ns` is the node's clock.

    The folders are there at once, so that they can be watched. Raises OSError when they cannot be made.
    """

    def __init__(self, root: Path, machine: Machine, layout: Layout, *, local_ns: Callable[[], int]) -> None:
        for stream in Stream:
            (root / f"{stream.value}{SUFFIX[layout]}" / "hourly").mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()
        self.layout = layout
        self.fault = ""  # why nothing is written any more
        self._machine = machine
        self._local_ns = local_ns
        self._text = NodeText(machine.kernel.chain, machine.settings.listing, machine.register)
        self._open: dict[Stream, tuple[str, int]] = {}  # path below the root, and the descriptor

    def count(self, outcome: Outcome) -> None:
        """Takes in what one advance brought."""
        for block in outcome.blocks:
            self.write(block)

    def write(self, block: Block) -> None:
        """Writes what the block that comes next brought."""
        if self.fault:
            return
        made = self._text.take(block)
        try:
            for stream in Stream:
                chunks = lines_of(made, stream, self.layout, self._local_ns())
                if chunks:
                    descriptor = self._descriptor(stream, block.time_ns)
                    for chunk in chunks:
                        _write_all(descriptor, chunk)
        except OSError as error:
            self.close()
            self.fault = f"{self.root}: the node's files end with block {block.height - 1}: {error.strerror}"
            LOG.error("%s; the exchange goes on without them", self.fault)

    def _descriptor(self, stream: Stream, time_ns: int) -> int:
        """The file of the hour, opened for appending."""
        name = path_of(stream, self.layout, time_ns)
        held = self._open.get(stream)
        if held is not None:
            if held[0] == name:
                return held[1]
            os.close(self._open.pop(stream)[1])
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._open[stream] = name, descriptor
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            _write_all(descriptor, b"\n")
        return descriptor

    def close(self) -> None:
        """Closes what is open; the next block opens it again."""
        while self._open:
            os.close(self._open.popitem()[1][1])

    # Snapshots.

    def snapshot(self, body: bytes) -> Answer:
        """The answer to a `fileSnapshot` body: the file is whole at its place, or nothing is. What a node answers is
        unverified.

        A real node writes wherever it may; this one only below its own folder, for its clients may be anybody.
        """
        try:
            request = msgspec.json.decode(body, type=FileSnapshot)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return unreadable(str(error))
        path = Path(request.out_path)
        if not path.is_absolute() or not path.resolve().is_relative_to(self.root) or path.resolve() == self.root:
            return client_fault(400, f"outPath must be an absolute path below {self.root}.")
        machine = self._machine
        books: Any = l4_snapshot(
            machine.kernel.chain,
            machine.settings.listing,
            machine.register,
            with_users=request.request.include_users,
            with_triggers=request.request.include_trigger_orders,
        )
        if request.include_height_in_output:
            books = [machine.height, books]
        beside = path.with_name(f".{path.name}.writing")
        try:
            beside.write_bytes(msgspec.json.encode(books))
            beside.replace(path)
        except (OSError, ValueError) as error:
            return client_fault(500, f"{path}: no snapshot was written: {error}.")
        return json_answer({"status": "ok"})


def _write_all(descriptor: int, chunk: bytes) -> None:
    """Raises OSError when not all of it can be written."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
