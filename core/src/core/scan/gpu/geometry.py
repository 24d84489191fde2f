"""How a scan is cut into programs of the GPU.

A geometry decides how fast a scan is and whether a device can launch it. Sums of a recurrent layer
may run in another order in another one; everything else is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch

#: Elements of a feed-forward tile, as many programs as possible, and its warps: two elements per
#: thread, so that it waits for two loads at once.
BLOCK, FEED_FORWARD_WARPS = 128, 2
#: Samples of a recurrent tile, and the inner dimension at a time of a product whose right side is
#: read in every step, at least what a dense product in a kernel needs.
ROWS, STREAMED = 16, 16
#: Chunks of the inner dimension of a product with a kept weight, and how many are read ahead.
MOST_CHUNKS, MOST_AHEAD = 32, 1
#: Elements of the weight that a program keeps, the most first: three numbers of bfloat16 each in
#: the shared memory of a processor (192, 96 or 48 KiB), beside what layouts of the tile need there.
KEPT = (1 << 15, 1 << 14, 1 << 13)
#: Neurons of a recurrent layer whose weight is read in every step that share a program.
TOGETHER = {torch.float32: 64, torch.float64: 32}
#: Values of a step, samples x neurons, so that a tile at its end has a 32 bit place.
MOST_VALUES = (1 << 31) - BLOCK
#: Neurons of a recurrent layer: programs of all of them must be on the device at once.
MOST_RECURRENT = {torch.float32: 2048, torch.float64: 1024}


@dataclass(frozen=True)
class Geometry:
    """A way to cut a scan.

    Attributes:
        rows: Samples of a tile; 1 without recurrence.
        columns: Neurons of a tile; without recurrence, elements of samples x neurons.
        warps: Of a program.
        recurrent: Whether it cuts recurrent scans.
        inner: Of the product with a weight that programs read once and keep, a chunk of its inner
            dimension.
        chunks: How many; 0 where they read the weight in every step.
        ahead: Chunks of the left side that are read before the one in the product (of spikes,
            which take fewer registers, one more).
    """

    rows: int
    columns: int
    warps: int
    recurrent: bool
    inner: int = 0
    chunks: int = 0
    ahead: int = 0

    def __str__(self) -> str:
        kept = f", weight kept in {self.chunks} x {self.inner} +{self.ahead}" if self.chunks else ""
        return f"{self.rows}x{self.columns}, {self.warps} warps{kept}"

    def constants(self, neurons: int) -> dict[str, int]:
        """Of a kernel."""
        if not self.recurrent:
            return {"BLOCK": self.columns}
        return {
            **{"ROWS": self.rows, "COLUMNS": self.columns, "STREAMED": STREAMED},
            **{"INNER": self.inner, "CHUNKS": self.chunks, "AHEAD": self.ahead},
            "TILES": self.tiles(neurons),
        }

    @property
    def kept_bytes(self) -> int:
        """Of shared memory that a program needs for the weight alone."""
        return 3 * 2 * self.chunks * self.inner * self.columns

    def tiles(self, neurons: int) -> int:
        """Programs that share their samples, and wait for each other."""
        return -(-neurons // self.columns) if self.recurrent else 1

    def programs(self, batch: int, neurons: int) -> int:
        """How many."""
        if not self.recurrent:
            return -(-batch * neurons // self.columns)
        return -(-batch // self.rows) * self.tiles(neurons)


_forced: ContextVar[Geometry | None] = ContextVar("forced", default=None)


@contextmanager
def forced(geometry: Geometry) -> Iterator[None]:
    """Cut every scan in the block in one way, and its way back, wherever that runs.

    Scans of the other kind (with and without recurrence) stay as they are. What a device cannot
    launch raises instead of falling back to another geometry.
    """
    token = _forced.set(geometry)
    try:
        yield
    finally:
        _forced.reset(token)


def candidates(recurrent: bool, batch: int, neurons: int, dtype: torch.dtype) -> list[Geometry]:
    """Geometries of a scan, the preferred one first; none where no kernel is made for the size.

    A device that cannot launch one (too little shared memory, too few processors for programs that
    wait for each other) takes the next; the last needs least.
    """
    if not recurrent:
        return [Geometry(1, BLOCK, FEED_FORWARD_WARPS, recurrent)]
    if neurons > MOST_RECURRENT.get(dtype, 0):
        return []
    padded = max(16, 1 << (neurons - 1).bit_length())
    found = [Geometry(ROWS, min(padded, TOGETHER[dtype]), 8, recurrent)]
    if dtype == torch.float32:
        # All neurons in one program, which waits for nobody, or shares of them.
        most = padded if padded <= 128 else 64
        shares = sorted({min(most, kept // padded) for kept in KEPT}, reverse=True)
        keeping = [_keeping(padded, share) for share in shares if share >= 16]
        found = [cut for cut in keeping if cut.chunks <= MOST_CHUNKS] + found
    return found


def _keeping(padded: int, columns: int) -> Geometry:
    """A geometry that keeps so many columns, cut so that no kernel of a paper's size spills.

    Registers hold the left side of a chunk: the fewer other values a thread has, the longer one.
    """
    # Eight columns are the least that a warp multiplies with.
    warps = min(8, max(4, columns // 8))
    inner = min(padded, 32 if padded <= 256 or columns < 32 else 64)
    ahead = 1 if padded <= 512 else 0
    return Geometry(ROWS, columns, warps, True, inner, padded // inner, ahead)


def chosen(recurrent: bool, batch: int, neurons: int, dtype: torch.dtype) -> list[Geometry]:
    """Geometries of a scan in the order in which they are tried: the forced one, or all."""
    given = _forced.get()
    if given is not None and given.recurrent == recurrent:
        return [given]
    return candidates(recurrent, batch, neurons, dtype)
