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

#: Elements of a feed-forward tile: one per thread, as many programs as possible.
BLOCK = 128
#: Samples of a recurrent tile, and the inner dimension at a time of a product whose right side is
#: read in every step, at least what a dense product in a kernel needs.
ROWS, STREAMED = 16, 16
#: Chunks of the inner dimension of a product with a kept weight, and the longest.
MOST_CHUNKS, CHUNK = 16, 64
#: Elements of the weight that a program keeps: three numbers of bfloat16 each in the shared memory
#: of a processor (96 KiB), beside what layouts of the tile need there.
KEPT = 1 << 14
#: Neurons of a recurrent layer whose weight is read in every step that share a program.
TOGETHER = {torch.float32: 64, torch.float64: 32}
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
    """

    rows: int
    columns: int
    warps: int
    recurrent: bool
    inner: int = 0
    chunks: int = 0

    def __str__(self) -> str:
        kept = f", weight kept in {self.chunks} x {self.inner}" if self.chunks else ""
        return f"{self.rows}x{self.columns}, {self.warps} warps{kept}"

    def constants(self, neurons: int) -> dict[str, int]:
        """Of a kernel."""
        if not self.recurrent:
            return {"BLOCK": self.columns}
        return {
            **{"ROWS": self.rows, "COLUMNS": self.columns, "STREAMED": STREAMED},
            **{"INNER": self.inner, "CHUNKS": self.chunks, "TILES": self.tiles(neurons)},
        }

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
        return [Geometry(1, BLOCK, 4, recurrent)]
    if neurons > MOST_RECURRENT.get(dtype, 0):
        return []
    padded = max(16, 1 << (neurons - 1).bit_length())
    found = [Geometry(ROWS, min(padded, TOGETHER[dtype]), 8, recurrent)]
    if dtype == torch.float32 and padded <= MOST_CHUNKS * CHUNK:
        # Registers: the more chunks, the fewer values of a row each may have.
        inner = min(padded, CHUNK // 2 if padded <= 256 else CHUNK)
        most = min(padded, 128, KEPT // padded)
        for columns in (most // 2, most):
            if columns >= 16:
                # Eight columns are the least that a warp multiplies with.
                warps = min(8, max(4, columns // 8))
                cut = Geometry(ROWS, columns, warps, recurrent, inner, padded // inner)
                found.insert(0, cut)
    return found


def chosen(recurrent: bool, batch: int, neurons: int, dtype: torch.dtype) -> list[Geometry]:
    """Geometries of a scan in the order in which they are tried: the forced one, or all."""
    given = _forced.get()
    if given is not None and given.recurrent == recurrent:
        return [given]
    return candidates(recurrent, batch, neurons, dtype)
