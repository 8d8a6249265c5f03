"""Loads a quoting strategy, built in or from a user's Python file, checks its declarations and compiles it.

A strategy file declares NAME, FEATURES, INTERVAL_NS, ON_FRAME, ON_FILL, PARAMS, MEMORY_DTYPE and
`quote(view, params, memory, quotes) -> count` in the compiled subset (docs/strategies.md). It is compiled with bounds
checks and called by address, so the core's own compiled code never depends on it; an error in it becomes a halt.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import importlib
import inspect
import math
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import carray, cfunc, from_dtype, njit, types
from numba.core.errors import NumbaError, UnsupportedBytecodeError

from hlhft.compiled import JIT_DISABLED, STRATEGY_SIGNATURE, call_strategy, register_python_strategy, strategy_cache
from hlhft.core.state import MEMORY_BYTES, PARAMS_BYTES, QUOTE_DTYPE, QUOTES_MAX, VIEW_DTYPE, Feature
from hlhft.core.strategies.common import COUNT, Parameter
from hlhft.units import MICRO, Market, MarketKind

BUILT_IN = ("avellaneda_stoikov", "funding", "glft", "two_sided")
DEFAULT = "glft"
_DECLARATIONS = ("NAME", "FEATURES", "INTERVAL_NS", "ON_FRAME", "ON_FILL", "PARAMS", "MEMORY_DTYPE", "quote")
CALL_NS_MAX = 1_000_000  # a strategy slower than this, in the median, has no place before a network of milliseconds
MEASURING_NS_MAX = 200_000_000
_FEATURES_ALL = int(Feature.ALL)
# What interpreted user code may raise, by mistake or on purpose; compiled code reports the same as a failed call.
_USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
# Lines of numba's messages that say nothing to the writer of the file.
_NOISE = ("Failed in", "During:", "File ", "def ", "<source", "^", "- Resolution", "There are", "Enable logging")
_REASON_LENGTH_MAX = 200
_OWN_SOURCE = Path(__file__).read_bytes()  # module names and adapters of this file are in what is cached
# What running or compiling a user's file may raise besides.
_LOAD_ERRORS = (*_USER_ERRORS, ImportError, OSError, NumbaError, UnsupportedBytecodeError)


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
    pairs: bool = False  # it trades neighbouring markets as the two legs of one carry
    _address: list[Any] = field(default_factory=list)

    @property
    def params_dtype(self) -> np.dtype:
        """One float64 a parameter, in declaration order; one unused field where there is none."""
        return np.dtype([(name, np.float64) for name in self.parameters or ("none",)])

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

    def call_ns(self, view: np.ndarray, params: Mapping[str, str | float] | None = None, *, calls: int = 200) -> int:
        """Median nanoseconds of a call on `view`, VIEW_DTYPE[M], the way from Python included.

        Of fewer than `calls` calls, three at least, when they take longer than MEASURING_NS_MAX together. Shells refuse
        a strategy above CALL_NS_MAX. Raises StrategyError as `address` and `params_bytes` do.
        """
        address = self.address()
        values, memory = self.params_bytes(params or {}), np.zeros(MEMORY_BYTES, np.uint8)
        quotes = np.zeros(QUOTES_MAX, QUOTE_DTYPE)
        call_strategy(address, view, values, memory, quotes)
        elapsed: list[int] = []
        while len(elapsed) < calls and (len(elapsed) < 3 or sum(elapsed) < MEASURING_NS_MAX):
            start = time.perf_counter_ns()
            call_strategy(address, view, values, memory, quotes)
            elapsed.append(time.perf_counter_ns() - start)
        return sorted(elapsed)[len(elapsed) // 2]


def pair_legs(
    strategy: Strategy, values: Mapping[str, str | float], markets: Sequence[Market], positions: np.ndarray
) -> None:
    """Tells a lane's POSITION_DTYPE[M] `positions` which markets are a pair's legs, and how far they may stand apart.

    For a strategy that declares PAIRS: neighbours are a spot market and a perpetual of one coin, and its parameter
    `unhedged_notional_usdc`, if it has one, is the cap. For any other it does nothing. Raises StrategyError when the
    markets are no such pairs.
    """
    if not strategy.pairs:
        return
    legs = list(zip(markets[::2], markets[1::2], strict=False))
    if len(markets) % 2 or any({leg.kind for leg in pair} != set(MarketKind) for pair in legs):
        names = ", ".join(f"{market.name} ({market.kind.name.lower()})" for market in markets)
        raise StrategyError(
            f"strategy {strategy.name} trades pairs of neighbouring markets, each a spot market and a perpetual, not "
            f"{names}; name both legs one after the other"
        )
    params = strategy.params_bytes(values)[: strategy.params_dtype.itemsize].view(strategy.params_dtype)
    cap = params["unhedged_notional_usdc"][0] if "unhedged_notional_usdc" in strategy.parameters else 0.0
    for index in range(len(markets)):
        positions[index]["pair"] = (index ^ 1) + 1
        positions[index]["unhedged_micro_max"] = round(cap * MICRO)


def parameter_table(strategy: Strategy) -> str:
    """The parameters as a Markdown table, one line each in declaration order; the documentation's tables are this."""
    rows = ["| parameter | default | range | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, (default, minimum, maximum, unit, meaning) in strategy.parameters.items():
        rows.append(f"| `{name}` | {default:g} | {minimum:g} .. {maximum:g} | {unit} | {meaning} |")
    return "\n".join(rows)


def _checked(strategy: str, name: str, parameter: Parameter, value: str | float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise StrategyError(f"strategy {strategy}: parameter {name} must be a number, not {value!r}") from None
    if parameter.unit == COUNT and math.isfinite(number) and number != int(number):
        raise StrategyError(f"strategy {strategy}: parameter {name} must be a whole number, not {value}")
    if not parameter.minimum <= number <= parameter.maximum:
        raise StrategyError(
            f"strategy {strategy}: parameter {name} must lie in {parameter.minimum:g}..{parameter.maximum:g} "
            f"{parameter.unit}, not {value}"
        )
    return number


def load(name_or_path: str) -> Strategy:
    """The built-in strategy of this name, or the one in this Python file.

    Raises StrategyError when there is no such strategy, the file cannot be read or run, or a declaration is missing or
    of the wrong kind.
    """
    if name_or_path in BUILT_IN:
        return _built_in(name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".py":
        near = difflib.get_close_matches(name_or_path, BUILT_IN, 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise StrategyError(f"no strategy {name_or_path!r}{hint}; give one of {', '.join(BUILT_IN)} or a Python file")
    return _from_file(path)


@functools.cache
def _built_in(name: str) -> Strategy:
    """One a process: its machine code is looked up once, however often a replay or a simulation asks for it."""
    module = importlib.import_module(f"hlhft.core.strategies.{name}")
    return _declared(module, f"built-in {name}", name.encode(), is_user_file=False)


def _from_file(path: Path) -> Strategy:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise StrategyError(f"strategy file {path} cannot be read: {error.strerror}") from None
    module = ModuleType(f"hlhft_user_strategy_{hashlib.blake2b(source, digest_size=8).hexdigest()}")
    module.__file__ = str(path)
    # Cached machine code refers to its module by name, and a second process looks it up here. The cache folder is the
    # source's, so the name is too: a file that was renamed or copied is still the same strategy.
    sys.modules[module.__name__] = module
    with strategy_cache(_OWN_SOURCE + source):
        try:
            # Not through the import system: its bytecode cache would run the old file after an edit within one second.
            exec(compile(source, str(path.resolve()), "exec"), module.__dict__)  # noqa: S102
        except SyntaxError as error:
            raise StrategyError(f"strategy file {path}, line {error.lineno}: {error.msg}") from None
        except _LOAD_ERRORS as error:
            raise StrategyError(f"strategy file {path} fails when it is loaded: {_load_reason(error, path)}") from error
        _check_bounds_of_helpers(module)
        return _declared(module, str(path), source, is_user_file=True)


def _load_reason(error: Exception, path: Path) -> str:
    """The error and the last line of the file that ran."""
    ran = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
    place = f" (line {ran[-1]})" if ran else ""
    return f"{_first_reason(error, str(path))}{place}"


def _check_bounds_of_helpers(module: ModuleType) -> None:
    """Turns bounds checks on in the file's own compiled functions: a helper can write out of bounds as quote can."""
    for value in vars(module).values():
        if hasattr(value, "targetoptions") and value.py_func.__globals__ is module.__dict__:
            value.targetoptions["boundscheck"] = True


def _declared(module: ModuleType, source: str, fingerprint: bytes, *, is_user_file: bool) -> Strategy:
    missing = [name for name in _DECLARATIONS if not hasattr(module, name)]
    if missing:
        raise StrategyError(f"strategy {source} does not declare {', '.join(missing)}")
    parameters = _declared_parameters(module.PARAMS, source)
    memory = module.MEMORY_DTYPE
    if not isinstance(memory, np.dtype) or memory.fields is None or memory.hasobject or memory.itemsize > MEMORY_BYTES:
        raise StrategyError(
            f"strategy {source}: MEMORY_DTYPE must be a structured dtype of numbers of at most {MEMORY_BYTES} bytes"
        )
    if not isinstance(module.FEATURES, int) or not 0 <= module.FEATURES <= _FEATURES_ALL:
        raise StrategyError(
            f"strategy {source}: FEATURES must be made of hlhft.core.state.Feature, not {module.FEATURES!r}"
        )
    if not isinstance(module.INTERVAL_NS, int) or module.INTERVAL_NS < 0:
        raise StrategyError(f"strategy {source}: INTERVAL_NS must be a whole number >= 0, not {module.INTERVAL_NS!r}")
    if not (module.INTERVAL_NS or module.ON_FRAME or module.ON_FILL):
        raise StrategyError(f"strategy {source} is never asked: set INTERVAL_NS, ON_FRAME or ON_FILL")
    quote = getattr(module.quote, "py_func", module.quote)
    if not inspect.isfunction(quote) or len(inspect.signature(quote).parameters) != 4:
        raise StrategyError(f"strategy {source}: quote must be a function quote(view, params, memory, quotes)")
    return Strategy(
        name=str(module.NAME),
        source=source,
        features=int(module.FEATURES),
        interval_ns=int(module.INTERVAL_NS),
        on_frame=bool(module.ON_FRAME),
        on_fill=bool(module.ON_FILL),
        parameters=parameters,
        memory_dtype=memory,
        quote=quote,
        fingerprint=fingerprint,
        is_user_file=is_user_file,
        pairs=bool(getattr(module, "PAIRS", False)),
    )


def _declared_parameters(parameters: Any, source: str) -> Mapping[str, Parameter]:
    if not isinstance(parameters, dict) or not all(isinstance(item, Parameter) for item in parameters.values()):
        raise StrategyError(
            f"strategy {source}: PARAMS must map names to Parameter(default, minimum, maximum, unit, meaning)"
        )
    if len(parameters) * 8 > PARAMS_BYTES:
        raise StrategyError(
            f"strategy {source}: PARAMS must hold at most {PARAMS_BYTES // 8} parameters, not {len(parameters)}"
        )
    for name, parameter in parameters.items():
        _checked(source, name, parameter, parameter.default)
    return parameters


def _compile(strategy: Strategy) -> Any:
    # The folder is the strategy's own: thunks of different strategies are the same source with the same signature.
    with strategy_cache(_OWN_SOURCE + strategy.fingerprint):
        try:
            view, params, memory, quotes = (
                from_dtype(dtype) for dtype in (VIEW_DTYPE, strategy.params_dtype, strategy.memory_dtype, QUOTE_DTYPE)
            )
            # Bounds checks belong to user code: a write out of bounds must become a halt, not a corrupted ledger.
            quote = njit(cache=True, nogil=True, error_model="numpy", boundscheck=True)(strategy.quote)
            quote.compile((types.Array(view, 1, "C"), params, memory, types.Array(quotes, 1, "C")))
            returned = quote.nopython_signatures[0].return_type
            if not isinstance(returned, types.Integer):
                raise StrategyError(
                    f"strategy {strategy.source}: quote must return a whole number, not {_short(str(returned))}"
                )
            pointers = [types.CPointer(record) for record in (view, params, memory, quotes)]
            signature = types.int64(pointers[0], types.int64, *pointers[1:], types.int64)
            assert len(signature.args) == len(STRATEGY_SIGNATURE.args)
            return cfunc(signature, cache=True)(_thunk(quote))
        except StrategyError:
            raise
        except _LOAD_ERRORS as error:
            # Not NumbaError alone: numba's own inference fails with a KeyError on, for one, str() of a record.
            reason = _first_reason(error, strategy.source)
            if not isinstance(error, NumbaError | UnsupportedBytecodeError):
                reason = f"numba fails on it ({reason}); use numbers, loops and arrays only, as docs/strategies.md says"
            raise StrategyError(f"strategy {strategy.source} does not compile: {reason}") from error


def _short(text: str) -> str:
    return text if len(text) <= _REASON_LENGTH_MAX else text[:_REASON_LENGTH_MAX] + " ..."


def _first_reason(error: Exception, source: str) -> str:
    """What an error says first, in one line, and the line of the strategy file where it names one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith(_NOISE)]
    reason = _short("; ".join(wanted[:2]))
    if not isinstance(error, NumbaError | UnsupportedBytecodeError):
        reason = f"{type(error).__name__}: {reason}"
    place = re.search(re.escape(Path(source).name) + r'", line (\d+)', str(error))
    return f"{reason} (line {place.group(1)})" if place else reason


def _called(view, markets, params, memory, quotes, capacity):  # type: ignore[no-untyped-def]
    count = quote(  # type: ignore[name-defined]  # noqa: F821 - a global of the thunk that this is the code of
        carray(view, markets), carray(params, 1)[0], carray(memory, 1)[0], carray(quotes, capacity)
    )
    return count + 1


def _thunk(quote: Callable[..., int]) -> Callable[..., int]:
    """The adapter between addresses and arrays for `quote`.

    `quote` is one of its globals, not of its closure: numba's cache puts a closure's contents into the key, and a
    compiled function's differ in each process, so the thunk would be compiled in every process.
    """
    thunk = FunctionType(_called.__code__, {"quote": quote, "carray": carray, "__name__": __name__})
    thunk.__qualname__ = "thunk"
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
