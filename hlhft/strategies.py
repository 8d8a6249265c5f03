"""Loads a quoting strategy, built in or from a user's Python file, checks its declarations and compiles it.

A strategy file declares NAME, FEATURES, INTERVAL_NS, ON_FRAME, ON_FILL, PARAMS, MEMORY_DTYPE and
`quote(view, params, memory, quotes) -> count` in the compiled subset (docs/strategies.md). It is compiled with bounds
checks and called by address, so the core's own compiled code never depends on it; an error in it becomes a halt.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from hlhft.compiled import JIT_DISABLED, STRATEGY_SIGNATURE, call_strategy, register_python_strategy, strategy_cache
from hlhft.core.state import MEMORY_BYTES, PARAMS_BYTES, QUOTE_DTYPE, QUOTES_MAX, VIEW_DTYPE
from hlhft.core.strategies.common import Parameter

BUILT_IN = ("avellaneda_stoikov", "glft", "two_sided")
DEFAULT = "glft"
_DECLARATIONS = ("NAME", "FEATURES", "INTERVAL_NS", "ON_FRAME", "ON_FILL", "PARAMS", "MEMORY_DTYPE", "quote")
# What interpreted user code may raise on bad arithmetic or indices; compiled code reports the same as a failed call.
_USER_ERRORS = (ArithmeticError, IndexError, KeyError, TypeError, ValueError)


class StrategyError(ValueError):
    """A strategy that cannot be loaded, declared or compiled, or a parameter it does not accept."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A loaded strategy. `address` compiles it on first use."""

    name: str
    source: str  # file name, for messages
    features: int
    interval_ns: int
    on_frame: bool
    on_fill: bool
    parameters: Mapping[str, Parameter]
    memory_dtype: np.dtype
    quote: Callable[..., int]
    fingerprint: bytes
    is_user_file: bool
    _address: list[Any] = field(default_factory=list)

    @property
    def params_dtype(self) -> np.dtype:
        """One float64 a parameter, in declaration order."""
        return np.dtype([(name, np.float64) for name in self.parameters])

    def params_bytes(self, values: Mapping[str, str | float]) -> np.ndarray:
        """The parameters as uint8[PARAMS_BYTES], defaults filled in.

        Raises StrategyError for a name the strategy does not have (with the nearest one), a value that is no number or
        one outside its range.
        """
        for name in values:
            if name not in self.parameters:
                near = difflib.get_close_matches(name, self.parameters, 1)
                hint = f", did you mean {near[0]!r}?" if near else f"; it has {', '.join(self.parameters)}"
                raise StrategyError(f"strategy {self.name} has no parameter {name!r}{hint}")
        record = np.zeros(1, self.params_dtype)
        for name, parameter in self.parameters.items():
            record[name] = _checked(self.name, name, parameter, values.get(name, parameter.default))
        padded = np.zeros(PARAMS_BYTES, np.uint8)
        packed = record.view(np.uint8)
        padded[: len(packed)] = packed
        return padded

    def address(self) -> int:
        """Where the compiled strategy is; compiled once a process, from the cache when it was compiled before.

        Raises StrategyError when it does not compile.
        """
        if not self._address:
            self._address.append(_python_address(self) if JIT_DISABLED else _compile(self))
        entry = self._address[0]
        return int(entry if JIT_DISABLED else entry.address)

    def call_ns(self, view: np.ndarray, *, calls: int = 200) -> int:
        """Median nanoseconds of a call on `view`, VIEW_DTYPE[M], with default parameters; for shells that refuse slow ones."""
        address = self.address()
        params, memory = self.params_bytes({}), np.zeros(MEMORY_BYTES, np.uint8)
        quotes = np.zeros(QUOTES_MAX, QUOTE_DTYPE)
        call_strategy(address, view, params, memory, quotes)
        elapsed = []
        for _ in range(calls):
            start = time.perf_counter_ns()
            call_strategy(address, view, params, memory, quotes)
            elapsed.append(time.perf_counter_ns() - start)
        return sorted(elapsed)[calls // 2]


def _checked(strategy: str, name: str, parameter: Parameter, value: str | float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise StrategyError(f"strategy {strategy}: parameter {name} must be a number, not {value!r}") from None
    if math.isnan(number) or not parameter.minimum <= number <= parameter.maximum:
        raise StrategyError(
            f"strategy {strategy}: parameter {name} must lie in {parameter.minimum:g}..{parameter.maximum:g} "
            f"{parameter.unit}, not {value}"
        )
    return number


def load(name_or_path: str) -> Strategy:
    """The built-in strategy of this name, or the one in this Python file.

    Raises StrategyError when there is no such strategy, the file cannot be read or run, or a declaration is missing or of
    the wrong kind.
    """
    if name_or_path in BUILT_IN:
        module = importlib.import_module(f"hlhft.core.strategies.{name_or_path}")
        return _declared(module, f"built-in {name_or_path}", name_or_path.encode(), is_user_file=False)
    path = Path(name_or_path)
    if path.suffix != ".py":
        near = difflib.get_close_matches(name_or_path, BUILT_IN, 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise StrategyError(f"no strategy {name_or_path!r}{hint}; give one of {', '.join(BUILT_IN)} or a Python file")
    return _from_file(path)


def _from_file(path: Path) -> Strategy:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise StrategyError(f"strategy file {path} cannot be read: {error.strerror}") from None
    spec = importlib.util.spec_from_file_location(f"hlhft_user_strategy_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with strategy_cache(source):
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            raise StrategyError(f"strategy file {path}, line {error.lineno}: {error.msg}") from None
        except (ImportError, NameError, AttributeError, *_USER_ERRORS) as error:
            raise StrategyError(f"strategy file {path} fails when it is loaded: {error}") from None
        return _declared(module, str(path), source, is_user_file=True)


def _declared(module: ModuleType, source: str, fingerprint: bytes, *, is_user_file: bool) -> Strategy:
    missing = [name for name in _DECLARATIONS if not hasattr(module, name)]
    if missing:
        raise StrategyError(f"strategy {source} does not declare {', '.join(missing)}")
    parameters, memory = module.PARAMS, module.MEMORY_DTYPE
    if not isinstance(parameters, dict) or not all(isinstance(item, Parameter) for item in parameters.values()):
        raise StrategyError(f"strategy {source}: PARAMS must map names to Parameter(default, minimum, maximum, unit, meaning)")
    if len(parameters) * 8 > PARAMS_BYTES:
        raise StrategyError(f"strategy {source}: at most {PARAMS_BYTES // 8} parameters, not {len(parameters)}")
    if not isinstance(memory, np.dtype) or memory.fields is None or memory.itemsize > MEMORY_BYTES:
        raise StrategyError(f"strategy {source}: MEMORY_DTYPE must be a structured dtype of at most {MEMORY_BYTES} bytes")
    return Strategy(
        name=str(module.NAME),
        source=source,
        features=int(module.FEATURES),
        interval_ns=int(module.INTERVAL_NS),
        on_frame=bool(module.ON_FRAME),
        on_fill=bool(module.ON_FILL),
        parameters=parameters,
        memory_dtype=memory,
        quote=module.quote,
        fingerprint=fingerprint,
        is_user_file=is_user_file,
    )


def _compile(strategy: Strategy) -> Any:
    cache = strategy_cache(strategy.fingerprint) if strategy.is_user_file else contextlib.nullcontext()
    with cache:
        try:
            # Bounds checks belong to user code: a write out of bounds must become a halt, not a corrupted ledger.
            quote = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=True)(strategy.quote)
            record = numba.from_dtype
            signature = numba.types.int64(
                numba.types.CPointer(record(VIEW_DTYPE)),
                numba.types.int64,
                numba.types.CPointer(record(strategy.params_dtype)),
                numba.types.CPointer(record(strategy.memory_dtype)),
                numba.types.CPointer(record(QUOTE_DTYPE)),
                numba.types.int64,
            )
            assert len(signature.args) == len(STRATEGY_SIGNATURE.args)
            # The thunk cannot be cached across processes (it closes over `quote`), but it is a few instructions around
            # the cached function, compiled in milliseconds.
            return numba.cfunc(signature, nopython=True)(_thunk(quote))
        except numba.core.errors.NumbaError as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise StrategyError(
                f"strategy {strategy.source} does not compile: {_first_reason(error) or reason}"
            ) from error


def _first_reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith(("Failed in", "During:", "File ", "def ", "<source"))]
    return "; ".join(wanted[:2])


def _thunk(quote: Callable[..., int]) -> Callable[..., int]:
    from numba import carray  # noqa: PLC0415 - known only to compiled code

    def thunk(view, markets, params, memory, quotes, capacity):  # type: ignore[no-untyped-def]
        return quote(carray(view, markets), carray(params, 1)[0], carray(memory, 1)[0], carray(quotes, capacity)) + 1

    return thunk


def _python_address(strategy: Strategy) -> int:
    size = strategy.memory_dtype.itemsize

    def call(view: Any, params: Any, memory: Any, quotes: Any) -> int:
        record = params[: strategy.params_dtype.itemsize].view(strategy.params_dtype)[0]
        try:
            return int(strategy.quote(view, record, memory[:size].view(strategy.memory_dtype)[0], quotes)) + 1
        except _USER_ERRORS as error:
            print_failure(strategy.name, error)
            return 0

    return register_python_strategy(call)


def print_failure(name: str, error: BaseException) -> None:
    """Reports a strategy's own error through the same hook that compiled code uses."""
    sys.unraisablehook(_Unraisable(error, name))  # type: ignore[arg-type]


class _Unraisable:
    def __init__(self, error: BaseException, name: str) -> None:
        self.exc_type, self.exc_value, self.exc_traceback = type(error), error, error.__traceback__
        self.err_msg, self.object = None, name


@contextlib.contextmanager
def failures() -> Iterator[list[str]]:
    """Collects what strategies raise while it is active, one text each, at most 16, instead of printing tracebacks."""
    texts: list[str] = []
    previous = sys.unraisablehook

    def keep(unraisable: Any) -> None:
        if len(texts) < 16:
            error = unraisable.exc_value
            texts.append(f"{type(error).__name__}: {error}" if error is not None else unraisable.exc_type.__name__)

    sys.unraisablehook = keep
    try:
        yield texts
    finally:
        sys.unraisablehook = previous
