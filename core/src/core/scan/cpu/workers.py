"""Threads that run a kernel together: those of PyTorch, where they can be had.

PyTorch's OpenMP threads wait for the next parallel operation in a busy loop. Threads of our own
would have to fight them for the cores.
"""

from __future__ import annotations

import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import Any

import torch

from core.scan.cpu.machine import Function

#: Elements (steps x samples x neurons) below which a further thread costs more than it gives.
ELEMENTS_PER_THREAD = 50_000

_pool: ThreadPoolExecutor | None = None
_size = 0
_lock = threading.Lock()


@cache
def openmp() -> Any:
    """``GOMP_parallel`` of the OpenMP library that PyTorch has loaded, or None."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    files = {line.split()[-1] for line in maps.read_text().splitlines() if ".so" in line}
    ours = str(Path(torch.__file__).parent)
    # Other packages may bring a library of their own: PyTorch's comes first.
    for file in sorted(files, key=lambda file: (not file.startswith(ours), file)):
        if Path(file).name.startswith(("libgomp", "libiomp", "libomp")):
            parallel = getattr(ctypes.CDLL(file), "GOMP_parallel", None)
            if parallel is not None:
                parallel.restype = None
                parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
                return parallel
    return None


def run(kernel: Function, slots: Any, threads: int) -> None:
    """Call ``kernel(slots)`` in so many threads at once; it shares out the work itself."""
    parallel = openmp()
    if threads == 1:
        kernel(slots)
    elif parallel is not None:
        parallel(ctypes.cast(kernel, ctypes.c_void_p), ctypes.addressof(slots), threads, 0)  # type: ignore[arg-type]
    else:
        futures = [_workers(threads - 1).submit(kernel, slots) for _ in range(threads - 1)]
        kernel(slots)
        wait(futures)


def _workers(count: int) -> ThreadPoolExecutor:
    global _pool, _size
    with _lock:
        if _pool is None or _size < count:
            # A pool that is replaced ends its threads once they are idle.
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool, _size = ThreadPoolExecutor(count, thread_name_prefix="scan"), count
        return _pool


def _forget() -> None:
    global _pool, _size, _lock
    _pool, _size, _lock = None, 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # threads do not survive a fork
