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
from collections import OrderedDict
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
    """Blocks of memory by size; the one unused longest goes first when there are too many.

    Args:
        limit: Bytes that may lie unused.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._unused: OrderedDict[int, tuple[int, mmap.mmap]] = OrderedDict()
        self._bytes = 0
        # Reentrant: a garbage collection inside `take` may give a block back.
        self._lock = threading.RLock()

    def take(self, size: int) -> mmap.mmap:
        """A block of at least ``size`` bytes and not many more, its content arbitrary."""
        size = -(-size // HUGE_PAGE) * HUGE_PAGE
        with self._lock:
            fitting = [
                (length, key)
                for key, (length, _) in self._unused.items()
                if size <= length <= size + size // 8
            ]
            if fitting:
                length, key = min(fitting)
                self._bytes -= length
                return self._unused.pop(key)[1]
        block = mmap.mmap(-1, size)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel without huge pages has small ones
                block.madvise(mmap.MADV_HUGEPAGE)
        return block

    def give(self, block: mmap.mmap) -> None:
        """Keep a block for later."""
        with self._lock:
            self._unused[id(block)] = (len(block), block)
            self._bytes += len(block)
            while self._bytes > self.limit:
                _, (length, _) = self._unused.popitem(last=False)
                self._bytes -= length

    def unused(self) -> int:
        """Bytes that are kept."""
        return self._bytes


def _limit() -> int:
    try:
        return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 1 << 30


POOL = Pool(_limit())


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU with arbitrary content, like ``torch.empty``."""
    count = math.prod(shape)
    size = count * dtype.itemsize
    if size < SMALLEST:
        return torch.empty(shape, dtype=dtype)
    block = POOL.take(size)
    array = np.frombuffer(block, dtype=np.uint8, count=size)
    # The tensor's storage holds the array; when it lets go, nothing can reach the block.
    weakref.finalize(array, POOL.give, block).atexit = False
    return torch.from_numpy(array).view(dtype).view(shape)
