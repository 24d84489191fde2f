"""Threads that run a kernel together: those of PyTorch, where they can be had.

PyTorch's OpenMP threads wait for the next parallel operation in a busy loop. Threads of our own
would have to fight them for the cores.
"""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch

from core.once import LOCK, once
from core.scan.cpu.machine import Function

#: Elements (steps x samples x neurons) below which a further thread costs more than it gives.
ELEMENTS_PER_THREAD = 50_000

_pool: ThreadPoolExecutor | None = None
_size = 0
_several = False  # threads in this process, when it last forked
_forked = False  # from a process with several threads


@once
def openmp() -> Any:
    """``GOMP_parallel`` of the OpenMP library that PyTorch uses, or None."""
    # A library gives the symbols of those it needs, too: other packages bring an OpenMP of their
    # own, whose threads are not PyTorch's.
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        parallel = ctypes.CDLL(str(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    parallel.restype = None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return parallel


def run(kernel: Function, slots: Any, threads: int) -> None:
    """Call ``kernel(slots)`` in so many threads at once; it shares out the work itself."""
    if threads == 1:
        kernel(slots)
    elif not _forked and (parallel := openmp()) is not None:
        parallel(ctypes.cast(kernel, ctypes.c_void_p), ctypes.addressof(slots), threads, 0)  # type: ignore[arg-type]
    else:
        _run_in_own(kernel, slots, threads)


def _run_in_own(kernel: Function, slots: Any, threads: int) -> None:
    futures: list[Future[None]] = []
    try:
        pool = _workers(threads - 1)
        for _ in range(threads - 1):
            futures.append(pool.submit(kernel, slots))
        kernel(slots)
    finally:
        _wait_for_all(futures)


def _wait_for_all(futures: list[Future[None]]) -> None:
    """Wait, whatever is raised meanwhile: Ctrl-C must not free memory that threads write to."""
    stopped: BaseException | None = None
    while not all(future.done() for future in futures):
        try:
            wait(futures)
        except BaseException as error:
            stopped = error
    if stopped is not None:
        raise stopped


def _workers(count: int) -> ThreadPoolExecutor:
    global _pool, _size
    with LOCK:
        if _pool is None or _size < count:
            # A pool that nobody holds any more ends its threads.
            _pool, _size = ThreadPoolExecutor(count, thread_name_prefix="scan"), count
        return _pool


def _before_fork() -> None:
    global _several
    try:
        _several = len(os.listdir("/proc/self/task")) > 1
    except OSError:
        _several = False  # not Linux, whose OpenMP alone does not survive


def _after_fork() -> None:
    """Threads do not survive a fork: an operation that waits for PyTorch's would never end."""
    global _pool, _size, _forked
    _pool, _size = None, 0
    if _several:
        _forked = True
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
