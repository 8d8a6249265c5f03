"""Compiles a call graph once, instead of once for each caller on the way up.

numba optimises every function together with all that it calls, and makes machine code and a wrapper for Python of it,
though most of the core is only ever called by compiled functions: a leaf is optimised as often as it has callers above
it. Here compiled callers are given a *part*: the function as it was lowered to LLVM, neither optimised nor made machine
code of. A function that Python calls is linked with the parts of its whole call graph and optimised once, with nothing
of it visible from outside, so what has one caller is put into it: less to compile, and a faster loop. The results are
the same to the byte, as no floating-point rule is relaxed.

This uses what numba keeps to itself, so it is done with the versions that it was tested with, constraints.txt's among
them; with any other, numba links as it always does: the same results, a longer first run and a slower loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding
from llvmlite.binding import Linkage, create_new_module_pass_manager
from numba.core import typing
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.untyped_passes import InlineInlinables

TESTED = ("0.68.",)  # beginnings of numba's versions


def is_tested(version: str) -> bool:
    """Whether this version of numba is one whose insides are known here."""
    return version.startswith(TESTED)


class _Module(JITCodeLibrary):  # type: ignore[misc]
    """A library that is there to be linked into others and never loaded by itself."""

    needed: Sequence[Any] = ()  # of a part's library: those of its whole call graph, callees first, itself last

    def _optimize_functions(self, ll_module: Any) -> None:
        """Nothing: whoever links it optimises it."""
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Nothing can be added any more.

        The addresses of called dispatchers, which numba notes and nobody reads, go: what holds one is never cached.
        """
        self._raise_if_finalized()
        passes = create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_dead_code_elimination_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(self._final_module, self._codegen._pass_builder())
        self._finalize_dynamic_globals()
        self._finalized = True


class _Program(JITCodeLibrary):  # type: ignore[misc]
    """The library of a function that Python calls, with all that it calls."""

    def finalize(self) -> None:
        """As numba's, except that what was linked is this library's alone."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                # Not internal: the loader finds such a function by name, too, and a strategy's library would call it in
                # place of its own, although its arguments may have been optimised away here.
                function.linkage = Linkage.private
        self._optimize_final_module()
        self._final_module.verify()
        self._finalize_final_module()


class _Compiler(CompilerBase):  # type: ignore[misc]
    """numba's own, without a pass that looks in vain for calls to replace by bodies before anything is typed."""

    def define_pipelines(self) -> list[Any]:
        """The passes."""
        state = self.state
        if state.library is None:
            state.library = _new_library(_Program, state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        manager = DefaultPassBuilder.define_nopython_pipeline(state)
        manager.passes = [entry for entry in manager.passes if entry[0] is not InlineInlinables]
        manager.finalize()
        return [manager]


def _new_library(kind: type, codegen: Any, name: str) -> Any:
    library = codegen.create_library(name)
    library.__class__ = kind
    return library


class _Part:
    """A compiled function as other compiled functions see it."""

    def __init__(self, fndesc: Any, signature: Any, libraries: Sequence[Any]) -> None:
        self.fndesc = fndesc
        self.signature = signature
        self.libraries = libraries
        self.library = libraries[-1]
        self.library.needed = libraries


def _call_graph(library: Any) -> list[Any]:
    """The libraries that `library` needs, each once, callees first, itself last."""
    found: dict[Any, None] = {}
    for one in library._linking_libraries:
        for needed in getattr(one, "needed", ()) or (one,):
            found[needed] = None
    return [*found, library]


# What came from the cache, by the hash of its bitcode: parts that share a callee share its library.
_LOADED: dict[bytes, Any] = {}


def _loaded(codegen: Any, name: str, bitcode: bytes) -> Any:
    key = hashlib.blake2b(bitcode, digest_size=16).digest()
    if key not in _LOADED:
        library = _new_library(_Module, codegen, name)
        library._final_module = llvmlite.binding.parse_bitcode(bitcode)
        library._finalized = True
        _LOADED[key] = library
    return _LOADED[key]


# A library lies in the cache with every part that needs it. Once finalized it does not change: it is asked only once.
@functools.cache
def _bitcode(library: Any) -> bytes:
    code: bytes = library._get_module_for_linking().as_bitcode()
    return code


@functools.cache
def _is_portable(library: Any) -> bool:
    return not (library.has_dynamic_globals or library._reload_init)


class _PartCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    """How a part lies in the cache: with the bitcode of every library it needs."""

    def reduce(self, part: _Part) -> Any:
        """What is pickled."""
        part.fndesc.typemap = part.fndesc.calltypes = None
        modules = [(one.name, _bitcode(one)) for one in part.libraries]
        return part.fndesc, part.signature, modules

    def rebuild(self, target_context: Any, payload: Any) -> _Part:
        """The part that was pickled."""
        fndesc, signature, modules = payload
        return _Part(fndesc, signature, [_loaded(target_context.codegen(), *module) for module in modules])

    def check_cachable(self, part: _Part) -> bool:
        """Whether it means the same in another process."""
        return all(map(_is_portable, part.libraries))

    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        """As of the function itself, apart from it."""
        return f"part-{super().get_filename_base(fullname, abiflags)}"


class _PartCache(FunctionCache):  # type: ignore[misc]
    _impl_class = _PartCacheImpl

    def _save_overload(self, signature: Any, part: _Part) -> None:
        if self._impl.check_cachable(part):
            self._impl.locator.ensure_cache_path()
            self._cache_file.save(self._index_key(signature, part.library.codegen), self._impl.reduce(part))


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Within it, no other process holds the lock; it ends with the process that does. Where nothing can be written
    nothing is cached either, and there is nothing to wait for."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(lock.open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Parts:
    """Stands between a dispatcher and its compiled callers, and hands them parts, one for each kinds of arguments."""

    def __init__(self, dispatcher: Any, widened: Callable[[Any], Any]) -> None:
        """`widened` gives the kind that an argument of a kind is passed as."""
        self._dispatcher, self._widened = dispatcher, widened
        self._cache = _PartCache(dispatcher.py_func)
        self._by_kinds: dict[tuple[Any, ...], _Part] = {}
        dispatcher._compiler.pipeline_class = _Compiler
        self._compile_alone = dispatcher.compile
        dispatcher.compile = self._program
        dispatcher.get_call_template = self._call_template
        dispatcher.get_overload = self._overload

    @global_compiler_lock  # type: ignore[untyped-decorator]
    def _program(self, sig: Any) -> Any:
        """Compiles the function for Python; of several processes that want it at once, one does, and the others load
        what it left."""
        cache = self._dispatcher._cache._impl
        with _alone(Path(cache.locator.get_cache_path(), f"{cache.filename_base}.lock")):
            return self._compile_alone(sig)

    def _call_template(self, args: Sequence[Any], kws: Any) -> Any:
        kinds = [self._widened(kind) for kind in args]
        pysig, folded = self._dispatcher._compiler.fold_argument_types(kinds, kws)
        part = self._part(tuple(folded))
        name = self._dispatcher.py_func.__name__
        template = typing.make_concrete_template(f"CallTemplate({name})", key=name, signatures=[part.signature])
        return template, pysig, folded, {}

    def _overload(self, args: Sequence[Any]) -> _Part:
        """What stands for the function in the target's table: anything that is the same each time."""
        return self._by_kinds[tuple(args)]

    @global_compiler_lock  # type: ignore[untyped-decorator]
    def _part(self, kinds: tuple[Any, ...]) -> _Part:
        if kinds not in self._by_kinds:
            target = self._dispatcher.targetctx
            part = self._cache.load_overload(kinds, target)
            if part is None:
                part = self._compile(kinds)
                self._cache.save_overload(kinds, part)
            # Callers first: LLVM's linker passes over what nothing linked before refers to.
            target.insert_user_function(part, part.fndesc, part.libraries[::-1])
            self._by_kinds[kinds] = part
        return self._by_kinds[kinds]

    def _compile(self, kinds: tuple[Any, ...]) -> _Part:
        compiler, target = self._dispatcher._compiler, self._dispatcher.targetctx
        flags = Flags()
        compiler.targetdescr.options.parse_as_flags(flags, compiler.targetoptions)
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        library = _new_library(_Module, target.codegen(), compiler.py_func.__qualname__)
        with self._dispatcher._compiling_counter:  # by which numba knows a call to itself
            result = compile_extra(
                compiler.targetdescr.typing_context, target, compiler.py_func, args=kinds, return_type=None,
                flags=flags, locals=compiler.locals, library=library, pipeline_class=_Compiler,
            )  # fmt: skip
        return _Part(result.fndesc, result.signature, _call_graph(library))
