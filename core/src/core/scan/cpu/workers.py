"""Threads that run a kernel together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

#: Elements (steps x samples x neurons) below which a further thread costs more than it gives.
ELEMENTS_PER_THREAD = 50_000

_pool: ThreadPoolExecutor | None = None
_size = 0
_lock = threading.Lock()


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


def run(jobs: Sequence[Callable[[], None]]) -> None:
    """Run all jobs at once, one of them in this thread."""
    if len(jobs) == 1:
        jobs[0]()
        return
    futures = [_workers(len(jobs) - 1).submit(job) for job in jobs[1:]]
    try:
        jobs[0]()
    finally:
        wait(futures)
    for future in futures:
        future.result()
