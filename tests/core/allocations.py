"""numba's own count of what compiled code allocates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python, rtsys


def during(work: Callable[[], None]) -> tuple[Any, Any]:
    """The allocation statistics before and after `work`; compile it before, for compiling allocates."""
    rtsys.initialize(cpu_target.target_context)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        work()
        return before, rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
