"""The one place that sets up numba: where compiled code is cached, under which key, and how it is compiled.

numba's own cache notices a change of the decorated function's file only, not of a helper or a constant in another file,
so an old exposure cap would survive an update. Here the cache folder's name is a hash of every source that compiled
code is made of, of the versions of numba, llvmlite and numpy, and of the CPU's features; the folder is set before
anything is compiled.

Rules of the compiled subset, held by a lint test so that everything also runs with NUMBA_DISABLE_JIT=1: item syntax on
records (`row["field"]`), guarded logarithm, division and float-to-int conversion, no reliance on integer overflow, no
exceptions, no Python objects, no globals but integer and float constants and other compiled functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba.extending import intrinsic, register_jitable

from hlhft import units
from hlhft.linking import Parts, is_tested


def _load_array_functions() -> None:
    """Loads numba's array functions without the linear algebra that it takes from scipy, where that is installed.

    No compiled code here uses it, and importing scipy for it costs every start of a command a tenth of its time.
    """
    absent = "scipy.linalg" not in sys.modules
    if absent:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        if absent:
            del sys.modules["scipy.linalg"]


_load_array_functions()

JIT_DISABLED: bool = bool(numba.config.DISABLE_JIT)
LINKED_ONCE = not JIT_DISABLED and is_tested(numba.__version__)

_PACKAGE = Path(__file__).resolve().parent
_COMPILED_FOLDERS = ("core", "venue", "backtest")
_COMPILED_FLOW = (
    "background.py", "draws.py", "fair.py", "handle.py", "joiners.py", "legs.py", "makers.py", "rehearsal.py",
    "state.py", "synthetic.py", "takers.py",
)  # fmt: skip
_COMPILED_DATA = (
    "arranging.py",
    "catalogue/records.py",
    "crossing.py",
    "merge.py",
    "node/book.py",
    "node/scanning.py",
    "order.py",
    "places.py",
    "readers/archive_scan.py",
    "snapshots.py",
)  # and what these take constants from
_COMPILED_LANGUAGE = ("hashing.py", "packing.py", "scan.py")
_COMPILED_ALPHA = (
    "action.py",
    "barriers.py",
    "features.py",
    "lanes.py",
    "observation.py",
    "schema.py",
    "walking.py",
)  # and what these take constants from
_COMPILED_FILES = (
    "compiled.py",
    "events.py",
    "ladder.py",
    "linking.py",
    "units.py",
    *(f"alpha/{name}" for name in _COMPILED_ALPHA),
    *(f"data/{name}" for name in _COMPILED_DATA),
    *(f"exchange/flow/{name}" for name in _COMPILED_FLOW),
    *(f"hyperliquid/{name}" for name in _COMPILED_LANGUAGE),
)

KEYS_MAX = 8  # whose compiled code is kept, of 50 MB each: this version's, and those used before it
STRATEGIES_MAX = 64  # of a user's files, in each state of them, whose compiled code is kept
_NAME_OF_FOLDER = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{16})?")

Function = TypeVar("Function", bound=Callable[..., Any])


class CacheError(OSError):
    """No folder for compiled code can be used."""


def compiled_sources(package: Path = _PACKAGE) -> list[Path]:
    """Every source file that compiled code is made of, sorted."""
    files = [package / name for name in _COMPILED_FILES]
    for folder in _COMPILED_FOLDERS:
        files.extend((package / folder).rglob("*.py"))
    return sorted(path for path in files if path.is_file())


def code_key(package: Path = _PACKAGE) -> str:
    """The key of the compiled code: 32 hexadecimal digits over sources, library versions and CPU features."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (numba.__version__, llvmlite.__version__, np.__version__, _cpu()):
        digest.update(part.encode() + b"\0")
    for path in compiled_sources(package):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _cpu() -> str:
    return f"{llvmlite.binding.get_host_cpu_name()}{llvmlite.binding.get_host_cpu_features().flatten()}"


def cache_root() -> Path:
    """The folder for everything we may recompute: HLHFT_CACHE and nothing else where it is set, systemd's
    CacheDirectory, else the user's cache folder, else a private folder of this user under the temporary directory. It
    exists, is absolute, writable, ours, and nobody else's to write: numba runs what it finds there. Raises CacheError
    when none is."""
    tried: list[str] = []
    for candidate in _cache_candidates(os.environ):
        try:
            candidate.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=candidate):
                pass
        except OSError as error:
            tried.append(f"{candidate} ({error.strerror})")
            continue
        found = candidate.stat()
        if found.st_uid != os.getuid():
            tried.append(f"{candidate} (belongs to somebody else)")
        elif found.st_mode & stat.S_IWOTH:
            tried.append(f"{candidate} (anybody can write it)")
        else:
            return candidate.absolute()
    places = ", ".join(tried) or "none: there is no temporary directory"
    raise CacheError(f"no folder for compiled code can be used, tried {places}; set HLHFT_CACHE to a folder of yours")


def _cache_candidates(environ: os._Environ[str]) -> Iterator[Path]:
    if environ.get("HLHFT_CACHE"):
        yield Path(environ["HLHFT_CACHE"])
        return
    if environ.get("CACHE_DIRECTORY"):
        yield Path(environ["CACHE_DIRECTORY"].split(":")[0])
    if environ.get("XDG_CACHE_HOME"):
        yield Path(environ["XDG_CACHE_HOME"]) / "hlhft"
    if environ.get("HOME"):
        yield Path(environ["HOME"]) / ".cache" / "hlhft"
    with contextlib.suppress(FileNotFoundError):  # where no directory for temporary files can be written
        yield Path(tempfile.gettempdir()) / f"hlhft-{os.getuid()}"


def running_key() -> str:
    """The key of the code that this process runs: as it was at start, whatever becomes of the sources meanwhile."""
    return _FOLDER.name


def cache_folder() -> Path:
    """Where this version's compiled code lives."""
    return _FOLDER


def _used(folder: Path) -> Path:
    """Notes that a folder of compiled code is in use, and makes it and room for it where there is none.

    Where nothing can be written nothing is cached either.
    """
    with contextlib.suppress(OSError):
        try:
            os.utime(folder)
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_room(folder)
    return folder


def _make_room(new: Path) -> None:
    """Of the folders beside `new` those of the KEYS_MAX keys that were used last stay, and of its own key the
    STRATEGIES_MAX strategies that were used last. A process that runs code of a folder that is gone compiles anew what
    it still needs."""
    found = (path for path in new.parent.iterdir() if _NAME_OF_FOLDER.fullmatch(path.name))
    folders = sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    key_of = {folder: folder.name.partition("-")[0] for folder in folders}
    kept = list(dict.fromkeys(key_of.values()))[:KEYS_MAX]
    own_strategies = [folder for folder in folders if "-" in folder.name and key_of[folder] == key_of[new]]
    for folder in folders:
        if key_of[folder] not in kept or folder in own_strategies[STRATEGIES_MAX:]:
            shutil.rmtree(folder, ignore_errors=True)


def _set_cache_folder() -> Path:
    folder = _used(cache_root() / "code" / code_key())
    numba.config.CACHE_DIR = str(folder)
    return folder


_FOLDER = _set_cache_folder()


# The market arithmetic stays free of numba for those who must not import it; compiled code calls the same functions.
register_jitable(units.grid_step)
register_jitable(units.quantise)


_OPTIONS: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False,
}  # fmt: skip


def _widened(kind: Any) -> Any:
    kind = numba.types.unliteral(kind)
    if isinstance(kind, numba.types.Integer) and kind.bitwidth < 64:
        return numba.types.int64
    return kind


def compiled(function: Function) -> Function:
    """Compiles `function` (lazily, cached, without the GIL, IEEE division); unchanged under NUMBA_DISABLE_JIT=1.

    Calls from compiled code see every whole number as int64: without this numba compiles a function once more for each
    constant and each narrow integer that somebody passes. How callers and called come together is `hlhft.linking`.
    """
    if JIT_DISABLED:
        return function
    dispatcher = numba.njit(**_OPTIONS)(function)
    if LINKED_ONCE:
        Parts(dispatcher, _widened)
    else:
        template = dispatcher.get_call_template
        dispatcher.get_call_template = lambda args, kws: template([_widened(kind) for kind in args], kws)
    return dispatcher  # type: ignore[no-any-return]


def compiled_views(function: Function) -> Function:
    """As `compiled`, for a function that returns arrays: views of what it was given, which its caller keeps alive.

    Where numba links by itself it refuses to return arrays that nobody counts references to, and puts the body into the
    caller instead.
    """
    if JIT_DISABLED or LINKED_ONCE:
        return compiled(function)
    return numba.njit(inline="always", **_OPTIONS)(function)  # type: ignore[no-any-return]


@contextlib.contextmanager
def strategy_cache(source: bytes) -> Iterator[Path]:
    """Within it, what gets decorated is cached under the code key and the hash of `source`, a user's strategy file."""
    folder = _used(Path(f"{_FOLDER}-{hashlib.blake2b(source, digest_size=8).hexdigest()}"))
    previous = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield folder
    finally:
        numba.config.CACHE_DIR = previous


# A strategy is called by address, so that the core is compiled once and both stay cached. Without compilation there are
# no addresses: the table below then stands for them.
STRATEGY_SIGNATURE = numba.types.int64(
    numba.types.CPointer(numba.types.uint8),
    numba.types.int64,
    numba.types.CPointer(numba.types.uint8),
    numba.types.CPointer(numba.types.uint8),
    numba.types.CPointer(numba.types.uint8),
    numba.types.int64,
)
_PYTHON_STRATEGIES: dict[int, Callable[..., int]] = {}


def register_python_strategy(function: Callable[..., int]) -> int:
    """The address stand-in of `function(view, params, memory, quotes) -> count + 1` when compilation is disabled.

    `view` and `quotes` arrive as the core's arrays, `params` and `memory` as uint8 arrays; 0 means that it failed.
    """
    address = len(_PYTHON_STRATEGIES) + 1
    _PYTHON_STRATEGIES[address] = function
    return address


if JIT_DISABLED:

    def array_at(address: int, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """Without compilation there are no addresses to follow. Raises RuntimeError."""
        raise RuntimeError(f"no array of {shape} {dtype} can be found at {address} without compilation")

    def borrowed(arrays: Any) -> Any:
        """The same arrays: there is nothing to save without compilation."""
        return arrays

    def call_strategy(address: int, view: Any, params: Any, memory: Any, quotes: Any) -> int:
        """Calls the strategy at `address`; returns the number of quotes plus one, or 0 when it failed."""
        return _PYTHON_STRATEGIES[int(address)](view, params, memory, quotes)

else:

    @intrinsic
    def _call_address(typingctx, address, view, markets, params, memory, quotes, capacity):
        int64 = numba.types.int64
        intp = numba.types.intp

        def generate(context, builder, signature, arguments):
            from llvmlite import ir

            word, byte_pointer = ir.IntType(64), ir.IntType(8).as_pointer()
            kinds = [byte_pointer, word, byte_pointer, byte_pointer, byte_pointer, word]
            target = builder.inttoptr(arguments[0], ir.FunctionType(word, kinds).as_pointer())
            values = [
                builder.inttoptr(value, kind) if kind is byte_pointer else value
                for value, kind in zip(arguments[1:], kinds, strict=True)
            ]
            return builder.call(target, values)

        return int64(int64, intp, int64, intp, intp, intp, int64), generate

    def _without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, numba.types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = context.get_constant_null(numba.types.MemInfoPointer(kind.dtype))
            array.parent = context.get_constant_null(numba.types.pyobject)
            return array._getvalue()
        parts = [
            _without_owner(context, builder, part, builder.extract_value(value, index))
            for index, part in enumerate(kind.types)
        ]
        return context.make_tuple(builder, kind, parts)

    @intrinsic
    def array_at(typingctx, address, shape, dtype):
        """The contiguous array of `shape`, a tuple, and `dtype`, a constant, that lies at `address`.

        It owns nothing: whoever wrote the address keeps the memory alive. Never return it from a compiled function.
        """
        kind = numba.types.Array(dtype.dtype, len(shape), "C")

        def generate(context, builder, signature, arguments):
            from llvmlite import ir
            from numba.core import cgutils
            from numba.np.arrayobj import populate_array

            array = context.make_array(kind)(context, builder)
            itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            lengths = cgutils.unpack_tuple(builder, arguments[1])
            strides: list[Any] = []
            stride = context.get_constant(numba.types.intp, itemsize)
            for length in reversed(lengths):
                strides.insert(0, stride)
                stride = builder.mul(stride, length)
            data = builder.inttoptr(arguments[0], array.data.type)
            populate_array(array, data, lengths, strides, ir.Constant(ir.IntType(64), itemsize), None)
            return array._getvalue()

        return kind(numba.types.int64, shape, dtype), generate

    @intrinsic
    def borrowed(typingctx, arrays):
        """The same array, or tuple of arrays, without its owner.

        numba counts references with atomic operations at every slice; a loop that only works on what its caller keeps
        alive needs none of them. Never return or store what came out of this.
        """
        if not isinstance(arrays, numba.types.Array | numba.types.BaseTuple):
            return None

        def generate(context, builder, signature, arguments):
            return _without_owner(context, builder, signature.args[0], arguments[0])

        return arrays(arrays), generate

    @compiled
    def call_strategy(address: int, view: Any, params: Any, memory: Any, quotes: Any) -> int:
        """Calls the strategy at `address`; returns the number of quotes plus one, or 0 when it failed."""
        return _call_address(  # type: ignore[no-any-return]
            address,
            view.ctypes.data,
            len(view),
            params.ctypes.data,
            memory.ctypes.data,
            quotes.ctypes.data,
            len(quotes),
        )
