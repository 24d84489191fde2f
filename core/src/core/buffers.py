"""Memory for whole sequences: in huge pages, and used again.

The operating system hands out memory page by page, on first touch, and zeroes it: for the arrays
of a scan that costs more than the arithmetic. Blocks that no tensor uses any more are kept for
the next scan, which in training has the same sizes.
"""

from __future__ import annotations

import math
import mmap
import os
import threading
import weakref
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

HUGE_PAGE = 2 << 20
#: Smaller tensors come from PyTorch.
SMALLEST = 1 << 20
#: Unused memory kept at most, as a share of the machine's.
SHARE = 0.125


class Pool:
    """Blocks of memory; of those that lie unused, the one taken longest ago goes first.

    Whether a block is in use is asked of its user when the next one is taken. A finaliser that
    gives it back would be Python code at any moment: a signal that arrives there is lost, because
    Python drops what finalisers raise.

    Args:
        limit: Bytes that may lie unused when a block has been taken. Until then, what was in use
            together may lie there together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._blocks: list[tuple[mmap.mmap, weakref.ref[np.ndarray]]] = []

    def take(self, size: int) -> np.ndarray:
        """``size`` bytes, arbitrary; their block is free once no view of the array is left."""
        whole = -(-size // HUGE_PAGE) * HUGE_PAGE
        with self._lock:
            block = self._fitting(whole)
            self._trim()
            if block is None:
                block = _mapped(whole)
            array = np.frombuffer(block, dtype=np.uint8, count=size)
            if len(block) <= self.limit:
                self._blocks.append((block, weakref.ref(array)))
        return array

    def _fitting(self, size: int) -> mmap.mmap | None:
        """An unused block of at least ``size`` bytes and not many more."""
        fitting = [
            (len(block), place)
            for place, (block, user) in enumerate(self._blocks)
            if user() is None and size <= len(block) <= size + size // 8
        ]
        return self._blocks.pop(min(fitting)[1])[0] if fitting else None

    def _trim(self) -> None:
        excess, kept = self.unused() - self.limit, []
        for block, user in self._blocks:
            if excess > 0 and user() is None:
                excess -= len(block)
            else:
                kept.append((block, user))
        self._blocks = kept

    def unused(self) -> int:
        """Bytes that are kept."""
        return sum(len(block) for block, user in self._blocks if user() is None)

    def forget(self) -> None:
        """Start anew in a forked process: writing into what its parent left would copy it first."""
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        self._blocks = []


def _mapped(size: int) -> mmap.mmap:
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)
    # Python's default is memory that forked processes share, which also gets no huge pages.
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages has small ones
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _limit() -> int:
    try:
        return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 1 << 30


POOL = Pool(_limit())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: POOL.forget())


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU with arbitrary content, like ``torch.empty``."""
    count = math.prod(shape)
    size = count * dtype.itemsize
    if size < SMALLEST:
        return torch.empty(shape, dtype=dtype)
    # The tensor's storage holds the array; when it lets go, nothing can reach the block.
    # Detached: autograd knows it for no view, so that it may be written to in place.
    return torch.from_numpy(POOL.take(size)).view(dtype).view(shape).detach()
